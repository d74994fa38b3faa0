/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_child.h - the throw-away process that takes in a model: it gives up everything but the
 * archive's descriptor and one directory (runtime/confine.h), reads the archive once, writes
 * SL_INTAKE_IMAGE into the directory, durably, reports one line and ends.
 *
 *   archive (gzip, tar) --> files --> model_intake.h --> image, checked --> report
 *
 * Threading: one thread, one call in the life of a process.
 */
#ifndef SL_OBJECT_STORE_INTAKE_CHILD_H
#define SL_OBJECT_STORE_INTAKE_CHILD_H

#include "object-store/archive.h"
#include "object-store/model_intake.h"
#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/confine.h"

#define SL_INTAKE_IMAGE           "image"
#define SL_INTAKE_REPORT_SIZE_MAX (64 * SL_KIB)

struct sl_intake_child {
    int archive_fd, report_fd;
    const char *directory; /* Made and empty. */
    const char *format;    /* As it was declared. */
    bool is_embedding;     /* It must be an encoder that can be run here. */
    struct sl_archive_limits limits;
    uint64_t memory_bytes; /* 0: 256 MiB beyond what the process has. */
    uint32_t cpu_seconds;  /* 0: 900 */
    uint64_t file_bytes;   /* Of the largest file; 0: what the limits let an image have. */
};

struct sl_intake_report {
    enum sl_err err;
    struct sl_cause cause; /* When err is not SL_OK: what is wrong and what to do. */
    struct sl_confined confined;
    struct sl_archive_result archive;
    struct sl_model_facts model;
    uint32_t dimensions;   /* Of an encoder's vectors; 0: it is none. */
    struct sl_buf details; /* A JSON object: what the model says of itself; empty: nothing. */
};

/*
 * The whole life of the child. Returns an exit status: 0 when the report was written, whatever it
 * says. Errors in the report: those of archive.h, model_intake.h and bert_layout.h.
 */
int sl_intake_child_main(const struct sl_intake_child *child);

/* The report as one line of JSON, and back. Parse: SL_EINVAL for what is no report: the child died
 * before it could write one. Deinit what was parsed. */
void sl_intake_report_write(const struct sl_intake_report *report, struct sl_buf *out);
void sl_intake_report_deinit(struct sl_intake_report *report); /* Zeroed is fine. */
SL_MUST_CHECK enum sl_err sl_intake_report_parse(struct sl_slice text,
                                                 struct sl_intake_report *ret_report);

#endif
