/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - a process gives up what it will not need, for good, before it touches what a stranger
 * sent: paths (Landlock), system calls (seccomp), memory, time and file size (resource limits).
 *
 * What the kernel does not have is reported, never assumed: the errno of each part that is not in
 * force is kept.
 * Threading: call it while the process has one thread. Nothing of it can be undone.
 */
#ifndef SL_RUNTIME_CONFINE_H
#define SL_RUNTIME_CONFINE_H

#include "runtime/base.h"

struct sl_confine_options {
    int directory_fd; /* Files may be made, read and written below it and nowhere else; borrowed. */
    uint64_t memory_bytes; /* Private memory beyond what the process has. */
    uint64_t file_bytes;   /* Of the largest file. */
    uint64_t cpu_seconds;
};

struct sl_confined { /* 0: in force; else the errno that says why not. */
    int landlock, seccomp;
};

/*
 * From here on the process may work on descriptors that it has and on files below the directory,
 * allocate, and end. It can start nothing, connect to nothing, map nothing that can be executed.
 * A call that is not allowed fails with EPERM.
 */
struct sl_confined sl_confine(const struct sl_confine_options *options);

/* Which parts this kernel would put in force, without doing so. */
struct sl_confined sl_confine_probe(void);

#endif
