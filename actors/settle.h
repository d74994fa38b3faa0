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
#include "queue/look.h"

struct sl_use_counts;

struct sl_settle {
    struct sl_store *store;
    struct sl_index_cache *indexes;
    uint64_t now_ms;
    uint64_t served_ns;         /* Of a task that ended well: how long it alone was worked on. */
    struct sl_use_counts *uses; /* NULL: nobody asks. */
};

/*
 * A task may end in parts, each stored when it comes, so that no source is too large for a message
 * or a transaction: `first` records were stored before this part, and `resume` is where the plugin
 * goes on; empty: this is the last part. What a task that fails later has stored stays, under the
 * ids that another run writes again.
 */
struct sl_task_part {
    uint64_t first;
    struct sl_slice resume;
};

/*
 * The task, or a part of it, ended well: `outputs` as extractors/replica.h lays them out. After a
 * part the caller releases the lease. SL_EFULL: the tenant may not have so many records. SL_EINVAL,
 * SL_ETOOBIG: the outputs are malformed or too many; nothing has changed. SL_ENOSPC and the like:
 * of the commit.
 */
SL_MUST_CHECK enum sl_err sl_settle_done(const struct sl_settle *s, const struct sl_lease *lease,
                                         struct sl_json extraction, struct sl_slice outputs,
                                         const struct sl_task_part *part);
/* Where a task goes on; all zero for one that begins. Its resume is put into `copy`. */
void sl_settle_part(struct sl_txn *txn, const struct sl_lease *lease, struct sl_buf *copy,
                    struct sl_task_part *ret_part);

struct sl_task_failure {
    const char *type; /* "runtime", "validation", "resource", "dependency" */
    struct sl_slice code, message;
    uint64_t signal; /* 0: none. */
    bool is_transient;
    uint16_t attempts; /* Runs in all. */
};
#define SL_CRASH_TEXT_MAX 160
/* Of a replica that died of a signal (0: it exited); its message is borrowed from `text`. */
struct sl_task_failure sl_task_failure_crash(uint64_t signal, char text[static SL_CRASH_TEXT_MAX]);
/* The task ended for good without a result: a failure row and the queue's event. */
SL_MUST_CHECK enum sl_err sl_settle_dead(const struct sl_settle *s, const struct sl_lease *lease,
                                         const struct sl_task_failure *failure);
/* It could not be run: it waits until then, as if it had not been leased. */
SL_MUST_CHECK enum sl_err sl_settle_put_off(const struct sl_settle *s, const struct sl_lease *lease,
                                            uint64_t not_before_ms);
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
