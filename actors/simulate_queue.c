/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_queue.h"

#include <inttypes.h>

#include "actors/broker.h"
#include "actors/rows.h"
#include "actors/simulate_world.h"
#include "queue/store_backend.h"
#include "runtime/alloc.h"

#define FIRST_NODE  1000000             /* Of hands: each life has another. */
#define LIVES_MAX   10000               /* Of a hand. */
#define LOST_NS     (500 * SL_MILLI_NS) /* Then a session whose connection broke has ended... */
#define DEAD_NS     (10 * SL_SECOND_NS) /* ...and one whose peer says nothing. */
#define LATE_NS     (2 * SL_SECOND_NS)  /* What has lapsed is given back within this. */
#define HOLDER      (UINT64_C(1) << 32) /* As the broker names its workers. */
#define OPERATOR    SL_ACTOR_IDLE
#define ORDER_NS    (3 * SL_SECOND_NS)
#define ORDER_MODE  (UINT64_C(1) << 32)
#define ORDER_PAUSE (UINT64_C(1) << 33)

static struct sl_simq_at
at_of(const struct sl_simq *own)
{
    const struct sl_world *w = own->world;
    uint64_t now_ns = w->main == 0 ? sl_sim_now_ns(w->sim) : sl_sim_local_ns(w->sim, w->main);
    uint64_t now_ms = w->main == 0 ? sl_sim_now_ms(w->sim) : sl_sim_local_ms(w->sim, w->main);
    return (struct sl_simq_at){now_ns, now_ms};
}

struct sl_simq_told
sl_simq_told_now(const struct sl_simq *own, enum sl_level level)
{
    return (struct sl_simq_told){.at_ns = at_of(own).ns, .level = level};
}

