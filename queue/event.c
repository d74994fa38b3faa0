/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/event.h"

#include "queue/put_options.h"
#include "runtime/hash.h"

const char *sl_class_name(enum sl_class class)
{
    static const char *const names[] = {"cpu", "batch", "gpu", "own"};
    sl_assert(class < SL_COUNT_OF(names));
    return names[class];
}

static void
append_head(struct sl_buf *out, enum sl_queue_event_kind kind)
{
    sl_buf_append_u8(out, SL_QUEUE_EVENT_VERSION);
    sl_buf_append_u8(out, (uint8_t)kind);
}

static void
append_body(struct sl_buf *out, struct sl_slice bytes)
{
    sl_assert(bytes.size <= SL_QUEUE_PAYLOAD_MAX);
    sl_buf_append_u32(out, (uint32_t)bytes.size);
    sl_buf_append_u32(out, sl_crc32c(0, bytes.data, bytes.size));
    sl_buf_append_slice(out, bytes);
}

static void
append_why(struct sl_buf *out, struct sl_slice why)
{
    append_body(out, sl_slice(why.data, SL_MIN(why.size, (size_t)SL_QUEUE_ERROR_MAX)));
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
    append_body(out, payload);
}

void
sl_queue_event_put(struct sl_buf *out, const struct sl_task_put *p)
{
    sl_assert(p->class <= SL_CLASS_OWN);
    sl_assert(p->priority <= SL_QUEUE_PRIORITY_MAX);
    append_head(out, SL_QUEUE_PUT);
    sl_buf_append_u64(out, p->task_id);
    sl_buf_append_u8(out, (uint8_t)p->class);
    sl_buf_append_u64(out, p->lane);
    sl_buf_append_u8(out, p->priority);
    sl_buf_append_u64(out, p->created_ms);
    sl_buf_append_u64(out, p->not_before_ms);
    sl_put_options_encode(p, out);
    append_body(out, p->payload);
}

void
sl_queue_event_done(struct sl_buf *out, const struct sl_task_end *e)
{
    append_head(out, SL_QUEUE_DONE);
    sl_buf_append_u64(out, e->task_id);
    sl_buf_append_u64(out, e->ended_ms);
    append_body(out, e->bytes);
}

void
sl_queue_event_kill(struct sl_buf *out, const struct sl_task_end *e)
{
    append_head(out, SL_QUEUE_KILL);
    sl_buf_append_u64(out, e->task_id);
    sl_buf_append_u64(out, e->ended_ms);
    sl_buf_append_u8(out, (uint8_t)e->state | (e->is_counted ? SL_QUEUE_KILL_COUNTED : 0));
    if (e->is_counted)
        sl_buf_append_u32(out, (uint32_t)e->attempts | (uint32_t)e->crashes << 16);
    append_why(out, e->bytes);
}

void
sl_queue_event_retry(struct sl_buf *out, const struct sl_retry *r)
{
    append_head(out, SL_QUEUE_RETRY);
    sl_buf_append_u64(out, r->task_id);
    sl_buf_append_u64(out, r->not_before_ms);
    sl_buf_append_u32(out, (uint32_t)r->attempts | (r->failed_ms != 0 ? UINT32_C(1) << 16 : 0));
    sl_buf_append_u32(out, r->crashes);
    sl_buf_append_u32(out, r->snoozes);
    if (r->failed_ms != 0)
        sl_buf_append_u64(out, r->failed_ms);
    append_why(out, r->why);
}

void
sl_queue_event_edit(struct sl_buf *out, const struct sl_edit *e)
{
    append_head(out, SL_QUEUE_EDIT);
    sl_buf_append_u64(out, e->task_id);
    sl_buf_append_u8(out, e->priority | (e->is_empty ? SL_QUEUE_EDIT_EMPTY : 0));
    sl_buf_append_u64(out, e->not_before_ms);
    append_body(out, e->payload);
}

void
sl_queue_event_redrive(struct sl_buf *out, const struct sl_edit *e)
{
    append_head(out, SL_QUEUE_REDRIVE);
    sl_buf_append_u64(out, e->task_id);
    sl_buf_append_u64(out, e->not_before_ms);
    append_body(out, e->payload);
}

void
sl_queue_event_move(struct sl_buf *out, const struct sl_body_move *m)
{
    if (out->size == 0)
        append_head(out, SL_QUEUE_MOVE);
    sl_buf_append_u64(out, m->task_id);
    sl_buf_append_u8(out, (uint8_t)m->of);
    append_body(out, m->bytes);
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

void
sl_queue_event_task_only(struct sl_buf *out, enum sl_queue_event_kind kind, uint64_t task_id,
                         uint64_t ended_ms)
{
    sl_assert(kind == SL_QUEUE_CANCEL_TASK || kind == SL_QUEUE_EXPIRE_TASK ||
              kind == SL_QUEUE_FORGET_TASK);
    append_head(out, kind);
    sl_buf_append_u64(out, task_id);
    if (kind != SL_QUEUE_FORGET_TASK)
        sl_buf_append_u64(out, ended_ms);
}

void
sl_queue_event_drop_key(struct sl_buf *out, uint64_t before_ms, const uint64_t hash[2])
{
    if (out->size == 0) {
        append_head(out, SL_QUEUE_DROP_KEYS);
        sl_buf_append_u64(out, before_ms);
    }
    sl_buf_append_u64(out, hash[0]);
    sl_buf_append_u64(out, hash[1]);
}

void
sl_queue_event_lane(struct sl_buf *out, enum sl_class class, struct sl_slice name,
                    const struct sl_lane_settings *settings)
{
    append_head(out, SL_QUEUE_LANE);
    sl_buf_append_u8(out, (uint8_t) class);
    sl_buf_append_block(out, name);
    sl_lane_settings_encode(settings, out);
}

void
sl_queue_event_lines(struct sl_buf *out, uint64_t task_id, struct sl_slice lines)
{
    sl_assert(lines.size <= SL_QUEUE_LINES_MAX);
    append_head(out, SL_QUEUE_LINES);
    sl_buf_append_u64(out, task_id);
    append_body(out, lines);
}

void
sl_queue_event_drop_lane(struct sl_buf *out, struct sl_slice name)
{
    append_head(out, SL_QUEUE_DROP_LANE);
    sl_buf_append_block(out, name);
}

void
sl_queue_event_purge(struct sl_buf *out, uint64_t task_id)
{
    if (out->size == 0)
        append_head(out, SL_QUEUE_PURGE);
    sl_buf_append_u64(out, task_id);
}
