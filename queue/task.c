/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/task.h"

#include <stdlib.h>

#include "queue/job.h"
#include "queue/lane.h"
#include "queue/lease.h"
#include "queue/options.h"
#include "runtime/alloc.h"

#define TASKS_MIN     256
#define BUCKETS_MIN   256
#define CLOCK_BACK_MS 1000

/* ---- slots --------------------------------------------------------------------------------- */

/* Ids grow by one: their low bits spread them as well as any hash would. */
static uint32_t *
bucket(const struct sl_queue *q, uint64_t id)
{
    return &q->buckets[id & (q->buckets_count - 1)];
}

static void
resize_buckets(struct sl_queue *q, uint32_t count)
{
    q->buckets = sl_realloc(q->buckets, count * sizeof(q->buckets[0]));
    q->buckets_count = count;
    memset(q->buckets, 0xff, count * sizeof(q->buckets[0])); /* SL_NONE */
    for (uint32_t slot = 0; slot < q->tasks_used; slot++) {
        struct sl_task *task = &q->tasks[slot];
        if (task->id == 0)
            continue;
        task->next = *bucket(q, task->id);
        *bucket(q, task->id) = slot;
    }
}

static uint32_t
take_slot(struct sl_queue *q)
{
    if (q->tasks_count > 0 && q->tasks_free != SL_NONE && q->tasks_used > 0) {
        uint32_t slot = q->tasks_free;
        q->tasks_free = q->tasks[slot].next;
        return slot;
    }
    if (q->tasks_count == 0) { /* All are free: begin anew, in order. */
        q->tasks_used = 0;
        q->tasks_free = SL_NONE;
    }
    if (q->tasks_used == q->tasks_capacity) {
        sl_assert(q->tasks_capacity <= SL_TASKS_MAX / 2);
        q->tasks_capacity = SL_MAX(q->tasks_capacity * 2, (uint32_t)TASKS_MIN);
        q->tasks = sl_realloc(q->tasks, q->tasks_capacity * sizeof(q->tasks[0]));
    }
    return q->tasks_used++;
}

uint32_t
sl_task_add(struct sl_queue *q, uint64_t id)
{
    sl_assert(id != 0);
    uint32_t slot = take_slot(q);
    q->tasks[slot] = (struct sl_task){.id = id,
                                      .job = SL_NONE,
                                      .extra = SL_NONE,
                                      .lane = SL_NONE,
                                      .state = SL_STATE_NONE,
                                      .is_saved = q->saving.mark & 1u};
    q->tasks_count++;
    if (q->tasks_count > q->buckets_count) {
        resize_buckets(q, SL_MAX(q->buckets_count * 2, (uint32_t)BUCKETS_MIN));
        return slot;
    }
    q->tasks[slot].next = *bucket(q, id);
    *bucket(q, id) = slot;
    return slot;
}

void
sl_task_reserve(struct sl_queue *q, uint32_t count)
{
    sl_assert(q->tasks_count == 0);
    if (count <= q->tasks_capacity || count > SL_TASKS_MAX / 2)
        return;
    q->tasks_capacity = count;
    q->tasks = sl_realloc(q->tasks, count * sizeof(q->tasks[0]));
    uint32_t buckets = BUCKETS_MIN;
    while (buckets < count)
        buckets *= 2;
    resize_buckets(q, buckets);
}

uint32_t
sl_task_slot(const struct sl_queue *q, uint64_t id)
{
    if (q->buckets_count == 0 || id == 0)
        return SL_NONE;
    uint32_t slot = *bucket(q, id);
    while (slot != SL_NONE && q->tasks[slot].id != id)
        slot = q->tasks[slot].next;
    return slot;
}

static void
extra_remove(struct sl_queue *q, struct sl_task *task)
{
    if (task->extra == SL_NONE)
        return;
    struct sl_extra *extra = &q->extras[task->extra];
    sl_bodies_remove(&q->bodies, extra->why);
    sl_bodies_remove(&q->bodies, extra->lines);
    sl_free(extra->policy);
    sl_free(extra->limits);
    *extra = (struct sl_extra){.next_free = q->extras_free};
    q->extras_free = task->extra;
    task->extra = SL_NONE;
}

