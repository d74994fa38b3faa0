/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `scale`, of replicas that are there: work_extractor takes 5 ms for a text, and its
 * answer tells which replica gave it.
 *
 * Second replica: two connections keep one replica at its target of two; a third one crosses it.
 * The decision is as the node wrote it down, on the clock that this process reads too; the second
 * replica serves when the first answer of it has been read.
 *
 * Killed: three of four replicas get SIGKILL under the load of 16 connections.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench/http.h"
#include "gateway/bench/inference.h"
#include "gateway/bench/scale.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define ROUNDS      21u
#define ROUNDS_FEW  5u
#define KILLS       11u
#define KILLS_FEW   3u
#define REPLICAS    4u
#define CONNECTIONS 16u
#define PATIENCE_NS (30 * SL_SECOND_NS)
#define LOOK_NS     (20 * SL_MILLI_NS)
#define CROSS_NS    (200 * SL_MILLI_NS) /* After the load of one replica began. */
#define SEEN_NS     (300 * SL_MILLI_NS) /* From then on: for so long the second is waited for. */
#define KILL_NS     (400 * SL_MILLI_NS)
#define KILLED_NS   (1500 * SL_MILLI_NS) /* The whole of it. */
#define DRAIN_NS    (10 * SL_SECOND_NS)
#define CONFIG                                                                                     \
    "plugins: \"%s\"\n"                                                                            \
    "extractors: {work_extractor: {autoscaling_config: {upscale_delay_s: 0,"                       \
    " downscale_to_zero_delay_s: 3600, panic_threshold: 0, %s}}}\n"
#define SETTINGS_TWO  "max_replicas: 2, target_ongoing_requests: 2, downscale_delay_s: 0.05"
#define SETTINGS_FOUR "max_replicas: 4, target_ongoing_requests: 1, downscale_delay_s: 3600"

struct suite {
    struct sl_bench_scale scale;
    struct sl_buf request; /* All of it. */
    uint16_t port;
};

/* ---- the server ---------------------------------------------------------------------------- */

static const char asked[] = "{\"feature_uri\":\"sluice://work_extractor@v1/work\","
                            "\"inputs\":{\"text\":\"this takes its time\"}}";

static bool
open_suite(const struct sl_bench *bench, const char *settings, struct suite *s)
{
    char *plugins = sl_bench_server_plugins("work_extractor");
    if (plugins == NULL)
        return false;
    char *yaml = sl_format(CONFIG, plugins, settings);
    bool is_ok = sl_bench_scale_open(bench, yaml, &s->scale) &&
                 sl_bench_inference_collection(&s->scale.client, "work_extractor");
    if (is_ok) {
        sl_bench_inference_request(&s->scale.client, asked, &s->request);
        s->port = sl_bench_server_port(&s->scale.server);
    }
    sl_free(yaml);
    sl_free(plugins);
    return is_ok;
}

static bool
close_suite(struct suite *s)
{
    sl_buf_deinit(&s->request);
    return sl_bench_scale_close(&s->scale);
}

/* The first item; none of no array. */
static struct sl_json
first_of(struct sl_json array)
{
    struct sl_json_iter i = sl_json_iter(array);
    return sl_json_next(&i) ? i.value : (struct sl_json){0};
}

/* The only node's member of that name. */
static bool
look(struct suite *s, const char *member, struct sl_json *ret_json)
{
    struct sl_bench_client *operator= & s->scale.operator;
    if (!sl_bench_ask(operator, "/v1/cluster/nodes", (struct sl_slice){0}))
        return false;
    struct sl_json nodes = sl_json_member(operator->json, "results");
    *ret_json = sl_json_member(first_of(nodes), member);
    return sl_json_count(nodes) == 1 || sl_bench_fail("one node was to be there");
}

/* ---- the second replica -------------------------------------------------------------------- */

struct rise {
    uint64_t crossed_ns, second_ns; /* 0: not yet. */
    double first;                   /* The replica that was there; 0: not known yet. */
};

static void
take_rise(void *arg, uint32_t kind, struct sl_slice reply, uint64_t sent_ns)
{
    struct rise *rise = arg;
    const char *value = memmem(reply.data, reply.size, "\"embedding\":[", 13);
    double replica = value == NULL ? 0 : strtod(value + 13, NULL); /* Behind a reply is a NUL. */
    if (kind == 1 && rise->crossed_ns == 0)
        rise->crossed_ns = sent_ns;
    if (rise->first == 0)
        rise->first = replica;
    if (rise->second_ns == 0 && replica != 0 && replica != rise->first)
        rise->second_ns = sl_time_mono_ns();
}

