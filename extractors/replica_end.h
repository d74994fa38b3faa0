/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_end.h - how a replica ended, told by its exit code where a signal would say too little:
 * the replica's side watches, the node's side names it.
 *
 *   more memory than its limit          the watch, or a crash with its memory at the limit
 *   a write to weights or inputs        SIGSEGV on a page that is mapped to be read
 *   exit() by the plugin                any other code while it should have worked
 *
 * Threading: sl_replica_watch_begin once, while the process has one thread; the rest anywhere.
 */
#ifndef SL_EXTRACTORS_REPLICA_END_H
#define SL_EXTRACTORS_REPLICA_END_H

#include "extractors/replica_settings.h"

#define SL_REPLICA_EXIT_START     3 /* It has said why, if it could. */
#define SL_REPLICA_EXIT_MEMORY    96
#define SL_REPLICA_EXIT_READ_ONLY 97
#define SL_REPLICA_END_TEXT_MAX   192

/* ---- in the replica ------------------------------------------------------------------------ */

/* Private memory that may be mapped beside what is in use: stacks of threads, blocks set aside. */
#define SL_REPLICA_MEMORY_SLACK (64 * SL_MIB)

/* Watch crashes from here on, and what they mean with this limit; 0: none. */
void sl_replica_watch_begin(uint64_t memory_bytes);
/* For sl_child_guard: ends the process when its own resident memory is over the limit. */
uint32_t sl_replica_watch_look(void *unused);

/* ---- in the node --------------------------------------------------------------------------- */

enum sl_replica_cause {
    SL_REPLICA_CAUSE_SIGNAL,
    SL_REPLICA_CAUSE_MEMORY,
    SL_REPLICA_CAUSE_READ_ONLY,
    SL_REPLICA_CAUSE_EXIT,
    SL_REPLICA_CAUSE_OVERDUE, /* Killed by its node: it did not start, answer or stop in time. */
    SL_REPLICA_CAUSES
};

struct sl_replica_end {
    enum sl_replica_cause cause;
    uint64_t signal;  /* 0: none. */
    const char *code; /* Static, of the task's failure; "": that of any crash. */
    char text[SL_REPLICA_END_TEXT_MAX];
};

/* Append an object with a count for each cause. */
void sl_replica_ends_write(const uint64_t counts[static SL_REPLICA_CAUSES], struct sl_jsonw *w);

/* What the end of a replica's process means. */
struct sl_replica_end sl_replica_end(int64_t exit_code, uint64_t signal, uint64_t memory_bytes);

#endif
