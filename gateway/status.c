/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/status.h"

#include <stdio.h>

#include "actors/count.h"
#include "actors/dispatcher.h"
#include "actors/head.h"
#include "actors/router.h"
#include "actors/image_node.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "actors/served.h"
#include "gateway/api.h"
#include "gateway/edges.h"
#include "gateway/timeline.h"
#include "gateway/metrics.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/handoff.h"

#define DEPTHS_MAX   64
#define TENANTS_MAX  64 /* The page is for a look, not for a census. */
#define JOBS_MAX     32
#define NODES_MAX    256
#define NODES_BYTES  (256 * SL_KIB) /* Of what they tell; then no more nodes are shown. */
#define MODELS_MAX   64
#define COUNTERS_MAX 1000
#define WAIT_NS      SL_SECOND_NS

struct sl_status {
    struct sl_status_sources sources;
};

struct sl_status *
sl_status_create(const struct sl_status_sources *sources)
{
    struct sl_status *s = sl_zalloc(sizeof(*s));
    s->sources = *sources;
    return s;
}

void
sl_status_destroy(struct sl_status **status)
{
    sl_free(*status);
    *status = NULL;
}

/* False: the store's thread did not answer in time. */
static bool
ask(struct sl_status *s, uint64_t what, struct sl_buf *out)
{
    struct sl_handoff *h = sl_handoff_create();
    struct sl_msg *msg =
        sl_msg_create(SL_M_api_status,
                      &(struct sl_m_api_status){.request = (uint64_t)(uintptr_t)h, .what = what});
    msg->to.actor = SL_ACTOR_API;
    sl_live_post(s->sources.live, msg);
    return sl_handoff_take(h, WAIT_NS, out);
}

void
sl_status_text(void *status, struct sl_buf *out)
{
    if (!ask(status, SL_STATUS_ALL, out))
        sl_buf_append_str(out, "{\"node\":{\"id\":\"head\",\"state\":\"busy\"}}");
}

void
sl_status_brief(void *status, struct sl_buf *out)
{
    (void)ask(status, SL_STATUS_BRIEF, out);
}

bool
sl_status_metrics(void *status, struct sl_buf *out)
{
    return ask(status, SL_STATUS_METRICS, out);
}

bool
sl_status_history(void *status, struct sl_slice text, struct sl_buf *out)
{
    enum sl_timeline_span span = sl_timeline_span(text);
    return span != SL_TIMELINE_SPANS && ask(status, SL_STATUS_HISTORY + (uint64_t)span, out);
}

uint64_t
sl_status_memory(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kib = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kib * SL_KIB;
}

/* ---- tenants ------------------------------------------------------------------------------- */

struct tenant {
    struct sl_scope scope;
    char id[64];
};

struct tenants {
    struct tenant items[TENANTS_MAX];
    uint32_t count;
};

static void
read_tenants(struct sl_txn *txn, struct tenants *t)
{
    struct sl_scan scan = {0};
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, (struct sl_slice){0}, (struct sl_slice){0},
                false, &scan);
    while (t->count < TENANTS_MAX && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        struct tenant *tenant = &t->items[t->count];
        if (sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        if (sl_json_u64(sl_json_member(sl_json_root(doc), "scope"), &tenant->scope.id) == SL_OK) {
            snprintf(tenant->id, sizeof(tenant->id), "%.*s", SL_SLICE_FMT(scan.key));
            t->count++;
        }
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
}

static const char *
tenant_id(const struct tenants *t, struct sl_scope scope)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->items[i].scope.id == scope.id)
            return t->items[i].id;
    }
    return "(more)";
}

/* ---- parts of the page --------------------------------------------------------------------- */

static void
write_groups(struct sl_jsonw *w, const void *head)
{
    struct sl_buf groups = {0};
    sl_head_groups(head, &groups);
    sl_jsonw_member_raw(w, "groups", sl_buf_slice(&groups));
    sl_buf_deinit(&groups);
}

