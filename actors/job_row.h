/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_row.h - a job as it is stored: written when it is submitted and again when it ends. While it
 * runs, its counts are the queue's (sl_queue_job).
 */
#ifndef SL_ACTORS_JOB_ROW_H
#define SL_ACTORS_JOB_ROW_H

#include "runtime/base.h"
#include "runtime/buf.h"

#include "queue/look.h"

struct sl_job_row {
    enum sl_job_state state;                   /* PENDING until it ended; then as it ended. */
    uint64_t created_ms, started_ms, ended_ms; /* 0: not yet. */
    uint64_t total, done, dead, canceled, records;
    struct sl_slice kind;  /* The gateway's task type. */
    struct sl_slice about; /* JSON object of the gateway's: batch_id, bucket_id, ... */
    struct sl_slice error; /* The last error's text; empty: none. */
};

void sl_job_row_encode(const struct sl_job_row *r, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_job_row_decode(struct sl_slice bytes, struct sl_job_row *ret_row);

void sl_job_id_format(struct sl_job_id id, char ret_text[static 37]); /* UUID text. */
SL_MUST_CHECK enum sl_err sl_job_id_parse(struct sl_slice text, struct sl_job_id *ret_id);

#endif
