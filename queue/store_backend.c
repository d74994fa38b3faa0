/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/store_backend.h"

#include <inttypes.h>
#include <string.h>

#include "queue/body.h"
#include "queue/events.h"
#include "queue/finish.h"
#include "queue/lane.h"
#include "queue/retry.h"
#include "queue/sweep.h"
#include "queue/task.h"
#include "queue/trail.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define ROOM_NS    (10 * SL_MILLI_NS)
#define REFUSED_MS 1000
#define LOSE_MAX   512 /* Leases that one call ends, in one transaction. */
#define DAY_MS     UINT64_C(86400000)

static struct sl_store_backend *
self_of(struct sl_backend *b)
{
    return SL_CONTAINER(b, struct sl_store_backend, backend);
}

/* ---- transactions -------------------------------------------------------------------------- */

static struct sl_txn *
begin(struct sl_store_backend *self)
{
    return self->txn != NULL ? self->txn : sl_store_begin(self->options.store);
}

static enum sl_err
commit(struct sl_store_backend *self, struct sl_txn *txn)
{
    return txn == self->txn ? SL_OK : sl_txn_commit(&txn);
}

/* The event at hand joins the transaction. */
static void
stage(struct sl_store_backend *self, struct sl_txn *txn, struct sl_scope scope)
{
    if (self->event.size > 0)
        sl_txn_event(txn, self->options.projection, scope, sl_buf_slice(&self->event));
}

static enum sl_err
stage_alone(struct sl_store_backend *self, struct sl_scope scope)
{
    struct sl_txn *txn = begin(self);
    stage(self, txn, scope);
    return commit(self, txn);
}

static bool
is_there(const struct sl_store_backend *self, struct sl_queue_name queue)
{
    uint64_t ready;
    return sl_lane_name_is_valid(queue.name) &&
           sl_queue_ready(self->options.queue, queue.scope, SL_CLASS_OWN, sl_lane_hash(queue.name),
                          &ready);
}

static enum sl_err
find_queue(const struct sl_store_backend *self, struct sl_queue_name queue,
           struct sl_queue_depth *ret_depth)
{
    if (!sl_lane_name_is_valid(queue.name))
        return SL_ENOTFOUND;
    return sl_queue_depth(self->options.queue, queue.scope, SL_CLASS_OWN, sl_lane_hash(queue.name),
                          ret_depth);
}

/* ---- putting ------------------------------------------------------------------------------- */

/* What a refused commit means for those that were staged. */
static void
refuse(struct sl_put_result *results, uint32_t count, enum sl_err err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].err == SL_OK)
            results[i] = (struct sl_put_result){.err = err};
    }
}

/* The disk is asked now and then: each time would be a system call. */
static bool
is_low_now(struct sl_store_backend *self, uint64_t now_ns)
{
    if (now_ns < self->room_ns)
        return self->is_low;
    self->room_ns = now_ns + ROOM_NS;
    self->is_low = sl_store_is_low(self->options.store);
    return self->is_low;
}

static struct sl_submit
submit_of(struct sl_when when, struct sl_queue_name queue, const struct sl_put_item *item)
{
    return (struct sl_submit){.scope = queue.scope,
                              .class = SL_CLASS_OWN,
                              .queue = queue.name,
                              .now_ms = when.now_ms,
                              .priority = item->priority,
                              .delay_ms = (int64_t)SL_MIN(item->delay_ms, (uint64_t)INT64_MAX),
                              .expires_ms = (int64_t)SL_MIN(item->expires_ms, (uint64_t)INT64_MAX),
                              .retain_ms = (int64_t)SL_MIN(item->retain_ms, (uint64_t)INT64_MAX),
                              .policy = item->policy,
                              .payload = item->payload,
                              .key = item->key,
                              .limits = item->limits,
                              .limits_count = item->limits_count};
}

/* The events so far join a transaction. */
static enum sl_err
commit_events(struct sl_store_backend *self)
{
    struct sl_txn *txn = begin(self);
    sl_events_stage(&self->event, txn, self->options.projection);
    self->batch.puts = 0;
    if (self->batch.keys_count > 0 || self->batch.is_closed)
        self->batch = (struct sl_submit_batch){0};
    return commit(self, txn);
}

