/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may send, frame by frame, to a session: pieces of the input, each behind two bytes of
 * length. So that an input can get past the handshake, a tag or number of 0 stands for the right
 * one. Messages of accepted frames are decoded as links do.
 */
#include "runtime/alloc.h"
#include "runtime/session.h"
#include "tests/runtime/test_protocol.h"

#define OWN_BOOT 77
#define FRAME_NS (50 * SL_MILLI_NS)

struct peer {
    struct sl_session *session;
    uint64_t now_ns;
    uint64_t boot, number; /* The peer's id, as it said last. */
    uint64_t received;     /* Of the session that is up. */
    bool is_up;
};

static void
take_events(struct peer *p)
{
    struct sl_session_event event;
    while (sl_session_event(p->session, &event)) {
        sl_assert(event.is_up != p->is_up);
        p->is_up = event.is_up;
        if (event.is_up) {
            p->boot = event.boot;
            p->number = event.session;
        }
        p->received = 0;
    }
}

/* What it answers must be what a peer can read. */
static void
speak(struct peer *p)
{
    struct sl_session_out out;
    for (uint32_t i = 0; sl_session_next(p->session, p->now_ns, &out); i++) {
        struct sl_buf bytes = {0};
        struct sl_frame_view view;
        sl_assert(i < 64);
        if (out.kind == SL_FRAME_HELLO)
            sl_frame_hello(&bytes, &out.hello);
        else if (out.kind == SL_FRAME_DATA)
            sl_buf_append(&bytes, out.frame->bytes.data, out.frame->bytes.size);
        else
            sl_frame_beat(&bytes, &out.beat);
        sl_assert(sl_frame_read(sl_buf_slice(&bytes), &view) == SL_OK && view.kind == out.kind);
        sl_session_sent(p->session, p->now_ns, &out);
        sl_buf_deinit(&bytes);
    }
}

static void
take_messages(struct sl_slice rest)
{
    struct sl_msg *msg;
    enum sl_err err;
    while (sl_msg_decode(&rest, &msg, &err))
        sl_msg_destroy(&msg);
}

/* A hello that is read is written again as it was, as far as this version goes. */
static void
check_hello(const struct sl_hello *hello)
{
    struct sl_buf bytes = {0}, again = {0};
    struct sl_frame_view view;
    sl_frame_hello(&bytes, hello);
    sl_assert(sl_frame_read(sl_buf_slice(&bytes), &view) == SL_OK);
    sl_frame_hello(&again, &view.hello);
    sl_assert(sl_slice_equal(sl_buf_slice(&bytes), sl_buf_slice(&again)));
    sl_buf_deinit(&bytes);
    sl_buf_deinit(&again);
}

static void
take_hello(struct peer *p, struct sl_hello *hello)
{
    check_hello(hello);
    if (hello->peer_boot == 1) {
        hello->peer_boot = OWN_BOOT;
        hello->peer_session = SL_MAX(hello->peer_session, UINT64_C(1));
    }
    sl_session_join(p->session, p->now_ns);
    sl_session_hello(p->session, p->now_ns, hello);
}

static void
take_numbered(struct peer *p, const struct sl_frame_view *view)
{
    struct sl_frame_head head = view->head;
    if (head.tag == 0)
        head.tag = sl_frame_tag(p->boot, p->number);
    if (head.seq == 0)
        head.seq = p->received + (view->kind == SL_FRAME_DATA);
    if (view->kind == SL_FRAME_BEAT) {
        sl_session_beat(p->session, p->now_ns, &head);
        return;
    }
    if (!sl_session_data(p->session, p->now_ns, &head, view->rest.size))
        return;
    sl_assert(p->is_up && head.seq == ++p->received);
    take_messages(view->rest);
}

static void
take_frame(struct peer *p, struct sl_slice bytes)
{
    struct sl_frame_view view;
    if (sl_frame_read(bytes, &view) != SL_OK)
        return;
    switch (view.kind) {
    case SL_FRAME_HELLO:
        take_hello(p, &view.hello);
        break;
    case SL_FRAME_REFUSE:
        sl_session_refuse(p->session, p->now_ns);
        break;
    default:
        take_numbered(p, &view);
        break;
    }
}

static void
push(struct peer *p)
{
    struct sl_frame *frame;
    if (sl_session_room(p->session, 0) != SL_OK)
        return;
    frame = sl_session_frame(p->session);
    sl_buf_append_u32(&frame->bytes, 0);
    sl_session_push(p->session, frame);
}

static void
step(struct peer *p, struct sl_reader *r)
{
    size_t low = sl_read_u8(r), high = sl_read_u8(r);
    size_t left = (size_t)(r->end - r->at), want = low | (high & 0x3f) << 8;
    p->now_ns += (high & 0x80) != 0 ? SL_SECOND_NS : FRAME_NS;
    if ((high & 0x40) != 0)
        sl_session_cut(p->session, p->now_ns);
    take_frame(p, sl_read_bytes(r, SL_MIN(want, left)));
    take_events(p);
    push(p);
    sl_session_tick(p->session, p->now_ns);
    speak(p);
    take_events(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_protocol_register();
    struct sl_reader r = sl_reader(sl_slice(data, size));
    struct peer p = {.now_ns = SL_SECOND_NS};
    uint8_t flags = sl_read_u8(&r);
    struct sl_session_options options = {.self = {.node = 1, .boot = OWN_BOOT},
                                         .is_caller = (flags & 1) != 0,
                                         .beat_ns = (flags & 2) != 0 ? SL_SECOND_NS : 0,
                                         .dead_ns = 2 * SL_SECOND_NS,
                                         .buffer_bytes = 256};
    p.session = sl_session_create(&options, p.now_ns);
    sl_session_join(p.session, p.now_ns);
    for (uint32_t i = 0; i < 1000 && r.at < r.end && !r.is_bad; i++)
        step(&p, &r);
    sl_session_destroy(&p.session);
    return 0;
}
