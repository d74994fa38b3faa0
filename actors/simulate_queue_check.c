/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_queue_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "actors/broker.h"
#include "queue/finish.h"
#include "runtime/alloc.h"

#define LAPSE_NS (100 * SL_MILLI_NS) /* A lease is over so long after its time at the latest. */
#define NO_ONE   SL_SIMQ_TASKS

void
sl_simq_fail(struct sl_simq_check *c, const char *format, ...)
{
    va_list args;
    if (!c->is_ok)
        return;
    c->is_ok = false;
    va_start(args, format);
    vsnprintf(c->failure, sizeof(c->failure), format, args);
    va_end(args);
}

void
sl_simq_check_init(struct sl_simq_check *c, const struct sl_simq_plan *plan)
{
    *c = (struct sl_simq_check){.plan = plan, .is_ok = true};
    for (uint32_t i = 0; i < SL_SIMQ_QUEUES; i++)
        c->lanes[i].able_ns = UINT64_MAX;
}

void
sl_simq_check_deinit(struct sl_simq_check *c)
{
    for (uint32_t i = 0; i < SL_SIMQ_QUEUES; i++)
        sl_free(c->lanes[i].begun);
    for (uint32_t i = 0; i <= SL_SIMQ_GATES; i++)
        sl_free(c->gates[i].begun);
    sl_free(c->credits);
}

static uint32_t
number_of(const struct sl_simq_check *c, const struct sl_simq_state *t)
{
    return (uint32_t)(t - c->states);
}

uint32_t
sl_simq_by_id(const struct sl_simq_check *c, uint64_t task_id)
{
    uint32_t i = 0;
    while (i < SL_SIMQ_TASKS && (c->states[i].put == SL_SIMQ_NO || c->states[i].task_id != task_id))
        i++;
    return i;
}

/* It may have been given up for its crashes, which are not all told. */
static bool
may_be_quarantined(const struct sl_simq_state *t, uint64_t now_ns)
{
    bool has_lapsed = t->epoch != 0 && t->until_ns <= now_ns;
    return t->crashes_most + has_lapsed >= SL_QUEUE_CRASHES_MAX;
}

/* ---- who wants what -------------------------------------------------------------------------- */

static bool
is_open(const struct sl_simq_lane *lane)
{
    return lane->paused == SL_SIMQ_NO || (lane->paused >= SL_SIMQ_TAKEN && !lane->is_paused);
}

static void
update_able(struct sl_simq_check *c, uint64_t now_ns)
{
    uint64_t wanted[SL_SIMQ_QUEUES] = {0};
    for (uint32_t i = 0; i < c->credits_count; i++)
        wanted[c->credits[i].queue] += c->credits[i].count;
    for (uint32_t q = 0; q < SL_SIMQ_QUEUES; q++) {
        struct sl_simq_lane *lane = &c->lanes[q];
        bool is_able = c->is_up && wanted[q] > 0 && is_open(lane);
        if (!is_able)
            lane->able_ns = UINT64_MAX;
        else if (lane->able_ns == UINT64_MAX)
            lane->able_ns = now_ns;
    }
}

static struct sl_simq_credit *
credit_of(struct sl_simq_check *c, uint32_t node, uint32_t queue)
{
    for (uint32_t i = 0; i < c->credits_count; i++) {
        if (c->credits[i].node == node && c->credits[i].queue == queue)
            return &c->credits[i];
    }
    if (c->credits_count == c->credits_capacity) {
        c->credits_capacity = SL_MAX(c->credits_capacity * 2, UINT32_C(16));
        c->credits = sl_realloc(c->credits, c->credits_capacity * sizeof(c->credits[0]));
    }
    /* An end that raises a credit which the broker has forgotten does not say for how long. */
    c->credits[c->credits_count] =
        (struct sl_simq_credit){.node = node, .queue = queue, .lease_ns = SL_BROKER_LEASE_NS};
    return &c->credits[c->credits_count++];
}

