/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell around sessions: which pipe leads to a peer, and when its session may speak.
 *
 * A peer that connected to us is behind the pipe that its name (node and boot) was heard on; one
 * that we connected to has a port of its own. Peers that something happened to are `active`
 * until their sessions have said all they have to say: at a flush, and when nothing more is waiting
 * to be received, so that acknowledgements ride on replies where there are any.
 */
#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/link_local.h"
#include "runtime/link_state.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define BEAT_NS   SL_SECOND_NS
#define DEAD_NS   (10 * SL_SECOND_NS)
#define DRAIN_NS  (200 * SL_MILLI_NS)
#define TICK_NS   (2 * SL_MILLI_NS)  /* Deadlines are gathered: each look goes over all peers. */
#define PROBES    5                  /* After a connection broke: at once, and so much later, */
#define PROBE_NS  (10 * SL_MILLI_NS) /* doubling. */
#define REDIAL_NS (3 * SL_SECOND_NS) /* After a refusal: somebody may mend it. */
#define SIDE_NS   (10 * SL_MILLI_NS) /* Monitors are looked at so often while we run. */

static_assert(SL_FRAME_HEAD_BYTES < SL_KIB, "limits.h leaves that much of a frame for its head");

/* ---- set-up -------------------------------------------------------------------------------- */

struct sl_links *
sl_links_create_with(const struct sl_links_options *options)
{
    sl_assert(options->node > 0);
    struct sl_links *l = sl_zalloc(sizeof(*l));
    l->options = *options;
    while (l->options.boot == 0)
        sl_random_secret(&l->options.boot, sizeof(l->options.boot));
    if (l->options.beat_ns == 0)
        l->options.beat_ns = BEAT_NS;
    if (l->options.dead_ns == 0)
        l->options.dead_ns = DEAD_NS;
    if (l->options.buffer_bytes == 0)
        l->options.buffer_bytes = SL_LIMIT_LINK_BYTES;
    l->name = sl_strdup(options->name == NULL ? "" : options->name);
    l->group = sl_strdup(options->group == NULL ? "" : options->group);
    sl_link_net_init(&l->net, (struct sl_link_name){l->options.node, l->options.boot});
    l->net.beat_ns = l->options.beat_ns;
    l->net.dead_ns = l->options.dead_ns;
    l->due_ns = UINT64_MAX;
    sl_msg_list_init(&l->told);
    return l;
}

struct sl_links *
sl_links_create(uint32_t node)
{
    return sl_links_create_with(&(struct sl_links_options){.node = node});
}

static bool
has_unsent(const struct sl_links *l)
{
    for (uint32_t i = 0; i < l->calls_count; i++) {
        if (sl_session_has_unsent(l->calls[i].peer->session))
            return true;
    }
    return false;
}

/* A process may end right after it began, and what it had to say waits for a handshake. */
static void
drain(struct sl_links *l)
{
    uint64_t end_ns = sl_time_mono_ns() + DRAIN_NS;
    sl_links_flush(l);
    while (has_unsent(l) && sl_time_mono_ns() < end_ns) {
        struct sl_msg *msg = sl_links_receive(l);
        if (msg == NULL)
            sl_time_sleep_ns(SL_MILLI_NS / 2);
        sl_msg_destroy(&msg);
    }
}

void
sl_links_destroy(struct sl_links **links)
{
    struct sl_links *l = *links;
    if (l == NULL)
        return;
    drain(l);
    if (l->received_at != NULL)
        sl_link_release(l);
    for (uint32_t i = 0; i < l->calls_count; i++)
        l->calls[i].port->carrier->close(l->calls[i].port);
    for (uint32_t i = 0; i < l->listeners_count; i++)
        l->listeners[i].port->carrier->close(l->listeners[i].port);
    sl_link_net_deinit(&l->net); /* Then nobody reads our frames any more. */
    for (uint32_t i = 0; i < l->peers_count; i++)
        sl_link_peer_destroy(l->peers[i]);
    sl_msg_list_clear(&l->told);
    sl_buf_deinit(&l->scratch);
    sl_free(l->name);
    sl_free(l->group);
    sl_free(l);
    *links = NULL;
}

