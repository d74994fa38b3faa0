/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_index.h - what the store and its readers share of an arena: the index, which only the store
 * writes, and a reader's pins, which only that reader writes. docs/decisions/0015-arena.md has the
 * argument why this needs neither lock nor system call.
 *
 *   index file   header | tags | entries, a hash table: an id is in one of three buckets, for good
 *   pins file    used | touched | slots
 *
 * An entry is read under a seqlock of its own: `seq` is odd while it changes and never goes back,
 * so an entry that was something else in between is noticed (64 bits do not wrap). Every word is
 * atomic: what is torn is thrown away, never undefined.
 *
 * Whatever is in the index, a reader stays within it; whatever is in the pins, the store stays
 * within its own tables.
 */
#ifndef SL_OBJECT_STORE_ARENA_INDEX_H
#define SL_OBJECT_STORE_ARENA_INDEX_H

#include <assert.h>
#include <stdatomic.h>

#include "object-store/object_id.h"
#include "object-store/slab.h"

#define SL_ARENA_MAGIC       UINT64_C(0x736c7561726e6131)
#define SL_ARENA_VERSION     1
#define SL_ARENA_ENTRIES_MIN 64u
#define SL_ARENA_ENTRIES_MAX (1u << 22) /* Of which half may be used. */
#define SL_ARENA_BUCKET      8u         /* Entries side by side. */
#define SL_ARENA_BYTES_01    UINT64_C(0x0101010101010101)
#define SL_ARENA_HOMES       3u /* Buckets of an id. */
#define SL_ARENA_PINS_MAX    65536u
#define SL_ARENA_TOUCHED     512u

/* What an entry is, in the lowest byte of size_kind: nothing, or of an enum sl_object_kind. */
#define SL_ARENA_EMPTY 0u

struct sl_object_arena_entry {
    _Atomic uint64_t seq;
    _Atomic uint64_t size_kind; /* size << 8 | what it is. */
    _Atomic uint64_t offset;    /* segment * step_bytes + where in it. */
    _Atomic uint64_t birth;     /* A number of no other object of this arena. */
    _Atomic uint64_t key[4];
};
static_assert(sizeof(struct sl_object_arena_entry) == 64, "an entry is a cache line");

struct sl_object_arena_header {
    uint64_t magic;
    uint64_t tenant;
    uint64_t step_bytes; /* Of a segment. */
    uint64_t seed;       /* Of the hash. */
    uint32_t version;
    uint32_t entries_count; /* A power of two. */
    uint32_t pins_max;
    uint32_t reserved[13];
    _Atomic uint64_t segments[SL_SLAB_SEGMENTS_MAX]; /* The life of each; 0: it is not there. */
};

#define SL_ARENA_HEADER_BYTES 4096u
static_assert(sizeof(struct sl_object_arena_header) <= SL_ARENA_HEADER_BYTES,
              "entries are aligned");

/* The buckets where an id may be: their first entries. Returns its tag, eight times. */
static inline uint64_t
sl_object_arena_homes(const struct sl_object_id *id, uint64_t seed, uint32_t entries_count,
                      uint32_t ret_homes[SL_ARENA_HOMES])
{
    uint64_t x = (id->key[0] ^ seed) * UINT64_C(0x9e3779b97f4a7c15) + id->key[1];
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    uint32_t mask = (entries_count - 1) & ~(SL_ARENA_BUCKET - 1);
    ret_homes[0] = (uint32_t)(x >> 40) & mask;
    ret_homes[1] = (uint32_t)(x >> 20) & mask;
    ret_homes[2] = (uint32_t)x & mask;
    return ((x >> 17 & 0x7f) + 1) * SL_ARENA_BYTES_01;
}

/* What an entry said at one moment. */
struct sl_object_arena_seen {
    uint32_t entry;
    uint64_t seq;
    uint64_t size_bytes;
    uint64_t offset;
    uint64_t birth;
};

/*
 * Tags stand before the entries, a byte for each: 0 where nothing is to be found, else seven bits
 * of the id's hash. A bucket's are one word, so that a search looks at three words and, as a rule,
 * at the one entry that it is after.
 */
struct sl_object_arena_table {
    const _Atomic uint64_t *tags;
    const struct sl_object_arena_entry *entries;
    uint32_t count; /* A power of two; checked by whoever made this. */
    uint64_t seed;
};

static inline uint64_t
sl_object_arena_table_bytes(uint32_t count)
{
    return count + (uint64_t)count * sizeof(struct sl_object_arena_entry);
}

/* Over memory of that size. */
static inline struct sl_object_arena_table
sl_object_arena_table(const void *memory, uint32_t count, uint64_t seed)
{
    return (struct sl_object_arena_table){.tags = (const void *)memory,
                                          .entries =
                                              (const void *)((const uint8_t *)memory + count),
                                          .count = count,
                                          .seed = seed};
}

/* The highest bit of each byte of a word that is 0. */
static inline uint64_t
sl_object_arena_zero_bytes(uint64_t word)
{
    uint64_t low = 0x7f * SL_ARENA_BYTES_01;
    return ~(((word & low) + low) | word | low);
}

/*
 * Find the entry of an id. SL_ENOTFOUND. SL_EBUSY: the store is in the middle of changing what is
 * on the way and has not gone on for a while; to be tried again. What it found is not held: see
 * sl_object_arena_is_same.
 */
SL_MUST_CHECK enum sl_err sl_object_arena_find(const struct sl_object_arena_table *t,
                                               const struct sl_object_id *id,
                                               struct sl_object_arena_seen *ret_seen);

/* Whether that entry has not changed since; ordered behind the pin that was written before. */
static inline bool
sl_object_arena_is_same(const struct sl_object_arena_table *t,
                        const struct sl_object_arena_seen *seen)
{
    return atomic_load_explicit(&t->entries[seen->entry].seq, memory_order_seq_cst) == seen->seq;
}

#endif
