/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/lease.h"

#include "queue/job.h"
#include "queue/lane.h"
#include "queue/options.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define BLOCKS_MAX 256 /* Tasks that one call puts aside. */

/* ---- who holds what ------------------------------------------------------------------------ */

struct sl_holder *
sl_holder_lookup(const struct sl_queue *q, uint64_t id)
{
    struct sl_table_link *link = sl_table_find(&q->holders, sl_table_mix(id));
    return link == NULL ? NULL : SL_CONTAINER(link, struct sl_holder, link);
}

static struct sl_holder *
holder_of(struct sl_queue *q, uint64_t id)
{
    struct sl_holder *holder = sl_holder_lookup(q, id);
    if (holder != NULL)
        return holder;
    holder = sl_zalloc(sizeof(*holder));
    holder->id = id;
    sl_table_insert(&q->holders, &holder->link, sl_table_mix(id));
    return holder;
}

static void
list_add(struct sl_held *held)
{
    struct sl_held_list *list = &held->holder->held[held->is_begun];
    held->newer = NULL;
    held->older = list->newest;
    *(held->older == NULL ? &list->oldest : &held->older->newer) = held;
    list->newest = held;
    list->count++;
}

static void
list_remove(struct sl_held *held)
{
    struct sl_held_list *list = &held->holder->held[held->is_begun];
    *(held->newer == NULL ? &list->newest : &held->newer->older) = held->older;
    *(held->older == NULL ? &list->oldest : &held->older->newer) = held->newer;
    list->count--;
}

static void
held_link(struct sl_queue *q, struct sl_held *held, uint64_t holder)
{
    held->holder = holder_of(q, holder);
    list_add(held);
}

/* The holder goes with the last of its leases. */
static void
held_unlink(struct sl_queue *q, struct sl_held *held)
{
    struct sl_holder *holder = held->holder;
    list_remove(held);
    if (holder->held[false].count + holder->held[true].count > 0)
        return;
    if (holder->lost == NULL)
        sl_table_remove(&q->holders, &holder->link);
    else
        sl_lost_free(q, holder);
    sl_free(holder);
}

void
sl_held_begin(struct sl_held *held)
{
    if (held->is_begun)
        return;
    list_remove(held);
    held->is_begun = true;
    list_add(held);
}

struct sl_held *
sl_held_add(struct sl_queue *q, uint32_t slot, const struct sl_lease_want *want)
{
    struct sl_held *held = sl_zalloc(sizeof(*held));
    held->epoch = ++q->epoch_last;
    held->slot = slot;
    held->since_ns = want->now_ns;
    if (__builtin_add_overflow(want->now_ns, want->duration_ns, &held->deadline_ns))
        held->deadline_ns = UINT64_MAX;
    held->is_begun = !want->is_prefetched;
    held_link(q, held, want->holder);
    held->is_own = want->class == SL_CLASS_OWN;
    sl_heap_push(&q->deadlines[held->is_own], (struct sl_heap_entry){.key = held->deadline_ns,
                                                                     .order = held->epoch,
                                                                     .position = &held->position});
    return held;
}

void
sl_held_remove(struct sl_queue *q, struct sl_held *held)
{
    held_unlink(q, held);
    sl_heap_remove(&q->deadlines[held->is_own], held->position);
    sl_free(held);
}

static struct sl_held *
held_at(const struct sl_heap *deadlines, uint32_t index)
{
    return SL_CONTAINER(deadlines->entries[index].position, struct sl_held, position);
}

void
sl_held_free_all(struct sl_queue *q)
{
    for (int i = 0; i < 2; i++) {
        while (q->deadlines[i].count > 0)
            sl_held_remove(q, held_at(&q->deadlines[i], q->deadlines[i].count - 1));
        sl_heap_deinit(&q->deadlines[i]);
    }
    sl_table_deinit(&q->holders);
}

/* ---- granting and looking ------------------------------------------------------------------ */

