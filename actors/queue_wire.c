/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/queue_wire.h"

#define SL_PROTOCOL_DEF  "actors/queue.def"
#define SL_PROTOCOL_NAME queue
#define SL_PROTOCOL_ID   SL_PROTOCOL_QUEUE
#include "runtime/message_table.h"

enum { HAS_OPTIONS = 1, HAS_KEY = 2, HAS_LIMITS = 4, ALL_FLAGS = 7 };

static uint8_t
flags_of(const struct sl_put_item *item)
{
    bool has_options = item->delay_ms != 0 || item->expires_ms != 0 || item->retain_ms != 0 ||
                       item->policy.size > 0;
    return (uint8_t)((has_options ? HAS_OPTIONS : 0) |
                     (item->key.mode != SL_DEDUP_NONE ? HAS_KEY : 0) |
                     (item->limits_count > 0 ? HAS_LIMITS : 0));
}

static void
put_limits(struct sl_buf *out, const struct sl_put_item *item)
{
    sl_assert(item->limits_count <= SL_KEYS_PER_TASK_MAX);
    sl_buf_append_u8(out, (uint8_t)item->limits_count);
    for (uint32_t i = 0; i < item->limits_count; i++) {
        const struct sl_submit_limit *limit = &item->limits[i];
        sl_buf_append_u64(out, (uint64_t)limit->limit);
        sl_buf_append_u64(out, (uint64_t)limit->policy);
        sl_buf_append_u32(out, limit->rate.count);
        sl_buf_append_u32(out, limit->rate.burst);
        sl_buf_append_u64(out, limit->rate.period_ns);
        sl_buf_append_block(out, limit->name);
    }
}

void
sl_wire_put(struct sl_buf *out, const struct sl_put_item *item)
{
    uint8_t flags = flags_of(item);
    sl_buf_append_u8(out, flags);
    sl_buf_append_u8(out, item->priority);
    if ((flags & HAS_OPTIONS) != 0) {
        sl_buf_append_u64(out, item->delay_ms);
        sl_buf_append_u64(out, item->expires_ms);
        sl_buf_append_u64(out, item->retain_ms);
        sl_buf_append_block(out, item->policy);
    }
    if ((flags & HAS_KEY) != 0) {
        sl_buf_append_u64(out, (uint64_t)item->key.mode);
        sl_buf_append_u64(out, (uint64_t)item->key.window_ms);
        sl_buf_append_u64(out, (uint64_t)item->key.max_ms);
        sl_buf_append_block(out, item->key.name);
    }
    if ((flags & HAS_LIMITS) != 0)
        put_limits(out, item);
    sl_buf_append_block(out, item->payload);
}

static bool
read_limits(struct sl_reader *r, struct sl_put_item *item)
{
    item->limits_count = sl_read_u8(r);
    if (item->limits_count > SL_KEYS_PER_TASK_MAX)
        return false;
    for (uint32_t i = 0; i < item->limits_count; i++) {
        struct sl_submit_limit *limit = &item->limits[i];
        limit->limit = (int64_t)sl_read_u64(r);
        limit->policy = (int64_t)sl_read_u64(r);
        limit->rate.count = sl_read_u32(r);
        limit->rate.burst = sl_read_u32(r);
        limit->rate.period_ns = sl_read_u64(r);
        limit->name = sl_read_block(r);
    }
    return true;
}

bool
sl_wire_put_read(struct sl_reader *r, struct sl_put_item *ret_item)
{
    uint8_t flags = sl_read_u8(r);
    *ret_item = (struct sl_put_item){.priority = sl_read_u8(r)};
    if ((flags & HAS_OPTIONS) != 0) {
        ret_item->delay_ms = sl_read_u64(r);
        ret_item->expires_ms = sl_read_u64(r);
        ret_item->retain_ms = sl_read_u64(r);
        ret_item->policy = sl_read_block(r);
    }
    if ((flags & HAS_KEY) != 0) {
        ret_item->key.mode = (int64_t)sl_read_u64(r);
        ret_item->key.window_ms = (int64_t)sl_read_u64(r);
        ret_item->key.max_ms = (int64_t)sl_read_u64(r);
        ret_item->key.name = sl_read_block(r);
    }
    if ((flags & HAS_LIMITS) != 0 && !read_limits(r, ret_item))
        return false;
    ret_item->payload = sl_read_block(r);
    return !r->is_bad && flags <= ALL_FLAGS;
}

