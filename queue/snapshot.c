/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue as bytes, little endian, jobs by serial and tasks by index: so equal queues give equal
 * bytes. What leases and time did is not in it.
 *
 *   version u8 | serial_last u64 | order_last u64 | jobs u32 | each job:
 *       serial u64 | id 16 bytes | scope u64 | class u8 | priority u8 | was_run u8 | created_ms u64
 * | total u32 | done u32 | dead u32 | canceled u32 | payload bytes u32 | each task not ended: index
 * u32 | attempts u32 | crashes u32 | not_before_ms u64 | order u64 | size u32, payload
 */
#include <stdlib.h>

#include "queue/job.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define SNAPSHOT_VERSION 1
#define TASK_BYTES_MIN   32

/* ---- writing ------------------------------------------------------------------------------- */

static void
append_task(struct sl_buf *out, const struct sl_task *task)
{
    sl_buf_append_u32(out, task->index);
    sl_buf_append_u32(out, task->attempts);
    sl_buf_append_u32(out, task->crashes);
    sl_buf_append_u64(out, task->not_before_ms);
    sl_buf_append_u64(out, task->order);
    sl_buf_append_block(
        out, sl_slice(sl_job_payloads(task->job) + task->payload_at, task->payload_size));
}

static void
append_job(struct sl_buf *out, const struct sl_job *job)
{
    uint32_t payload_bytes = 0;
    for (uint32_t i = 0; i < job->tasks_count; i++) {
        if (job->tasks[i].state != SL_TASK_ENDED)
            payload_bytes += job->tasks[i].payload_size;
    }
    sl_buf_append_u64(out, job->serial);
    sl_buf_append(out, job->id.bytes, sizeof(job->id.bytes));
    sl_buf_append_u64(out, job->scope.id);
    sl_buf_append_u8(out, job->class);
    sl_buf_append_u8(out, job->priority);
    sl_buf_append_u8(out, job->was_run);
    sl_buf_append_u64(out, job->created_ms);
    sl_buf_append_u32(out, job->total);
    sl_buf_append_u32(out, job->done);
    sl_buf_append_u32(out, job->dead);
    sl_buf_append_u32(out, job->canceled);
    sl_buf_append_u32(out, payload_bytes);
    for (uint32_t i = 0; i < job->tasks_count; i++) {
        if (job->tasks[i].state != SL_TASK_ENDED)
            append_task(out, &job->tasks[i]);
    }
}

void
sl_queue_snapshot(void *queue, struct sl_buf *out)
{
    const struct sl_queue *q = queue;
    sl_queue_assert(q);
    sl_assert(q->jobs_by_id.count <= UINT32_MAX);
    sl_buf_append_u8(out, SNAPSHOT_VERSION);
    sl_buf_append_u64(out, q->serial_last);
    sl_buf_append_u64(out, q->order_last);
    sl_buf_append_u32(out, (uint32_t)q->jobs_by_id.count);
    for (const struct sl_job *job = q->first_job; job != NULL; job = job->next)
        append_job(out, job);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* What stands before a job's tasks. */
struct job_head {
    struct sl_job_seed seed; /* tasks_count: those that follow. */
    uint32_t total, done, dead, canceled;
    bool was_run;
};

static bool
read_head(struct sl_reader *r, struct job_head *head)
{
    *head = (struct job_head){0};
    struct sl_job_seed *seed = &head->seed;
    seed->serial = sl_read_u64(r);
    struct sl_slice id = sl_read_bytes(r, sizeof(seed->id.bytes));
    seed->scope.id = sl_read_u64(r);
    seed->class = (enum sl_class)sl_read_u8(r);
    seed->priority = sl_read_u8(r);
    uint8_t was_run = sl_read_u8(r);
    seed->created_ms = sl_read_u64(r);
    head->total = sl_read_u32(r);
    head->done = sl_read_u32(r);
    head->dead = sl_read_u32(r);
    head->canceled = sl_read_u32(r);
    seed->payload_bytes = sl_read_u32(r);
    if (r->is_bad)
        return false;
    memcpy(seed->id.bytes, id.data, sizeof(seed->id.bytes));
    head->was_run = was_run != 0;

    uint64_t ended = (uint64_t)head->done + head->dead + head->canceled;
    if (seed->class >= SL_CLASS_COUNT || seed->priority > SL_QUEUE_PRIORITY_MAX || was_run > 1 ||
        head->total > SL_TASKS_MAX || ended > head->total)
        return false;
    /* The counts against the bytes that are left, before any memory is asked for. */
    uint64_t left = (uint64_t)(r->end - r->at);
    seed->tasks_count = (uint32_t)(head->total - ended);
    return seed->tasks_count * (uint64_t)TASK_BYTES_MIN + seed->payload_bytes <= left &&
           (seed->tasks_count > 0 || seed->payload_bytes == 0);
}

/* Read one task into its place in the block. It is not attached yet. */
static bool
read_task(struct sl_reader *r, struct sl_task *task, struct sl_slice *ret_payload)
{
    task->index = sl_read_u32(r);
    uint32_t attempts = sl_read_u32(r);
    uint32_t crashes = sl_read_u32(r);
    task->not_before_ms = sl_read_u64(r);
    task->order = sl_read_u64(r);
    *ret_payload = sl_read_block(r);
    task->attempts = (uint16_t)attempts;
    task->crashes = (uint16_t)crashes;
    task->payload_size = (uint16_t)ret_payload->size;
    return !r->is_bad && attempts <= UINT16_MAX && crashes <= UINT16_MAX &&
           ret_payload->size <= SL_QUEUE_PAYLOAD_MAX;
}

static bool
read_tasks(struct sl_queue *q, struct sl_reader *r, struct sl_job *job, uint64_t payload_bytes)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < job->tasks_count; i++) {
        struct sl_task *task = &job->tasks[i];
        *task = (struct sl_task){.job = job, .payload_at = at, .state = SL_TASK_ENDED};
        struct sl_slice payload = {0};
        if (!read_task(r, task, &payload))
            return false;
        if (task->index >= job->total || (i > 0 && task->index <= task[-1].index) ||
            task->order > q->order_last || payload.size > payload_bytes - at)
            return false;
        if (payload.size > 0)
            memcpy(sl_job_payloads(job) + at, payload.data, payload.size);
        at += (uint32_t)payload.size;
    }
    return at == payload_bytes;
}

