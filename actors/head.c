/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/head_state.h"
#include "actors/head_words.h"
#include "actors/local_provider.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define SILENCE_NS     (10 * SL_SECOND_NS) /* Longer than a small machine's worst stalls. */
#define START_NS       (30 * SL_SECOND_NS)
#define PAUSE_FIRST_NS (20 * SL_MILLI_NS)
#define PAUSE_MAX_NS   (5 * SL_SECOND_NS)
#define TOKEN_CHECK    1
#define TOKEN_START    2
#define TOKEN_SCALING  3

static struct node *
node_lookup(const struct head *h, uint64_t number)
{
    return (struct node *)sl_node_set_lookup(&h->nodes, number);
}

static struct node *
add_node(struct head *h, struct sl_ctx *ctx, uint32_t number)
{
    struct node *n = sl_zalloc(sizeof(*n));
    *n = (struct node){.state = NODE_STARTING, .heard_ns = ctx->now_ns, .started_ms = ctx->now_ms};
    sl_node_set_add(&h->nodes, &n->slot, number);
    return n;
}

static void
start_node(struct head *h, struct sl_ctx *ctx)
{
    uint32_t number = h->number_next++;
    (void)add_node(h, ctx, number);
    h->children++;
    char *text = sl_format("%s,\"node\":%u}", h->node_text, number);
    struct sl_m_spawn want = {
        .kind = SL_CHILD_NODE, .tag = number, .fd = -1, .text = sl_slice_str(text)};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn, &want);
    sl_free(text);
}

static void
start_missing(struct head *h, struct sl_ctx *ctx)
{
    while (h->children < h->options.nodes)
        start_node(h, ctx);
}

static void
tell_of(struct sl_ctx *ctx, uint32_t id, const void *body)
{
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), id, body);
    sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), id, body);
}

static void
forget_node(struct head *h, struct node *n)
{
    sl_node_set_remove(&h->nodes, &n->slot);
    h->children -= n->name == NULL && !n->is_scaled;
    sl_free(n->objects);
    sl_free(n->images);
    sl_free(n->replicas);
    sl_free(n->scaling);
    sl_served_forget(h->served, &n->served);
    sl_head_sicks_deinit(&n->sicks);
    sl_free(n->name);
    sl_node_facts_deinit(&n->facts);
    sl_free(n);
}

static void
tell_locator(struct sl_ctx *ctx, uint32_t number)
{
    sl_send(ctx, sl_at(0, SL_ACTOR_LOCATOR), SL_M_node_lost,
            &(struct sl_m_node_lost){.node = number});
}

static void
note(struct head *h, const struct sl_ctx *ctx, const char *kind, const struct node *n,
     const char *why)
{
    struct sl_cluster_event like = {
        .time_ms = ctx->now_ms, .kind = kind, .group = sl_node_group(sl_slice_str(group_of(n)))};
    if (n->name == NULL)
        (void)snprintf(like.about, sizeof(like.about), "%u", n->slot.number);
    else
        (void)snprintf(like.about, sizeof(like.about), "%s", n->name);
    sl_cluster_log_add(&h->scaling.log, &like, "%s", why);
}

/* Its leases are void from here on; should it come back, it is a stranger. */
static void
lose_node(struct head *h, struct sl_ctx *ctx, struct node *n, const char *why)
{
    bool is_child = n->name == NULL && !n->is_scaled;
    h->lost += !n->is_leaving;
    note(h, ctx, "node-lost", n, n->is_leaving ? "left" : why);
    sl_report(n->is_leaving ? SL_REPORT_INFO : SL_REPORT_WARN, "node-lost",
              "node=%u name=%s pid=%" PRIu64 " why=%s", n->slot.number,
              n->name == NULL ? "-" : n->name, n->pid, why);
    tell_of(ctx, SL_M_node_lost, &(struct sl_m_node_lost){.node = n->slot.number});
    tell_locator(ctx, n->slot.number);
    sl_head_scaling_gone(&h->scaling, ctx, scaled_group_of(n), n->slot.number);
    if (n->is_scaled)
        sl_head_gates_lost(&h->gates, ctx, n->slot.number);
    forget_node(h, n);
    if (!is_child)
        return; /* Whoever started it starts it again. */
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

/* ---- gateways ------------------------------------------------------------------------------ */

static void
on_gate_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_gate_up *m = SL_BODY(msg, gate_up);
    if (msg->from.node != ctx->self.node)
        return; /* The edges say so, nobody else. */
    const struct sl_head_gate *gate = sl_head_gates_add(&h->gates, m);
    for (uint32_t i = 0; gate != NULL && i < h->nodes.count; i++) {
        if (node_at(h, i)->state == NODE_ALIVE)
            sl_head_gate_tell(ctx, node_at(h, i)->slot.number, gate);
    }
}

