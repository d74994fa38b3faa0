/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots are numbered through all segments. A removed slot goes to a free list and is zeroed in
 * `is_used`; its floats stay and are skipped. The map from id to slot is open addressing with
 * linear probing; removal shifts the rest of a run back, so that there are no tombstones to clean
 * up.
 */
#include "object-store/vectors.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/vectors_rows.h"
#include "runtime/alloc.h"

#define NO_SLOT   UINT32_MAX
#define SLOTS_MAX (UINT32_MAX / 2)
#define MAP_MIN   64

/* ---- segments ------------------------------------------------------------------------------ */

static size_t
segment_size_bytes(const struct sl_vectors *v)
{
    size_t row = v->stride * sizeof(float) + sizeof(uint64_t) + sizeof(float) + sizeof(uint8_t);
    return row * SL_VECTORS_SEGMENT_ROWS;
}

static enum sl_err
add_segment(struct sl_vectors *v)
{
    size_t size = segment_size_bytes(v);
    if (v->segments_count >= SLOTS_MAX / SL_VECTORS_SEGMENT_ROWS)
        return SL_ENOMEM;
    int fd = memfd_create("sluice-vectors", MFD_CLOEXEC);
    if (fd < 0)
        return SL_ENOMEM;
    /* Allocated now: shared memory that runs out later is a SIGBUS, here it is an error. */
    void *memory = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0 && fallocate(fd, 0, 0, (off_t)size) == 0)
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    (void)close(fd);
    if (memory == MAP_FAILED)
        return SL_ENOMEM;
    struct sl_vectors_segment s = {.rows = memory};
    s.ids = (void *)(s.rows + (size_t)v->stride * SL_VECTORS_SEGMENT_ROWS);
    s.norms = (void *)(s.ids + SL_VECTORS_SEGMENT_ROWS);
    s.is_used = (void *)(s.norms + SL_VECTORS_SEGMENT_ROWS);
    uint32_t n = v->segments_count + 1;
    v->segments = sl_realloc(v->segments, n * sizeof(*v->segments));
    v->free_slots =
        sl_realloc(v->free_slots, (size_t)n * SL_VECTORS_SEGMENT_ROWS * sizeof(*v->free_slots));
    v->segments[v->segments_count++] = s;
    return SL_OK;
}

static struct sl_vectors_segment *
segment_of(const struct sl_vectors *v, uint32_t slot)
{
    sl_assert(slot < v->slots_count);
    return &v->segments[slot / SL_VECTORS_SEGMENT_ROWS];
}

static uint64_t
id_of(const struct sl_vectors *v, uint32_t slot)
{
    return segment_of(v, slot)->ids[slot % SL_VECTORS_SEGMENT_ROWS];
}

/* ---- map ----------------------------------------------------------------------------------- */

static uint32_t
home_of(const struct sl_vectors *v, uint64_t id)
{
    uint64_t h = (id ^ (id >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32) & (v->map_capacity - 1);
}

/* Where `id` is in the map, or the empty place where it would go. */
static uint32_t
map_find(const struct sl_vectors *v, uint64_t id)
{
    uint32_t at = home_of(v, id);
    while (v->map[at] != NO_SLOT && id_of(v, v->map[at]) != id)
        at = (at + 1) & (v->map_capacity - 1);
    return at;
}

static void
map_resize(struct sl_vectors *v, uint32_t capacity)
{
    uint32_t *old = v->map, old_capacity = old == NULL ? 0 : v->map_capacity;
    v->map = sl_alloc(capacity * sizeof(*v->map));
    v->map_capacity = capacity;
    memset(v->map, 0xff, capacity * sizeof(*v->map));
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i] != NO_SLOT)
            v->map[map_find(v, id_of(v, old[i]))] = old[i];
    }
    sl_free(old);
}

/* Empty the place and pull back whatever came after it only because it was taken. */
static void
map_remove(struct sl_vectors *v, uint32_t hole)
{
    uint32_t mask = v->map_capacity - 1;
    for (uint32_t at = (hole + 1) & mask; v->map[at] != NO_SLOT; at = (at + 1) & mask) {
        uint32_t home = home_of(v, id_of(v, v->map[at]));
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            v->map[hole] = v->map[at];
            hole = at;
        }
    }
    v->map[hole] = NO_SLOT;
}

/* ---- rows ---------------------------------------------------------------------------------- */

