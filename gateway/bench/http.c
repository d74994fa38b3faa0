/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/time.h"

#define REPLY_BYTES_MAX (64 * SL_KIB)
#define EVENTS          64
#define SILENCE_NS      (60 * SL_SECOND_NS) /* No answer at all for so long. */

struct lane {
    int fd;
    uint32_t kind;
    bool is_busy;
    uint64_t due_ns;
    size_t size; /* Of the reply so far. */
    struct lane *next_idle;
    char reply[REPLY_BYTES_MAX + 1];
};

struct tally { /* Of a kind. */
    uint64_t good, refused, lost, next_ns;
    double slowest_us;
    double *took_us;
    size_t took_count, took_capacity;
    struct lane *idle;
};

struct run {
    const struct sl_bench_http *load;
    int epoll;
    uint64_t start_ns, from_ns, until_ns, heard_ns;
    struct lane *lanes;
    uint32_t lanes_count;
    struct tally tallies[SL_BENCH_HTTP_KINDS_MAX];
};

/* ---- connections --------------------------------------------------------------------------- */

static bool
open_lane(struct run *r, struct lane *lane, uint32_t kind)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons(r->load->port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = lane};
    int one = 1;
    lane->kind = kind;
    lane->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lane->fd < 0 || connect(lane->fd, (struct sockaddr *)&where, sizeof(where)) != 0 ||
        setsockopt(lane->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, lane->fd, &event) != 0)
        return sl_bench_fail("no connection: %s", strerror(errno));
    lane->next_idle = r->tallies[kind].idle;
    r->tallies[kind].idle = lane;
    return true;
}

static bool
send_request(struct run *r, struct lane *lane, uint64_t due_ns)
{
    struct sl_slice request = r->load->kinds[lane->kind].request;
    lane->is_busy = true;
    lane->due_ns = due_ns;
    lane->size = 0;
    /* It is small, and the socket's buffer is empty. */
    return send(lane->fd, request.data, request.size, MSG_NOSIGNAL) == (ssize_t)request.size ||
           sl_bench_fail("a request could not be sent: %s", strerror(errno));
}

/* ---- replies ------------------------------------------------------------------------------- */

/* Of a reply in chunks, which Ray Serve sends: whether the last one, which is empty, is there. */
static bool
is_last_chunk(const struct lane *lane, const char *body)
{
    static const char last[] = "0\r\n\r\n";
    const char *end = lane->reply + lane->size;
    if (end - body < (ptrdiff_t)sizeof(last) - 1 || memcmp(end - 5, last, 5) != 0)
        return false;
    return end - 5 == body || end[-6] == '\n';
}

/* The status of a whole reply; 0: more is to come; -1: it is none. */
static int
status_of(struct lane *lane)
{
    lane->reply[lane->size] = '\0';
    const char *body = strstr(lane->reply, "\r\n\r\n");
    if (body == NULL)
        return lane->size == REPLY_BYTES_MAX ? -1 : 0;
    if (strncmp(lane->reply, "HTTP/1.1 ", 9) != 0)
        return -1;
    int status = (int)strtol(lane->reply + 9, NULL, 10);
    const char *chunked = strcasestr(lane->reply, "\r\nTransfer-Encoding: chunked\r\n");
    if (chunked != NULL && chunked < body)
        return is_last_chunk(lane, body + 4) ? status : lane->size < REPLY_BYTES_MAX ? 0 : -1;
    const char *length = strcasestr(lane->reply, "\r\nContent-Length:");
    if (length == NULL || length > body)
        return -1;
    size_t size = (size_t)(body + 4 - lane->reply) + strtoul(length + 17, NULL, 10);
    if (size > REPLY_BYTES_MAX || lane->size > size)
        return -1;
    return lane->size < size ? 0 : status;
}

static bool
count_reply(struct run *r, const struct lane *lane, int status, uint64_t now_ns)
{
    struct tally *t = &r->tallies[lane->kind];
    r->heard_ns = now_ns;
    if (status != 503 && (status < 200 || status > 299))
        return sl_bench_fail("not a reply wanted: %.300s", lane->reply);
    if (r->load->take != NULL)
        r->load->take(r->load->arg, lane->kind, sl_slice(lane->reply, lane->size), lane->due_ns);
    if (now_ns < r->from_ns || (now_ns >= r->until_ns && r->load->drain_ns == 0))
        return true;
    t->slowest_us = SL_MAX(t->slowest_us, (double)(now_ns - lane->due_ns) / 1e3);
    if (status == 503) {
        t->refused++;
        return true;
    }
    t->good++;
    if (t->took_count == t->took_capacity) {
        t->took_capacity = SL_MAX(2 * t->took_capacity, (size_t)4096);
        t->took_us = sl_realloc(t->took_us, t->took_capacity * sizeof(*t->took_us));
    }
    t->took_us[t->took_count++] = (double)(now_ns - lane->due_ns) / 1e3;
    return true;
}