static struct sl_lease
lease_of(const struct sl_queue *q, const struct sl_task *task)
{
    const struct sl_job *job = sl_task_job(q, task);
    const struct sl_lane *lane = q->lanes[task->lane];
    struct sl_lease lease = {
        .task_id = task->id,
        .epoch = task->held->epoch,
        .holder = task->held->holder->id,
        .since_ns = task->held->since_ns,
        .deadline_ns = task->held->deadline_ns,
        .expected_ns = task->held->charged_ns,
        .scope = lane->scope,
        .class = lane->class,
        .attempts = (uint16_t)task->attempts,
        .crashes = task->crashes,
        .snoozes = task->snoozes,
        .is_begun = task->held->is_begun,
        .created_ms = task->created_ms,
        .body = sl_task_body(task),
    };
    if (job != NULL)
        lease.job = job->id;
    return lease;
}

struct sl_lease
sl_held_lease(const struct sl_queue *q, const struct sl_held *held)
{
    return lease_of(q, sl_task_at(q, held->slot));
}

static uint32_t
next_ready(struct sl_queue *q, const struct sl_lease_want *want)
{
    const struct sl_lane *lane =
        want->class < SL_CLASS_COUNT && want->scope.id == 0
            ? sl_lane_turn(q, want->class)
            : sl_lane_lookup(q, (struct sl_lane_key){want->scope, want->class, want->lane});
    return lane == NULL ? SL_NONE : sl_lane_next(q, lane, want->now_ms);
}

/* The next that may begin. Those before it that may not are put aside, some hundreds of them; then
 * their queues step aside, until the next call. */
static uint32_t
next_slot(struct sl_queue *q, const struct sl_lease_want *want)
{
    static const struct sl_become to = {.change = SL_CHANGE_BLOCK, .state = SL_STATE_BLOCKED};
    for (uint32_t blocked = 0;; blocked++) {
        uint32_t slot = next_ready(q, want);
        if (slot == SL_NONE || sl_task_at(q, slot)->extra == SL_NONE ||
            sl_options_may_begin(q, slot, want->now_ms))
            return slot;
        sl_task_become(q, slot, &to);
        if (blocked >= BLOCKS_MAX)
            sl_lane_step_aside(q, q->lanes[sl_task_at(q, slot)->lane]);
    }
}

bool
sl_queue_lease(struct sl_queue *q, const struct sl_lease_want *want, struct sl_lease *ret_lease)
{
    sl_queue_assert(q);
    sl_assert(want->class <= SL_CLASS_OWN);
    sl_queue_clock(q, want->now_ns);
    sl_queue_wall(q, want->now_ms);
    sl_task_ripen(q, want->now_ms);
    sl_lane_wake(q, want->now_ns);
    uint32_t slot = next_slot(q, want);
    if (slot == SL_NONE)
        return false;

    struct sl_become to = {
        .change = SL_CHANGE_LEASE, .state = SL_STATE_RUNNING, .held = sl_held_add(q, slot, want)};
    sl_lane_grant(q, q->lanes[sl_task_at(q, slot)->lane], to.held);
    sl_task_become(q, slot, &to);
    struct sl_job *job = sl_task_job(q, sl_task_at(q, slot));
    if (job != NULL && !job->was_leased) {
        job->was_leased = true;
        job->started_ms = want->now_ms;
    }
    *ret_lease = lease_of(q, sl_task_at(q, slot));
    return true;
}

/* The task behind a live token; NULL: it is stale. */
static struct sl_task *
live_task(const struct sl_queue *q, uint64_t task_id, uint64_t epoch)
{
    sl_queue_assert(q);
    uint32_t slot = sl_task_slot(q, task_id);
    if (slot == SL_NONE)
        return NULL;
    struct sl_task *task = sl_task_at(q, slot);
    return task->state == SL_STATE_RUNNING && task->held->epoch == epoch ? task : NULL;
}

