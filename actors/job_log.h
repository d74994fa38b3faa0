/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_log.h - what happened to a job between its submit and its end: a few lines, written in the
 * transactions that they tell of. The first SL_JOB_LOG_LINES stay; then the row is left alone, so a
 * job that is retried a million times costs no more than one that is retried sixty times.
 */
#ifndef SL_ACTORS_JOB_LOG_H
#define SL_ACTORS_JOB_LOG_H

#include "queue/look.h"
#include "runtime/base.h"
#include "runtime/store.h"

#define SL_JOB_LOG_LINES     64
#define SL_JOB_LOG_LINE_SIZE 256 /* Bytes; a longer one is cut. */

/* Stage a line of the job's log, or the mark that some are missing. */
void sl_job_log_add(struct sl_txn *txn, struct sl_scope scope, struct sl_job_id job,
                    uint64_t now_ms, const char *line);

struct sl_job_log {
    struct sl_reader lines;
    bool is_truncated;
};
/* Read a row's value; slices are borrowed from it. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_job_log_decode(struct sl_slice value, struct sl_job_log *ret_log);
/* The next line, oldest first; false at the end. */
bool sl_job_log_next(struct sl_job_log *log, uint64_t *ret_ms, struct sl_slice *ret_line);

#endif