enum sl_err
sl_links_secure(struct sl_links *l, const struct sl_link_security *security)
{
    return sl_link_net_secure(&l->net, security);
}

enum sl_err
sl_links_listen(struct sl_links *l, const char *endpoint)
{
    struct sl_link_port *port;
    if (l->listeners_count == SL_LINK_LISTENERS_MAX)
        return SL_EFULL;
    enum sl_err err = sl_link_is_local(endpoint)
                          ? sl_link_local_listen(l->net.self, endpoint, &port)
                          : sl_link_zmq_listen(&l->net, endpoint, &port);
    if (err == SL_OK)
        l->listeners[l->listeners_count++] =
            (struct sl_link_listener){.port = port, .probe_ns = UINT64_MAX};
    return err;
}

enum sl_err
sl_links_connect(struct sl_links *l, uint32_t node, const char *endpoint)
{
    struct sl_link_port *port;
    if (l->calls_count == SL_LINK_CALLS_MAX)
        return SL_EFULL;
    if (sl_link_peer_lookup(l, node) != NULL)
        return SL_EEXIST;
    enum sl_err err = sl_link_is_local(endpoint) ? sl_link_local_call(l->net.self, endpoint, &port)
                                                 : sl_link_zmq_call(&l->net, endpoint, &port);
    if (err != SL_OK)
        return err;
    struct sl_link_peer *p = sl_link_peer_add(l, node, port->pipe, true);
    if (p == NULL) {
        port->carrier->close(port);
        return SL_EFULL;
    }
    l->calls[l->calls_count++] = (struct sl_link_call){.port = port, .peer = p};
    l->due_ns = SL_MIN(l->due_ns, port->dial_ns);
    return SL_OK;
}

void
sl_links_disconnect(struct sl_links *l, uint32_t node)
{
    uint32_t i = 0;
    while (i < l->calls_count && l->calls[i].peer->node != node)
        i++;
    if (i == l->calls_count)
        return;
    struct sl_link_call *call = &l->calls[i];
    sl_link_peer_remove(l, call->peer);
    call->port->carrier->close(call->port);
    *call = l->calls[--l->calls_count];
}

bool
sl_links_is_connected(const struct sl_links *l, uint32_t node)
{
    for (uint32_t i = 0; i < l->calls_count; i++) {
        struct sl_link_port *port = l->calls[i].port;
        if (l->calls[i].peer->node == node && port->carrier->is_connected(port))
            return true;
    }
    return false;
}

char *
sl_links_bound(const struct sl_links *l)
{
    if (l->listeners_count == 0)
        return sl_strdup("");
    const struct sl_link_port *port = l->listeners[l->listeners_count - 1].port;
    return port->carrier->bound(port);
}

/* ---- sending ------------------------------------------------------------------------------- */

void
sl_links_flush(struct sl_links *l)
{
    (void)sl_link_speak(l);
}

/* Encode behind what the frame has; false, and nothing is changed, when it gets too large. */
static bool
encode_into(struct sl_link_peer *p, const struct sl_msg *msg)
{
    if (p->open == NULL)
        p->open = sl_session_frame(p->session);
    struct sl_buf *bytes = &p->open->bytes;
    size_t before = bytes->size;
    sl_msg_encode(msg, bytes);
    if (bytes->size <= SL_LIMIT_FRAME_BYTES)
        return true;
    bytes->size = before;
    return false;
}

static enum sl_err
refuse_full(struct sl_links *l, struct sl_link_peer *p)
{
    l->counts.overflows++;
    if (!p->has_told_full)
        sl_report_warn("link-full", "node=%u name=%s buffer_bytes=%llu", p->node, p->name,
                       (unsigned long long)l->options.buffer_bytes);
    p->has_told_full = true;
    return SL_EFULL;
}