void
sl_wire_end(struct sl_buf *out, const struct sl_end_item *item)
{
    sl_buf_append_u64(out, item->task_id);
    sl_buf_append_u64(out, item->epoch);
    sl_buf_append_u8(out, (uint8_t)item->kind);
    sl_buf_append_u64(out, item->served_ns);
    if (item->kind != SL_END_DONE) {
        sl_buf_append_u64(out, item->after_ms);
        sl_buf_append_block(out, item->class);
        sl_buf_append_u32(out, item->signal);
        sl_buf_append_u64(out, item->peak_bytes);
    }
    sl_buf_append_block(out, item->bytes);
}

bool
sl_wire_end_read(struct sl_reader *r, struct sl_end_item *ret_item)
{
    *ret_item = (struct sl_end_item){.task_id = sl_read_u64(r)};
    ret_item->epoch = sl_read_u64(r);
    uint8_t kind = sl_read_u8(r);
    ret_item->kind = (enum sl_end_kind)kind;
    ret_item->served_ns = sl_read_u64(r);
    if (kind != SL_END_DONE) {
        ret_item->after_ms = sl_read_u64(r);
        ret_item->class = sl_read_block(r);
        ret_item->signal = sl_read_u32(r);
        ret_item->peak_bytes = sl_read_u64(r);
    }
    ret_item->bytes = sl_read_block(r);
    return !r->is_bad && kind <= SL_END_RELEASED;
}

void
sl_wire_lease(struct sl_buf *out, const struct sl_lease *lease)
{
    sl_buf_append_u64(out, lease->task_id);
    sl_buf_append_u64(out, lease->epoch);
    sl_buf_append_u32(out, lease->attempts);
    sl_buf_append_u32(out, lease->crashes);
    sl_buf_append_u32(out, lease->snoozes);
    sl_buf_append_u64(out, lease->created_ms);
    sl_buf_append_block(out, lease->payload);
}

bool
sl_wire_lease_read(struct sl_reader *r, struct sl_lease *ret_lease)
{
    *ret_lease = (struct sl_lease){.task_id = sl_read_u64(r)};
    ret_lease->epoch = sl_read_u64(r);
    ret_lease->attempts = (uint16_t)sl_read_u32(r);
    ret_lease->crashes = (uint16_t)sl_read_u32(r);
    ret_lease->snoozes = (uint16_t)sl_read_u32(r);
    ret_lease->created_ms = sl_read_u64(r);
    ret_lease->payload = sl_read_block(r);
    return !r->is_bad;
}

void
sl_wire_result(struct sl_buf *out, const struct sl_put_result *result)
{
    sl_buf_append_u8(out, (uint8_t)result->err);
    sl_buf_append_u8(out, (uint8_t)result->state);
    sl_buf_append_u8(out, (uint8_t)(result->is_existing + 2 * result->is_replaced));
    sl_buf_append_u64(out, result->task_id);
}

enum sl_err
sl_wire_err_read(struct sl_reader *r)
{
    uint8_t err = sl_read_u8(r);
    return r->is_bad || err > SL_EBUG ? SL_EBUG : (enum sl_err)err;
}

bool
sl_wire_result_read(struct sl_reader *r, struct sl_put_result *ret_result)
{
    *ret_result = (struct sl_put_result){.err = sl_wire_err_read(r)};
    uint8_t state = sl_read_u8(r);
    ret_result->state = (enum sl_state)state;
    uint8_t flags = sl_read_u8(r);
    ret_result->is_existing = (flags & 1) != 0;
    ret_result->is_replaced = (flags & 2) != 0;
    ret_result->task_id = sl_read_u64(r);
    return !r->is_bad && state < SL_STATE_COUNT;
}