static void
pass_on(struct sl_simq *own)
{
    if (!own->check.is_ok)
        sl_world_fail(own->world, "own queues: %s", own->check.failure);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static void
tell_hand(struct sl_simq_hand *hand, uint32_t id, const void *body)
{
    struct sl_sim *sim = hand->own->world->sim;
    if (hand->process != 0)
        sl_sim_post(sim, hand->process, SL_SIMQ_HAND_ACTOR, 0, sl_msg_create(id, body));
}

/* As live links do: both, in order with what the peer sends. */
static void
tell_main(struct sl_simq *own, uint32_t main, uint32_t id, const void *body)
{
    static const uint32_t watchers[] = {SL_ACTOR_HEAD, SL_ACTOR_BROKER};
    for (size_t i = 0; i < SL_COUNT_OF(watchers) && sl_sim_is_alive(own->world->sim, main); i++)
        sl_sim_post(own->world->sim, main, watchers[i], 0, sl_msg_create(id, body));
}

static void
begin_session(struct sl_simq_hand *hand)
{
    struct sl_world *w = hand->own->world;
    struct sl_m_peer_up up = {.node = SL_NODE_HEAD}, hand_up = {.node = hand->node};
    bool is_cut = sl_sim_now_ns(w->sim) < hand->cut_until_ns;
    if (hand->main != 0 || hand->process == 0 || w->main == 0 || is_cut)
        return;
    hand->main = w->main;
    hand->sessions++;
    sl_sim_link(w->sim, w->main, hand->process);
    tell_main(hand->own, w->main, SL_M_peer_up, &hand_up);
    tell_hand(hand, SL_M_peer_up, &up);
}

static void
begin_later(void *arg, uint64_t index)
{
    begin_session(&((struct sl_simq *)arg)->hands[index]);
}

static void
connect(struct sl_simq_hand *hand, uint64_t least_ns)
{
    struct sl_sim *sim = hand->own->world->sim;
    uint64_t delay_ns = least_ns + sl_sim_between(sim, SL_MILLI_NS, 300 * SL_MILLI_NS);
    sl_sim_at(sim, delay_ns, begin_later, hand->own, hand->index);
}

/* Both hear of it, whoever is there; what was under way is lost. */
static void
end_session(struct sl_simq_hand *hand)
{
    struct sl_world *w = hand->own->world;
    struct sl_m_peer_down down = {.node = SL_NODE_HEAD}, hand_down = {.node = hand->node};
    uint32_t main = hand->main;
    if (main == 0)
        return;
    hand->main = 0;
    sl_sim_unlink(w->sim, main, hand->process);
    tell_hand(hand, SL_M_peer_down, &down);
    tell_main(hand->own, main, SL_M_peer_down, &hand_down);
}

static uint64_t
ending_of(const struct sl_simq_hand *hand)
{
    return hand->sessions << 8 | hand->index;
}

static void
end_later(void *arg, uint64_t ending)
{
    struct sl_simq_hand *hand = &((struct sl_simq *)arg)->hands[ending & 0xff];
    if (ending_of(hand) != ending)
        return;
    end_session(hand);
    uint64_t now_ns = sl_sim_now_ns(hand->own->world->sim);
    connect(hand, hand->cut_until_ns > now_ns ? hand->cut_until_ns - now_ns : 0);
}

/* ---- hands -------------------------------------------------------------------------------------
 */

static void
start_hand(void *arg, uint64_t index)
{
    struct sl_simq *own = arg;
    struct sl_simq_hand *hand = &own->hands[index];
    hand->node = FIRST_NODE + (uint32_t)index * LIVES_MAX + hand->lives++;
    hand->process = sl_sim_start(own->world->sim, hand->node, NULL);
    hand->cut_until_ns = 0;
    sl_sim_spawn(own->world->sim, hand->process, SL_SIMQ_HAND_ACTOR, &sl_simq_hand_class, hand);
    connect(hand, 0);
}

/* The head hears of it when the connection is found broken. */
static void
hear_of_end(void *arg, uint64_t ends)
{
    struct sl_simq *own = arg;
    uint32_t main = (uint32_t)(ends >> 32), process = (uint32_t)ends;
    struct sl_m_peer_down down = {.node = sl_sim_node(own->world->sim, process)};
    sl_sim_unlink(own->world->sim, main, process);
    tell_main(own, main, SL_M_peer_down, &down);
}

void
sl_simq_end_hand(struct sl_simq *own, uint32_t index)
{
    struct sl_simq_hand *hand = &own->hands[index];
    struct sl_sim *sim = own->world->sim;
    if (hand->process == 0)
        return;
    sl_sim_say(sim, "hand %u ends, node %u", index, hand->node);
    sl_sim_kill(sim, hand->process);
    if (hand->main != 0)
        sl_sim_at(sim, sl_sim_between(sim, SL_MILLI_NS, LOST_NS), hear_of_end, own,
                  (uint64_t)hand->main << 32 | hand->process);
    hand->process = hand->main = 0;
    hand->sessions++;
    sl_simq_forget_calls(own, index);
    sl_sim_at(sim, sl_sim_between(sim, 50 * SL_MILLI_NS, 3 * SL_SECOND_NS), start_hand, own, index);
}

/* ---- faults ------------------------------------------------------------------------------------
 */

/* Cut for long, or for good, a session ends; else what is sent waits. */
static void
cut_hand(struct sl_simq_hand *hand, struct sl_random *random, bool is_one_way)
{
    struct sl_sim *sim = hand->own->world->sim;
    bool is_broken = sl_random_below(random, 2) == 0,
         is_from_head = sl_random_below(random, 2) == 0;
    uint64_t most_ns = sl_random_below(random, 2) == 0 ? 30 * SL_SECOND_NS : 2 * SL_SECOND_NS;
    uint64_t duration_ns = 50 * SL_MILLI_NS + sl_random_below(random, most_ns);
    if (hand->main == 0)
        return;
    sl_sim_cut(sim, is_from_head ? hand->main : hand->process,
               is_from_head ? hand->process : hand->main, duration_ns,
               is_one_way ? SL_SIM_CUT_ONE_WAY : 0);
    hand->cut_until_ns = sl_sim_now_ns(sim) + duration_ns;
    uint64_t ends_ns = is_broken ? LOST_NS : DEAD_NS;
    if (is_broken || duration_ns > DEAD_NS)
        sl_sim_at(sim, SL_MIN(ends_ns, duration_ns), end_later, hand->own, ending_of(hand));
}

static void
weather_for(struct sl_simq_hand *hand, struct sl_random *random, enum sl_fault_number number)
{
    struct sl_sim *sim = hand->own->world->sim;
    uint32_t share = 20 + (uint32_t)sl_random_below(random, 480);
    uint64_t delay_ns = (5 + sl_random_below(random, 495)) * SL_MILLI_NS;
    struct sl_sim_weather weather = {.until_ns = sl_sim_now_ns(sim) + 50 * SL_MILLI_NS +
                                                 sl_random_below(random, 15 * SL_SECOND_NS)};
    if (hand->main == 0)
        return;
    if (number == SL_FAULT_NUMBER_LOSS)
        weather.loss = share * 3 / 5;
    else if (number == SL_FAULT_NUMBER_DUPLICATE)
        weather.duplicate = share;
    else if (number == SL_FAULT_NUMBER_REORDER)
        weather.reorder = share;
    else
        weather.delay_max_ns = delay_ns;
    if (number == SL_FAULT_NUMBER_NARROW)
        weather.room_bytes = 1 + sl_random_below(random, 1000);
    sl_sim_weather(sim, hand->main, hand->process, &weather);
}

static void
disturb(struct sl_simq_hand *hand, struct sl_random *random, enum sl_fault_number number)
{
    struct sl_sim *sim = hand->own->world->sim;
    if (hand->process == 0 || sl_random_below(random, 2) == 0)
        return;
    if (number == SL_FAULT_NUMBER_PAUSE)
        sl_sim_stall(sim, hand->process, SL_MILLI_NS + sl_random_below(random, DEAD_NS));
    else
        sl_sim_skew(sim, hand->process, (int64_t)sl_random_below(random, 2001) - 1000,
                    (int64_t)sl_random_below(random, 4001) - 2000);
}

/* A stream of its own: to strike here changes nothing about what else the fault does. */
void
sl_simq_strike(struct sl_simq *own, const struct sl_fault_event *e)
{
    struct sl_random random;
    sl_random_seed(&random, ~e->draw);
    struct sl_simq_hand *hand = &own->hands[sl_random_below(&random, SL_SIMQ_HANDS)];
    switch (e->number) {
    case SL_FAULT_NUMBER_HAND:
        sl_simq_end_hand(own, hand->index);
        break;
    case SL_FAULT_NUMBER_EIO:
        own->check.is_unread = true;
        break;
    case SL_FAULT_NUMBER_HEAD: /* Or when the broker answers, whichever comes first. */
        own->is_crash_armed = own->world->is_crash_armed && own->world->options.seed % 3 == 0;
        break;
    case SL_FAULT_NUMBER_PAUSE:
    case SL_FAULT_NUMBER_SKEW:
        disturb(hand, &random, e->number);
        break;
    case SL_FAULT_NUMBER_DELAY:
    case SL_FAULT_NUMBER_LOSS:
    case SL_FAULT_NUMBER_DUPLICATE:
    case SL_FAULT_NUMBER_REORDER:
    case SL_FAULT_NUMBER_NARROW:
        weather_for(hand, &random, e->number);
        break;
    case SL_FAULT_NUMBER_PARTITION:
    case SL_FAULT_NUMBER_ONEWAY:
        cut_hand(hand, &random, e->number == SL_FAULT_NUMBER_ONEWAY);
        break;
    default:
        break;
    }
}

/* ---- the operator ------------------------------------------------------------------------------
 */

/* What the API does for a tenant's admin: by the backend, in the process of the store. */
struct operator
{
    struct sl_simq *own;
    struct sl_store_backend backend;
};

static void
say(struct sl_ctx *ctx, uint64_t order)
{
    struct sl_m_wake wake = {.reason = order};
    sl_send(ctx, sl_at(0, SL_ACTOR_BROKER), SL_M_wake, &(struct sl_m_wake){0});
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_SIMQ_PORT), SL_M_wake, &wake);
}

