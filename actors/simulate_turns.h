/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_turns.h - whether tenants got their share, judged by a history alone: between two that
 * always have work, service time differs by at most what each has under way and one task. Part of
 * the checker of histories; it knows neither the queue nor what that expects of a task, only that
 * this lies within what tasks took so far.
 *
 * What is known: whoever is served has had no more than whoever waits, counting what is expected of
 * tasks under way. So from a moment when b was served and a waited to one when a is served and b
 * waits, a's service has grown by no more than b's, but for what b has under way at the end and a
 * had at the beginning.
 *
 * Lanes are numbers: a tenant times 4, and the class; those of a class are compared. All weights
 * are 1. Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_TURNS_H
#define SL_ACTORS_SIMULATE_TURNS_H

#include "runtime/base.h"

#define SL_TURNS_LANES_MAX 4096
#define SL_TURNS_FIRST_NS  (10 * SL_MILLI_NS) /* Expected of a task before any has ended. */
#define SL_TURNS_BACK_NS   (50 * SL_MICRO_NS) /* What one costs that comes back. */
#define SL_TURNS_SLACK_NS  (50 * SL_MILLI_NS) /* For such as ended before they ran, unseen. */

struct sl_turns_lane {
    uint64_t waiting; /* Tasks that were never leased: they wait for nothing but their turn. */
    uint64_t least_ns, most_ns;   /* Service so far, at least and at most. */
    uint64_t under_ns, peak_ns;   /* At most expected of what is under way; the most of that. */
    uint64_t longest_ns;          /* Of its tasks. */
    bool was_leased, is_measured; /* measured: a task ended since it last had nothing waiting. */
};

struct sl_turns {
    struct sl_turns_lane *lanes;
    int64_t *bounds; /* [a][b]: see above; INT64_MAX: nothing is known yet. */
    uint32_t count;
    uint64_t longest_ns[4]; /* Of each class. */
};

/* What was not as promised: `lane` got `got_ns` more while `waiting` got `had_ns` more. */
struct sl_turns_fault {
    uint32_t lane, waiting;
    uint64_t over_ns; /* So much over what may be. */
};

void sl_turns_deinit(struct sl_turns *t);
void sl_turns_forget(struct sl_turns *t); /* The queue is another one: all begins anew. */

/* So many more tasks of a lane wait, none of which was ever leased. */
void sl_turns_wait(struct sl_turns *t, uint32_t lane, uint64_t tasks);
/*
 * A task of the lane is leased; is_fresh: for the first time. *ret_charge_ns is to be given back at
 * its end. False: it was not its turn.
 */
SL_MUST_CHECK bool sl_turns_lease(struct sl_turns *t, uint32_t lane, bool is_fresh,
                                  uint64_t *ret_charge_ns, struct sl_turns_fault *ret_fault);
/* A lease ended: after so much service; 0: that is not known. */
void sl_turns_end(struct sl_turns *t, uint32_t lane, uint64_t charge_ns, uint64_t served_ns);
/* A lease ended, and its task was not worked on. */
void sl_turns_back(struct sl_turns *t, uint32_t lane, uint64_t charge_ns);

#endif
