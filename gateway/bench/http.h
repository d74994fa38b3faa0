/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/http.h - load on an HTTP server over connections that stay open, from one thread that does
 * as little as it can: it shares the machine with what it measures. Each kind of request has
 * connections of its own; each connection has one request under way.
 *
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_BENCH_HTTP_H
#define SL_GATEWAY_BENCH_HTTP_H

#include "gateway/bench.h"

struct sl_bench_http_kind {
    struct sl_slice request; /* All of it, head and body. */
    uint32_t connections;
    /* 0: the next follows at once. Else requests fall due at this rate, whether or not a connection
     * is free, and their time runs from when they were due. */
    double per_s;
    uint64_t after_ns; /* Its first one is sent so long after the start. */
};

struct sl_bench_http {
    uint16_t port; /* On loopback. */
    const struct sl_bench_http_kind *kinds;
    uint32_t kinds_count;
    uint64_t warm_ns, measured_ns;
    /* At the end wait so long for what is under way, which is counted too; 0: leave it. */
    uint64_t drain_ns;
    /* Told of each answer, warm or not, good or refused, and when it was sent; NULL: nobody is. */
    void (*take)(void *arg, uint32_t kind, struct sl_slice reply, uint64_t sent_ns);
    void *arg;
};

struct sl_bench_http_result { /* Of one kind, of what was answered while measured. */
    uint64_t good, refused;   /* 2xx; 503. Any other answer ends the run. */
    uint64_t lost;            /* Not answered when the drain was over. */
    double per_s;             /* Good ones. */
    double p50_us, p99_us;    /* Of good ones. */
    double slowest_us;        /* Of all, refused ones too. */
};

#define SL_BENCH_HTTP_KINDS_MAX 4u

/* False: a connection failed or an answer was neither, which has been said. */
bool sl_bench_http_run(const struct sl_bench_http *load, struct sl_bench_http_result *ret_results);

/*
 * A child process that answers every request by nothing but libmicrohttpd: its thread hands the
 * request to another, which answers. What a request over HTTP costs at least. False: it has been
 * said why.
 */
struct sl_bench_echo {
    int pid;
    uint16_t port;
};
bool sl_bench_echo_start(struct sl_bench_echo *ret_echo);
/* The same without the hand-off: its thread answers at once, always the same. */
bool sl_bench_echo_start_static(struct sl_bench_echo *ret_echo);
void sl_bench_echo_end(struct sl_bench_echo *echo);

#endif