/* One that is leased, if there is one: that is the harder case. */
static uint32_t
pick_cancel(const struct sl_simq *own, struct sl_random *random)
{
    uint32_t found = SL_SIMQ_TASKS;
    uint64_t count = 0;
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        const struct sl_simq_state *t = &own->check.states[i];
        if (!own->plan.tasks[i].is_cancel_wanted || t->put < SL_SIMQ_TAKEN ||
            t->end >= SL_SIMQ_TAKEN || t->cancel >= SL_SIMQ_TAKEN)
            continue;
        count += t->epoch != 0 ? 8 : 1;
        if (sl_random_below(random, count) < (t->epoch != 0 ? 8 : 1))
            found = i;
    }
    return found;
}

static void
cancel_one(struct operator* o, struct sl_ctx *ctx)
{
    struct sl_backend *b = &o->backend.backend;
    struct sl_simq *own = o->own;
    uint32_t number = pick_cancel(own, ctx->random);
    if (number == SL_SIMQ_TASKS)
        return;
    struct sl_scope scope = {sl_simq_queues[own->plan.tasks[number].queue].scope};
    enum sl_err err = b->ops->order(b, (struct sl_when){ctx->now_ns, ctx->now_ms}, scope,
                                    own->check.states[number].task_id, SL_ORDER_CANCEL, NULL);
    if (err != SL_OK) /* It has ended, unseen; or the disk is full. */
        return;
    sl_simq_saw_cancel(&own->check, at_of(own), number);
    say(ctx, number);
}

