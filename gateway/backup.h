/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h - a copy of a data directory, of a server that goes on or of one that is down: the store
 * (runtime/store_backup.h), and what lies beside it that a start needs: format, admin.key, blobs,
 * models. Uploads under way and sockets are not in it.
 *
 *     begin (store's thread) --> run (any thread, beside it) --> end (store's thread)
 *
 * Files are immutable, so on one file system they get a second name, else they are copied. A model
 * or blob that is deleted meanwhile may be missing. Directories are 0700, admin.key 0600.
 */
#ifndef SL_GATEWAY_BACKUP_H
#define SL_GATEWAY_BACKUP_H

#include "runtime/store.h"

struct sl_backup;

struct sl_backup_done {
    uint64_t files, bytes; /* In the copy. */
};

/*
 * Whether a backup may be made at `path`: absolute, in a directory that is there and not in the
 * data directory. SL_EEXIST (also of PATH.part), SL_ENOTFOUND (its directory), SL_EDENIED,
 * SL_EINVAL. Blocks.
 */
SL_MUST_CHECK enum sl_err sl_backup_check(const char *data_directory, const char *path);

/* After sl_backup_check. SL_EBUSY: another is under way. Others: see sl_store_backup_begin. */
SL_MUST_CHECK enum sl_err sl_backup_begin(struct sl_store *store, const char *data_directory,
                                          const char *path, struct sl_backup **ret_backup);
void sl_backup_run(struct sl_backup *backup); /* Blocks. Once. */
/* SL_ENOSPC, SL_EIO...: there is no copy. *ret_done is for SL_OK. Before the store is closed. */
SL_MUST_CHECK enum sl_err sl_backup_end(struct sl_backup **backup, struct sl_backup_done *ret_done);

#endif
