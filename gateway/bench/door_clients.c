/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that hold a connection and do little with it. 10,000 that wait for the events of a queue
 * in which nothing happens: what each costs in memory. 1,000 that send a byte of their head now and
 * then: what the others' tail is beside them, in turn with none of them there; and the same of the
 * bare library, for a machine with few cores adds its own.
 *
 * The bytes come evenly, one a millisecond, from the thread that also measures: when they came in
 * bursts of 50, that thread was away for half a millisecond twenty times a second, a hundredth of
 * all time, and so the p99 said now one thing and now another.
 *
 * Both need as many descriptors, here and in the server: where the system does not allow these, the
 * figure is left out, and that is said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/bench/door.h"
#include "gateway/bench/http.h"
#include "gateway/bench/server.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define WAITING      10000u
#define WAITING_FEW  2000u
#define SLOW         1000u
#define SPARE        1000u /* Descriptors of everything else. */
#define SLICES       15u
#define SLICES_FEW   3u
#define SLICE_NS     (500 * SL_MILLI_NS)
#define OTHERS       16u
#define OTHERS_PER_S 4000.0
#define STEP_NS      SL_MILLI_NS /* Each of them once a second. */
#define SETTLE_NS    (15 * SL_SECOND_NS)
#define QUEUE        "/v1/queues/bench"

struct crowd {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_bench_echo bare;
    uint16_t port; /* Of the one of the two that is asked. */
    int *fds;
    uint32_t count;
    uint64_t next_ns; /* When who is slow sends, and which of them. */
    uint32_t next;
};

static uint16_t
port_of(const struct crowd *c)
{
    return (uint16_t)strtoul(strrchr(c->server.url, ':') + 1, NULL, 10);
}

