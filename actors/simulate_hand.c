/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer or a worker of tenants' own queues: what gateway/queue_client and its user are in a
 * real cluster. What it holds, it goes on with when its session has ended, and ends it in the next
 * one: that must be refused.
 */
#include "actors/simulate_queue.h"

#include <inttypes.h>
#include <string.h>

#include "actors/simulate_world.h"
#include "runtime/alloc.h"

#define TOKEN_TURN 1 /* Others are epochs of leases. */
#define TURN_NS    SL_SECOND_NS
#define CALLS_MAX  16
#define ITEMS_MAX  3
#define HELD_MAX   32
#define CREDIT     3
#define ANSWER_NS  (20 * SL_SECOND_NS) /* Then none will come. */
#define IDLE_NS    (10 * SL_SECOND_NS) /* Whoever got nothing for so long asks again. */
#define AGAIN_NS   (500 * SL_MILLI_NS)

enum call_kind { CALL_NONE, CALL_SET, CALL_PUT, CALL_END, CALL_BEAT };

struct call {
    enum call_kind kind;
    uint64_t request, asked_ns;
    enum sl_level level;
    uint32_t queue, count, numbers[ITEMS_MAX];
    struct sl_end_item item; /* Without its bytes. */
};

struct held {
    uint64_t task_id, epoch; /* epoch 0: nothing. */
    uint32_t number, queue, snoozes;
    uint64_t session;
    bool is_late, is_decided;
    enum sl_end_kind kind;
    uint64_t after_ms;
};

struct hand {
    const struct sl_simq_hand *self;
    struct sl_simq *own;
    uint64_t requests, session;
    bool is_up, is_worker;
    struct call calls[CALLS_MAX];
    struct held held[HELD_MAX];
    uint64_t heard_ns[SL_SIMQ_QUEUES];
    uint64_t put_ns; /* When to put next. */
};

/* ---- calls -------------------------------------------------------------------------------------
 */

static struct call *
free_call(struct hand *h)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        if (h->calls[i].kind == CALL_NONE)
            return &h->calls[i];
    }
    return NULL;
}

static void
ask(struct hand *h, struct sl_ctx *ctx, const struct call *call, uint32_t id, const void *body)
{
    struct call *slot = free_call(h);
    *slot = *call;
    slot->request = ++h->requests;
    slot->asked_ns = ctx->now_ns;
    sl_request(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER), slot->request, id, body);
}

static bool
take_call(struct hand *h, uint64_t request, struct call *ret_call)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        if (h->calls[i].kind == CALL_NONE || h->calls[i].request != request)
            continue;
        *ret_call = h->calls[i];
        h->calls[i].kind = CALL_NONE;
        return true;
    }
    return false;
}

/* ---- putting -----------------------------------------------------------------------------------
 */

static bool
is_mine(const struct hand *h, uint32_t number)
{
    return number % SL_SIMQ_PRODUCERS == h->self->index;
}

/* It may have happened or not: a key that holds for a time makes it safe to ask again. */
static void
doubt_put(struct sl_simq *own, uint32_t number)
{
    bool is_safe = own->plan.tasks[number].mode == SL_DEDUP_TTL;
    own->asked[number] = is_safe ? SL_SIMQ_UNASKED : SL_SIMQ_CLOSED;
}

void
sl_simq_forget_calls(struct sl_simq *own, uint32_t index)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        if (i % SL_SIMQ_PRODUCERS == index && own->asked[i] == SL_SIMQ_ASKED)
            doubt_put(own, i);
    }
}

static void
make_queue(struct hand *h, struct sl_ctx *ctx, uint32_t queue)
{
    struct sl_buf *settings = &h->own->scratch;
    if (free_call(h) == NULL)
        return;
    sl_buf_clear(settings);
    sl_lane_settings_encode(&sl_simq_queues[queue].settings, settings);
    struct sl_m_queue_set m = {.scope = sl_simq_queues[queue].scope,
                               .is_new = 1,
                               .queue = sl_simq_queue_name(queue).name,
                               .settings = sl_buf_slice(settings)};
    ask(h, ctx, &(struct call){.kind = CALL_SET}, SL_M_queue_set, &m);
}

