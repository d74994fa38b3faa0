/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port polls its descriptors through one epoll, which is what its owner polls. A round goes over
 * the connections that were ready at its begin and receives once from each, so that none starves
 * another. A connection that is lost is told of by `change` and freed by the `change` after.
 */
#include "runtime/link_local.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/stream.h"
#include "runtime/time.h"

#define SCHEME          "ipc://"
#define NAME_MAGIC      "sluice1"
#define NAME_SIZE       (sizeof(NAME_MAGIC) + 4 + 8)
#define FRAME_MAX       (2 * SL_LIMIT_FRAME_BYTES) /* Larger than allowed ones are told of. */
#define BUFFER_BYTES    (1024 * 1024)              /* Asked of the kernel, for each direction. */
#define CONNECTIONS_MAX 8192
#define READY_MAX       64
#define LINGER_MS       200
#define AGAIN_NS        (20 * SL_MILLI_NS) /* Between attempts to connect; doubles up to: */
#define AGAIN_MAX_NS    (SL_SECOND_NS / 2)

struct connection {
    struct sl_link_pipe pipe;
    struct local_port *port;
    int fd;        /* -1: lost, or not there yet. */
    bool is_named; /* The other end has said who it is. */
    bool is_mute;  /* Nothing can be sent any more; what had come before is still read. */
    bool is_changed;
    enum sl_link_change_kind lost; /* With fd -1 and is_changed: how. */
    struct sl_link_name name;
    struct sl_stream in;
    struct sl_buf rest; /* Of the frame that was sent last; [rest_at, size) has not gone. */
    size_t rest_at;
    struct connection *next, *previous, *next_changed;
};

struct local_port {
    struct sl_link_port port;
    struct sl_link_name self;
    struct sockaddr_un address;
    int epoll_fd, listen_fd; /* listen_fd -1: a call. */
    dev_t device;
    ino_t inode; /* Of the socket's file. */
    struct connection *connections;
    uint32_t connections_count;
    struct connection *changed, *told;
    struct epoll_event ready[READY_MAX];
    uint32_t ready_count, ready_at;
    bool has_received; /* From the connection at ready_at, in this round. */
    bool has_told_full;
    uint64_t again_ns;
};

bool
sl_link_is_local(const char *endpoint)
{
    return strncmp(endpoint, SCHEME, strlen(SCHEME)) == 0;
}

/* ---- connections --------------------------------------------------------------------------- */

static bool
watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    return epoll_ctl(c->port->epoll_fd, operation, c->fd, &event) == 0;
}

static void
tell(struct connection *c)
{
    struct local_port *p = c->port;
    if (!c->is_changed) {
        c->is_changed = true;
        c->next_changed = p->changed;
        p->changed = c;
    }
    p->port.has_changes = true;
}

/* A close alone would leave it watched, as what is freed, while a child that was just forked and
   has not come to its exec has a copy of the descriptor. */
static void
hang_up(struct connection *c)
{
    (void)watch(c, EPOLL_CTL_DEL, 0);
    close(c->fd);
    c->fd = -1;
}

static void
lose(struct connection *c, enum sl_link_change_kind how)
{
    struct local_port *p = c->port;
    hang_up(c);
    c->lost = how;
    sl_buf_deinit(&c->rest);
    c->rest_at = 0;
    if (p->listen_fd < 0) {
        p->port.dial_ns = sl_time_mono_ns() + p->again_ns;
        p->again_ns = SL_MIN(2 * p->again_ns, AGAIN_MAX_NS);
    }
    tell(c);
}

static struct connection *
connection_create(struct local_port *p)
{
    struct connection *c = sl_zalloc(sizeof(*c));
    c->pipe.carrier = p->port.carrier;
    c->port = p;
    c->fd = -1;
    c->next = p->connections;
    if (c->next != NULL)
        c->next->previous = c;
    p->connections = c;
    p->connections_count++;
    return c;
}

