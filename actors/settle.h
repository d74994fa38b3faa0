/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - the end of a task, in one transaction: its records, vectors, counters, failure row and
 * the queue's event. What a second attempt writes has the same ids and overwrites the first.
 * Threading: the store's thread.
 */
#ifndef SL_ACTORS_SETTLE_H
#define SL_ACTORS_SETTLE_H

#include "runtime/json.h"
#include "runtime/store.h"

#include "actors/index.h"
#include "queue/queue.h"

struct sl_settle {
    struct sl_store *store;
    struct sl_index_cache *indexes;
    uint64_t now_ms;
};

/*
 * The task ended well: `outputs` as extractors/replica.h lays them out. SL_EINVAL: the outputs are
 * malformed or too many; nothing has changed. SL_ENOSPC and the like: of the commit.
 */
SL_MUST_CHECK enum sl_err sl_settle_done(const struct sl_settle *s, const struct sl_lease *lease,
                                         struct sl_json extraction, struct sl_slice outputs);

struct sl_task_failure {
    const char *type; /* "runtime", "validation", "resource", "dependency" */
    struct sl_slice code, message;
    uint64_t signal; /* 0: none. */
    bool is_transient;
    uint16_t attempts; /* Runs in all. */
};
/* The task ended for good without a result: a failure row and the queue's event. */
SL_MUST_CHECK enum sl_err sl_settle_dead(const struct sl_settle *s, const struct sl_lease *lease,
                                         const struct sl_task_failure *failure);
/* It will be tried again; the job's log tells why. */
SL_MUST_CHECK enum sl_err sl_settle_retry(const struct sl_settle *s, const struct sl_lease *lease,
                                          const struct sl_retry *retry,
                                          const struct sl_task_failure *why);
/*
 * A job of which all tasks have ended: its final row, and the queue forgets it; in the same
 * transaction the job of the next tier, if one follows (chain.h).
 */
SL_MUST_CHECK enum sl_err sl_settle_job(const struct sl_settle *s, const struct sl_job_info *info,
                                        struct sl_job_id *ret_next, bool *ret_has_next);

#endif