/* Once the faults are over each queue is open, and known to be. */
static void
turn_one(struct operator* o, struct sl_ctx *ctx)
{
    struct sl_backend *b = &o->backend.backend;
    struct sl_simq *own = o->own;
    bool is_over = sl_sim_now_ns(own->world->sim) >= own->world->fault_until_ns;
    uint32_t queue = (uint32_t)sl_random_below(ctx->random, SL_SIMQ_QUEUES);
    const struct sl_simq_lane *lane = &own->check.lanes[queue];
    bool is_paused = !is_over && !lane->is_paused && sl_random_below(ctx->random, 3) == 0;
    if (lane->paused == SL_SIMQ_NO && !is_paused)
        return;
    struct sl_lane_settings settings = sl_simq_queues[queue].settings;
    struct sl_queue_depth depth;
    settings.mode = is_paused ? SL_LANE_PAUSED : SL_LANE_OPEN;
    if (b->ops->depth(b, sl_simq_queue_name(queue), &depth) != SL_OK ||
        b->ops->set(b, sl_simq_queue_name(queue), &settings) != SL_OK)
        return;
    sl_simq_saw_mode(&own->check, at_of(own), queue, is_paused);
    say(ctx, ORDER_MODE | (is_paused ? ORDER_PAUSE : 0) | queue);
}

static void
operator_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct operator* o = self;
    if (msg->id != SL_M_timer)
        return;
    o->backend.options.random = ctx->random;
    sl_after(ctx, 1 + sl_random_below(ctx->random, ORDER_NS), 1);
    cancel_one(o, ctx);
    turn_one(o, ctx);
    pass_on(o->own);
}

static void
operator_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct operator* o = self;
    o->own = (struct sl_simq *)(uintptr_t)argument;
    sl_store_backend_init(&o->backend,
                          &(struct sl_store_backend_options){.store = ctx->store,
                                                             .queue = o->own->world->queue,
                                                             .random = ctx->random,
                                                             .projection = SL_PROJECTION_QUEUE});
    sl_after(ctx, ORDER_NS, 1);
}

