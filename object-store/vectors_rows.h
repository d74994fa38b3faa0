/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors_rows.h - how an index of vectors lies in memory. A part of vectors.c. Not for others.
 */
#ifndef SL_OBJECT_STORE_VECTORS_ROWS_H
#define SL_OBJECT_STORE_VECTORS_ROWS_H

#include "object-store/vectors.h"
#include "object-store/vectors_kernel.h"

#define SL_VECTORS_MAGIC 0x56454354u
#define SL_VECTORS_NORM_MAX                                                                        \
    1e18f /* The product of two is a float still, and every partial sum.                           \
           */

struct sl_vectors_segment {
    float *rows;   /* SL_VECTORS_SEGMENT_ROWS rows of `stride` floats, shared memory. */
    uint64_t *ids; /* These three lie behind the rows, in the same memory. */
    float *norms;
    uint8_t *is_used;
};

struct sl_vectors {
    uint32_t magic;
    uint32_t dimensions;
    uint32_t stride; /* Floats from row to row. */
    uint32_t segments_count;
    uint32_t slots_count; /* Ever used: [0, slots_count) are used or free. */
    uint32_t free_count;
    uint32_t map_capacity; /* A power of two, at most half full. */
    uint64_t count;
    struct sl_vectors_segment *segments;
    uint32_t *free_slots; /* As many as there are slots in all segments. */
    uint32_t *map;        /* Slots, or none; the id is in the slot. */
    struct sl_vectors_kernel kernel;
};

static inline void
sl_vectors_check(const struct sl_vectors *v)
{
    sl_assert(v != NULL);
    sl_assert(v->magic == SL_VECTORS_MAGIC);
    sl_assert(v->count + v->free_count == v->slots_count);
}

/* The Euclidean norm, added up in double. False: something is not finite, or it is too long. */
bool sl_vectors_norm(const float *row, uint32_t dimensions, float *ret_norm);

#endif
