/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart.h - what a supervisor decides: which children start again when one has ended, and when it
 * has to give up. Plain functions; supervisor.h is the actor around them.
 */
#ifndef SL_RUNTIME_RESTART_H
#define SL_RUNTIME_RESTART_H

#include "runtime/base.h"

enum sl_restart_strategy {
    SL_ONE_FOR_ONE,  /* The child that failed. */
    SL_ONE_FOR_ALL,  /* All: they make no sense without each other. */
    SL_REST_FOR_ONE, /* It and those started after it, which may depend on it. */
};

enum sl_child_kind {
    SL_PERMANENT, /* Starts again however it ended. */
    SL_TRANSIENT, /* Starts again unless it ended with SL_OK. */
    SL_TEMPORARY, /* Never does. */
};

/* Children [begin, end) start again; none: the one that ended is gone. */
struct sl_restart_range {
    uint32_t begin, end;
};
struct sl_restart_range sl_restart_decide(enum sl_restart_strategy strategy,
                                          enum sl_child_kind kind, enum sl_err reason,
                                          uint32_t child, uint32_t children_count);

#define SL_RESTARTS_MAX 64u

/* At most `restarts_max` (up to SL_RESTARTS_MAX) restarts within any window_ns. */
struct sl_restart_budget {
    uint64_t times_ns[SL_RESTARTS_MAX]; /* A ring of the last ones. */
    uint64_t window_ns;
    uint32_t restarts_max, count; /* count: ever. */
};

/* Note a restart now. False, and nothing is noted: it would be one too many. */
bool sl_restart_budget_take(struct sl_restart_budget *b, uint64_t now_ns);

#endif