static void
on_gate_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    if (msg->from.node != ctx->self.node)
        return;
    sl_head_gates_drop(&h->gates, SL_BODY(msg, gate_down)->gate);
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        if (node_at(h, i)->state == NODE_ALIVE)
            sl_send(ctx, sl_at(node_at(h, i)->slot.number, SL_ACTOR_AGENT), msg->id, msg->body);
    }
}

/* ---- joining ------------------------------------------------------------------------------- */

static void
welcome(struct head *h, struct sl_ctx *ctx, struct node *n, const struct sl_m_node_join *m)
{
    bool is_new = n->state != NODE_ALIVE;
    n->heard_ns = ctx->now_ns;
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_node_welcome,
            &(struct sl_m_node_welcome){.node = n->slot.number, .taint = n->taint});
    sl_head_tell_replicas(&h->options, ctx, n->slot.number);
    if (!is_new)
        return; /* Our welcome was lost on the way. */
    n->state = NODE_ALIVE;
    n->pid = m->pid;
    n->room = m->room;
    sl_report_info("node-joined", "node=%u name=%s pid=%" PRIu64 " room=%" PRIu64, n->slot.number,
                   n->name == NULL ? "-" : n->name, n->pid, n->room);
    struct sl_m_node_up up = {.node = n->slot.number,
                              .room = n->room,
                              .classes = sl_node_classes(group_of(n)),
                              .name = sl_slice_str(n->name == NULL ? "" : n->name),
                              .labels = sl_slice_str(n->name == NULL ? "" : n->facts.labels),
                              .taint = n->taint};
    note(h, ctx, "node-joined", n, "");
    if (n->name == NULL) /* Before it has work. */
        sl_model_keep_tell(&h->models, ctx, n->slot.number);
    sl_head_scaling_joined(&h->scaling, scaled_group_of(n), n->slot.number);
    tell_of(ctx, SL_M_node_up, &up);
    for (uint32_t i = 0; i < h->gates.count; i++)
        sl_head_gate_tell(ctx, n->slot.number, &h->gates.gates[i]);
}

static void
refuse(struct sl_ctx *ctx, uint32_t number, struct sl_slice name, const char *why)
{
    sl_report_warn("node-refused", "node=%u name=%.*s why=\"%s\"", number,
                   (int)SL_MIN(name.size, (size_t)SL_NODE_NAME_MAX), (const char *)name.data, why);
    sl_send(ctx, sl_at(number, SL_ACTOR_AGENT), SL_M_node_refused,
            &(struct sl_m_node_refused){.node = number, .why = sl_slice_str(why)});
}

static struct node *
worker_lookup(const struct head *h, struct sl_slice name)
{
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        struct node *n = node_at(h, i);
        if (n->name != NULL && sl_slice_is(name, n->name))
            return n;
    }
    return NULL;
}

/* A worker of a name that is there under another number was started again: the old one is over. */
static void
supersede(struct head *h, struct sl_ctx *ctx, struct sl_slice name)
{
    struct node *old = worker_lookup(h, name);
    if (old == NULL)
        return;
    refuse(ctx, old->slot.number, name, "another worker has joined under this name");
    lose_node(h, ctx, old, "superseded");
}