/* Nodes as the head knows them, up to a page of them, and their replicas in one list. */
static void
write_nodes(struct sl_jsonw *w, struct sl_live *live)
{
    const void *head = sl_live_state(live, SL_ACTOR_HEAD);
    struct sl_head_ask page = {.limit = NODES_MAX, .bytes_max = NODES_BYTES};
    struct sl_buf nodes = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw list;
    uint32_t next;
    write_groups(w, head);
    sl_jsonw_init(&list, &nodes);
    sl_jsonw_array(&list);
    sl_head_write_nodes(head, &page, &list, &next);
    sl_jsonw_end(&list);
    sl_jsonw_done(&list);
    if (sl_json_parse(sl_buf_slice(&nodes), &doc, NULL) == SL_OK) {
        sl_jsonw_member_raw(w, "nodes", sl_buf_slice(&nodes));
        sl_jsonw_name(w, "replicas");
        sl_jsonw_array(w);
        for (struct sl_json_iter n = sl_json_iter(sl_json_root(doc)); sl_json_next(&n);) {
            struct sl_json replicas = sl_json_member(n.value, "replicas");
            for (struct sl_json_iter r = sl_json_iter(replicas); sl_json_next(&r);)
                sl_jsonw_value(w, r.value);
        }
        sl_jsonw_end(w);
    }
    sl_json_destroy(&doc);
    sl_buf_deinit(&nodes);
}

/* How many there are in which state, and what they share. */
static void
write_node_counts(struct sl_jsonw *w, struct sl_live *live)
{
    const void *head = sl_live_state(live, SL_ACTOR_HEAD);
    struct sl_head_node node;
    struct sl_served_sums served;
    sl_served_sum(sl_head_served(head), &served);
    write_groups(w, head);
    sl_jsonw_name(w, "nodes");
    sl_jsonw_array(w);
    for (uint32_t at = 0; sl_head_node_next(head, &at, &node);) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "state", node.state);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_name(w, "replicas");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", served.starting + served.ready + served.draining);
    sl_jsonw_member_u64(w, "starting", served.starting);
    sl_jsonw_member_u64(w, "ready", served.ready);
    sl_jsonw_member_u64(w, "draining", served.draining);
    sl_jsonw_end(w);
}

static void
write_gateways(struct sl_jsonw *w, struct sl_live *live)
{
    struct sl_buf text = {0};
    sl_edges_status(sl_live_state(live, SL_ACTOR_EDGES), &text);
    sl_jsonw_member_raw(w, "gateways", sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

static void
write_queues(struct sl_jsonw *w, const struct sl_queue *queue, const struct tenants *tenants)
{
    struct sl_queue_depth depths[DEPTHS_MAX];
    uint32_t count = sl_queue_depths(queue, depths, DEPTHS_MAX);
    sl_jsonw_name(w, "queues");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        char name[96];
        snprintf(name, sizeof(name), "%s:%s", tenant_id(tenants, depths[i].scope),
                 sl_class_name(depths[i].class));
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "queue", name);
        sl_jsonw_member_u64(w, "ready", depths[i].ready);
        sl_jsonw_member_u64(w, "delayed", depths[i].delayed);
        sl_jsonw_member_u64(w, "leased", depths[i].leased);
        sl_jsonw_member_u64(w, "oldest_ms", depths[i].oldest_ms);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_jobs(struct sl_jsonw *w, const struct sl_queue *queue, const struct tenants *tenants)
{
    static const char *const states[] = {"pending", "running", "succeeded",
                                         "partial", "failed",  "canceled"};
    struct sl_job_info jobs[JOBS_MAX];
    uint32_t count = sl_queue_jobs(queue, jobs, JOBS_MAX);
    sl_jsonw_name(w, "jobs");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        char id[37];
        sl_job_id_format(jobs[i].id, id);
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "id", id);
        sl_jsonw_member_str(w, "tenant", tenant_id(tenants, jobs[i].scope));
        sl_jsonw_member_str(w, "state", states[jobs[i].state]);
        sl_jsonw_member_u64(w, "done", jobs[i].done);
        sl_jsonw_member_u64(w, "failed", jobs[i].dead);
        sl_jsonw_member_u64(w, "total", jobs[i].total);
        sl_jsonw_member_u64(w, "created_ms", jobs[i].created_ms);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_model(struct sl_jsonw *w, struct sl_slice namespace, struct sl_json row)
{
    bool is_deployed = sl_json_bool(sl_json_member(row, "deployed"), false);
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "id", sl_json_member(row, "model_id"));
    sl_jsonw_member_slice(w, "namespace", namespace);
    sl_jsonw_member_str(w, "state", is_deployed ? "deployed" : "pending");
    sl_jsonw_member_value(w, "bytes", sl_json_member(row, "size_bytes"));
    sl_jsonw_end(w);
}

static void
write_models(struct sl_jsonw *w, struct sl_txn *txn, const struct tenants *tenants)
{
    uint32_t count = 0;
    sl_jsonw_name(w, "models");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < tenants->count; i++) {
        struct sl_scan scan = {0};
        sl_txn_scan(txn, tenants->items[i].scope, SL_TABLE_MODEL, (struct sl_slice){0},
                    (struct sl_slice){0}, false, &scan);
        for (; count < MODELS_MAX && sl_scan_next(&scan); count++) {
            struct sl_json_doc *doc = NULL;
            if (sl_json_parse(scan.value, &doc, NULL) == SL_OK)
                write_model(w, sl_key_part(scan.key, 0), sl_json_root(doc));
            sl_json_destroy(&doc);
        }
        sl_scan_end(&scan);
    }
    sl_jsonw_end(w);
}