enum sl_err
sl_queue_check(const struct sl_queue *q, uint64_t task_id, uint64_t epoch,
               struct sl_lease *ret_lease)
{
    const struct sl_task *task = live_task(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    *ret_lease = lease_of(q, task);
    return SL_OK;
}

enum sl_err
sl_queue_served(struct sl_queue *q, uint64_t task_id, uint64_t epoch, uint64_t served_ns)
{
    struct sl_task *task = live_task(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    task->held->is_served = true; /* The most that is told counts. */
    task->held->served_ns = SL_MAX(task->held->served_ns, served_ns);
    return SL_OK;
}

enum sl_err
sl_queue_move(struct sl_queue *q, uint64_t task_id, uint64_t epoch, uint64_t holder)
{
    struct sl_task *task = live_task(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    held_unlink(q, task->held);
    held_link(q, task->held, holder);
    return SL_OK;
}

/* ---- extending ----------------------------------------------------------------------------- */

/* The heap's keys stay behind, which beats would otherwise sort in vain: see expire. */
void
sl_queue_extend(struct sl_queue *q, uint64_t holder, uint64_t deadline_ns)
{
    sl_queue_assert(q);
    struct sl_holder *found = sl_holder_lookup(q, holder);
    for (int i = 0; found != NULL && i < 2; i++) {
        for (struct sl_held *held = found->held[i].newest; held != NULL; held = held->older)
            held->deadline_ns = SL_MAX(held->deadline_ns, deadline_ns);
    }
}

enum sl_err
sl_queue_extend_one(struct sl_queue *q, uint64_t task_id, uint64_t epoch, uint64_t deadline_ns)
{
    struct sl_task *task = live_task(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    task->held->deadline_ns = SL_MAX(task->held->deadline_ns, deadline_ns);
    return SL_OK;
}

/* ---- giving back --------------------------------------------------------------------------- */

static void
give_back(struct sl_queue *q, uint32_t slot, enum sl_change change)
{
    if (change == SL_CHANGE_RELEASE) /* Of a lapsed one nobody knows whether it was worked on. */
        sl_task_at(q, slot)->held->is_served = true;
    struct sl_become to = {.change = change, .state = SL_STATE_QUEUED, .has_returned = true};
    sl_task_become(q, slot, &to);
}

enum sl_err
sl_queue_release(struct sl_queue *q, uint64_t task_id, uint64_t epoch)
{
    const struct sl_task *task = live_task(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    give_back(q, task->held->slot, SL_CHANGE_RELEASE);
    return SL_OK;
}

uint64_t
sl_queue_release_holder(struct sl_queue *q, uint64_t holder)
{
    sl_queue_assert(q);
    struct sl_holder *found = sl_holder_lookup(q, holder);
    uint64_t count = found == NULL ? 0 : found->held[false].count + found->held[true].count;
    /* As they were leased; those that had begun were so before the others. */
    for (uint64_t i = 0; i < count; i++) {
        const struct sl_held *next = found->held[true].oldest;
        give_back(q, (next != NULL ? next : found->held[false].oldest)->slot, SL_CHANGE_RELEASE);
    }
    return count;
}

/* Of those that a heap has, which moves as they go. */
void
sl_held_void(struct sl_queue *q, uint32_t lane)
{
    const struct sl_heap *deadlines = &q->deadlines[true];
    uint32_t *slots = sl_alloc(deadlines->count * sizeof(*slots)), count = 0;
    for (uint32_t i = 0; i < deadlines->count; i++) {
        uint32_t slot = held_at(deadlines, i)->slot;
        if (sl_task_at(q, slot)->lane == lane)
            slots[count++] = slot;
    }
    for (uint32_t i = 0; i < count; i++)
        give_back(q, slots[i], SL_CHANGE_RELEASE);
    sl_free(slots);
}

struct sl_held *
sl_held_lapsed(struct sl_queue *q, bool is_own, uint64_t now_ns)
{
    struct sl_heap *deadlines = &q->deadlines[is_own];
    sl_queue_clock(q, now_ns);
    while (deadlines->count > 0 && deadlines->entries[0].key <= now_ns) {
        struct sl_held *held = held_at(deadlines, 0);
        if (held->deadline_ns <= now_ns)
            return held;
        sl_heap_rekey(deadlines, 0, held->deadline_ns);
    }
    return NULL;
}

bool
sl_queue_expire(struct sl_queue *q, uint64_t now_ns, uint64_t *ret_task_id)
{
    const struct sl_held *held = sl_held_lapsed(q, false, now_ns);
    if (held == NULL)
        return false;
    *ret_task_id = sl_task_at(q, held->slot)->id;
    give_back(q, held->slot, SL_CHANGE_LAPSE);
    return true;
}

uint64_t
sl_queue_deadline_ns(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->deadlines[1].count == 0 ? UINT64_MAX : q->deadlines[1].entries[0].key;
}
