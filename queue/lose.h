/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lose.h - leases of tenants' own queues that are lost: their holder is gone, or they lapsed.
 *
 *     lease --(prefetched)--> held --begin--> begun --lose, lapse--> counted as a crash
 *                               `----------- lose, lapse ----------> given back, uncounted
 *
 * A lease that is not prefetched has begun when it is granted. Of a holder that is lost and was not
 * heard to begin any of its leases, the oldest counts as begun: it died of something, and begins
 * them in the order in which they came. So poison cannot stay unnoticed, whatever was not said.
 *
 * A holder that is lost may have many leases: they are set apart at once, so that a new holder of
 * its name has nothing to do with them, and are taken from it some at a time. Until then they are
 * live. All of it is volatile, like leases: a restart makes what was not taken ready, uncounted.
 *
 * Threading: one owner, that of the queue.
 */
#ifndef SL_QUEUE_LOSE_H
#define SL_QUEUE_LOSE_H

#include "queue/queue.h"

#define SL_LOSS_LINES_MAX 512 /* Bytes of last lines; as much as a task keeps (finish.h). */

/* How a holder went, as far as anybody knows. */
struct sl_loss {
    uint64_t holder;
    bool is_uncounted; /* What it had goes back as if it had not begun. */
    uint32_t signal;   /* 0: it exited, or nobody knows... */
    uint64_t peak_bytes;
    struct sl_slice lines; /* ...and its last lines: the end of them is kept. */
};

/* It has begun; again is fine. SL_ESTALE. */
SL_MUST_CHECK enum sl_err sl_queue_begin(struct sl_queue *q, uint64_t task_id, uint64_t epoch);
/* Set apart what the holder has; how many leases. */
uint64_t sl_queue_lose(struct sl_queue *q, const struct sl_loss *loss);
bool sl_queue_has_lost(const struct sl_queue *q); /* Some are set apart. */
/*
 * The next leases that are set apart, of one holder: whoever asks ends them or gives them back
 * before asking again. First those that have begun, in order; then the others, newest first. At
 * most `max`; how many: 0, there are none. *ret_loss is lent until the first of them has ended.
 */
uint32_t sl_queue_lost(const struct sl_queue *q, uint32_t max, struct sl_lease *ret_leases,
                       struct sl_loss *ret_loss);
/* One lapsed lease, live; false: none has lapsed. */
bool sl_queue_lapsed(struct sl_queue *q, uint64_t now_ns, struct sl_lease *ret_lease);
/* Several: whoever asks ends each or gives it back, as they do not lapse again. How many. */
uint32_t sl_queue_lapsed_take(struct sl_queue *q, uint64_t now_ns, uint32_t max,
                              struct sl_lease *ret_leases);

#endif
