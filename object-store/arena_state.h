/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_state.h - what arena.c (objects, segments, readers) and arena_room.c (pins, eviction)
 * share.
 */
#ifndef SL_OBJECT_STORE_ARENA_STATE_H
#define SL_OBJECT_STORE_ARENA_STATE_H

#include "object-store/arena.h"
#include "object-store/arena_pins.h"
#include "object-store/arena_table.h"
#include "object-store/evict.h"

#define SL_ARENA_NONE UINT32_MAX

/* What the store knows of the object of an entry. Readers see none of it. */
struct sl_object_arena_record {
    enum { SL_ARENA_FREE, SL_ARENA_LIVE, SL_ARENA_LEAVING } state;
    uint32_t next;      /* Of those that leave, or that a pass passed over. */
    uint64_t seen_scan; /* The last look at the pins that found it pinned. */
    uint64_t offset, size_bytes, birth, rebuild_ns;
};

struct sl_object_arena_segment {
    struct sl_shared memory; /* base NULL: not there. */
    uint64_t life;
};

struct sl_object_arena {
    uint32_t magic;
    struct sl_object_arena_options options;
    uint32_t entries_count, readers_count, segments_count;
    uint64_t scans, births, lives;
    struct sl_shared index;
    struct sl_object_arena_header *header;
    struct sl_slab *slab;
    struct sl_object_arena_writer *writer;
    struct sl_evict *cheap; /* What can be made again. */
    struct sl_evict *dear;  /* What cannot: it is spilled. */
    struct sl_object_arena_record *records;
    uint32_t leaving; /* A list of entries. */
    uint32_t leaving_count;
    uint64_t object_bytes, evicted, spilled;
    struct sl_object_arena_segment segments[SL_SLAB_SEGMENTS_MAX];
    struct sl_shared readers[SL_ARENA_READERS_MAX]; /* Their pins; base NULL: none. */
};

#define SL_ARENA_STATE_MAGIC 0x4152454eu

static inline void
sl_object_arena_check(const struct sl_object_arena *a)
{
    sl_assert(a != NULL);
    sl_assert(a->magic == SL_ARENA_STATE_MAGIC);
}

/* Look at all pins. Those that name an object mark its record with a->scans. How many. */
uint32_t sl_object_arena_scan(struct sl_object_arena *a);
uint32_t sl_object_arena_scan_reader(struct sl_object_arena *a, uint32_t reader);

static inline struct sl_evict *
sl_object_arena_heap_of(struct sl_object_arena *a, const struct sl_object_arena_record *r)
{
    return r->rebuild_ns == SL_ARENA_KEEP ? a->dear : a->cheap;
}

static inline struct sl_slice
sl_object_arena_bytes_of(const struct sl_object_arena *a, const struct sl_object_arena_record *r)
{
    const struct sl_object_arena_segment *s = &a->segments[r->offset / a->options.step_bytes];
    return sl_slice(s->memory.base + r->offset % a->options.step_bytes, r->size_bytes);
}

#endif
