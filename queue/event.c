/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/event.h"

#include "queue/job.h"
#include "queue/task.h"

/* ---- writing ------------------------------------------------------------------------------- */

static void
append_head(struct sl_buf *out, enum sl_queue_event_kind kind)
{
    sl_buf_append_u8(out, SL_QUEUE_EVENT_VERSION);
    sl_buf_append_u8(out, (uint8_t)kind);
}

void
sl_queue_event_enqueue(struct sl_buf *out, const struct sl_enqueue *e)
{
    sl_assert(e->class < SL_CLASS_COUNT);
    sl_assert(e->priority <= SL_QUEUE_PRIORITY_MAX);
    append_head(out, SL_QUEUE_ENQUEUE);
    sl_buf_append(out, e->job.bytes, sizeof(e->job.bytes));
    sl_buf_append_u8(out, (uint8_t)e->class);
    sl_buf_append_u8(out, e->priority);
    sl_buf_append_u64(out, e->created_ms);
    sl_buf_append_u64(out, e->not_before_ms);
}

void
sl_queue_event_task(struct sl_buf *out, struct sl_slice payload)
{
    sl_assert(payload.size <= SL_QUEUE_PAYLOAD_MAX);
    sl_buf_append_block(out, payload);
}

void
sl_queue_event_done(struct sl_buf *out, uint64_t task_id)
{
    append_head(out, SL_QUEUE_DONE);
    sl_buf_append_u64(out, task_id);
}

void
sl_queue_event_retry(struct sl_buf *out, const struct sl_retry *r)
{
    append_head(out, SL_QUEUE_RETRY);
    sl_buf_append_u64(out, r->task_id);
    sl_buf_append_u64(out, r->not_before_ms);
    sl_buf_append_u32(out, r->attempts);
    sl_buf_append_u32(out, r->crashes);
}

void
sl_queue_event_dead(struct sl_buf *out, uint64_t task_id)
{
    append_head(out, SL_QUEUE_DEAD);
    sl_buf_append_u64(out, task_id);
}

void
sl_queue_event_cancel(struct sl_buf *out, struct sl_job_id job)
{
    append_head(out, SL_QUEUE_CANCEL);
    sl_buf_append(out, job.bytes, sizeof(job.bytes));
}

void
sl_queue_event_forget(struct sl_buf *out, struct sl_job_id job)
{
    append_head(out, SL_QUEUE_FORGET);
    sl_buf_append(out, job.bytes, sizeof(job.bytes));
}

/* ---- applying ------------------------------------------------------------------------------ */

struct event {
    struct sl_queue *q;
    struct sl_scope scope;
    struct sl_reader fields;
};

static struct sl_job_id
read_job_id(struct sl_reader *r)
{
    struct sl_job_id id = {0};
    struct sl_slice bytes = sl_read_bytes(r, sizeof(id.bytes));
    if (bytes.size == sizeof(id.bytes))
        memcpy(id.bytes, bytes.data, bytes.size);
    return id;
}

/* Count the tasks that follow, up to the end; false when they are malformed. */
static bool
measure_tasks(struct sl_reader r, struct sl_job_seed *seed)
{
    while (!r.is_bad && !sl_reader_is_done(&r)) {
        struct sl_slice payload = sl_read_block(&r);
        if (payload.size > SL_QUEUE_PAYLOAD_MAX || seed->tasks_count == SL_TASKS_MAX)
            return false;
        seed->tasks_count++;
        seed->payload_bytes += payload.size;
    }
    return !r.is_bad && seed->payload_bytes <= UINT32_MAX;
}

static void
fill_tasks(struct sl_queue *q, struct sl_job *job, struct sl_reader *r, uint64_t not_before_ms)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < job->tasks_count; i++) {
        struct sl_slice payload = sl_read_block(r);
        if (payload.size > 0)
            memcpy(sl_job_payloads(job) + at, payload.data, payload.size);
        job->tasks[i] = (struct sl_task){.job = job,
                                         .not_before_ms = not_before_ms,
                                         .order = ++q->order_last,
                                         .payload_at = at,
                                         .index = i,
                                         .payload_size = (uint16_t)payload.size};
        at += (uint32_t)payload.size;
        sl_task_attach(q, &job->tasks[i]);
    }
}

