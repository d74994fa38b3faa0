/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of an old event is still needed, said again at the end of the log: so that the segment which
 * holds it can go. A body is needed where a task says that it lies just there.
 */
#include "queue/apply.h"
#include "queue/job.h"
#include "queue/put_options.h"
#include "queue/task.h"

struct move {
    struct sl_event e;
    struct sl_buf *out;
};

static bool
is_at(struct sl_body a, struct sl_body b)
{
    return b.size > 0 && a.size == b.size && a.at.segment == b.at.segment &&
           a.at.offset == b.at.offset;
}

/* The next body of the event, if it is the task's payload, the reason why it failed, or its lines.
 */
static void
move_body(struct move *m, uint64_t task_id)
{
    struct sl_body body;
    struct sl_slice bytes = sl_event_body(&m->e, &body);
    uint32_t slot = sl_task_slot(m->e.q, task_id);
    if (slot == SL_NONE || m->e.fields.is_bad)
        return;
    const struct sl_task *task = sl_task_at(m->e.q, slot);
    const struct sl_extra *extra = sl_task_extra_lookup(m->e.q, task);
    if (is_at(sl_task_body(task), body))
        sl_queue_event_move(m->out, &(struct sl_body_move){.task_id = task_id, .bytes = bytes});
    else if (extra != NULL && is_at(extra->why, body))
        sl_queue_event_move(
            m->out, &(struct sl_body_move){.task_id = task_id, .of = SL_BODY_WHY, .bytes = bytes});
    else if (extra != NULL && is_at(extra->lines, body))
        sl_queue_event_move(m->out, &(struct sl_body_move){
                                        .task_id = task_id, .of = SL_BODY_LINES, .bytes = bytes});
}

static void
move_job(struct move *m)
{
    const struct sl_job *job = sl_job_lookup(m->e.q, sl_event_job(&m->e));
    (void)sl_read_bytes(&m->e.fields, 18); /* Class, priority, two times. */
    for (uint32_t i = 0; job != NULL && i < job->total && !m->e.fields.is_bad; i++)
        move_body(m, job->first_id + i);
}

/* Read what lies between the task, which comes first, and the body; false: there is no body. */
static bool
skip_to_body(struct sl_reader *r, enum sl_queue_event_kind kind)
{
    uint8_t state;
    uint32_t attempts;
    struct sl_put_options options;
    switch (kind) {
    case SL_QUEUE_LINES:
        return true;
    case SL_QUEUE_DONE:
    case SL_QUEUE_REDRIVE:
        (void)sl_read_u64(r);
        return true;
    case SL_QUEUE_EDIT:
        (void)sl_read_bytes(r, 9);
        return true;
    case SL_QUEUE_KILL:
        (void)sl_read_u64(r);
        state = sl_read_u8(r);
        (void)sl_read_bytes(r, (state & SL_QUEUE_KILL_COUNTED) != 0 ? 4 : 0);
        return true;
    case SL_QUEUE_RETRY:
        (void)sl_read_u64(r);
        attempts = sl_read_u32(r);
        (void)sl_read_bytes(r, attempts >> 16 != 0 ? 16 : 8);
        return true;
    case SL_QUEUE_PUT:
        (void)sl_read_bytes(r, 26); /* Class, lane, priority, two times. */
        return sl_put_options_decode(r, (struct sl_scope){0}, &options);
    default:
        return false;
    }
}

void
sl_queue_relocate(void *queue, struct sl_scope scope, struct sl_slice event, struct sl_log_at at,
                  struct sl_buf *out)
{
    sl_queue_assert(queue);
    struct move m = {.e = {.q = queue,
                           .scope = scope,
                           .fields = sl_reader(event),
                           .start = event.data,
                           .at = at},
                     .out = out};
    struct sl_reader *r = &m.e.fields;
    if (sl_read_u8(r) != SL_QUEUE_EVENT_VERSION)
        return;
    enum sl_queue_event_kind kind = (enum sl_queue_event_kind)sl_read_u8(r);
    if (kind == SL_QUEUE_ENQUEUE) {
        move_job(&m);
        return;
    }
    while (kind == SL_QUEUE_MOVE && !r->is_bad && !sl_reader_is_done(r)) {
        uint64_t moved = sl_read_u64(r);
        (void)sl_read_u8(r);
        move_body(&m, moved);
    }
    uint64_t task_id = sl_read_u64(r);
    if (skip_to_body(r, kind))
        move_body(&m, task_id);
}