/* Say once what has changed: a group has fewer workers than it should, or has enough again. */
static void
check_groups(struct head *h)
{
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        const struct sl_node_group_limits *limits = &h->groups.limits[i];
        if (limits->min == 0 || limits->is_local)
            continue; /* Of those we start, their scaler says so. */
        uint64_t count = sl_head_count(h, limits->name, (struct sl_slice){0});
        bool is_below = count < limits->min;
        if (is_below == h->is_below_min[i])
            continue;
        h->is_below_min[i] = is_below;
        sl_report(is_below ? SL_REPORT_WARN : SL_REPORT_INFO,
                  is_below ? "group-below-min" : "group-complete",
                  "group=%s workers=%" PRIu64 " min=%" PRIu64, limits->name, count, limits->min);
    }
}

static void
join_worker(struct head *h, struct sl_ctx *ctx, const struct sl_m_node_join *m)
{
    const char *why = NULL;
    struct sl_node_facts facts;
    uint32_t number = (uint32_t)m->node;
    if (!sl_node_name_is_good(m->name)) {
        refuse(ctx, number, sl_slice_str("-"), "a worker's name is 1 to 64 of A-Z a-z 0-9 . _ -");
        return;
    }
    if (sl_node_facts_read(m->facts, &facts, &why) != SL_OK) {
        refuse(ctx, number, m->name, why);
        return;
    }
    bool has_max = sl_node_groups_of(&h->groups, facts.group)->max != UINT64_MAX;
    uint64_t count = has_max ? sl_head_count(h, facts.group, m->name) : 0;
    char *text = sl_node_groups_refusal(&h->groups, facts.group, count);
    if (text != NULL) {
        refuse(ctx, number, m->name, text);
        sl_node_facts_deinit(&facts);
        sl_free(text);
        return;
    }
    uint64_t taint = 0;
    if (!sl_head_taint(ctx, &facts, &taint)) {
        refuse(ctx, number, m->name, "no tenant has the id of its taint: create the tenant first");
        sl_node_facts_deinit(&facts);
        return;
    }
    supersede(h, ctx, m->name);
    if (h->nodes.count - h->children + h->options.nodes >= SL_NODES_MAX) {
        sl_node_facts_deinit(&facts);
        refuse(ctx, number, m->name, "the head has as many nodes as it may");
        return;
    }
    struct node *n = add_node(h, ctx, number);
    n->name = sl_strndup(m->name.data, m->name.size);
    n->facts = facts;
    n->taint = taint;
    h->joined++;
    welcome(h, ctx, n, m);
}

static void
on_join(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_node_join *m = SL_BODY(msg, node_join);
    struct node *n = node_lookup(h, msg->from.node);
    bool is_worker = m->name.size > 0 && msg->from.node >= SL_NODE_WORKERS_FIRST;
    if (msg->from.node != m->node || (n == NULL && !is_worker)) {
        sl_report_warn("node-refused", "node=%" PRIu64 " from=%u", m->node, msg->from.node);
        kill_node(ctx, msg->from.node); /* One that was given up lives: it must not stay. */
    } else if (n == NULL) {
        join_worker(h, ctx, m);
    } else {
        welcome(h, ctx, n, m);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static void
on_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_node_beat *m = SL_BODY(msg, node_beat);
    struct node *n = node_lookup(h, msg->from.node);
    if (n == NULL || n->state != NODE_ALIVE) { /* Given up, or from before this head began. */
        sl_send(ctx, sl_at(msg->from.node, SL_ACTOR_AGENT), SL_M_node_unknown,
                &(struct sl_m_node_unknown){.node = msg->from.node});
        return;
    }
    n->heard_ns = ctx->now_ns;
    h->pause_ns = PAUSE_FIRST_NS;
    n->in_flight = m->in_flight;
    n->calls = m->calls;
    sl_head_scaling_busy(&h->scaling, scaled_group_of(n), n->slot.number,
                         (struct sl_scaler_load){.tasks = m->in_flight, .calls = m->calls});
    sl_head_keep(&n->replicas, m->replicas);
    sl_served_take_replicas(h->served, &n->served,
                            &(struct sl_served_word){n->slot.number, m->replicas, ctx->now_ms});
    sl_head_keep(&n->objects, m->objects);
    sl_head_keep(&n->images, m->images);
    /* Heartbeats carry the leases too. */
    struct sl_m_node_beat beat = {.node = n->slot.number, /* It speaks for itself alone. */
                                  .in_flight = m->in_flight,
                                  .calls = m->calls};
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_node_beat, &beat);
}