enum sl_err
sl_vectors_create(uint32_t dimensions, struct sl_vectors **ret_vectors)
{
    sl_assert(ret_vectors != NULL);
    if (dimensions == 0 || dimensions > SL_VECTORS_DIMENSIONS_MAX)
        return SL_EINVAL;
    struct sl_vectors *v = sl_zalloc(sizeof(*v));
    v->magic = SL_VECTORS_MAGIC;
    v->dimensions = dimensions;
    v->stride = (dimensions + SL_VECTORS_LANES - 1) / SL_VECTORS_LANES * SL_VECTORS_LANES;
    v->kernel = sl_vectors_kernel_choose();
    map_resize(v, MAP_MIN);
    *ret_vectors = v;
    return SL_OK;
}

void
sl_vectors_destroy(struct sl_vectors **vectors)
{
    sl_assert(vectors != NULL);
    struct sl_vectors *v = *vectors;
    if (v == NULL)
        return;
    sl_vectors_check(v);
    for (uint32_t i = 0; i < v->segments_count; i++)
        (void)munmap(v->segments[i].rows, segment_size_bytes(v));
    sl_free(v->segments);
    sl_free(v->free_slots);
    sl_free(v->map);
    v->magic = 0;
    sl_free(v);
    *vectors = NULL;
}

bool
sl_vectors_norm(const float *row, uint32_t dimensions, float *ret_norm)
{
    double sum = 0;
    for (uint32_t i = 0; i < dimensions; i++)
        sum += (double)row[i] * (double)row[i];
    double norm = sqrt(sum); /* Infinite or NaN if any term is. */
    *ret_norm = (float)norm;
    return norm <= (double)SL_VECTORS_NORM_MAX;
}

static enum sl_err
take_slot(struct sl_vectors *v, uint32_t *ret_slot)
{
    if (v->free_count > 0) {
        *ret_slot = v->free_slots[--v->free_count];
        return SL_OK;
    }
    if (v->slots_count == v->segments_count * SL_VECTORS_SEGMENT_ROWS) {
        enum sl_err err = add_segment(v);
        if (err != SL_OK)
            return err;
    }
    *ret_slot = v->slots_count++;
    return SL_OK;
}

enum sl_err
sl_vectors_put(struct sl_vectors *v, uint64_t id, const float *row)
{
    sl_vectors_check(v);
    sl_assert(row != NULL);
    float norm = 0;
    if (!sl_vectors_norm(row, v->dimensions, &norm))
        return SL_EINVAL;
    uint32_t slot = v->map[map_find(v, id)];
    bool is_new = slot == NO_SLOT;
    if (is_new) {
        enum sl_err err = take_slot(v, &slot);
        if (err != SL_OK)
            return err;
    }
    struct sl_vectors_segment *s = segment_of(v, slot);
    uint32_t i = slot % SL_VECTORS_SEGMENT_ROWS;
    /* The padding is zero from the start and never written. */
    memcpy(s->rows + (size_t)i * v->stride, row, v->dimensions * sizeof(*row));
    s->norms[i] = norm;
    if (!is_new)
        return SL_OK;
    s->ids[i] = id;
    s->is_used[i] = 1;
    v->count++;
    if (v->count * 2 > v->map_capacity)
        map_resize(v, v->map_capacity * 2);
    v->map[map_find(v, id)] = slot;
    return SL_OK;
}

bool
sl_vectors_remove(struct sl_vectors *v, uint64_t id)
{
    sl_vectors_check(v);
    uint32_t at = map_find(v, id);
    uint32_t slot = v->map[at];
    if (slot == NO_SLOT)
        return false;
    map_remove(v, at);
    segment_of(v, slot)->is_used[slot % SL_VECTORS_SEGMENT_ROWS] = 0;
    v->free_slots[v->free_count++] = slot;
    v->count--;
    return true;
}

const float *
sl_vectors_lookup(const struct sl_vectors *v, uint64_t id)
{
    sl_vectors_check(v);
    uint32_t slot = v->map[map_find(v, id)];
    if (slot == NO_SLOT)
        return NULL;
    return segment_of(v, slot)->rows + (size_t)(slot % SL_VECTORS_SEGMENT_ROWS) * v->stride;
}

uint64_t
sl_vectors_count(const struct sl_vectors *v)
{
    sl_vectors_check(v);
    return v->count;
}

uint32_t
sl_vectors_dimensions(const struct sl_vectors *v)
{
    sl_vectors_check(v);
    return v->dimensions;
}

uint64_t
sl_vectors_size_bytes(const struct sl_vectors *v)
{
    sl_vectors_check(v);
    size_t per_segment = segment_size_bytes(v) + sizeof(*v->segments) +
                         SL_VECTORS_SEGMENT_ROWS * sizeof(*v->free_slots);
    return sizeof(*v) + v->segments_count * per_segment + v->map_capacity * sizeof(*v->map);
}