void
sl_simq_saw_want(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node, uint32_t queue,
                 struct sl_simq_wish wish)
{
    struct sl_simq_credit *credit = credit_of(c, node, queue);
    credit->count += wish.credit;
    if (wish.lease_ns != 0)
        credit->lease_ns = wish.lease_ns;
    update_able(c, at.ns);
}

void
sl_simq_saw_quiet(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node, uint32_t queue)
{
    struct sl_simq_credit *credit = credit_of(c, node, queue);
    *credit = c->credits[--c->credits_count];
    update_able(c, at.ns);
}

/* ---- limits ------------------------------------------------------------------------------------
 */

/* What did not begin counts for no rate of its keys; a queue's counts every lease. */
static void
forget_begun(struct sl_simq_lane *lane, uint64_t epoch)
{
    for (uint32_t i = lane->begun_count; i-- > 0;) {
        if (lane->begun[i].epoch != epoch)
            continue;
        lane->begun_count--;
        memmove(&lane->begun[i], &lane->begun[i + 1],
                (lane->begun_count - i) * sizeof(lane->begun[0]));
        return;
    }
}

static void
forget_lease(struct sl_simq_check *c, const struct sl_simq_state *t, uint64_t epoch)
{
    forget_begun(&c->gates[c->plan->tasks[number_of(c, t)].gate], epoch);
}

/* Whether of those that began none is too many in any time that ends now. */
static bool
keeps_rate(struct sl_simq_lane *lane, const struct sl_rate *rate, struct sl_simq_begun begun)
{
    if (lane->begun_count == lane->begun_capacity) {
        lane->begun_capacity = SL_MAX(lane->begun_capacity * 2, UINT32_C(64));
        lane->begun = sl_realloc(lane->begun, lane->begun_capacity * sizeof(lane->begun[0]));
    }
    lane->begun[lane->begun_count++] = begun;
    for (uint32_t i = lane->begun_count, count = 1; i-- > 0; count++) {
        double passed = (double)(begun.at_ns - lane->begun[i].at_ns) / (double)rate->period_ns;
        if (count > rate->burst + rate->count * passed + 1e-6)
            return false;
    }
    return true;
}

/* Those that lapse before they begin come back, and nobody says so. */
static void
forget_unbegun(struct sl_simq_check *c, uint64_t now_ns)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        const struct sl_simq_state *t = &c->states[i];
        if (t->epoch != 0 && t->is_unbegun && t->until_ns <= now_ns)
            forget_lease(c, t, t->epoch);
    }
}

static void
check_limits(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number, uint64_t epoch)
{
    const struct sl_simq_task *task = &c->plan->tasks[number];
    const struct sl_submit_limit *gate = &sl_simq_gates[task->gate];
    const struct sl_lane_settings *s = &sl_simq_queues[task->queue].settings;
    struct sl_rate rate = {s->rate, s->burst, s->rate_period_ms * SL_MILLI_NS};
    struct sl_simq_begun begun = {at.ns, epoch};
    uint32_t in_gate = 0, in_queue = 0;
    forget_unbegun(c, at.ns);
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        bool is_live = c->states[i].epoch != 0 && c->states[i].until_ns > at.ns;
        in_gate += is_live && c->plan->tasks[i].gate == task->gate;
        in_queue += is_live && c->plan->tasks[i].queue == task->queue;
    }
    if (task->gate != 0 && in_gate > gate->limit)
        sl_simq_fail(c, "limit: task %u makes %u that run with one key, which allows %" PRId64,
                     number, in_gate, gate->limit);
    if (s->running_max != 0 && in_queue > s->running_max)
        sl_simq_fail(c, "limit: task %u makes %u that run of queue %u, which allows %u", number,
                     in_queue, task->queue, s->running_max);
    if (c->is_rate_free)
        return;
    if (s->rate != 0 && !keeps_rate(&c->lanes[task->queue], &rate, begun))
        sl_simq_fail(c, "rate: task %u begins before the rate of queue %u allows it", number,
                     task->queue);
    if (gate->rate.count != 0 && !keeps_rate(&c->gates[task->gate], &gate->rate, begun))
        sl_simq_fail(c, "rate: task %u begins before the rate of its key allows it", number);
}

