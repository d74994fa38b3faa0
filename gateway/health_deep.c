/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/health and /v1/health/beat: answered on the store's thread, so that an answer proves it
 * turns. */
#include <inttypes.h>
#include <stdio.h>

#include "actors/cluster.h"
#include "actors/rows.h"
#include "gateway/call.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "gateway/settings.h"
#include "runtime/alloc.h"
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

/* What is found of the store's own parts, before the head is asked of the rest. */
struct parts {
    bool is_readable, has_blobs, has_queue, has_index;
};

/* Why work is not done as it should be; empty: it is. */
struct faults {
    bool is_told;                     /* The head has answered. */
    struct sl_buf groups, extractors; /* Sentences, of what is over its threshold. */
};

static uint64_t
number(struct sl_json about, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(about, name), &value) == SL_OK ? value : 0;
}

/* The threshold of a key, which an apply may have changed. */
static uint64_t
threshold_s(const struct sl_call *call, uint32_t key)
{
    const struct sl_settings *s = call->gateway->settings;
    return s == NULL ? UINT64_MAX : sl_config_duration_ns(s->config, key) / SL_SECOND_NS;
}

static void
write_unhealthy(struct sl_call *call, const char *kind, struct sl_json about, const char *reason)
{
    bool is_group = strcmp(kind, "group") == 0;
    uint64_t limit_s = threshold_s(call, is_group ? SL_UP_health_service : SL_UP_health_extractor);
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "kind", kind);
    sl_jsonw_member_value(w, "name", sl_json_member(about, "name"));
    sl_jsonw_member_u64(w, "seconds", number(about, "seconds"));
    sl_jsonw_member_u64(w, "threshold_seconds", limit_s);
    sl_jsonw_member_bool(w, "is_over", number(about, "seconds") >= limit_s);
    sl_jsonw_member_str(w, "reason", reason);
    sl_jsonw_end(w);
}

/* One thing: it is listed, and a fault once it has lasted. */
static void
take(struct sl_call *call, const char *kind, struct sl_json about, struct sl_buf *faults)
{
    bool is_group = strcmp(kind, "group") == 0;
    uint64_t limit_s = threshold_s(call, is_group ? SL_UP_health_service : SL_UP_health_extractor);
    uint64_t seconds = number(about, "seconds"), nodes = number(about, "nodes");
    char *name = sl_json_strdup(sl_json_member(about, "name"));
    char *said = sl_json_strdup(sl_json_member(about, "reason"));
    /* Anybody may ask: how a replica ended is for who has a key. */
    char *reason =
        is_group ? sl_format("%s", said == NULL ? "" : said)
                 : sl_format("its replicas crash on %" PRIu64 " node%s: `sluice serve status` "
                             "tells how",
                             nodes, nodes == 1 ? "" : "s");
    write_unhealthy(call, kind, about, reason);
    if (seconds >= limit_s)
        sl_buf_printf(faults, "%s%s %s, for %" PRIu64 " s (limit %" PRIu64 " s): %s",
                      faults->size == 0 ? "" : "; ", kind, name == NULL ? "?" : name, seconds,
                      limit_s, reason);
    sl_free(name);
    sl_free(said);
    sl_free(reason);
}

/* Write the list `unhealthy`, and collect what is a fault. */
static void
write_faults(struct sl_call *call, struct sl_json said, struct faults *faults)
{
    sl_jsonw_name(&call->out, "unhealthy");
    sl_jsonw_array(&call->out);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(said, "extractors"));
         sl_json_next(&i);)
        take(call, "extractor", i.value, &faults->extractors);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(said, "groups")); sl_json_next(&i);)
        take(call, "group", i.value, &faults->groups);
    sl_jsonw_end(&call->out);
}

static void
write_parts(struct sl_jsonw *w, const struct parts *p, struct faults *f)
{
    bool is_queue_good = p->has_queue && f->is_told && f->groups.size == 0;
    bool is_inference_good = p->has_queue && f->is_told && f->extractors.size == 0;
    sl_jsonw_name(w, "data");
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "cache", p->is_readable); /* In process: there is no other. */
    sl_jsonw_member_bool(w, "metadata", p->is_readable);
    sl_jsonw_member_bool(w, "vector_store", p->has_index);
    sl_jsonw_member_bool(w, "object_storage", p->has_blobs);
    sl_jsonw_member_bool(w, "task_queue", is_queue_good);
    sl_jsonw_member_bool(w, "inference", is_inference_good); /* Replicas start on demand. */
    sl_jsonw_end(w);
    sl_jsonw_name(w, "errors");
    sl_jsonw_object(w);
    if (!p->is_readable)
        sl_jsonw_member_str(w, "metadata", "the catalogue cannot be read");
    if (!p->has_blobs)
        sl_jsonw_member_str(w, "object_storage", "blob storage is not open");
    if (!f->is_told)
        sl_jsonw_member_str(w, "inference", "the head does not say how its nodes are");
    else if (f->extractors.size > 0)
        sl_jsonw_member_str(w, "inference", sl_buf_text(&f->extractors));
    if (f->groups.size > 0)
        sl_jsonw_member_str(w, "task_queue", sl_buf_text(&f->groups));
    sl_jsonw_end(w);
}

static void
on_health(struct sl_call *call)
{
    const struct parts *p = call->state;
    struct sl_slice text = {0};
    struct faults faults = {.is_told = sl_call_wait_error(call, &text) == SL_OK};
    struct sl_json said = faults.is_told ? sl_call_parse(call, text) : (struct sl_json){0};
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    write_faults(call, said, &faults);
    bool is_good = p->is_readable && p->has_blobs && p->has_queue && p->has_index &&
                   faults.is_told && faults.groups.size == 0 && faults.extractors.size == 0;
    sl_jsonw_member_str(w, "status", is_good ? "OK" : "DEGRADED");
    write_parts(w, p, &faults);
    write_sandbox(w);
    sl_jsonw_end(w);
    sl_buf_deinit(&faults.groups);
    sl_buf_deinit(&faults.extractors);
}

void
sl_api_health(struct sl_call *call)
{
    const struct sl_gateway *g = call->gateway;
    struct parts *p = sl_call_alloc(call, sizeof(*p));
    struct sl_slice value;
    struct sl_buf key = {0};
    enum sl_err err =
        sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, sl_key(&key, 1, "boot"), &value);
    *p = (struct parts){.is_readable = err == SL_OK || err == SL_ENOTFOUND,
                        .has_blobs = g->blobs != NULL,
                        .has_queue = g->queue != NULL,
                        .has_index = g->indexes != NULL};
    sl_buf_deinit(&key);
    call->state = p;
    sl_call_nodes(call, SL_NODE_LIST_HEALTH, on_health);
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