static enum sl_err
store_put(struct sl_backend *b, struct sl_when when, struct sl_queue_name queue,
          const struct sl_put_item *items, uint32_t count, struct sl_put_result *ret_results)
{
    struct sl_store_backend *self = self_of(b);
    sl_queue_clock(self->options.queue, when.now_ns);
    enum sl_err err = SL_OK;
    if (count == 0 || count > SL_PUT_ITEMS_MAX)
        return SL_EINVAL;
    if (!is_there(self, queue))
        return SL_ENOTFOUND;
    bool is_low = is_low_now(self, when.now_ns);
    uint32_t committed = 0;
    sl_assert(self->txn == NULL);
    sl_buf_clear(&self->event);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_submit item = submit_of(when, queue, &items[i]);
        struct sl_submitted got = {.err = SL_ENOSPC, .code = "disk_full"};
        /* It may need to see what became of those before. */
        while (!is_low &&
               !sl_queue_submit(self->options.queue, &self->batch, &item, &self->event, &got)) {
            err = commit_events(self);
            if (err != SL_OK)
                refuse(ret_results + committed, i - committed, err);
            committed = i;
        }
        ret_results[i] = (struct sl_put_result){got.err,   got.code,        got.task_id,
                                                got.state, got.is_existing, got.is_replaced};
    }
    err = commit_events(self);
    if (err != SL_OK)
        refuse(ret_results + committed, count - committed, err);
    return SL_OK;
}

/* ---- leasing ------------------------------------------------------------------------------- */

/* A payload that cannot be read as it was written: its task is dead, and says so. */
static void
kill_damaged(struct sl_store_backend *self, uint64_t now_ms, const struct sl_lease *lease)
{
    struct sl_task_end end = {.task_id = lease->task_id,
                              .ended_ms = now_ms,
                              .state = SL_STATE_DEAD,
                              .bytes = sl_slice_str("payload_damaged")};
    sl_buf_clear(&self->event);
    sl_queue_event_kill(&self->event, &end);
    if (stage_alone(self, lease->scope) != SL_OK)
        sl_report_error("settle-failed", "task=%" PRIu64, lease->task_id); /* It lapses. */
}

/* SL_OK; or the task is not handed out: one that was damaged is dead, and others may be fine. */
static enum sl_err
take_payload(struct sl_store_backend *self, uint64_t now_ms, struct sl_lease *lease,
             struct sl_buf *payloads)
{
    struct sl_slice bytes;
    enum sl_err err = sl_body_read(self->options.store, lease->body, &bytes);
    if (err == SL_ECORRUPT || err == SL_ENOTFOUND)
        kill_damaged(self, now_ms, lease);
    if (err != SL_OK)
        return err;
    sl_buf_append_slice(payloads, bytes);
    lease->payload.size = bytes.size;
    return SL_OK;
}

/* Payloads lie one behind the other; the buffer has moved while it grew. */
static void
lend_payloads(struct sl_lease *leases, uint32_t count, const struct sl_buf *payloads, size_t from)
{
    for (uint32_t i = 0; i < count; i++) {
        leases[i].payload.data = payloads->data == NULL ? NULL : payloads->data + from;
        from += leases[i].payload.size;
    }
}

/* Whether the next lease of this call, if there is one, is still within its bytes. */
static bool
next_fits(const struct sl_store_backend *self, const struct sl_lease_want *want, size_t used,
          size_t bytes_max)
{
    const struct sl_queue *q = self->options.queue;
    const struct sl_lane *lane =
        sl_lane_lookup(q, (struct sl_lane_key){want->scope, want->class, want->lane});
    uint32_t slot = lane == NULL ? SL_NONE : sl_lane_next(q, lane, want->now_ms);
    return slot == SL_NONE || (used < bytes_max && sl_task_at(q, slot)->size <= bytes_max - used);
}

