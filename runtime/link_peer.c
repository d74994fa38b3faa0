/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/link_state.h"

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/time.h"

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

static void
remove_at(struct sl_links *l, uint32_t i)
{
    sl_link_peer_destroy(l->peers[i]);
    l->peers[i] = l->peers[--l->peers_count];
    memset(l->slots, 0, sizeof(l->slots));
    for (uint32_t k = 0; k < l->peers_count; k++)
        put_slot(l, l->peers[k]);
}

void
sl_link_release(struct sl_links *l)
{
    l->received_at->carrier->release(l->received_at);
    l->received_at = NULL;
    l->received_from = NULL;
}

void
sl_link_peer_remove(struct sl_links *l, struct sl_link_peer *p)
{
    uint32_t i = 0;
    while (l->peers[i] != p)
        i++;
    for (struct sl_link_peer **at = &l->active; p->is_active && *at != NULL;
         at = &(*at)->next_active) {
        if (*at == p) {
            *at = p->next_active;
            break;
        }
    }
    if (l->received_from == p) /* The rest of its frame goes with it. */
        sl_link_release(l);
    remove_at(l, i);
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
    remove_at(l, oldest);
    return true;
}

struct sl_link_peer *
sl_link_peer_add(struct sl_links *l, uint32_t node, struct sl_link_pipe *pipe, bool is_call)
{
    if (l->peers_count == SL_LINK_PEERS_MAX && !make_room(l))
        return NULL;
    bool has_beats = pipe->carrier->has_beats;
    struct sl_session_options options = {
        .self = {.node = l->options.node,
                 .boot = l->options.boot,
                 .session = l->sessions++ << 32, /* Never one that a forgotten peer had. */
                 .beat_ms = has_beats ? (uint32_t)(l->options.beat_ns / SL_MILLI_NS) : 0,
                 .name = sl_slice_str(l->name),
                 .group = sl_slice_str(l->group)},
        .is_caller = is_call,
        .beat_ns = has_beats ? l->options.beat_ns : 0,
        .dead_ns = l->options.dead_ns,
        .lost_ns = l->options.lost_ns,
        .buffer_bytes = l->options.buffer_bytes};
    struct sl_link_peer *p = sl_zalloc(sizeof(*p));
    p->node = node;
    p->pipe = pipe;
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

static enum sl_link_sent
transmit(struct sl_links *l, const struct sl_link_peer *p, const struct sl_session_out *out)
{
    struct sl_link_name to = {p->node, p->boot};
    if (p->pipe == NULL)
        return SL_LINK_GONE;
    l->counts.frames_sent++;
    sl_buf_clear(&l->scratch);
    switch (out->kind) {
    case SL_FRAME_DATA:
        return p->pipe->carrier->send(p->pipe, &to, sl_buf_slice(&out->frame->bytes), out->frame);
    case SL_FRAME_HELLO:
        sl_frame_hello(&l->scratch, &out->hello);
        break;
    default:
        sl_frame_beat(&l->scratch, &out->beat);
        break;
    }
    return p->pipe->carrier->send(p->pipe, &to, sl_buf_slice(&l->scratch), NULL);
}

static void
tell_to(struct sl_links *l, const struct sl_link_peer *p, uint32_t watcher,
        const struct sl_msg *told)
{
    if (watcher == 0)
        return;
    struct sl_msg *msg = sl_msg_create(told->id, told->body);
    msg->to.actor = watcher;
    msg->from.node = p->node;
    sl_msg_list_push(&l->told, msg);
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
    tell_to(l, p, l->options.watcher, msg);
    tell_to(l, p, l->options.watcher_too, msg);
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
        enum sl_link_sent sent = transmit(l, p, &out);
        if (sent == SL_LINK_GONE)
            sl_session_cut(p->session, now_ns);
        if (sent != SL_LINK_SENT)
            break;
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