/* Also some that were answered long ago. */
static bool
is_wanted(struct hand *h, struct sl_ctx *ctx, uint32_t number)
{
    struct sl_simq *own = h->own;
    if (!is_mine(h, number))
        return false;
    if (own->asked[number] == SL_SIMQ_UNASKED)
        return true;
    bool is_again = own->asked[number] == SL_SIMQ_CLOSED &&
                    own->plan.tasks[number].mode == SL_DEDUP_TTL && own->repeats[number] > 0 &&
                    sl_random_below(ctx->random, 40) == 0;
    own->repeats[number] -= is_again;
    return is_again;
}

static uint32_t
pick_puts(struct hand *h, struct sl_ctx *ctx, uint32_t *ret_numbers)
{
    const struct sl_simq_task *tasks = h->own->plan.tasks;
    uint32_t count = 0, max = 1 + (uint32_t)sl_random_below(ctx->random, ITEMS_MAX);
    for (uint32_t i = 0; i < SL_SIMQ_TASKS && count < max; i++) {
        bool fits = count == 0 || (tasks[i].queue == tasks[ret_numbers[0]].queue &&
                                   tasks[i].level == tasks[ret_numbers[0]].level);
        if (fits && is_wanted(h, ctx, i))
            ret_numbers[count++] = i;
    }
    return count;
}

static void
put_some(struct hand *h, struct sl_ctx *ctx)
{
    struct sl_simq *own = h->own;
    struct call call = {.kind = CALL_PUT};
    uint8_t payload[16];
    char name[16];
    struct sl_buf policy = {0};
    if (!h->is_up || free_call(h) == NULL)
        return;
    call.count = pick_puts(h, ctx, call.numbers);
    if (call.count == 0)
        return;
    call.queue = own->plan.tasks[call.numbers[0]].queue;
    call.level = own->plan.tasks[call.numbers[0]].level;
    sl_simq_policy(&policy);
    sl_buf_clear(&own->scratch);
    for (uint32_t i = 0; i < call.count; i++) {
        struct sl_put_item item =
            sl_simq_item(&own->plan, call.numbers[i], payload, name, sl_buf_slice(&policy));
        sl_wire_put(&own->scratch, &item);
        own->asked[call.numbers[i]] = SL_SIMQ_ASKED;
        own->check.states[call.numbers[i]].is_asked = true;
    }
    struct sl_m_queue_put m = {.scope = sl_simq_queues[call.queue].scope,
                               .count = call.count,
                               .level = call.level,
                               .queue = sl_simq_queue_name(call.queue).name,
                               .items = sl_buf_slice(&own->scratch)};
    ask(h, ctx, &call, SL_M_queue_put, &m);
    sl_buf_deinit(&policy);
}

static bool
is_passing(enum sl_err err)
{
    return err == SL_ENOSPC || err == SL_EIO || err == SL_ENOTFOUND || err == SL_EFULL ||
           err == SL_EUNAVAIL;
}

static void
take_puts(struct hand *h, struct sl_ctx *ctx, const struct call *call,
          const struct sl_m_queue_answer *m)
{
    struct sl_simq *own = h->own;
    struct sl_reader r = sl_reader(m->results);
    if (m->err == SL_ENOTFOUND)
        make_queue(h, ctx, call->queue);
    for (uint32_t i = 0; i < call->count; i++) {
        struct sl_put_result result = {.err = (enum sl_err)m->err};
        uint32_t number = call->numbers[i];
        if (m->err == SL_OK && !sl_wire_result_read(&r, &result))
            sl_simq_fail(&own->check, "the answer to a put cannot be read");
        own->asked[number] = result.err == SL_OK ? SL_SIMQ_CLOSED : SL_SIMQ_UNASKED;
        if (result.err == SL_OK)
            sl_simq_told_put(&own->check, sl_simq_told_now(own, call->level), number, &result);
        else if (!is_passing(result.err))
            sl_simq_fail(&own->check, "the put of task %u is refused: %s", number,
                         sl_err_name(result.err));
    }
}

/* Spread over the time of the faults; what is left goes at once then. */
static uint64_t
pause_ns(const struct hand *h, struct sl_ctx *ctx)
{
    const struct sl_world *w = h->own->world;
    uint64_t most_ns =
        SL_MIN(w->fault_until_ns / (SL_SIMQ_TASKS / SL_SIMQ_PRODUCERS), 5 * SL_SECOND_NS);
    if (sl_sim_now_ns(w->sim) >= w->fault_until_ns)
        most_ns = AGAIN_NS;
    return SL_MILLI_NS + sl_random_below(ctx->random, 3 * most_ns);
}

