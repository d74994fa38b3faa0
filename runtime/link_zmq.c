/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/link_zmq.h"

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <zmq.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/report.h"

#define AUTH_ENDPOINT                                                                              \
    "inproc://zeromq.zap.01" /* Its specification (ZeroMQ RFC 27) names it so.                     \
                              */
#define LINGER_MS     200
#define AGAIN_MS      100 /* Between attempts to connect; doubles up to: */
#define AGAIN_MAX_MS  1000
#define NO_COPY_BYTES (16 * SL_KIB) /* Larger frames are sent from where they lie. */
#define IDENTITY_SIZE 13            /* A letter (0 is ZeroMQ's own), the node and its boot. */

struct zmq_port {
    struct sl_link_port port;
    struct sl_link_pipe pipe;
    void *socket, *monitor; /* `monitor` tells of the other's connections; NULL: it cannot. */
    bool is_listener;
    char *endpoint; /* A call's. */
    zmq_msg_t received;
    bool has_received;
};

static enum sl_err
err_from_zmq(int error)
{
    switch (error) {
    case EADDRINUSE:
        return SL_EBUSY;
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case ENODEV:
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
put_identity(const struct sl_link_name *name, uint8_t *ret_identity)
{
    uint32_t wire_node = htobe32(name->node);
    uint64_t wire_boot = htobe64(name->boot);
    ret_identity[0] = 'n';
    memcpy(ret_identity + 1, &wire_node, sizeof(wire_node));
    memcpy(ret_identity + 5, &wire_boot, sizeof(wire_boot));
}

void
sl_link_net_init(struct sl_link_net *n, struct sl_link_name self)
{
    *n = (struct sl_link_net){.self = self};
}

/* A process that speaks to none but its own machine has no context, and none of its threads. */
static void *
context_of(struct sl_link_net *n)
{
    if (n->context == NULL)
        n->context = zmq_ctx_new();
    sl_assert(n->context != NULL);
    return n->context;
}

void
sl_link_net_deinit(struct sl_link_net *n)
{
    if (n->auth != NULL)
        zmq_close(n->auth);
    if (n->context != NULL)
        zmq_ctx_term(n->context);
    sl_free(n->allowed);
    explicit_bzero(&n->cert, sizeof(n->cert));
}

/* ---- certificates -------------------------------------------------------------------------- */

/* The handler must be there before any socket that asks it, and go after them: a key that nobody
   can be asked about is let in. */
static enum sl_err
open_auth(struct sl_link_net *n)
{
    if (n->auth != NULL)
        return SL_OK;
    n->auth = zmq_socket(context_of(n), ZMQ_REP);
    if (n->auth != NULL && zmq_bind(n->auth, AUTH_ENDPOINT) == 0)
        return SL_OK;
    return err_from_zmq(zmq_errno());
}

/* Our own: the file with the secret, or the public one beside it. */
static enum sl_err
load_own(const char *path, struct sl_cert *ret_cert)
{
    enum sl_err err = sl_cert_load(path, ret_cert);
    if (err != SL_OK || ret_cert->secret_key[0] != '\0')
        return err;
    char *secret_path = sl_format("%s%s", path, SL_CERT_SECRET_TAIL);
    err = sl_cert_load(secret_path, ret_cert);
    sl_free(secret_path);
    return err == SL_OK && ret_cert->secret_key[0] == '\0' ? SL_EINVAL : err;
}

enum sl_err
sl_link_net_secure(struct sl_link_net *n, const struct sl_link_security *security)
{
    struct sl_cert cert = {0}, server = {0};
    n->is_insecure = security->is_insecure;
    if (security->cert == NULL)
        return security->is_insecure ? SL_OK : SL_EINVAL;
    enum sl_err err = load_own(security->cert, &cert);
    if (err == SL_OK && security->server != NULL)
        err = sl_cert_load(security->server, &server);
    if (err == SL_OK)
        err = open_auth(n);
    if (err == SL_OK) {
        n->is_secured = true;
        n->cert = cert;
        memcpy(n->server_key, server.public_key, sizeof(n->server_key));
        sl_free(n->allowed);
        n->allowed = sl_strdup(security->allowed);
    }
    explicit_bzero(&cert, sizeof(cert));
    return err;
}

static void
set_text(void *socket, int option, const char *text)
{
    sl_assert(zmq_setsockopt(socket, option, text, strlen(text)) == 0);
}

static void
set_int(void *socket, int option, int value)
{
    sl_assert(zmq_setsockopt(socket, option, &value, sizeof(value)) == 0);
}

/* Nothing but the loopback goes without certificates, and that only when it was asked for. */
static bool
is_loopback(const char *endpoint)
{
    const char *host = endpoint + strlen("tcp://");
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]:", 6) == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}

static enum sl_err
secure_tcp(const struct sl_link_net *n, void *socket, const char *endpoint, bool is_listener)
{
    if (!n->is_secured)
        return n->is_insecure && is_loopback(endpoint) ? SL_OK : SL_EDENIED;
    if (is_listener ? n->allowed == NULL : n->server_key[0] == '\0')
        return SL_EDENIED;
    set_text(socket, ZMQ_CURVE_PUBLICKEY, n->cert.public_key);
    set_text(socket, ZMQ_CURVE_SECRETKEY, n->cert.secret_key);
    if (is_listener) {
        set_int(socket, ZMQ_CURVE_SERVER, 1);
        set_text(socket, ZMQ_ZAP_DOMAIN, "sluice");
    } else {
        set_text(socket, ZMQ_CURVE_SERVERKEY, n->server_key);
    }
    return SL_OK;
}

/* ---- sockets ------------------------------------------------------------------------------- */

static bool
is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

/* With IPv6 on, ZeroMQ shows IPv4 addresses in its form. */
static bool
needs_ipv6(const char *address)
{
    const char *host = address + strlen("tcp://");
    return host[strspn(host, "0123456789.")] != ':';
}

static void *
socket_create(struct sl_link_net *n, int type)
{
    void *socket = zmq_socket(context_of(n), type);
    uint8_t identity[IDENTITY_SIZE];
    /* Somewhat larger ones come, to be counted and told of; ZeroMQ hangs up on what is larger. */
    int64_t size_max = 2 * (int64_t)SL_LIMIT_FRAME_BYTES;
    sl_assert(socket != NULL);
    /* Sessions bound what is under way, so nothing may be dropped for a full pipe. */
    set_int(socket, ZMQ_SNDHWM, 0);
    set_int(socket, ZMQ_RCVHWM, 0);
    set_int(socket, ZMQ_LINGER, LINGER_MS);
    sl_assert(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) == 0);
    put_identity(&n->self, identity);
    sl_assert(zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, sizeof(identity)) == 0);
    if (type == ZMQ_ROUTER) {
        set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
        set_int(socket, ZMQ_ROUTER_HANDOVER, 1);
    } else {
        /* Frames of a broken connection go with it: their session sends them again. */
        set_int(socket, ZMQ_IMMEDIATE, 1);
        set_int(socket, ZMQ_RECONNECT_IVL, AGAIN_MS);
        set_int(socket, ZMQ_RECONNECT_IVL_MAX, AGAIN_MAX_MS);
    }
    set_int(socket, ZMQ_HANDSHAKE_IVL, 5000);
    set_int(socket, ZMQ_CONNECT_TIMEOUT, 5000);
    /* A dead host's connection is closed, and tried anew. */
    set_int(socket, ZMQ_HEARTBEAT_IVL, (int)(n->beat_ns / SL_MILLI_NS));
    set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, (int)(n->dead_ns / SL_MILLI_NS));
    return socket;
}