static bool
read_job(struct sl_queue *q, struct sl_reader *r)
{
    struct job_head head;
    if (!read_head(r, &head))
        return false;
    uint64_t serial_before = q->last_job == NULL ? 0 : q->last_job->serial;
    if (head.seed.serial <= serial_before || head.seed.serial > q->serial_last ||
        sl_job_lookup(q, head.seed.id) != NULL)
        return false;

    struct sl_job *job = sl_job_add(q, &head.seed);
    job->total = head.total;
    job->done = head.done;
    job->dead = head.dead;
    job->canceled = head.canceled;
    job->was_run = head.was_run;
    return read_tasks(q, r, job, head.seed.payload_bytes);
}

static int
compare_order(const void *a, const void *b)
{
    const struct sl_task *x = *(struct sl_task *const *)a, *y = *(struct sl_task *const *)b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    uint64_t x_id = sl_task_id(x), y_id = sl_task_id(y);
    return x_id < y_id ? -1 : x_id > y_id;
}

/* Attach all tasks in the order the events gave them. */
static void
attach_all(struct sl_queue *q, size_t tasks_count)
{
    struct sl_task **tasks = sl_alloc(tasks_count * sizeof(struct sl_task *));
    size_t count = 0;
    for (struct sl_job *job = q->first_job; job != NULL; job = job->next) {
        for (uint32_t i = 0; i < job->tasks_count; i++)
            tasks[count++] = &job->tasks[i];
    }
    sl_assert(count == tasks_count);
    qsort(tasks, count, sizeof(struct sl_task *), compare_order);
    for (size_t i = 0; i < count; i++)
        sl_task_attach(q, tasks[i]);
    sl_free(tasks);
}

static enum sl_err
read_all(struct sl_queue *q, struct sl_reader *r)
{
    if (sl_read_u8(r) != SNAPSHOT_VERSION)
        return r->is_bad ? SL_ECORRUPT : SL_EVERSION;
    q->serial_last = sl_read_u64(r);
    q->order_last = sl_read_u64(r);
    uint32_t jobs_count = sl_read_u32(r);
    /* No run of events counts that far; what does would wrap. */
    if (r->is_bad || q->serial_last > SL_SERIAL_MAX || q->order_last > UINT64_MAX / 2)
        return SL_ECORRUPT;

    size_t tasks_count = 0;
    for (uint32_t i = 0; i < jobs_count; i++) {
        if (!read_job(q, r))
            return SL_ECORRUPT;
        tasks_count += q->last_job->tasks_count;
    }
    if (!sl_reader_is_done(r))
        return SL_ECORRUPT;
    attach_all(q, tasks_count);
    return SL_OK;
}

enum sl_err
sl_queue_restore(void *queue, struct sl_slice snapshot)
{
    struct sl_queue *q = queue;
    sl_queue_assert(q);
    struct sl_queue *fresh = sl_queue_create();
    struct sl_reader r = sl_reader(snapshot);
    enum sl_err err = read_all(fresh, &r);
    if (err == SL_OK) {
        /* Nothing points at the queue itself, so the two can change places. */
        struct sl_queue old = *q;
        *q = *fresh;
        *fresh = old;
        q->epoch_last = old.epoch_last;
    }
    sl_queue_destroy(&fresh);
    return err;
}
