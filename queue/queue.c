/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include "queue/job.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define BOOT_SHIFT 40

const char *sl_class_name(enum sl_class class)
{
    static const char *const names[SL_CLASS_COUNT] = {"cpu", "batch", "gpu"};
    sl_assert(class < SL_CLASS_COUNT);
    return names[class];
}

struct sl_queue *
sl_queue_create(void)
{
    struct sl_queue *q = sl_zalloc(sizeof(*q));
    q->magic = SL_QUEUE_MAGIC;
    return q;
}

static void
free_leases(struct sl_queue *q)
{
    for (uint32_t i = 0; i < q->deadlines.count; i++) {
        struct sl_held *held =
            SL_CONTAINER(q->deadlines.entries[i].position, struct sl_held, position);
        /* The holder goes with the last of its leases. */
        if (held->newer == NULL && held->older == NULL)
            sl_free(held->holder);
        if (held->newer != NULL)
            held->newer->older = held->older;
        if (held->older != NULL)
            held->older->newer = held->newer;
        sl_free(held);
    }
}

void
sl_queue_destroy(struct sl_queue **queue)
{
    struct sl_queue *q = *queue;
    *queue = NULL;
    if (q == NULL)
        return;
    sl_queue_assert(q);
    free_leases(q);
    for (struct sl_job *job = q->first_job, *next; job != NULL; job = next) {
        next = job->next;
        sl_free(job->tasks);
        sl_free(job);
    }
    for (struct sl_lane *lane = q->first_lane, *next; lane != NULL; lane = next) {
        next = lane->next;
        sl_free(lane);
    }
    for (int i = 0; i < SL_CLASS_COUNT; i++) {
        sl_table_deinit(&q->lanes[i]);
        sl_heap_deinit(&q->delayed[i]);
    }
    sl_table_deinit(&q->jobs_by_id);
    sl_table_deinit(&q->jobs_by_serial);
    sl_table_deinit(&q->holders);
    sl_heap_deinit(&q->deadlines);
    q->magic = 0;
    sl_free(q);
}

void
sl_queue_boot(struct sl_queue *q, uint64_t boot)
{
    sl_queue_assert(q);
    sl_assert(boot < UINT64_C(1) << (64 - BOOT_SHIFT));
    sl_assert(boot << BOOT_SHIFT >= q->epoch_last);
    sl_assert(q->deadlines.count == 0);
    q->epoch_last = boot << BOOT_SHIFT;
}

/* ---- leases -------------------------------------------------------------------------------- */

static struct sl_lease
lease_of(const struct sl_task *task)
{
    const struct sl_job *job = task->job;
    return (struct sl_lease){
        .task_id = sl_task_id(task),
        .epoch = task->held->epoch,
        .holder = task->held->holder->id,
        .deadline_ns = task->held->deadline_ns,
        .scope = job->scope,
        .job = job->id,
        .class = (enum sl_class)job->class,
        .attempts = task->attempts,
        .crashes = task->crashes,
        .payload = sl_slice(sl_job_payloads(job) + task->payload_at, task->payload_size),
    };
}

bool
sl_queue_lease(struct sl_queue *q, const struct sl_lease_want *want, struct sl_lease *ret_lease)
{
    sl_queue_assert(q);
    sl_assert(want->class < SL_CLASS_COUNT);
    sl_task_ripen(q, want->class, want->now_ms);
    struct sl_task *task = sl_task_next(q, want->class);
    if (task == NULL)
        return false;

    sl_task_charge(q, want->class);
    sl_task_detach(q, task);
    sl_task_hold(q, task, want);
    struct sl_job *job = task->job;
    if (!job->was_leased) {
        job->was_leased = true;
        job->started_ms = want->now_ms;
    }
    *ret_lease = lease_of(task);
    return true;
}

static struct sl_task *
lookup_live(const struct sl_queue *q, uint64_t task_id, uint64_t epoch)
{
    sl_queue_assert(q);
    struct sl_task *task = sl_task_lookup(q, task_id);
    if (task == NULL || task->state != SL_TASK_LEASED || task->held->epoch != epoch)
        return NULL;
    return task;
}

