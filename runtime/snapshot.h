/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a projection's state in a file: whole and of a known position, or not there.
 *
 *   magic u32 | version u32 | position u64 | size u64 | crc32c u32 (of the rest) | payload
 */
#ifndef SL_RUNTIME_SNAPSHOT_H
#define SL_RUNTIME_SNAPSHOT_H

#include "runtime/buf.h"
#include "runtime/file.h"

/* Replace the file `name`: written beside it, synced, renamed. On error the old one stands. */
SL_MUST_CHECK enum sl_err sl_snapshot_write(const struct sl_disk *disk, const char *name,
                                            uint64_t position, struct sl_slice payload);

/*
 * Read it; *ret_payload borrows from *buf, which is replaced. SL_ENOTFOUND: there is none (an empty
 * file is left). SL_ECORRUPT, SL_EVERSION, SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_snapshot_read(const struct sl_disk *disk, const char *name,
                                           struct sl_buf *buf, uint64_t *ret_position,
                                           struct sl_slice *ret_payload);

#endif
