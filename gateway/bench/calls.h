/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/calls.h - calls between two processes of this machine: between actors; between bare libzmq
 * sockets (DEALER and ROUTER), which are their limit; and through a channel in shared memory. One
 * process asks, another answers with what it was sent.
 * Threading: one thread, and no other may run: the answering process is forked.
 */
#ifndef SL_GATEWAY_BENCH_CALLS_H
#define SL_GATEWAY_BENCH_CALLS_H

#include <sys/types.h>

#include "runtime/base.h"

#define SL_BENCH_CALL_BYTES 100

struct sl_bench_calls {
    const char *directory; /* For sockets and certificates. */
    bool is_tcp;           /* On the loopback, with CURVE; else ipc. */
    uint32_t warm, count;  /* Calls before, and that are measured. */
    uint32_t window;       /* Under way at a time. */
};

struct sl_bench_called {
    double p50_us; /* Of a call, from the asking actor's point of view. */
    double per_s;
};

bool sl_bench_calls_actors(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called);
/* One under way at a time; `calls` has no directory. */
bool sl_bench_calls_channel(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called);
bool sl_bench_calls_zmq(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called);

/* ---- what both need ------------------------------------------------------------------------ */

/* A process that runs `serve`, which writes its endpoint and a newline to `out` and never returns.
 */
struct sl_bench_peer {
    pid_t pid;
    char endpoint[256];
};
bool sl_bench_peer_start(const struct sl_bench_calls *calls,
                         void (*serve)(const struct sl_bench_calls *calls, int out),
                         struct sl_bench_peer *ret_peer);
void sl_bench_peer_end(struct sl_bench_peer *peer);

/* Times of calls as they end. */
struct sl_bench_clock {
    const struct sl_bench_calls *calls;
    double *took_us; /* Of those that are measured. */
    uint64_t ended;
    uint64_t start_ns, end_ns; /* Of the measured ones. */
};
void sl_bench_clock_init(struct sl_bench_clock *clock, const struct sl_bench_calls *calls);
/* A call ended that was begun at `sent_ns`; true: it was the last one. */
bool sl_bench_clock_end(struct sl_bench_clock *clock, uint64_t sent_ns, uint64_t now_ns);
/* Frees what it holds. False: not all calls ended. */
bool sl_bench_clock_stop(struct sl_bench_clock *clock, struct sl_bench_called *ret_called);

#endif
