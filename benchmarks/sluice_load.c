/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice-load ENDPOINT SECONDS [disk|os|ram] [fill|count]: the load of queue_load/load.c on a
 * sluice whose head listens at ENDPOINT, a line of JSON for each phase, in the same order. The
 * level is what answers wait for (actor.h). fill: only put, until the time is over or the head is
 * gone, and print how many were answered. count: print how many there are of those.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench/queue_load.h"

static const struct {
    struct sl_bench_queue_phase phase;
    double share; /* Of the whole time. */
} phases[] = {
    {{.name = "enqueue_1", .window = 1}, 0.15},
    {{.name = "pickup", .window = 1, .is_pickup = true}, 0.15},
    {{.name = "e2e_64", .window = 64, .is_end_to_end = true}, 0.2},
    {{.name = "e2e_1024", .window = 1024, .is_end_to_end = true}, 0.2},
    {{.name = "enqueue_64", .window = 64}, 0.15},
    {{.name = "enqueue_1024", .window = 1024}, 0.15},
};

static void
report(const char *name, const struct sl_bench_queue_result *r)
{
    printf("{\"phase\": \"%s\", \"count\": %" PRIu64 ", \"rate\": %.1f, \"busy\": %.3f", name,
           r->count, r->per_s, r->busy);
    if (r->p50_us > 0)
        printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", r->p50_us, r->p99_us);
    printf("}\n");
    (void)fflush(stdout);
}

int
main(int argc, char **argv)
{
    static const char *const levels[] = {"disk", "os", "ram"};
    double seconds = argc >= 3 ? strtod(argv[2], NULL) : 0;
    int level = 0;
    while (argc > 3 && level < SL_LEVEL_COUNT && strcmp(levels[level], argv[3]) != 0)
        level++;
    if (seconds <= 0 || seconds > 600 || argc > 5 || level == SL_LEVEL_COUNT) {
        (void)fprintf(stderr, "sluice-load ENDPOINT SECONDS [disk|os|ram] [fill|count]\n");
        return 2;
    }
    struct sl_bench_queue_load *load = sl_bench_queue_open(argv[1], (enum sl_level)level);
    if (load != NULL && argc == 5) {
        bool is_fill = strcmp(argv[4], "fill") == 0;
        uint64_t count = is_fill ? sl_bench_queue_flood(load, seconds) : sl_bench_queue_count(load);
        printf("{\"phase\": \"%s\", \"count\": %" PRIu64 "}\n", argv[4], count);
        sl_bench_queue_close(&load);
        return 0;
    }
    bool is_ok = load != NULL;
    for (size_t i = 0; is_ok && i < SL_COUNT_OF(phases); i++) {
        struct sl_bench_queue_result result;
        is_ok = sl_bench_queue_run(load, &phases[i].phase, seconds * phases[i].share, &result);
        if (is_ok)
            report(phases[i].phase.name, &result);
    }
    sl_bench_queue_close(&load);
    return is_ok ? 0 : 1;
}