/* ---- puts --------------------------------------------------------------------------------------
 */

static struct sl_simq_state *
holder_of(struct sl_simq_check *c, uint32_t number)
{
    uint32_t name = c->plan->tasks[number].name;
    return name == 0 || c->holders[name] == 0 ? NULL : &c->states[c->holders[name] - 1];
}

static bool
must_hold(const struct sl_simq_check *c, const struct sl_simq_state *h, uint64_t now_ns)
{
    bool is_for_good = c->plan->tasks[number_of(c, h)].mode == SL_DEDUP_TTL;
    bool has_ended =
        h->end != SL_SIMQ_NO || h->cancel != SL_SIMQ_NO || may_be_quarantined(h, now_ns);
    return h->put >= SL_SIMQ_TAKEN && (is_for_good || !has_ended);
}

/* What a death has lost may leave its number to another. */
static void
take_id(struct sl_simq_check *c, uint32_t number, uint64_t task_id)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        struct sl_simq_state *other = &c->states[i];
        if (i == number || other->put == SL_SIMQ_NO || other->task_id != task_id)
            continue;
        if (other->put >= SL_SIMQ_TAKEN)
            sl_simq_fail(c, "twice: tasks %u and %u are the same one", i, number);
        other->put = SL_SIMQ_NO;
    }
}

static void
saw_again(struct sl_simq_check *c, uint32_t number, const struct sl_put_result *result)
{
    struct sl_simq_state *h = holder_of(c, number);
    c->counts.repeats++;
    if (h == NULL || h->put == SL_SIMQ_NO || h->task_id != result->task_id) {
        sl_simq_fail(c, "key: a put of task %u is told of a task that does not hold its key",
                     number);
        return;
    }
    if (h->put == SL_SIMQ_MAYBE)
        h->put = SL_SIMQ_TAKEN;
    c->states[number].is_merged = h != &c->states[number];
}

void
sl_simq_saw_put(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number,
                const struct sl_put_result *result)
{
    struct sl_simq_state *t = &c->states[number], *h = holder_of(c, number);
    const struct sl_simq_task *task = &c->plan->tasks[number];
    if (result->err != SL_OK)
        return;
    if (result->is_existing) {
        saw_again(c, number, result);
        return;
    }
    c->counts.puts++;
    if (h != NULL && must_hold(c, h, at.ns))
        sl_simq_fail(c, "key: task %u is put while task %u holds its key", number, number_of(c, h));
    else if (t->put >= SL_SIMQ_TAKEN)
        sl_simq_fail(c, "twice: task %u is put again", number);
    *t = (struct sl_simq_state){.put = SL_SIMQ_TAKEN,
                                .is_asked = true,
                                .task_id = result->task_id,
                                .due_ms = task->delay_ms == 0 ? 0 : at.ms + task->delay_ms,
                                .back_ns = at.ns};
    take_id(c, number, result->task_id);
    c->holders[task->name] = task->name == 0 ? 0 : number + 1;
}

/* An answer has arrived. */
static void
tell(enum sl_simq_fact *fact, struct sl_simq_told *last, struct sl_simq_told told)
{
    bool is_sure =
        *fact == SL_SIMQ_TAKEN || (*fact == SL_SIMQ_MAYBE && told.level == SL_LEVEL_DISK);
    if (*fact == SL_SIMQ_SURE && last->level == SL_LEVEL_DISK)
        return;
    if (is_sure)
        *fact = SL_SIMQ_SURE;
    *last = told;
}

