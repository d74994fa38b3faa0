/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head.h"

#include <inttypes.h>

#include "actors/node_set.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define BEAT_NS        SL_SECOND_NS
#define SILENCE_NS     (10 * SL_SECOND_NS) /* Longer than a small machine's worst stalls. */
#define START_NS       (30 * SL_SECOND_NS)
#define PAUSE_FIRST_NS (20 * SL_MILLI_NS)
#define PAUSE_MAX_NS   (5 * SL_SECOND_NS)
#define TOKEN_CHECK    1
#define TOKEN_START    2

enum node_state { NODE_STARTING, NODE_ALIVE };

struct node {
    struct sl_node_slot slot; /* First. */
    enum node_state state;
    uint64_t pid;
    uint64_t heard_ns, started_ms;
    uint64_t room, in_flight;
    char *replicas; /* JSON array, as the last beat told. */
};

struct head {
    struct sl_head_options options;
    char *node_text;
    struct sl_node_set nodes;
    uint32_t number_next;
    uint64_t pause_ns;
};

static struct node *
node_lookup(const struct head *h, uint64_t number)
{
    return (struct node *)sl_node_set_lookup(&h->nodes, number);
}

static struct node *
node_at(const struct head *h, uint32_t i)
{
    return (struct node *)h->nodes.slots[i];
}

static void
start_node(struct head *h, struct sl_ctx *ctx)
{
    uint32_t number = h->number_next++;
    struct node *n = sl_zalloc(sizeof(*n));
    *n = (struct node){.state = NODE_STARTING, .heard_ns = ctx->now_ns, .started_ms = ctx->now_ms};
    sl_node_set_add(&h->nodes, &n->slot, number);
    char *text = sl_format("%s,\"node\":%u}", h->node_text, number);
    struct sl_m_spawn want = {
        .kind = SL_CHILD_NODE, .tag = number, .fd = -1, .text = sl_slice_str(text)};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn, &want);
    sl_free(text);
}

static void
start_missing(struct head *h, struct sl_ctx *ctx)
{
    while (h->nodes.count < h->options.nodes)
        start_node(h, ctx);
}

static void
lose_node(struct head *h, struct sl_ctx *ctx, struct node *n, const char *why)
{
    sl_report_warn("node-lost", "node=%u pid=%" PRIu64 " why=%s", n->slot.number, n->pid, why);
    struct sl_m_node_lost lost = {.node = n->slot.number};
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_node_lost, &lost);
    sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_node_lost, &lost);
    sl_node_set_remove(&h->nodes, &n->slot);
    sl_free(n->replicas);
    sl_free(n);
    /* A node that cannot live must not cost a core: pauses double until one has lived for a beat.
     */
    sl_after(ctx, h->pause_ns, TOKEN_START);
    h->pause_ns = SL_MIN(h->pause_ns * 2, PAUSE_MAX_NS);
}

static void
kill_node(struct sl_ctx *ctx, uint64_t number)
{
    struct sl_m_spawn_kill kill = {.tag = number, .signal = 9};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill, &kill);
}

static void
on_join(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_node_join *m = SL_BODY(msg, node_join);
    struct node *n = node_lookup(h, m->node);
    if (n == NULL || msg->from.node != m->node) {
        sl_report_warn("node-refused", "node=%" PRIu64 " from=%u", m->node, msg->from.node);
        kill_node(ctx, msg->from.node); /* One that was given up lives: it must not stay. */
        return;
    }
    n->state = NODE_ALIVE;
    n->pid = m->pid;
    n->room = m->room;
    n->heard_ns = ctx->now_ns;
    sl_report_info("node-joined", "node=%u pid=%" PRIu64 " room=%" PRIu64, n->slot.number, n->pid,
                   n->room);
    struct sl_m_node_up up = {.node = n->slot.number, .room = n->room};
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_node_up, &up);
    sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_node_up, &up);
}

