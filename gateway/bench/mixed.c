/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `mixed`: online requests to an encoder, alone and while a batch of documents keeps the
 * same encoder busy. What is left of the processor is the batch's, and a request waits for none of
 * it: p99 beside the batch by p99 alone, and how much of the cores sluice uses meanwhile.
 *
 * Two replicas may be there: one is kept for calls while they come, the other runs behind it
 * (actors/pool.h). With one alone a request waits for the batch that is under way, which is short:
 * that is measured, too, but for --quick.
 */
#include <stdlib.h>
#include <unistd.h>

#include "gateway/bench/batch.h"
#include "gateway/bench/http.h"
#include "gateway/bench/inference.h"
#include "gateway/bench/minilm.h"
#include "gateway/bench/pool.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define CALLS_PER_S 30.0
#define CONNECTIONS 8u
#define ROUNDS      3u
#define OBJECTS     20000u
#define OBJECTS_FEW 6000u
#define WARM_NS     (2 * SL_SECOND_NS)

struct suite {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_buf request, ids;
    const char *note;
    uint32_t replicas;
    uint64_t slice_ns;
};

static bool
make_collection(struct sl_bench_client *client)
{
    return sl_bench_ask(client, "/v1/buckets", sl_slice_str("{\"bucket_name\":\"bench\"}")) &&
           sl_bench_ask(client, "/v1/collections",
                        sl_slice_str("{\"collection_name\":\"texts\",\"source\":{\"type\":"
                                     "\"bucket\",\"bucket_ids\":[\"bench\"]},\"feature_extractor\":"
                                     "{\"feature_extractor_name\":\"text_extractor\",\"version\":"
                                     "\"v1\",\"input_mappings\":{\"text\":\"text\"},\"parameters\":"
                                     "{\"embedding_model\":\"" SL_BENCH_MINILM "\"}}}"));
}

static const char asked[] = "{\"inference_name\":\"" SL_BENCH_MINILM "\",\"inputs\":{\"text\":"
                            "\"what does a request wait for beside a batch\"}}";

static bool
open_suite(struct suite *s)
{
    char *yaml = sl_format("replicas:\n  max: %u\n", s->replicas), *path = NULL;
    bool is_ok = sl_bench_server_start_as(s->bench, yaml, &s->server) &&
                 sl_bench_client_open(&s->server, &s->client) &&
                 sl_bench_minilm_upload(s->bench, &s->client, &s->note);
    if (is_ok)
        path = sl_format("/v1/namespaces/%s/models/" SL_BENCH_MINILM "/deploy",
                         s->client.namespace_id);
    is_ok = is_ok && sl_bench_ask(&s->client, path, sl_slice_str("{}")) &&
            make_collection(&s->client) &&
            sl_bench_make_objects(
                &(struct sl_bench_objects){.server = &s->server,
                                           .client = &s->client,
                                           .count = s->bench->is_quick ? OBJECTS_FEW : OBJECTS},
                &s->ids);
    if (is_ok)
        sl_bench_inference_request(&s->client, asked, &s->request);
    sl_free(path);
    sl_free(yaml);
    return is_ok;
}

static bool
close_suite(struct suite *s)
{
    sl_bench_client_close(&s->client);
    sl_buf_deinit(&s->request);
    sl_buf_deinit(&s->ids);
    return s->server.pid == 0 || sl_bench_server_stop(&s->server);
}

/* ---- the two loads --------------------------------------------------------------------------- */

struct figures {
    double p50_us[ROUNDS], p99_us[ROUNDS], busy[ROUNDS];
};

static bool
call(struct suite *s, struct figures *ret)
{
    struct sl_bench_http_kind kind = {
        .request = sl_buf_slice(&s->request), .connections = CONNECTIONS, .per_s = CALLS_PER_S};
    struct sl_bench_http load = {.port = sl_bench_server_port(&s->server),
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .warm_ns = WARM_NS,
                                 .measured_ns = s->slice_ns};
    double cores = (double)SL_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct sl_bench_http_result result;
        uint64_t start_ns = sl_time_mono_ns();
        double cpu_s = sl_bench_cpu_s(&s->server);
        if (!sl_bench_http_run(&load, &result))
            return false;
        if (result.good == 0)
            return sl_bench_fail("the calls were not answered");
        cpu_s = sl_bench_cpu_s(&s->server) - cpu_s;
        ret->busy[i] = cpu_s * 1e9 / (double)(sl_time_mono_ns() - start_ns) / cores;
        ret->p50_us[i] = result.p50_us;
        ret->p99_us[i] = result.p99_us;
        sl_bench_say(s->bench, "  p50 %.1f ms, p99 %.1f ms, %.2f of the cores", result.p50_us / 1e3,
                     result.p99_us / 1e3, ret->busy[i]);
        load.warm_ns = 0;
    }
    return true;
}