static enum sl_err
store_lease(struct sl_backend *b, struct sl_when when, struct sl_queue_name queue,
            const struct sl_lease_ask *ask, struct sl_buf *payloads, struct sl_lease *ret_leases,
            uint32_t *ret_count)
{
    struct sl_store_backend *self = self_of(b);
    enum sl_err err = SL_OK;
    *ret_count = 0;
    if (!is_there(self, queue))
        return SL_ENOTFOUND;
    struct sl_lease_want want = {.class = SL_CLASS_OWN,
                                 .scope = queue.scope,
                                 .lane = sl_lane_hash(queue.name),
                                 .holder = ask->holder,
                                 .now_ns = when.now_ns,
                                 .now_ms = when.now_ms,
                                 .duration_ns = ask->duration_ns,
                                 .is_prefetched = ask->is_prefetched};
    size_t from = payloads->size;
    uint32_t count = 0;
    /* A disk that cannot be read in passing ends it: the task lapses, and is tried again. */
    while ((err == SL_OK || err == SL_ECORRUPT || err == SL_ENOTFOUND) && count < ask->max &&
           (count == 0 || next_fits(self, &want, payloads->size - from, ask->bytes_max)) &&
           sl_queue_lease(self->options.queue, &want, &ret_leases[count])) {
        err = take_payload(self, when.now_ms, &ret_leases[count], payloads);
        count += err == SL_OK;
    }
    lend_payloads(ret_leases, count, payloads, from);
    *ret_count = count;
    return SL_OK;
}

/* ---- ending -------------------------------------------------------------------------------- */

/* Other than well, as its policy says. Leaves the event; none where it did not begin. */
static enum sl_err
finish(struct sl_store_backend *self, uint64_t now_ms, const struct sl_lease *lease,
       const struct sl_end_item *item)
{
    static const enum sl_run_end ends[] = {[SL_END_FAILED] = SL_RUN_FAILED,
                                           [SL_END_CRASHED] = SL_RUN_CRASHED,
                                           [SL_END_SNOOZED] = SL_RUN_SNOOZED,
                                           [SL_END_RELEASED] = SL_RUN_RELEASED};
    struct sl_run run = {.end = ends[item->kind],
                         .now_ms = now_ms,
                         .random = self->options.random,
                         .class = item->class,
                         .after_ms = item->after_ms,
                         .signal = item->signal,
                         .peak_bytes = item->peak_bytes};
    struct sl_finish finish;
    if (item->kind == SL_END_CRASHED)
        run.lines = item->bytes;
    else
        run.message = item->bytes;
    enum sl_err err = sl_queue_finish(self->options.queue, lease, &run, &self->event, &finish);
    if (err != SL_OK || finish.has_event)
        return err;
    return sl_queue_release(self->options.queue, item->task_id, item->epoch);
}

static enum sl_err
check_end(const struct sl_store_backend *self, struct sl_scope scope,
          const struct sl_end_item *item, struct sl_lease *ret_lease)
{
    enum sl_err err = sl_queue_check(self->options.queue, item->task_id, item->epoch, ret_lease);
    if (err != SL_OK)
        return err;
    if (ret_lease->scope.id != scope.id || ret_lease->class != SL_CLASS_OWN)
        return SL_ESTALE;
    if (item->kind == SL_END_DONE && item->bytes.size > SL_QUEUE_PAYLOAD_MAX)
        return SL_ETOOBIG;
    return item->kind > SL_END_RELEASED || item->after_ms > SL_TIME_MAX_MS ? SL_EINVAL : SL_OK;
}

/* Leaves the event that ends the lease; none where it is only released. */
static enum sl_err
end_one(struct sl_store_backend *self, struct sl_when when, struct sl_scope scope,
        const struct sl_end_item *item)
{
    struct sl_lease lease;
    enum sl_err err = check_end(self, scope, item, &lease);
    if (err != SL_OK)
        return err;
    if (item->served_ns > 0)
        err = sl_queue_served(self->options.queue, item->task_id, item->epoch, item->served_ns);
    if (item->kind != SL_END_DONE)
        return err != SL_OK ? err : finish(self, when.now_ms, &lease, item);
    sl_queue_event_done(&self->event, &(struct sl_task_end){.task_id = item->task_id,
                                                            .ended_ms = when.now_ms,
                                                            .bytes = item->bytes});
    return err;
}

