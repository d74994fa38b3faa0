/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_history.h - what happened in a run, as seen from outside, and whether it may have. The
 * checker reads nothing but the history: it asks no queue and no store, so that what is wrong does
 * not vouch for itself. It takes the queue for a total queue: all that was acknowledged goes in,
 * and comes out once.
 *
 * lost: acknowledged, and no end; duplicated: two ends of one task were accepted; resurrected:
 * leased after its end was durable; doubly placed: leased while somebody holds it; stale: an end
 * without a live lease was accepted; share: a tenant waits while another, which has had more
 * service time, is served (simulate_turns.h); unsent: what a link did not take waits on, while
 * others of its job, or for long others of its tenant that do not go before it, have their turn;
 * calls: an answer each, once, in time; stuck: no rest within the time that is granted.
 *
 * Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_HISTORY_H
#define SL_ACTORS_SIMULATE_HISTORY_H

#include "actors/simulate_turns.h"
#include "runtime/buf.h"

#define SL_HISTORY_LEASE_NS  (60 * SL_SECOND_NS) /* What a lease promises its holder. */
#define SL_HISTORY_UNSENT_NS (20 * SL_SECOND_NS) /* Then what came back is leased again. */
#define SL_HISTORY_ANSWER_NS (21 * SL_SECOND_NS) /* What a call is promised. */
#define SL_HISTORY_TASKS_MAX 32                  /* Of a job. */

enum sl_history_what {
    SL_HISTORY_SUBMIT,  /* job, value: tasks, task: priority, tenant: with class; node 1: ready at
                           once. */
    SL_HISTORY_ACK,     /* job: its client was told. */
    SL_HISTORY_CANCEL,  /* job: its client was told that it is cancelled. */
    SL_HISTORY_LEASE,   /* task, value: epoch, node, tenant. */
    SL_HISTORY_UNSENT,  /* task, value: epoch: a link did not take it, so nobody holds it. */
    SL_HISTORY_BEAT,    /* node: it lives and works. */
    SL_HISTORY_GONE,    /* node: was given up. */
    SL_HISTORY_TAKEN,   /* task, value: epoch: an end was accepted. */
    SL_HISTORY_PART,    /* task, value: epoch: an end of a part was accepted. */
    SL_HISTORY_DURABLE, /* task: its end is in the store for good. */
    SL_HISTORY_ENDED,   /* job: durably. */
    SL_HISTORY_CALL,    /* value: its number. */
    SL_HISTORY_ANSWER,  /* value: its number. */
    SL_HISTORY_PAUSE,   /* value: for so many ns the main process stands still. */
    SL_HISTORY_UNREAD,  /* Payloads may not be readable: such tasks are put off, unseen. */
    SL_HISTORY_BOOT,    /* The main process starts. */
    SL_HISTORY_DEATH,   /* The main process ends: leases and calls are void. */
    SL_HISTORY_REST     /* All work has ended, after the faults. */
};

/* at_ns is the clock of the process that grants leases. */
struct sl_history_event {
    uint64_t at_ns, value;
    uint64_t served_ns; /* Of what is taken: how long it was worked on, as was told. */
    uint32_t what, job, task, node, tenant; /* tenant: times 4, and the class. */
};

struct sl_history {
    struct sl_history_event *events;
    size_t count, capacity;
};

void sl_history_deinit(struct sl_history *h);
void sl_history_add(struct sl_history *h, const struct sl_history_event *event);
/* Before what is at `place`: it was known only later. */
void sl_history_insert(struct sl_history *h, size_t place, const struct sl_history_event *event);
/* Whether all is as promised; if not, what first was not. */
bool sl_history_check(const struct sl_history *h, char *ret_failure, size_t failure_size);

#endif