enum sl_err
sl_queue_check(const struct sl_queue *q, uint64_t task_id, uint64_t epoch,
               struct sl_lease *ret_lease)
{
    const struct sl_task *task = lookup_live(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    *ret_lease = lease_of(task);
    return SL_OK;
}

enum sl_err
sl_queue_release(struct sl_queue *q, uint64_t task_id, uint64_t epoch)
{
    struct sl_task *task = lookup_live(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    sl_task_give_back(q, task);
    return SL_OK;
}

enum sl_err
sl_queue_move(struct sl_queue *q, uint64_t task_id, uint64_t epoch, uint64_t holder)
{
    struct sl_task *task = lookup_live(q, task_id, epoch);
    if (task == NULL)
        return SL_ESTALE;
    sl_task_move(q, task, holder);
    return SL_OK;
}

static struct sl_holder *
holder_lookup(const struct sl_queue *q, uint64_t id)
{
    struct sl_table_link *link = sl_table_find(&q->holders, sl_table_mix(id));
    return link == NULL ? NULL : SL_CONTAINER(link, struct sl_holder, link);
}

void
sl_queue_extend(struct sl_queue *q, uint64_t holder, uint64_t deadline_ns)
{
    sl_queue_assert(q);
    struct sl_holder *found = holder_lookup(q, holder);
    if (found == NULL)
        return;
    /* The heap's keys stay behind, which heartbeats would otherwise sort in vain: see expire. */
    for (struct sl_held *held = found->newest; held != NULL; held = held->older)
        held->deadline_ns = SL_MAX(held->deadline_ns, deadline_ns);
}

uint64_t
sl_queue_release_holder(struct sl_queue *q, uint64_t holder)
{
    sl_queue_assert(q);
    struct sl_holder *found = holder_lookup(q, holder);
    struct sl_held *held = found == NULL ? NULL : found->newest;
    uint64_t count = 0;
    /* Newest first, each to the front: they end up in the order in which they were leased. */
    for (struct sl_held *older; held != NULL; held = older) {
        older = held->older;
        sl_task_give_back(q, held->task);
        count++;
    }
    return count;
}

bool
sl_queue_expire(struct sl_queue *q, uint64_t now_ns, uint64_t *ret_task_id)
{
    sl_queue_assert(q);
    while (q->deadlines.count > 0 && q->deadlines.entries[0].key <= now_ns) {
        struct sl_held *held =
            SL_CONTAINER(q->deadlines.entries[0].position, struct sl_held, position);
        if (held->deadline_ns > now_ns) {
            sl_heap_rekey(&q->deadlines, 0, held->deadline_ns);
            continue;
        }
        *ret_task_id = sl_task_id(held->task);
        sl_task_give_back(q, held->task);
        return true;
    }
    return false;
}

/* ---- looking ------------------------------------------------------------------------------- */

uint64_t
sl_queue_next_ms(const struct sl_queue *q)
{
    sl_queue_assert(q);
    uint64_t next_ms = UINT64_MAX;
    for (int i = 0; i < SL_CLASS_COUNT; i++) {
        if (q->delayed[i].count > 0)
            next_ms = SL_MIN(next_ms, q->delayed[i].entries[0].key);
    }
    return next_ms;
}

enum sl_err
sl_queue_job(const struct sl_queue *q, struct sl_job_id id, struct sl_job_info *ret_info)
{
    sl_queue_assert(q);
    const struct sl_job *job = sl_job_lookup(q, id);
    if (job == NULL)
        return SL_ENOTFOUND;
    *ret_info = (struct sl_job_info){
        .id = job->id,
        .scope = job->scope,
        .class = (enum sl_class)job->class,
        .state = sl_job_state(job),
        .total = job->total,
        .done = job->done,
        .dead = job->dead,
        .canceled = job->canceled,
        .leased = job->leased,
        .created_ms = job->created_ms,
        .started_ms = job->started_ms,
    };
    return SL_OK;
}

static uint64_t
oldest_ms(const struct sl_lane *lane)
{
    /* Jobs are leased about in this order, so few have to be passed over. */
    const struct sl_job *job = lane->first_job;
    while (job != NULL && job->waiting == 0)
        job = job->lane_next;
    return job == NULL ? 0 : job->created_ms;
}

uint32_t
sl_queue_depths(const struct sl_queue *q, struct sl_queue_depth *ret, uint32_t max)
{
    sl_queue_assert(q);
    uint32_t count = 0;
    for (const struct sl_lane *lane = q->first_lane; lane != NULL && count < max;
         lane = lane->next) {
        ret[count++] = (struct sl_queue_depth){.scope = lane->scope,
                                               .class = lane->class,
                                               .ready = lane->ready,
                                               .delayed = lane->delayed,
                                               .leased = lane->leased,
                                               .oldest_ms = oldest_ms(lane)};
    }
    return count;
}

uint64_t
sl_queue_leased_count(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->deadlines.count; /* Each lease has one. */
}

uint64_t
sl_queue_ready_count(const struct sl_queue *q, enum sl_class class)
{
    sl_queue_assert(q);
    sl_assert(class < SL_CLASS_COUNT);
    return q->ready[class];
}

bool
sl_queue_ended(const struct sl_queue *q, struct sl_job_info *ret_info)
{
    sl_queue_assert(q);
    const struct sl_job *job = q->first_job;
    while (job != NULL && sl_job_live(job) > 0)
        job = job->next;
    return job != NULL && sl_queue_job(q, job->id, ret_info) == SL_OK;
}

uint32_t
sl_queue_jobs(const struct sl_queue *q, struct sl_job_info *ret_infos, uint32_t max)
{
    sl_queue_assert(q);
    uint32_t count = 0;
    for (const struct sl_job *job = q->last_job; job != NULL && count < max; job = job->prev) {
        if (sl_queue_job(q, job->id, &ret_infos[count]) == SL_OK)
            count++;
    }
    return count;
}
