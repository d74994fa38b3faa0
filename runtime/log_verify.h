/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_verify.h - go through a log that nobody has open and change nothing: is all of it there?
 *
 * Threading: none of its own; blocks for as long as reading all segments takes.
 */
#ifndef SL_RUNTIME_LOG_VERIFY_H
#define SL_RUNTIME_LOG_VERIFY_H

#include "runtime/log.h"

struct sl_log_verdict {
    uint32_t segments; /* That are needed: replayed or held. */
    uint64_t records, bytes;
    uint64_t last;    /* Position of the last record. */
    uint64_t damages; /* How often `damaged` was called. */
};

struct sl_log_verify {
    struct sl_disk disk;
    /* What whoever uses the log would open it with; `record` may be NULL and sees held ones too. */
    struct sl_log_replay replay;
    /* Called, with replay.arg, for each place where a record should be that is not whole.
     * `position` 0: of no known one; `segment` may be no file, but what is missing. */
    void (*damaged)(void *arg, const char *segment, uint64_t offset, uint64_t position);
};

/* SL_OK, also of a damaged log; SL_EIO, SL_EVERSION, or what replay.record returned. */
SL_MUST_CHECK enum sl_err sl_log_verify(const struct sl_log_verify *verify,
                                        struct sl_log_verdict *ret_verdict);

#endif