/* The same task ended twice in one call: the second is as stale as it would be in the next one.
 * `seen` is a table of those ended so far, twice as large as it must be. Where this one is, or
 * would be. */
static uint64_t *
seen_at(struct sl_store_backend *self, uint64_t task_id)
{
    uint64_t *seen = (uint64_t *)(void *)self->seen.data;
    size_t mask = self->seen.size / sizeof(*seen) - 1;
    size_t at = (task_id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & mask;
    while (seen[at] != 0 && seen[at] != task_id)
        at = (at + 1) & mask;
    return &seen[at];
}

static void
forget_seen(struct sl_store_backend *self, uint32_t count)
{
    size_t places = 2;
    while (places < 2 * (size_t)count)
        places *= 2;
    sl_buf_clear(&self->seen);
    sl_buf_reserve(&self->seen, places * sizeof(uint64_t));
    self->seen.size = places * sizeof(uint64_t);
    memset(self->seen.data, 0, self->seen.size);
}

static enum sl_err
store_end(struct sl_backend *b, struct sl_when when, struct sl_scope scope,
          const struct sl_end_item *items, uint32_t count, enum sl_err *ret_errs)
{
    struct sl_store_backend *self = self_of(b);
    sl_queue_clock(self->options.queue, when.now_ns);
    sl_queue_wall(self->options.queue, when.now_ms);
    if (count > SL_PUT_ITEMS_MAX)
        return SL_EINVAL;
    struct sl_txn *txn = begin(self);
    if (count > 1)
        forget_seen(self, count);
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_clear(&self->event);
        uint64_t *seen = count == 1 ? NULL : seen_at(self, items[i].task_id);
        bool is_again = seen != NULL && *seen != 0;
        ret_errs[i] = is_again ? SL_ESTALE : end_one(self, when, scope, &items[i]);
        if (ret_errs[i] != SL_OK)
            continue;
        if (seen != NULL)
            *seen = items[i].task_id;
        stage(self, txn, scope);
    }
    enum sl_err err = commit(self, txn);
    for (uint32_t i = 0; err != SL_OK && i < count; i++) {
        if (ret_errs[i] == SL_OK && items[i].kind != SL_END_RELEASED)
            ret_errs[i] = err;
    }
    return SL_OK;
}

/* ---- holding ------------------------------------------------------------------------------- */

static enum sl_err
store_extend(struct sl_backend *b, struct sl_scope scope, uint64_t task_id, uint64_t epoch,
             uint64_t deadline_ns)
{
    struct sl_store_backend *self = self_of(b);
    struct sl_lease lease;
    if (sl_queue_check(self->options.queue, task_id, epoch, &lease) != SL_OK ||
        lease.scope.id != scope.id)
        return SL_ESTALE;
    return sl_queue_extend_one(self->options.queue, task_id, epoch, deadline_ns);
}

static enum sl_err
store_begin(struct sl_backend *b, struct sl_scope scope, uint64_t task_id, uint64_t epoch)
{
    struct sl_queue *q = self_of(b)->options.queue;
    struct sl_lease lease;
    if (sl_queue_check(q, task_id, epoch, &lease) != SL_OK || lease.scope.id != scope.id)
        return SL_ESTALE;
    return sl_queue_begin(q, task_id, epoch);
}

static void
store_extend_holder(struct sl_backend *b, uint64_t holder, uint64_t deadline_ns)
{
    sl_queue_extend(self_of(b)->options.queue, holder, deadline_ns);
}

static uint64_t
store_release_holder(struct sl_backend *b, uint64_t holder)
{
    return sl_queue_release_holder(self_of(b)->options.queue, holder);
}

/* ---- operators ----------------------------------------------------------------------------- */

static enum sl_err
store_set(struct sl_backend *b, struct sl_queue_name queue, const struct sl_lane_settings *settings)
{
    struct sl_store_backend *self = self_of(b);
    if (!sl_lane_name_is_valid(queue.name) || !sl_lane_settings_are_valid(settings))
        return SL_EINVAL;
    sl_buf_clear(&self->event);
    sl_queue_event_lane(&self->event, SL_CLASS_OWN, queue.name, settings);
    return stage_alone(self, queue.scope);
}