/* Until the node has told of a second replica that was decided on since. */
static bool
read_decision(struct suite *s, uint64_t since_ns, uint64_t *ret_at_ns)
{
    uint64_t until_ns = sl_time_mono_ns() + PATIENCE_NS;
    struct sl_json pools;
    while (sl_time_mono_ns() < until_ns) {
        if (!look(s, "scaling", &pools))
            return false;
        struct sl_json_iter i = sl_json_iter(sl_json_member(first_of(pools), "decisions"));
        while (sl_json_next(&i)) {
            struct sl_json decision = sl_json_member(i.value, "decision");
            uint64_t replicas = 0;
            if (sl_json_u64(sl_json_member(decision, "at_ns"), ret_at_ns) == SL_OK &&
                sl_json_u64(sl_json_member(decision, "replicas"), &replicas) == SL_OK &&
                replicas == 2 && *ret_at_ns >= since_ns)
                return true;
        }
        sl_time_sleep_ns(LOOK_NS);
    }
    return sl_bench_fail("the node does not tell of a second replica");
}

static bool
wait_for_one(struct suite *s)
{
    uint64_t until_ns = sl_time_mono_ns() + PATIENCE_NS;
    struct sl_json replicas;
    while (sl_time_mono_ns() < until_ns) {
        if (!look(s, "replicas", &replicas))
            return false;
        if (sl_json_count(replicas) == 1)
            return true;
        sl_time_sleep_ns(LOOK_NS);
    }
    return sl_bench_fail("the second replica does not go");
}

static bool
rise_once(struct suite *s, double *ret_decision_ms, double *ret_second_ms)
{
    struct rise rise = {0};
    struct sl_slice request = sl_buf_slice(&s->request);
    struct sl_bench_http_kind kinds[] = {
        {.request = request, .connections = 2},
        {.request = request, .connections = 1, .after_ns = CROSS_NS}};
    struct sl_bench_http load = {.port = s->port,
                                 .kinds = kinds,
                                 .kinds_count = 2,
                                 .measured_ns = CROSS_NS + SEEN_NS,
                                 .drain_ns = DRAIN_NS,
                                 .take = take_rise,
                                 .arg = &rise};
    struct sl_bench_http_result results[2];
    uint64_t at_ns = 0;
    if (!wait_for_one(s) || !sl_bench_http_run(&load, results))
        return false;
    if (rise.crossed_ns == 0 || rise.second_ns < rise.crossed_ns)
        return sl_bench_fail(rise.second_ns == 0 ? "a second replica did not serve in time"
                                                 : "a second replica was there already");
    if (!read_decision(s, rise.crossed_ns, &at_ns))
        return false;
    *ret_decision_ms = (double)(at_ns - rise.crossed_ns) / 1e6;
    *ret_second_ms = (double)(rise.second_ns - rise.crossed_ns) / 1e6;
    sl_bench_say(s->scale.bench, "  decided after %.2f ms, served after %.1f ms", *ret_decision_ms,
                 *ret_second_ms);
    return true;
}

static bool
run_second(struct suite *s)
{
    uint32_t rounds = s->scale.bench->is_quick ? ROUNDS_FEW : ROUNDS;
    double decision_ms[ROUNDS], second_ms[ROUNDS], ignored;
    for (uint32_t i = 0; i < 2; i++) { /* The first replica, and what is done for the first time. */
        if (!sl_bench_ask(&s->scale.client, "/v1/inference", sl_slice_str(asked)))
            return false;
    }
    if (!rise_once(s, &ignored, &ignored))
        return false;
    for (uint32_t i = 0; i < rounds; i++) {
        if (!rise_once(s, &decision_ms[i], &second_ms[i]))
            return false;
    }
    sl_bench_scale_show(s->scale.bench,
                        &(struct sl_bench_scale_times){"scale.decision", "from the target crossed",
                                                       decision_ms, rounds, 10, 0});
    sl_bench_scale_show(s->scale.bench, &(struct sl_bench_scale_times){
                                            "scale.second_replica",
                                            "until its first answer, of 5 ms of work, was read",
                                            second_ms, rounds, 50, 0});
    return true;
}

/* ---- killed -------------------------------------------------------------------------------- */

struct killing {
    pid_t pids[REPLICAS];
    uint64_t at_ns; /* 0: it is done. */
};

