/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests over connections that stay open, in turn with what they cannot cost less than: the bare
 * library that answers at once; the bare library that hands each to another thread; and a durable
 * put of a job from another process, as many under way as there are connections. What is posted is
 * an object into a bucket, and a job into a queue: both are on disk when they are answered. Ratios
 * are those of a round, whose parts follow each other within seconds, and of them the median.
 *
 * The load comes from this process, on the same machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench/door.h"
#include "gateway/bench/http.h"
#include "gateway/bench/queue_load.h"
#include "gateway/bench/server.h"
#include "runtime/alloc.h"

#define ROUNDS      11u
#define ROUNDS_FEW  3u
#define CONNECTIONS 64u
#define BODY_BYTES  300u
#define QUEUE       "/v1/queues/bench"
#define BUCKET      "/v1/buckets/bench"

struct door {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_bench_echo plain, handed;
    struct sl_bench_queue_load *load;
    struct sl_buf get, post, job; /* Requests, all of each. */
    uint64_t slice_ns;
    uint32_t rounds;
};

/* ---- what is asked ------------------------------------------------------------------------- */

static void
write_get(struct door *d)
{
    sl_buf_printf(&d->get,
                  "GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                  d->client.key);
}

/* With a body of BODY_BYTES bytes, between whose two ends there is filling. */
static void
write_post(const struct door *d, const char *path, const char *const ends[2], struct sl_buf *ret)
{
    sl_buf_printf(ret,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                  "X-Namespace: %s\r\nContent-Type: application/json\r\n"
                  "Content-Length: %u\r\n\r\n%s",
                  path, d->client.key, d->client.namespace_id, BODY_BYTES, ends[0]);
    for (size_t i = strlen(ends[0]) + strlen(ends[1]); i < BODY_BYTES; i++)
        sl_buf_append_str(ret, "j");
    sl_buf_append_str(ret, ends[1]);
}

static void
write_requests(struct door *d)
{
    static const char *const object[] = {"{\"text\":\"", "\"}"};
    static const char *const job[] = {"{\"jobs\":[{\"payload\":\"", "\"}]}"};
    write_get(d);
    write_post(d, BUCKET "/objects", object, &d->post);
    write_post(d, QUEUE "/jobs", job, &d->job);
}

static bool
make_homes(struct door *d)
{
    struct sl_http_reply reply = {0};
    struct sl_http_request put = {.method = "PUT", .path = QUEUE, .body = sl_slice_str("{}")};
    enum sl_err err = sl_http_send(d->client.http, &put, &reply);
    sl_buf_deinit(&reply.body);
    if (err != SL_OK || reply.status != 200)
        return sl_bench_fail("the queue cannot be made");
    return sl_bench_ask(&d->client, "/v1/buckets", sl_slice_str("{\"bucket_name\":\"bench\"}"));
}

static uint16_t
port_of(const struct door *d)
{
    return (uint16_t)strtoul(strrchr(d->server.url, ':') + 1, NULL, 10);
}

static bool
run_one(const struct door *d, uint16_t port, const struct sl_buf *request,
        struct sl_bench_http_result *ret)
{
    struct sl_bench_http_kind kind = {.request = sl_buf_slice(request), .connections = CONNECTIONS};
    struct sl_bench_http load = {.port = port,
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .warm_ns = d->slice_ns / 5,
                                 .measured_ns = d->slice_ns};
    return sl_bench_http_run(&load, ret) &&
           (ret->good > 0 || sl_bench_fail("nothing was answered well"));
}

/* ---- a GET that does nothing ---------------------------------------------------------------- */

static bool
run_gets(struct door *d)
{
    double ours[ROUNDS], bare[ROUNDS], ratios[ROUNDS], tails[ROUNDS];
    for (uint32_t i = 0; i < d->rounds; i++) {
        struct sl_bench_http_result get, plain;
        if (!run_one(d, d->plain.port, &d->get, &plain) || !run_one(d, port_of(d), &d->get, &get))
            return false;
        ours[i] = get.per_s;
        bare[i] = plain.per_s;
        ratios[i] = get.per_s / plain.per_s;
        tails[i] = get.p99_us / plain.p99_us;
        sl_bench_say(d->bench, "  GET %.0f/s, p99 %.0f us; bare %.0f/s, p99 %.0f us", get.per_s,
                     get.p99_us, plain.per_s, plain.p99_us);
    }
    struct sl_bench_figure figures[] = {
        {"gateway.get.per_s", "1/s", SL_BENCH_NO_GOAL, 0, sl_bench_median(ours, d->rounds),
         "with a key, 64 connections"},
        {"gateway.limit.static_per_s", "1/s", SL_BENCH_NO_GOAL, 0, sl_bench_median(bare, d->rounds),
         "libmicrohttpd alone, one answer to all"},
        {"gateway.get.ratio", "x", SL_BENCH_AT_LEAST, 0.8, sl_bench_median(ratios, d->rounds),
         "of the two, round by round"},
        {"gateway.get.p99_ratio", "x", SL_BENCH_AT_MOST, 1.5, sl_bench_median(tails, d->rounds),
         "p99 by the bare library's"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(d->bench, &figures[i]);
    return true;
}

/* ---- what is on disk when it is answered ---------------------------------------------------- */

struct posts {
    double per_s[ROUNDS], p99_us[ROUNDS], ratios[ROUNDS];
};

static bool
post_round(struct door *d, const struct sl_buf *request, double limit_per_s, uint32_t round,
           struct posts *ret)
{
    struct sl_bench_http_result post;
    if (!run_one(d, port_of(d), request, &post))
        return false;
    ret->per_s[round] = post.per_s;
    ret->p99_us[round] = post.p99_us;
    ret->ratios[round] = post.per_s / limit_per_s;
    return true;
}

static void
show_posts(struct door *d, struct posts *object, struct posts *job, double *handed, double *puts)
{
    static const char ratio[] = "by the lower of the two limits, round by round";
    struct sl_bench_figure figures[] = {
        {"gateway.post.per_s", "1/s", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(object->per_s, d->rounds),
         "an object of 300 bytes, on disk when it is answered, 64 connections"},
        {"gateway.job.per_s", "1/s", SL_BENCH_NO_GOAL, 0, sl_bench_median(job->per_s, d->rounds),
         "a job of 300 bytes, likewise"},
        {"gateway.limit.handed_per_s", "1/s", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(handed, d->rounds), "libmicrohttpd alone, with a hand-off"},
        {"gateway.limit.put_per_s", "1/s", SL_BENCH_NO_GOAL, 0, sl_bench_median(puts, d->rounds),
         "durable puts across processes, 64 under way"},
        {"gateway.post.ratio", "x", SL_BENCH_AT_LEAST, 0.8,
         sl_bench_median(object->ratios, d->rounds), ratio},
        {"gateway.job.ratio", "x", SL_BENCH_AT_LEAST, 0.8, sl_bench_median(job->ratios, d->rounds),
         ratio}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(d->bench, &figures[i]);
}

static bool
run_posts(struct door *d)
{
    double handed[ROUNDS], puts[ROUNDS];
    struct posts object, job;
    struct sl_bench_queue_phase phase = {.name = "door", .window = CONNECTIONS};
    for (uint32_t i = 0; i < d->rounds; i++) {
        struct sl_bench_http_result echo;
        struct sl_bench_queue_result put;
        if (!run_one(d, d->handed.port, &d->post, &echo) ||
            !sl_bench_queue_run(d->load, &phase, (double)d->slice_ns / 1e9, &put))
            return false;
        handed[i] = echo.per_s;
        puts[i] = put.per_s;
        double limit_per_s = SL_MIN(echo.per_s, put.per_s);
        if (!post_round(d, &d->post, limit_per_s, i, &object) ||
            !post_round(d, &d->job, limit_per_s, i, &job))
            return false;
        sl_bench_say(d->bench,
                     "  objects %.0f/s, p99 %.0f us; jobs %.0f/s; bare %.0f/s; puts %.0f/s",
                     object.per_s[i], object.p99_us[i], job.per_s[i], echo.per_s, put.per_s);
    }
    show_posts(d, &object, &job, handed, puts);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool
open_load(struct door *d)
{
    char *endpoint = sl_bench_server_address(&d->server, "head");
    if (endpoint != NULL)
        d->load = sl_bench_queue_open(endpoint, SL_LEVEL_DISK);
    sl_free(endpoint);
    return d->load != NULL;
}

bool
sl_bench_door_http(const struct sl_bench *bench)
{
    struct door d = {.bench = bench,
                     .slice_ns = (bench->is_quick ? 300 : 700) * SL_MILLI_NS,
                     .rounds = bench->is_quick ? ROUNDS_FEW : ROUNDS};
    if (!sl_bench_server_start_as(bench, "nodes: 0\n", &d.server))
        return false;
    bool is_ok = sl_bench_echo_start_static(&d.plain) && sl_bench_echo_start(&d.handed) &&
                 sl_bench_client_open(&d.server, &d.client) && make_homes(&d) && open_load(&d);
    if (is_ok) {
        write_requests(&d);
        is_ok = run_gets(&d) && run_posts(&d);
    }
    sl_bench_queue_close(&d.load);
    sl_bench_client_close(&d.client);
    sl_bench_echo_end(&d.plain);
    sl_bench_echo_end(&d.handed);
    sl_buf_deinit(&d.get);
    sl_buf_deinit(&d.post);
    sl_buf_deinit(&d.job);
    return sl_bench_server_stop(&d.server) && is_ok;
}