static void
operator_deinit(void *self)
{
    sl_store_backend_deinit(&((struct operator*)self)->backend);
}

static const struct sl_actor_class operator_class = {
    .name = "operator",
    .state_size = sizeof(struct operator),
    .init = operator_init,
    .handle = operator_handle,
    .deinit = operator_deinit,
};

static void
take_word(void *arg, uint32_t process, struct sl_msg *msg)
{
    struct sl_simq *own = arg;
    uint64_t order = SL_BODY(msg, wake)->reason;
    (void)process;
    sl_msg_destroy(&msg);
    if ((order & ORDER_MODE) != 0)
        sl_simq_told_mode(&own->check, (uint32_t)order, (order & ORDER_PAUSE) != 0);
    else
        sl_simq_told_cancel(&own->check, at_of(own).ns, (uint32_t)order);
    pass_on(own);
}

/* ---- the broker, as it is seen -----------------------------------------------------------------
 */

static void
saw_puts(struct sl_simq *own, const struct sl_m_queue_put *m,
         const struct sl_m_queue_answer *answer)
{
    struct sl_reader items = sl_reader(m->items), results = sl_reader(answer->results);
    struct sl_put_item item;
    struct sl_put_result result;
    if (answer->err != SL_OK)
        return;
    for (uint64_t i = 0; i < m->count; i++) {
        bool is_read = sl_wire_put_read(&items, &item) && sl_wire_result_read(&results, &result);
        uint32_t number = is_read ? sl_simq_number(item.payload) : SL_SIMQ_TASKS;
        if (number < SL_SIMQ_TASKS)
            sl_simq_saw_put(&own->check, at_of(own), number, &result);
        else
            sl_simq_fail(&own->check, "the broker answers what nobody has put");
    }
}

static void
saw_ends(struct sl_simq *own, const struct sl_m_queue_end *m, uint32_t node,
         const struct sl_m_queue_answer *answer)
{
    struct sl_reader items = sl_reader(m->items), errs = sl_reader(answer->results);
    struct sl_end_item item;
    if (answer->err != SL_OK)
        return;
    for (uint64_t i = 0; i < m->count && sl_wire_end_read(&items, &item); i++)
        sl_simq_saw_end(&own->check, at_of(own), &item, sl_wire_err_read(&errs));
    uint32_t queue = sl_simq_queue_of(m->scope, m->queue);
    if (queue < SL_SIMQ_QUEUES && m->credit > 0)
        sl_simq_saw_want(&own->check, at_of(own), node, queue, (struct sl_simq_wish){m->credit, 0});
}

static void
saw_beat(struct sl_simq *own, const struct sl_m_queue_beat *m,
         const struct sl_m_queue_answer *answer)
{
    struct sl_reader leases = sl_reader(m->leases), errs = sl_reader(answer->results);
    uint64_t until_ns = at_of(own).ns + m->duration_ms * SL_MILLI_NS;
    for (uint64_t i = 0; answer->err == SL_OK && i < m->count; i++) {
        uint64_t task_id = sl_read_u64(&leases), epoch = sl_read_u64(&leases);
        if (sl_wire_err_read(&errs) == SL_OK)
            sl_simq_saw_extend(&own->check, task_id, epoch, until_ns);
    }
}

/* The broker answers what it is at. */
static void
saw_answer(struct sl_simq *own, const struct sl_m_queue_answer *answer)
{
    const struct sl_msg *msg = own->msg;
    if (msg == NULL)
        return;
    if (msg->id == SL_M_queue_put)
        saw_puts(own, SL_BODY(msg, queue_put), answer);
    else if (msg->id == SL_M_queue_end)
        saw_ends(own, SL_BODY(msg, queue_end), msg->from.node, answer);
    else if (msg->id == SL_M_queue_beat)
        saw_beat(own, SL_BODY(msg, queue_beat), answer);
}

