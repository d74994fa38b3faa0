/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_erase.h - what an erasure asks of the log (log.h): to write on elsewhere, and to remove files
 * that it would write again. Threading: the log's owner.
 */
#ifndef SL_RUNTIME_LOG_ERASE_H
#define SL_RUNTIME_LOG_ERASE_H

#include "runtime/log.h"

/* Write on in another segment, so that all that was appended until now can be released. Errors are
 * as sync's. */
SL_MUST_CHECK enum sl_err sl_log_rotate(struct sl_log *log);
/* Remove the files of segments that wait to be used again, which hold old records; the next one is
 * made anew. */
void sl_log_drop_free(struct sl_log *log);

#endif
