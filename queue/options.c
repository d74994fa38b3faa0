/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/options.h"

#include "queue/lane.h"
#include "runtime/alloc.h"

/*
 * Room at a key is given to one task of those that wait there. If that task's queue is paused, or
 * nobody leases from it, others would wait in vain: so it has to begin in time.
 */
#define WOKEN_NS SL_SECOND_NS

static bool
is_in(enum sl_state state, uint32_t states)
{
    return (states >> state & 1) != 0;
}

static struct sl_extra *
extra_of(struct sl_queue *q, uint32_t slot)
{
    return &q->extras[sl_task_at(q, slot)->extra];
}

/* ---- expiring ------------------------------------------------------------------------------ */

/* An event shows that it ran: what it was put off for, or failed, is told by its counts. */
static bool
has_begun(const struct sl_task *task)
{
    return task->attempts != 0 || task->crashes != 0 || task->snoozes != 0;
}

static void
time_it(struct sl_queue *q, uint32_t number, bool is_timed)
{
    struct sl_extra *extra = &q->extras[number];
    if (extra->is_timed == is_timed)
        return;
    if (is_timed)
        sl_wheel_insert(&q->expiring, sl_options_items(q), number);
    else
        sl_wheel_remove(&q->expiring, sl_options_items(q), number);
    extra->is_timed = is_timed;
}

/* One that waits and has not begun is in the wheel, if it expires, and no other is. */
static void
follow_expiry(struct sl_queue *q, uint32_t slot, enum sl_state state)
{
    const struct sl_task *task = sl_task_at(q, slot);
    const struct sl_extra *extra = &q->extras[task->extra];
    time_it(q, task->extra, extra->expires_ms != 0 && is_in(state, SL_WAITING) && !has_begun(task));
}

/* ---- idempotency keys ---------------------------------------------------------------------- */

bool
sl_options_may_have(const struct sl_queue *q, const struct sl_put_options *options)
{
    if ((options->groups & SL_PUT_KEY) == 0)
        return true;
    return sl_dedup_entry_is_valid(&options->key) && sl_dedup_count(q->dedup) < SL_QUEUE_KEYS_MAX;
}

static void
follow_key(struct sl_queue *q, uint32_t slot, enum sl_state from, const struct sl_become *to)
{
    const struct sl_task *task = sl_task_at(q, slot);
    struct sl_extra *extra = extra_of(q, slot);
    bool is_free = false;
    if (extra->key == SL_NONE)
        return;
    if (to->change == SL_CHANGE_RETRY || to->change == SL_CHANGE_SNOOZE)
        is_free = sl_dedup_start(q->dedup, extra->key, task->id);
    else if (is_in(from, SL_LIVE) && sl_state_has_ended(to->state))
        is_free = sl_dedup_end(q->dedup, extra->key, task->id,
                               to->change == SL_CHANGE_DONE || to->change == SL_CHANGE_KILL ||
                                   has_begun(task));
    if (is_free)
        extra->key = SL_NONE;
}

void
sl_options_take_key(struct sl_queue *q, uint32_t slot)
{
    struct sl_extra *extra = extra_of(q, slot);
    struct sl_dedup_entry e;
    if (extra->key != SL_NONE && sl_dedup_at(q->dedup, extra->key, &e) &&
        e.task == sl_task_at(q, slot)->id)
        (void)sl_dedup_drop(q->dedup, &e.key, UINT64_MAX);
    extra->key = SL_NONE;
}

bool
sl_options_restore_keys(struct sl_queue *q)
{
    struct sl_dedup_entry e;
    for (uint32_t key = 0; key < sl_dedup_slots(q->dedup); key++) {
        if (!sl_dedup_at(q->dedup, key, &e))
            continue;
        uint32_t slot = sl_task_slot(q, e.task);
        bool is_timed = e.mode == SL_DEDUP_TTL || e.mode == SL_DEDUP_THROTTLE;
        if (slot == SL_NONE && is_timed)
            continue; /* It is forgotten; its key still holds. */
        if (slot == SL_NONE)
            return false;
        const struct sl_task *task = sl_task_at(q, slot);
        if (task->job != SL_NONE || q->lanes[task->lane]->scope.id != e.key.scope)
            return false;
        if (!is_timed && sl_state_has_ended((enum sl_state)task->state))
            return false;
        if (task->extra != SL_NONE)
            q->extras[task->extra].key = key;
        else if (!is_timed)
            return false; /* Nothing would free it. */
    }
    return true;
}

/* ---- concurrency keys ---------------------------------------------------------------------- */

static void
join(struct sl_queue *q, uint32_t slot)
{
    struct sl_extra *extra = extra_of(q, slot);
    q->has_limits = true;
    extra->claim = sl_keys_join(q->keys, slot, extra->limits, extra->limits_count, q->now_ns);
}

static void
leave(struct sl_queue *q, uint32_t slot)
{
    struct sl_extra *extra = extra_of(q, slot);
    if (extra->claim != SL_NONE)
        sl_keys_leave(q->keys, extra->claim, q->now_ns);
    extra->claim = SL_NONE;
}

