/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/use_jobs.h"

#include "actors/job_row.h"
#include "actors/rows.h"
#include "actors/use_counts.h"
#include "gateway/gateway.h"

#define OWN "own"

static const char *
outcome_of(enum sl_job_state state)
{
    static const char *const names[] = {[SL_JOB_SUCCEEDED] = "succeeded",
                                        [SL_JOB_PARTIAL] = "partial",
                                        [SL_JOB_FAILED] = "failed",
                                        [SL_JOB_CANCELED] = "canceled"};
    return (unsigned)state < SL_COUNT_OF(names) ? names[state] : NULL;
}

void
sl_use_job_ended(const struct sl_gateway *g, struct sl_scope scope, struct sl_slice id)
{
    struct sl_job_row job;
    struct sl_slice bytes;
    if (g->uses == NULL || id.size != sizeof(struct sl_job_id))
        return;
    struct sl_txn *txn = sl_store_begin(g->store);
    if (sl_txn_get(txn, scope, SL_TABLE_JOB, id, &bytes) == SL_OK &&
        sl_job_row_decode(bytes, &job) == SL_OK && outcome_of(job.state) != NULL) {
        struct sl_use use = {.kind = SL_USE_JOBS,
                             .scope = scope,
                             .labels = {job.kind, sl_slice_str(outcome_of(job.state))}};
        sl_use_count(g->uses, &use, 1, 0);
    }
    sl_txn_abort(&txn);
}

void
sl_use_own_changed(const struct sl_gateway *g, const struct sl_queue_change *change)
{
    bool has_ended = sl_state_has_ended(change->state) && sl_change_is_durable(change->change);
    if (!has_ended || change->class != SL_CLASS_OWN)
        return;
    struct sl_use use = {.kind = SL_USE_JOBS,
                         .scope = change->scope,
                         .labels = {sl_slice_str(OWN), sl_slice_str(sl_state_name(change->state))}};
    sl_use_count(g->uses, &use, 1, 0);
}
