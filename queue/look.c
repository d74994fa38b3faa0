/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/look.h"

#include "queue/job.h"
#include "queue/lane.h"
#include "queue/lease.h"
#include "queue/task.h"
#include "queue/trail.h"

#define LANES_LOOKED 64u /* Whose tasks are counted. */

/* ---- jobs ---------------------------------------------------------------------------------- */

static enum sl_job_state
job_state(const struct sl_job *job)
{
    if (sl_job_live(job) > 0)
        return job->was_run || job->was_leased ? SL_JOB_RUNNING : SL_JOB_PENDING;
    if (sl_job_canceled(job) > 0)
        return SL_JOB_CANCELED;
    if (sl_job_dead(job) == 0)
        return SL_JOB_SUCCEEDED;
    return sl_job_done(job) > 0 ? SL_JOB_PARTIAL : SL_JOB_FAILED;
}

static struct sl_job_info
job_info(const struct sl_job *job)
{
    return (struct sl_job_info){.id = job->id,
                                .scope = job->scope,
                                .class = (enum sl_class)job->class,
                                .state = job_state(job),
                                .total = job->total,
                                .done = sl_job_done(job),
                                .dead = sl_job_dead(job),
                                .canceled = sl_job_canceled(job),
                                .leased = job->count[SL_STATE_RUNNING],
                                .created_ms = job->created_ms,
                                .started_ms = job->started_ms};
}

enum sl_err
sl_queue_job(const struct sl_queue *q, struct sl_job_id id, struct sl_job_info *ret_info)
{
    sl_queue_assert(q);
    const struct sl_job *job = sl_job_lookup(q, id);
    if (job == NULL)
        return SL_ENOTFOUND;
    *ret_info = job_info(job);
    return SL_OK;
}

bool
sl_queue_ended(const struct sl_queue *q, struct sl_job_info *ret_info)
{
    sl_queue_assert(q);
    if (q->ended.first == NULL)
        return false;
    *ret_info = job_info(q->ended.first);
    return true;
}

uint32_t
sl_queue_jobs(const struct sl_queue *q, struct sl_job_info *ret_infos, uint32_t max)
{
    sl_queue_assert(q);
    uint32_t count = 0;
    for (const struct sl_job *job = q->live.last; job != NULL && count < max; job = job->prev)
        ret_infos[count++] = job_info(job);
    for (const struct sl_job *job = q->ended.last; job != NULL && count < max; job = job->prev)
        ret_infos[count++] = job_info(job);
    return count;
}

/* Hops from each end: what a cursor says is a client's, who shall not have the whole list walked.
 */
#define SEEK_MAX 16384u

/* The newest live one that is older than walk->after, which has ended: from both ends, since the
 * oldest end first. They are in the order of their first tasks. False: too far from either. */
static bool
seek(const struct sl_queue *q, const struct sl_job_walk *walk, const struct sl_job **ret_job)
{
    const struct sl_job *down = q->live.last, *up = q->live.first;
    for (uint32_t hops = 0; hops < SEEK_MAX; hops++) {
        if (down == NULL || down->first_id < walk->after) {
            *ret_job = down;
            return true;
        }
        if (up->first_id >= walk->after) {
            *ret_job = up->prev;
            return true;
        }
        down = down->prev;
        up = up->next;
    }
    return false;
}

/* Where a walk goes on in the live ones. False: nobody knows. */
static bool
live_after(const struct sl_queue *q, const struct sl_job_walk *walk, const struct sl_job **ret_job)
{
    const struct sl_job *job = walk->after == 0 ? NULL : sl_job_lookup(q, walk->id);
    if (walk->after == 0)
        *ret_job = q->live.last;
    else if (job != NULL && !job->has_ended && job->first_id == walk->after)
        *ret_job = job->prev;
    else
        return seek(q, walk, ret_job);
    return true;
}

/* The first to end is the first to be forgotten: behind one that is gone there is none left. */
static const struct sl_job *
ended_after(const struct sl_queue *q, const struct sl_job_walk *walk)
{
    const struct sl_job *job = walk->after == 0 ? NULL : sl_job_lookup(q, walk->id);
    if (walk->after == 0)
        return q->ended.last;
    return job == NULL || !job->has_ended ? NULL : job->prev;
}

