/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell around sessions: which socket a peer is behind, and when its session may speak.
 *
 * A peer that connected to us is behind the ROUTER that its identity (node and boot) was heard on;
 * one that we connected to has a DEALER of its own. Peers that something happened to are `active`
 * until their sessions have said all they have to say: at a flush, and when nothing more is waiting
 * to be received, so that acknowledgements ride on replies where there are any.
 */
#include "runtime/link_state.h"

#include <endian.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define BEAT_NS      SL_SECOND_NS
#define DEAD_NS      (10 * SL_SECOND_NS)
#define BUFFER_BYTES SL_GIB
#define DRAIN_NS     (200 * SL_MILLI_NS)
#define TICK_NS      (2 * SL_MILLI_NS)  /* Deadlines are gathered: each look goes over all peers. */
#define PROBES       5                  /* After a connection broke: at once, and so much later, */
#define PROBE_NS     (10 * SL_MILLI_NS) /* doubling. */
#define REDIAL_NS    (3 * SL_SECOND_NS) /* After a refusal: somebody may mend it. */
#define SIDE_NS      (10 * SL_MILLI_NS) /* Monitors are looked at so often while we run. */

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
        l->options.buffer_bytes = BUFFER_BYTES;
    l->name = sl_strdup(options->name == NULL ? "" : options->name);
    l->group = sl_strdup(options->group == NULL ? "" : options->group);
    sl_link_net_init(&l->net, l->options.node, l->options.boot);
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

static void
close_if(void *socket)
{
    if (socket != NULL)
        zmq_close(socket);
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
    if (l->has_received)
        zmq_msg_close(&l->received);
    for (uint32_t i = 0; i < l->calls_count; i++) {
        zmq_close(l->calls[i].socket);
        close_if(l->calls[i].monitor);
        sl_free(l->calls[i].endpoint);
    }
    for (uint32_t i = 0; i < l->listeners_count; i++) {
        zmq_close(l->listeners[i].socket);
        close_if(l->listeners[i].monitor);
    }
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
    void *socket;
    if (l->listeners_count == SL_LINK_LISTENERS_MAX)
        return SL_EFULL;
    enum sl_err err = sl_link_bind(&l->net, endpoint, &socket);
    if (err != SL_OK)
        return err;
    bool is_tcp = sl_link_is_tcp(endpoint);
    l->listeners[l->listeners_count++] =
        (struct sl_link_listener){.socket = socket,
                                  .is_tcp = is_tcp,
                                  .monitor = sl_link_monitor(&l->net, socket),
                                  .probe_ns = UINT64_MAX};
    return SL_OK;
}

enum sl_err
sl_links_connect(struct sl_links *l, uint32_t node, const char *endpoint)
{
    void *socket;
    if (l->calls_count == SL_LINK_CALLS_MAX)
        return SL_EFULL;
    if (sl_link_peer_lookup(l, node) != NULL)
        return SL_EEXIST;
    enum sl_err err = sl_link_dial(&l->net, endpoint, &socket);
    if (err != SL_OK)
        return err;
    struct sl_link_peer *p = sl_link_peer_add(l, node, socket, true, sl_link_is_tcp(endpoint));
    if (p == NULL) {
        zmq_close(socket);
        return SL_EFULL;
    }
    l->calls[l->calls_count++] = (struct sl_link_call){.socket = socket,
                                                       .monitor = sl_link_monitor(&l->net, socket),
                                                       .endpoint = sl_strdup(endpoint),
                                                       .dial_ns = UINT64_MAX,
                                                       .peer = p};
    return SL_OK;
}

