/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - the small and middle objects of one tenant on one node, in memory that all processes of
 * that tenant map. Only the store's process writes; others read through arena_reader.h, without a
 * lock, a system call or the store's help.
 *
 *          draft            seal                delete, evict
 *   (free) -----> FILLING ------> LIVE ------------------------> (free, once nobody pins it)
 *            abort |               | spill: to who owns the store, then as evict
 *   (free) <-------'
 *
 * Room is made in this order: what is free, another segment, eviction of objects that can be made
 * again (evict.h), spill of those that cannot, refusal. What a reader pins stays where it is: an
 * object that is deleted meanwhile is found by nobody, and its bytes go when the last pin does.
 *
 * Threading: one owner, save that sl_object_arena_segment_create may run on any thread.
 */
#ifndef SL_OBJECT_STORE_ARENA_H
#define SL_OBJECT_STORE_ARENA_H

#include "object-store/object_id.h"
#include "object-store/shared_memory.h"

#define SL_ARENA_READERS_MAX 256u
#define SL_ARENA_KEEP        UINT64_MAX /* As rebuild_ns: it cannot be made again. */

struct sl_object_arena;

struct sl_object_arena_options {
    uint64_t tenant;
    uint64_t step_bytes;     /* Of a segment, a power of two; 0: 16 MiB. Objects: half of it. */
    uint64_t size_bytes_max; /* Of all segments, at most 256 of them; 0: 1 GiB. */
    uint32_t objects_max;    /* 0: 16,384. */
    uint32_t pins_max;       /* Of one reader at a time; 0: 248, which is one page. */
    uint64_t seed;           /* Of the index's hash: a number that tenants cannot guess. */
    void *owner;             /* What these get. */
    bool (*may_grow)(void *owner, uint64_t bytes); /* NULL: up to size_bytes_max. */
    /* Take the bytes of an object that would be lost otherwise. False: it stays. NULL: all stay. */
    bool (*spill)(void *owner, const struct sl_object_id *id, struct sl_slice bytes);
};

/* SL_ENOMEM, SL_EFULL: of sl_shared_create. There is no segment at first. */
SL_MUST_CHECK enum sl_err sl_object_arena_create(const struct sl_object_arena_options *options,
                                                 struct sl_object_arena **ret_arena);
void sl_object_arena_destroy(
    struct sl_object_arena **arena); /* NULL inside is fine. Readers keep what they map. */

/* ---- objects ------------------------------------------------------------------------------- */
struct sl_object_arena_draft {
    uint8_t *data; /* To be filled; 64-byte aligned. Until it is sealed or aborted. */
    uint64_t size_bytes;
    uint64_t offset;
};
/* Make room for an object of `size_bytes` >= 1. SL_ETOOBIG: over half a segment. SL_EFULL: all that
 * is there is pinned or stays. SL_ENOMEM: the machine has none. */
SL_MUST_CHECK enum sl_err sl_object_arena_begin(struct sl_object_arena *a, uint64_t size_bytes,
                                                struct sl_object_arena_draft *ret_draft);
void sl_object_arena_abort(struct sl_object_arena *a, const struct sl_object_arena_draft *draft);
/* Readers find it from here on; it never changes. The tenant is the arena's. SL_EEXIST. SL_EFULL:
 * no more objects. On error it is a draft still. */
SL_MUST_CHECK enum sl_err sl_object_arena_seal(struct sl_object_arena *a,
                                               const struct sl_object_arena_draft *draft,
                                               const struct sl_object_id *id, uint64_t rebuild_ns);
/* All in one; with SL_EEXIST nothing is copied. */
SL_MUST_CHECK enum sl_err sl_object_arena_put(struct sl_object_arena *a,
                                              const struct sl_object_id *id, struct sl_slice bytes,
                                              uint64_t rebuild_ns);
/* Borrowed until the next call that may evict. */
bool sl_object_arena_lookup(const struct sl_object_arena *a, const struct sl_object_id *id,
                            struct sl_slice *ret_bytes);
SL_MUST_CHECK enum sl_err sl_object_arena_delete(struct sl_object_arena *a,
                                                 const struct sl_object_id *id);

/* Evict, then spill, until `bytes` came free. What came free: less, when the rest is pinned. */
uint64_t sl_object_arena_evict(struct sl_object_arena *a, uint64_t bytes);
/* The same without spilling. */
uint64_t sl_object_arena_drop(struct sl_object_arena *a, uint64_t bytes);
/* Free the bytes of what is deleted and no longer pinned. What came free. */
uint64_t sl_object_arena_collect(struct sl_object_arena *a);
/* Give back empty segments but `keep` of them. What was given back. */
uint64_t sl_object_arena_trim(struct sl_object_arena *a, uint32_t keep);

/* ---- growth in the background -------------------------------------------------------------- */
/* `may_grow` is not asked. */
bool sl_object_arena_wants_segment(
    const struct sl_object_arena *a); /* Little is free, and one more may be. */
/* On any thread. SL_ENOMEM, SL_EFULL. */
SL_MUST_CHECK enum sl_err sl_object_arena_segment_create(uint64_t step_bytes,
                                                         struct sl_shared *ret_segment);
/* Takes it over, or destroys it when there are enough already. */
void sl_object_arena_add_segment(struct sl_object_arena *a, struct sl_shared *segment);

/* ---- readers ------------------------------------------------------------------------------- */
struct sl_object_arena_grant {
    uint32_t reader; /* Its number here. */
    int index_fd;    /* Borrowed, to be sent: until the arena or the reader is gone. */
    int pins_fd;
};
/* SL_EFULL: SL_ARENA_READERS_MAX. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_arena_admit(struct sl_object_arena *a,
                                                struct sl_object_arena_grant *ret_grant);
/* It is gone, however it ended: take its pins back. How many there were. */
uint32_t sl_object_arena_dismiss(struct sl_object_arena *a, uint32_t reader);
/* Borrowed: until the segment is given back. SL_ENOTFOUND. */
SL_MUST_CHECK enum sl_err sl_object_arena_segment_lookup(const struct sl_object_arena *a,
                                                         uint32_t segment, int *ret_fd,
                                                         uint64_t *ret_life);

struct sl_object_arena_stats {
    uint32_t objects, leaving; /* Leaving: deleted and still pinned. */
    uint32_t readers, segments;
    uint32_t pins;         /* Of all readers that name an object, now. */
    uint64_t object_bytes; /* As they were put; with those that leave. */
    uint64_t taken_bytes;  /* With rounding, and drafts. */
    uint64_t segment_bytes;
    uint64_t evicted, spilled; /* Objects, ever. */
};
void sl_object_arena_stats(struct sl_object_arena *a, struct sl_object_arena_stats *ret_stats);
uint64_t sl_object_arena_bytes(const struct sl_object_arena *a);  /* Of its objects. */
uint64_t sl_object_arena_memory(const struct sl_object_arena *a); /* Of all its files. */
uint64_t sl_object_arena_object_max(
    const struct sl_object_arena *a); /* Larger ones are files of their own. */

#endif