bool
sl_queue_job_next(const struct sl_queue *q, struct sl_job_walk *walk, uint32_t looks_max,
                  struct sl_job_info *ret_info, bool *ret_is_end)
{
    sl_queue_assert(q);
    const struct sl_job *job = NULL;
    *ret_is_end = false;
    walk->looked = 0;
    walk->is_lost = !walk->is_ended && !live_after(q, walk, &job);
    if (walk->is_lost)
        return false;
    if (walk->is_ended)
        job = ended_after(q, walk);
    for (; walk->looked < looks_max; walk->looked++) {
        if (job == NULL && walk->is_ended) {
            *ret_is_end = true;
            return false;
        }
        if (job == NULL) {
            walk->is_ended = true;
            walk->after = 0;
            job = q->ended.last;
            continue;
        }
        walk->after = job->first_id;
        walk->id = job->id;
        if (walk->scope.id == 0 || job->scope.id == walk->scope.id) {
            *ret_info = job_info(job);
            return true;
        }
        job = job->prev;
    }
    return false;
}

/* ---- tasks --------------------------------------------------------------------------------- */

static struct sl_task_info
task_info(const struct sl_queue *q, const struct sl_task *task)
{
    const struct sl_lane *lane = q->lanes[task->lane];
    const struct sl_extra *extra = sl_task_extra_lookup(q, task);
    struct sl_task_info info = {.id = task->id,
                                .state = (enum sl_state)task->state,
                                .scope = lane->scope,
                                .class = lane->class,
                                .lane = sl_slice_str(lane->name),
                                .priority = task->priority,
                                .created_ms = task->created_ms,
                                .time_ms = task->time_ms,
                                .attempts = (uint16_t)task->attempts,
                                .crashes = task->crashes,
                                .snoozes = task->snoozes,
                                .payload = sl_task_body(task)};
    if (task->state == SL_STATE_RUNNING) {
        info.holder = task->held->holder->id;
        info.epoch = task->held->epoch;
        info.since_ns = task->held->since_ns;
        info.deadline_ns = task->held->deadline_ns;
    }
    if (extra != NULL) {
        info.expires_ms = extra->expires_ms;
        info.retain_ms = extra->retain_ms;
        info.failed_ms = extra->failed_ms;
        info.policy = sl_slice(extra->policy, extra->policy_size);
        info.why = extra->why;
        info.lines = extra->lines;
    }
    return info;
}

enum sl_err
sl_queue_task(const struct sl_queue *q, struct sl_scope scope, uint64_t task_id,
              struct sl_task_info *ret_info)
{
    sl_queue_assert(q);
    uint32_t slot = sl_task_slot(q, task_id);
    if (slot == SL_NONE)
        return SL_ENOTFOUND;
    const struct sl_task *task = sl_task_at(q, slot);
    if (task->job != SL_NONE || q->lanes[task->lane]->scope.id != scope.id ||
        q->lanes[task->lane]->is_dropped)
        return SL_ENOTFOUND;
    *ret_info = task_info(q, task);
    return SL_OK;
}

uint32_t
sl_queue_peek(const struct sl_queue *q, struct sl_scope scope, enum sl_class class, uint64_t lane,
              struct sl_task_info *ret_infos, uint32_t max)
{
    sl_queue_assert(q);
    const struct sl_lane *found = sl_lane_lookup(q, (struct sl_lane_key){scope, class, lane});
    uint32_t count = 0;
    for (int priority = SL_QUEUE_PRIORITY_MAX; found != NULL && priority >= 0; priority--) {
        uint32_t slot = found->ready[priority].first;
        for (; slot != SL_NONE && count < max; slot = sl_task_at(q, slot)->link.next)
            ret_infos[count++] = task_info(q, sl_task_at(q, slot));
    }
    return count;
}

enum sl_err
sl_queue_ahead(const struct sl_queue *q, struct sl_job_id id, uint64_t max, uint64_t *ret_ahead)
{
    sl_queue_assert(q);
    const struct sl_job *job = sl_job_lookup(q, id);
    uint64_t count = 0;
    if (job == NULL || job->count[SL_STATE_QUEUED] == 0)
        return SL_ENOTFOUND;
    const struct sl_lane *lane =
        sl_lane_lookup(q, (struct sl_lane_key){job->scope, (enum sl_class)job->class, 0});
    for (int priority = SL_QUEUE_PRIORITY_MAX; lane != NULL && priority >= 0; priority--) {
        for (uint32_t slot = lane->ready[priority].first; slot != SL_NONE; count++) {
            const struct sl_task *task = sl_task_at(q, slot);
            if (task->job == job->number) {
                *ret_ahead = count;
                return SL_OK;
            }
            if (count == max) {
                *ret_ahead = max;
                return SL_EFULL;
            }
            slot = task->link.next;
        }
    }
    return SL_ENOTFOUND;
}

