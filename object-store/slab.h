/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.h - which bytes of an arena's segments are taken. It knows offsets only, never the memory
 * itself, and keeps what it knows in private memory: nothing that others map can mislead it.
 *
 *   segment   step_bytes, at offset segment * step_bytes
 *   granule   1 KiB; an object above 1 KiB is a run of them, the first that fits from the front
 *   slab      16 granules cut into equal slots of 64, 128 ... 1024 bytes, for objects up to 1 KiB
 *
 * So at most 63 bytes are lost to a small object and 1023 to a larger one, and runs that are freed
 * next to each other are one again.
 *
 * Plain state without clock or input; one owner.
 */
#ifndef SL_OBJECT_STORE_SLAB_H
#define SL_OBJECT_STORE_SLAB_H

#include <assert.h>

#include "runtime/base.h"

#define SL_SLAB_ALIGNMENT    64 /* Of every offset. */
#define SL_SLAB_GRANULE      SL_KIB
#define SL_SLAB_SMALL_MAX    SL_KIB
#define SL_SLAB_STEP_MIN     SL_MIB
#define SL_SLAB_STEP_MAX     SL_GIB
#define SL_SLAB_SEGMENTS_MAX 256

struct sl_slab;

/* `step_bytes` is a power of two in [SL_SLAB_STEP_MIN, SL_SLAB_STEP_MAX]. No segment at first. */
struct sl_slab *sl_slab_create(uint64_t step_bytes);
void sl_slab_destroy(struct sl_slab **slab); /* NULL inside is fine. */

/* Add an empty segment under the lowest number that is free. SL_EFULL: there is no number left. */
SL_MUST_CHECK enum sl_err sl_slab_add(struct sl_slab *s, uint32_t *ret_segment);
void sl_slab_remove(struct sl_slab *s, uint32_t segment); /* An empty one. */
/* Also true of one that is not there. */
bool sl_slab_is_empty(const struct sl_slab *s, uint32_t segment);

/* size_bytes >= 1. SL_EFULL: no run is long enough. SL_ETOOBIG: over step_bytes / 2. */
SL_MUST_CHECK enum sl_err sl_slab_take(struct sl_slab *s, uint64_t size_bytes,
                                       uint64_t *ret_offset);
/* Give back what take gave for that size. */
void sl_slab_free(struct sl_slab *s, uint64_t offset, uint64_t size_bytes);

uint64_t sl_slab_object_max(const struct sl_slab *s);  /* The largest object: step_bytes / 2. */
uint64_t sl_slab_taken_bytes(const struct sl_slab *s); /* With what is lost to rounding. */
uint64_t sl_slab_total_bytes(const struct sl_slab *s); /* Of all segments. */
uint64_t sl_slab_cost_bytes(uint64_t size_bytes);      /* What an object of that size takes. */

#endif
