/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/status.h"

#include <stdio.h>

#include "actors/dispatcher.h"
#include "actors/head.h"
#include "actors/rows.h"
#include "gateway/api.h"
#include "queue/queue.h"
#include "runtime/alloc.h"
#include "runtime/handoff.h"

#define DEPTHS_MAX 64
#define WAIT_NS    SL_SECOND_NS

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

void
sl_status_text(void *status, struct sl_buf *out)
{
    struct sl_status *s = status;
    struct sl_handoff *h = sl_handoff_create();
    struct sl_msg *msg = sl_msg_create(
        SL_M_api_status, &(struct sl_m_api_status){.request = (uint64_t)(uintptr_t)h});
    msg->to.actor = SL_ACTOR_API;
    sl_live_post(s->sources.live, msg);
    if (!sl_handoff_take(h, WAIT_NS, out))
        sl_buf_append_str(out, "{\"node\":{\"id\":\"head\",\"state\":\"busy\"}}");
}

/* Anonymous resident memory of this process, in bytes; 0 where the kernel does not tell. */
static uint64_t
anonymous_bytes(void)
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

static void
write_queues(struct sl_jsonw *w, const struct sl_queue *queue)
{
    struct sl_queue_depth depths[DEPTHS_MAX];
    uint32_t count = sl_queue_depths(queue, depths, DEPTHS_MAX);
    sl_jsonw_name(w, "queues");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%llu:%s", (unsigned long long)depths[i].scope.id,
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
    sl_jsonw_end(w);
}

static void
write_status(const struct sl_status *s, struct sl_ctx *ctx, struct sl_buf *out)
{
    struct sl_buf nodes = {0};
    const void *head = sl_live_state(s->sources.live, SL_ACTOR_HEAD);
    sl_head_status(head, &nodes);
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "version", s->sources.version);
    sl_jsonw_member_u64(&w, "uptime_s", (ctx->now_ms - s->sources.started_ms) / 1000);
    sl_jsonw_name(&w, "node");
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "id", "head");
    sl_jsonw_member_str(&w, "state", sl_head_has_node(head) ? "ready" : "starting");
    sl_jsonw_end(&w);
    sl_jsonw_name(&w, "memory");
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "anonymous_bytes", anonymous_bytes());
    sl_jsonw_member_u64(&w, "vectors_bytes", sl_index_bytes(s->sources.gateway->indexes));
    sl_jsonw_end(&w);
    sl_jsonw_member_raw(&w, "nodes", sl_buf_slice(&nodes));
    write_queues(&w, s->sources.gateway->queue);
    write_tasks(&w, s->sources.live);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_deinit(&nodes);
}

void
sl_status_fill(void *status, struct sl_ctx *ctx, uint64_t request)
{
    struct sl_buf text = {0};
    write_status(status, ctx, &text);
    sl_handoff_give((struct sl_handoff *)(uintptr_t)request, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}
