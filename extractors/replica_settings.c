/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_settings.h"

#include <unistd.h>

#include "runtime/alloc.h"

#define MEMORY_DIVISOR 2 /* Of the machine's. */

uint64_t
sl_replica_memory(const struct sl_replica_settings *settings)
{
    if (settings->memory_bytes > 0 || (settings->devices != NULL && *settings->devices != '\0'))
        return settings->memory_bytes;
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / MEMORY_DIVISOR;
}

void
sl_replica_settings_write(const struct sl_replica_settings *settings, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "open", settings->is_open);
    sl_jsonw_member_u64(w, "memory", settings->memory_bytes);
    sl_jsonw_member_u64(w, "object", settings->object_bytes);
    sl_jsonw_member_u64(w, "batch_units", settings->batch.units_max);
    sl_jsonw_member_u64(w, "batch_items", settings->batch.items_max);
    if (settings->batch.has_delay)
        sl_jsonw_member_u64(w, "batch_delay", settings->batch.delay_ns);
    if (settings->readable != NULL)
        sl_jsonw_member_str(w, "readable", settings->readable);
    if (settings->devices != NULL)
        sl_jsonw_member_str(w, "devices", settings->devices);
    sl_jsonw_end(w);
}

/* 0: it has none. */
static uint64_t
number_of(struct sl_json object, const char *name)
{
    uint64_t number = 0;
    return sl_json_u64(sl_json_member(object, name), &number) == SL_OK ? number : 0;
}

void
sl_replica_settings_read(struct sl_json object, struct sl_replica_settings *ret_settings)
{
    struct sl_replica_settings s = {.is_open = sl_json_bool(sl_json_member(object, "open"), false)};
    s.memory_bytes = number_of(object, "memory");
    s.object_bytes = number_of(object, "object");
    s.batch = (struct sl_batch_override){
        .units_max = number_of(object, "batch_units"),
        .items_max = (uint32_t)SL_MIN(number_of(object, "batch_items"), SL_BATCH_ITEMS_MAX),
        .delay_ns = number_of(object, "batch_delay"),
        .has_delay = sl_json_has(sl_json_member(object, "batch_delay"))};
    s.readable = sl_json_strdup(sl_json_member(object, "readable"));
    s.devices = sl_json_strdup(sl_json_member(object, "devices"));
    s.memory_bytes = sl_replica_memory(&s);
    *ret_settings = s;
}

void
sl_replica_settings_deinit(struct sl_replica_settings *settings)
{
    sl_free(settings->readable);
    sl_free(settings->devices);
    *settings = (struct sl_replica_settings){0};
}
