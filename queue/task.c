/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/task.h"

#include "runtime/alloc.h"

struct sl_task *
sl_task_lookup(const struct sl_queue *q, uint64_t task_id)
{
    uint64_t serial = task_id >> SL_TASK_INDEX_BITS;
    uint32_t index = (uint32_t)task_id & SL_TASKS_MAX;
    struct sl_table_link *link = sl_table_find(&q->jobs_by_serial, sl_table_mix(serial));
    if (link == NULL)
        return NULL;

    /*
     * Sorted by index. As enqueued, place and index agree; after a restore the ended ones are
     * missing, and what is left of them lies at or before its index.
     */
    const struct sl_job *job = SL_CONTAINER(link, struct sl_job, by_serial);
    uint32_t low = 0, high = job->tasks_count;
    if (index < high && job->tasks[index].index == index)
        low = high = index;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (job->tasks[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == job->tasks_count || job->tasks[low].index != index)
        return NULL;
    return job->tasks[low].state == SL_TASK_ENDED ? NULL : &job->tasks[low];
}

/* ---- the ring of lanes with ready tasks ---------------------------------------------------- */

static void
ring_join(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_lane **turn = &q->turn[lane->class];
    lane->credit = 0;
    if (*turn == NULL) {
        *turn = lane->ring_next = lane->ring_prev = lane;
        return;
    }
    /* Before the head is the end of the round. */
    lane->ring_next = *turn;
    lane->ring_prev = (*turn)->ring_prev;
    lane->ring_prev->ring_next = lane;
    lane->ring_next->ring_prev = lane;
}

static void
ring_leave(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_lane **turn = &q->turn[lane->class];
    if (*turn == lane)
        *turn = lane->ring_next == lane ? NULL : lane->ring_next;
    lane->ring_prev->ring_next = lane->ring_next;
    lane->ring_next->ring_prev = lane->ring_prev;
    lane->ring_next = lane->ring_prev = NULL;
}

/* ---- ready --------------------------------------------------------------------------------- */

static void
ready_add(struct sl_queue *q, struct sl_task *task, bool is_front)
{
    struct sl_lane *lane = task->job->lane;
    struct sl_ready_list *list = &lane->lists[task->job->priority];
    task->state = SL_TASK_READY;
    task->ready.next = is_front ? list->first : NULL;
    task->ready.prev = is_front ? NULL : list->last;
    *(task->ready.prev == NULL ? &list->first : &task->ready.prev->ready.next) = task;
    *(task->ready.next == NULL ? &list->last : &task->ready.next->ready.prev) = task;

    lane->priorities |= UINT32_C(1) << task->job->priority;
    if (lane->ready++ == 0)
        ring_join(q, lane);
    q->ready[lane->class]++;
    task->job->waiting++;
}

static void
ready_remove(struct sl_queue *q, struct sl_task *task)
{
    struct sl_lane *lane = task->job->lane;
    struct sl_ready_list *list = &lane->lists[task->job->priority];
    sl_assert(lane->ready > 0);
    *(task->ready.prev == NULL ? &list->first : &task->ready.prev->ready.next) = task->ready.next;
    *(task->ready.next == NULL ? &list->last : &task->ready.next->ready.prev) = task->ready.prev;

    if (list->first == NULL)
        lane->priorities &= ~(UINT32_C(1) << task->job->priority);
    if (--lane->ready == 0)
        ring_leave(q, lane);
    q->ready[lane->class]--;
    task->job->waiting--;
}

struct sl_task *
sl_task_next(const struct sl_queue *q, enum sl_class class)
{
    const struct sl_lane *lane = q->turn[class];
    if (lane == NULL)
        return NULL;
    sl_assert(lane->priorities != 0);
    return lane->lists[31 - __builtin_clz(lane->priorities)].first;
}

void
sl_task_charge(struct sl_queue *q, enum sl_class class)
{
    /* Deficit round robin where every task costs 1; a lane that runs dry loses what it had left. */
    struct sl_lane *lane = q->turn[class];
    if (lane->credit == 0)
        lane->credit = lane->weight;
    if (--lane->credit == 0)
        q->turn[class] = lane->ring_next;
}

/* ---- delayed ------------------------------------------------------------------------------- */

static void
delayed_add(struct sl_queue *q, struct sl_task *task)
{
    task->state = SL_TASK_DELAYED;
    sl_heap_push(&q->delayed[task->job->class],
                 (struct sl_heap_entry){.key = task->not_before_ms,
                                        .order = task->order,
                                        .position = &task->delayed_position});
    task->job->lane->delayed++;
    task->job->waiting++;
}

static void
delayed_remove(struct sl_queue *q, struct sl_task *task)
{
    sl_assert(task->job->lane->delayed > 0);
    sl_heap_remove(&q->delayed[task->job->class], task->delayed_position);
    task->job->lane->delayed--;
    task->job->waiting--;
}

void
sl_task_ripen(struct sl_queue *q, enum sl_class class, uint64_t now_ms)
{
    struct sl_heap *heap = &q->delayed[class];
    while (heap->count > 0 && heap->entries[0].key <= now_ms) {
        struct sl_task *task =
            SL_CONTAINER(heap->entries[0].position, struct sl_task, delayed_position);
        delayed_remove(q, task);
        ready_add(q, task, false);
    }
}

/* ---- leased -------------------------------------------------------------------------------- */

static struct sl_holder *
holder_of(struct sl_queue *q, uint64_t id)
{
    uint64_t hash = sl_table_mix(id);
    struct sl_table_link *link = sl_table_find(&q->holders, hash);
    if (link != NULL)
        return SL_CONTAINER(link, struct sl_holder, link);
    struct sl_holder *holder = sl_zalloc(sizeof(*holder));
    holder->id = id;
    sl_table_insert(&q->holders, &holder->link, hash);
    return holder;
}

static void
held_link(struct sl_queue *q, struct sl_held *held, uint64_t holder)
{
    held->holder = holder_of(q, holder);
    held->newer = NULL;
    held->older = held->holder->newest;
    if (held->older != NULL)
        held->older->newer = held;
    held->holder->newest = held;
}

/* The holder goes with the last of its leases. */
static void
held_unlink(struct sl_queue *q, struct sl_held *held)
{
    struct sl_holder *holder = held->holder;
    *(held->newer == NULL ? &holder->newest : &held->newer->older) = held->older;
    if (held->older != NULL)
        held->older->newer = held->newer;
    if (holder->newest != NULL)
        return;
    sl_table_remove(&q->holders, &holder->link);
    sl_free(holder);
}

void
sl_task_move(struct sl_queue *q, struct sl_task *task, uint64_t holder)
{
    held_unlink(q, task->held);
    held_link(q, task->held, holder);
}

void
sl_task_hold(struct sl_queue *q, struct sl_task *task, const struct sl_lease_want *want)
{
    struct sl_held *held = sl_zalloc(sizeof(*held));
    held->epoch = ++q->epoch_last;
    if (__builtin_add_overflow(want->now_ns, want->duration_ns, &held->deadline_ns))
        held->deadline_ns = UINT64_MAX;
    held->task = task;
    held_link(q, held, want->holder);
    sl_heap_push(&q->deadlines, (struct sl_heap_entry){.key = held->deadline_ns,
                                                       .order = held->epoch,
                                                       .position = &held->position});
    task->state = SL_TASK_LEASED;
    task->held = held;
    task->job->leased++;
    task->job->lane->leased++;
}

static void
held_remove(struct sl_queue *q, struct sl_task *task)
{
    struct sl_held *held = task->held;
    held_unlink(q, held);
    sl_heap_remove(&q->deadlines, held->position);
    sl_free(held);
    task->held = NULL;
    task->job->leased--;
    task->job->lane->leased--;
}

/* ---- all of them --------------------------------------------------------------------------- */

void
sl_task_attach(struct sl_queue *q, struct sl_task *task)
{
    if (task->not_before_ms == 0)
        ready_add(q, task, false);
    else
        delayed_add(q, task);
}

void
sl_task_detach(struct sl_queue *q, struct sl_task *task)
{
    sl_assert(task->state != SL_TASK_ENDED);
    if (task->state == SL_TASK_READY)
        ready_remove(q, task);
    else if (task->state == SL_TASK_DELAYED)
        delayed_remove(q, task);
    else
        held_remove(q, task);
}

void
sl_task_end(struct sl_queue *q, struct sl_task *task)
{
    sl_task_detach(q, task);
    task->state = SL_TASK_ENDED;
}

void
sl_task_give_back(struct sl_queue *q, struct sl_task *task)
{
    sl_assert(task->state == SL_TASK_LEASED);
    held_remove(q, task);
    ready_add(q, task, true);
}