enum sl_err
sl_links_add(struct sl_links *l, const struct sl_msg *msg)
{
    struct sl_link_peer *p = sl_link_peer_lookup(l, msg->to.node);
    if (p == NULL)
        return SL_ENOTFOUND;
    enum sl_err err = sl_session_room(p->session, p->open == NULL ? 0 : p->open->bytes.size);
    if (err != SL_OK)
        return err == SL_EFULL ? refuse_full(l, p) : err;
    sl_link_activate(l, p);
    l->counts.messages_sent++;
    /* Many small messages share a frame; it goes when it is long enough to be worth a send. */
    if (p->open != NULL && p->open->bytes.size > SL_LIMIT_FRAME_BYTES / 8)
        sl_link_seal(p);
    if (encode_into(p, msg))
        return SL_OK;
    sl_link_seal(p);
    if (encode_into(p, msg))
        return SL_OK;
    l->counts.messages_sent--;
    return SL_ETOOBIG;
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* A caller's connection is there once something can be sent. */
static void
join_if_connected(struct sl_links *l, struct sl_link_call *call)
{
    if (!sl_session_is_cut(call->peer->session) || !call->port->carrier->is_connected(call->port))
        return;
    call->refusals = 0;
    sl_session_join(call->peer->session, sl_time_mono_ns());
    sl_link_activate(l, call->peer);
}

/* Receive until a frame has messages; false: no more is there. */
static bool
receive_from(struct sl_links *l, struct sl_link_source *from)
{
    if (from->call != NULL)
        join_if_connected(l, from->call);
    for (;;) {
        struct sl_link_received received = {0};
        enum sl_link_heard heard = from->port->carrier->receive(from->port, &received);
        if (heard == SL_LINK_NOTHING)
            return false;
        if (heard == SL_LINK_NONSENSE) {
            sl_link_malformed(l, from->call == NULL ? NULL : from->call->peer, from,
                              received.bytes.size);
            continue;
        }
        if (from->call == NULL)
            from->name = received.from;
        from->pipe = received.pipe;
        from->bytes = received.bytes;
        l->received_at = from->port;
        if (sl_link_take_frame(l, from))
            return true;
        sl_link_release(l);
    }
}

static bool
receive_frame(struct sl_links *l)
{
    uint32_t sources = l->listeners_count + l->calls_count;
    for (uint32_t i = 0; i < sources; i++) {
        uint32_t at = (l->turn + i) % sources;
        struct sl_link_source from = {0};
        if (at < l->listeners_count) {
            from.listener = &l->listeners[at];
            from.port = from.listener->port;
        } else {
            from.call = &l->calls[at - l->listeners_count];
            from.port = from.call->port;
            from.name.node = from.call->peer->node;
        }
        if (receive_from(l, &from)) {
            l->turn = at + 1;
            return true;
        }
    }
    return false;
}

/* What a peer may not say is dropped, and told of once a peer. */
static bool
is_taken(struct sl_links *l, const struct sl_msg *msg)
{
    struct sl_link_peer *p = l->received_from;
    if (l->options.takes == NULL || l->options.takes(msg))
        return true;
    l->counts.unasked++;
    if (!p->has_told_unasked)
        sl_report_warn("message-refused", "node=%u name=%s actor=%u message=%s", p->node, p->name,
                       msg->to.actor, msg->type->name);
    p->has_told_unasked = true;
    return false;
}

/* The next message of the frame at hand; NULL: it is used up. */
static struct sl_msg *
next_message(struct sl_links *l)
{
    struct sl_msg *msg;
    enum sl_err err;
    while (sl_msg_decode(&l->rest, &msg, &err)) {
        if (msg == NULL) {
            l->counts.unknown++;
            continue;
        }
        l->counts.messages_received++;
        msg->from.node = l->received_from->node;
        if (is_taken(l, msg))
            return msg;
        sl_msg_destroy(&msg);
    }
    if (err != SL_OK)
        sl_link_malformed(l, l->received_from, NULL, l->rest.size);
    sl_link_release(l);
    return NULL;
}

/* ---- what is no frame ---------------------------------------------------------------------- */

static void
take_loss(struct sl_links *l, struct sl_link_peer *p, uint64_t now_ns)
{
    sl_session_cut(p->session, now_ns);
    sl_link_activate(l, p);
    if (p->is_call && sl_session_is_bound(p->session) && !p->has_told_lost) {
        sl_report_info("link-lost", "node=%u name=%s", p->node, p->name);
        p->has_told_lost = true;
    }
}

static void
take_change(struct sl_links *l, struct sl_link_call *call, const struct sl_link_change *change,
            uint64_t now_ns)
{
    struct sl_link_peer *p = call->peer;
    if (change->kind == SL_LINK_ROOM) {
        sl_link_activate(l, p);
        return;
    }
    if (change->kind == SL_LINK_LOST) {
        take_loss(l, p, now_ns);
        return;
    }
    sl_session_cut(p->session, now_ns);
    sl_link_activate(l, p);
    l->counts.refused++;
    call->port->dial_ns = now_ns + REDIAL_NS;
    /* A handshake may have failed because its connection broke: then the next one does not. */
    if (++call->refusals < 2 && change->kind == SL_LINK_MISMATCH)
        return;
    if (!p->has_told_refused)
        sl_report_warn("link-refused-by-peer", "node=%u reason=\"%s\"", p->node,
                       change->kind == SL_LINK_UNAUTHORISED
                           ? "our certificate is not among those it allows"
                           : "the handshake failed: certificates do not match, or no sluice");
    p->has_told_refused = true;
}

/*
 * ZeroMQ tells that a connection broke, not whose: all its peers are spoken to, and what is meant
 * for the one that has gone cannot be sent. It may take some milliseconds to see that.
 */
static void
probe(struct sl_links *l, struct sl_link_listener *at, uint64_t now_ns)
{
    if (at->probes_left == 0 || now_ns < at->probe_ns)
        return;
    for (uint32_t i = 0; i < l->peers_count; i++) {
        struct sl_link_peer *p = l->peers[i];
        if (p->is_call || p->pipe != at->port->pipe || !sl_session_is_bound(p->session))
            continue;
        sl_session_probe(p->session);
        sl_link_activate(l, p);
    }
    uint32_t done = PROBES - --at->probes_left;
    at->probe_ns = at->probes_left == 0 ? UINT64_MAX : now_ns + (PROBE_NS << (done - 1));
}

/* A peer may have come by another connection since: then this one's end is no loss. */
static void
take_pipe_change(struct sl_links *l, const struct sl_link_change *change, uint64_t now_ns)
{
    for (uint32_t i = 0; i < l->peers_count; i++) {
        struct sl_link_peer *p = l->peers[i];
        if (p->pipe != change->pipe)
            continue;
        sl_link_activate(l, p);
        if (change->kind == SL_LINK_ROOM)
            continue;
        p->pipe = NULL;
        take_loss(l, p, now_ns);
    }
}

static void
take_listener_change(struct sl_links *l, struct sl_link_listener *at,
                     const struct sl_link_change *change, uint64_t now_ns)
{
    if (change->kind == SL_LINK_MISMATCH) {
        l->counts.refused++;
        if (!at->has_told_mismatch)
            sl_report_warn("link-refused", "reason=\"the handshake failed: no certificate, or one "
                                           "for another server\"");
        at->has_told_mismatch = true;
    } else if (change->pipe != NULL) {
        take_pipe_change(l, change, now_ns);
    } else if (change->kind == SL_LINK_LOST) {
        at->probes_left = PROBES;
        at->probe_ns = now_ns;
    }
}

static void
dial_if_due(struct sl_links *l, struct sl_link_port *port, uint64_t now_ns)
{
    if (now_ns >= port->dial_ns)
        port->carrier->dial(port, now_ns);
    l->due_ns = SL_MIN(l->due_ns, port->dial_ns);
}

static void
look_aside(struct sl_links *l, uint64_t now_ns)
{
    struct sl_link_change change = {0};
    l->side_ns = now_ns + SIDE_NS;
    sl_link_net_authorise(&l->net, &l->counts.refused);
    for (uint32_t i = 0; i < l->calls_count; i++) {
        struct sl_link_call *call = &l->calls[i];
        while (call->port->carrier->change(call->port, &change))
            take_change(l, call, &change, now_ns);
        dial_if_due(l, call->port, now_ns);
    }
    for (uint32_t i = 0; i < l->listeners_count; i++) {
        struct sl_link_listener *at = &l->listeners[i];
        while (at->port->carrier->change(at->port, &change))
            take_listener_change(l, at, &change, now_ns);
        dial_if_due(l, at->port, now_ns);
        probe(l, at, now_ns);
        l->due_ns = SL_MIN(l->due_ns, at->probe_ns);
    }
}

static bool
has_changes(const struct sl_links *l)
{
    for (uint32_t i = 0; i < l->calls_count; i++) {
        if (l->calls[i].port->has_changes)
            return true;
    }
    for (uint32_t i = 0; i < l->listeners_count; i++) {
        if (l->listeners[i].port->has_changes)
            return true;
    }
    return false;
}

static void
tick_all(struct sl_links *l, uint64_t now_ns)
{
    l->due_ns = UINT64_MAX;
    l->tick_ns = now_ns + TICK_NS;
    for (uint32_t i = 0; i < l->listeners_count; i++)
        l->due_ns =
            SL_MIN(l->due_ns, SL_MIN(l->listeners[i].probe_ns, l->listeners[i].port->dial_ns));
    for (uint32_t i = 0; i < l->calls_count; i++)
        l->due_ns = SL_MIN(l->due_ns, l->calls[i].port->dial_ns);
    for (uint32_t i = 0; i < l->peers_count; i++) {
        struct sl_link_peer *p = l->peers[i];
        uint64_t due_ns = sl_session_deadline_ns(p->session);
        if (now_ns < due_ns) {
            l->due_ns = SL_MIN(l->due_ns, due_ns);
            continue;
        }
        sl_session_tick(p->session, now_ns);
        sl_link_activate(l, p); /* Speaking tells when it is due next. */
    }
}

/* Nothing is waiting: see to the rest. True if that may have brought something to receive. */
static bool
settle(struct sl_links *l)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns >= l->side_ns || has_changes(l))
        look_aside(l, now_ns);
    if (now_ns >= sl_links_deadline_ns(l))
        tick_all(l, now_ns);
    return sl_link_speak(l) || l->told.oldest != NULL;
}