static enum sl_err
store_drop(struct sl_backend *b, struct sl_queue_name queue, bool is_forced)
{
    struct sl_store_backend *self = self_of(b);
    struct sl_queue_depth depth;
    enum sl_err err = find_queue(self, queue, &depth);
    if (err == SL_OK && !is_forced && sl_queue_depth_unfinished(&depth) > 0)
        err = SL_EBUSY;
    if (err != SL_OK)
        return err;
    sl_buf_clear(&self->event);
    sl_queue_event_drop_lane(&self->event, queue.name);
    return stage_alone(self, queue.scope);
}

static bool
is_in(enum sl_state state, uint32_t states)
{
    return (UINT32_C(1) << state & states) != 0;
}

static uint64_t
due_ms(struct sl_when when, const struct sl_order_edit *edit)
{
    return edit->delay_ms == 0 ? 0 : SL_MIN(when.now_ms + edit->delay_ms, SL_TIME_MAX_MS);
}

static enum sl_err
order_edit(struct sl_store_backend *self, struct sl_when when, const struct sl_task_info *info,
           enum sl_order order, const struct sl_order_edit *edit)
{
    struct sl_edit e = {.task_id = info->id, .priority = info->priority};
    bool is_redrive = order == SL_ORDER_REDRIVE;
    if (!is_in(info->state, is_redrive ? SL_FAILED : SL_WAITING))
        return SL_EBUSY;
    if (edit == NULL && !is_redrive)
        return SL_EINVAL;
    if (edit != NULL) {
        if (edit->payload.size > SL_QUEUE_PAYLOAD_MAX)
            return SL_ETOOBIG;
        if (edit->priority > SL_QUEUE_PRIORITY_MAX || edit->delay_ms > SL_TIME_MAX_MS)
            return SL_EINVAL;
        e.payload = edit->payload;
        e.priority = edit->priority < 0 ? info->priority : (uint8_t)edit->priority;
        e.not_before_ms = due_ms(when, edit);
    }
    if (!is_redrive) {
        sl_queue_event_edit(&self->event, &e);
        return SL_OK;
    }
    sl_queue_event_redrive(&self->event, &e);
    return SL_OK;
}

static enum sl_err
store_order(struct sl_backend *b, struct sl_when when, struct sl_scope scope, uint64_t task_id,
            enum sl_order order, const struct sl_order_edit *edit)
{
    struct sl_store_backend *self = self_of(b);
    struct sl_task_info info;
    sl_queue_clock(self->options.queue, when.now_ns);
    sl_queue_wall(self->options.queue, when.now_ms);
    enum sl_err err = sl_queue_task(self->options.queue, scope, task_id, &info);
    if (err != SL_OK)
        return err;
    sl_buf_clear(&self->event);
    bool is_forget = order == SL_ORDER_FORGET;
    if (order == SL_ORDER_REDRIVE || order == SL_ORDER_EDIT)
        err = order_edit(self, when, &info, order, edit);
    else if (!is_in(info.state, is_forget ? SL_ENDED : SL_LIVE))
        err = SL_EBUSY;
    else
        sl_queue_event_task_only(&self->event,
                                 is_forget ? SL_QUEUE_FORGET_TASK : SL_QUEUE_CANCEL_TASK, task_id,
                                 when.now_ms);
    if (err != SL_OK)
        return err;
    struct sl_txn *txn = begin(self);
    stage(self, txn, scope);
    if (order == SL_ORDER_REDRIVE && edit != NULL && edit->priority >= 0) {
        /* It begins again as it was, and is edited then. */
        sl_buf_clear(&self->event);
        sl_queue_event_edit(&self->event, &(struct sl_edit){.task_id = task_id,
                                                            .not_before_ms = due_ms(when, edit),
                                                            .priority = (uint8_t)edit->priority});
        stage(self, txn, scope);
    }
    return commit(self, txn);
}

/* ---- looking ------------------------------------------------------------------------------- */

