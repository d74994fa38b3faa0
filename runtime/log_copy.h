/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_copy.h - a copy of a log that goes on: all kept segments up to what was durable at the begin.
 *
 *     begin (owner) --> run (any thread, beside the owner) --> destroy (owner)
 *
 * Until destroy nothing may be released: the copy reads from the log's files.
 */
#ifndef SL_RUNTIME_LOG_COPY_H
#define SL_RUNTIME_LOG_COPY_H

#include "runtime/log.h"

struct sl_log_copy;

/* All appended is synced first. SL_EIO and the like: as sl_log_sync's. */
SL_MUST_CHECK enum sl_err sl_log_copy_begin(struct sl_log *log, struct sl_log_copy **ret_copy);
/* Write it all to an empty directory, synced. SL_ENOSPC, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_log_copy_run(const struct sl_log_copy *copy,
                                          const struct sl_disk *target);
void sl_log_copy_destroy(struct sl_log_copy **copy); /* NULL inside is fine. */

/* One file from disk to disk, of the same name: the first `bytes` of it. Its size becomes `size`.
 */
SL_MUST_CHECK enum sl_err sl_file_copy(const struct sl_disk *disk, struct sl_file *from,
                                       uint64_t bytes, const struct sl_disk *target,
                                       const char *name, uint64_t size);

#endif
