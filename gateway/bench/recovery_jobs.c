/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each trigger of a collection with one object makes a job of one task. Nothing runs them: the head
 * that takes them has no nodes. Memory is that of the head right after a start, with all jobs in
 * its queue's index and all actors idle; the clock of the last start runs from the fork until the
 * API says that the first job has begun.
 */
#include "gateway/bench/recovery_jobs.h"

#include "gateway/bench/batch.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define CONNECTIONS 4u
#define HOLDING     "nodes: 0\nbench: {actors: 10000}\n"
#define SERVING     "nodes: 1\nbench: {actors: 1000}\n"

struct jobs {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    uint32_t count;
    char *first; /* The path of the first job's task. */
};

static bool
make_object(struct sl_bench_client *client)
{
    return sl_bench_make_collection(client) &&
           sl_bench_ask(client, "/v1/buckets/bench/objects",
                        sl_slice_str("{\"n\":1,\"text\":\"the one object\"}"));
}

static void
write_trigger(void *arg, uint32_t index, struct sl_buf *body)
{
    (void)arg;
    (void)index;
    sl_buf_append_str(body, "{}");
}

static bool
take_trigger(void *arg, uint32_t index, struct sl_slice reply)
{
    struct jobs *j = arg;
    struct sl_json_doc *doc = NULL;
    if (index != 0)
        return true;
    if (sl_json_parse(reply, &doc, NULL) != SL_OK)
        return false;
    char *id = sl_json_strdup(sl_json_member(sl_json_root(doc), "task_id"));
    j->first = id == NULL ? NULL : sl_format("/v1/tasks/%s", id);
    sl_free(id);
    sl_json_destroy(&doc);
    return j->first != NULL;
}

static bool
make_jobs(struct jobs *j)
{
    struct sl_bench_load load = {.server = &j->server,
                                 .client = &j->client,
                                 .path = "/v1/collections/texts/trigger",
                                 .connections = CONNECTIONS,
                                 .requests = j->count,
                                 .arg = j,
                                 .make = write_trigger,
                                 .take = take_trigger};
    uint64_t start_ns = sl_time_mono_ns();
    if (!sl_bench_load_run(&load))
        return false;
    sl_bench_say(j->bench, "%u jobs made in %.1f s", j->count,
                 (double)(sl_time_mono_ns() - start_ns) / 1e9);
    return true;
}

static bool
start_again(struct jobs *j, const char *yaml)
{
    sl_bench_server_kill(&j->server);
    if (!sl_bench_server_restart(j->bench, yaml, &j->server))
        return false;
    sl_bench_client_reconnect(&j->server, &j->client);
    return true;
}

static bool
time_lease(struct jobs *j, double *ret_ms)
{
    sl_bench_server_kill(&j->server);
    uint64_t start_ns = sl_time_mono_ns();
    if (!sl_bench_server_restart(j->bench, SERVING, &j->server))
        return false;
    sl_bench_client_reconnect(&j->server, &j->client);
    bool is_ok = sl_bench_wait_started(&j->client, j->first);
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    return is_ok;
}

static bool
run(struct jobs *j, double *ret_mib, double *ret_ms)
{
    if (!make_object(&j->client) || !make_jobs(j) || !start_again(j, HOLDING))
        return false;
    *ret_mib = sl_bench_memory_mib(&j->server, SL_BENCH_MAIN);
    return time_lease(j, ret_ms);
}

bool
sl_bench_recovery_jobs(const struct sl_bench *bench)
{
    struct jobs j = {.bench = bench, .count = bench->is_quick ? 2000 : 100000};
    double mib = 0, ms = 0;
    if (!sl_bench_server_start_as(bench, HOLDING, &j.server))
        return false;
    bool is_ok = sl_bench_client_open(&j.server, &j.client) && run(&j, &mib, &ms);
    sl_free(j.first);
    sl_bench_client_close(&j.client);
    is_ok = sl_bench_server_stop(&j.server) && is_ok;
    if (!is_ok)
        return false;
    char *memory = sl_format("%u jobs of a task, 10000 actors", j.count);
    char *lease = sl_format("%u jobs of a task, 1000 actors", j.count);
    sl_bench_show(bench, &(struct sl_bench_figure){"recovery.jobs_memory", "MiB", SL_BENCH_AT_MOST,
                                                   150, mib, memory});
    sl_bench_show(bench, &(struct sl_bench_figure){"recovery.jobs_first_lease", "ms",
                                                   SL_BENCH_AT_MOST, 1000, ms, lease});
    sl_free(memory);
    sl_free(lease);
    return true;
}