void
sl_simq_told_put(struct sl_simq_check *c, struct sl_simq_told told, uint32_t number,
                 const struct sl_put_result *result)
{
    struct sl_simq_state *t = &c->states[number];
    if (result->is_existing)
        t = holder_of(c, number);
    bool is_it = t != NULL && t->put != SL_SIMQ_NO && t->task_id == result->task_id;
    if (is_it)
        tell(&t->put, &t->put_told, told);
    else if (told.level == SL_LEVEL_DISK)
        sl_simq_fail(c, "lost: the put of task %u was answered, and is gone", number);
}

/* ---- leases ------------------------------------------------------------------------------------
 */

/* What a lease shows of the time before a death: what may be undone is, or is not. */
static void
settle_doubts(struct sl_simq_state *t)
{
    if (t->put == SL_SIMQ_MAYBE)
        t->put = SL_SIMQ_SURE; /* It is from the log. */
    if (t->end == SL_SIMQ_MAYBE)
        t->end = SL_SIMQ_NO;
    if (t->cancel == SL_SIMQ_MAYBE)
        t->cancel = SL_SIMQ_NO;
}

static void
check_lease(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number,
            const struct sl_lease *lease)
{
    struct sl_simq_state *t = &c->states[number];
    const struct sl_simq_lane *lane = &c->lanes[c->plan->tasks[number].queue];
    bool has_lapsed = t->epoch != 0 && at.ns >= t->until_ns;
    t->crashes_most += has_lapsed;
    c->counts.lost += has_lapsed;
    if (t->put == SL_SIMQ_NO)
        sl_simq_fail(c, "task %u is leased, and no put of it was taken", number);
    if (t->end >= SL_SIMQ_TAKEN)
        sl_simq_fail(c, "resurrected: task %u is leased after its end", number);
    if (t->cancel >= SL_SIMQ_TAKEN)
        sl_simq_fail(c, "resurrected: task %u is leased after it was cancelled", number);
    if (SL_MAX(at.ms, c->most_ms) < t->due_ms)
        sl_simq_fail(c, "early: task %u is leased %" PRIu64 " ms before its time", number,
                     t->due_ms - at.ms);
    if (t->epoch != 0 && !has_lapsed)
        sl_simq_fail(c, "held: task %u is leased while node %u holds it", number, t->node);
    if (lease->epoch <= t->epoch_last)
        sl_simq_fail(c, "task %u: epoch %" PRIu64 " comes after %" PRIu64, number, lease->epoch,
                     t->epoch_last);
    if (lane->paused >= SL_SIMQ_TAKEN && lane->is_paused)
        sl_simq_fail(c, "paused: task %u is leased from a queue that is paused", number);
    if (lease->attempts < t->attempts_sure || lease->attempts > t->attempts_most)
        sl_simq_fail(c, "task %u counts %u attempts; there were %u to %u", number, lease->attempts,
                     t->attempts_sure, t->attempts_most);
    if (lease->crashes > t->crashes_most && !c->is_unread)
        sl_simq_fail(c, "task %u counts %u crashes; there were %u at most", number, lease->crashes,
                     t->crashes_most);
}

void
sl_simq_saw_lease(struct sl_simq_check *c, struct sl_simq_at at, uint32_t queue,
                  const struct sl_lease *lease, struct sl_simq_holder holder)
{
    uint32_t number = sl_simq_number(lease->payload);
    struct sl_simq_credit *credit = credit_of(c, holder.node, queue);
    if (number == NO_ONE || c->plan->tasks[number].queue != queue) {
        sl_simq_fail(c, "a lease of queue %u has a payload that nobody put there", queue);
        return;
    }
    struct sl_simq_state *t = &c->states[number];
    check_lease(c, at, number, lease);
    settle_doubts(t);
    c->counts.leases++;
    t->task_id = lease->task_id;
    t->epoch = t->epoch_last = lease->epoch;
    t->node = holder.node;
    t->is_unbegun = holder.tells_begun;
    t->since_ns = at.ns;
    t->until_ns = at.ns + credit->lease_ns;
    t->attempts_sure = t->attempts_most = t->attempts = lease->attempts;
    t->crashes_most = t->crashes = lease->crashes;
    check_limits(c, at, number, lease->epoch);
    credit->count -= SL_MIN(credit->count, UINT64_C(1));
    update_able(c, at.ns);
}

