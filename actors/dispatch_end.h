/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_end.h - how tasks end, and with their last one a job: what nodes report under a live
 * epoch, and what cannot be run at all. Part of the dispatcher actor.
 *
 *   task_done   --> records + vectors + counters + done, one log record --> job_ended, next tier
 *   task_failed --> retry with back-off, or a failure row + dead        --> likewise
 *
 * A commit that the store refuses gives the task back, and nothing is leased for a while.
 */
#ifndef SL_ACTORS_DISPATCH_END_H
#define SL_ACTORS_DISPATCH_END_H

#include "actors/chain.h"
#include "actors/dispatch_nodes.h"
#include "actors/dispatcher.h"

#define SL_DISPATCH_TOKEN_OPEN 3 /* Of the timer for tiers. */

struct sl_dispatch_end {
    const struct sl_dispatcher_options *options; /* These two are the dispatcher's. */
    struct sl_dispatch_nodes *nodes;
    struct sl_dispatcher_counts counts;
    uint64_t refused_until_ns; /* No lease before: the store refused a commit. */
    struct sl_chain_opener *opener;
    struct sl_buf payload;
    struct sl_m_task_traced traced; /* Of the end that is handled; task_id 0: of none. */
    uint64_t told_second;           /* In which `told` leases were told of. */
    uint32_t told;
    bool is_opening; /* A timer of its own is set. */
    bool is_draining;
};

/* What an agent says of a lease. A stale end is counted, and nothing else. */
void sl_dispatch_done(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_msg *msg);
void sl_dispatch_failed(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_msg *msg);

/* ---- of live leases that nobody ran -------------------------------------------------------- */

/* Read what a lease is about. False: it ended here, or was put off: its bytes cannot be had. */
bool sl_dispatch_read(struct sl_dispatch_end *e, struct sl_ctx *ctx, struct sl_lease *lease);
/* It cannot be run as it is: dead, with a reason. */
void sl_dispatch_end_refused(struct sl_dispatch_end *e, struct sl_ctx *ctx,
                             const struct sl_lease *lease, const char *code, const char *why);
/* Its source or collection was deleted after it was submitted: there is nothing to make. */
void sl_dispatch_end_orphan(struct sl_dispatch_end *e, struct sl_ctx *ctx,
                            const struct sl_lease *lease);
/* Not before then, uncounted. */
void sl_dispatch_put_off(struct sl_dispatch_end *e, struct sl_ctx *ctx,
                         const struct sl_lease *lease, uint64_t until_ms);
/* To the front of its queue, uncounted. */
void sl_dispatch_return(struct sl_dispatch_end *e, const struct sl_lease *lease);

/* ---- jobs and tiers ------------------------------------------------------------------------ */

/* Jobs that ended where we did not see it. */
void sl_dispatch_end_jobs(struct sl_dispatch_end *e, struct sl_ctx *ctx);
/* Tiers whose tasks are to be made may be there: see to them, slice by slice. */
void sl_dispatch_tiers_open(struct sl_dispatch_end *e, struct sl_ctx *ctx);
/* SL_DISPATCH_TOKEN_OPEN is due. */
void sl_dispatch_tiers_go_on(struct sl_dispatch_end *e, struct sl_ctx *ctx);

#endif