static void
on_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_node_beat *m = SL_BODY(msg, node_beat);
    struct node *n = node_lookup(h, msg->from.node);
    if (n == NULL || n->state != NODE_ALIVE)
        return;
    n->heard_ns = ctx->now_ns;
    h->pause_ns = PAUSE_FIRST_NS;
    n->in_flight = m->in_flight;
    sl_free(n->replicas);
    n->replicas = sl_strndup(m->replicas.data, m->replicas.size);
    /* Heartbeats carry the leases too. */
    struct sl_m_node_beat beat = *m;
    beat.node = n->slot.number; /* It speaks for itself alone. */
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_node_beat, &beat);
}

static void
on_started(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    struct node *n = node_lookup(self, SL_BODY(msg, child_started)->tag);
    if (n != NULL)
        n->pid = SL_BODY(msg, child_started)->pid;
}

static void
on_exited(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_child_exited *m = SL_BODY(msg, child_exited);
    struct node *n = node_lookup(self, m->tag);
    if (n != NULL)
        lose_node(self, ctx, n, m->signal != 0 ? "killed" : "exited");
}

static void
on_spawner_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct head *h = self;
    while (h->nodes.count > 0)
        lose_node(h, ctx, node_at(h, h->nodes.count - 1), "spawner-lost");
}

static void
check_silence(struct head *h, struct sl_ctx *ctx)
{
    for (uint32_t i = h->nodes.count; i-- > 0;) {
        struct node *n = node_at(h, i);
        uint64_t limit_ns = n->state == NODE_STARTING ? START_NS : SILENCE_NS;
        if (ctx->now_ns - n->heard_ns < limit_ns)
            continue;
        kill_node(ctx, n->slot.number);
        lose_node(h, ctx, n, "silent");
    }
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    if (SL_BODY(msg, timer)->token == TOKEN_START) {
        start_missing(h, ctx);
        return;
    }
    check_silence(h, ctx);
    sl_after(ctx, BEAT_NS, TOKEN_CHECK);
}

static const struct sl_on table[] = {
    {SL_M_node_join, on_join},
    {SL_M_node_beat, on_beat},
    {SL_M_child_started, on_started},
    {SL_M_child_exited, on_exited},
    {SL_M_spawner_lost, on_spawner_lost},
    {SL_M_timer, on_timer},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=head message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct head *h = self;
    h->options = *(const struct sl_head_options *)argument;
    sl_assert(h->options.nodes <= SL_NODES_MAX);
    h->node_text = sl_strdup(h->options.node_text);
    h->number_next = SL_NODE_HEAD + 1;
    h->pause_ns = PAUSE_FIRST_NS;
    start_missing(h, ctx);
    sl_after(ctx, BEAT_NS, TOKEN_CHECK);
}

static void
deinit(void *self)
{
    struct head *h = self;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        sl_free(node_at(h, i)->replicas);
        sl_free(node_at(h, i));
    }
    sl_node_set_deinit(&h->nodes);
    sl_free(h->node_text);
}

const struct sl_actor_class sl_head_class = {
    .name = "head",
    .state_size = sizeof(struct head),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

static void
write_node(struct sl_jsonw *w, const struct node *n)
{
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "node", n->slot.number);
    sl_jsonw_member_u64(w, "pid", n->pid);
    sl_jsonw_member_str(w, "state", n->state == NODE_ALIVE ? "alive" : "starting");
    sl_jsonw_member_u64(w, "room", n->room);
    sl_jsonw_member_u64(w, "in_flight", n->in_flight);
    sl_jsonw_member_time(w, "started_at", n->started_ms);
    sl_jsonw_member_raw(w, "replicas", sl_slice_str(n->replicas == NULL ? "[]" : n->replicas));
    sl_jsonw_end(w);
}

void
sl_head_status(const void *head, struct sl_buf *out)
{
    const struct head *h = head;
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < h->nodes.count; i++)
        write_node(&w, node_at(h, i));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

bool
sl_head_has_node(const void *head)
{
    const struct head *h = head;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        if (node_at(h, i)->state == NODE_ALIVE)
            return true;
    }
    return false;
}