static void
follow_limits(struct sl_queue *q, uint32_t slot, enum sl_state from, const struct sl_become *to)
{
    uint32_t claim = extra_of(q, slot)->claim;
    if (sl_state_has_ended(to->state)) {
        leave(q, slot);
        return;
    }
    if (claim == SL_NONE) { /* It is new, or driven again. */
        join(q, slot);
        return;
    }
    if (to->state == SL_STATE_RUNNING || to->state == SL_STATE_BLOCKED)
        return; /* As sl_options_may_begin left it. */
    if (from == SL_STATE_RUNNING)
        sl_keys_release(q->keys, claim, q->now_ns, to->change != SL_CHANGE_RELEASE);
    else if (from == SL_STATE_QUEUED)
        sl_keys_decline(q->keys, claim, q->now_ns);
    else if (from == SL_STATE_BLOCKED && to->change != SL_CHANGE_UNBLOCK) {
        leave(q, slot); /* It waits no more where it did, and begins anew. */
        join(q, slot);
    }
}

static void
note_woken(struct sl_queue *q, uint32_t slot)
{
    struct sl_woken *w = &q->woken;
    if (w->count == w->capacity) {
        uint32_t capacity = SL_MAX(w->capacity * 2, UINT32_C(64));
        struct sl_woken_entry *entries = sl_alloc(capacity * sizeof(*entries));
        for (uint32_t i = 0; i < w->count; i++)
            entries[i] = w->entries[(w->first + i) & (w->capacity - 1)];
        sl_free(w->entries);
        w->entries = entries;
        w->capacity = capacity;
        w->first = 0;
    }
    w->entries[(w->first + w->count++) & (w->capacity - 1)] = (struct sl_woken_entry){
        .id = sl_task_at(q, slot)->id, .until_ns = q->now_ns + WOKEN_NS, .slot = slot};
}

/* Whether the first of those woken is still where it was: ready, and not begun. */
static bool
is_waiting(const struct sl_queue *q, const struct sl_woken_entry *e)
{
    return e->slot < q->tasks_used && q->tasks[e->slot].id == e->id &&
           q->tasks[e->slot].state == SL_STATE_QUEUED;
}

static void
drop_begun(struct sl_queue *q)
{
    struct sl_woken *w = &q->woken;
    while (w->count > 0 && !is_waiting(q, &w->entries[w->first])) {
        w->first = (w->first + 1) & (w->capacity - 1);
        w->count--;
    }
}

void
sl_options_wake(struct sl_queue *q)
{
    static const struct sl_become to = {
        .change = SL_CHANGE_UNBLOCK, .state = SL_STATE_QUEUED, .has_returned = true};
    uint32_t slots[64], count;
    do {
        count = 0;
        while (count < SL_COUNT_OF(slots) && (slots[count] = sl_keys_woken(q->keys)) != SL_NONE)
            count++;
        for (uint32_t i = 0; i < count; i++)
            sl_task_become(q, slots[i], &to);
        for (uint32_t i = 0; i < count; i++)
            note_woken(q, slots[i]);
    } while (count == SL_COUNT_OF(slots));
    drop_begun(q);
}

void
sl_options_tick(struct sl_queue *q, uint64_t now_ns)
{
    struct sl_woken *w = &q->woken;
    if (sl_options_next_ns(q) > now_ns)
        return;
    sl_keys_tick(q->keys, now_ns);
    for (drop_begun(q); w->count > 0 && w->entries[w->first].until_ns <= now_ns; drop_begun(q)) {
        struct sl_woken_entry e = w->entries[w->first];
        w->first = (w->first + 1) & (w->capacity - 1);
        w->count--;
        if (extra_of(q, e.slot)->claim != SL_NONE)
            sl_keys_decline(q->keys, extra_of(q, e.slot)->claim, now_ns);
    }
    sl_options_wake(q);
}

uint64_t
sl_options_next_ns(const struct sl_queue *q)
{
    uint64_t woken_ns =
        q->woken.count == 0 ? UINT64_MAX : q->woken.entries[q->woken.first].until_ns;
    return SL_MIN(woken_ns, sl_keys_next_ns(q->keys));
}

/* ---- all of them --------------------------------------------------------------------------- */

void
sl_options_give(struct sl_queue *q, uint32_t slot, const struct sl_put_options *options)
{
    struct sl_extra *extra = sl_task_extra(q, slot);
    extra->expires_ms = options->expires_ms;
    extra->retain_ms = options->retain_ms;
    extra->policy_size = (uint32_t)options->policy.size;
    if (options->policy.size > 0)
        extra->policy = sl_memdup(options->policy.data, options->policy.size);
    extra->limits_count = options->limits_count;
    if (options->limits_count > 0)
        extra->limits =
            sl_memdup(options->limits, options->limits_count * sizeof(options->limits[0]));
    if ((options->groups & SL_PUT_KEY) != 0 &&
        SL_BUG(sl_dedup_put(q->dedup, &options->key, &extra->key) != SL_OK))
        extra->key = SL_NONE; /* It was looked at before: sl_options_may_have. */
}

bool
sl_options_follow(struct sl_queue *q, uint32_t slot, enum sl_state from, const struct sl_become *to)
{
    follow_expiry(q, slot, to->state);
    follow_key(q, slot, from, to);
    if (extra_of(q, slot)->limits_count == 0)
        return false;
    follow_limits(q, slot, from, to);
    return true;
}

void
sl_options_restored(struct sl_queue *q, uint32_t slot)
{
    enum sl_state state = (enum sl_state)sl_task_at(q, slot)->state;
    follow_expiry(q, slot, state);
    if (extra_of(q, slot)->limits_count > 0 && !sl_state_has_ended(state))
        join(q, slot);
}

bool
sl_options_may_begin(struct sl_queue *q, uint32_t slot, uint64_t now_ms)
{
    const struct sl_extra *extra = extra_of(q, slot);
    if (extra->is_timed && extra->expires_ms <= now_ms)
        return false;
    return extra->claim == SL_NONE || sl_keys_acquire(q->keys, extra->claim, q->now_ns);
}