static bool
on_readable(struct run *r, struct lane *lane)
{
    ssize_t size = recv(lane->fd, lane->reply + lane->size, REPLY_BYTES_MAX - lane->size, 0);
    if (size < 0 && errno == EINTR)
        return true;
    if (size <= 0 || !lane->is_busy)
        return sl_bench_fail("a connection was closed");
    lane->size += (size_t)size;
    int status = status_of(lane);
    if (status == 0)
        return true;
    uint64_t now_ns = sl_time_mono_ns();
    if (!count_reply(r, lane, status, now_ns))
        return false;
    struct tally *t = &r->tallies[lane->kind];
    if (r->load->kinds[lane->kind].per_s == 0 && now_ns < r->until_ns)
        return send_request(r, lane, now_ns);
    lane->is_busy = false;
    lane->next_idle = t->idle;
    t->idle = lane;
    return true;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Send what is due and has a connection. When the next falls due is in *next_ns. */
static bool
send_due(struct run *r, uint32_t kind, uint64_t *next_ns)
{
    double per_s = r->load->kinds[kind].per_s;
    struct tally *t = &r->tallies[kind];
    uint64_t now_ns = sl_time_mono_ns();
    while (t->idle != NULL && now_ns < r->until_ns && t->next_ns <= now_ns) {
        struct lane *lane = t->idle;
        t->idle = lane->next_idle;
        if (!send_request(r, lane, per_s == 0 ? now_ns : t->next_ns))
            return false;
        if (per_s > 0)
            t->next_ns += (uint64_t)(1e9 / per_s);
    }
    if (t->idle != NULL)
        *next_ns = SL_MIN(*next_ns, t->next_ns);
    return true;
}

static uint32_t
count_busy(struct run *r)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->load->kinds_count; i++)
        r->tallies[i].lost = 0;
    for (uint32_t i = 0; i < r->lanes_count; i++) {
        count += r->lanes[i].is_busy;
        r->tallies[r->lanes[i].kind].lost += r->lanes[i].is_busy;
    }
    return count;
}

static bool
take_events(struct run *r, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / SL_SECOND_NS),
                            .tv_nsec = (long)(wait_ns % SL_SECOND_NS)};
    int count = epoll_pwait2(r->epoll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < count; i++) {
        if (!on_readable(r, events[i].data.ptr))
            return false;
    }
    return true;
}

static bool
drain(struct run *r)
{
    uint64_t until_ns = r->until_ns + r->load->drain_ns;
    while (count_busy(r) > 0 && sl_time_mono_ns() < until_ns) {
        if (!take_events(r, 10 * SL_MILLI_NS))
            return false;
    }
    return true;
}

static bool
drive(struct run *r)
{
    for (;;) {
        uint64_t next_ns = r->until_ns;
        for (uint32_t i = 0; i < r->load->kinds_count; i++) {
            if (!send_due(r, i, &next_ns))
                return false;
        }
        uint64_t now_ns = sl_time_mono_ns();
        if (now_ns >= r->until_ns)
            return drain(r);
        if (!take_events(r, next_ns > now_ns ? next_ns - now_ns : 0))
            return false;
        if (sl_time_mono_ns() - r->heard_ns > SILENCE_NS)
            return sl_bench_fail("nothing is answered");
    }
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void
sum_up(const struct run *r, uint32_t kind, struct sl_bench_http_result *ret)
{
    const struct tally *t = &r->tallies[kind];
    *ret = (struct sl_bench_http_result){.good = t->good,
                                         .refused = t->refused,
                                         .lost = r->load->drain_ns > 0 ? t->lost : 0,
                                         .slowest_us = t->slowest_us,
                                         .per_s =
                                             (double)t->good * 1e9 / (double)r->load->measured_ns};
    if (t->took_count == 0)
        return;
    qsort(t->took_us, t->took_count, sizeof(*t->took_us), compare);
    ret->p50_us = t->took_us[t->took_count / 2];
    ret->p99_us = t->took_us[t->took_count * 99 / 100];
}

static bool
open_lanes(struct run *r)
{
    for (uint32_t i = 0; i < r->load->kinds_count; i++)
        r->lanes_count += r->load->kinds[i].connections;
    r->lanes = sl_zalloc(r->lanes_count * sizeof(*r->lanes));
    for (uint32_t i = 0; i < r->lanes_count; i++)
        r->lanes[i].fd = -1;
    uint32_t at = 0;
    for (uint32_t i = 0; i < r->load->kinds_count; i++) {
        for (uint32_t k = 0; k < r->load->kinds[i].connections; k++) {
            if (!open_lane(r, &r->lanes[at++], i))
                return false;
        }
    }
    return true;
}

bool
sl_bench_http_run(const struct sl_bench_http *load, struct sl_bench_http_result *ret_results)
{
    struct run r = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    sl_assert(load->kinds_count >= 1 && load->kinds_count <= SL_BENCH_HTTP_KINDS_MAX);
    bool is_ok = r.epoll >= 0 && open_lanes(&r);
    r.start_ns = r.heard_ns = sl_time_mono_ns();
    r.from_ns = r.start_ns + load->warm_ns;
    r.until_ns = r.from_ns + load->measured_ns;
    for (uint32_t i = 0; i < load->kinds_count; i++)
        r.tallies[i].next_ns = r.start_ns + load->kinds[i].after_ns;
    is_ok = is_ok && drive(&r);
    for (uint32_t i = 0; i < load->kinds_count; i++) {
        if (is_ok)
            sum_up(&r, i, &ret_results[i]);
        sl_free(r.tallies[i].took_us);
    }
    for (uint32_t i = 0; i < r.lanes_count; i++) {
        if (r.lanes[i].fd >= 0)
            (void)close(r.lanes[i].fd);
    }
    if (r.epoll >= 0)
        (void)close(r.epoll);
    sl_free(r.lanes);
    return is_ok;
}