struct sl_msg *
sl_links_receive(struct sl_links *l)
{
    for (;;) {
        struct sl_msg *msg = sl_msg_list_pop(&l->told);
        if (msg == NULL && l->received_at != NULL)
            msg = next_message(l);
        if (msg != NULL)
            return msg;
        if (l->told.oldest == NULL && l->received_at == NULL && !receive_frame(l) &&
            l->told.oldest == NULL && !settle(l))
            return NULL;
    }
}

/* ---- for whoever polls --------------------------------------------------------------------- */

uint32_t
sl_links_fds(const struct sl_links *l, int *ret_fds, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->listeners_count + l->calls_count; i++) {
        const struct sl_link_port *port =
            i < l->listeners_count ? l->listeners[i].port : l->calls[i - l->listeners_count].port;
        count += port->carrier->fds(port, ret_fds + count, max - count);
    }
    int asked = sl_link_net_fd(&l->net);
    if (asked >= 0 && count < max)
        ret_fds[count++] = asked;
    return count;
}

uint64_t
sl_links_deadline_ns(const struct sl_links *l)
{
    return SL_MAX(l->due_ns, l->tick_ns);
}

void
sl_links_counts(const struct sl_links *l, struct sl_links_counts *ret_counts)
{
    *ret_counts = l->counts;
    for (uint32_t i = 0; i < l->peers_count; i++) {
        const struct sl_session_counts *c = sl_session_counts(l->peers[i]->session);
        ret_counts->foreign += c->foreign;
        ret_counts->resent += c->resent;
        ret_counts->duplicates += c->duplicates;
        ret_counts->gaps += c->gaps;
        ret_counts->voided += c->voided;
    }
}