/* ---- working -----------------------------------------------------------------------------------
 */

static void
want(struct hand *h, struct sl_ctx *ctx, uint32_t queue)
{
    struct sl_m_queue_want m = {.scope = sl_simq_queues[queue].scope,
                                .credit = CREDIT,
                                .duration_ms = SL_SIMQ_LEASE_NS / SL_MILLI_NS,
                                .level = h->self->index % 3 == 0 ? SL_LEVEL_RAM : SL_LEVEL_DISK,
                                .tells_begun = h->self->index == SL_SIMQ_PREFETCHER,
                                .queue = sl_simq_queue_name(queue).name};
    h->heard_ns[queue] = ctx->now_ns;
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER), SL_M_queue_want, &m);
}

static struct held *
held_of(struct hand *h, uint64_t epoch)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (h->held[i].epoch == epoch)
            return &h->held[i];
    }
    return NULL;
}

static uint64_t
work_ns(const struct sl_simq_task *task, bool is_late, struct sl_random *random)
{
    if (is_late)
        return SL_SIMQ_LEASE_NS + sl_random_below(random, 3 * SL_SECOND_NS);
    if (task->work == SL_SIMQ_SLOW)
        return SL_SIMQ_LEASE_NS + sl_random_below(random, 4 * SL_SECOND_NS);
    return SL_MILLI_NS + sl_random_below(random, 400 * SL_MILLI_NS);
}

static void
on_leased(struct hand *h, struct sl_ctx *ctx, const struct sl_m_queue_leased *m)
{
    struct sl_reader r = sl_reader(m->leases);
    uint32_t queue = sl_simq_queue_of(m->scope, m->queue);
    struct sl_buf *begun = &h->own->scratch;
    struct sl_lease lease;
    sl_buf_clear(begun);
    for (uint64_t i = 0; i < m->count && sl_wire_lease_read(&r, &lease); i++) {
        struct held *slot = held_of(h, 0);
        uint32_t number = sl_simq_number(lease.payload);
        if (slot == NULL || queue == SL_SIMQ_QUEUES || number == SL_SIMQ_TASKS)
            continue; /* The check has seen it; it lapses. */
        const struct sl_simq_task *task = &h->own->plan.tasks[number];
        bool is_late = task->work == SL_SIMQ_LATE && sl_random_below(ctx->random, 2) == 0;
        *slot = (struct held){.task_id = lease.task_id,
                              .epoch = lease.epoch,
                              .number = number,
                              .queue = queue,
                              .snoozes = lease.snoozes,
                              .session = h->session,
                              .is_late = is_late};
        h->heard_ns[queue] = ctx->now_ns;
        sl_after(ctx, work_ns(task, is_late, ctx->random), lease.epoch);
        if (h->self->index != SL_SIMQ_PREFETCHER || sl_random_below(ctx->random, 3) == 0)
            continue; /* Some are not said to have begun. */
        sl_buf_append_u64(begun, lease.task_id);
        sl_buf_append_u64(begun, lease.epoch);
    }
    struct sl_m_queue_begun said = {.scope = m->scope, .leases = sl_buf_slice(begun)};
    if (begun->size > 0)
        sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER), SL_M_queue_begun, &said);
}

static void
decide(const struct hand *h, struct sl_ctx *ctx, struct held *held)
{
    enum sl_simq_work work = h->own->plan.tasks[held->number].work;
    bool is_even = sl_random_below(ctx->random, 2) == 0;
    held->is_decided = true;
    held->kind = SL_END_DONE;
    if (work == SL_SIMQ_BAD || (work == SL_SIMQ_FLAKY && is_even))
        held->kind = SL_END_FAILED;
    else if (work == SL_SIMQ_SNOOZE && held->snoozes < SL_SIMQ_SNOOZES)
        held->kind = SL_END_SNOOZED;
    else if (work == SL_SIMQ_BACK && is_even)
        held->kind = SL_END_RELEASED;
    if (held->kind == SL_END_SNOOZED)
        held->after_ms = SL_SIMQ_SNOOZE_MS;
    else if (held->kind == SL_END_FAILED && sl_random_below(ctx->random, 4) == 0)
        held->after_ms = 2 * SL_SIMQ_SNOOZE_MS;
}

