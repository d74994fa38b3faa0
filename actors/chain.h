/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - batches of several tiers: one job each, promised in the transaction that ends the job
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
 *
 *   tier n ends, tier n+1: its row, and OPENING --slices--> its tasks: one event; OPENING is gone
 *
 * The tasks are collected from the notes in memory, a slice at a time, so that a tier of 100,000
 * documents holds nobody up. They are enqueued by the commit that deletes the OPENING row: a crash
 * on the way begins the collecting anew, and no task is ever there twice.
 */
#ifndef SL_ACTORS_CHAIN_H
#define SL_ACTORS_CHAIN_H

#include "actors/extraction.h"
#include "actors/job_row.h"
#include "runtime/store.h"

#define SL_CHAIN_TIERS_MAX 8
/* Documents of one tier: its tasks are one event, and so one record of the log. */
#define SL_CHAIN_TASKS_MAX 200000

/* Members of a later tier's `about` once its tasks are made: notes read, and tasks made of them. */
#define SL_CHAIN_FETCHED "source_documents_fetched"
#define SL_CHAIN_KEPT    "documents_after_source_filter"

/* Note a record that a later tier reads. */
void sl_chain_note(struct sl_txn *txn, struct sl_scope scope, const struct sl_task_payload *p,
                   const char *record_id);

/*
 * The job `ended` is about to be stored as ended: stage the job of the next tier, whose tasks
 * sl_chain_open_some makes. False: nothing follows; it was cancelled; or it failed, and no later
 * tier reads what tiers before it wrote. Then what was noted is left to the purge.
 */
bool sl_chain_next(struct sl_txn *txn, struct sl_scope scope, const struct sl_job_row *ended,
                   uint64_t now_ms, struct sl_job_id *ret_next);

/* Makes the tasks of tiers, one tier at a time. What it holds is volatile. */
struct sl_chain_opener;
struct sl_chain_opener *sl_chain_opener_create(void);
void sl_chain_opener_destroy(struct sl_chain_opener **opener); /* NULL inside is fine. */

struct sl_chain_opened {
    bool is_more;         /* Call again, after others had their turn. */
    bool is_job;          /* The job of a tier is in the queue now; it may have no task. */
    struct sl_job_id job; /* With is_job. */
};
/*
 * Do one slice of what is to be opened. A tier that was cancelled meanwhile ends its chain, and so
 * does one of too many documents, as FAILED. Errors: a commit's; the tier is opened anew.
 */
SL_MUST_CHECK enum sl_err sl_chain_open_some(struct sl_chain_opener *o, struct sl_store *store,
                                             uint64_t now_ms, struct sl_chain_opened *ret_opened);

#endif
