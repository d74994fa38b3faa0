/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/scale.h - the parts of the suite `scale`, each on a server of its own.
 * Threading: one owner. Block. False: it failed, and has said why.
 */
#ifndef SL_GATEWAY_BENCH_SCALE_H
#define SL_GATEWAY_BENCH_SCALE_H

#include "gateway/bench/server.h"

/* A server without nodes, which come when they are wanted and go when they are not. */
#define SL_BENCH_SCALE_ZERO                                                                        \
    "nodes: 0\n"                                                                                   \
    "cluster: {groups: {cpu: {provider: local, min: 0, max: 1, idle: 50ms}}}\n"

struct sl_bench_scale {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client, operator; /* The operator's connection is the server's. */
};

bool sl_bench_scale_open(const struct sl_bench *bench, const char *yaml,
                         struct sl_bench_scale *ret_scale);
/* Also of one that did not open. The result: whether it stopped cleanly. */
bool sl_bench_scale_close(struct sl_bench_scale *s);

/* Until no node is there, and what is left of its replicas has ended too. */
bool sl_bench_scale_wait_for_zero(struct sl_bench_scale *s);
/* How long an answer to that took, over the client's connection. */
bool sl_bench_scale_call(struct sl_bench_scale *s, const char *body, double *ret_ms);
/* Show NAME.p50 and NAME.p99 with targets in ms; 0: without one. Sorts the times. */
struct sl_bench_scale_times {
    const char *name, *note;
    double *ms;
    uint32_t count;
    double p50_target, p99_target;
};
void sl_bench_scale_show(const struct sl_bench *bench, const struct sl_bench_scale_times *times);

/* From zero with a model's weights: in the store, and only on the disk. */
bool sl_bench_scale_model(const struct sl_bench *bench);
/* From the target crossed to the decision and to a second replica's first answer; then three
 * replicas of four killed under load. */
bool sl_bench_scale_replicas(const struct sl_bench *bench);

#endif