static bool
tells_begun(uint32_t node)
{
    return (node - FIRST_NODE) / LIVES_MAX == SL_SIMQ_PREFETCHER;
}

static void
saw_begun(struct sl_simq *own, const struct sl_m_queue_begun *m)
{
    for (struct sl_reader r = sl_reader(m->leases); !r.is_bad && !sl_reader_is_done(&r);) {
        uint64_t task_id = sl_read_u64(&r), epoch = sl_read_u64(&r);
        sl_simq_saw_begun(&own->check, task_id, epoch);
    }
}

static void
saw_leases(struct sl_simq *own, const struct sl_m_queue_leased *m, uint32_t node)
{
    struct sl_reader r = sl_reader(m->leases);
    uint32_t queue = sl_simq_queue_of(m->scope, m->queue);
    struct sl_lease lease;
    for (uint64_t i = 0; queue < SL_SIMQ_QUEUES && i < m->count; i++) {
        if (sl_wire_lease_read(&r, &lease))
            sl_simq_saw_lease(&own->check, at_of(own), queue, &lease,
                              (struct sl_simq_holder){node, tells_begun(node)});
    }
}

static void
saw_want(struct sl_simq *own, const struct sl_m_queue_want *m, uint32_t node)
{
    struct sl_simq_wish wish = {m->credit, m->duration_ms * SL_MILLI_NS};
    sl_simq_saw_want(&own->check, at_of(own), node, sl_simq_queue_of(m->scope, m->queue), wish);
}

/* What is about to be handled. */
static void
begin_handling(struct sl_simq *own, const struct sl_msg *msg)
{
    own->msg = msg;
    if (msg->id == SL_M_peer_down)
        sl_simq_saw_back(&own->check, at_of(own), (uint32_t)SL_BODY(msg, peer_down)->node, true);
    else if (msg->id == SL_M_undelivered && SL_BODY(msg, undelivered)->message == SL_M_queue_leased)
        sl_simq_saw_back(&own->check, at_of(own), msg->from.node, false);
    else if (msg->id == SL_M_queue_want)
        saw_want(own, SL_BODY(msg, queue_want), msg->from.node);
    else if (msg->id == SL_M_queue_begun)
        saw_begun(own, SL_BODY(msg, queue_begun));
    else if (msg->id == SL_M_queue_quiet)
        sl_simq_saw_quiet(
            &own->check, at_of(own), msg->from.node,
            sl_simq_queue_of(SL_BODY(msg, queue_quiet)->scope, SL_BODY(msg, queue_quiet)->queue));
}

/* Whether a node still holds a task. */
static bool
holds_some(const struct sl_simq *own, uint64_t node)
{
    struct sl_task_info info;
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        struct sl_scope scope = {sl_simq_queues[own->plan.tasks[i].queue].scope};
        if (own->check.states[i].put != SL_SIMQ_NO &&
            sl_queue_task(own->world->queue, scope, own->check.states[i].task_id, &info) == SL_OK &&
            info.state == SL_STATE_RUNNING && info.holder == (HOLDER | node))
            return true;
    }
    return false;
}

/* What a worker that is gone has held is nobody's, from then on. */
static void
end_handling(struct sl_simq *own, const struct sl_msg *msg)
{
    own->msg = NULL;
    if (msg->id == SL_M_peer_down && holds_some(own, SL_BODY(msg, peer_down)->node))
        sl_simq_fail(&own->check, "back: node %u is gone, and still holds leases",
                     (uint32_t)SL_BODY(msg, peer_down)->node);
}

