/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subprocess.h - run a program to its end and read what it prints, bounded in size and time: for
 * work that must not be able to harm the process that wants its result.
 *
 * The child has an empty environment, no signal blocked, and three descriptors: its input, a pipe
 * to us, and its diagnostics.
 * Threading: blocks until the child has ended; any thread, several at a time.
 */
#ifndef SL_RUNTIME_SUBPROCESS_H
#define SL_RUNTIME_SUBPROCESS_H

#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_subprocess {
    const char *program;      /* Path of the executable. */
    const char *const *argv;  /* Ends with NULL. */
    int input_fd;             /* Becomes its fd 0; borrowed. -1: /dev/null. */
    bool is_error_read;       /* What it prints as diagnostics is read as well; else dropped. */
    uint64_t timeout_ns;      /* Then it is killed. */
    uint64_t output_size_max; /* Bytes; one that prints more is killed. */
};

/*
 * What the child printed is appended to `out`, also when this fails. SL_ETIMEOUT, SL_ETOOBIG: it
 * was killed. SL_ECRASHED: it ended with another status than 0, or by a signal. SL_EIO, SL_ENOMEM
 * and other errors of the system: it could not be started or read.
 */
SL_MUST_CHECK enum sl_err sl_subprocess_run(const struct sl_subprocess *s, struct sl_buf *out);

#endif