static void
remove_slot(struct sl_queue *q, uint32_t slot)
{
    struct sl_task *task = sl_task_at(q, slot);
    uint32_t *at = bucket(q, task->id);
    while (*at != slot)
        at = &q->tasks[*at].next;
    *at = task->next;
    sl_bodies_remove(&q->bodies, sl_task_body(task));
    extra_remove(q, task);
    *task = (struct sl_task){.next = q->tasks_free};
    q->tasks_free = slot;
    q->tasks_count--;
}

/* ---- what it has --------------------------------------------------------------------------- */

void
sl_task_body_set(struct sl_queue *q, uint32_t slot, struct sl_body body)
{
    struct sl_task *task = sl_task_at(q, slot);
    sl_assert(body.size <= SL_QUEUE_PAYLOAD_MAX);
    sl_task_save(q, slot);
    sl_bodies_add(&q->bodies, body);
    sl_bodies_remove(&q->bodies, sl_task_body(task));
    task->at = body.at;
    task->size = body.size & 0xfffff;
}

struct sl_extra *
sl_task_extra(struct sl_queue *q, uint32_t slot)
{
    struct sl_task *task = sl_task_at(q, slot);
    if (task->extra != SL_NONE)
        return &q->extras[task->extra];
    if (q->extras_free != SL_NONE) {
        task->extra = q->extras_free;
        q->extras_free = q->extras[task->extra].next_free;
    } else {
        if (q->extras_used == q->extras_capacity) {
            q->extras_capacity = SL_MAX(q->extras_capacity * 2, (uint32_t)16);
            q->extras = sl_realloc(q->extras, q->extras_capacity * sizeof(q->extras[0]));
        }
        task->extra = q->extras_used++;
    }
    q->extras[task->extra] =
        (struct sl_extra){.next_free = SL_NONE, .slot = slot, .claim = SL_NONE, .key = SL_NONE};
    return &q->extras[task->extra];
}

void
sl_task_why_set(struct sl_queue *q, uint32_t slot, struct sl_body why)
{
    if (why.size == 0 && sl_task_at(q, slot)->extra == SL_NONE)
        return;
    sl_task_save(q, slot);
    struct sl_extra *extra = sl_task_extra(q, slot);
    sl_bodies_add(&q->bodies, why);
    sl_bodies_remove(&q->bodies, extra->why);
    extra->why = why;
}

void
sl_task_lines_set(struct sl_queue *q, uint32_t slot, struct sl_body lines)
{
    if (lines.size == 0 && sl_task_at(q, slot)->extra == SL_NONE)
        return;
    sl_task_save(q, slot);
    struct sl_extra *extra = sl_task_extra(q, slot);
    sl_bodies_add(&q->bodies, lines);
    sl_bodies_remove(&q->bodies, extra->lines);
    extra->lines = lines;
}

/* ---- where it is --------------------------------------------------------------------------- */

enum sl_state
sl_task_rest_state(const struct sl_task *task)
{
    return task->time_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED;
}

/* Out of the list, wheel or lease that its state says. */
static void
leave(struct sl_queue *q, uint32_t slot)
{
    struct sl_task *task = sl_task_at(q, slot);
    struct sl_lane *lane = q->lanes[task->lane];
    switch ((enum sl_state)task->state) {
    case SL_STATE_SCHEDULED:
        sl_wheel_remove(&q->scheduled, sl_task_items(q), slot);
        break;
    case SL_STATE_QUEUED:
        sl_lane_ready_remove(q, lane, slot);
        break;
    case SL_STATE_RUNNING:
        sl_lane_pay(q, lane, task->held);
        sl_held_remove(q, task->held);
        task->held = NULL;
        break;
    case SL_STATE_SUCCEEDED:
        sl_wheel_remove(&q->kept, sl_task_items(q), slot);
        break;
    case SL_STATE_DEAD:
    case SL_STATE_QUARANTINED:
    case SL_STATE_CANCELED:
    case SL_STATE_EXPIRED:
        sl_list_remove(&lane->failed, sl_task_items(q), slot);
        break;
    case SL_STATE_BLOCKED:
        q->blocked--;
        break;
    case SL_STATE_NONE:
    case SL_STATE_COUNT:
        break;
    }
}