/* From addresses of their own, 250 each: nobody may have half of all connections. */
static int
connect_from(const struct crowd *c, uint32_t index)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / 250)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(c->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    (void)sl_bench_fail("connection %u: %s", index, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Each says `text` first. */
static bool
open_crowd(struct crowd *c, uint32_t count, const char *text)
{
    ssize_t size = (ssize_t)strlen(text);
    c->fds = sl_alloc(count * sizeof(*c->fds));
    for (c->count = 0; c->count < count; c->count++) {
        int fd = connect_from(c, c->count);
        if (fd < 0)
            return false;
        c->fds[c->count] = fd;
        if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size) {
            c->count++;
            return sl_bench_fail("client %u was not listened to", c->count);
        }
    }
    return true;
}

static void
close_crowd(struct crowd *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        (void)close(c->fds[i]);
    sl_free(c->fds);
    c->fds = NULL;
    c->count = 0;
}

/* ---- who waits ------------------------------------------------------------------------------ */

static uint32_t
count_answered(const struct crowd *c)
{
    uint32_t count = 0;
    char byte;
    for (uint32_t i = 0; i < c->count; i++)
        count += recv(c->fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
    return count;
}

/* Until the server's memory has stopped growing: it has taken them all then. */
static double
settled_mib(const struct crowd *c)
{
    uint64_t until_ns = sl_time_mono_ns() + SETTLE_NS;
    double last_mib = 0, mib = sl_bench_memory_mib(&c->server, SL_BENCH_MAIN);
    while (sl_time_mono_ns() < until_ns && mib - last_mib > 0.01) {
        sl_time_sleep_ns(SL_SECOND_NS);
        last_mib = mib;
        mib = sl_bench_memory_mib(&c->server, SL_BENCH_MAIN);
    }
    return mib;
}

static bool
run_waiting(struct crowd *c)
{
    uint32_t count = c->bench->is_quick ? WAITING_FEW : WAITING;
    char *last = sl_bench_ask(&c->client, QUEUE "/events", sl_slice(NULL, 0))
                     ? sl_bench_text(&c->client, "next")
                     : NULL;
    if (last == NULL)
        return false;
    char *text =
        sl_format("GET " QUEUE "/events/stream?wait_ms=30000&after=%s HTTP/1.1\r\nHost: localhost"
                  "\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n",
                  last, c->client.key);
    sl_free(last);
    double before_mib = sl_bench_memory_mib(&c->server, SL_BENCH_MAIN);
    c->port = port_of(c);
    bool is_ok = open_crowd(c, count, text);
    double after_mib = is_ok ? settled_mib(c) : 0;
    uint32_t answered = count_answered(c);
    sl_free(text);
    close_crowd(c);
    if (!is_ok)
        return false;
    if (answered > 0)
        return sl_bench_fail("%u of %u who were to wait were answered", answered, count);
    sl_bench_show(c->bench, &(struct sl_bench_figure){
                                "gateway.sse.memory", "MiB", SL_BENCH_AT_MOST, 400, after_mib,
                                c->bench->is_quick ? "all of the process, 2,000 clients wait"
                                                   : "all of the process, 10,000 clients wait"});
    sl_bench_show(c->bench,
                  &(struct sl_bench_figure){.name = "gateway.sse.per_client",
                                            .unit = "KiB",
                                            .value = (after_mib - before_mib) * 1024 / count});
    return true;
}

/* ---- who is slow ---------------------------------------------------------------------------- */

static void
step_slow(void *arg, uint32_t kind, struct sl_slice reply, uint64_t sent_ns)
{
    struct crowd *c = arg;
    (void)kind, (void)reply, (void)sent_ns;
    uint64_t now_ns = sl_time_mono_ns();
    if (c->count == 0 || now_ns < c->next_ns)
        return;
    c->next_ns = now_ns + STEP_NS;
    (void)send(c->fds[c->next++ % c->count], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The tail of the others, at a rate that leaves room. */
static bool
time_others(struct crowd *c, double *ret_p99_us)
{
    struct sl_bench_http_result result;
    char *text = sl_format("GET " QUEUE " HTTP/1.1\r\nHost: localhost\r\n"
                           "Authorization: Bearer %s\r\n\r\n",
                           c->client.key);
    struct sl_bench_http_kind kind = {
        .request = sl_slice_str(text), .connections = OTHERS, .per_s = OTHERS_PER_S};
    struct sl_bench_http load = {.port = c->port,
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .warm_ns = SLICE_NS / 5,
                                 .measured_ns = SLICE_NS,
                                 .take = step_slow,
                                 .arg = c};
    bool is_ok = sl_bench_http_run(&load, &result);
    sl_free(text);
    *ret_p99_us = result.p99_us;
    return is_ok && (result.good > 0 || sl_bench_fail("nothing was answered well"));
}

/* The tail of the others beside those who are slow, and by how much it is longer than without. */
static bool
time_beside(struct crowd *c, uint16_t port, double *ret_p99_us, double *ret_ratio)
{
    double alone_us = 0;
    c->port = port;
    bool is_ok = time_others(c, &alone_us) &&
                 open_crowd(c, SLOW, "GET " QUEUE " HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") &&
                 time_others(c, ret_p99_us);
    close_crowd(c);
    *ret_ratio = *ret_p99_us / alone_us;
    return is_ok;
}

static bool
run_slow(struct crowd *c)
{
    double ratios[SLICES], with[SLICES], bare_ratios[SLICES], bare_us[SLICES];
    uint32_t slices = c->bench->is_quick ? SLICES_FEW : SLICES;
    for (uint32_t i = 0; i < slices; i++) {
        if (!time_beside(c, port_of(c), &with[i], &ratios[i]) ||
            !time_beside(c, c->bare.port, &bare_us[i], &bare_ratios[i]))
            return false;
        sl_bench_say(c->bench, "  p99 beside slow ones %.0f us, %.2f x; bare %.0f us, %.2f x",
                     with[i], ratios[i], bare_us[i], bare_ratios[i]);
    }
    struct sl_bench_figure figures[] = {
        {"gateway.slow.p99", "us", SL_BENCH_NO_GOAL, 0, sl_bench_median(with, slices),
         "4,000/s beside 1,000 slow clients"},
        {"gateway.slow.p99_ratio", "x", SL_BENCH_AT_MOST, 1.2, sl_bench_median(ratios, slices),
         "by that without them, in turn"},
        {"gateway.limit.slow_p99", "us", SL_BENCH_NO_GOAL, 0, sl_bench_median(bare_us, slices),
         "libmicrohttpd alone, beside as many"},
        {"gateway.limit.slow_p99_ratio", "x", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(bare_ratios, slices), "by that without them, in turn"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(c->bench, &figures[i]);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* As many descriptors as that, for this process and those it starts. */
static bool
allow_descriptors(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur >= count)
        return true;
    limit.rlim_cur = count;
    limit.rlim_max = SL_MAX(limit.rlim_max, (rlim_t)count);
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static bool
make_queue(struct crowd *c)
{
    struct sl_http_reply reply = {0};
    struct sl_http_request put = {.method = "PUT", .path = QUEUE, .body = sl_slice_str("{}")};
    enum sl_err err = sl_http_send(c->client.http, &put, &reply);
    sl_buf_deinit(&reply.body);
    return (err == SL_OK && reply.status == 200) || sl_bench_fail("the queue cannot be made");
}

bool
sl_bench_door_clients(const struct sl_bench *bench)
{
    struct crowd c = {.bench = bench};
    uint32_t count = bench->is_quick ? WAITING_FEW : WAITING;
    if (!allow_descriptors(count + SPARE)) {
        (void)fprintf(stderr, "SKIPPED: gateway.sse and gateway.slow need %u descriptors: %s\n",
                      count + SPARE, strerror(errno));
        return true;
    }
    if (!sl_bench_server_start_as(bench, "nodes: 0\nconnections: 12000\n", &c.server))
        return false;
    bool is_ok = sl_bench_echo_start(&c.bare) && sl_bench_client_open(&c.server, &c.client) &&
                 make_queue(&c) && run_slow(&c) && run_waiting(&c);
    sl_bench_client_close(&c.client);
    sl_bench_echo_end(&c.bare);
    return sl_bench_server_stop(&c.server) && is_ok;
}
