/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_verify.h - go through a store that nobody has open: snapshots, and every record of the log
 * that a start would replay or read from. Nothing is changed. The catalogue has no checksums: of it
 * only the position is read.
 *
 * Threading: none of its own; blocks for as long as reading all of it takes.
 */
#ifndef SL_RUNTIME_STORE_VERIFY_H
#define SL_RUNTIME_STORE_VERIFY_H

#include "runtime/log_verify.h"

struct sl_store_verify {
    const char *directory; /* As in struct sl_store_options. */
    void *arg;
    /* Called for each damage: a file's name, or "missing"; see struct sl_log_verify. */
    void (*damaged)(void *arg, const char *name, uint64_t offset, uint64_t position);
    /* Called as it goes on, with the records seen so far; NULL: untold. */
    void (*progress)(void *arg, uint64_t records);
};

struct sl_store_verdict {
    uint32_t snapshots;
    uint64_t snapshots_bytes;
    uint64_t catalogue_position;
    uint64_t damages; /* In snapshots and log. */
    struct sl_log_verdict log;
};

/* SL_OK, also of a damaged store. SL_EBUSY: somebody has it open. SL_ENOTFOUND: there is none.
 * SL_EIO, SL_EVERSION, SL_ECORRUPT (the catalogue). */
SL_MUST_CHECK enum sl_err sl_store_verify(const struct sl_store_verify *verify,
                                          struct sl_store_verdict *ret_verdict);

#endif
