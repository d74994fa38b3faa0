/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.h - what becomes of a task whose run ended other than well: tried again, later, dead, or
 * quarantined. By the task's own retry policy; without one, by the default.
 *
 *   failed    its code said so: attempts + 1. Again after a pause, or DEAD once the policy gives up
 *   crashed   its process died with it: crashes + 1. Again at once, or QUARANTINED at the limit
 *   snoozed   it wants to run later: snoozes + 1, no attempt is lost, however often
 *   released  it did not begin: nothing is counted, and nothing is written
 *
 * The three counts never mix. Pure: nothing is applied; time and random numbers are arguments.
 */
#ifndef SL_QUEUE_FINISH_H
#define SL_QUEUE_FINISH_H

#include "queue/queue.h"
#include "queue/retry.h"

#define SL_QUEUE_CRASHES_MAX 3 /* Processes that a task may take with it. */

enum sl_run_end { SL_RUN_FAILED, SL_RUN_CRASHED, SL_RUN_SNOOZED, SL_RUN_RELEASED };

struct sl_run {
    enum sl_run_end end;
    uint64_t now_ms;
    struct sl_random *random; /* Of FAILED. */
    /* FAILED: which kind of error, that a policy may name as final, and what it said. */
    struct sl_slice class, message;
    uint64_t after_ms; /* FAILED: the pause it asks for, 0: none. SNOOZED: how long. */
    /* CRASHED: how the process died, and what it wrote last, newest line last. */
    uint32_t signal;     /* 0: it exited, or nobody knows. */
    uint64_t peak_bytes; /* Of memory; 0: unknown. */
    struct sl_slice lines;
};

struct sl_finish {
    enum sl_state state;    /* QUEUED, SCHEDULED, DEAD or QUARANTINED. */
    uint64_t not_before_ms; /* Of SCHEDULED. */
    uint16_t attempts, crashes, snoozes;
    enum sl_retry_verdict verdict; /* Of FAILED: why it is DEAD. */
    bool has_event;                /* False: give the lease back (sl_queue_release). */
};

/*
 * Decide about the run under a live lease (its task_id and epoch), and append the one event of the
 * lease's scope that says so. SL_ESTALE: the lease is not live. SL_EINVAL: a snooze of 0 or past
 * SL_TIME_MAX_MS. On error nothing is appended.
 *
 * Why it failed is kept with the task: at most SL_QUEUE_ERROR_MAX bytes of text, cut between
 * characters. First a line ("Timeout: no answer in 30 s", "its process died of signal 9 SIGKILL,
 * peak memory 1073741824 bytes"), then of a crash its last lines, as many as fit.
 */
SL_MUST_CHECK enum sl_err sl_queue_finish(const struct sl_queue *q, const struct sl_lease *lease,
                                          const struct sl_run *run, struct sl_buf *out,
                                          struct sl_finish *ret_finish);

#endif