/* The sum of a tenant's counters of one name, over at most COUNTERS_MAX parents of a kind of id. */
static int64_t
sum_counters(struct sl_txn *txn, struct sl_scope scope, const char *name, const char *kind)
{
    struct sl_buf prefix = {0}, keys = {0};
    struct sl_scan scan = {0};
    uint32_t count = 0;
    (void)sl_key_prefix(&prefix, 1, name);
    sl_buf_append_str(&prefix, kind);
    sl_txn_scan(txn, scope, SL_TABLE_COUNT, sl_buf_slice(&prefix), (struct sl_slice){0}, false,
                &scan);
    for (; count < COUNTERS_MAX && sl_scan_next(&scan); count++)
        sl_buf_append_block(&keys, scan.key);
    sl_scan_end(&scan);
    int64_t sum = 0;
    struct sl_reader reader = sl_reader(sl_buf_slice(&keys));
    for (uint32_t i = 0; i < count; i++)
        sum += sl_txn_counter(txn, scope, SL_TABLE_COUNT, sl_read_block(&reader));
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&keys);
    return sum;
}

static void
write_objects(struct sl_jsonw *w, struct sl_txn *txn, const struct tenants *tenants)
{
    int64_t objects = 0, bytes = 0, documents = 0;
    for (uint32_t i = 0; i < tenants->count; i++) {
        objects += sum_counters(txn, tenants->items[i].scope, SL_COUNT_SOURCES, "bkt_");
        bytes += sum_counters(txn, tenants->items[i].scope, SL_COUNT_BYTES, "bkt_");
        documents += sum_counters(txn, tenants->items[i].scope, SL_COUNT_RECORDS, "col_");
    }
    sl_jsonw_name(w, "objects");
    sl_jsonw_object(w);
    sl_jsonw_member_i64(w, "count", objects);
    sl_jsonw_member_i64(w, "bytes", bytes);
    sl_jsonw_member_i64(w, "documents", documents);
    sl_jsonw_end(w);
}

static void
write_tasks(struct sl_jsonw *w, struct sl_live *live)
{
    struct sl_dispatcher_counts c;
    sl_dispatcher_counts(sl_live_state(live, SL_ACTOR_DISPATCHER), &c);
    sl_jsonw_name(w, "tasks");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "leased", c.leased);
    sl_jsonw_member_u64(w, "done", c.done);
    sl_jsonw_member_u64(w, "retried", c.retried);
    sl_jsonw_member_u64(w, "dead", c.dead);
    sl_jsonw_member_u64(w, "stale", c.stale);
    sl_jsonw_member_u64(w, "crashed", c.crashed);
    sl_jsonw_member_u64(w, "returned", c.returned);
    sl_jsonw_member_u64(w, "parked", c.parked);
    sl_jsonw_end(w);
}

/* Of the head's links: what was carried, and what was refused and why. */
static void
write_links(struct sl_jsonw *w, const struct sl_live *live)
{
    struct sl_links_counts c;
    sl_live_links_counts(live, &c);
    sl_jsonw_name(w, "links");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "frames_sent", c.frames_sent);
    sl_jsonw_member_u64(w, "frames_received", c.frames_received);
    sl_jsonw_member_u64(w, "malformed", c.malformed);
    sl_jsonw_member_u64(w, "foreign", c.foreign);
    sl_jsonw_member_u64(w, "unasked", c.unasked);
    sl_jsonw_member_u64(w, "refused", c.refused);
    sl_jsonw_member_u64(w, "resent", c.resent);
    sl_jsonw_member_u64(w, "duplicates", c.duplicates);
    sl_jsonw_member_u64(w, "voided", c.voided);
    sl_jsonw_member_u64(w, "overflows", c.overflows);
    sl_jsonw_end(w);
}

