/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - `sluice bench`: measure what the README claims, on this machine.
 *
 * A suite starts what it measures on an empty directory below --data, drives it from outside,
 * stops it and removes the directory. A figure has a name that scripts rely on; one that was not
 * measured is left out, and the program fails.
 *
 * Exit codes: 0 measured (also where a target was missed: the figures say so), 1 failed, 2 usage,
 * or a suite that does not exist yet.
 *
 * Threading: one thread; each suite runs to its end.
 */
#ifndef SL_GATEWAY_BENCH_H
#define SL_GATEWAY_BENCH_H

#include "runtime/base.h"

enum sl_bench_goal { SL_BENCH_NO_GOAL, SL_BENCH_AT_LEAST, SL_BENCH_AT_MOST };

struct sl_bench_figure {
    const char *name; /* "ingest.passthrough.objects_per_s" */
    const char *unit;
    enum sl_bench_goal goal;
    double target;
    double value;
    const char *note; /* What a reader must know; NULL: nothing. Borrowed for the call. */
};

struct sl_bench {
    const char *data;    /* Directories for runs are made here. */
    const char *program; /* The sluice that is measured. */
    bool is_quick;
    bool is_json;
};

/* The verb: argv[0] is its name. */
int sl_bench_main(int argc, char **argv);

/* Print a figure at once, so that a suite cut short has shown what it has. */
void sl_bench_show(const struct sl_bench *bench, const struct sl_bench_figure *figure);
/* Say on standard error what went wrong; always false. */
bool sl_bench_fail(const char *format, ...) SL_PRINTF(1, 2);
/* Say on standard error what is going on, where a person watches. */
void sl_bench_say(const struct sl_bench *bench, const char *format, ...) SL_PRINTF(2, 3);
/* Sorts `values`; count >= 1. */
double sl_bench_median(double *values, uint32_t count);

/* The suites. False: it failed, and has said why. */
bool sl_bench_ingest(const struct sl_bench *bench);
bool sl_bench_encoder(const struct sl_bench *bench);
bool sl_bench_queue(const struct sl_bench *bench);
bool sl_bench_object_store(const struct sl_bench *bench);
bool sl_bench_models(const struct sl_bench *bench);
bool sl_bench_actor(const struct sl_bench *bench);
bool sl_bench_actor_remote(const struct sl_bench *bench);
bool sl_bench_recovery(const struct sl_bench *bench);
bool sl_bench_gateway(const struct sl_bench *bench);
bool sl_bench_door(const struct sl_bench *bench); /* The first part of it. */
bool sl_bench_serve(const struct sl_bench *bench);
bool sl_bench_scale(const struct sl_bench *bench);
bool sl_bench_mixed(const struct sl_bench *bench);
bool sl_bench_pages(const struct sl_bench *bench);

#endif