/* It is still under way at the end: else the calls were measured beside nothing. */
static bool
is_running(struct suite *s, const char *task)
{
    return sl_bench_ask(&s->client, task, sl_slice(NULL, 0)) &&
           (sl_json_is(sl_json_member(s->client.json, "status"), "IN_PROGRESS") ||
            sl_json_is(sl_json_member(s->client.json, "status"), "PROCESSING") ||
            sl_bench_fail("the batch ended before the calls: it is %.*s",
                          SL_SLICE_FMT(sl_json_raw(sl_json_member(s->client.json, "status")))));
}

static bool
run_beside(struct suite *s, struct figures *ret)
{
    char *path = sl_bench_make_batch(&s->client, sl_buf_slice(&s->ids));
    char *task = path == NULL ? NULL : sl_bench_submit(&s->client, path);
    bool is_ok = task != NULL && sl_bench_wait_started(&s->client, task) && call(s, ret) &&
                 is_running(s, task);
    sl_free(task);
    sl_free(path);
    return is_ok;
}

/* ---- the suite ------------------------------------------------------------------------------- */

static void
show(const struct suite *s, const char *name, const struct sl_bench_figure *like)
{
    struct sl_bench_figure figure = *like;
    char *full = sl_format("%s.%s", s->replicas > 1 ? "mixed" : "mixed.one_replica", name);
    figure.name = full;
    sl_bench_show(s->bench, &figure);
    sl_free(full);
}

static void
show_all(const struct suite *s, struct figures *alone, struct figures *beside)
{
    double before = sl_bench_median(alone->p99_us, ROUNDS) / 1e3;
    double after = sl_bench_median(beside->p99_us, ROUNDS) / 1e3;
    enum sl_bench_goal goal = s->replicas > 1 ? SL_BENCH_AT_MOST : SL_BENCH_NO_GOAL;
    show(s, "online_p50.alone",
         &(struct sl_bench_figure){
             .unit = "ms", .value = sl_bench_median(alone->p50_us, ROUNDS) / 1e3, .note = s->note});
    show(s, "online_p50.beside",
         &(struct sl_bench_figure){.unit = "ms",
                                   .value = sl_bench_median(beside->p50_us, ROUNDS) / 1e3,
                                   .note = "a batch of the same encoder"});
    show(s, "online_p99.alone",
         &(struct sl_bench_figure){.unit = "ms", .value = before, .note = "30 requests/s"});
    show(s, "online_p99.beside", &(struct sl_bench_figure){.unit = "ms", .value = after});
    show(s, "online_p99.ratio",
         &(struct sl_bench_figure){.unit = "x",
                                   .goal = goal,
                                   .target = 1.5,
                                   .value = after / before,
                                   .note = s->replicas > 1
                                               ? "replicas.max: 2; medians of three rounds"
                                               : "replicas.max: 1, where no replica can be kept"});
    show(s, "cores_busy",
         &(struct sl_bench_figure){.unit = "ratio",
                                   .goal = SL_BENCH_AT_LEAST,
                                   .target = 0.9,
                                   .value = sl_bench_median(beside->busy, ROUNDS),
                                   .note = "processor time of sluice by that of all cores"});
}

static bool
run(const struct sl_bench *bench, uint32_t replicas)
{
    struct suite s = {.bench = bench,
                      .replicas = replicas,
                      .slice_ns = bench->is_quick ? 4 * SL_SECOND_NS : 10 * SL_SECOND_NS};
    struct figures alone, beside;
    bool is_ok = open_suite(&s) && call(&s, &alone) && run_beside(&s, &beside);
    if (is_ok)
        show_all(&s, &alone, &beside);
    return close_suite(&s) && is_ok;
}

bool
sl_bench_mixed(const struct sl_bench *bench)
{
    sl_bench_pool(bench);
    return run(bench, 2) && (bench->is_quick || run(bench, 1));
}