static void
on_scaling(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    struct node *n = node_lookup(h, msg->from.node);
    if (n == NULL)
        return;
    uint32_t before = n->sicks.count;
    sl_head_keep_scaling(&n->scaling, &n->sicks, SL_BODY(msg, node_scaling), ctx->now_ns);
    if (n->scaling != NULL)
        sl_served_take_pools(
            h->served, &n->served,
            &(struct sl_served_word){n->slot.number, sl_slice_str(n->scaling), ctx->now_ms});
    for (uint32_t i = 0; i < n->sicks.count; i++) {
        if (n->sicks.items[i].since_ns != ctx->now_ns)
            continue; /* It is told once. */
        char *why = sl_format("replicas of %.64s crash: serve status tells how",
                              n->sicks.items[i].extractor);
        note(h, ctx, "replicas-crash", n, why);
        sl_free(why);
    }
    if (before > 0 && n->sicks.count == 0)
        note(h, ctx, "replicas-well", n, "all of its extractors work again");
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
    struct head *h = self;
    struct node *n = node_lookup(h, m->tag);
    h->scaling.provider.ended(h->scaling.provider.self, (uint32_t)m->tag);
    if (n != NULL)
        lose_node(self, ctx, n, m->signal != 0 ? "killed" : "exited");
}

static void
on_spawner_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct head *h = self;
    for (uint32_t i = h->nodes.count; i-- > 0;) {
        struct node *n = node_at(h, i);
        if (n->name != NULL)
            continue;
        /* The next one may have begun it: it was asked for before this was heard. */
        kill_node(ctx, n->slot.number);
        h->scaling.provider.ended(h->scaling.provider.self, n->slot.number);
        lose_node(h, ctx, n, "spawner-lost");
    }
}

/* A worker's process has ended, or its machine cannot be reached. Children's ends are heard of. */
static void
on_peer_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct node *n = node_lookup(self, SL_BODY(msg, peer_down)->node);
    if (n != NULL && n->name != NULL)
        lose_node(self, ctx, n, "link-down");
    else if (n == NULL) /* One that was given up before may have told of its images since. */
        tell_locator(ctx, (uint32_t)SL_BODY(msg, peer_down)->node);
}

static void
on_peer_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self, (void)ctx, (void)msg; /* It joins by a message of its own. */
}

/* Returns how long nobody else can have been silent for too long, be it one that joins right now.
 */
static uint64_t
check_silence(struct head *h, struct sl_ctx *ctx)
{
    uint64_t left_ns = SL_MIN(SL_MIN(SILENCE_NS, START_NS), h->options.silence_ns);
    for (uint32_t i = h->nodes.count; i-- > 0;) {
        struct node *n = node_at(h, i);
        uint64_t limit_ns = n->state == NODE_STARTING ? START_NS : SILENCE_NS;
        if (n->name != NULL)
            limit_ns = h->options.silence_ns;
        uint64_t silent_ns = ctx->now_ns - n->heard_ns;
        if (silent_ns < limit_ns) {
            left_ns = SL_MIN(left_ns, limit_ns - silent_ns);
            continue;
        }
        if (n->name == NULL)
            kill_node(ctx, n->slot.number);
        lose_node(h, ctx, n, "silent");
    }
    return left_ns;
}

/* ---- leaving and orders -------------------------------------------------------------------- */

