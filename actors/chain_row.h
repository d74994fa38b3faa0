/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_row.h - rows behind a chain; only for chain.c and chain_open.c.
 */
#ifndef SL_ACTORS_CHAIN_ROW_H
#define SL_ACTORS_CHAIN_ROW_H

#include "actors/chain.h"

#define SL_CHAIN_RUN_SIZE 16

void sl_chain_run_format(uint64_t run, char ret_text[static SL_CHAIN_RUN_SIZE]);
/* Key of an OPENING row, in `out`. */
struct sl_slice sl_chain_key(struct sl_buf *out, struct sl_scope scope, struct sl_job_id job);
/* Stage that what a run's tiers noted is garbage: nothing reads it any more. */
void sl_chain_drop_notes(struct sl_txn *txn, struct sl_scope scope, const char *batch,
                         uint64_t run);

#endif
