/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_ring.h - the last lines of all processes of a machine, within 4 MiB.
 *
 * It is made of chunks of 16 KiB, each of one source: a process, or a replica. A source that needs
 * one more gets a free one; with none free the oldest of whichever group has most: the replicas of
 * an extractor that work for the same tenants, on a node. No source has more than a quarter of
 * all. So one that prints without end pushes out its own lines, then those of its like.
 *
 * Threading: none; report_tap.h has the lock.
 */
#ifndef SL_RUNTIME_REPORT_RING_H
#define SL_RUNTIME_REPORT_RING_H

#include "runtime/report_entry.h"

#define SL_REPORT_RING_BYTES   (4 * SL_MIB)
#define SL_REPORT_SOURCE_BYTES (1 * SL_MIB)    /* A source's, at most. */
#define SL_REPORT_RING_LINES   UINT32_C(65536) /* All together. */

struct sl_report_ring;

/* Sequences begin above those of a ring that began before. Never NULL. */
struct sl_report_ring *sl_report_ring_create(uint64_t now_ms);
void sl_report_ring_destroy(struct sl_report_ring **ring);

/* Keep a copy; its sequence is the next. */
void sl_report_ring_add(struct sl_report_ring *ring, const struct sl_report_entry *entry);
uint64_t sl_report_ring_newest(const struct sl_report_ring *ring);
/* Lines that processes wrote and could not tell. */
uint64_t sl_report_ring_missed(const struct sl_report_ring *ring);

/* Whose lines, and which. Zero and NULL: any. */
struct sl_report_wanted {
    const char *texts[SL_REPORT_FIELDS]; /* Each as it is, but for message: a part, of any case. */
    uint64_t scope;  /* With texts[tenant]: lines of this number or, without one, of that name. */
    uint32_t levels; /* Bit of each. */
    uint64_t since_ms;
    uint64_t from;   /* Only newer or older ones than this; 0: from the newest on. */
    bool is_forward; /* To newer ones. */
    uint32_t limit;
};

struct sl_report_walk {
    uint32_t count;     /* Of lines that were taken. */
    uint64_t walked_to; /* The last sequence that was looked at; `from` where none was. */
    bool is_more;       /* There are others to be looked at, behind that. */
};

/* Give `take` the lines that are wanted, borrowed for its call. Looks at no more than 512 KiB of
 * lines: then is_more, and the next call goes on from walked_to. */
void sl_report_ring_find(const struct sl_report_ring *ring, const struct sl_report_wanted *wanted,
                         void (*take)(void *arg, const struct sl_report_entry *entry), void *arg,
                         struct sl_report_walk *ret_walk);

/* Overwrite all lines of a tenant, by number or name. */
void sl_report_ring_forget(struct sl_report_ring *ring, uint64_t scope, const char *tenant);

#endif