/* The dispatcher hears of it, and tells the node when the last lease is on its way. */
static void
set_open(const struct head *h, struct sl_ctx *ctx, const struct node *n)
{
    struct sl_m_node_open m = {.node = n->slot.number,
                               .is_open = !n->is_cordoned && !n->is_leaving};
    tell_of(ctx, SL_M_node_open, &m);
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_node_open, &m);
    for (uint32_t i = 0; i < h->gates.count; i++)
        sl_send(ctx, sl_at(h->gates.gates[i].number, SL_ACTOR_EDGE), SL_M_node_open, &m);
}

static void
on_leave(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    struct node *n = node_lookup(h, msg->from.node);
    if (n == NULL)
        return;
    n->heard_ns = ctx->now_ns;
    if (SL_BODY(msg, node_leave)->is_done != 0) {
        /* A child counts until its process has ended: so there are never more than may be. */
        if (n->name != NULL)
            lose_node(h, ctx, n, "left");
        return;
    }
    if (!n->is_leaving)
        note(h, ctx, "node-leaving", n, "ends what it has begun, and takes no more");
    n->is_leaving = true;
    set_open(h, ctx, n);
}

static struct node *
ordered_node(struct head *h, struct sl_slice name)
{
    char number[16];
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        struct node *n = node_at(h, i);
        (void)snprintf(number, sizeof(number), "%u", n->slot.number);
        if (n->state == NODE_ALIVE && sl_slice_is(name, number))
            return n;
    }
    return worker_lookup(h, name);
}

static struct sl_m_node_ordered
restart_replica(const struct head *h, struct sl_ctx *ctx, struct sl_slice replica_id)
{
    struct sl_served_place place;
    if (!sl_served_find(h->served, replica_id, &place))
        return (struct sl_m_node_ordered){.err = SL_ENOTFOUND,
                                          .message = sl_slice_str("there is no such replica")};
    sl_send(ctx, sl_at(place.node, SL_ACTOR_AGENT), SL_M_replica_retire,
            &(struct sl_m_replica_retire){.replica = place.number});
    return (struct sl_m_node_ordered){.err = SL_OK};
}

static void
on_order(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_node_order *m = SL_BODY(msg, node_order);
    struct node *n = ordered_node(self, m->name);
    struct sl_m_node_ordered reply = {.err = n == NULL ? SL_ENOTFOUND : SL_OK};
    if (m->order == SL_NODE_RESTART) {
        reply = restart_replica(self, ctx, m->name);
    } else if (n == NULL) {
        reply.message = sl_slice_str("there is no such node");
    } else if (m->order == SL_NODE_DRAIN && n->name == NULL) {
        reply.err = SL_EINVAL;
        reply.message = sl_slice_str("a node of the head itself would be started again: cordon it");
    } else if (m->order == SL_NODE_DRAIN) {
        sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_drain, &(struct sl_m_drain){0});
    } else {
        n->is_cordoned = m->order == SL_NODE_CORDON;
        set_open(self, ctx, n);
    }
    sl_reply(ctx, msg, SL_M_node_ordered, &reply);
}

/* ---- groups by demand ---------------------------------------------------------------------- */

static uint32_t
expect_node(void *head, struct sl_ctx *ctx, const struct sl_node_group_limits *group)
{
    struct head *h = head;
    struct node *n = add_node(h, ctx, h->number_next++);
    n->is_scaled = true;
    n->facts = (struct sl_node_facts){
        .cpus = group->cpus, .gpus = group->gpus, .memory_bytes = group->memory_bytes};
    (void)snprintf(n->facts.group, sizeof(n->facts.group), "%s", group->name);
    return n->slot.number;
}

static void
drain_node(void *head, struct sl_ctx *ctx, uint32_t number)
{
    (void)head;
    sl_send(ctx, sl_at(number, SL_ACTOR_AGENT), SL_M_drain, &(struct sl_m_drain){0});
}

static void
give_up_node(void *head, struct sl_ctx *ctx, uint32_t number, const char *why)
{
    struct node *n = node_lookup(head, number);
    if (n != NULL)
        lose_node(head, ctx, n, why);
}

static void
on_demand(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    if (msg->from.node == ctx->self.node)
        sl_head_scaling_demand(&h->scaling, SL_BODY(msg, group_demand));
}