static bool
is_wanted(const struct sl_queue *q, const struct sl_task *task, const struct sl_task_scan *scan)
{
    if (task->id == 0 || task->job != SL_NONE)
        return false;
    const struct sl_lane *lane = q->lanes[task->lane];
    return (scan->scope.id == 0 || lane->scope.id == scan->scope.id) &&
           lane->class == scan->class && !lane->is_dropped &&
           (scan->lane == 0 || lane->hash == scan->lane) &&
           (scan->states == 0 || (scan->states >> task->state & 1) != 0);
}

bool
sl_queue_scan(const struct sl_queue *q, struct sl_task_scan *scan, uint32_t slots_max,
              struct sl_task_info *ret_info, bool *ret_is_end)
{
    sl_queue_assert(q);
    scan->looked = 0;
    *ret_is_end = false;
    while (scan->at < q->tasks_used && scan->looked < slots_max) {
        const struct sl_task *task = &q->tasks[scan->at++];
        scan->looked++;
        if (!is_wanted(q, task, scan))
            continue;
        *ret_info = task_info(q, task);
        return true;
    }
    *ret_is_end = scan->at >= q->tasks_used;
    return false;
}

uint32_t
sl_queue_due(struct sl_queue *q, uint64_t now_ms, uint64_t *ret_ids, uint32_t max)
{
    sl_queue_assert(q);
    struct sl_items items = sl_task_items(q);
    uint32_t count = 0, slots[64];
    max = SL_MIN(max, (uint32_t)SL_COUNT_OF(slots));
    while (count < max && sl_wheel_next_ms(&q->kept) <= now_ms) {
        uint32_t slot = sl_wheel_pop(&q->kept, items, now_ms);
        if (slot != SL_NONE)
            slots[count++] = slot;
    }
    /* They stay inside until an event has taken them out; due already, they come first again. */
    for (uint32_t i = 0; i < count; i++) {
        sl_wheel_insert(&q->kept, items, slots[i]);
        ret_ids[i] = sl_task_at(q, slots[i])->id;
    }
    return count;
}

/* ---- queues -------------------------------------------------------------------------------- */

static uint64_t
oldest_ms(const struct sl_queue *q, const struct sl_lane *lane)
{
    uint64_t oldest = 0;
    for (uint32_t left = lane->priorities; left != 0; left &= left - 1) {
        const struct sl_task *task = sl_task_at(q, lane->ready[__builtin_ctz(left)].first);
        uint64_t since_ms = SL_MAX((uint64_t)task->created_ms, task->time_ms);
        oldest = oldest == 0 ? since_ms : SL_MIN(oldest, since_ms);
    }
    return oldest;
}

static struct sl_queue_depth
depth_of(const struct sl_queue *q, const struct sl_lane *lane)
{
    struct sl_queue_depth depth = {.scope = lane->scope,
                                   .class = lane->class,
                                   .name = sl_slice_str(lane->name),
                                   .settings = lane->settings,
                                   .ready = lane->count[SL_STATE_QUEUED],
                                   .delayed = lane->count[SL_STATE_SCHEDULED],
                                   .leased = lane->count[SL_STATE_RUNNING],
                                   .oldest_ms = oldest_ms(q, lane)};
    if (lane->is_throttled)
        depth.rate_ns = q->throttled.entries[lane->throttled].key;
    memcpy(depth.count, lane->count, sizeof(depth.count));
    return depth;
}

uint32_t
sl_queue_depths(const struct sl_queue *q, struct sl_queue_depth *ret, uint32_t max)
{
    sl_queue_assert(q);
    uint32_t count = 0;
    for (uint32_t i = 0; i < q->lanes_count && count < max; i++) {
        if (q->lanes[i] != NULL && !q->lanes[i]->is_dropped)
            ret[count++] = depth_of(q, q->lanes[i]);
    }
    return count;
}

