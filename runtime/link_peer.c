/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/link_state.h"

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define NO_COPY_BYTES (16 * SL_KIB) /* Larger frames are sent from where they lie. */

/* ---- peers --------------------------------------------------------------------------------- */

static uint32_t
slot_of(uint32_t node)
{
    return node * UINT32_C(2654435761) % SL_LINK_SLOTS;
}

struct sl_link_peer *
sl_link_peer_lookup(const struct sl_links *l, uint32_t node)
{
    for (uint32_t i = slot_of(node); l->slots[i] != NULL; i = (i + 1) % SL_LINK_SLOTS) {
        if (l->slots[i]->node == node)
            return l->slots[i];
    }
    return NULL;
}

static void
put_slot(struct sl_links *l, struct sl_link_peer *p)
{
    uint32_t i = slot_of(p->node);
    while (l->slots[i] != NULL)
        i = (i + 1) % SL_LINK_SLOTS;
    l->slots[i] = p;
}

void
sl_link_peer_destroy(struct sl_link_peer *p)
{
    sl_session_destroy(&p->session);
    sl_frame_unref(&p->open);
    sl_free(p);
}

/* Forget the peer that was silent longest of those that nothing is lost with; false: none is. */
static bool
make_room(struct sl_links *l)
{
    uint32_t oldest = SL_LINK_PEERS_MAX;
    for (uint32_t i = 0; i < l->peers_count; i++) {
        const struct sl_link_peer *p = l->peers[i];
        if (p->is_call || p->is_active || p->open != NULL || p == l->received_from ||
            !sl_session_is_idle(p->session))
            continue;
        if (oldest == SL_LINK_PEERS_MAX ||
            sl_session_heard_ns(p->session) < sl_session_heard_ns(l->peers[oldest]->session))
            oldest = i;
    }
    if (oldest == SL_LINK_PEERS_MAX)
        return false;
    sl_link_peer_destroy(l->peers[oldest]);
    l->peers[oldest] = l->peers[--l->peers_count];
    memset(l->slots, 0, sizeof(l->slots));
    for (uint32_t i = 0; i < l->peers_count; i++)
        put_slot(l, l->peers[i]);
    return true;
}

struct sl_link_peer *
sl_link_peer_add(struct sl_links *l, uint32_t node, void *socket, bool is_call, bool is_tcp)
{
    if (l->peers_count == SL_LINK_PEERS_MAX && !make_room(l))
        return NULL;
    struct sl_session_options options = {
        .self = {.node = l->options.node,
                 .boot = l->options.boot,
                 .beat_ms = is_tcp ? (uint32_t)(l->options.beat_ns / SL_MILLI_NS) : 0,
                 .name = sl_slice_str(l->name),
                 .group = sl_slice_str(l->group)},
        .is_caller = is_call,
        .beat_ns = is_tcp ? l->options.beat_ns : 0,
        .dead_ns = l->options.dead_ns,
        .lost_ns = l->options.lost_ns,
        .buffer_bytes = l->options.buffer_bytes};
    struct sl_link_peer *p = sl_zalloc(sizeof(*p));
    p->node = node;
    p->socket = socket;
    p->is_call = is_call;
    p->session = sl_session_create(&options, sl_time_mono_ns());
    l->peers[l->peers_count++] = p;
    put_slot(l, p);
    return p;
}

void
sl_link_activate(struct sl_links *l, struct sl_link_peer *p)
{
    if (p->is_active)
        return;
    p->is_active = true;
    p->next_active = l->active;
    l->active = p;
}

/* ---- speaking ------------------------------------------------------------------------------ */

static void
release_frame(void *data, void *frame)
{
    (void)data;
    struct sl_frame *f = frame;
    sl_frame_unref(&f);
}

bool
sl_link_send_bytes(void *socket, const struct sl_buf *bytes)
{
    return zmq_send(socket, bytes->data, bytes->size, ZMQ_DONTWAIT) >= 0;
}