static void
on_calls(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    (void)ctx;
    sl_head_scaling_calls(&h->scaling, msg->from.node, SL_BODY(msg, calls_wanted)->calls);
}

static void
on_scale(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    char *why = NULL;
    struct sl_m_node_ordered reply = {0};
    reply.err = sl_head_scaling_set(&h->scaling, ctx, SL_BODY(msg, group_scale), &why);
    reply.message = sl_slice_str(why == NULL ? "" : why);
    sl_reply(ctx, msg, SL_M_node_ordered, &reply);
    sl_free(why);
}

/* Workers that are there stay, also where there are more than may be now; of groups that are
 * started here, those too many are drained. */
static void
take_groups(struct head *h, struct sl_ctx *ctx, const struct sl_node_groups *groups)
{
    h->groups = *groups;
    sl_head_scaling_reset(&h->scaling, ctx);
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++)
        h->is_below_min[i] = h->is_below_min[i] && groups->limits[i].min > 0;
    check_groups(h);
}

static void
on_config(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct sl_m_head_config *m = SL_BODY(msg, head_config);
    struct sl_node_groups groups;
    struct sl_m_node_ordered reply = {0};
    char *text = sl_strndup(m->groups.data, m->groups.size), *why = NULL;
    reply.err = sl_node_groups_read(text, &groups, &why);
    if (reply.err == SL_OK) {
        take_groups(h, ctx, &groups);
        sl_free(h->extractors);
        h->extractors = sl_strndup(m->extractors.data, m->extractors.size);
        h->options.extractors = h->extractors;
        sl_served_configure(h->served, m->extractors);
        for (uint32_t i = 0; i < h->nodes.count; i++) {
            if (node_at(h, i)->state == NODE_ALIVE)
                sl_head_tell_replicas(&h->options, ctx, node_at(h, i)->slot.number);
        }
    }
    reply.message = sl_slice_str(why == NULL ? "" : why);
    sl_reply(ctx, msg, SL_M_node_ordered, &reply);
    sl_free(text);
    sl_free(why);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    uint64_t token = SL_BODY(msg, timer)->token;
    if (token == TOKEN_START)
        start_missing(h, ctx);
    if (token == TOKEN_SCALING)
        sl_head_scaling_rang(&h->scaling, ctx);
    if (token != TOKEN_CHECK)
        return;
    sl_after(ctx, check_silence(h, ctx), TOKEN_CHECK);
}

/* ---- models' files --------------------------------------------------------------------------- */

/* Of nodes on this machine, which are our children. */
static void
on_model_kept(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct node *n = node_lookup(h, msg->from.node);
    if (n != NULL && n->name == NULL)
        sl_model_keep_take(&h->models, ctx, n->pid, SL_BODY(msg, model_kept));
}

static void
on_model_drop(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    const struct node *n = node_lookup(h, msg->from.node);
    if (msg->from.node == ctx->self.node || (n != NULL && n->name == NULL))
        sl_model_keep_drop(&h->models, SL_BODY(msg, model_drop)->directory);
}

static void
on_work(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    (void)ctx;
    sl_model_keep_opened(&h->models, SL_BODY(msg, work_done));
}

