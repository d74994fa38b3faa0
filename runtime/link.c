/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/link.h"

#include <endian.h>
#include <errno.h>
#include <zmq.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/report.h"

#define PEERS_MAX 64
#define IDENTITY_SIZE                                                                              \
    5 /* A letter (names that start with 0 are ZeroMQ's own) and the node number. */

struct peer {
    uint32_t node;
    void *socket; /* Its DEALER, or the shared ROUTER. */
    struct sl_buf frame;
};

struct sl_links {
    uint32_t node;
    void *context;
    void *router;
    struct peer peers[PEERS_MAX];
    uint32_t peers_count;
    uint32_t turn;      /* Where receive looks next: no peer starves another. */
    zmq_msg_t received; /* The frame being taken apart. */
    bool has_received;
    uint32_t received_from;
    struct sl_slice rest;
};

static enum sl_err
err_from_zmq(int error)
{
    switch (error) {
    case EADDRINUSE:
        return SL_EBUSY;
    case EHOSTUNREACH:
        return SL_ENOTFOUND;
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case EINVAL:
        return SL_EINVAL;
    default:
        return sl_err_from_errno(error);
    }
}

static void
identity_of(uint32_t node, uint8_t ret_identity[static IDENTITY_SIZE])
{
    uint32_t wire = htobe32(node);
    ret_identity[0] = 'n';
    memcpy(ret_identity + 1, &wire, sizeof(wire));
}

struct sl_links *
sl_links_create(uint32_t node)
{
    struct sl_links *l = sl_zalloc(sizeof(*l));
    l->node = node;
    l->context = zmq_ctx_new();
    sl_assert(l->context != NULL);
    return l;
}

void
sl_links_destroy(struct sl_links **links)
{
    struct sl_links *l = *links;
    if (l == NULL)
        return;
    if (l->has_received)
        zmq_msg_close(&l->received);
    for (uint32_t i = 0; i < l->peers_count; i++) {
        if (l->peers[i].socket != l->router)
            zmq_close(l->peers[i].socket);
        sl_buf_deinit(&l->peers[i].frame);
    }
    if (l->router != NULL)
        zmq_close(l->router);
    zmq_ctx_term(l->context);
    sl_free(l);
    *links = NULL;
}

static void *
socket_create(struct sl_links *l, int type)
{
    void *socket = zmq_socket(l->context, type);
    sl_assert(socket != NULL);
    /* What is in flight is bounded by leases and calls, so nothing may be dropped for a full pipe.
     */
    int unlimited = 0, linger_ms = 200, on = 1;
    int64_t size_max = (int64_t)SL_LIMIT_FRAME_BYTES;
    uint8_t identity[IDENTITY_SIZE];
    identity_of(l->node, identity);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, sizeof(identity));
    if (type == ZMQ_ROUTER) {
        zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &on, sizeof(on));
        zmq_setsockopt(socket, ZMQ_ROUTER_HANDOVER, &on, sizeof(on));
    }
    return socket;
}

static struct peer *
peer_lookup(struct sl_links *l, uint32_t node)
{
    for (uint32_t i = 0; i < l->peers_count; i++) {
        if (l->peers[i].node == node)
            return &l->peers[i];
    }
    return NULL;
}

static void send_frame(struct sl_links *l, struct peer *p);

/* A new peer; the one that was heard of first makes room when all slots are taken: it gets a slot
   again when it is next sent to or heard of. */
static struct peer *
peer_add(struct sl_links *l, uint32_t node, void *socket)
{
    struct peer *p = peer_lookup(l, node);
    if (p != NULL)
        return p;
    if (l->peers_count == PEERS_MAX) {
        uint32_t old = 0;
        while (old < PEERS_MAX && l->peers[old].socket != l->router)
            old++;
        if (old == PEERS_MAX)
            return NULL;
        send_frame(l, &l->peers[old]);
        sl_buf_deinit(&l->peers[old].frame);
        memmove(&l->peers[old], &l->peers[old + 1], (PEERS_MAX - 1 - old) * sizeof(struct peer));
        l->peers_count--;
    }
    p = &l->peers[l->peers_count++];
    *p = (struct peer){.node = node, .socket = socket};
    return p;
}

enum sl_err
sl_links_listen(struct sl_links *l, const char *endpoint)
{
    sl_assert(l->router == NULL);
    void *socket = socket_create(l, ZMQ_ROUTER);
    if (zmq_bind(socket, endpoint) != 0) {
        enum sl_err err = err_from_zmq(zmq_errno());
        zmq_close(socket);
        return err;
    }
    l->router = socket;
    return SL_OK;
}

enum sl_err
sl_links_connect(struct sl_links *l, uint32_t node, const char *endpoint)
{
    void *socket = socket_create(l, ZMQ_DEALER);
    if (zmq_connect(socket, endpoint) != 0 || peer_add(l, node, socket) == NULL) {
        enum sl_err err = err_from_zmq(zmq_errno());
        zmq_close(socket);
        return err;
    }
    return SL_OK;
}