void
sl_simq_saw_begun(struct sl_simq_check *c, uint64_t task_id, uint64_t epoch)
{
    uint32_t number = sl_simq_by_id(c, task_id);
    if (number != NO_ONE && c->states[number].epoch == epoch)
        c->states[number].is_unbegun = false;
}

void
sl_simq_saw_extend(struct sl_simq_check *c, uint64_t task_id, uint64_t epoch, uint64_t until_ns)
{
    uint32_t number = sl_simq_by_id(c, task_id);
    if (number == NO_ONE || c->states[number].epoch != epoch) {
        sl_simq_fail(c, "stale: a lease of epoch %" PRIu64 " is extended, and is none", epoch);
        return;
    }
    c->states[number].until_ns = SL_MAX(c->states[number].until_ns, until_ns);
}

static void
give_back(struct sl_simq_check *c, struct sl_simq_at at, struct sl_simq_state *t, bool is_counted)
{
    if (is_counted)
        t->crashes_most = t->crashes + 1;
    if (!is_counted || t->is_unbegun)
        forget_lease(c, t, t->epoch);
    /* Unless it had lapsed by then. */
    if (t->until_ns <= at.ns)
        t->crashes_most = t->crashes + 1;
    c->counts.lost += is_counted;
    t->epoch = 0;
    t->back_ns = at.ns;
}

void
sl_simq_saw_back(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node, bool is_counted)
{
    for (uint32_t i = c->credits_count; i-- > 0;) {
        if (c->credits[i].node == node)
            c->credits[i] = c->credits[--c->credits_count];
    }
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        if (c->states[i].epoch != 0 && c->states[i].node == node)
            give_back(c, at, &c->states[i], is_counted);
    }
    update_able(c, at.ns);
}

/* ---- ends --------------------------------------------------------------------------------------
 */

static bool
is_stale(const struct sl_simq_check *c, struct sl_simq_at at, const struct sl_simq_state *t,
         uint64_t epoch)
{
    bool was_stalled = c->stalled_until_ns + LAPSE_NS > t->until_ns;
    return t->epoch != epoch || (at.ns > t->until_ns + LAPSE_NS && !was_stalled);
}

/* Its next run is put off; a death may undo that. */
static void
put_off(struct sl_simq_state *t, uint64_t until_ms, uint64_t epoch)
{
    t->due_before_ms = t->due_ms;
    t->due_ms = until_ms;
    t->due = SL_SIMQ_TAKEN;
    t->due_told = (struct sl_simq_told){0};
    t->epoch_due = epoch;
}

static void
take_end(struct sl_simq_check *c, struct sl_simq_at at, struct sl_simq_state *t,
         const struct sl_end_item *item)
{
    bool is_last = t->attempts + 1 >= SL_SIMQ_ATTEMPTS;
    t->epoch = 0;
    t->back_ns = at.ns;
    switch (item->kind) {
    case SL_END_FAILED:
        t->attempts_most = t->attempts_failed = t->attempts + 1;
        t->epoch_failed = item->epoch;
        put_off(t, at.ms + (item->after_ms != 0 ? item->after_ms : SL_SIMQ_PAUSE_MS), item->epoch);
        if (!is_last)
            return;
        c->counts.failed++;
        break;
    case SL_END_SNOOZED:
        put_off(t, at.ms + item->after_ms, item->epoch);
        return;
    case SL_END_RELEASED:
        forget_lease(c, t, item->epoch);
        return;
    default:
        c->counts.done++;
        break;
    }
    t->end = SL_SIMQ_TAKEN;
    t->end_state = item->kind == SL_END_DONE ? SL_STATE_SUCCEEDED : SL_STATE_DEAD;
    t->end_told = (struct sl_simq_told){0};
    t->epoch_end = item->epoch;
}