/* Of all, for who asks what a job or a model waits for: replicas are told by pages. */
static void
list_nodes(const struct head *h, struct sl_buf *out)
{
    struct sl_head_ask ask = {.limit = SL_NODES_MAX, .has_no_replicas = true};
    struct sl_jsonw w;
    uint32_t next;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    sl_head_write_nodes(h, &ask, &w, &next);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static void
on_list(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_buf text = {0};
    switch ((enum sl_node_list)SL_BODY(msg, node_list)->reason) {
    case SL_NODE_LIST_GROUPS:
        sl_head_groups(self, &text);
        break;
    case SL_NODE_LIST_HEALTH:
        sl_head_health(self, ctx->now_ns, &text);
        break;
    case SL_NODE_LIST_NODES:
        list_nodes(self, &text);
        break;
    }
    sl_reply(ctx, msg, SL_M_node_ordered,
             &(struct sl_m_node_ordered){.message = sl_buf_slice(&text)});
    sl_buf_deinit(&text);
}

static const struct sl_on table[] = {
    {SL_M_node_join, on_join},        {SL_M_node_beat, on_beat},
    {SL_M_node_scaling, on_scaling},  {SL_M_child_started, on_started},
    {SL_M_child_exited, on_exited},   {SL_M_spawner_lost, on_spawner_lost},
    {SL_M_peer_up, on_peer_up},       {SL_M_peer_down, on_peer_down},
    {SL_M_node_leave, on_leave},      {SL_M_gate_up, on_gate_up},
    {SL_M_gate_down, on_gate_down},   {SL_M_node_order, on_order},
    {SL_M_node_list, on_list},        {SL_M_group_demand, on_demand},
    {SL_M_calls_wanted, on_calls},    {SL_M_group_scale, on_scale},
    {SL_M_head_config, on_config},    {SL_M_timer, on_timer},
    {SL_M_model_kept, on_model_kept}, {SL_M_model_drop, on_model_drop},
    {SL_M_work_done, on_work},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct head *h = self;
    uint32_t count_before = h->nodes.count, number_before = h->joined;
    sl_head_scaling_clock(&h->scaling, ctx);
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=head message=%s", msg->type->name);
    if (h->nodes.count != count_before || h->joined != number_before)
        check_groups(h);
    sl_head_scaling_run(&h->scaling, ctx, TOKEN_SCALING);
    sl_head_health_look(h, ctx->now_ns);
    if (h->options.has_journal)
        sl_cluster_log_tell(&h->scaling.log, ctx);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    static const struct sl_head_scaling_ops scaling = {
        .expect = expect_node, .drain = drain_node, .give_up = give_up_node};
    struct head *h = self;
    h->options = *(const struct sl_head_options *)argument;
    sl_assert(h->options.nodes <= SL_NODES_MAX);
    if (h->options.silence_ns == 0)
        h->options.silence_ns = SL_NODE_SILENCE_NS;
    char *why = NULL;
    if (sl_node_groups_read(h->options.groups, &h->groups, &why) != SL_OK) {
        sl_report_error("groups-refused", "why=\"%s\"", why); /* Whoever starts us checks them. */
        sl_free(why);
        sl_assert(sl_node_groups_read(NULL, &h->groups, &why) == SL_OK);
    }
    h->models.pid = h->options.pid;
    h->served = sl_served_create();
    sl_served_know(h->served, sl_slice_str(h->options.indexes == NULL ? "{}" : h->options.indexes));
    sl_served_configure(h->served,
                        sl_slice_str(h->options.extractors == NULL ? "{}" : h->options.extractors));
    check_groups(h);
    h->node_text = sl_strdup(h->options.node_text);
    h->number_next = SL_NODE_HEAD + 1;
    h->pause_ns = PAUSE_FIRST_NS;
    h->scaling.ops = &scaling;
    h->scaling.head = h;
    sl_head_scaling_init(&h->scaling, &h->groups,
                         sl_local_provider_create(&(struct sl_local_provider_options){
                             .node_text = h->node_text, .gpus = h->options.gpus}));
    sl_head_scaling_clock(&h->scaling, ctx);
    sl_head_scaling_run(&h->scaling, ctx, TOKEN_SCALING);
    start_missing(h, ctx);
    sl_after(ctx, check_silence(h, ctx), TOKEN_CHECK);
}

static void
deinit(void *self)
{
    struct head *h = self;
    while (h->nodes.count > 0)
        forget_node(h, node_at(h, h->nodes.count - 1));
    sl_head_gates_deinit(&h->gates);
    sl_model_keep_deinit(&h->models);
    sl_head_scaling_deinit(&h->scaling);
    sl_node_set_deinit(&h->nodes);
    sl_served_destroy(&h->served);
    sl_free(h->node_text);
    sl_free(h->extractors);
}

const struct sl_actor_class sl_head_class = {
    .name = "head",
    .state_size = sizeof(struct head),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};
