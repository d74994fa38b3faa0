/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `actor_remote`: calls of 100 bytes between actors of two processes, beside the same
 * calls between bare libzmq sockets in turn with them, since what a machine gives changes within a
 * second. Each figure is the median of some rounds; ratios are those of a round.
 */
#include "gateway/bench/actor.h"
#include "gateway/bench/calls.h"
#include "gateway/bench/directory.h"

/* Many short rounds: what else the machine does then meets both alike. */
#define ROUNDS     15u
#define ROUNDS_FEW 7u
#define WARM       1000u
#define ALONE      4000u /* Calls one at a time. */
#define PIPELINED  200000u
#define WINDOW     1024u

struct medians {
    double ours, zmq, ratio;
};

/* What of a round counts: the time of a call, or calls a second. */
static double
value_of(const struct sl_bench_calls *calls, const struct sl_bench_called *called)
{
    return calls->window == 1 ? called->p50_us : called->per_s;
}

static bool
measure(const struct sl_bench *bench, const struct sl_bench_calls *calls,
        struct medians *ret_medians)
{
    double ours[ROUNDS], zmq[ROUNDS], ratios[ROUNDS];
    uint32_t rounds = bench->is_quick ? ROUNDS_FEW : ROUNDS;
    for (uint32_t i = 0; i < rounds; i++) {
        struct sl_bench_called a, b;
        if (!sl_bench_calls_zmq(calls, &b))
            return sl_bench_fail("libzmq's calls failed");
        if (!sl_bench_calls_actors(calls, &a))
            return sl_bench_fail("the actors' calls failed");
        ours[i] = value_of(calls, &a);
        zmq[i] = value_of(calls, &b);
        ratios[i] = ours[i] / zmq[i];
        sl_bench_say(bench, "  round %u: %.4g beside %.4g", i + 1, ours[i], zmq[i]);
    }
    *ret_medians = (struct medians){.ours = sl_bench_median(ours, rounds),
                                    .zmq = sl_bench_median(zmq, rounds),
                                    .ratio = sl_bench_median(ratios, rounds)};
    return true;
}

static bool
measure_alone(const struct sl_bench *bench, const char *directory, bool is_tcp)
{
    struct sl_bench_calls calls = {
        .directory = directory, .is_tcp = is_tcp, .warm = WARM, .count = ALONE, .window = 1};
    struct medians m;
    if (!measure(bench, &calls, &m))
        return false;
    sl_bench_show(bench,
                  &(struct sl_bench_figure){
                      .name = is_tcp ? "actor_remote.tcp.call_p50" : "actor_remote.ipc.call_p50",
                      .unit = "us",
                      .value = m.ours,
                      .note = is_tcp ? "100 bytes, loopback with CURVE" : "100 bytes"});
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = is_tcp ? "actor_remote.tcp.limit_zmq_p50"
                                                           : "actor_remote.ipc.limit_zmq_p50",
                                            .unit = "us",
                                            .value = m.zmq,
                                            .note = "the limit: libzmq DEALER and ROUTER"});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = is_tcp ? "actor_remote.tcp.ratio"
                                                                  : "actor_remote.ipc.ratio",
                                                   .unit = "x",
                                                   .goal = SL_BENCH_AT_MOST,
                                                   .target = 1.3,
                                                   .value = m.ratio,
                                                   .note = "of the two, round by round"});
    return true;
}

static bool
measure_pipelined(const struct sl_bench *bench, const char *directory, bool is_tcp)
{
    struct sl_bench_calls calls = {.directory = directory,
                                   .is_tcp = is_tcp,
                                   .warm = WARM,
                                   .count = PIPELINED,
                                   .window = WINDOW};
    struct medians m;
    if (!measure(bench, &calls, &m))
        return false;
    struct sl_bench_figure ours = {.name = is_tcp ? "actor_remote.tcp.pipelined"
                                                  : "actor_remote.ipc.pipelined",
                                   .unit = "calls/s",
                                   .goal = is_tcp ? SL_BENCH_NO_GOAL : SL_BENCH_AT_LEAST,
                                   .target = is_tcp ? 0 : 500000,
                                   .value = m.ours,
                                   .note = "1024 under way"};
    struct sl_bench_figure zmq = {.name = is_tcp ? "actor_remote.tcp.pipelined_zmq"
                                                 : "actor_remote.ipc.pipelined_zmq",
                                  .unit = "calls/s",
                                  .value = m.zmq,
                                  .note = "beside it: libzmq, a frame a call"};
    sl_bench_show(bench, &ours);
    sl_bench_show(bench, &zmq);
    return true;
}

bool
sl_bench_actor_remote(const struct sl_bench *bench)
{
    sl_protocol_register(&sl_protocol_bench);
    char *directory = sl_bench_directory_make(bench);
    bool is_ok = directory != NULL;
    for (int is_tcp = 0; is_ok && is_tcp < 2; is_tcp++)
        is_ok =
            measure_alone(bench, directory, is_tcp) && measure_pipelined(bench, directory, is_tcp);
    sl_bench_directory_remove(&directory);
    return is_ok;
}
