/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of connections that libmicrohttpd has none for. Its timeout starts anew with every
 * byte, so a client that sends or reads one byte now and then would hold a connection for ever.
 * Here a request's head has to be complete in a given time, and a reply has to be read at some
 * rate; bodies have a rate of their own (front/body.c). Who is late is cut: libmicrohttpd then
 * finds the connection closed and ends its request as for any client that hangs up.
 *
 * It also misses the end of a connection that comes with the last bytes it reads, and would keep
 * half a body until its time is over: who waits for more is asked whether there can be more.
 *
 * Nor does it let a connection rest whose buffer is full of what it can make nothing of, like a
 * chunk's size that has no end: it goes through all of that buffer again and again. So a chunked
 * body that brings nothing is put to sleep, and looked at ever less often.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "gateway/front/state.h"
#include "gateway/transport.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/time.h"

#define HEAD_S            15 /* From the connection to the end of the first head. */
#define REPLY_S           60
#define REPLY_BYTES_PER_S (64 * SL_KIB)
#define TICK_NS           (SL_SECOND_NS / 4)
#define STUCK_NS          (SL_SECOND_NS / 2)
#define NAP_MAX_NS        (4 * SL_SECOND_NS)

enum phase {
    PHASE_HEAD, /* Nothing or part of a head has come. */
    PHASE_BODY, /* A body is read: since its last piece. */
    PHASE_BUSY, /* The call is being answered. */
    PHASE_REPLY
};

struct sl_link {
    struct sl_link *next, *previous;
    const struct sl_front *front;
    struct MHD_Connection *connection;
    uint64_t since_ns; /* Of the phase: when its round began. */
    uint64_t reply_bytes;
    uint64_t nap_ns, wake_ns;
    int fd;
    enum phase phase;
    bool is_used, is_cut; /* used: it has had a request. */
    bool is_chunked;
    bool is_asleep, is_woken; /* By us; woken: for one round. */
    atomic_bool *gone;        /* To be set; NULL: nobody asks. */
    char address[INET6_ADDRSTRLEN];
};

static struct sl_link *
link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void
enter(struct MHD_Connection *connection, enum phase phase, bool is_chunked, uint64_t reply_bytes)
{
    struct sl_link *link = link_of(connection);
    if (link == NULL)
        return;
    link->phase = phase;
    link->is_chunked = is_chunked;
    link->since_ns = link->front->round_ns;
    link->reply_bytes = reply_bytes;
    link->is_used = true;
    link->is_woken = false;
    link->nap_ns = 0;
    link->gone = NULL;
}

void
sl_guard_begun(struct MHD_Connection *connection)
{
    enter(connection, PHASE_BUSY, false, 0);
}

void
sl_guard_posted(struct MHD_Connection *connection, atomic_bool *gone)
{
    struct sl_link *link = link_of(connection);
    enter(connection, PHASE_BUSY, false, 0);
    if (link != NULL)
        link->gone = gone;
}

void
sl_guard_body(struct MHD_Connection *connection, bool is_chunked)
{
    enter(connection, PHASE_BODY, is_chunked, 0);
}

void
sl_guard_answered(struct MHD_Connection *connection, uint64_t reply_bytes)
{
    enter(connection, PHASE_REPLY, false, reply_bytes);
}

void
sl_guard_completed(struct MHD_Connection *connection)
{
    enter(connection, PHASE_HEAD, false, 0);
}

static void
write_address(const struct sockaddr *address, char ret_text[static INET6_ADDRSTRLEN])
{
    const void *bytes = NULL;
    ret_text[0] = '\0';
    if (address != NULL && address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (bytes != NULL)
        (void)inet_ntop(address->sa_family, bytes, ret_text, INET6_ADDRSTRLEN);
}

/* Once a connection: as text it takes longer than all the rest of who asks. */
static void
note_address(struct sl_link *link)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(link->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    write_address(info == NULL ? NULL : info->client_addr, link->address);
}

/*
 * Libmicrohttpd has one limit per address for everybody. All who come through a proxy have its
 * address, so where there is one that limit is all slots, and who is none has half of them by this.
 */
enum MHD_Result
sl_guard_accepts(void *arg, const struct sockaddr *address, socklen_t size)
{
    const struct sl_front *front = arg;
    const struct sl_transport *transport = front->options.transport;
    char text[INET6_ADDRSTRLEN];
    uint32_t count = 0;
    (void)size;
    if (transport == NULL || transport->proxies_count == 0)
        return MHD_YES;
    write_address(address, text);
    if (sl_transport_trusts(transport, sl_slice_str(text)))
        return MHD_YES;
    for (const struct sl_link *link = front->links; link != NULL; link = link->next)
        count += strcmp(link->address, text) == 0;
    return count < (front->slots_count + 1) / 2 ? MHD_YES : MHD_NO;
}

const char *
sl_guard_address(struct MHD_Connection *connection)
{
    const struct sl_link *link = link_of(connection);
    return link == NULL ? "" : link->address;
}

static void
link_add(struct sl_front *front, struct MHD_Connection *connection, void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sl_link *link = sl_zalloc(sizeof(*link));
    link->front = front;
    link->connection = connection;
    link->fd = info == NULL ? -1 : info->connect_fd;
    link->since_ns = front->round_ns;
    note_address(link);
    link->next = front->links;
    if (front->links != NULL)
        front->links->previous = link;
    front->links = link;
    *socket_context = link;
}

void
sl_guard_notify(void *arg, struct MHD_Connection *connection, void **socket_context,
                enum MHD_ConnectionNotificationCode what)
{
    struct sl_front *front = arg;
    struct sl_link *link = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        link_add(front, connection, socket_context);
        return;
    }
    *socket_context = NULL;
    if (link == NULL)
        return;
    if (link->next != NULL)
        link->next->previous = link->previous;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        front->links = link->next;
    sl_free(link);
}