/* ZeroMQ binds to addresses and interfaces only: make an address of a host's name, if it is one. */
static char *
resolve(const char *endpoint)
{
    const char *host = endpoint + strlen("tcp://");
    const char *port = strrchr(host, ':');
    if (port == NULL || host[0] == '[' || host[0] == '*')
        return sl_strdup(endpoint);
    char *name = sl_strndup(host, (size_t)(port - host));
    char *resolved = NULL;
    struct addrinfo *found = NULL, want = {.ai_socktype = SOCK_STREAM};
    char address[NI_MAXHOST];
    if (getaddrinfo(name, NULL, &want, &found) == 0 &&
        getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0,
                    NI_NUMERICHOST) == 0)
        resolved =
            sl_format(strchr(address, ':') == NULL ? "tcp://%s%s" : "tcp://[%s]%s", address, port);
    if (found != NULL)
        freeaddrinfo(found);
    sl_free(name);
    return resolved == NULL ? sl_strdup(endpoint) : resolved;
}

static enum sl_err
socket_open(struct sl_link_net *n, const char *endpoint, bool is_listener, void **ret_socket)
{
    if (!is_tcp(endpoint))
        return SL_EINVAL;
    void *socket = socket_create(n, is_listener ? ZMQ_ROUTER : ZMQ_DEALER);
    enum sl_err err = secure_tcp(n, socket, endpoint, is_listener);
    if (err != SL_OK) {
        zmq_close(socket);
        return err;
    }
    char *address = is_listener ? resolve(endpoint) : sl_strdup(endpoint);
    if (needs_ipv6(address))
        set_int(socket, ZMQ_IPV6, 1);
    int result = is_listener ? zmq_bind(socket, address) : zmq_connect(socket, address);
    err = result == 0 ? SL_OK : err_from_zmq(zmq_errno());
    sl_free(address);
    if (err == SL_OK)
        *ret_socket = socket;
    else
        zmq_close(socket);
    return err;
}

