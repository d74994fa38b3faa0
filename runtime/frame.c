/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/frame.h"

#include <endian.h>

#include "runtime/alloc.h"

#define FLAG_WANTS 1

uint32_t
sl_frame_tag(uint64_t boot, uint64_t session)
{
    uint64_t mixed = (boot ^ session * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(mixed >> 32);
}

void
sl_frame_head_put(uint8_t *at, enum sl_frame_kind kind, const struct sl_frame_head *head)
{
    uint16_t flags = htole16(head->wants_ack ? FLAG_WANTS : 0);
    uint32_t tag = htole32(head->tag);
    uint64_t seq = htole64(head->seq), ack = htole64(head->ack);
    at[0] = SL_WIRE_VERSION;
    at[1] = (uint8_t)kind;
    memcpy(at + 2, &flags, sizeof(flags));
    memcpy(at + 4, &tag, sizeof(tag));
    memcpy(at + 8, &seq, sizeof(seq));
    memcpy(at + 16, &ack, sizeof(ack));
}

void
sl_frame_beat(struct sl_buf *out, const struct sl_frame_head *head)
{
    uint8_t bytes[SL_FRAME_HEAD_BYTES];
    sl_frame_head_put(bytes, SL_FRAME_BEAT, head);
    sl_buf_append(out, bytes, sizeof(bytes));
}

static void
put_start(struct sl_buf *out, enum sl_frame_kind kind, uint8_t flags)
{
    sl_buf_append_u8(out, SL_WIRE_VERSION);
    sl_buf_append_u8(out, (uint8_t)kind);
    sl_buf_append_u8(out, SL_WIRE_MINOR);
    sl_buf_append_u8(out, flags);
}

static void
put_text(struct sl_buf *out, struct sl_slice text)
{
    sl_buf_append_block(out, sl_slice(text.data, SL_MIN(text.size, (size_t)SL_FRAME_TEXT_MAX)));
}

void
sl_frame_hello(struct sl_buf *out, const struct sl_hello *hello)
{
    put_start(out, SL_FRAME_HELLO, hello->wants_reply ? FLAG_WANTS : 0);
    sl_buf_append_u32(out, hello->node);
    sl_buf_append_u32(out, hello->beat_ms);
    sl_buf_append_u64(out, hello->boot);
    sl_buf_append_u64(out, hello->session);
    sl_buf_append_u64(out, hello->peer_boot);
    sl_buf_append_u64(out, hello->peer_session);
    sl_buf_append_u64(out, hello->received);
    put_text(out, hello->name);
    put_text(out, hello->group);
}

void
sl_frame_refuse(struct sl_buf *out, const char *reason)
{
    put_start(out, SL_FRAME_REFUSE, 0);
    put_text(out, sl_slice_str(reason));
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool
read_head(struct sl_slice bytes, struct sl_frame_view *view)
{
    struct sl_reader r = sl_reader(sl_slice(bytes.data + 2, bytes.size - 2));
    uint32_t flags = sl_read_u8(&r);
    (void)sl_read_u8(&r);
    view->head.wants_ack = (flags & FLAG_WANTS) != 0;
    view->head.tag = sl_read_u32(&r);
    view->head.seq = sl_read_u64(&r);
    view->head.ack = sl_read_u64(&r);
    view->rest = sl_slice(r.at, (size_t)(r.end - r.at));
    return !r.is_bad;
}

static struct sl_slice
read_text(struct sl_reader *r)
{
    struct sl_slice text = sl_read_block(r);
    if (text.size > SL_FRAME_TEXT_MAX)
        r->is_bad = true;
    return text;
}

static bool
read_hello(struct sl_slice bytes, struct sl_hello *hello)
{
    struct sl_reader r = sl_reader(sl_slice(bytes.data + 2, bytes.size - 2));
    hello->minor = sl_read_u8(&r);
    hello->wants_reply = (sl_read_u8(&r) & FLAG_WANTS) != 0;
    hello->node = sl_read_u32(&r);
    hello->beat_ms = sl_read_u32(&r);
    hello->boot = sl_read_u64(&r);
    hello->session = sl_read_u64(&r);
    hello->peer_boot = sl_read_u64(&r);
    hello->peer_session = sl_read_u64(&r);
    hello->received = sl_read_u64(&r);
    hello->name = read_text(&r);
    hello->group = read_text(&r);
    return !r.is_bad && hello->boot != 0 && hello->session != 0;
}

static bool
read_refuse(struct sl_slice bytes, struct sl_slice *ret_text)
{
    struct sl_reader r = sl_reader(sl_slice(bytes.data + 2, bytes.size - 2));
    (void)sl_read_u8(&r);
    (void)sl_read_u8(&r);
    *ret_text = read_text(&r);
    return !r.is_bad;
}

enum sl_err
sl_frame_read(struct sl_slice bytes, struct sl_frame_view *ret_view)
{
    struct sl_frame_view view = {0};
    bool is_ok = false;
    if (bytes.size < 2)
        return SL_ECORRUPT;
    view.major = bytes.data[0];
    if (bytes.data[1] >= SL_FRAME_HELLO && bytes.data[1] <= SL_FRAME_REFUSE)
        view.kind = (enum sl_frame_kind)bytes.data[1];
    if (view.major != SL_WIRE_VERSION) {
        if (view.kind != SL_FRAME_REFUSE || !read_refuse(bytes, &view.text))
            view.kind = 0;
        *ret_view = view;
        return SL_EVERSION;
    }
    switch (view.kind) {
    case SL_FRAME_HELLO:
        is_ok = read_hello(bytes, &view.hello);
        break;
    case SL_FRAME_DATA:
    case SL_FRAME_BEAT:
        is_ok = read_head(bytes, &view);
        break;
    case SL_FRAME_REFUSE:
        is_ok = read_refuse(bytes, &view.text);
        break;
    default:
        return bytes.data[1] == 0 ? SL_ECORRUPT : SL_ENOTFOUND;
    }
    if (!is_ok)
        return SL_ECORRUPT;
    *ret_view = view;
    return SL_OK;
}

/* ---- memory -------------------------------------------------------------------------------- */

struct sl_frame *
sl_frame_create(void)
{
    struct sl_frame *frame = sl_zalloc(sizeof(*frame));
    static const uint8_t head[SL_FRAME_HEAD_BYTES];
    atomic_init(&frame->refs, 1);
    sl_buf_append(&frame->bytes, head, sizeof(head));
    return frame;
}

void
sl_frame_unref(struct sl_frame **frame)
{
    struct sl_frame *f = *frame;
    *frame = NULL;
    if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
        return;
    sl_buf_deinit(&f->bytes);
    sl_free(f);
}