void
sl_simq_observe(struct sl_simq *own, uint32_t what, const struct sl_msg *msg)
{
    bool is_for_broker = msg->to.actor == SL_ACTOR_BROKER && msg->to.node <= SL_NODE_HEAD;
    if (what == SL_SIM_SENT && msg->id == SL_M_queue_answer) {
        saw_answer(own, SL_BODY(msg, queue_answer));
        if (own->is_crash_armed) {
            own->is_crash_armed = false;
            own->world->is_crash_armed = true;
            sl_world_may_crash(own->world);
            own->world->is_crash_armed = true; /* And again, at an answer about a job. */
        }
    } else if (what == SL_SIM_SENT && msg->id == SL_M_queue_leased) {
        saw_leases(own, SL_BODY(msg, queue_leased), msg->to.node);
    } else if (what == SL_SIM_DELIVERED && is_for_broker) {
        begin_handling(own, msg);
    } else if (what == SL_SIM_HANDLED && is_for_broker) {
        end_handling(own, msg);
    } else {
        return;
    }
    pass_on(own);
}

/* ---- looking -----------------------------------------------------------------------------------
 */

static void
look_task(struct sl_simq *own, uint32_t number)
{
    const struct sl_simq_state *t = &own->check.states[number];
    const struct sl_simq_task *task = &own->plan.tasks[number];
    struct sl_scope scope = {sl_simq_queues[task->queue].scope};
    struct sl_task_info info;
    if (t->put != SL_SIMQ_SURE)
        return;
    bool is_forgotten = t->end != SL_SIMQ_NO && !task->is_kept;
    enum sl_err err = sl_queue_task(own->world->queue, scope, t->task_id, &info);
    if (err != SL_OK && !is_forgotten)
        sl_simq_fail(&own->check, "lost: task %u was acknowledged and is gone", number);
    else if (err == SL_OK && t->end == SL_SIMQ_SURE && info.state != t->end_state)
        sl_simq_fail(&own->check, "lost: task %u ended as %s, and is %s", number,
                     sl_state_name(t->end_state), sl_state_name(info.state));
    else if (err == SL_OK && t->cancel == SL_SIMQ_SURE && info.state != SL_STATE_CANCELED)
        sl_simq_fail(&own->check, "lost: task %u was cancelled, and is %s", number,
                     sl_state_name(info.state));
}

void
sl_simq_look(struct sl_simq *own)
{
    struct sl_simq_at at = at_of(own);
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++)
        look_task(own, i);
    uint64_t over_ns = SL_MAX(sl_queue_deadline_ns(own->world->queue), own->check.stalled_until_ns);
    if (over_ns < at.ns - SL_MIN(at.ns, LATE_NS))
        sl_simq_fail(&own->check, "back: a lease has lapsed, and is not given back");
    sl_simq_check_waits(&own->check, at);
    pass_on(own);
}

bool
sl_simq_is_at_rest(const struct sl_simq *own)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        if (own->asked[i] != SL_SIMQ_CLOSED)
            return false;
    }
    return !sl_queue_has_work(own->world->queue);
}

static void
look_at_rest(struct sl_simq *own, struct sl_scope scope)
{
    const struct sl_store_backend_options options = {
        .store = own->world->store, .queue = own->world->queue, .projection = SL_PROJECTION_QUEUE};
    struct sl_task_scan scan = {.scope = scope, .class = SL_CLASS_OWN};
    struct sl_store_backend backend;
    struct sl_backend *b = &backend.backend;
    struct sl_task_info info;
    struct sl_buf bytes = {0};
    bool is_end = false;
    sl_store_backend_init(&backend, &options);
    while (!is_end) {
        if (!b->ops->scan(b, &scan, 1000, &info, &is_end))
            continue;
        bool is_done = info.state == SL_STATE_SUCCEEDED;
        sl_buf_clear(&bytes);
        enum sl_err err =
            b->ops->read(b, scope, info.id, is_done ? SL_TASK_RESULT : SL_TASK_PAYLOAD, &bytes);
        uint32_t number = sl_simq_number(sl_buf_slice(&bytes));
        if (err == SL_ECORRUPT && own->check.is_damaged)
            number = sl_simq_by_id(&own->check, info.id);
        else if (err != SL_OK || number == SL_SIMQ_TASKS)
            sl_simq_fail(&own->check, "task id %" PRIu64 " cannot be read: %s", info.id,
                         sl_err_name(err));
        if (number < SL_SIMQ_TASKS)
            sl_simq_saw_rest(&own->check, number, info.id, info.state);
    }
    sl_buf_deinit(&bytes);
    sl_store_backend_deinit(&backend);
}

