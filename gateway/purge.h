/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purge.h - deleting many rows without one huge transaction. What a request cannot delete at once
 * is noted as garbage in the same transaction, and the api actor deletes it in slices:
 *
 *   delete: the resource's row and name, rows up to SL_ROWS_DELETE_MAX --(more?)--> garbage row
 *                                                                                      |
 *   sl_purge_step, again and again, also after a restart <-----------------------------'
 *       `-- the last slice of a task: its job row says SUCCEEDED
 *
 * Rows under the id of a deleted resource cannot be reached, and ids are never used again, so
 * nobody sees what is still there.
 */
#ifndef SL_GATEWAY_PURGE_H
#define SL_GATEWAY_PURGE_H

#include "gateway/gateway.h"

#define SL_ROWS_DELETE_MAX 5000 /* In the request itself: some tens of milliseconds. */
#define SL_PURGE_ROWS      2000 /* In one slice. */

struct sl_purge {
    uint64_t left;       /* Rows that this request may still delete. */
    const char *task_id; /* The task that ends with the last slice; "": none. */
    bool is_more;        /* Something was left as garbage. */
};

/* Both begin a purge; the first for a request that reports a task. */
struct sl_purge sl_purge_with_task(struct sl_call *call);
struct sl_purge sl_purge_begin(void);

/* Delete every row of a table with this prefix, now or later. Of records, also the keys by which
 * they are found without their collection. */
void sl_rows_delete(struct sl_call *call, uint8_t table, struct sl_slice prefix,
                    struct sl_purge *purge);

/* Delete up to `rows_max` rows of a scope, of whatever table: how many. 0: it has none. */
uint64_t sl_rows_delete_any(struct sl_txn *txn, struct sl_scope scope, uint64_t rows_max);

/* Store the task: ended, or running until the garbage is gone. Returns its status for the reply. */
const char *sl_purge_task(struct sl_call *call, const struct sl_purge *purge, const char *kind,
                          const char *about);

/* Delete one slice of garbage, and bring a tenant that comes or goes on by a step (passage.h).
 * *ret_is_more: there is more of it; else g->passage_due_ms says when there may be. Errors: the
 * commit's. */
SL_MUST_CHECK enum sl_err sl_purge_step(struct sl_gateway *g, uint64_t now_ms, uint32_t rows_max,
                                        bool *ret_is_more);

#endif
