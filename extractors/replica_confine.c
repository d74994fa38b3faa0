/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_confine.h"

#include <stdlib.h>

#include "extractors/replica_end.h"
#include "runtime/alloc.h"
#include "runtime/sandbox.h"

/* The directory of a file; with that of what it links to, and what the operator added. */
static char *
readable_paths(const char *plugin, const char *more)
{
    char *real = plugin == NULL ? NULL : realpath(plugin, NULL);
    const char *named = plugin == NULL ? "" : plugin, *linked = real == NULL ? "" : real;
    const char *named_end = strrchr(named, '/'), *linked_end = strrchr(linked, '/');
    char *paths = sl_format("%.*s:%.*s:%s", named_end == NULL ? 0 : (int)(named_end - named), named,
                            linked_end == NULL ? 0 : (int)(linked_end - linked), linked,
                            more == NULL ? "" : more);
    sl_free(real);
    return paths;
}

uint64_t
sl_replica_confine(const struct sl_replica_settings *settings, const struct sl_replica_place *place)
{
    char *readable = readable_paths(place->plugin, settings->readable);
    struct sl_sandbox_options options = {.readable = readable,
                                         .unlisted = place->blobs,
                                         .devices = settings->devices,
                                         .uid = sl_sandbox_uid(place->tenant)};
    uint64_t states = SL_SANDBOX_NONE;
    sl_replica_watch_begin(settings->memory_bytes);
    if (place->has_objects)
        options.file_bytes = settings->object_bytes;
    if (settings->memory_bytes > 0)
        options.data_bytes = settings->memory_bytes + SL_REPLICA_MEMORY_SLACK;
    if (!settings->is_open)
        states = sl_sandbox_enter(&options);
    sl_free(readable);
    return states;
}