void
sl_simq_saw_end(struct sl_simq_check *c, struct sl_simq_at at, const struct sl_end_item *item,
                enum sl_err err)
{
    uint32_t number = sl_simq_by_id(c, item->task_id);
    c->counts.stale += err == SL_ESTALE;
    if (err != SL_OK)
        return;
    if (number == NO_ONE) {
        sl_simq_fail(c, "stale: an end of a task that is not there counts");
        return;
    }
    struct sl_simq_state *t = &c->states[number];
    if (t->end >= SL_SIMQ_TAKEN)
        sl_simq_fail(c, "twice: a second end of task %u counts", number);
    if (is_stale(c, at, t, item->epoch))
        sl_simq_fail(
            c, "stale: an end of task %u with epoch %" PRIu64 " counts, and %" PRIu64 " is live",
            number, item->epoch, t->epoch);
    take_end(c, at, t, item);
    update_able(c, at.ns);
}

/* An attempt that was told to count does. */
static void
told_failure(struct sl_simq_check *c, struct sl_simq_told told, uint32_t number,
             const struct sl_end_item *item)
{
    struct sl_simq_state *t = &c->states[number];
    if (t->epoch_failed != item->epoch || told.level != SL_LEVEL_DISK)
        return;
    if (t->attempts_most < t->attempts_failed)
        sl_simq_fail(c, "lost: the failure of task %u was answered, and does not count", number);
    t->attempts_sure = SL_MAX(t->attempts_sure, t->attempts_failed);
}

void
sl_simq_told_end(struct sl_simq_check *c, struct sl_simq_told told, uint32_t number,
                 const struct sl_end_item *item)
{
    struct sl_simq_state *t = &c->states[number];
    if (item->kind == SL_END_FAILED)
        told_failure(c, told, number, item);
    if (t->epoch_due == item->epoch)
        tell(&t->due, &t->due_told, told);
    if (item->kind != SL_END_DONE && (item->kind != SL_END_FAILED || t->epoch_end != item->epoch))
        return;
    if (t->end != SL_SIMQ_NO && t->epoch_end == item->epoch)
        tell(&t->end, &t->end_told, told);
    else if (told.level == SL_LEVEL_DISK)
        sl_simq_fail(c, "lost: the end of task %u was answered, and is undone", number);
}

/* ---- operators ---------------------------------------------------------------------------------
 */

void
sl_simq_saw_cancel(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number)
{
    struct sl_simq_state *t = &c->states[number];
    c->counts.canceled++;
    if (t->end >= SL_SIMQ_TAKEN)
        sl_simq_fail(c, "twice: task %u is cancelled after its end", number);
    t->cancel = SL_SIMQ_TAKEN;
    t->cancel_told = (struct sl_simq_told){0};
    if (t->epoch != 0 && t->until_ns <= at.ns)
        t->crashes_most++;
    t->epoch = 0;
    if (t->put == SL_SIMQ_MAYBE)
        t->put = SL_SIMQ_SURE;
    t->end = SL_SIMQ_NO;
}

void
sl_simq_told_cancel(struct sl_simq_check *c, uint64_t at_ns, uint32_t number)
{
    struct sl_simq_state *t = &c->states[number];
    if (t->cancel == SL_SIMQ_NO)
        sl_simq_fail(c, "lost: task %u was told to be cancelled, and is not", number);
    else
        tell(&t->cancel, &t->cancel_told, (struct sl_simq_told){.at_ns = at_ns});
}

void
sl_simq_saw_mode(struct sl_simq_check *c, struct sl_simq_at at, uint32_t queue, bool is_paused)
{
    c->lanes[queue].paused = SL_SIMQ_TAKEN;
    c->lanes[queue].is_paused = is_paused;
    update_able(c, at.ns);
}

