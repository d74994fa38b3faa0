/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - whose turn it is: weighted fair share of measured service time between lanes.
 *
 * Each lane has a pass: the service it had so far over its weight. Next is the lane with the lowest
 * pass, and among equals the one that has waited longest. What a task will cost is not known when
 * it is granted, so the lane is charged what its tasks took lately, and settles at the end. The
 * virtual time is the pass of the latest lane that was granted something: a lane that comes back
 * starts there, so that idleness earns nothing, and owes nothing to those who came meanwhile.
 *
 * Between two lanes that always have work, service over weight differs by at most the cost of what
 * each has under way plus one task's, however many lanes there are.
 *
 *   open --> (idle) --join--> waiting --next, grant--> ... --leave--> (idle) --close-->
 *
 * Lanes are numbers of the caller's, small ones: memory is 24 bytes up to the highest, and 16 for
 * each that waits. Cost is nanoseconds of service; above 2^48 (78 hours) counts as that.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_SHARE_H
#define SL_QUEUE_SHARE_H

#include "queue/list.h"

#define SL_SHARE_WEIGHT_MAX  10000
#define SL_SHARE_COST_MAX_NS (UINT64_C(1) << 48)

struct sl_share;

struct sl_share *sl_share_create(void);
void sl_share_destroy(struct sl_share **share);

/* Begin a lane, idle, or change the weight of one. SL_EINVAL: weight 0 or over the maximum. */
SL_MUST_CHECK enum sl_err sl_share_open(struct sl_share *s, uint32_t lane, uint32_t weight);

/* Forget a lane and what it owes, so only once it has nothing under way. Waiting, it leaves. */
void sl_share_close(struct sl_share *s, uint32_t lane);

/* The lane, open, has something to grant; or has not any more. Repeating either does nothing. */
void sl_share_join(struct sl_share *s, uint32_t lane);
void sl_share_leave(struct sl_share *s, uint32_t lane);

/* Whose turn it is; SL_NONE: no lane waits. Asking changes nothing. */
uint32_t sl_share_next(const struct sl_share *s);

/*
 * A task of the lane was handed out: charge what is expected of it. Returns that, which the caller
 * keeps with the task: its last tasks' mean, or, of a lane that has finished none, all lanes'.
 */
uint64_t sl_share_grant(struct sl_share *s, uint32_t lane);

/* Charge more for a task under way, as when it runs longer than it was charged for. */
void sl_share_charge(struct sl_share *s, uint32_t lane, uint64_t cost_ns);

/* A task ended: it was charged so much in all, and took so much. */
void sl_share_settle(struct sl_share *s, uint32_t lane, uint64_t charged_ns, uint64_t actual_ns);

/* Take a charge back whose task did not run; it does not count among what tasks take. */
void sl_share_refund(struct sl_share *s, uint32_t lane, uint64_t charged_ns);

/* What the lane's next task is expected to take. */
uint64_t sl_share_estimate_ns(const struct sl_share *s, uint32_t lane);

uint32_t sl_share_waiting_count(const struct sl_share *s);
/* One of those that wait, in no order: `i` below their count. */
uint32_t sl_share_waiting(const struct sl_share *s, uint32_t i);

#endif
