/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `scale`: from nothing to the first answer. A call comes when no node and no replica
 * process exists and no plugin is loaded: the head has a node forked, that has a replica forked,
 * which loads its plugin and answers. The clock runs from before the request is sent until its
 * answer has been read, over a connection that is open. Then the nodes go again, being idle.
 */
#include "gateway/bench_server.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define CALLS     100u
#define CALLS_FEW 30u
#define WARM_FEW  3u /* Before the first that is measured. */
#define GONE_NS   (30 * SL_SECOND_NS)
#define LOOK_NS   (5 * SL_MILLI_NS)
#define SETTLE_NS (50 * SL_MILLI_NS)
#define CONFIG                                                                                     \
    "nodes: 0\n"                                                                                   \
    "cluster: {groups: {cpu: {provider: local, min: 0, max: 1, idle: 50ms}}}\n"
#define BODY "{\"inference_name\":\"text_hash_v1\",\"inputs\":{\"text\":\"a few words\"}}"

struct scale {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client, operator; /* The operator's connection is the server's. */
};

/* Until no node is there, and what is left of its replicas has ended too. */
static bool
wait_for_zero(struct scale *s)
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

static bool
call(struct scale *s, double *ret_ms)
{
    uint64_t from_ns = sl_time_mono_ns();
    bool is_ok = sl_bench_ask(&s->client, "/v1/inference", sl_slice_str(BODY));
    *ret_ms = (double)(sl_time_mono_ns() - from_ns) / 1e6;
    return is_ok;
}

static bool
measure(struct scale *s, bool is_cold, double *ms, uint32_t count)
{
    double ignored;
    for (uint32_t i = 0; i < count + WARM_FEW; i++) {
        if ((is_cold && !wait_for_zero(s)) || !call(s, i < WARM_FEW ? &ignored : &ms[i - WARM_FEW]))
            return false;
    }
    return true;
}

static bool
run(struct scale *s)
{
    uint32_t count = s->bench->is_quick ? CALLS_FEW : CALLS;
    double ms[CALLS];
    const char *note = "text_hash_v1 over one connection";
    if (!measure(s, true, ms, count))
        return false;
    double p50 = sl_bench_median(ms, count); /* They are sorted now. */
    sl_bench_show(s->bench, &(struct sl_bench_figure){"scale.zero.noop.p50", "ms", SL_BENCH_AT_MOST,
                                                      5, p50, note});
    sl_bench_show(s->bench, &(struct sl_bench_figure){"scale.zero.noop.p99", "ms", SL_BENCH_AT_MOST,
                                                      15, ms[count - 1 - count / 100], note});
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
    struct scale s = {.bench = bench};
    if (!sl_bench_server_start_as(bench, CONFIG, &s.server))
        return false;
    s.operator.http = s.server.admin;
    bool is_ok = sl_bench_client_open(&s.server, &s.client) && run(&s);
    s.operator.http = NULL;
    sl_bench_client_close(&s.operator);
    sl_bench_client_close(&s.client);
    return sl_bench_server_stop(&s.server) && is_ok;
}