void
sl_simq_told_mode(struct sl_simq_check *c, uint32_t queue, bool is_paused)
{
    if (c->lanes[queue].is_paused == is_paused)
        c->lanes[queue].paused = SL_SIMQ_SURE;
}

/* ---- the head ----------------------------------------------------------------------------------
 */

void
sl_simq_saw_boot(struct sl_simq_check *c, struct sl_simq_at at)
{
    c->is_up = true;
    c->stall_ns = c->stalled_until_ns = 0;
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++)
        c->states[i].back_ns = at.ns;
}

void
sl_simq_saw_skew(struct sl_simq_check *c, struct sl_simq_at at)
{
    c->most_ms = SL_MAX(c->most_ms, at.ms);
}

void
sl_simq_saw_stall(struct sl_simq_check *c, uint64_t at_ns, uint64_t duration_ns)
{
    if (at_ns > c->stalled_until_ns)
        c->stall_ns = at_ns;
    c->stalled_until_ns = SL_MAX(c->stalled_until_ns, at_ns + duration_ns);
}

/* What was only taken may be undone now, and so may what was told at a level that promises no more.
 */
static void
doubt(enum sl_simq_fact *fact, const struct sl_simq_told *told, uint64_t weak_ns,
      bool is_power_loss)
{
    bool is_weak = told->level == SL_LEVEL_RAM || (told->level == SL_LEVEL_OS && is_power_loss);
    bool is_lost = *fact == SL_SIMQ_SURE && is_weak && told->at_ns >= weak_ns;
    if (*fact == SL_SIMQ_TAKEN || is_lost)
        *fact = SL_SIMQ_MAYBE;
}

void
sl_simq_saw_death(struct sl_simq_check *c, struct sl_simq_at at, bool is_power_loss)
{
    c->most_ms = SL_MAX(c->most_ms, at.ms); /* A snapshot may have what was due by that clock. */
    /* Who stands still syncs nothing. */
    uint64_t since_ns = at.ns < c->stalled_until_ns + SL_SIMQ_WEAK_NS ? c->stall_ns : at.ns;
    uint64_t weak_ns = since_ns - SL_MIN(since_ns, SL_SIMQ_WEAK_NS);
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        struct sl_simq_state *t = &c->states[i];
        if (t->epoch != 0 && t->until_ns <= at.ns)
            t->crashes_most++;
        t->epoch = 0;
        doubt(&t->put, &t->put_told, weak_ns, is_power_loss);
        doubt(&t->end, &t->end_told, weak_ns, is_power_loss);
        doubt(&t->cancel, &t->cancel_told, weak_ns, is_power_loss);
        doubt(&t->due, &t->due_told, weak_ns, is_power_loss);
        if (t->due == SL_SIMQ_MAYBE) {
            t->due = SL_SIMQ_NO;
            t->due_ms = t->due_before_ms;
        }
    }
    for (uint32_t q = 0; q < SL_SIMQ_QUEUES; q++) {
        c->lanes[q].begun_count = 0;
        if (c->lanes[q].paused == SL_SIMQ_TAKEN)
            c->lanes[q].paused = SL_SIMQ_MAYBE;
    }
    for (uint32_t g = 0; g <= SL_SIMQ_GATES; g++)
        c->gates[g].begun_count = 0;
    c->credits_count = 0;
    c->is_up = false;
    update_able(c, at.ns);
}

/* ---- looking -----------------------------------------------------------------------------------
 */

/* Since when a task of a queue without limits waits for nothing but a lease; UINT64_MAX: it does
 * not. */
