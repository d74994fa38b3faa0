/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/load.h - many requests of one kind over a few connections that stay open; each connection
 * has one request under way, so as many are outstanding as there are connections.
 *
 * Threading: one owner. Blocks until the last reply.
 */
#ifndef SL_GATEWAY_BENCH_LOAD_H
#define SL_GATEWAY_BENCH_LOAD_H

#include "gateway/bench/server.h"

struct sl_bench_load {
    const struct sl_bench_server *server;
    const struct sl_bench_client *client; /* Its key and namespace. */
    const char *path;
    uint32_t connections, requests;
    void *arg;
    /* Write the body of request `index`. */
    void (*make)(void *arg, uint32_t index, struct sl_buf *body);
    /* A 2xx reply to request `index` came, in any order. False: it is not what was wanted. */
    bool (*take)(void *arg, uint32_t index, struct sl_slice reply);
    /* Called now and then between replies; NULL: never. */
    void (*tick)(void *arg);
};

/* False: a request failed, which has been said. */
bool sl_bench_load_run(const struct sl_bench_load *load);

#endif