static enum sl_err
store_task(struct sl_backend *b, struct sl_scope scope, uint64_t task_id,
           struct sl_task_info *ret_info)
{
    return sl_queue_task(self_of(b)->options.queue, scope, task_id, ret_info);
}

static enum sl_err
store_read(struct sl_backend *b, struct sl_scope scope, uint64_t task_id, enum sl_task_bytes which,
           struct sl_buf *out)
{
    struct sl_store_backend *self = self_of(b);
    struct sl_task_info info;
    struct sl_slice bytes;
    enum sl_err err = sl_queue_task(self->options.queue, scope, task_id, &info);
    if (err != SL_OK)
        return err;
    bool has_succeeded = info.state == SL_STATE_SUCCEEDED;
    if (which <= SL_TASK_RESULT && has_succeeded != (which == SL_TASK_RESULT))
        return SL_ENOTFOUND;
    struct sl_body body = which == SL_TASK_WHY     ? info.why
                          : which == SL_TASK_LINES ? info.lines
                                                   : info.payload;
    err = sl_body_read(self->options.store, body, &bytes);
    if (err == SL_OK)
        sl_buf_append_slice(out, bytes);
    return err;
}

static bool
store_scan(struct sl_backend *b, struct sl_task_scan *scan, uint32_t slots_max,
           struct sl_task_info *ret_info, bool *ret_is_end)
{
    return sl_queue_scan(self_of(b)->options.queue, scan, slots_max, ret_info, ret_is_end);
}

static enum sl_err
store_depth(struct sl_backend *b, struct sl_queue_name queue, struct sl_queue_depth *ret_depth)
{
    return find_queue(self_of(b), queue, ret_depth);
}

/* ---- who is gone, and time ----------------------------------------------------------------- */

static void
give_back(struct sl_store_backend *self, const struct sl_lease *lease)
{
    if (sl_queue_release(self->options.queue, lease->task_id, lease->epoch) != SL_OK)
        sl_report_error("release-failed", "task=%" PRIu64, lease->task_id);
}

/* Those that had begun count as crashed, in one transaction; the others go back. */
static void
lose_all(struct sl_store_backend *self, uint64_t now_ms, uint32_t count, const struct sl_loss *loss)
{
    struct sl_end_item item = {.kind = SL_END_CRASHED,
                               .signal = loss->signal,
                               .peak_bytes = loss->peak_bytes,
                               .bytes = loss->lines};
    struct sl_txn *txn = sl_store_begin(self->options.store);
    uint32_t crashed = 0; /* The first of them. */
    sl_assert(self->txn == NULL);
    if (loss->lines.size == 0 && loss->signal == 0)
        item.bytes = sl_slice_str("its lease was lost");
    for (uint32_t i = 0; i < count; i++) {
        struct sl_lease lease = self->lost[i];
        sl_buf_clear(&self->event);
        item.task_id = lease.task_id;
        item.epoch = lease.epoch;
        if (!lease.is_begun || loss->is_uncounted || finish(self, now_ms, &lease, &item) != SL_OK) {
            give_back(self, &lease);
            continue;
        }
        stage(self, txn, lease.scope);
        self->lost[crashed++] = lease;
    }
    if (sl_txn_commit(&txn) == SL_OK)
        return;
    /* The disk is full: they go back uncounted rather than not at all. */
    for (uint32_t i = 0; i < crashed; i++)
        give_back(self, &self->lost[i]);
}

static void
reserve_lost(struct sl_store_backend *self)
{
    if (self->lost == NULL)
        self->lost = sl_alloc(LOSE_MAX * sizeof(*self->lost));
}

/* Some of the leases of those that are gone. False: there were none. */
static bool
lose_some(struct sl_store_backend *self, uint64_t now_ms)
{
    struct sl_loss loss;
    if (!sl_queue_has_lost(self->options.queue))
        return false;
    reserve_lost(self);
    uint32_t count = sl_queue_lost(self->options.queue, LOSE_MAX, self->lost, &loss);
    lose_all(self, now_ms, count, &loss);
    return true;
}

