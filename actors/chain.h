/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - batches of several tiers: one job each, made in the transaction that ends the job
 * before, so that a chain is never lost and never doubled.
 *
 *   tier 0: objects -> records of the collections that the bucket feeds
 *   tier n: the records that this run of the batch wrote in tiers before -> records of the
 *           collections that those collections feed
 *
 * A job's `about` names what follows it:
 *   "batch_id", "run": n, "total_tiers", "current_tier", "chain": [the tiers after this one:
 *      {"task_id": UUID of its job,
 *       "collections": [{"collection_id", "sources": [collection ids], "is_chained": bool,
 *                        "filters": tree or null}]}]
 * While tiers follow, each record that one of them reads is noted in SL_TABLE_TIER.
 */
#ifndef SL_ACTORS_CHAIN_H
#define SL_ACTORS_CHAIN_H

#include "actors/extraction.h"
#include "actors/job_row.h"
#include "runtime/store.h"

#define SL_CHAIN_TIERS_MAX 8
/* Documents of one tier: its tasks are one event, and so one record of the log. */
#define SL_CHAIN_TASKS_MAX 200000

/* Note a record that a later tier reads. */
void sl_chain_note(struct sl_txn *txn, struct sl_scope scope, const struct sl_task_payload *p,
                   const char *record_id);

/*
 * The job `ended` is about to be stored as ended: stage the job of the next tier, which may have no
 * task. False: nothing follows, or it failed or was cancelled, and what was noted is left to the
 * purge. A tier of too many documents is staged as a job that failed, and says so.
 */
bool sl_chain_next(struct sl_txn *txn, struct sl_scope scope, const struct sl_job_row *ended,
                   uint64_t now_ms, struct sl_job_id *ret_next);

#endif