static void
take_killing(void *arg, uint32_t kind, struct sl_slice reply, uint64_t sent_ns)
{
    struct killing *k = arg;
    (void)kind, (void)reply, (void)sent_ns;
    if (k->at_ns == 0 || sl_time_mono_ns() < k->at_ns)
        return;
    for (uint32_t i = 1; i < REPLICAS; i++)
        (void)kill(k->pids[i], SIGKILL);
    k->at_ns = 0;
}

/* Those that are ready and alive; what the node tells may be a second old. */
static bool
read_pids(struct suite *s, struct killing *k, uint32_t *ret_count)
{
    struct sl_json replicas;
    if (!look(s, "replicas", &replicas))
        return false;
    *ret_count = 0;
    for (struct sl_json_iter i = sl_json_iter(replicas);
         *ret_count < REPLICAS && sl_json_next(&i);) {
        uint64_t pid = 0;
        if (sl_json_is(sl_json_member(i.value, "state"), "ready") &&
            sl_json_u64(sl_json_member(i.value, "pid"), &pid) == SL_OK && pid > 1 &&
            kill((pid_t)pid, 0) == 0)
            k->pids[(*ret_count)++] = (pid_t)pid;
    }
    return true;
}

static bool
load_for(struct suite *s, uint64_t ns, struct killing *k, struct sl_bench_http_result *ret)
{
    struct sl_bench_http_kind kind = {.request = sl_buf_slice(&s->request),
                                      .connections = CONNECTIONS};
    struct sl_bench_http load = {.port = s->port,
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .measured_ns = ns,
                                 .drain_ns = DRAIN_NS,
                                 .take = k == NULL ? NULL : take_killing,
                                 .arg = k};
    return sl_bench_http_run(&load, ret);
}

static bool
wait_for_four(struct suite *s, struct killing *k)
{
    uint64_t until_ns = sl_time_mono_ns() + PATIENCE_NS;
    struct sl_bench_http_result ignored;
    uint32_t count = 0;
    while (sl_time_mono_ns() < until_ns) {
        if (!load_for(s, SL_SECOND_NS / 5, NULL, &ignored) || !read_pids(s, k, &count))
            return false;
        if (count == REPLICAS)
            return true;
    }
    return sl_bench_fail("%u of %u replicas are ready", count, REPLICAS);
}

static bool
run_killed(struct suite *s)
{
    uint32_t rounds = s->scale.bench->is_quick ? KILLS_FEW : KILLS;
    struct sl_bench_http_result sum = {0};
    char note[128];
    for (uint32_t i = 0; i < rounds; i++) {
        struct killing k;
        struct sl_bench_http_result one;
        if (!wait_for_four(s, &k))
            return false;
        k.at_ns = sl_time_mono_ns() + KILL_NS;
        if (!load_for(s, KILLED_NS, &k, &one))
            return false;
        sum.good += one.good;
        sum.refused += one.refused;
        sum.lost += one.lost;
        sum.slowest_us = SL_MAX(sum.slowest_us, one.slowest_us);
        sl_bench_say(s->scale.bench,
                     "  %" PRIu64 " answered, %" PRIu64 " refused, %" PRIu64
                     " lost, slowest %.1f ms",
                     one.good, one.refused, one.lost, one.slowest_us / 1e3);
    }
    (void)snprintf(note, sizeof(note),
                   "3 of 4 replicas killed %u times: %" PRIu64 " answered, %" PRIu64 " refused",
                   rounds, sum.good, sum.refused);
    sl_bench_show(s->scale.bench,
                  &(struct sl_bench_figure){"scale.killed.slowest", "ms", SL_BENCH_AT_MOST, 1000,
                                            sum.slowest_us / 1e3, note});
    sl_bench_show(s->scale.bench,
                  &(struct sl_bench_figure){"scale.killed.lost", "requests", SL_BENCH_AT_MOST, 0,
                                            (double)sum.lost, "neither answered nor refused"});
    return true;
}

bool
sl_bench_scale_replicas(const struct sl_bench *bench)
{
    static const struct {
        const char *settings;
        bool (*run)(struct suite *s);
    } parts[] = {{SETTINGS_FOUR, run_killed}, {SETTINGS_TWO, run_second}};
    bool is_ok = true;
    for (size_t i = 0; is_ok && i < SL_COUNT_OF(parts); i++) {
        struct suite s = {0};
        is_ok = open_suite(bench, parts[i].settings, &s) && parts[i].run(&s);
        is_ok = close_suite(&s) && is_ok;
    }
    return is_ok;
}
