/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h - an uploaded model archive is opened in a child process, never in ours: confined to an
 * empty directory it makes the model's image (object-store/intake_child.h) and reports.
 *
 *   archive --(child: unpack, check, lay out)--> temporary directory, report --(keep)--> directory
 *                                        `-- any failure: removed, nothing is left
 *
 * Threading: sl_unpack_model blocks for as long as the child runs: an I/O thread's work.
 */
#ifndef SL_GATEWAY_UNPACK_H
#define SL_GATEWAY_UNPACK_H

#include "object-store/cause.h"
#include "object-store/model_intake.h"
#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_UNPACK_VERB "unpack-model"

struct sl_unpack_request {
    const char *program;   /* This executable: it is started with SL_UNPACK_VERB. */
    int archive_fd;        /* Borrowed, read from its start. */
    const char *temporary; /* Directory to make for the work; must not exist. */
    const char *format;    /* "safetensors", "huggingface", "pytorch", "onnx" */
    bool is_embedding;     /* Must be an encoder that we can run. */
    uint32_t timeout_s;    /* 0: 900 */
};

struct sl_unpack_report {
    struct sl_model_facts model; /* Its digest is where it is kept: sl_unpack_directory. */
    struct sl_buf details;       /* A JSON object: what the model says of itself; empty: nothing. */
    uint32_t dimensions;         /* Of an encoder's vectors; 0: it is none. */
};

void sl_unpack_report_deinit(struct sl_unpack_report *report); /* Zeroed is fine. */

/*
 * On success the model lies in `temporary`, durably. SL_EINVAL, SL_EUNAVAIL, SL_ETOOBIG: the
 * archive's fault, the cause says why. SL_ETIMEOUT, SL_ECRASHED: the child did not finish.
 * SL_EIO, SL_ENOSPC: ours. On any error the directory is not there. Deinit a report that was made.
 */
SL_MUST_CHECK enum sl_err sl_unpack_model(const struct sl_unpack_request *request,
                                          struct sl_unpack_report *ret_report,
                                          struct sl_cause *ret_cause);

/*
 * Give an unpacked model its place, durably; its parents are made. What lies there is replaced: the
 * caller knows that no row points to it, so that a crash or a failed commit left it. Quick (a
 * rename and a sync of a directory), so that the store's thread may do it between the check of the
 * name and the row. On error `temporary` is removed.
 */
SL_MUST_CHECK enum sl_err sl_unpack_keep(const char *temporary, const char *directory);

/* Remove a directory and all below it; what is not there is fine. */
void sl_tree_remove(const char *path);

/* The child's main: argv[0] is SL_UNPACK_VERB. Reads fd 0, reports on fd 1. */
int sl_unpack_main(int argc, char **argv);

#endif
