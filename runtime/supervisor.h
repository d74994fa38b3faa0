/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - an actor that starts others in an order, and starts them again when they fail; by
 * restart.h it decides which, and when it has to give up. A child's class may be this one again:
 * that is a tree, and who gives up is restarted, or given up on, by the supervisor above it.
 *
 *     init: starts all --> runs --a child failed--> stops its range, last first --> starts it again
 *                           |  `--too many restarts: stops all, fails with SL_EFULL
 *                           `--exit, or its own supervisor ended: stops all, ends with that reason
 *
 * Children are linked with it, so they go with it even when it is killed with a failure; they must
 * not unlink.
 * To stop a child is to ask it by `exit` (SL_ECANCELED), to wait stop_ns, then to kill it; no
 * handler is interrupted. Of those in a range that had ended for good, none is started again.
 *
 * Threading: an actor; the lookups: as for sl_scheduler_state. Needs a driver that has sl_spawn.
 */
#ifndef SL_RUNTIME_SUPERVISOR_H
#define SL_RUNTIME_SUPERVISOR_H

#include "runtime/actor.h"
#include "runtime/restart.h"

struct sl_child_spec {
    const char *name; /* In diagnostic lines. */
    const struct sl_actor_class *class;
    const void *argument; /* Of each start's init. */
    enum sl_child_kind kind;
    struct sl_spawn_options options; /* A known number stays the child's from start to start. */
    uint64_t stop_ns;                /* 0: 5 s */
};

/* The argument of a supervisor's init: copied, but what it points to is borrowed while it lives. */
struct sl_supervisor_spec {
    enum sl_restart_strategy strategy;
    uint32_t restarts_max; /* Within window_ns, up to SL_RESTARTS_MAX; 0: a failure is the end. */
    uint64_t window_ns;
    const struct sl_child_spec *children;
    uint32_t children_count;
};

/* An init that cannot start a child fails with sl_spawn's error, having stopped the others. */
extern const struct sl_actor_class sl_supervisor_class;

/* Of a supervisor's state. {0, 0}: the child does not run. */
struct sl_addr sl_supervisor_child(const void *self, uint32_t index);
uint64_t sl_supervisor_restarts(const void *self); /* Of ranges, so far. */

#endif
