/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `scale`: from nothing to the first answer. A call comes when no node and no replica
 * process exists and no plugin is loaded: the head has a node forked, that has a replica forked,
 * which loads its plugin and answers. The clock runs from before the request is sent until its
 * answer has been read, over a connection that is open. Then the nodes go again, being idle.
 *
 * Its other parts: the same with a model (bench/scale_model.c), more replicas and fewer
 * (bench/scale_replicas.c).
 */
#include "gateway/bench/scale.h"

#include <stdio.h>

#include "runtime/time.h"

#define CALLS     100u
#define CALLS_FEW 30u
#define WARM_FEW  3u /* Before the first that is measured. */
#define GONE_NS   (30 * SL_SECOND_NS)
#define LOOK_NS   (5 * SL_MILLI_NS)
#define SETTLE_NS (50 * SL_MILLI_NS)
#define BODY      "{\"inference_name\":\"text_hash_v1\",\"inputs\":{\"text\":\"a few words\"}}"

bool
sl_bench_scale_open(const struct sl_bench *bench, const char *yaml, struct sl_bench_scale *s)
{
    *s = (struct sl_bench_scale){.bench = bench};
    if (!sl_bench_server_start_as(bench, yaml, &s->server))
        return false;
    s->operator.http = s->server.admin;
    return sl_bench_client_open(&s->server, &s->client);
}

bool
sl_bench_scale_close(struct sl_bench_scale *s)
{
    s->operator.http = NULL;
    sl_bench_client_close(&s->operator);
    sl_bench_client_close(&s->client);
    return s->server.pid == 0 || sl_bench_server_stop(&s->server);
}

bool
sl_bench_scale_wait_for_zero(struct sl_bench_scale *s)
{
    uint64_t until_ns = sl_time_mono_ns() + GONE_NS;
    while (sl_time_mono_ns() < until_ns) {
        if (!sl_bench_ask(&s->operator, "/v1/cluster/nodes", (struct sl_slice){0}))
            return false;
        bool is_zero = sl_json_count(sl_json_member(s->operator.json, "results")) == 0;
        sl_time_sleep_ns(is_zero ? SETTLE_NS : LOOK_NS);
        if (is_zero)
            return true;
    }
    return sl_bench_fail("the nodes do not go to zero");
}

bool
sl_bench_scale_call(struct sl_bench_scale *s, const char *body, double *ret_ms)
{
    uint64_t from_ns = sl_time_mono_ns();
    bool is_ok = sl_bench_ask(&s->client, "/v1/inference", sl_slice_str(body));
    *ret_ms = (double)(sl_time_mono_ns() - from_ns) / 1e6;
    return is_ok;
}

void
sl_bench_scale_show(const struct sl_bench *bench, const struct sl_bench_scale_times *t)
{
    char name[64];
    struct sl_bench_figure figure = {.name = name, .unit = "ms", .note = t->note};
    figure.value = sl_bench_median(t->ms, t->count); /* They are sorted now. */
    figure.target = t->p50_target;
    figure.goal = t->p50_target > 0 ? SL_BENCH_AT_MOST : SL_BENCH_NO_GOAL;
    (void)snprintf(name, sizeof(name), "%s.p50", t->name);
    sl_bench_show(bench, &figure);
    figure.value = t->ms[t->count - 1 - t->count / 100];
    figure.target = t->p99_target;
    figure.goal = t->p99_target > 0 ? SL_BENCH_AT_MOST : SL_BENCH_NO_GOAL;
    (void)snprintf(name, sizeof(name), "%s.p99", t->name);
    sl_bench_show(bench, &figure);
}

static bool
measure(struct sl_bench_scale *s, bool is_cold, double *ms, uint32_t count)
{
    double ignored;
    for (uint32_t i = 0; i < count + WARM_FEW; i++) {
        if ((is_cold && !sl_bench_scale_wait_for_zero(s)) ||
            !sl_bench_scale_call(s, BODY, i < WARM_FEW ? &ignored : &ms[i - WARM_FEW]))
            return false;
    }
    return true;
}

static bool
run(struct sl_bench_scale *s)
{
    uint32_t count = s->bench->is_quick ? CALLS_FEW : CALLS;
    double ms[CALLS];
    if (!measure(s, true, ms, count))
        return false;
    sl_bench_scale_show(s->bench, &(struct sl_bench_scale_times){"scale.zero.noop",
                                                                 "text_hash_v1 over one connection",
                                                                 ms, count, 5, 15});
    if (!measure(s, false, ms, count))
        return false;
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "scale.warm.noop.p50",
                                                      .unit = "ms",
                                                      .value = sl_bench_median(ms, count),
                                                      .note = "the same while a replica is there"});
    return true;
}

bool
sl_bench_scale(const struct sl_bench *bench)
{
    struct sl_bench_scale s;
    bool is_ok = sl_bench_scale_open(bench, SL_BENCH_SCALE_ZERO, &s) && run(&s);
    is_ok = sl_bench_scale_close(&s) && is_ok;
    return is_ok && sl_bench_scale_model(bench) && sl_bench_scale_replicas(bench);
}