static void
connection_destroy(struct connection *c)
{
    struct local_port *p = c->port;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        p->connections = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    p->connections_count--;
    if (c->fd >= 0)
        hang_up(c);
    sl_stream_deinit(&c->in);
    sl_buf_deinit(&c->rest);
    sl_free(c);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void
fall_silent(struct connection *c)
{
    c->is_mute = true;
    sl_buf_deinit(&c->rest);
    c->rest_at = 0;
}

/* Send what is left of the last frame; true: all has gone. */
static bool
send_rest(struct connection *c)
{
    while (c->rest_at < c->rest.size) {
        ssize_t sent = send(c->fd, c->rest.data + c->rest_at, c->rest.size - c->rest_at,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (errno != EAGAIN && errno != ENOBUFS)
                fall_silent(c);
            return false;
        }
        c->rest_at += (size_t)sent;
    }
    sl_buf_deinit(&c->rest);
    c->rest_at = 0;
    return true;
}

/* Keep what did not go of head and bytes. */
static void
keep_rest(struct connection *c, const struct iovec *parts, size_t sent)
{
    for (uint32_t i = 0; i < 2; i++) {
        size_t gone = SL_MIN(sent, parts[i].iov_len);
        sl_buf_append(&c->rest, (const uint8_t *)parts[i].iov_base + gone, parts[i].iov_len - gone);
        sent -= gone;
    }
}

static enum sl_link_sent
connection_send(struct connection *c, struct sl_slice bytes)
{
    uint32_t size = htole32((uint32_t)bytes.size);
    struct iovec parts[] = {{&size, sizeof(size)}, {(void *)(uintptr_t)bytes.data, bytes.size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = -1;
    if (c->fd < 0 || c->is_mute)
        return SL_LINK_GONE;
    if (c->rest.size > 0)
        return SL_LINK_BUSY;
    do
        sent = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        fall_silent(c);
        return SL_LINK_GONE;
    }
    if (sent == (ssize_t)(sizeof(size) + bytes.size))
        return SL_LINK_SENT;
    /* Even a frame of which nothing went is kept: its pipe then has something to wait for. */
    keep_rest(c, parts, sent < 0 ? 0 : (size_t)sent);
    (void)watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return SL_LINK_SENT;
}

static enum sl_link_sent
local_send(struct sl_link_pipe *pipe, const struct sl_link_name *to, struct sl_slice bytes,
           struct sl_frame *owner)
{
    (void)to;
    (void)owner;
    return connection_send(SL_CONTAINER(pipe, struct connection, pipe), bytes);
}

static void
send_name(struct connection *c)
{
    uint8_t name[NAME_SIZE] = NAME_MAGIC;
    uint32_t node = htole32(c->port->self.node);
    uint64_t boot = htole64(c->port->self.boot);
    memcpy(name + sizeof(NAME_MAGIC), &node, sizeof(node));
    memcpy(name + sizeof(NAME_MAGIC) + sizeof(node), &boot, sizeof(boot));
    (void)connection_send(c, sl_slice(name, sizeof(name)));
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* Take over a connected descriptor. */
static void
begin(struct connection *c, int fd)
{
    int size = BUFFER_BYTES;
    c->fd = fd;
    c->is_named = c->is_mute = false;
    sl_stream_deinit(&c->in);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (watch(c, EPOLL_CTL_ADD, EPOLLIN))
        send_name(c);
    else
        lose(c, SL_LINK_LOST);
}

static void
refuse_more(struct local_port *p, const char *reason)
{
    if (!p->has_told_full)
        sl_report_warn("link-full", "path=%s reason=\"%s\"", p->address.sun_path, reason);
    p->has_told_full = true;
}

/* Without descriptors left the listener is deaf for a while: it would be ready for ever. */
static void
listen_up(struct local_port *p, bool is_deaf)
{
    struct epoll_event event = {.events = is_deaf ? 0 : EPOLLIN, .data.ptr = NULL};
    p->port.dial_ns = is_deaf ? sl_time_mono_ns() + AGAIN_NS : UINT64_MAX;
    (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, p->listen_fd, &event);
}

static void
accept_all(struct local_port *p)
{
    for (uint32_t i = 0; i < READY_MAX; i++) {
        int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                refuse_more(p, "no descriptors or memory are left");
                listen_up(p, true);
            }
            return;
        }
        if (p->connections_count < CONNECTIONS_MAX) {
            begin(connection_create(p), fd);
            continue;
        }
        refuse_more(p, "too many connections");
        close(fd);
    }
}

static void
local_dial(struct sl_link_port *port, uint64_t now_ns)
{
    struct local_port *p = (struct local_port *)port;
    if (p->listen_fd >= 0) {
        listen_up(p, false);
        return;
    }
    if (p->connections->fd >= 0)
        return;
    port->dial_ns = UINT64_MAX;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&p->address, sizeof(p->address)) == 0) {
        begin(p->connections, fd);
        return;
    }
    if (fd >= 0)
        close(fd);
    port->dial_ns = now_ns + p->again_ns;
    p->again_ns = SL_MIN(2 * p->again_ns, AGAIN_MAX_NS);
}