static int
option_int(void *socket, int option, int fallback)
{
    int value = fallback;
    size_t size = sizeof(value);
    return zmq_getsockopt(socket, option, &value, &size) == 0 ? value : fallback;
}

static bool
is_last_part(void *socket)
{
    return option_int(socket, ZMQ_RCVMORE, 0) == 0;
}

static void
drop_parts(void *socket)
{
    while (!is_last_part(socket)) {
        if (zmq_recv(socket, NULL, 0, ZMQ_DONTWAIT) < 0)
            return;
    }
}

static void *
monitor_open(struct sl_link_net *n, void *socket)
{
    char endpoint[48];
    (void)snprintf(endpoint, sizeof(endpoint), "inproc://connections-%u", n->monitors_count++);
    int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    if (zmq_socket_monitor(socket, endpoint, events) != 0)
        return NULL;
    void *monitor = zmq_socket(n->context, ZMQ_PAIR);
    sl_assert(monitor != NULL);
    set_int(monitor, ZMQ_LINGER, 0);
    if (zmq_connect(monitor, endpoint) == 0)
        return monitor;
    zmq_close(monitor);
    return NULL;
}

/* ---- frames -------------------------------------------------------------------------------- */

static struct zmq_port *
port_of_pipe(struct sl_link_pipe *pipe)
{
    return SL_CONTAINER(pipe, struct zmq_port, pipe);
}

static void
release_frame(void *data, void *frame)
{
    (void)data;
    struct sl_frame *f = frame;
    sl_frame_unref(&f);
}

static bool
send_copy(void *socket, struct sl_slice bytes)
{
    return zmq_send(socket, bytes.data, bytes.size, ZMQ_DONTWAIT) >= 0;
}

static bool
send_owned(void *socket, struct sl_slice bytes, struct sl_frame *owner)
{
    zmq_msg_t msg;
    atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
    if (zmq_msg_init_data(&msg, (void *)(uintptr_t)bytes.data, bytes.size, release_frame, owner) !=
        0) {
        release_frame(NULL, owner);
        return false;
    }
    if (zmq_msg_send(&msg, socket, ZMQ_DONTWAIT) >= 0)
        return true;
    zmq_msg_close(&msg);
    return false;
}