char *
sl_links_bound(const struct sl_links *l)
{
    char endpoint[256];
    size_t size = sizeof(endpoint);
    if (l->listeners_count == 0 || zmq_getsockopt(l->listeners[l->listeners_count - 1].socket,
                                                  ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        return sl_strdup("");
    return sl_strdup(endpoint);
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

enum heard { HEARD, HEARD_NOTHING, HEARD_NONSENSE };

/* Who sends, by the ROUTER's identity part. Nonsense: none of ours, the frame is dropped. */
static enum heard
receive_identity(struct sl_links *l, struct sl_link_source *from)
{
    uint8_t identity[SL_LINK_IDENTITY_SIZE] = {0};
    uint32_t node;
    uint64_t boot;
    int size = zmq_recv(from->socket, identity, sizeof(identity), ZMQ_DONTWAIT);
    if (size < 0)
        return HEARD_NOTHING;
    memcpy(&node, identity + 1, sizeof(node));
    memcpy(&boot, identity + 5, sizeof(boot));
    from->node = be32toh(node);
    from->boot = be64toh(boot);
    if (size == SL_LINK_IDENTITY_SIZE && identity[0] == 'n' && from->node != 0 && from->boot != 0 &&
        !sl_link_is_last_part(from->socket))
        return HEARD;
    sl_link_malformed(l, NULL, from, (size_t)size);
    sl_link_drop_parts(from->socket);
    return HEARD_NONSENSE;
}

/* A caller's connection is there once something can be sent. */
static void
join_if_connected(struct sl_links *l, const struct sl_link_call *call)
{
    if (!sl_session_is_cut(call->peer->session) ||
        (sl_link_events(call->socket) & ZMQ_POLLOUT) == 0)
        return;
    sl_session_join(call->peer->session, sl_time_mono_ns());
    sl_link_activate(l, call->peer);
}

/*
 * Receive until a frame has messages. That nothing is there is learnt by trying: asking for a
 * socket's events first would be a system call more.
 */
static bool
receive_from(struct sl_links *l, struct sl_link_source *from)
{
    if (from->call != NULL)
        join_if_connected(l, from->call);
    for (;;) {
        enum heard heard = from->listener != NULL ? receive_identity(l, from) : HEARD;
        if (heard == HEARD_NOTHING)
            return false;
        if (heard == HEARD_NONSENSE)
            continue;
        zmq_msg_init(&l->received);
        if (zmq_msg_recv(&l->received, from->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&l->received);
            return false;
        }
        if (zmq_msg_more(&l->received))
            sl_link_drop_parts(from->socket);
        if (sl_link_take_frame(l, from)) {
            l->has_received = true;
            return true;
        }
        zmq_msg_close(&l->received);
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
            from.socket = from.listener->socket;
        } else {
            from.call = &l->calls[at - l->listeners_count];
            from.socket = from.call->socket;
            from.node = from.call->peer->node;
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
    zmq_msg_close(&l->received);
    l->has_received = false;
    l->received_from = NULL;
    return NULL;
}

/* ---- what is no frame ---------------------------------------------------------------------- */

static void
take_change(struct sl_links *l, struct sl_link_call *call, enum sl_link_change change,
            uint64_t now_ns)
{
    struct sl_link_peer *p = call->peer;
    sl_session_cut(p->session, now_ns);
    sl_link_activate(l, p);
    if (change == SL_LINK_LOST) {
        if (sl_session_is_bound(p->session) && !p->has_told_lost) {
            sl_report_info("link-lost", "node=%u name=%s", p->node, p->name);
            p->has_told_lost = true;
        }
        return;
    }
    l->counts.refused++;
    call->dial_ns = now_ns + REDIAL_NS;
    if (!p->has_told_refused)
        sl_report_warn("link-refused-by-peer", "node=%u reason=\"%s\"", p->node,
                       change == SL_LINK_UNAUTHORISED
                           ? "our certificate is not among those it allows"
                           : "the handshake failed: certificates do not match, or no sluice");
    p->has_told_refused = true;
}

/*
 * A listener hears that a connection broke, not whose: all its peers are spoken to, and what is
 * meant for the one that has gone cannot be sent. ZeroMQ may take some milliseconds to see that.
 */
static void
probe(struct sl_links *l, struct sl_link_listener *at, uint64_t now_ns)
{
    if (at->probes_left == 0 || now_ns < at->probe_ns)
        return;
    for (uint32_t i = 0; i < l->peers_count; i++) {
        struct sl_link_peer *p = l->peers[i];
        if (p->socket != at->socket || !sl_session_is_bound(p->session))
            continue;
        sl_session_probe(p->session);
        sl_link_activate(l, p);
    }
    uint32_t done = PROBES - --at->probes_left;
    at->probe_ns = at->probes_left == 0 ? UINT64_MAX : now_ns + (PROBE_NS << (done - 1));
}

static void
take_listener_change(struct sl_links *l, struct sl_link_listener *at, enum sl_link_change change,
                     uint64_t now_ns)
{
    if (change == SL_LINK_LOST) {
        at->probes_left = PROBES;
        at->probe_ns = now_ns;
    } else if (change == SL_LINK_MISMATCH) {
        l->counts.refused++;
        if (!at->has_told_mismatch)
            sl_report_warn("link-refused", "reason=\"the handshake failed: no certificate, or one "
                                           "for another server\"");
        at->has_told_mismatch = true;
    }
}

static void
look_aside(struct sl_links *l, uint64_t now_ns)
{
    enum sl_link_change change;
    l->side_ns = now_ns + SIDE_NS;
    sl_link_net_authorise(&l->net, &l->counts.refused);
    for (uint32_t i = 0; i < l->calls_count; i++) {
        struct sl_link_call *call = &l->calls[i];
        while (call->monitor != NULL && sl_link_monitor_take(call->monitor, &change))
            take_change(l, call, change, now_ns);
        if (now_ns >= call->dial_ns) {
            call->dial_ns = UINT64_MAX;
            sl_link_redial(call->socket, call->endpoint);
        }
        l->due_ns = SL_MIN(l->due_ns, call->dial_ns);
    }
    for (uint32_t i = 0; i < l->listeners_count; i++) {
        struct sl_link_listener *at = &l->listeners[i];
        while (at->monitor != NULL && sl_link_monitor_take(at->monitor, &change))
            take_listener_change(l, at, change, now_ns);
        probe(l, at, now_ns);
        l->due_ns = SL_MIN(l->due_ns, at->probe_ns);
    }
}

static void
tick_all(struct sl_links *l, uint64_t now_ns)
{
    l->due_ns = UINT64_MAX;
    l->tick_ns = now_ns + TICK_NS;
    for (uint32_t i = 0; i < l->listeners_count; i++)
        l->due_ns = SL_MIN(l->due_ns, l->listeners[i].probe_ns);
    for (uint32_t i = 0; i < l->calls_count; i++)
        l->due_ns = SL_MIN(l->due_ns, l->calls[i].dial_ns);
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
    if (now_ns >= l->side_ns)
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
        if (msg == NULL && l->has_received)
            msg = next_message(l);
        if (msg != NULL)
            return msg;
        if (l->told.oldest == NULL && !l->has_received && !receive_frame(l) &&
            l->told.oldest == NULL && !settle(l))
            return NULL;
    }
}

/* ---- for whoever polls --------------------------------------------------------------------- */

uint32_t
sl_links_fds(const struct sl_links *l, int *ret_fds, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->listeners_count && count < max; i++)
        ret_fds[count++] = sl_link_fd(l->listeners[i].socket);
    for (uint32_t i = 0; i < l->calls_count && count < max; i++)
        ret_fds[count++] = sl_link_fd(l->calls[i].socket);
    for (uint32_t i = 0; i < l->listeners_count && count < max; i++) {
        if (l->listeners[i].monitor != NULL)
            ret_fds[count++] = sl_link_fd(l->listeners[i].monitor);
    }
    for (uint32_t i = 0; i < l->calls_count && count < max; i++) {
        if (l->calls[i].monitor != NULL)
            ret_fds[count++] = sl_link_fd(l->calls[i].monitor);
    }
    if (l->net.auth != NULL && count < max)
        ret_fds[count++] = sl_link_fd(l->net.auth);
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