static void
send_end(struct hand *h, struct sl_ctx *ctx, const struct held *held, uint32_t credit)
{
    uint8_t result[12] = {(uint8_t)held->number, (uint8_t)(held->number >> 8)};
    struct call call = {.kind = CALL_END,
                        .count = 1,
                        .queue = held->queue,
                        .numbers = {held->number},
                        .level = held->epoch % 3 == 0 ? SL_LEVEL_OS : SL_LEVEL_DISK};
    call.item = (struct sl_end_item){.task_id = held->task_id,
                                     .epoch = held->epoch,
                                     .kind = held->kind,
                                     .after_ms = held->after_ms,
                                     .served_ns = SL_MILLI_NS};
    struct sl_end_item item = call.item;
    memcpy(result + 4, &held->epoch, sizeof(held->epoch));
    item.bytes = sl_slice(result, sizeof(result));
    if (free_call(h) == NULL)
        return;
    sl_buf_clear(&h->own->scratch);
    sl_wire_end(&h->own->scratch, &item);
    struct sl_m_queue_end m = {.scope = sl_simq_queues[held->queue].scope,
                               .count = 1,
                               .credit = credit,
                               .level = call.level,
                               .queue = sl_simq_queue_name(held->queue).name,
                               .items = sl_buf_slice(&h->own->scratch)};
    ask(h, ctx, &call, SL_M_queue_end, &m);
}

static void
die(void *own, uint64_t index)
{
    sl_simq_end_hand(own, (uint32_t)index);
}

/* Its time has come, or it is to be ended once more. */
static void
end_one(struct hand *h, struct sl_ctx *ctx, uint64_t epoch)
{
    struct held *held = held_of(h, epoch);
    if (held == NULL)
        return;
    if (h->own->plan.tasks[held->number].work == SL_SIMQ_POISON) {
        sl_sim_at(h->own->world->sim, 0, die, h->own, h->self->index);
        return;
    }
    if (!h->is_up || free_call(h) == NULL) {
        sl_after(ctx, AGAIN_NS, epoch);
        return;
    }
    bool is_old = held->session != h->session, is_first = !held->is_decided;
    if (is_first)
        decide(h, ctx, held);
    send_end(h, ctx, held, is_first && !is_old ? 1 : 0);
    if (sl_random_below(ctx->random, 8) == 0)
        send_end(h, ctx, held, 0); /* The same once more. */
}

static void
take_end(struct hand *h, struct sl_ctx *ctx, const struct call *call,
         const struct sl_m_queue_answer *m)
{
    struct sl_simq *own = h->own;
    struct sl_reader r = sl_reader(m->results);
    struct held *held = held_of(h, call->item.epoch);
    enum sl_err err = m->err != SL_OK ? (enum sl_err)m->err : sl_wire_err_read(&r);
    if (err == SL_OK)
        sl_simq_told_end(&own->check, sl_simq_told_now(own, call->level), call->numbers[0],
                         &call->item);
    else if (err != SL_ESTALE && !is_passing(err))
        sl_simq_fail(&own->check, "an end of task %u is refused: %s", call->numbers[0],
                     sl_err_name(err));
    if (held == NULL)
        return;
    if (err == SL_OK || err == SL_ESTALE)
        held->epoch = 0;
    else
        sl_after(ctx, AGAIN_NS, held->epoch);
}

/* All that it holds of a tenant, but for what it forgets to extend. */
static void
beat(struct hand *h, struct sl_ctx *ctx, uint64_t scope)
{
    struct sl_buf *leases = &h->own->scratch;
    uint64_t count = 0;
    sl_buf_clear(leases);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        const struct held *held = &h->held[i];
        if (held->epoch == 0 || held->is_late || sl_simq_queues[held->queue].scope != scope)
            continue;
        sl_buf_append_u64(leases, held->task_id);
        sl_buf_append_u64(leases, held->epoch);
        count++;
    }
    if (count == 0 || free_call(h) == NULL)
        return;
    struct sl_m_queue_beat m = {.scope = scope,
                                .count = count,
                                .duration_ms = SL_SIMQ_LEASE_NS / SL_MILLI_NS,
                                .leases = sl_buf_slice(leases)};
    ask(h, ctx, &(struct call){.kind = CALL_BEAT}, SL_M_queue_beat, &m);
}

