/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill.h - objects that memory has no room for, in files without a name below a directory: many in
 * one file, which goes when the last of them does. Nothing outlives the process, so nothing is
 * synced and a crash leaves nothing.
 *
 * Threading: one owner; calls block on the disk.
 */
#ifndef SL_OBJECT_STORE_SPILL_H
#define SL_OBJECT_STORE_SPILL_H

#include "runtime/base.h"

#define SL_SPILL_FILE_BYTES (256 * SL_MIB) /* What is larger has a file of its own. */
#define SL_SPILL_FILES_MAX  1024

struct sl_spill;

struct sl_spilled {
    uint32_t file;
    uint32_t check; /* CRC-32C. */
    uint64_t offset, size_bytes;
};

/* At most `size_bytes_max` of objects at a time. Errors: of opening the directory. */
SL_MUST_CHECK enum sl_err sl_spill_create(const char *directory, uint64_t size_bytes_max,
                                          struct sl_spill **ret_spill);
void sl_spill_destroy(struct sl_spill **spill); /* NULL inside is fine. */

/* SL_EFULL: the limit, or of files. SL_ENOSPC, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_spill_write(struct sl_spill *s, struct sl_slice bytes,
                                         struct sl_spilled *ret_spilled);
/* `ret_bytes` takes all of it. SL_EIO. SL_ECORRUPT: they are not those that were written. */
SL_MUST_CHECK enum sl_err sl_spill_read(const struct sl_spill *s, const struct sl_spilled *spilled,
                                        uint8_t *ret_bytes);
void sl_spill_drop(struct sl_spill *s, const struct sl_spilled *spilled);

uint64_t sl_spill_bytes(const struct sl_spill *s); /* Of objects that are there. */
uint64_t sl_spill_files(const struct sl_spill *s);

#endif
