/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/pages.h - parts of the suite `pages`: a head that has much to tell, and those who ask it.
 *
 *   town: tenants with queues and jobs, and a process that plays the nodes with their replicas
 *   load: posts and inferences at a steady rate, from a process of its own
 *   tabs: pages of the dashboard that stay open, from a process of its own
 *
 * Threading: one owner; all fork, so call them while there is one thread. False: it failed, and has
 * said why.
 */
#ifndef SL_GATEWAY_BENCH_PAGES_H
#define SL_GATEWAY_BENCH_PAGES_H

#include "gateway/bench/server.h"

#define SL_BENCH_TOWN_NODES    100u
#define SL_BENCH_TOWN_POOLS    20u /* Of a node: half are shared, half a tenant's own. */
#define SL_BENCH_TOWN_REPLICAS 5u  /* Of a pool. */
#define SL_BENCH_TOWN_TENANTS  1000u
#define SL_BENCH_TOWN_JOBS     100u /* Of a tenant. */

/* Make all tenants, with a queue and its jobs. The first one's key is *ret_key, owned. */
bool sl_bench_town_fill(const struct sl_bench_server *server, char **ret_key);

/*
 * Processes of the benchmark: 0 there is none. The nodes send the messages that nodes send: they
 * join, and beat each second with what their replicas tell; they are given no work. Wait until the
 * head has heard of them all with sl_bench_town_wait.
 */
bool sl_bench_town_nodes_start(const struct sl_bench_server *server, pid_t *ret_pid);
bool sl_bench_town_wait(const struct sl_bench_server *server);

struct sl_bench_town_load {
    uint16_t port;
    struct sl_slice post, inference; /* Requests, all of each. */
    double per_s;                    /* Of each. */
};
bool sl_bench_town_load_start(const struct sl_bench_town_load *load, pid_t *ret_pid);

/* `count` tabs with the operator's overview: a stream each, and its lists at each change. */
bool sl_bench_tabs_start(const struct sl_bench_server *server, uint32_t count, pid_t *ret_pid);
/* From the request that makes an event, another for each index, until who follows has it, ms. */
bool sl_bench_event_ms(const struct sl_bench_server *server, uint32_t index, double *ret_ms);

/* Ends any of them, with SIGKILL; *pid is 0 then. */
void sl_bench_town_end(pid_t *pid);
/* False: it has ended by itself, which has been said. */
bool sl_bench_town_is_there(pid_t pid, const char *what);

/* Whether what is counted costs throughput: queue and serve, with and without. */
bool sl_bench_counting(const struct sl_bench *bench);

#endif
