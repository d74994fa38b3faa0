/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/job_row.h"

#include "runtime/hash.h"

#define JOB_ROW_VERSION 1

void
sl_job_row_encode(const struct sl_job_row *r, struct sl_buf *out)
{
    sl_assert(r != NULL);
    sl_buf_append_u8(out, JOB_ROW_VERSION);
    sl_buf_append_u8(out, (uint8_t)r->state);
    sl_buf_append_u64(out, r->created_ms);
    sl_buf_append_u64(out, r->started_ms);
    sl_buf_append_u64(out, r->ended_ms);
    sl_buf_append_u64(out, r->total);
    sl_buf_append_u64(out, r->done);
    sl_buf_append_u64(out, r->dead);
    sl_buf_append_u64(out, r->canceled);
    sl_buf_append_u64(out, r->records);
    sl_buf_append_block(out, r->kind);
    sl_buf_append_block(out, r->about);
    sl_buf_append_block(out, r->error);
}

enum sl_err
sl_job_row_decode(struct sl_slice bytes, struct sl_job_row *ret_row)
{
    struct sl_reader r = sl_reader(bytes);
    struct sl_job_row row = {0};
    if (sl_read_u8(&r) != JOB_ROW_VERSION)
        return SL_ECORRUPT;
    uint8_t state = sl_read_u8(&r);
    if (state > SL_JOB_CANCELED)
        return SL_ECORRUPT;
    row.state = (enum sl_job_state)state;
    row.created_ms = sl_read_u64(&r);
    row.started_ms = sl_read_u64(&r);
    row.ended_ms = sl_read_u64(&r);
    row.total = sl_read_u64(&r);
    row.done = sl_read_u64(&r);
    row.dead = sl_read_u64(&r);
    row.canceled = sl_read_u64(&r);
    row.records = sl_read_u64(&r);
    row.kind = sl_read_block(&r);
    row.about = sl_read_block(&r);
    row.error = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_row = row;
    return SL_OK;
}

static bool
is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void
sl_job_id_format(struct sl_job_id id, char ret_text[static 37])
{
    char digits[2 * sizeof(id.bytes) + 1];
    sl_hex(sl_slice(id.bytes, sizeof(id.bytes)), digits);
    for (size_t at = 0, from = 0; at < 36; at++)
        ret_text[at] = is_dash(at) ? '-' : digits[from++];
    ret_text[36] = '\0';
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sl_err
sl_job_id_parse(struct sl_slice text, struct sl_job_id *ret_id)
{
    if (text.size != 36)
        return SL_EINVAL;
    struct sl_job_id id = {0};
    size_t nibbles = 0;
    for (size_t at = 0; at < text.size; at++) {
        if (is_dash(at)) {
            if (text.data[at] != '-')
                return SL_EINVAL;
            continue;
        }
        int digit = hex_digit(text.data[at]);
        if (digit < 0)
            return SL_EINVAL;
        id.bytes[nibbles / 2] = (uint8_t)(id.bytes[nibbles / 2] << 4 | digit);
        nibbles++;
    }
    sl_assert(nibbles == 2 * sizeof(id.bytes));
    *ret_id = id;
    return SL_OK;
}