static enum sl_link_sent
port_send(struct sl_link_pipe *pipe, const struct sl_link_name *to, struct sl_slice bytes,
          struct sl_frame *owner)
{
    const struct zmq_port *p = port_of_pipe(pipe);
    uint8_t identity[IDENTITY_SIZE];
    if (p->is_listener) {
        put_identity(to, identity);
        if (zmq_send(p->socket, identity, sizeof(identity), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
            return SL_LINK_GONE;
    }
    bool is_sent = owner == NULL || bytes.size < NO_COPY_BYTES
                       ? send_copy(p->socket, bytes)
                       : send_owned(p->socket, bytes, owner);
    return is_sent ? SL_LINK_SENT : SL_LINK_GONE;
}

/* Who sends, by the ROUTER's identity part. Nonsense: none of ours, the frame is dropped. */
static enum sl_link_heard
receive_identity(const struct zmq_port *p, struct sl_link_received *ret)
{
    uint8_t identity[IDENTITY_SIZE] = {0};
    int size = zmq_recv(p->socket, identity, sizeof(identity), ZMQ_DONTWAIT);
    if (size < 0)
        return SL_LINK_NOTHING;
    memcpy(&ret->from.node, identity + 1, sizeof(ret->from.node));
    memcpy(&ret->from.boot, identity + 5, sizeof(ret->from.boot));
    ret->from = (struct sl_link_name){be32toh(ret->from.node), be64toh(ret->from.boot)};
    if (size == IDENTITY_SIZE && identity[0] == 'n' && ret->from.node != 0 && ret->from.boot != 0 &&
        !is_last_part(p->socket))
        return SL_LINK_FRAME;
    ret->bytes = sl_slice(NULL, (size_t)size);
    drop_parts(p->socket);
    return SL_LINK_NONSENSE;
}

/* That nothing is there is learnt by trying: asking for events first would be a call more. */
static enum sl_link_heard
port_receive(struct sl_link_port *port, struct sl_link_received *ret)
{
    struct zmq_port *p = (struct zmq_port *)port;
    enum sl_link_heard heard = p->is_listener ? receive_identity(p, ret) : SL_LINK_FRAME;
    if (heard != SL_LINK_FRAME)
        return heard;
    zmq_msg_init(&p->received);
    if (zmq_msg_recv(&p->received, p->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&p->received);
        return SL_LINK_NOTHING;
    }
    if (zmq_msg_more(&p->received))
        drop_parts(p->socket);
    p->has_received = true;
    ret->pipe = &p->pipe;
    ret->bytes = sl_slice(zmq_msg_data(&p->received), zmq_msg_size(&p->received));
    return SL_LINK_FRAME;
}

static void
port_release(struct sl_link_port *port)
{
    struct zmq_port *p = (struct zmq_port *)port;
    if (p->has_received)
        zmq_msg_close(&p->received);
    p->has_received = false;
}

static const char *
port_key(struct sl_link_port *port)
{
    struct zmq_port *p = (struct zmq_port *)port;
    const char *key = p->has_received ? zmq_msg_gets(&p->received, "User-Id") : NULL;
    return key == NULL || strlen(key) >= SL_CERT_KEY_SIZE ? "" : key;
}

/* ---- connections --------------------------------------------------------------------------- */

static bool
port_is_connected(struct sl_link_port *port)
{
    return (option_int(((struct zmq_port *)port)->socket, ZMQ_EVENTS, 0) & ZMQ_POLLOUT) != 0;
}

static bool
port_change(struct sl_link_port *port, struct sl_link_change *ret_change)
{
    struct zmq_port *p = (struct zmq_port *)port;
    uint8_t part[6];
    uint16_t event;
    if (p->monitor == NULL ||
        zmq_recv(p->monitor, part, sizeof(part), ZMQ_DONTWAIT) != (int)sizeof(part))
        return false;
    memcpy(&event, part, sizeof(event));
    drop_parts(p->monitor);
    *ret_change = (struct sl_link_change){.kind = event == ZMQ_EVENT_DISCONNECTED ? SL_LINK_LOST
                                                  : event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
                                                      ? SL_LINK_UNAUTHORISED
                                                      : SL_LINK_MISMATCH};
    return true;
}

/* ZeroMQ does so by itself after a broken connection, not after a refusal. */
static void
port_dial(struct sl_link_port *port, uint64_t now_ns)
{
    struct zmq_port *p = (struct zmq_port *)port;
    (void)now_ns;
    port->dial_ns = UINT64_MAX;
    if (zmq_disconnect(p->socket, p->endpoint) == 0 || zmq_errno() == ENOENT)
        (void)zmq_connect(p->socket, p->endpoint);
}

static uint32_t
port_fds(const struct sl_link_port *port, int *ret_fds, uint32_t max)
{
    const struct zmq_port *p = (const struct zmq_port *)port;
    uint32_t count = 0;
    if (count < max)
        ret_fds[count++] = option_int(p->socket, ZMQ_FD, -1);
    if (p->monitor != NULL && count < max)
        ret_fds[count++] = option_int(p->monitor, ZMQ_FD, -1);
    return count;
}

static char *
port_bound(const struct sl_link_port *port)
{
    char endpoint[256];
    size_t size = sizeof(endpoint);
    bool is_known = zmq_getsockopt(((const struct zmq_port *)port)->socket, ZMQ_LAST_ENDPOINT,
                                   endpoint, &size) == 0;
    return sl_strdup(is_known ? endpoint : "");
}

static void
port_close(struct sl_link_port *port)
{
    struct zmq_port *p = (struct zmq_port *)port;
    port_release(port);
    zmq_close(p->socket);
    if (p->monitor != NULL)
        zmq_close(p->monitor);
    sl_free(p->endpoint);
    sl_free(p);
}

static const struct sl_link_carrier carrier = {
    .has_beats = true,
    .send = port_send,
    .receive = port_receive,
    .release = port_release,
    .key = port_key,
    .is_connected = port_is_connected,
    .change = port_change,
    .dial = port_dial,
    .fds = port_fds,
    .bound = port_bound,
    .close = port_close,
};

static enum sl_err
port_open(struct sl_link_net *n, const char *endpoint, bool is_listener,
          struct sl_link_port **ret_port)
{
    void *socket;
    enum sl_err err = socket_open(n, endpoint, is_listener, &socket);
    if (err != SL_OK)
        return err;
    struct zmq_port *p = sl_zalloc(sizeof(*p));
    p->port = (struct sl_link_port){.carrier = &carrier, .pipe = &p->pipe, .dial_ns = UINT64_MAX};
    p->pipe.carrier = &carrier;
    p->socket = socket;
    p->monitor = monitor_open(n, socket);
    p->is_listener = is_listener;
    p->endpoint = sl_strdup(endpoint);
    *ret_port = &p->port;
    return SL_OK;
}

enum sl_err
sl_link_zmq_listen(struct sl_link_net *n, const char *endpoint, struct sl_link_port **ret_port)
{
    return port_open(n, endpoint, true, ret_port);
}

enum sl_err
sl_link_zmq_call(struct sl_link_net *n, const char *endpoint, struct sl_link_port **ret_port)
{
    return port_open(n, endpoint, false, ret_port);
}

/* ---- who may connect ----------------------------------------------------------------------- */

/* One question: version, request, domain, address, identity, mechanism, credentials. */
struct question {
    uint32_t count;
    uint8_t version[8], request[32], domain[32], address[64], mechanism[16], key[32];
    size_t version_size, request_size, domain_size, address_size, mechanism_size, key_size;
};

static size_t
take_part(void *socket, void *bytes, size_t size)
{
    int got = zmq_recv(socket, bytes, size, ZMQ_DONTWAIT);
    return got < 0 ? 0 : (size_t)got;
}

static bool
take_question(void *auth, struct question *q)
{
    uint8_t identity[256];
    struct {
        void *bytes;
        size_t room, *size;
    } parts[] = {
        {q->version, sizeof(q->version), &q->version_size},
        {q->request, sizeof(q->request), &q->request_size},
        {q->domain, sizeof(q->domain), &q->domain_size},
        {q->address, sizeof(q->address) - 1, &q->address_size},
        {identity, sizeof(identity), NULL},
        {q->mechanism, sizeof(q->mechanism), &q->mechanism_size},
        {q->key, sizeof(q->key), &q->key_size},
    };
    if ((option_int(auth, ZMQ_EVENTS, 0) & ZMQ_POLLIN) == 0)
        return false;
    *q = (struct question){0};
    do {
        size_t ignored, *size = &ignored;
        if (q->count < SL_COUNT_OF(parts) && parts[q->count].size != NULL)
            size = parts[q->count].size;
        if (q->count < SL_COUNT_OF(parts))
            *size = take_part(auth, parts[q->count].bytes, parts[q->count].room);
        else
            (void)take_part(auth, identity, sizeof(identity));
        q->count++;
    } while (!is_last_part(auth));
    return true;
}

static void
answer(void *auth, const struct question *q, bool is_allowed, const char *user)
{
    const char *parts[] = {is_allowed ? "200" : "400", is_allowed ? "" : "not allowed", user, ""};
    (void)zmq_send(auth, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_send(auth, q->request, SL_MIN(q->request_size, sizeof(q->request)), ZMQ_SNDMORE);
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++)
        (void)zmq_send(auth, parts[i], strlen(parts[i]),
                       i + 1 < SL_COUNT_OF(parts) ? ZMQ_SNDMORE : 0);
}

static void
tell_refused(struct sl_link_net *n, const struct question *q, const char *key)
{
    for (uint32_t i = 0; i < SL_MIN(n->refused_keys_count, SL_COUNT_OF(n->refused_keys)); i++) {
        if (strcmp(n->refused_keys[i], key) == 0)
            return;
    }
    uint32_t slot = n->refused_keys_count++ % SL_COUNT_OF(n->refused_keys);
    memcpy(n->refused_keys[slot], key, SL_CERT_KEY_SIZE);
    sl_report_warn("link-refused", "reason=\"unknown key\" key=%s address=%.*s allowed=%s", key,
                   (int)SL_MIN(q->address_size, sizeof(q->address)), (const char *)q->address,
                   n->allowed == NULL ? "" : n->allowed);
}

int
sl_link_net_fd(const struct sl_link_net *n)
{
    return n->auth == NULL ? -1 : option_int(n->auth, ZMQ_FD, -1);
}

void
sl_link_net_authorise(struct sl_link_net *n, uint64_t *ret_refused)
{
    struct question q;
    while (n->auth != NULL && take_question(n->auth, &q)) {
        char key[SL_CERT_KEY_SIZE] = "";
        struct sl_cert found;
        bool is_curve = q.count == 7 && q.mechanism_size == 5 &&
                        memcmp(q.mechanism, "CURVE", 5) == 0 && q.key_size == sizeof(q.key) &&
                        zmq_z85_encode(key, q.key, sizeof(q.key)) != NULL;
        bool is_allowed = is_curve && n->allowed != NULL && sl_cert_find(n->allowed, key, &found);
        answer(n->auth, &q, is_allowed, key);
        if (is_allowed)
            continue;
        (*ret_refused)++;
        tell_refused(n, &q, key);
    }
}