/* An idle connection may wait for its next request as long as libmicrohttpd lets it. */
static bool
is_late(const struct sl_front *front, const struct sl_link *link, uint64_t now_ns)
{
    const struct sl_front_options *options = &front->options;
    uint64_t head_s = options->head_s == 0 ? HEAD_S : options->head_s;
    uint64_t reply_s = options->reply_s == 0 ? REPLY_S : options->reply_s;
    uint64_t rate = options->reply_rate == 0 ? REPLY_BYTES_PER_S : options->reply_rate;
    uint64_t took_ns = now_ns - link->since_ns;
    switch (link->phase) {
    case PHASE_HEAD:
        return took_ns > (head_s + (link->is_used ? front->idle_s : 0)) * SL_SECOND_NS;
    case PHASE_REPLY:
        return took_ns > (reply_s + link->reply_bytes / rate) * SL_SECOND_NS;
    case PHASE_BODY:
        return took_ns > front->idle_s * SL_SECOND_NS;
    case PHASE_BUSY:
        break;
    }
    return false;
}

static void
cut(struct sl_link *link)
{
    link->is_cut = true;
    (void)shutdown(link->fd, SHUT_RDWR); /* It may be closed already: that is fine. */
}

static void
fall_asleep(struct sl_link *link, uint64_t now_ns)
{
    link->is_asleep = true;
    link->is_woken = false;
    link->nap_ns = link->nap_ns == 0 ? TICK_NS : SL_MIN(2 * link->nap_ns, NAP_MAX_NS);
    link->wake_ns = now_ns + link->nap_ns;
    MHD_suspend_connection(link->connection);
}

static void
wake_up(struct sl_link *link)
{
    link->is_asleep = false;
    link->is_woken = true;
    MHD_resume_connection(link->connection);
}

/* Libmicrohttpd has something left to do: is it this link that keeps it from resting? */
static bool
is_stuck(const struct sl_front *front, const struct sl_link *link, uint64_t now_ns)
{
    return front->has_leftovers && link->is_chunked && !link->is_cut &&
           now_ns - link->since_ns > STUCK_NS;
}

/* The other side has closed, and all it sent was read. */
static bool
has_closed(const struct sl_link *link, uint64_t now_ns)
{
    char byte;
    return now_ns - link->since_ns >= STUCK_NS &&
           recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* The same, and that was no whole request. */
static bool
is_gone(const struct sl_link *link, uint64_t now_ns)
{
    return (link->phase == PHASE_HEAD || link->phase == PHASE_BODY) && has_closed(link, now_ns);
}

/* Of a call that may take its time. Its reply still goes out: the other side may be read from. */
static void
tell_gone(const struct sl_link *link, uint64_t now_ns)
{
    if (link->gone != NULL && has_closed(link, now_ns))
        atomic_store(link->gone, true);
}

void
sl_guard_tick(struct sl_front *front)
{
    uint64_t now_ns = front->round_ns = sl_time_mono_ns();
    if (now_ns - front->guarded_ns < TICK_NS)
        return;
    bool is_full_second = now_ns / SL_SECOND_NS != front->guarded_ns / SL_SECOND_NS;
    front->guarded_ns = now_ns;
    for (struct sl_link *link = front->links; link != NULL; link = link->next) {
        if (link->is_cut || link->fd < 0)
            continue;
        if (is_late(front, link, now_ns) || (is_full_second && is_gone(link, now_ns)))
            cut(link);
        if (is_full_second)
            tell_gone(link, now_ns);
        if (link->is_asleep && (link->is_cut || now_ns >= link->wake_ns)) {
            wake_up(link);
            front->has_woken = true;
        } else if (!link->is_asleep && is_stuck(front, link, now_ns)) {
            fall_asleep(link, now_ns);
        }
    }
}

void
sl_guard_round(struct sl_front *front)
{
    if (!front->has_woken)
        return;
    front->has_woken = false;
    for (struct sl_link *link = front->links; link != NULL; link = link->next) {
        if (link->is_woken && !link->is_cut)
            fall_asleep(link, front->guarded_ns);
    }
}

void
sl_guard_release(struct sl_front *front)
{
    for (struct sl_link *link = front->links; link != NULL; link = link->next) {
        if (link->is_asleep)
            wake_up(link);
    }
}
