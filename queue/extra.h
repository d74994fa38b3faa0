/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extra.h - what few tasks have, in slots of its own; only for the queue's own files.
 */
#ifndef SL_QUEUE_EXTRA_H
#define SL_QUEUE_EXTRA_H

#include "queue/bodies.h"
#include "queue/key.h"
#include "queue/list.h"

/* What few tasks have. */
struct sl_extra {
    uint32_t next_free;
    uint32_t slot;        /* Whose it is. */
    struct sl_link link;  /* In the wheel of those that may expire... */
    bool is_timed;        /* ...if it is. */
    struct sl_body why;   /* Of its last failure. */
    struct sl_body lines; /* The last that its runs have said. */
    uint64_t expires_ms, retain_ms;
    uint64_t failed_ms; /* When the first attempt failed; 0: none has, or nobody asks. */
    uint8_t *policy;
    struct sl_key_spec *limits; /* Concurrency keys. */
    uint32_t policy_size, limits_count;
    uint32_t claim; /* Of those keys, while it has not ended; SL_NONE: it has none. */
    uint32_t key;   /* Slot in q->dedup, which another may have by now. */
};

/* Tasks that were given room at a key, in order: who does not begin in time loses it again. */
struct sl_woken {
    struct sl_woken_entry {
        uint64_t id, until_ns;
        uint32_t slot;
    } * entries; /* A ring. */
    uint32_t first, count, capacity;
};

#endif
