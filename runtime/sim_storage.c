/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_storage.h"

#include "runtime/catalogue_memory.h"

void
sl_sim_storage_init(struct sl_sim_storage *s)
{
    s->log = sl_sim_disk_create();
    s->log_ops = sl_sim_disk_ops(s->log);
    s->snapshots = sl_sim_disk_create();
    s->snapshots_ops = sl_sim_disk_ops(s->snapshots);
    s->catalogue = sl_catalogue_memory_create();
}

void
sl_sim_storage_deinit(struct sl_sim_storage *s)
{
    sl_sim_disk_destroy(&s->log);
    sl_sim_disk_destroy(&s->snapshots);
    sl_catalogue_memory_destroy(&s->catalogue);
}

void
sl_sim_storage_use(const struct sl_sim_storage *s, struct sl_store_options *options)
{
    options->disk = &s->log_ops;
    options->snapshots = &s->snapshots_ops;
    options->memory = s->catalogue;
}
