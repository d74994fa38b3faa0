/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_reader_state.h - what a reader is made of. For arena_reader.c, and for tests that have a
 * reader use the store's own mappings: ThreadSanitizer takes two mappings for two memories.
 */
#ifndef SL_OBJECT_STORE_ARENA_READER_STATE_H
#define SL_OBJECT_STORE_ARENA_READER_STATE_H

#include "object-store/arena_pins.h"
#include "object-store/arena_reader.h"
#include "object-store/shared_memory.h"

/* The bytes are there while `life` is the store's: it is written last, and read first. */
struct sl_object_arena_mapped {
    _Atomic uint64_t life;
    uint8_t *base;
    uint64_t size_bytes;
};

struct sl_object_reader {
    uint32_t magic;
    uint32_t step_shift;
    uint64_t step_bytes;
    uint64_t tenant;
    struct sl_object_arena_table table;
    const struct sl_object_arena_header *header;
    struct sl_object_arena_pins *pins;
    uint32_t pins_max;
    _Atomic uint32_t hint; /* Where to look for a free slot first. */
    struct sl_shared index, pins_file;
    struct sl_object_arena_mapped segments[SL_SLAB_SEGMENTS_MAX];
};

#endif