/* A link may have lost what was wanted: whoever has heard nothing for long begins anew. */
static void
want_again(struct hand *h, struct sl_ctx *ctx, uint32_t queue)
{
    if (ctx->now_ns < h->heard_ns[queue] + IDLE_NS)
        return;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (h->held[i].epoch != 0 && h->held[i].queue == queue)
            return;
    }
    struct sl_m_queue_quiet m = {.scope = sl_simq_queues[queue].scope,
                                 .queue = sl_simq_queue_name(queue).name};
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER), SL_M_queue_quiet, &m);
    want(h, ctx, queue);
}

/* ---- the actor ---------------------------------------------------------------------------------
 */

/* No answer will come, or none came yet: is_refused: and it has not happened. */
static void
give_up(struct hand *h, struct sl_ctx *ctx, const struct call *call, bool is_refused)
{
    for (uint32_t i = 0; call->kind == CALL_PUT && i < call->count; i++) {
        if (is_refused)
            h->own->asked[call->numbers[i]] = SL_SIMQ_UNASKED;
        else
            doubt_put(h->own, call->numbers[i]);
    }
    if (call->kind == CALL_END && held_of(h, call->item.epoch) != NULL)
        sl_after(ctx, AGAIN_NS, call->item.epoch);
}

static void
give_up_calls(struct hand *h, struct sl_ctx *ctx, uint64_t before_ns)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        struct call call = h->calls[i];
        if (call.kind == CALL_NONE || call.asked_ns > before_ns)
            continue;
        h->calls[i].kind = CALL_NONE;
        give_up(h, ctx, &call, false);
    }
}

static void
on_turn(struct hand *h, struct sl_ctx *ctx)
{
    sl_after(ctx, h->is_worker ? TURN_NS : SL_MIN(pause_ns(h, ctx), TURN_NS), TOKEN_TURN);
    give_up_calls(h, ctx, ctx->now_ns - SL_MIN(ctx->now_ns, ANSWER_NS));
    if (!h->is_worker && ctx->now_ns >= h->put_ns) {
        put_some(h, ctx);
        h->put_ns = ctx->now_ns + pause_ns(h, ctx);
    }
    if (!h->is_worker || !h->is_up)
        return;
    beat(h, ctx, 1);
    beat(h, ctx, 2);
    for (uint32_t q = 0; q < SL_SIMQ_QUEUES; q++)
        want_again(h, ctx, q);
}

static void
on_up(struct hand *h, struct sl_ctx *ctx)
{
    h->is_up = true;
    h->session++;
    for (uint32_t q = 0; h->is_worker && q < SL_SIMQ_QUEUES; q++)
        want(h, ctx, q);
}

static void
on_answer(struct hand *h, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct call call;
    const struct sl_m_queue_answer *m = SL_BODY(msg, queue_answer);
    if (!take_call(h, msg->request, &call))
        return;
    if (call.kind == CALL_PUT)
        take_puts(h, ctx, &call, m);
    else if (call.kind == CALL_END)
        take_end(h, ctx, &call, m);
}

static void
hand_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct hand *h = self;
    struct call call;
    switch (msg->id) {
    case SL_M_timer:
        if (SL_BODY(msg, timer)->token == TOKEN_TURN)
            on_turn(h, ctx);
        else
            end_one(h, ctx, SL_BODY(msg, timer)->token);
        break;
    case SL_M_peer_up:
        on_up(h, ctx);
        break;
    case SL_M_peer_down:
        h->is_up = false;
        give_up_calls(h, ctx, UINT64_MAX);
        break;
    case SL_M_queue_answer:
        on_answer(h, ctx, msg);
        break;
    case SL_M_queue_leased:
        on_leased(h, ctx, SL_BODY(msg, queue_leased));
        break;
    case SL_M_undelivered: /* A link was full, or there is none any more. */
        if (take_call(h, msg->request, &call))
            give_up(h, ctx, &call, true);
        break;
    default:
        break;
    }
}

static void
hand_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct hand *h = self;
    h->self = argument;
    h->own = h->self->own;
    h->is_worker = h->self->index >= SL_SIMQ_PRODUCERS;
    sl_after(ctx, SL_MILLI_NS + sl_random_below(ctx->random, TURN_NS), TOKEN_TURN);
}

const struct sl_actor_class sl_simq_hand_class = {
    .name = "hand",
    .state_size = sizeof(struct hand),
    .init = hand_init,
    .handle = hand_handle,
};