/* What the head's models were fetched by nodes on other hosts. */
static void
write_images(struct sl_jsonw *w, struct sl_live *live)
{
    sl_jsonw_name(w, "images");
    sl_image_node_write(sl_live_state(live, SL_ACTOR_IMAGES), w);
}

static void
write_main(struct sl_jsonw *w, const struct sl_status *s, uint64_t now_ms)
{
    const struct sl_front *front = *s->sources.front;
    const void *head = sl_live_state(s->sources.live, SL_ACTOR_HEAD);
    sl_jsonw_member_str(w, "version", s->sources.version);
    sl_jsonw_member_u64(w, "uptime_s", (now_ms - s->sources.started_ms) / 1000);
    sl_jsonw_name(w, "node");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "id", "head");
    sl_jsonw_member_str(w, "state", sl_head_has_node(head) ? "ready" : "starting");
    sl_jsonw_end(w);
    sl_jsonw_name(w, "memory");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "anonymous_bytes", sl_status_memory());
    sl_jsonw_member_u64(w, "shared_bytes", sl_index_bytes(s->sources.gateway->indexes));
    sl_jsonw_end(w);
    sl_jsonw_name(w, "requests");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "in_flight", front == NULL ? 0 : sl_front_in_flight(front));
    sl_jsonw_member_u64(w, "waiting", sl_api_waiting(sl_live_state(s->sources.live, SL_ACTOR_API)));
    sl_jsonw_member_u64(w, "total", front == NULL ? 0 : sl_front_posted(front));
    struct sl_router_counts router;
    sl_router_counts(sl_live_state(s->sources.live, SL_ACTOR_ROUTER), &router);
    sl_jsonw_member_u64(w, "straight", router.straight); /* Past their nodes. */
    sl_jsonw_end(w);
}

static void
write_status(const struct sl_status *s, struct sl_ctx *ctx, struct sl_buf *out)
{
    struct tenants *tenants = sl_zalloc(sizeof(*tenants));
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_jsonw w;
    read_tenants(txn, tenants);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    write_main(&w, s, ctx->now_ms);
    write_nodes(&w, s->sources.live);
    write_gateways(&w, s->sources.live);
    write_queues(&w, s->sources.gateway->queue, tenants);
    write_tasks(&w, s->sources.live);
    write_links(&w, s->sources.live);
    write_images(&w, s->sources.live);
    write_jobs(&w, s->sources.gateway->queue, tenants);
    write_models(&w, txn, tenants);
    write_objects(&w, txn, tenants);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_abort(&txn);
    sl_free(tenants);
}

/* What open pages are told, again and again: it costs the same however much there is. */
static void
write_brief(const struct sl_status *s, struct sl_ctx *ctx, struct sl_buf *out)
{
    struct tenants *tenants = sl_zalloc(sizeof(*tenants));
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_jsonw w;
    read_tenants(txn, tenants);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    write_main(&w, s, ctx->now_ms);
    write_node_counts(&w, s->sources.live);
    write_queues(&w, s->sources.gateway->queue, tenants);
    write_tasks(&w, s->sources.live);
    write_jobs(&w, s->sources.gateway->queue, tenants);
    write_objects(&w, txn, tenants);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_abort(&txn);
    sl_free(tenants);
}

static void
write_history(const struct sl_gateway *g, enum sl_timeline_span span, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_timeline_write(g->timeline, span, &w);
    sl_jsonw_done(&w);
}

void
sl_status_fill(void *status, struct sl_ctx *ctx, const struct sl_m_api_status *ask)
{
    const struct sl_status *s = status;
    struct sl_buf text = {0};
    if (ask->what == SL_STATUS_ALL)
        write_status(s, ctx, &text);
    else if (ask->what == SL_STATUS_BRIEF)
        write_brief(s, ctx, &text);
    else if (ask->what == SL_STATUS_METRICS)
        sl_metrics_gather((struct sl_metrics_source){.gateway = s->sources.gateway,
                                                     .view = SL_METRICS_UNLABELED,
                                                     .now_ns = ctx->now_ns,
                                                     .now_ms = ctx->now_ms},
                          &text);
    else
        write_history(s->sources.gateway, (enum sl_timeline_span)(ask->what - SL_STATUS_HISTORY),
                      &text);
    sl_handoff_give((struct sl_handoff *)(uintptr_t)ask->request, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}
