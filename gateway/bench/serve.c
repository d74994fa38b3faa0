/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `serve`: what the way of an online request costs, from HTTP to a replica whose plugin
 * does nothing (benchmarks/noop_extractor.c) and back. Beside it, in turn with it, what it cannot
 * cost less than: libmicrohttpd that hands a request to another thread and back, and one call
 * through a channel in shared memory (runtime/channel.h) to another process and back. All that a
 * request is besides comes on top: its head, its key, its JSON, what it resolves to, limits, the
 * choice of a replica.
 *
 * The load comes from this process, on the same machine.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/bench/actor.h"
#include "gateway/bench/calls.h"
#include "gateway/bench/http.h"
#include "gateway/bench/inference.h"
#include "runtime/alloc.h"

#define ROUNDS       11u
#define ROUNDS_FEW   5u
#define CONNECTIONS  64u
#define CALLS        2000u
#define QUIET_PER_S  40.0
#define NOISE_FACTOR 100.0
#define NOISY        128u /* Connections that ask again at once: more than is served. */

struct suite {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client, noisy;
    struct sl_buf request, noise; /* Of each, all of it. */
    struct sl_bench_echo echo;
    uint64_t slice_ns;
};

static const char asked[] = "{\"feature_uri\":\"sluice://noop_extractor@v1/noop\","
                            "\"inputs\":{\"text\":\"nothing is done with this\"}}";

static bool
run_one(const struct suite *s, uint16_t port, const struct sl_bench_http_kind *kind,
        struct sl_bench_http_result *ret)
{
    struct sl_bench_http load = {.port = port,
                                 .kinds = kind,
                                 .kinds_count = 1,
                                 .warm_ns = s->slice_ns / 5,
                                 .measured_ns = s->slice_ns};
    return sl_bench_http_run(&load, ret) &&
           (ret->good > 0 || sl_bench_fail("nothing was answered well"));
}

/* ---- one connection ---------------------------------------------------------------------------
 */

static bool
run_alone(struct suite *s)
{
    uint32_t rounds = s->bench->is_quick ? ROUNDS_FEW : ROUNDS;
    double ours[ROUNDS], echo[ROUNDS], calls[ROUNDS], ratios[ROUNDS];
    struct sl_bench_http_kind kind = {.request = sl_buf_slice(&s->request), .connections = 1};
    struct sl_bench_calls ring = {.warm = CALLS / 10, .count = CALLS, .window = 1};
    for (uint32_t i = 0; i < rounds; i++) {
        struct sl_bench_http_result way, bare;
        struct sl_bench_called called;
        if (!run_one(s, s->echo.port, &kind, &bare) || !sl_bench_calls_channel(&ring, &called) ||
            !run_one(s, sl_bench_server_port(&s->server), &kind, &way))
            return false;
        ours[i] = way.p50_us;
        echo[i] = bare.p50_us;
        calls[i] = called.p50_us;
        ratios[i] = way.p50_us / (bare.p50_us + called.p50_us);
        sl_bench_say(s->bench, "  round %u: %.0f us; bare HTTP %.0f us, ring %.1f us", i + 1,
                     ours[i], echo[i], calls[i]);
    }
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.noop.p50",
                                                      .unit = "us",
                                                      .value = sl_bench_median(ours, rounds),
                                                      .note = "one connection"});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){.name = "serve.limit.http_p50",
                                            .unit = "us",
                                            .value = sl_bench_median(echo, rounds),
                                            .note = "libmicrohttpd alone, with a hand-off"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.limit.ring_p50",
                                                      .unit = "us",
                                                      .value = sl_bench_median(calls, rounds),
                                                      .note = "a ring's round trip between two "
                                                              "processes"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){
                                "serve.noop.ratio", "x", SL_BENCH_AT_MOST, 1.25,
                                sl_bench_median(ratios, rounds),
                                "p50 by the sum: bare HTTP hand-off and the ring's round trip"});
    return true;
}

/* ---- many -------------------------------------------------------------------------------------
 */

static bool
run_many(struct suite *s)
{
    struct sl_bench_http_kind kind = {.request = sl_buf_slice(&s->request),
                                      .connections = CONNECTIONS};
    struct sl_bench_http_result full[3], half[3];
    double per_s[3], bare_per_s[3], p99_us[3], bare_p99_us[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct sl_bench_http_result bare, bare_half;
        kind.per_s = 0;
        if (!run_one(s, sl_bench_server_port(&s->server), &kind, &full[i]) ||
            !run_one(s, s->echo.port, &kind, &bare))
            return false;
        kind.per_s = full[i].per_s / 2;
        if (!run_one(s, sl_bench_server_port(&s->server), &kind, &half[i]) ||
            !run_one(s, s->echo.port, &kind, &bare_half))
            return false;
        per_s[i] = full[i].per_s;
        bare_per_s[i] = bare.per_s;
        p99_us[i] = half[i].p99_us;
        bare_p99_us[i] = bare_half.p99_us;
        sl_bench_say(s->bench,
                     "  %.0f/s, p99 %.0f us; at half: p50 %.0f us, p99 %.0f us; bare "
                     "HTTP %.0f/s",
                     full[i].per_s, full[i].p99_us, half[i].p50_us, half[i].p99_us, bare.per_s);
    }
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"serve.noop.requests_per_s", "1/s", SL_BENCH_AT_LEAST,
                                            20000, sl_bench_median(per_s, 3), "64 connections"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.limit.http_requests_per_s",
                                                      .unit = "1/s",
                                                      .value = sl_bench_median(bare_per_s, 3),
                                                      .note = "libmicrohttpd alone"});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"serve.noop.half_load_p99", "us", SL_BENCH_AT_MOST,
                                            1000, sl_bench_median(p99_us, 3),
                                            "at half of that rate, from when each was due"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.limit.http_half_load_p99",
                                                      .unit = "us",
                                                      .value = sl_bench_median(bare_p99_us, 3),
                                                      .note = "libmicrohttpd alone at that rate"});
    return true;
}