static void
send_frame(struct sl_links *l, struct peer *p)
{
    if (p->frame.size == 0)
        return;
    uint8_t identity[IDENTITY_SIZE];
    identity_of(p->node, identity);
    int sent = 0;
    if (p->socket == l->router)
        sent = zmq_send(p->socket, identity, sizeof(identity), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    if (sent >= 0)
        sent = zmq_send(p->socket, p->frame.data, p->frame.size, ZMQ_DONTWAIT);
    /* A peer that is gone is its supervisor's business: leases and calls have deadlines. */
    if (sent < 0)
        sl_report_debug("frame-unsent", "node=%u err=%s", p->node, zmq_strerror(zmq_errno()));
    if (p->frame.capacity > SL_MIB)
        sl_buf_deinit(&p->frame);
    sl_buf_clear(&p->frame);
}

/* Encode behind what the frame has; false, and nothing is changed, when it gets too large. */
static bool
encode_into(struct peer *p, const struct sl_msg *msg)
{
    size_t before = p->frame.size;
    if (before == 0)
        sl_buf_append_u8(&p->frame, SL_WIRE_VERSION);
    sl_msg_encode(msg, &p->frame);
    if (p->frame.size <= SL_LIMIT_FRAME_BYTES)
        return true;
    p->frame.size = before;
    return false;
}

enum sl_err
sl_links_add(struct sl_links *l, const struct sl_msg *msg)
{
    struct peer *p = peer_lookup(l, msg->to.node);
    if (p == NULL && l->router != NULL)
        p = peer_add(l, msg->to.node, l->router);
    if (p == NULL)
        return SL_ENOTFOUND;
    /* Many small messages share a frame; it goes when it is long enough to be worth a send. */
    if (p->frame.size > SL_LIMIT_FRAME_BYTES / 8)
        send_frame(l, p);
    if (encode_into(p, msg))
        return SL_OK;
    send_frame(l, p);
    return encode_into(p, msg) ? SL_OK : SL_ETOOBIG;
}

void
sl_links_flush(struct sl_links *l)
{
    for (uint32_t i = 0; i < l->peers_count; i++)
        send_frame(l, &l->peers[i]);
}

static bool
is_last_part(void *socket)
{
    int more = 0;
    size_t size = sizeof(more);
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    return more == 0;
}

static void
drop_parts(void *socket)
{
    while (!is_last_part(socket)) {
        if (zmq_recv(socket, NULL, 0, ZMQ_DONTWAIT) < 0)
            return;
    }
}

/* The peer's number from the ROUTER's identity part; false: not one of ours, the frame is dropped.
 */
static bool
receive_identity(struct sl_links *l, uint32_t *ret_node)
{
    uint8_t identity[IDENTITY_SIZE] = {0};
    int size = zmq_recv(l->router, identity, sizeof(identity), ZMQ_DONTWAIT);
    if (size < 0)
        return false;
    uint32_t wire;
    memcpy(&wire, identity + 1, sizeof(wire));
    *ret_node = be32toh(wire);
    if (size == IDENTITY_SIZE && identity[0] == 'n' && !is_last_part(l->router) &&
        peer_add(l, *ret_node, l->router) != NULL)
        return true;
    sl_report_warn("peer-refused", "identity_size=%d", size);
    drop_parts(l->router);
    return false;
}

static bool
is_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

/* Receive one frame from `socket` into l->received. */
static bool
receive_from(struct sl_links *l, void *socket, uint32_t node)
{
    while (is_readable(socket)) {
        if (socket == l->router && !receive_identity(l, &node))
            continue;
        zmq_msg_init(&l->received);
        if (zmq_msg_recv(&l->received, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&l->received);
            return false;
        }
        drop_parts(socket);
        const uint8_t *data = zmq_msg_data(&l->received);
        size_t size = zmq_msg_size(&l->received);
        if (size >= 1 && data[0] == SL_WIRE_VERSION) {
            l->rest = sl_slice(data + 1, size - 1);
            l->received_from = node;
            l->has_received = true;
            return true;
        }
        sl_report_warn("frame-refused", "node=%u version=%d known=%d", node,
                       size == 0 ? -1 : data[0], SL_WIRE_VERSION);
        zmq_msg_close(&l->received);
    }
    return false;
}

static bool
receive_frame(struct sl_links *l)
{
    uint32_t sources = l->peers_count + 1;
    for (uint32_t i = 0; i < sources; i++) {
        uint32_t at = (l->turn + i) % sources;
        void *socket = at == 0 ? l->router : l->peers[at - 1].socket;
        if (socket == NULL || (at > 0 && socket == l->router))
            continue;
        if (receive_from(l, socket, at == 0 ? 0 : l->peers[at - 1].node)) {
            l->turn = at + 1;
            return true;
        }
    }
    return false;
}

struct sl_msg *
sl_links_receive(struct sl_links *l)
{
    while (l->has_received || receive_frame(l)) {
        struct sl_msg *msg;
        enum sl_err err;
        while (sl_msg_decode(&l->rest, &msg, &err)) {
            if (msg == NULL)
                continue;
            msg->from.node = l->received_from;
            return msg;
        }
        if (err != SL_OK)
            sl_report_warn("frame-corrupt", "node=%u bytes_left=%zu", l->received_from,
                           l->rest.size);
        zmq_msg_close(&l->received);
        l->has_received = false;
    }
    return NULL;
}

static int
fd_of(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);
    sl_assert(zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0);
    return fd;
}

uint32_t
sl_links_fds(const struct sl_links *l, int *ret_fds, uint32_t max)
{
    uint32_t count = 0;
    if (l->router != NULL && count < max)
        ret_fds[count++] = fd_of(l->router);
    for (uint32_t i = 0; i < l->peers_count; i++) {
        if (l->peers[i].socket != l->router && count < max)
            ret_fds[count++] = fd_of(l->peers[i].socket);
    }
    return count;
}