void
sl_simq_check_end(struct sl_simq *own)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        own->check.states[i].found = 0;
        if (own->asked[i] != SL_SIMQ_CLOSED)
            sl_simq_fail(&own->check, "stuck: no put of task %u was answered", i);
    }
    look_at_rest(own, (struct sl_scope){1});
    look_at_rest(own, (struct sl_scope){2});
    sl_simq_check_rest(&own->check);
    pass_on(own);
}

/* ---- life --------------------------------------------------------------------------------------
 */

struct sl_simq *
sl_simq_create(struct sl_world *w)
{
    struct sl_simq *own = sl_zalloc(sizeof(*own));
    own->world = w;
    sl_simq_plan_init(&own->plan, sl_sim_random(w->sim));
    sl_simq_check_init(&own->check, &own->plan);
    /* That one tells the queue, and so the rates in it, a time that has not come. */
    own->check.is_rate_free = w->options.plant == SL_PLANT_EARLY;
    for (uint32_t i = 0; i < SL_SIMQ_HANDS; i++)
        own->hands[i] = (struct sl_simq_hand){.own = own, .index = i};
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++)
        own->repeats[i] = SL_SIMQ_REPEATS;
    sl_sim_port(w->sim, SL_SIMQ_PORT, take_word, own);
    return own;
}

void
sl_simq_destroy(struct sl_simq **own_arg)
{
    struct sl_simq *own = *own_arg;
    if (own == NULL)
        return;
    sl_simq_check_deinit(&own->check);
    sl_buf_deinit(&own->scratch);
    sl_free(own);
    *own_arg = NULL;
}

void
sl_simq_begin(struct sl_simq *own)
{
    for (uint32_t i = 0; i < SL_SIMQ_HANDS; i++)
        sl_sim_at(own->world->sim, (1 + i) * SL_MILLI_NS, start_hand, own, i);
}

void
sl_simq_spawn(struct sl_simq *own)
{
    struct sl_world *w = own->world;
    struct sl_broker_options broker = {.queue = w->queue, .projection = SL_PROJECTION_QUEUE};
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_BROKER, &sl_broker_class, &broker);
    sl_sim_spawn(w->sim, w->main, OPERATOR, &operator_class, own);
    sl_simq_saw_boot(&own->check, at_of(own));
    for (uint32_t i = 0; i < SL_SIMQ_HANDS; i++)
        connect(&own->hands[i], 50 * SL_MILLI_NS);
}

/* Connections break with it: hands hear so within moments. */
void
sl_simq_main_ends(struct sl_simq *own, bool is_power_loss)
{
    sl_simq_saw_death(&own->check, at_of(own), is_power_loss);
    own->msg = NULL;
    for (uint32_t i = 0; i < SL_SIMQ_HANDS; i++) {
        struct sl_simq_hand *hand = &own->hands[i];
        if (hand->main != 0)
            sl_sim_at(own->world->sim, sl_sim_between(own->world->sim, 0, 10 * SL_MILLI_NS),
                      end_later, own, ending_of(hand));
    }
}

void
sl_simq_skewed(struct sl_simq *own)
{
    sl_simq_saw_skew(&own->check, at_of(own));
}

void
sl_simq_stalled(struct sl_simq *own, uint64_t duration_ns)
{
    sl_simq_saw_stall(&own->check, at_of(own).ns, duration_ns);
}
