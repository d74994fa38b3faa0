/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/link_state.h"

#include <stdio.h>

#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/time.h"

static struct sl_link_peer *
source_peer(const struct sl_links *l, const struct sl_link_source *from)
{
    return from->call != NULL ? from->call->peer : sl_link_peer_lookup(l, from->name.node);
}

static void
send_refusal(struct sl_links *l, const struct sl_link_source *from, const char *reason)
{
    sl_buf_clear(&l->scratch);
    sl_frame_refuse(&l->scratch, reason);
    (void)from->pipe->carrier->send(from->pipe, &from->name, sl_buf_slice(&l->scratch), NULL);
}

/* A peer that has no session, or that we have forgotten, as after a restart. */
static struct sl_link_peer *
stranger_add(struct sl_links *l, const struct sl_link_source *from)
{
    struct sl_link_peer *p = sl_link_peer_add(l, from->name.node, from->pipe, false);
    if (p != NULL)
        p->boot = from->name.boot;
    return p;
}

static void
refuse(struct sl_links *l, const struct sl_link_source *from, const char *reason)
{
    struct sl_link_peer *p = source_peer(l, from);
    l->counts.refused++;
    send_refusal(l, from, reason);
    if (p == NULL)
        p = stranger_add(l, from); /* To remember that it was told of. */
    if (p != NULL && p->has_told_refused)
        return;
    if (p != NULL)
        p->has_told_refused = true;
    sl_report_warn("link-refused", "node=%u reason=\"%s\"", from->name.node, reason);
}

void
sl_link_malformed(struct sl_links *l, struct sl_link_peer *p, const struct sl_link_source *from,
                  size_t size)
{
    bool *has_told = p != NULL ? &p->has_told_malformed : &from->listener->has_told_foreign;
    l->counts.malformed++;
    if (!*has_told)
        sl_report_warn("frame-malformed", "node=%u bytes=%zu", p == NULL ? 0 : p->node, size);
    *has_told = true;
}

static void
copy_text(char *to, struct sl_slice text)
{
    size_t size = SL_MIN(text.size, (size_t)SL_FRAME_TEXT_MAX);
    for (size_t i = 0; i < size; i++)
        to[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
    to[size] = '\0';
}

/* Why this peer cannot have a session with us; NULL: it can. */
static const char *
find_fault(const struct sl_links *l, const struct sl_link_source *from,
           const struct sl_hello *hello, const char *key)
{
    const struct sl_link_peer *p = source_peer(l, from);
    if (hello->node != from->name.node ||
        (from->listener != NULL && hello->boot != from->name.boot))
        return "another node than its connection's";
    if (hello->node == l->options.node || hello->node == SL_NODE_PORT)
        return "a node number that is taken";
    if (p != NULL && from->listener != NULL) {
        if (p->is_call || p->boot_former == hello->boot)
            return "another process has this node number";
        if (sl_session_is_bound(p->session) && strcmp(p->key, key) != 0)
            return "another certificate has this node number";
    }
    return l->options.admit == NULL ? NULL : l->options.admit(l->options.admit_arg, hello, key);
}

static void
take_hello(struct sl_links *l, const struct sl_link_source *from, const struct sl_hello *hello,
           uint64_t now_ns)
{
    const char *key = from->listener == NULL ? "" : from->port->carrier->key(from->port);
    const char *fault = find_fault(l, from, hello, key);
    if (fault != NULL) {
        refuse(l, from, fault);
        return;
    }
    struct sl_link_peer *p = source_peer(l, from);
    if (p == NULL)
        p = sl_link_peer_add(l, from->name.node, from->pipe, false);
    if (p == NULL) {
        refuse(l, from, "too many peers");
        return;
    }
    if (from->listener != NULL) {
        if (p->boot != 0 && p->boot != hello->boot)
            p->boot_former = p->boot;
        p->boot = hello->boot;
        p->pipe = from->pipe;
        memcpy(p->key, key, strlen(key) + 1);
    }
    copy_text(p->name, hello->name);
    copy_text(p->group, hello->group);
    sl_session_join(p->session, now_ns);
    sl_session_hello(p->session, now_ns, hello);
    sl_link_take_events(l, p);
    sl_link_activate(l, p);
}

/* DATA and BEAT. True: l->rest has messages for the taking. */
static bool
take_numbered(struct sl_links *l, const struct sl_link_source *from,
              const struct sl_frame_view *view, uint64_t now_ns)
{
    struct sl_link_peer *p = source_peer(l, from);
    if (p == NULL)
        p = stranger_add(l, from);
    if (p == NULL || (from->listener != NULL &&
                      (p->is_call || p->boot != from->name.boot || p->pipe != from->pipe))) {
        l->counts.foreign++;
        return false;
    }
    sl_session_join(p->session, now_ns);
    sl_link_activate(l, p);
    if (view->kind == SL_FRAME_BEAT) {
        sl_session_beat(p->session, now_ns, &view->head);
        return false;
    }
    if (!sl_session_data(p->session, now_ns, &view->head, view->rest.size))
        return false;
    l->rest = view->rest;
    l->received_from = p;
    return true;
}

static void
take_refusal(struct sl_links *l, const struct sl_link_source *from, struct sl_slice text,
             uint64_t now_ns)
{
    struct sl_link_peer *p = source_peer(l, from);
    char reason[SL_FRAME_TEXT_MAX + 1];
    copy_text(reason, text);
    l->counts.refused++;
    if (p == NULL || (from->listener != NULL && p->boot != from->name.boot))
        return;
    if (!p->has_told_refused)
        sl_report_warn("link-refused-by-peer", "node=%u reason=\"%s\"", p->node, reason);
    p->has_told_refused = true;
    if (!p->is_call)
        return;
    sl_session_refuse(p->session, now_ns);
    sl_link_take_events(l, p);
    sl_link_activate(l, p);
}

static void
take_other_version(struct sl_links *l, const struct sl_link_source *from,
                   const struct sl_frame_view *view, uint64_t now_ns)
{
    char reason[64];
    if (view->kind == SL_FRAME_REFUSE) {
        take_refusal(l, from, view->text, now_ns);
        return;
    }
    (void)snprintf(reason, sizeof(reason), "protocol version %u, known here is %u", view->major,
                   SL_WIRE_VERSION);
    refuse(l, from, reason);
}

bool
sl_link_take_frame(struct sl_links *l, const struct sl_link_source *from)
{
    struct sl_frame_view view;
    struct sl_slice bytes = from->bytes;
    uint64_t now_ns = sl_time_mono_ns();
    l->counts.frames_received++;
    if (bytes.size > SL_LIMIT_FRAME_BYTES) {
        sl_link_malformed(l, source_peer(l, from), from, bytes.size);
        return false;
    }
    switch (sl_frame_read(bytes, &view)) {
    case SL_OK:
        break;
    case SL_EVERSION:
        take_other_version(l, from, &view, now_ns);
        return false;
    case SL_ENOTFOUND:
        l->counts.unknown++;
        return false;
    default:
        sl_link_malformed(l, source_peer(l, from), from, bytes.size);
        return false;
    }
    switch (view.kind) {
    case SL_FRAME_HELLO:
        take_hello(l, from, &view.hello, now_ns);
        return false;
    case SL_FRAME_REFUSE:
        take_refusal(l, from, view.text, now_ns);
        return false;
    default:
        return take_numbered(l, from, &view, now_ns);
    }
}
