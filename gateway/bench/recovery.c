/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `recovery`: a head with 100,000 queued tasks is killed and started again. The clock
 * runs from the fork until the API says that one of them runs, so it includes the catalogue, the
 * log, the queue's index, the node that starts and two requests. Tasks wait because the head that
 * takes them has no nodes; the one that is started again has one. bench/recovery_jobs.h goes on.
 */
#include "gateway/bench/batch.h"
#include "gateway/bench/recovery_jobs.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define RUNS    5u
#define HOLDING "nodes: 0\n"
#define SERVING "nodes: 1\n"

struct recovery {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_buf ids;
    uint32_t count;
};

/* A batch of all objects waits; its task's path, owned. */
static char *
fill(struct recovery *r)
{
    struct sl_bench_objects objects = {
        .server = &r->server, .client = &r->client, .count = r->count};
    if (!sl_bench_make_collection(&r->client) || !sl_bench_make_objects(&objects, &r->ids))
        return NULL;
    char *path = sl_bench_make_batch(&r->client, sl_buf_slice(&r->ids));
    char *task = path == NULL ? NULL : sl_bench_submit(&r->client, path);
    sl_free(path);
    return task;
}

/* Kill it, start it so that tasks stay where they are: the time until it answers. */
static bool
time_ready(struct recovery *r, double *ret_ms)
{
    sl_bench_server_kill(&r->server);
    bool is_ok = sl_bench_server_restart(r->bench, HOLDING, &r->server);
    *ret_ms = r->server.ready_ms;
    if (is_ok)
        sl_bench_client_reconnect(&r->server, &r->client);
    return is_ok;
}

/* The last start has a node: all that waited ends, and is there once. */
static bool
time_lease(struct recovery *r, const char *task, double *ret_ms)
{
    sl_bench_server_kill(&r->server);
    uint64_t start_ns = sl_time_mono_ns();
    if (!sl_bench_server_restart(r->bench, SERVING, &r->server))
        return false;
    sl_bench_client_reconnect(&r->server, &r->client);
    if (!sl_bench_wait_started(&r->client, task))
        return false;
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    return sl_bench_wait_completed(&r->client, task, NULL, NULL) &&
           sl_bench_check_total(&r->client, r->count);
}

static bool
run_once(struct recovery *r, double *ret_ready_ms, double *ret_lease_ms, double *ret_mib)
{
    if (!sl_bench_server_start_as(r->bench, HOLDING, &r->server))
        return false;
    sl_buf_clear(&r->ids);
    bool is_ok = sl_bench_client_open(&r->server, &r->client);
    char *task = is_ok ? fill(r) : NULL;
    is_ok = task != NULL && time_ready(r, ret_ready_ms);
    if (is_ok)
        *ret_mib = sl_bench_memory_mib(&r->server, SL_BENCH_MAIN);
    is_ok = is_ok && time_lease(r, task, ret_lease_ms);
    sl_free(task);
    sl_bench_client_close(&r->client);
    return sl_bench_server_stop(&r->server) && is_ok;
}

bool
sl_bench_recovery(const struct sl_bench *bench)
{
    struct recovery r = {.bench = bench, .count = bench->is_quick ? 20000 : 100000};
    const char *note = bench->is_quick ? "20000 tasks" : "100000 tasks";
    double ready_ms[RUNS], lease_ms[RUNS], mib = 0;
    uint32_t runs = bench->is_quick ? 1 : RUNS;
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < runs; i++) {
        is_ok = run_once(&r, &ready_ms[i], &lease_ms[i], &mib);
        if (is_ok)
            sl_bench_say(bench, "run %u: ready after %.0f ms, first task after %.0f ms", i + 1,
                         ready_ms[i], lease_ms[i]);
    }
    sl_buf_deinit(&r.ids);
    if (!is_ok)
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "recovery.ready",
                                                   .unit = "ms",
                                                   .value = sl_bench_median(ready_ms, runs),
                                                   .note = note});
    sl_bench_show(bench, &(struct sl_bench_figure){"recovery.first_lease", "ms", SL_BENCH_AT_MOST,
                                                   1000, sl_bench_median(lease_ms, runs), note});
    sl_bench_show(bench, &(struct sl_bench_figure){"recovery.head_memory", "MiB", SL_BENCH_AT_MOST,
                                                   150, mib, note});
    return sl_bench_recovery_jobs(bench);
}
