/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_storage.h - what a simulated process that has a store leaves behind when it dies: the log on
 * a disk that may fail (sim_disk.h), and what is built from it, which no fault is in: the
 * catalogue's rows and the snapshots.
 */
#ifndef SL_RUNTIME_SIM_STORAGE_H
#define SL_RUNTIME_SIM_STORAGE_H

#include "runtime/sim_disk.h"
#include "runtime/store.h"

struct sl_sim_storage {
    struct sl_sim_disk *log, *snapshots;
    struct sl_disk log_ops, snapshots_ops;
    struct sl_catalogue_memory *catalogue;
};

void sl_sim_storage_init(struct sl_sim_storage *s);
void sl_sim_storage_deinit(struct sl_sim_storage *s); /* No store has it open. */
/* Let a store be opened on it. Borrowed while the store is open. */
void sl_sim_storage_use(const struct sl_sim_storage *s, struct sl_store_options *options);

#endif