static void
enter(struct sl_queue *q, uint32_t slot, const struct sl_become *to)
{
    struct sl_task *task = sl_task_at(q, slot);
    struct sl_lane *lane = q->lanes[task->lane];
    switch (to->state) {
    case SL_STATE_SCHEDULED:
        sl_wheel_insert(&q->scheduled, sl_task_items(q), slot);
        break;
    case SL_STATE_QUEUED:
        sl_lane_ready_add(q, lane, slot, to->has_returned);
        break;
    case SL_STATE_RUNNING:
        task->held = to->held;
        break;
    case SL_STATE_SUCCEEDED:
        sl_wheel_insert(&q->kept, sl_task_items(q), slot);
        break;
    case SL_STATE_DEAD:
    case SL_STATE_QUARANTINED:
    case SL_STATE_CANCELED:
    case SL_STATE_EXPIRED:
        sl_list_push_back(&lane->failed, sl_task_items(q), slot);
        break;
    case SL_STATE_BLOCKED:
        q->blocked++;
        break;
    case SL_STATE_NONE:
    case SL_STATE_COUNT:
        break;
    }
}

/* Between two places, since in a wheel its time must stay. */
static void
set(struct sl_queue *q, uint32_t slot, const struct sl_become *to)
{
    struct sl_task *task = sl_task_at(q, slot);
    if (to->set == NULL)
        return;
    task->time_ms = to->set->time_ms;
    if (to->set->priority >= 0)
        task->priority = (uint32_t)to->set->priority & 15;
    if (to->set->body.size > 0 || to->set->is_emptied || to->state == SL_STATE_SUCCEEDED)
        sl_task_body_set(q, slot, to->set->body);
}

/* Of a job only counts are kept; what succeeded by itself is kept as long as was asked for. */
static bool
is_kept(const struct sl_queue *q, const struct sl_task *task, enum sl_state state)
{
    if (state == SL_STATE_NONE || task->job != SL_NONE)
        return false;
    const struct sl_extra *extra = sl_task_extra_lookup(q, task);
    return state != SL_STATE_SUCCEEDED || (extra != NULL && extra->retain_ms > 0);
}

static void
tell(struct sl_queue *q, const struct sl_task *task, const struct sl_become *to, uint64_t epoch)
{
    if (q->lanes[task->lane]->class == SL_CLASS_OWN)
        sl_trail_task(q, q->lanes[task->lane], task->id, to, epoch);
    if (q->watch.changed == NULL)
        return;
    const struct sl_lane *lane = q->lanes[task->lane];
    const struct sl_job *job = sl_task_job(q, task);
    struct sl_queue_change change = {.change = to->change,
                                     .state = to->state,
                                     .task_id = task->id,
                                     .scope = lane->scope,
                                     .class = lane->class,
                                     .lane = lane->hash,
                                     .epoch = epoch};
    if (job != NULL)
        change.job = job->id;
    q->watch.changed(q->watch.self, &change);
}

void
sl_task_become(struct sl_queue *q, uint32_t slot, const struct sl_become *to)
{
    struct sl_task *task = sl_task_at(q, slot);
    enum sl_state from = (enum sl_state)task->state;
    struct sl_lane *lane = q->lanes[task->lane];
    struct sl_job *job = sl_task_job(q, task);
    sl_assert(sl_change_is_allowed(to->change, from, to->state));
    if (sl_change_is_durable(to->change))
        sl_task_save(q, slot);
    const struct sl_held *held = from == SL_STATE_RUNNING ? task->held : to->held;
    tell(q, task, to, held == NULL ? 0 : held->epoch);

    if (!to->is_out)
        leave(q, slot);
    if (from != SL_STATE_NONE) {
        sl_assert(lane->count[from] > 0);
        lane->count[from]--;
        if (job != NULL)
            job->count[from]--;
    }
    if (job != NULL)
        job->count[to->state]++;
    bool is_gone = to->state == SL_STATE_NONE ||
                   (sl_state_has_ended(to->state) && !is_kept(q, task, to->state));
    bool has_limits = false;
    if (task->extra != SL_NONE)
        has_limits = sl_options_follow(q, slot, from, to);
    if (is_gone) {
        remove_slot(q, slot);
    } else {
        lane->count[to->state]++;
        task->state = (uint32_t)to->state & 127u;
        set(q, slot, to);
        enter(q, slot, to);
    }
    if (job != NULL)
        sl_job_settle(q, job);
    if (((UINT32_C(1) << from | UINT32_C(1) << to->state) & SL_FAILED) != 0)
        sl_lane_dying_settle(q, lane);
    sl_lane_stop(q, lane);
    sl_lane_settle(q, lane);
    if (has_limits && to->change != SL_CHANGE_UNBLOCK)
        sl_options_wake(q);
}

