/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of the suite `pages`: what counting costs. Two heads of one program run beside each other,
 * one of which counts nothing (bench.uncounted: no requests, no uses, no journal of nodes, no
 * history); the same load is put on each in turn, and the one that begins changes from round to
 * round. Ratios are those of a round.
 */
#include <math.h>
#include <stdio.h>

#include "gateway/bench/http.h"
#include "gateway/bench/inference.h"
#include "gateway/bench/pages.h"
#include "gateway/bench/queue_load.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define ROUNDS      41u
#define ROUNDS_FEW  5u
#define CONNECTIONS 64u

static const char asked[] = "{\"feature_uri\":\"sluice://noop_extractor@v1/noop\","
                            "\"inputs\":{\"text\":\"nothing is done with this\"}}";

struct side {
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_bench_queue_load *queue;
    struct sl_buf inference, get;
};

struct counting {
    const struct sl_bench *bench;
    struct side sides[2]; /* That counts; that does not. */
};

static bool
open_side(const struct sl_bench *bench, struct side *s, bool is_counted)
{
    char *plugins = sl_bench_server_plugins("noop_extractor");
    if (plugins == NULL)
        return false;
    char *yaml = sl_format("plugins: \"%s\"\nbench: {uncounted: %s}\n", plugins,
                           is_counted ? "false" : "true");
    bool is_ok = sl_bench_server_start_as(bench, yaml, &s->server);
    sl_free(yaml);
    sl_free(plugins);
    is_ok = is_ok && sl_bench_client_open(&s->server, &s->client) &&
            sl_bench_inference_collection(&s->client, "noop_extractor") &&
            sl_bench_ask(&s->client, "/v1/inference", sl_slice_str(asked));
    char *endpoint = is_ok ? sl_bench_server_address(&s->server, "head") : NULL;
    if (endpoint != NULL)
        s->queue = sl_bench_queue_open(endpoint, SL_LEVEL_DISK);
    sl_free(endpoint);
    if (s->queue == NULL)
        return false;
    sl_bench_inference_request(&s->client, asked, &s->inference);
    sl_buf_printf(&s->get,
                  "GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                  s->client.key);
    return true;
}

static bool
close_side(struct side *s)
{
    sl_bench_queue_close(&s->queue);
    sl_bench_client_close(&s->client);
    sl_buf_deinit(&s->inference);
    sl_buf_deinit(&s->get);
    return s->server.pid == 0 || sl_bench_server_stop(&s->server);
}

/* ---- loads --------------------------------------------------------------------------------- */

typedef bool run_fn(struct side *s, uint64_t slice_ns, double *ret_per_s);

static bool
run_http(const struct side *s, const struct sl_buf *request, uint64_t slice_ns, double *ret_per_s)
{
    struct sl_bench_http_kind kind = {.request = sl_buf_slice(request), .connections = CONNECTIONS};
    struct sl_bench_http load = {.port = sl_bench_server_port(&s->server),
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .warm_ns = slice_ns / 5,
                                 .measured_ns = slice_ns};
    struct sl_bench_http_result result;
    if (!sl_bench_http_run(&load, &result))
        return false;
    *ret_per_s = result.per_s;
    return result.good > 0 || sl_bench_fail("nothing was answered well");
}

static bool
run_serve(struct side *s, uint64_t slice_ns, double *ret_per_s)
{
    return run_http(s, &s->inference, slice_ns, ret_per_s);
}

static bool
run_get(struct side *s, uint64_t slice_ns, double *ret_per_s)
{
    return run_http(s, &s->get, slice_ns, ret_per_s);
}

static bool
run_queue(struct side *s, uint64_t slice_ns, double *ret_per_s)
{
    struct sl_bench_queue_phase phase = {.name = "counted", .window = 64, .is_end_to_end = true};
    struct sl_bench_queue_result result;
    if (!sl_bench_queue_run(s->queue, &phase, (double)slice_ns / 1e9, &result))
        return false;
    *ret_per_s = result.per_s;
    return true;
}

struct measure {
    double per_s, cpu_ns; /* cpu_ns: of a request, in all of the head's processes. */
};

static bool
measure(struct side *s, run_fn *run, uint64_t slice_ns, struct measure *ret)
{
    double cpu_s = sl_bench_cpu_s(&s->server);
    uint64_t start_ns = sl_time_mono_ns();
    if (!run(s, slice_ns, &ret->per_s))
        return false;
    double wall_s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    ret->cpu_ns = 1e9 * (sl_bench_cpu_s(&s->server) - cpu_s) / (wall_s * ret->per_s);
    return true;
}

/* How far the median of so many may be off: its standard error, by the median distance from it. */
static double
error_of(const double *values, uint32_t count, double median)
{
    double distances[ROUNDS];
    for (uint32_t i = 0; i < count; i++)
        distances[i] = fabs(values[i] - median);
    return 1.2533 * 1.4826 * sl_bench_median(distances, count) / sqrt(count);
}

static void
show(const struct sl_bench *bench, const char *what, const char *part, double value,
     const char *unit, const char *note)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "pages.counting.%s_%s", what, part);
    sl_bench_show(
        bench, &(struct sl_bench_figure){.name = name, .unit = unit, .value = value, .note = note});
}

static bool
compare_sides(struct counting *c, const char *what, run_fn *run)
{
    uint32_t rounds = c->bench->is_quick ? ROUNDS_FEW : ROUNDS;
    uint64_t slice_ns = c->bench->is_quick ? SL_SECOND_NS / 4 : SL_SECOND_NS / 2;
    double with[ROUNDS], less[ROUNDS], more[ROUNDS];
    struct measure m[2];
    char name[64];
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t first = i % 2;
        if (!measure(&c->sides[first], run, slice_ns, &m[first]) ||
            !measure(&c->sides[1 - first], run, slice_ns, &m[1 - first]))
            return false;
        with[i] = m[0].per_s;
        less[i] = 100 * (m[1].per_s - m[0].per_s) / m[1].per_s;
        more[i] = 100 * (m[0].cpu_ns - m[1].cpu_ns) / m[1].cpu_ns;
        sl_bench_say(c->bench, "  %s: %.0f/s with, %.0f/s without", what, m[0].per_s, m[1].per_s);
    }
    double median = sl_bench_median(less, rounds), cpu = sl_bench_median(more, rounds);
    (void)snprintf(name, sizeof(name), "pages.counting.%s", what);
    sl_bench_show(c->bench, &(struct sl_bench_figure){
                                name, "%", SL_BENCH_AT_MOST, 1, median,
                                "of throughput, for what is counted: less than a head that counts "
                                "nothing"});
    show(c->bench, what, "error", error_of(less, rounds, median), "%",
         "the standard error of that median");
    show(c->bench, what, "cpu", cpu, "%", "more processor time for each");
    show(c->bench, what, "cpu_error", error_of(more, rounds, cpu), "%",
         "the standard error of that median");
    show(c->bench, what, "per_s", sl_bench_median(with, rounds), "1/s", "that counts");
    return true;
}

bool
sl_bench_counting(const struct sl_bench *bench)
{
    struct counting c = {.bench = bench};
    bool is_ok = open_side(bench, &c.sides[0], true) && open_side(bench, &c.sides[1], false) &&
                 compare_sides(&c, "serve", run_serve) && compare_sides(&c, "get", run_get) &&
                 compare_sides(&c, "queue", run_queue);
    is_ok = close_side(&c.sides[0]) && is_ok;
    return close_side(&c.sides[1]) && is_ok;
}
