/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/batch.h - many small objects and batches of them, as suites use them: one bucket ("bench"),
 * one collection ("texts") that passes them through.
 *
 * Threading: one owner. Each call blocks; false or NULL: it failed, which has been said.
 */
#ifndef SL_GATEWAY_BENCH_BATCH_H
#define SL_GATEWAY_BENCH_BATCH_H

#include "gateway/bench/load.h"
#include "runtime/buf.h"

#define SL_BENCH_OBJECTS_A_BODY 100u

bool sl_bench_make_collection(struct sl_bench_client *client);

/*
 * Create `count` objects with a text of 200 bytes and a number `n`. Appends to `ids` the body of a
 * batch of them. `tick` as of sl_bench_load.
 */
struct sl_bench_objects {
    const struct sl_bench_server *server;
    const struct sl_bench_client *client;
    uint32_t count; /* A multiple of SL_BENCH_OBJECTS_A_BODY. */
    void (*tick)(void *arg);
    void *arg;
};
bool sl_bench_make_objects(const struct sl_bench_objects *objects, struct sl_buf *ids);

/* A batch of the ids in `body`; the path to submit it with, owned. */
char *sl_bench_make_batch(struct sl_bench_client *client, struct sl_slice body);
/* Submit; the path of its task, owned. */
char *sl_bench_submit(struct sl_bench_client *client, const char *path);
/* Ask again and again, without a pause, until a task is no longer pending. */
bool sl_bench_wait_started(struct sl_bench_client *client, const char *task);
/* Until it has completed. `tick` as above, `arg` its argument; NULL: none. */
bool sl_bench_wait_completed(struct sl_bench_client *client, const char *task,
                             void (*tick)(void *arg), void *arg);
/* The collection's list counts so many documents. */
bool sl_bench_check_total(struct sl_bench_client *client, uint32_t count);

#endif