void
sl_task_purge(struct sl_queue *q, uint32_t slot)
{
    static const struct sl_become to = {.change = SL_CHANGE_PURGE, .state = SL_STATE_NONE};
    if (sl_task_at(q, slot)->extra != SL_NONE)
        sl_options_take_key(q, slot);
    sl_task_become(q, slot, &to);
}

/* ---- after a restart ----------------------------------------------------------------------- */

bool
sl_task_restore(struct sl_queue *q, uint32_t slot, enum sl_state state)
{
    struct sl_task *task = sl_task_at(q, slot);
    struct sl_job *job = sl_task_job(q, task);
    if (!sl_state_has_ended(state) && state != sl_task_rest_state(task))
        return false;
    if (sl_state_has_ended(state) && !is_kept(q, task, state))
        return false;
    task->state = (uint32_t)state & 127u;
    q->lanes[task->lane]->count[state]++;
    if (job != NULL)
        job->count[state]++;
    return true;
}

/* By id; but failed ones after all others, in the order of their ends. */
static int
compare_places(const void *a, const void *b, void *queue)
{
    const struct sl_queue *q = queue;
    const struct sl_task *x = &q->tasks[*(const uint32_t *)a], *y = &q->tasks[*(const uint32_t *)b];
    bool has_x_failed = (SL_FAILED >> x->state & 1) != 0;
    bool has_y_failed = (SL_FAILED >> y->state & 1) != 0;
    if (has_x_failed != has_y_failed)
        return has_x_failed ? 1 : -1;
    if (has_x_failed && x->time_ms != y->time_ms)
        return x->time_ms > y->time_ms ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* A fresh queue has no free slots between others. */
void
sl_task_restored(struct sl_queue *q)
{
    uint32_t *slots = sl_alloc((size_t)q->tasks_used * sizeof(uint32_t));
    bool is_sorted = true;
    for (uint32_t i = 0; i < q->tasks_used; i++) {
        slots[i] = i;
        is_sorted = is_sorted && (SL_FAILED >> q->tasks[i].state & 1) == 0 &&
                    (i == 0 || q->tasks[i].id > q->tasks[i - 1].id);
    }
    if (!is_sorted)
        qsort_r(slots, q->tasks_used, sizeof(uint32_t), compare_places, q);
    for (uint32_t i = 0; i < q->tasks_used; i++) {
        struct sl_task *task = sl_task_at(q, slots[i]);
        struct sl_lane *lane = q->lanes[task->lane];
        enter(q, slots[i], &(struct sl_become){.state = (enum sl_state)task->state});
        if (task->extra != SL_NONE)
            sl_options_restored(q, slots[i]);
        if ((SL_FAILED >> task->state & 1) != 0)
            sl_lane_dying_settle(q, lane);
        sl_lane_settle(q, lane);
    }
    sl_free(slots);
}

void
sl_task_ripen(struct sl_queue *q, uint64_t now_ms)
{
    static const struct sl_become to = {
        .change = SL_CHANGE_RIPEN, .state = SL_STATE_QUEUED, .is_out = true};
    now_ms = SL_MIN(now_ms, SL_TIME_MAX_MS); /* No task's is later. */
    if (now_ms + CLOCK_BACK_MS <
        q->scheduled.now_ms) /* The clock was ahead, and is not any more. */
        sl_wheel_rewind(&q->scheduled, sl_task_items(q), now_ms);
    /* A pop that finds nothing may only have moved far ones closer. */
    while (sl_wheel_next_ms(&q->scheduled) <= now_ms) {
        uint32_t slot = sl_wheel_pop(&q->scheduled, sl_task_items(q), now_ms);
        if (slot != SL_NONE)
            sl_task_become(q, slot, &to);
    }
}
