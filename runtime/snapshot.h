/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a projection's state in a file: whole and of a known position, or not there.
 *
 *   magic u32 | version u32 | position u64 | size u64 | crc32c u32 (of payload and head) | payload
 *
 *     create --> add (any number) --> finish
 *                               `---> cancel (also after a failure)
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_SNAPSHOT_H
#define SL_RUNTIME_SNAPSHOT_H

#include "runtime/buf.h"
#include "runtime/file.h"

struct sl_snapshot_writer;

/* Begin to replace the file `name`: written beside it. The disk is borrowed until the end. */
SL_MUST_CHECK enum sl_err sl_snapshot_create(const struct sl_disk *disk, const char *name,
                                             uint64_t position,
                                             struct sl_snapshot_writer **ret_writer);
/* Its way to the disk begins at once: in one go, a large file would make all wait at its end. */
SL_MUST_CHECK enum sl_err sl_snapshot_add(struct sl_snapshot_writer *w, struct sl_slice payload);
/* Sync it, give it its name, end. On error *writer is still there, and the old file stands. */
SL_MUST_CHECK enum sl_err sl_snapshot_finish(struct sl_snapshot_writer **writer);
/* Drop what was written. NULL inside is fine. */
void sl_snapshot_cancel(struct sl_snapshot_writer **writer);

/*
 * Read it; *ret_payload borrows from *buf, which is replaced. SL_ENOTFOUND: there is none (an empty
 * file is left). SL_ECORRUPT, SL_EVERSION, SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_snapshot_read(const struct sl_disk *disk, const char *name,
                                           struct sl_buf *buf, uint64_t *ret_position,
                                           struct sl_slice *ret_payload);

#endif
