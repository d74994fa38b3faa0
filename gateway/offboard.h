/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offboard.h - how a tenant leaves (docs/tenants.md):
 *
 *   active, suspended, failed --offboard--> offboarding: keys refused, queues paused
 *        ^                                   | drain, export
 *        |                                   v
 *        `----------- cancel ------------- retained, until purge_at
 *                                            | keys, work, blobs, files, rows, disk
 *                                            v
 *                                         offboarded: its id and its times are all there is
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_OFFBOARD_H
#define SL_GATEWAY_OFFBOARD_H

#include "gateway/passage.h"

enum sl_offboard_step {
    SL_OFFBOARD_DRAIN,  /* Until nothing runs, or DRAIN_MS are over. */
    SL_OFFBOARD_EXPORT, /* Skipped where none is asked for. */
    SL_OFFBOARD_RETAIN, /* Until purge_at. Behind it there is no way back. */
    SL_OFFBOARD_KEYS,
    SL_OFFBOARD_WORK,
    SL_OFFBOARD_BLOBS,
    SL_OFFBOARD_FILES,
    SL_OFFBOARD_ROWS,
    SL_OFFBOARD_DISK,
    SL_OFFBOARD_STEPS
};

/* Stage what is next of it. */
enum sl_passage_state sl_offboard_step(struct sl_passage *p);

/* Is a tenant with this row erased, or being erased? */
bool sl_offboard_is_final(struct sl_txn *txn, struct sl_json row);

/* offboard_erase.c: each stages a part of its step; true: nothing is left of it. */
bool sl_erase_keys(struct sl_passage *p);
bool sl_erase_work(struct sl_passage *p);
/* False: some are so young that a request may be about to name them. */
bool sl_erase_blobs(struct sl_passage *p);
/* After the commit, the export that the tenant's row named, where no other row does. */
void sl_erase_export(struct sl_call *call, struct sl_json row);
bool sl_erase_files(struct sl_passage *p);
bool sl_erase_rows(struct sl_passage *p);
bool sl_erase_disk(struct sl_passage *p);

#endif