static bool
apply_enqueue(struct event *e)
{
    struct sl_reader *r = &e->fields;
    struct sl_job_seed seed = {.scope = e->scope, .serial = e->q->serial_last + 1};
    seed.id = read_job_id(r);
    seed.class = (enum sl_class)sl_read_u8(r);
    seed.priority = sl_read_u8(r);
    seed.created_ms = sl_read_u64(r);
    uint64_t not_before_ms = sl_read_u64(r);
    if (r->is_bad || seed.class >= SL_CLASS_COUNT || seed.priority > SL_QUEUE_PRIORITY_MAX ||
        seed.serial > SL_SERIAL_MAX)
        return false;
    if (!measure_tasks(*r, &seed) || sl_job_lookup(e->q, seed.id) != NULL)
        return false;

    e->q->serial_last = seed.serial;
    fill_tasks(e->q, sl_job_add(e->q, &seed), r, not_before_ms);
    return true;
}

static bool
apply_end(struct event *e, bool is_done)
{
    uint64_t task_id = sl_read_u64(&e->fields);
    if (!sl_reader_is_done(&e->fields))
        return false;
    struct sl_task *task = sl_task_lookup(e->q, task_id);
    if (task == NULL)
        return true;
    struct sl_job *job = task->job;
    if (job->scope.id != e->scope.id)
        return false;

    sl_task_end(e->q, task);
    *(is_done ? &job->done : &job->dead) += 1;
    job->was_run = true;
    sl_job_settle(e->q, job);
    return true;
}

static bool
apply_retry(struct event *e)
{
    uint64_t task_id = sl_read_u64(&e->fields);
    uint64_t not_before_ms = sl_read_u64(&e->fields);
    uint32_t attempts = sl_read_u32(&e->fields);
    uint32_t crashes = sl_read_u32(&e->fields);
    if (!sl_reader_is_done(&e->fields) || attempts > UINT16_MAX || crashes > UINT16_MAX)
        return false;
    struct sl_task *task = sl_task_lookup(e->q, task_id);
    if (task == NULL)
        return true;
    if (task->job->scope.id != e->scope.id)
        return false;

    sl_task_detach(e->q, task);
    task->attempts = (uint16_t)attempts;
    task->crashes = (uint16_t)crashes;
    task->not_before_ms = not_before_ms;
    task->order = ++e->q->order_last;
    task->job->was_run = true;
    sl_task_attach(e->q, task);
    return true;
}

static bool
apply_cancel(struct event *e)
{
    struct sl_job_id id = read_job_id(&e->fields);
    if (!sl_reader_is_done(&e->fields))
        return false;
    struct sl_job *job = sl_job_lookup(e->q, id);
    if (job == NULL)
        return true;
    if (job->scope.id != e->scope.id)
        return false;

    for (uint32_t i = 0; i < job->tasks_count; i++) {
        if (job->tasks[i].state == SL_TASK_ENDED)
            continue;
        sl_task_end(e->q, &job->tasks[i]);
        job->canceled++;
    }
    sl_job_settle(e->q, job);
    return true;
}

static bool
apply_forget(struct event *e)
{
    struct sl_job_id id = read_job_id(&e->fields);
    if (!sl_reader_is_done(&e->fields))
        return false;
    struct sl_job *job = sl_job_lookup(e->q, id);
    if (job == NULL)
        return true;
    if (job->scope.id != e->scope.id || sl_job_live(job) > 0)
        return false;
    sl_job_remove(e->q, job);
    return true;
}

static bool
apply(struct event *e)
{
    if (sl_read_u8(&e->fields) != SL_QUEUE_EVENT_VERSION)
        return false;
    switch ((enum sl_queue_event_kind)sl_read_u8(&e->fields)) {
    case SL_QUEUE_ENQUEUE:
        return apply_enqueue(e);
    case SL_QUEUE_DONE:
        return apply_end(e, true);
    case SL_QUEUE_RETRY:
        return apply_retry(e);
    case SL_QUEUE_DEAD:
        return apply_end(e, false);
    case SL_QUEUE_CANCEL:
        return apply_cancel(e);
    case SL_QUEUE_FORGET:
        return apply_forget(e);
    }
    return false;
}

void
sl_queue_apply(void *queue, struct sl_scope scope, struct sl_slice event)
{
    sl_queue_assert(queue);
    struct event e = {.q = queue, .scope = scope, .fields = sl_reader(event)};
    bool is_event_refused = !apply(&e);
    (void)SL_BUG(is_event_refused);
}
