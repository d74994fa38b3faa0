/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - a process that is about to run code that is not ours gives up what that code has no
 * use for: a table of parts (sandbox.def), each of which the kernel puts in force or does not have.
 *
 * What is not in force is reported, never assumed: sl_sandbox_enter returns the state of each part,
 * small enough for a message. Compare confine.h, for our own code on a stranger's bytes, which may
 * do far less: not even start a thread.
 *
 * Threading: call it while the process has one thread; those that start later are held, too.
 * Nothing of it can be undone.
 */
#ifndef SL_RUNTIME_SANDBOX_H
#define SL_RUNTIME_SANDBOX_H

#include "runtime/json.h"

enum sl_sandbox_part {
#define PART(name, text, doc) SL_SANDBOX_##name,
#include "runtime/sandbox.def"
#undef PART
    SL_SANDBOX_PARTS
};

#define SL_SANDBOX_UID_FIRST 1879048192u /* Above the ranges that systemd gives to containers. */
#define SL_SANDBOX_UID_COUNT 1048576u

#define SL_SANDBOX_FILES_MAX 1024 /* Descriptors. */
#define SL_SANDBOX_THREADS_MAX                                                                     \
    4096 /* Of a tenant's uid on a machine, or of one user namespace.                              \
          */

struct sl_sandbox_options {
    /* What may be read beside system libraries: files and directories, ':' between. A relative or
       absent one gives nothing. "": nothing more. Borrowed; NULL as "". */
    const char *readable;
    const char *unlisted; /* The same without listing: who has a name in there reads it. */
    const char *devices; /* May be read, written and controlled: as readable; '*' may end a name. */
    uint32_t uid;        /* Of root: become this user, of the group of its number. 0: stay. */
    uint64_t data_bytes; /* Private memory beyond what the process has; 0: any. */
    uint64_t file_bytes; /* Most of one file that it writes: with Landlock only one in memory. */
    /* Parts to leave out as if the kernel did not have them: bits by sl_sandbox_part. */
    uint32_t without;
};

/* The uid of a tenant's processes; tenant 0: of those that work for several. */
uint32_t sl_sandbox_uid(uint64_t tenant);

/* Go in. The result has a byte for each part, by its number from the least significant: */
#define SL_SANDBOX_ENFORCED 0u /* Anything else below OFF: the errno that says why not. */
#define SL_SANDBOX_OFF      255u
uint64_t sl_sandbox_enter(const struct sl_sandbox_options *options);

/* All parts off: of a process that never went in. */
#define SL_SANDBOX_NONE UINT64_MAX

static inline uint32_t
sl_sandbox_state(uint64_t states, enum sl_sandbox_part part)
{
    return (uint32_t)(states >> (8 * (unsigned)part)) & 0xff;
}

const char *sl_sandbox_part_name(enum sl_sandbox_part part); /* "landlock" */

/* Append an object to the writer: {"landlock": "enforced", "seccomp": "unavailable: ...", ...}. */
void sl_sandbox_write(uint64_t states, struct sl_jsonw *w);
/* The same for a line of a report: "landlock=enforced ...". Owned by the caller. */
char *sl_sandbox_text(uint64_t states);

/* Private writable memory of this process, as RLIMIT_DATA counts it; 0 when that cannot be read. */
uint64_t sl_sandbox_data_bytes(void);
/* Lower a limit (RLIMIT_DATA...), for good: 0, or why it is not in force. One that is lower already
 * stays. */
int sl_sandbox_lower(int resource, uint64_t value);

/*
 * Start threads that sleep, until one cannot be started or there are so many: 0, or the errno that
 * one more was refused with. They are there until the process ends.
 */
int sl_sandbox_fill_threads(uint32_t threads_max, uint32_t *ret_count);

/* Whether a sanitizer is in this build. It needs to write its report, to look into its own process
   with ptrace, and address space without end, so parts are wider or left out then. */
bool sl_sandbox_is_sanitized(void);

/* ---- parts, for sandbox.c: 0 or why not (errno) ------------------------------------------------
 */
int sl_sandbox_paths(const struct sl_sandbox_options *options);
int sl_sandbox_calls(void);

#endif