static bool
local_is_connected(struct sl_link_port *port)
{
    return ((struct local_port *)port)->connections->fd >= 0;
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* Of two connections by one name the newer one counts. */
static void
lose_namesakes(struct connection *c)
{
    for (struct connection *other = c->port->connections; other != NULL; other = other->next) {
        if (other != c && other->fd >= 0 && other->is_named && other->name.node == c->name.node &&
            other->name.boot == c->name.boot)
            lose(other, SL_LINK_LOST);
    }
}

static void
take_name(struct connection *c, struct sl_slice frame)
{
    uint32_t node;
    uint64_t boot;
    bool is_name =
        frame.size == NAME_SIZE && memcmp(frame.data, NAME_MAGIC, sizeof(NAME_MAGIC)) == 0;
    if (is_name) {
        memcpy(&node, frame.data + sizeof(NAME_MAGIC), sizeof(node));
        memcpy(&boot, frame.data + sizeof(NAME_MAGIC) + sizeof(node), sizeof(boot));
        c->name = (struct sl_link_name){le32toh(node), le64toh(boot)};
    }
    if (!is_name || c->name.node == 0 || c->name.boot == 0) {
        lose(c, SL_LINK_MISMATCH);
        return;
    }
    c->is_named = true;
    c->port->again_ns = AGAIN_NS;
    if (c->port->listen_fd >= 0)
        lose_namesakes(c);
}

/* The next whole frame that has come, but for names. */
static enum sl_link_heard
take_frame(struct connection *c, struct sl_link_received *ret)
{
    while (c->fd >= 0) {
        enum sl_err err = sl_stream_next(&c->in, c->is_named ? FRAME_MAX : NAME_SIZE, &ret->bytes);
        if (err == SL_ENOTFOUND)
            return SL_LINK_NOTHING;
        if (err != SL_OK) {
            ret->bytes = sl_slice(NULL, c->in.end - c->in.begin);
            lose(c, c->is_named ? SL_LINK_LOST : SL_LINK_MISMATCH);
            return SL_LINK_NONSENSE;
        }
        if (c->is_named) {
            ret->pipe = &c->pipe;
            ret->from = c->name;
            return SL_LINK_FRAME;
        }
        take_name(c, ret->bytes);
    }
    return SL_LINK_NOTHING;
}

static bool
receive_bytes(struct connection *c)
{
    size_t room;
    uint8_t *at = sl_stream_room(&c->in, &room);
    ssize_t got;
    do
        got = recv(c->fd, at, room, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        sl_stream_filled(&c->in, (size_t)got);
        return true;
    }
    if (got == 0 || errno != EAGAIN)
        lose(c, SL_LINK_LOST);
    return false;
}

static void
make_room(struct connection *c)
{
    if (!send_rest(c))
        return;
    (void)watch(c, EPOLL_CTL_MOD, EPOLLIN);
    tell(c);
}

/* A new round; false: nothing is ready. */
static bool
begin_round(struct local_port *p)
{
    int count = epoll_wait(p->epoll_fd, p->ready, READY_MAX, 0);
    p->ready_count = count > 0 ? (uint32_t)count : 0;
    p->ready_at = 0;
    p->has_received = false;
    return p->ready_count > 0;
}

static void
go_on(struct local_port *p)
{
    p->ready_at++;
    p->has_received = false;
}

/* What the connection at hand has; nothing: it has had its turn. */
static enum sl_link_heard
take_turn(struct local_port *p, struct connection *c, struct sl_link_received *ret)
{
    enum sl_link_heard heard = take_frame(c, ret);
    if (heard != SL_LINK_NOTHING || c->fd < 0 || p->has_received)
        return heard;
    p->has_received = true;
    if (p->ready[p->ready_at].events & EPOLLOUT)
        make_room(c);
    return receive_bytes(c) ? take_frame(c, ret) : SL_LINK_NOTHING;
}

static enum sl_link_heard
local_receive(struct sl_link_port *port, struct sl_link_received *ret)
{
    struct local_port *p = (struct local_port *)port;
    if (p->ready_at == p->ready_count && !begin_round(p))
        return SL_LINK_NOTHING;
    while (p->ready_at < p->ready_count) {
        struct connection *c = p->ready[p->ready_at].data.ptr;
        if (c == NULL) {
            accept_all(p);
        } else {
            enum sl_link_heard heard = take_turn(p, c, ret);
            if (heard != SL_LINK_NOTHING)
                return heard;
        }
        go_on(p);
    }
    return SL_LINK_NOTHING;
}

static void
local_release(struct sl_link_port *port)
{
    (void)port; /* It lies where it was received, until its connection receives more. */
}

static const char *
local_key(struct sl_link_port *port)
{
    (void)port;
    return "";
}

/* ---- what happened ------------------------------------------------------------------------- */

/* One that was told of as lost: a call's is used again. */
static void
forget(struct local_port *p, struct connection *c)
{
    if (c->fd >= 0 || p->listen_fd < 0)
        return;
    for (uint32_t i = p->ready_at; i < p->ready_count; i++) {
        if (p->ready[i].data.ptr == c) { /* Its place in the round goes to the last one. */
            p->ready[i] = p->ready[--p->ready_count];
            break;
        }
    }
    connection_destroy(c);
}

static bool
local_change(struct sl_link_port *port, struct sl_link_change *ret_change)
{
    struct local_port *p = (struct local_port *)port;
    struct connection *c = p->changed;
    if (p->told != NULL)
        forget(p, p->told);
    p->told = NULL;
    port->has_changes = c != NULL;
    if (c == NULL)
        return false;
    p->changed = c->next_changed;
    c->is_changed = false;
    ret_change->pipe = &c->pipe;
    ret_change->kind = c->fd < 0 ? c->lost : SL_LINK_ROOM;
    if (c->fd < 0)
        p->told = c;
    return true;
}

static uint32_t
local_fds(const struct sl_link_port *port, int *ret_fds, uint32_t max)
{
    if (max == 0)
        return 0;
    ret_fds[0] = ((const struct local_port *)port)->epoll_fd;
    return 1;
}

/* ---- ports --------------------------------------------------------------------------------- */

static char *
local_bound(const struct sl_link_port *port)
{
    return sl_format(SCHEME "%s", ((const struct local_port *)port)->address.sun_path);
}

/* The kernel delivers what it has taken; the rest of a frame is ours to see off. */
static void
linger(struct local_port *p)
{
    uint64_t end_ns = sl_time_mono_ns() + LINGER_MS * SL_MILLI_NS;
    for (struct connection *c = p->connections; c != NULL; c = c->next) {
        while (c->fd >= 0 && !send_rest(c) && !c->is_mute && sl_time_mono_ns() < end_ns) {
            struct pollfd room = {.fd = c->fd, .events = POLLOUT};
            (void)poll(&room, 1, LINGER_MS / 4);
        }
    }
}

static void
local_close(struct sl_link_port *port)
{
    struct local_port *p = (struct local_port *)port;
    struct stat file;
    linger(p);
    if (p->epoll_fd >= 0)
        close(p->epoll_fd); /* First: of a process that was forked it is but a copy. */
    p->epoll_fd = -1;
    while (p->connections != NULL)
        connection_destroy(p->connections);
    if (p->listen_fd >= 0) {
        /* Another may listen there by now. */
        if (stat(p->address.sun_path, &file) == 0 && file.st_dev == p->device &&
            file.st_ino == p->inode)
            unlink(p->address.sun_path);
        close(p->listen_fd);
    }
    sl_free(p);
}

static const struct sl_link_carrier carrier = {
    .send = local_send,
    .receive = local_receive,
    .release = local_release,
    .key = local_key,
    .is_connected = local_is_connected,
    .change = local_change,
    .dial = local_dial,
    .fds = local_fds,
    .bound = local_bound,
    .close = local_close,
};

static enum sl_err
port_create(struct sl_link_name self, const char *endpoint, struct local_port **ret_port)
{
    const char *path = endpoint + strlen(SCHEME);
    if (!sl_link_is_local(endpoint) || path[0] == '\0' ||
        strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return SL_EINVAL;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return sl_err_from_errno(errno);
    struct local_port *p = sl_zalloc(sizeof(*p));
    p->port = (struct sl_link_port){.carrier = &carrier, .dial_ns = UINT64_MAX};
    p->self = self;
    p->address.sun_family = AF_UNIX;
    memcpy(p->address.sun_path, path, strlen(path) + 1);
    p->epoll_fd = epoll_fd;
    p->listen_fd = -1;
    p->again_ns = AGAIN_NS;
    *ret_port = p;
    return SL_OK;
}

static enum sl_err
listen_at(struct local_port *p)
{
    struct stat file;
    struct epoll_event event = {.events = EPOLLIN};
    p->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->listen_fd < 0)
        return sl_err_from_errno(errno);
    if (lstat(p->address.sun_path, &file) == 0 && S_ISSOCK(file.st_mode))
        unlink(p->address.sun_path);
    if (bind(p->listen_fd, (struct sockaddr *)&p->address, sizeof(p->address)) != 0)
        return errno == EADDRINUSE ? SL_EBUSY : sl_err_from_errno(errno);
    if (lstat(p->address.sun_path, &file) == 0) {
        p->device = file.st_dev;
        p->inode = file.st_ino;
    }
    if (listen(p->listen_fd, SOMAXCONN) != 0 ||
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->listen_fd, &event) != 0)
        return sl_err_from_errno(errno);
    return SL_OK;
}

enum sl_err
sl_link_local_listen(struct sl_link_name self, const char *endpoint, struct sl_link_port **ret_port)
{
    struct local_port *p;
    enum sl_err err = port_create(self, endpoint, &p);
    if (err != SL_OK)
        return err;
    err = listen_at(p);
    if (err == SL_OK)
        *ret_port = &p->port;
    else
        local_close(&p->port);
    return err;
}

enum sl_err
sl_link_local_call(struct sl_link_name self, const char *endpoint, struct sl_link_port **ret_port)
{
    struct local_port *p;
    enum sl_err err = port_create(self, endpoint, &p);
    if (err != SL_OK)
        return err;
    p->port.pipe = &connection_create(p)->pipe;
    local_dial(&p->port, sl_time_mono_ns());
    *ret_port = &p->port;
    return SL_OK;
}