static bool
send_frame(void *socket, struct sl_frame *frame)
{
    zmq_msg_t msg;
    if (frame->bytes.size < NO_COPY_BYTES)
        return sl_link_send_bytes(socket, &frame->bytes);
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    if (zmq_msg_init_data(&msg, frame->bytes.data, frame->bytes.size, release_frame, frame) != 0) {
        release_frame(NULL, frame);
        return false;
    }
    if (zmq_msg_send(&msg, socket, ZMQ_DONTWAIT) >= 0)
        return true;
    zmq_msg_close(&msg);
    return false;
}

bool
sl_link_send_identity(const struct sl_link_peer *p)
{
    uint8_t identity[SL_LINK_IDENTITY_SIZE];
    if (p->is_call)
        return true;
    sl_link_identity(p->node, p->boot, identity);
    return zmq_send(p->socket, identity, sizeof(identity), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
}

static bool
transmit(struct sl_links *l, const struct sl_link_peer *p, const struct sl_session_out *out)
{
    if (!sl_link_send_identity(p))
        return false;
    l->counts.frames_sent++;
    sl_buf_clear(&l->scratch);
    switch (out->kind) {
    case SL_FRAME_DATA:
        return send_frame(p->socket, out->frame);
    case SL_FRAME_HELLO:
        sl_frame_hello(&l->scratch, &out->hello);
        break;
    default:
        sl_frame_beat(&l->scratch, &out->beat);
        break;
    }
    return sl_link_send_bytes(p->socket, &l->scratch);
}

static void
tell(struct sl_links *l, struct sl_link_peer *p, const struct sl_session_event *event)
{
    struct sl_msg *msg;
    if (event->is_up) {
        p->has_told_full = p->has_told_refused = p->has_told_lost = false;
        sl_report_debug("link-up", "node=%u name=%s", p->node, p->name);
        struct sl_m_peer_up up = {.node = p->node,
                                  .boot = event->boot,
                                  .name = sl_slice_str(p->name),
                                  .group = sl_slice_str(p->group)};
        msg = sl_msg_create(SL_M_peer_up, &up);
    } else {
        sl_report_debug("link-down", "node=%u reason=\"%s\"", p->node, event->reason);
        struct sl_m_peer_down down = {
            .node = p->node, .boot = event->boot, .reason = sl_slice_str(event->reason)};
        sl_frame_unref(&p->open);
        msg = sl_msg_create(SL_M_peer_down, &down);
    }
    msg->to.actor = l->options.watcher;
    msg->from.node = p->node;
    if (l->options.watcher != 0)
        sl_msg_list_push(&l->told, msg);
    else
        sl_msg_destroy(&msg);
}

void
sl_link_take_events(struct sl_links *l, struct sl_link_peer *p)
{
    struct sl_session_event event;
    while (sl_session_event(p->session, &event))
        tell(l, p, &event);
}

/* Let the session say what it has to; true if anything went. */
static bool
speak(struct sl_links *l, struct sl_link_peer *p, uint64_t now_ns)
{
    struct sl_session_out out;
    bool has_sent = false;
    while (sl_session_next(p->session, now_ns, &out)) {
        if (!transmit(l, p, &out)) {
            sl_session_cut(p->session, now_ns);
            break;
        }
        sl_session_sent(p->session, now_ns, &out);
        has_sent = true;
    }
    sl_link_take_events(l, p);
    l->due_ns = SL_MIN(l->due_ns, sl_session_deadline_ns(p->session));
    return has_sent;
}

void
sl_link_seal(struct sl_link_peer *p)
{
    if (p->open == NULL || p->open->bytes.size == SL_FRAME_HEAD_BYTES)
        return;
    sl_session_push(p->session, p->open);
    p->open = NULL;
}

bool
sl_link_speak(struct sl_links *l)
{
    bool has_sent = false;
    uint64_t now_ns = l->active == NULL ? 0 : sl_time_mono_ns();
    while (l->active != NULL) {
        struct sl_link_peer *p = l->active;
        l->active = p->next_active;
        p->is_active = false;
        sl_link_seal(p);
        has_sent = speak(l, p, now_ns) || has_sent;
    }
    return has_sent;
}
