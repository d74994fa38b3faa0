/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/health and /v1/health/beat: answered on the store's thread, so that an answer proves it
 * turns. */
#include <stdio.h>

#include "actors/rows.h"
#include "gateway/call.h"
#include "gateway/gateway.h"
#include "runtime/confine.h"

/* What the processes that read strangers' archives give up here: names of the parts in force. */
static void
write_sandbox(struct sl_jsonw *w)
{
    struct sl_confined c = sl_confine_probe();
    const struct {
        const char *name;
        int error;
    } parts[] = {{"landlock", c.landlock}, {"seccomp", c.seccomp}};
    sl_jsonw_name(w, "sandbox");
    sl_jsonw_object(w);
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        char text[96] = "enforced";
        if (parts[i].error != 0)
            (void)snprintf(text, sizeof(text), "not enforced: %s", strerror(parts[i].error));
        sl_jsonw_member_str(w, parts[i].name, text);
    }
    sl_jsonw_end(w);
}

void
sl_api_health(struct sl_call *call)
{
    const struct sl_gateway *g = call->gateway;
    struct sl_slice value;
    struct sl_buf key = {0};
    enum sl_err err =
        sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, sl_key(&key, 1, "boot"), &value);
    bool is_readable = err == SL_OK || err == SL_ENOTFOUND;
    bool has_blobs = g->blobs != NULL, has_queue = g->queue != NULL, has_index = g->indexes != NULL;
    bool is_good = is_readable && has_blobs && has_queue && has_index;
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "status", is_good ? "OK" : "DEGRADED");
    sl_jsonw_name(w, "data");
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "cache", is_readable); /* In process: there is no other. */
    sl_jsonw_member_bool(w, "metadata", is_readable);
    sl_jsonw_member_bool(w, "vector_store", has_index);
    sl_jsonw_member_bool(w, "object_storage", has_blobs);
    sl_jsonw_member_bool(w, "task_queue", has_queue);
    sl_jsonw_member_bool(w, "inference", has_queue); /* Replicas start on demand. */
    sl_jsonw_end(w);
    sl_jsonw_name(w, "errors");
    sl_jsonw_object(w);
    if (!is_readable)
        sl_jsonw_member_str(w, "metadata", "the catalogue cannot be read");
    if (!has_blobs)
        sl_jsonw_member_str(w, "object_storage", "blob storage is not open");
    sl_jsonw_end(w);
    write_sandbox(w);
    sl_jsonw_end(w);
    sl_buf_deinit(&key);
}

void
sl_api_health_beat(struct sl_call *call)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "status", "healthy");
    sl_jsonw_member_time(w, "last_beat", call->now_ms);
    sl_jsonw_member_u64(w, "age_seconds", 0);
    sl_jsonw_end(w);
}
