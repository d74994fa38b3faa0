/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_backup.h - a copy of a store that goes on: what had been committed when it began.
 *
 *     begin (owner) --> run (any thread, beside the owner) --> end (owner)
 *
 * The copy is a store's directory (log, catalogue, snapshots) that sl_store_open takes. It is
 * written at PATH.part and gets its name when all of it is on disk. Meanwhile no checkpoint is
 * taken, so the log grows; while the catalogue is copied, which comes first, it is not committed.
 * Files beside the store (blobs, models) are not in it.
 */
#ifndef SL_RUNTIME_STORE_BACKUP_H
#define SL_RUNTIME_STORE_BACKUP_H

#include "runtime/store.h"

struct sl_store_backup;

/* SL_EEXIST: `path` is there. SL_EBUSY: another is under way. SL_EUNAVAIL: a store in memory.
 * Others: the store's own, which are final (see sl_store_sync). */
SL_MUST_CHECK enum sl_err sl_store_backup_begin(struct sl_store *store, const char *path,
                                                struct sl_store_backup **ret_backup);
void sl_store_backup_run(struct sl_store_backup *backup); /* Blocks. Once. */
/* What came of it: SL_OK, SL_ENOSPC, SL_EIO; after an error there is no copy. Call it after run,
 * before the store is closed. */
SL_MUST_CHECK enum sl_err sl_store_backup_end(struct sl_store_backup **backup);

/* All three, blocking. */
SL_MUST_CHECK enum sl_err sl_store_backup(struct sl_store *store, const char *path);

#endif