bool
sl_queue_has_dropped(const struct sl_queue *q, struct sl_scope scope)
{
    sl_queue_assert(q);
    const struct sl_lane *lane = q->dropped;
    while (lane != NULL && lane->scope.id != scope.id)
        lane = lane->dropped_next;
    return lane != NULL;
}

bool
sl_queue_depth_next(const struct sl_queue *q, struct sl_scope scope, uint32_t *at,
                    struct sl_queue_depth *ret_depth)
{
    sl_queue_assert(q);
    while (*at < q->lanes_count) {
        const struct sl_lane *lane = q->lanes[(*at)++];
        if (lane == NULL || lane->is_dropped || (scope.id != 0 && lane->scope.id != scope.id))
            continue;
        *ret_depth = depth_of(q, lane);
        return true;
    }
    return false;
}

enum sl_err
sl_queue_depth(const struct sl_queue *q, struct sl_scope scope, enum sl_class class, uint64_t lane,
               struct sl_queue_depth *ret_depth)
{
    sl_queue_assert(q);
    const struct sl_lane *found = sl_lane_lookup(q, (struct sl_lane_key){scope, class, lane});
    if (found == NULL)
        return SL_ENOTFOUND;
    *ret_depth = depth_of(q, found);
    return SL_OK;
}

bool
sl_queue_ready(const struct sl_queue *q, struct sl_scope scope, enum sl_class class, uint64_t lane,
               uint64_t *ret_count)
{
    sl_queue_assert(q);
    const struct sl_lane *found = sl_lane_lookup(q, (struct sl_lane_key){scope, class, lane});
    if (found != NULL)
        *ret_count = found->count[SL_STATE_QUEUED];
    return found != NULL;
}

bool
sl_queue_has_limits(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->has_limits;
}

bool
sl_queue_has_work(const struct sl_queue *q)
{
    sl_queue_assert(q);
    uint64_t ready = 0;
    for (int i = 0; i <= SL_CLASS_COUNT; i++)
        ready += q->ready[i];
    return ready > 0 || q->scheduled.count > 0 || q->blocked > 0 || sl_queue_leased_count(q) > 0;
}

uint64_t
sl_queue_leased_count(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->deadlines[0].count + q->deadlines[1].count; /* Each lease has one. */
}

uint64_t
sl_queue_leased_own_count(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->deadlines[true].count;
}

uint64_t
sl_queue_ready_count(const struct sl_queue *q, enum sl_class class)
{
    sl_queue_assert(q);
    sl_assert(class <= SL_CLASS_OWN);
    return q->ready[class];
}

static uint64_t
leasable_of(const struct sl_lane *lane)
{
    uint64_t count = lane->count[SL_STATE_QUEUED], running = lane->count[SL_STATE_RUNNING];
    uint64_t most = lane->settings.running_max;
    return most == 0 ? count : SL_MIN(count, most > running ? most - running : 0);
}

uint64_t
sl_queue_leasable(struct sl_queue *q, enum sl_class class, uint64_t now_ns, uint64_t now_ms)
{
    sl_queue_assert(q);
    sl_assert(class < SL_CLASS_COUNT);
    sl_queue_clock(q, now_ns);
    sl_queue_wall(q, now_ms);
    sl_task_ripen(q, now_ms);
    sl_lane_wake(q, now_ns);
    uint32_t lanes = sl_share_waiting_count(q->shares[class]);
    uint64_t count = lanes > LANES_LOOKED ? lanes - LANES_LOOKED : 0;
    for (uint32_t i = 0; i < SL_MIN(lanes, LANES_LOOKED); i++)
        count += leasable_of(q->lanes[sl_share_waiting(q->shares[class], i)]);
    return count;
}

uint64_t
sl_queue_memory(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return (uint64_t)q->tasks_used * sizeof(q->tasks[0]) +
           (uint64_t)q->buckets_count * sizeof(q->buckets[0]) +
           (uint64_t)q->extras_used * sizeof(q->extras[0]) + sl_dedup_bytes(q->dedup) +
           (uint64_t)(q->lanes_count - q->lanes_free) * sizeof(struct sl_lane) +
           (uint64_t)q->jobs_by_id.count * sizeof(struct sl_job) + sl_trails_bytes(q) +
           sl_queue_leased_count(q) * sizeof(struct sl_held);
}