static uint64_t
waits_since(const struct sl_simq_check *c, struct sl_simq_at at, uint32_t number)
{
    const struct sl_simq_state *t = &c->states[number];
    const struct sl_simq_lane *lane = &c->lanes[c->plan->tasks[number].queue];
    bool has_lapsed = t->epoch != 0 && t->until_ns <= at.ns;
    if (t->put < SL_SIMQ_TAKEN || t->end != SL_SIMQ_NO || t->cancel != SL_SIMQ_NO ||
        (t->epoch != 0 && !has_lapsed) || may_be_quarantined(t, at.ns) || at.ms < t->due_ms ||
        lane->able_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t since_ns = SL_MAX(lane->able_ns, SL_MAX(t->back_ns, has_lapsed ? t->until_ns : 0));
    uint64_t due_ns = at.ns - SL_MIN(at.ns, (at.ms - t->due_ms) * SL_MILLI_NS);
    return SL_MAX(SL_MAX(since_ns, c->stalled_until_ns), t->due_ms == 0 ? 0 : due_ns);
}

void
sl_simq_check_waits(struct sl_simq_check *c, struct sl_simq_at at)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        if (c->plan->tasks[i].queue != 0 || c->is_unread)
            continue;
        uint64_t since_ns = waits_since(c, at, i);
        if (since_ns < at.ns - SL_MIN(at.ns, SL_SIMQ_IDLE_NS))
            sl_simq_fail(c, "idle: task %u waits for %" PRIu64 " ms, and a worker of its queue too",
                         i, (at.ns - since_ns) / SL_MILLI_NS);
    }
}

void
sl_simq_saw_rest(struct sl_simq_check *c, uint32_t number, uint64_t task_id, enum sl_state state)
{
    struct sl_simq_state *t = &c->states[number];
    if (t->found++ > 0)
        sl_simq_fail(c, "twice: task %u is there twice", number);
    if (t->put != SL_SIMQ_NO && t->task_id != task_id)
        sl_simq_fail(c, "twice: task %u is there, and is another one", number);
    if (!t->is_asked)
        sl_simq_fail(c, "task %u is there, and nobody put it", number);
    t->found_state = state;
}

static void
check_found(struct sl_simq_check *c, uint32_t number)
{
    const struct sl_simq_state *t = &c->states[number];
    bool is_done = t->found_state == SL_STATE_SUCCEEDED;
    if ((UINT32_C(1) << t->found_state & SL_ENDED) == 0)
        sl_simq_fail(c, "stuck: task %u is %s", number, sl_state_name(t->found_state));
    if (t->end == SL_SIMQ_SURE && t->found_state != t->end_state)
        sl_simq_fail(c, "lost: task %u ended as %s, and is %s", number, sl_state_name(t->end_state),
                     sl_state_name(t->found_state));
    if (t->cancel == SL_SIMQ_SURE && t->end == SL_SIMQ_NO && t->found_state != SL_STATE_CANCELED)
        sl_simq_fail(c, "lost: task %u was cancelled, and is %s", number,
                     sl_state_name(t->found_state));
    if (is_done && t->end == SL_SIMQ_NO)
        sl_simq_fail(c, "task %u is done, and nobody did it", number);
    if (t->found_state == SL_STATE_CANCELED && t->cancel == SL_SIMQ_NO)
        sl_simq_fail(c, "task %u is cancelled, and nobody did it", number);
    if (t->found_state == SL_STATE_DEAD && t->end == SL_SIMQ_NO && !c->is_damaged)
        sl_simq_fail(c, "task %u is dead after %u attempts", number, t->attempts_most);
    if (t->found_state == SL_STATE_QUARANTINED && !may_be_quarantined(t, UINT64_MAX) &&
        !c->is_unread)
        sl_simq_fail(c, "task %u is quarantined after %u crashes", number, t->crashes_most);
}

void
sl_simq_check_rest(struct sl_simq_check *c)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        const struct sl_simq_state *t = &c->states[i];
        bool is_forgotten = t->end != SL_SIMQ_NO && t->end_state == SL_STATE_SUCCEEDED &&
                            !c->plan->tasks[i].is_kept;
        if (t->found > 0)
            check_found(c, i);
        else if (t->put == SL_SIMQ_SURE && !is_forgotten)
            sl_simq_fail(c, "lost: task %u was acknowledged and is gone", i);
    }
}
