/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h - what time alone brings about and must be durable, some of it at a time:
 *
 *   waiting tasks past their expires_ms that never ran                  EXPIRE_TASK
 *   succeeded ones that were kept for their retain_ms                   FORGET_TASK
 *   failed ones that their queue keeps no longer (dead_retain_ms), or
 *   beyond those it keeps (dead_max), the oldest first                  FORGET_TASK
 *   tasks of queues that were dropped, whatever they are                PURGE
 *   idempotency keys whose window is over (they are free at once)       DROP_KEYS
 *
 * What has no such time costs nothing. Whoever owns the queue calls when sl_queue_sweep_next_ms
 * says, commits the events, and calls again at once while there is more. Nothing is due twice once
 * its event is applied; if it is not, it is due again. Threading: one owner.
 */
#ifndef SL_QUEUE_SWEEP_H
#define SL_QUEUE_SWEEP_H

#include "queue/queue.h"

#define SL_QUEUE_SWEEP_MAX  256                 /* Tasks and keys of one call... */
#define SL_QUEUE_PURGE_MAX  4096                /* ...but so many of dropped queues, of... */
#define SL_QUEUE_PURGE_LOOK (UINT32_C(1) << 16) /* ...as many that are looked at. */

struct sl_swept {
    uint32_t expired, forgotten, dead, keys, purged; /* Of each kind above. */
    bool is_more;                                    /* There may be more that is due. */
};

/* Append what is due, as queue/events.h has it; returns how many tasks and keys. */
uint32_t sl_queue_sweep(struct sl_queue *q, uint64_t now_ms, struct sl_buf *out,
                        struct sl_swept *ret_swept);

/* Wall milliseconds before which nothing is due, maybe past; UINT64_MAX: nothing ever will be. */
uint64_t sl_queue_sweep_next_ms(const struct sl_queue *q);

#endif