static uint64_t
store_lose(struct sl_backend *b, struct sl_when when, const struct sl_loss *loss)
{
    struct sl_store_backend *self = self_of(b);
    sl_queue_clock(self->options.queue, when.now_ns);
    sl_queue_wall(self->options.queue, when.now_ms);
    uint64_t count = sl_queue_lose(self->options.queue, loss);
    if (count > 0)
        (void)lose_some(self, when.now_ms);
    return count;
}

static bool
lapse_some(struct sl_store_backend *self, struct sl_when when)
{
    static const struct sl_loss unknown;
    struct sl_queue *q = self->options.queue;
    struct sl_lease lease;
    if (!sl_queue_lapsed(q, when.now_ns, &lease))
        return false;
    reserve_lost(self);
    lose_all(self, when.now_ms, sl_queue_lapsed_take(q, when.now_ns, LOSE_MAX, self->lost),
             &unknown);
    return true;
}

/* What time has brought about and must be durable. True: there is more. */
static bool
sweep(struct sl_store_backend *self, uint64_t now_ms)
{
    struct sl_swept swept;
    if (sl_queue_sweep_next_ms(self->options.queue) > now_ms || now_ms < self->sweep_ms)
        return false;
    sl_buf_clear(&self->event);
    if (sl_queue_sweep(self->options.queue, now_ms, &self->event, &swept) == 0)
        return false;
    if (commit_events(self) == SL_OK)
        return swept.is_more;
    self->sweep_ms = now_ms + REFUSED_MS; /* The disk is full: another time. */
    return false;
}

static uint64_t
at_ns(struct sl_when when, uint64_t ms)
{
    if (ms <= when.now_ms)
        return when.now_ns;
    return when.now_ns + SL_MIN(ms - when.now_ms, DAY_MS) * SL_MILLI_NS;
}

/* When something lapses, ripens, is to be swept, or has its rate's next token. */
static uint64_t
next_ns(const struct sl_store_backend *self, struct sl_when when)
{
    const struct sl_queue *q = self->options.queue;
    uint64_t sweep_ms = SL_MAX(sl_queue_sweep_next_ms(q), self->sweep_ms);
    uint64_t due_ms = SL_MIN(sl_queue_next_ms(q), sweep_ms);
    uint64_t due_ns = SL_MIN(sl_queue_deadline_ns(q), sl_queue_next_ns(q));
    return due_ms == UINT64_MAX ? due_ns : SL_MIN(due_ns, at_ns(when, due_ms));
}

static uint64_t
store_tick(struct sl_backend *b, struct sl_when when)
{
    struct sl_store_backend *self = self_of(b);
    struct sl_queue *q = self->options.queue;
    sl_queue_clock(q, when.now_ns);
    sl_queue_wall(q, when.now_ms);
    sl_task_ripen(q, when.now_ms);
    sl_lane_wake(q, when.now_ns);
    bool is_more = lose_some(self, when.now_ms);
    is_more = lapse_some(self, when) || is_more;
    if (!is_more)
        is_more = sweep(self, when.now_ms);
    return is_more ? when.now_ns : next_ns(self, when);
}

static enum sl_err
store_sync(struct sl_backend *b)
{
    return sl_store_sync(self_of(b)->options.store);
}

static const struct sl_backend_ops ops = {
    .put = store_put,
    .lease = store_lease,
    .end = store_end,
    .extend = store_extend,
    .extend_holder = store_extend_holder,
    .begin = store_begin,
    .lose = store_lose,
    .release_holder = store_release_holder,
    .set = store_set,
    .drop = store_drop,
    .order = store_order,
    .task = store_task,
    .read = store_read,
    .scan = store_scan,
    .depth = store_depth,
    .tick = store_tick,
    .sync = store_sync,
};

void
sl_store_backend_init(struct sl_store_backend *b, const struct sl_store_backend_options *options)
{
    *b = (struct sl_store_backend){.backend = {.ops = &ops}, .options = *options};
}

void
sl_store_backend_deinit(struct sl_store_backend *b)
{
    sl_buf_deinit(&b->event);
    sl_buf_deinit(&b->seen);
    sl_free(b->lost);
}