/* ---- a noisy tenant -----------------------------------------------------------------------------
 */

/* The quiet tenant's p99, alone and beside so many requests/s of another; 0: as many as it gets, so
 * that some of its calls always wait. */
struct noise {
    double per_s;
    double alone_us[3], beside_us[3], ratios[3], got_per_s[3];
};

static bool
run_noise(struct suite *s, struct noise *n)
{
    struct sl_bench_http_kind kinds[] = {
        {.request = sl_buf_slice(&s->request), .connections = 8, .per_s = QUIET_PER_S},
        {.request = sl_buf_slice(&s->noise), .connections = NOISY, .per_s = n->per_s}};
    struct sl_bench_http load = {.port = sl_bench_server_port(&s->server),
                                 .kinds = kinds,
                                 .warm_ns = s->slice_ns / 5,
                                 .measured_ns = 3 * s->slice_ns};
    for (uint32_t i = 0; i < 3; i++) {
        struct sl_bench_http_result alone, both[2];
        load.kinds_count = 1;
        if (!sl_bench_http_run(&load, &alone))
            return false;
        load.kinds_count = 2;
        if (!sl_bench_http_run(&load, both))
            return false;
        if (alone.good == 0 || both[0].good == 0)
            return sl_bench_fail("the quiet tenant was not answered");
        n->alone_us[i] = alone.p99_us;
        n->beside_us[i] = both[0].p99_us;
        n->got_per_s[i] = both[1].per_s;
        n->ratios[i] = both[0].p99_us / alone.p99_us;
        sl_bench_say(s->bench, "  alone %.0f us, beside %.0f/s (%" PRIu64 " refused) %.0f us",
                     alone.p99_us, both[1].per_s, both[1].refused, both[0].p99_us);
    }
    return true;
}

static bool
run_noises(struct suite *s)
{
    struct noise much = {.per_s = QUIET_PER_S * NOISE_FACTOR}, all = {0};
    if (!run_noise(s, &much) || !run_noise(s, &all))
        return false;
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.quiet.alone_p99",
                                                      .unit = "us",
                                                      .value = sl_bench_median(much.alone_us, 3),
                                                      .note = "40 requests/s"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.quiet.beside_p99",
                                                      .unit = "us",
                                                      .value = sl_bench_median(much.beside_us, 3),
                                                      .note = "and 4000/s of another tenant"});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"serve.quiet.ratio", "x", SL_BENCH_AT_MOST, 2,
                                            sl_bench_median(much.ratios, 3), "of the two"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.quiet.saturated_p99",
                                                      .unit = "us",
                                                      .value = sl_bench_median(all.beside_us, 3),
                                                      .note = "and 128 connections of another "
                                                              "tenant that ask again at once"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.quiet.saturated_ratio",
                                                      .unit = "x",
                                                      .value = sl_bench_median(all.ratios, 3),
                                                      .note = "of that and alone"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "serve.noisy.requests_per_s",
                                                      .unit = "1/s",
                                                      .value = sl_bench_median(all.got_per_s, 3),
                                                      .note = "what these 128 get"});
    return true;
}

/* ---- the suite ----------------------------------------------------------------------------------
 */

static bool
open_suite(struct suite *s)
{
    char *plugins = sl_bench_server_plugins("noop_extractor");
    if (plugins == NULL)
        return false;
    char *yaml = sl_format("plugins: \"%s\"\n", plugins);
    bool is_ok = sl_bench_server_start_as(s->bench, yaml, &s->server);
    sl_free(yaml);
    sl_free(plugins);
    is_ok = is_ok && sl_bench_client_open(&s->server, &s->client) &&
            sl_bench_client_open_as(&s->server, "noisy", &s->noisy) &&
            sl_bench_inference_collection(&s->client, "noop_extractor") &&
            sl_bench_inference_collection(&s->noisy, "noop_extractor") &&
            sl_bench_echo_start(&s->echo);
    if (is_ok) {
        sl_bench_inference_request(&s->client, asked, &s->request);
        sl_bench_inference_request(&s->noisy, asked, &s->noise);
    }
    return is_ok;
}

bool
sl_bench_serve(const struct sl_bench *bench)
{
    struct suite s = {.bench = bench,
                      .slice_ns = bench->is_quick ? SL_SECOND_NS / 2 : 2 * SL_SECOND_NS};
    sl_protocol_register(&sl_protocol_bench);
    bool is_ok = open_suite(&s) && run_alone(&s) && run_many(&s) && run_noises(&s);
    sl_bench_echo_end(&s.echo);
    sl_bench_client_close(&s.client);
    sl_bench_client_close(&s.noisy);
    sl_buf_deinit(&s.request);
    sl_buf_deinit(&s.noise);
    bool is_stopped = s.server.pid == 0 || sl_bench_server_stop(&s.server);
    return is_stopped && is_ok;
}
