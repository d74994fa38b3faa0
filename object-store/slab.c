/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/slab.h"

#include "runtime/alloc.h"

#define SLAB_MAGIC    0x534c4142u
#define SLAB_GRANULES 16u
#define SLAB_BYTES    (SLAB_GRANULES * SL_SLAB_GRANULE)
#define CLASSES       (SL_SLAB_SMALL_MAX / SL_SLAB_ALIGNMENT)
#define WORD_BITS     64u
#define SLOT_WORDS    (SLAB_BYTES / SL_SLAB_ALIGNMENT / WORD_BITS)
#define NONE          UINT32_MAX

static_assert(SLOT_WORDS * WORD_BITS * SL_SLAB_ALIGNMENT == SLAB_BYTES, "a bit for each slot");

/* One slab. Those of a class that have a free slot are a list. */
struct cut {
    uint64_t taken[SLOT_WORDS];
    uint32_t granule; /* Its first, counted over all segments. */
    uint16_t class, count;
    uint32_t next, previous; /* Of the class, or of the cuts that are not used. */
};

struct segment {
    uint64_t *taken; /* A bit a granule. */
    uint32_t *cuts;  /* Granule / SLAB_GRANULES -> cut; NONE: none there. Slabs are aligned. */
    uint32_t count;  /* Granules taken. */
    uint32_t first;  /* No granule before this word is free. */
};

struct sl_slab {
    uint32_t magic;
    uint32_t granules; /* Of a segment. */
    uint64_t step_bytes;
    uint64_t taken_bytes;
    uint32_t segments_count;
    struct segment *segments[SL_SLAB_SEGMENTS_MAX];
    /* No free run of a segment is longer. Side by side, as all of them are looked at. */
    uint32_t runs_max[SL_SLAB_SEGMENTS_MAX];
    struct cut *cuts;
    uint32_t cuts_capacity, cuts_free;
    uint32_t open[CLASSES]; /* A cut with a free slot. */
};

static void
check(const struct sl_slab *s)
{
    sl_assert(s != NULL);
    sl_assert(s->magic == SLAB_MAGIC);
}

struct sl_slab *
sl_slab_create(uint64_t step_bytes)
{
    sl_assert(step_bytes >= SL_SLAB_STEP_MIN && step_bytes <= SL_SLAB_STEP_MAX);
    sl_assert((step_bytes & (step_bytes - 1)) == 0);
    struct sl_slab *s = sl_zalloc(sizeof(*s));
    s->magic = SLAB_MAGIC;
    s->step_bytes = step_bytes;
    s->granules = (uint32_t)(step_bytes / SL_SLAB_GRANULE);
    s->cuts_free = NONE;
    for (uint32_t i = 0; i < CLASSES; i++)
        s->open[i] = NONE;
    return s;
}

static void
free_segment(struct segment **segment)
{
    if (*segment == NULL)
        return;
    sl_free((*segment)->taken);
    sl_free((*segment)->cuts);
    sl_free(*segment);
    *segment = NULL;
}

void
sl_slab_destroy(struct sl_slab **slab)
{
    struct sl_slab *s = *slab;
    if (s == NULL)
        return;
    check(s);
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++)
        free_segment(&s->segments[i]);
    sl_free(s->cuts);
    sl_free(s);
    *slab = NULL;
}

enum sl_err
sl_slab_add(struct sl_slab *s, uint32_t *ret_segment)
{
    check(s);
    uint32_t at = 0;
    while (at < SL_SLAB_SEGMENTS_MAX && s->segments[at] != NULL)
        at++;
    if (at == SL_SLAB_SEGMENTS_MAX)
        return SL_EFULL;
    struct segment *g = sl_zalloc(sizeof(*g));
    g->taken = sl_zalloc(s->granules / 8);
    g->cuts = sl_alloc(s->granules / SLAB_GRANULES * sizeof(*g->cuts));
    memset(g->cuts, 0xff, s->granules / SLAB_GRANULES * sizeof(*g->cuts));
    s->segments[at] = g;
    s->runs_max[at] = s->granules;
    s->segments_count++;
    *ret_segment = at;
    return SL_OK;
}

bool
sl_slab_is_empty(const struct sl_slab *s, uint32_t segment)
{
    check(s);
    sl_assert(segment < SL_SLAB_SEGMENTS_MAX);
    return s->segments[segment] == NULL || s->segments[segment]->count == 0;
}

void
sl_slab_remove(struct sl_slab *s, uint32_t segment)
{
    check(s);
    sl_assert(segment < SL_SLAB_SEGMENTS_MAX && s->segments[segment] != NULL);
    sl_assert(s->segments[segment]->count == 0);
    free_segment(&s->segments[segment]);
    s->runs_max[segment] = 0;
    s->segments_count--;
}

/* ---- runs of granules ---------------------------------------------------------------------- */

/* The first granule at or after `at` whose bit is `is_taken`; `end` when there is none before it.
 */
static uint32_t
next_granule(const uint64_t *bits, uint32_t at, uint32_t end, bool is_taken)
{
    while (at < end) {
        uint64_t word = is_taken ? bits[at / WORD_BITS] : ~bits[at / WORD_BITS];
        word >>= at % WORD_BITS;
        if (word != 0)
            return SL_MIN(at + (uint32_t)__builtin_ctzll(word), end);
        at = (at / WORD_BITS + 1) * WORD_BITS;
    }
    return end;
}

static void
mark(struct segment *g, uint32_t at, uint32_t count, bool is_taken)
{
    for (uint32_t i = at; i < at + count;) {
        uint32_t bit = i % WORD_BITS, many = SL_MIN(WORD_BITS - bit, at + count - i);
        uint64_t bits = (many == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << many) - 1) << bit;
        sl_assert((g->taken[i / WORD_BITS] & bits) == (is_taken ? 0 : bits));
        g->taken[i / WORD_BITS] ^= bits;
        i += many;
    }
    g->count = is_taken ? g->count + count : g->count - count;
}

/* The first free run of `count` granules that begins at a multiple of `alignment`. */
static bool
find_run(struct sl_slab *s, uint32_t segment, uint32_t count, uint32_t alignment, uint32_t *ret_at)
{
    struct segment *g = s->segments[segment];
    uint32_t longest = 0;
    g->first = next_granule(g->taken, g->first, s->granules, false);
    for (uint32_t at = g->first; at < s->granules;) {
        uint32_t end = next_granule(g->taken, at, s->granules, true);
        uint32_t begin = (at + alignment - 1) / alignment * alignment;
        if (begin < end && end - begin >= count) {
            *ret_at = begin;
            return true;
        }
        longest = SL_MAX(longest, end - at);
        at = next_granule(g->taken, end, s->granules, false);
    }
    s->runs_max[segment] = longest; /* It has seen all of them. */
    return false;
}

/* Granules are counted over all segments from here on. */
static enum sl_err
take_run(struct sl_slab *s, uint32_t count, uint32_t alignment, uint32_t *ret_granule)
{
    for (uint32_t i = 0, seen = 0; seen < s->segments_count; i++) {
        if (s->segments[i] == NULL)
            continue;
        seen++;
        uint32_t at;
        if (s->runs_max[i] < count || !find_run(s, i, count, alignment, &at))
            continue;
        mark(s->segments[i], at, count, true);
        *ret_granule = i * s->granules + at;
        return SL_OK;
    }
    return SL_EFULL;
}

static void
free_run(struct sl_slab *s, uint32_t granule, uint32_t count)
{
    struct segment *g = s->segments[granule / s->granules];
    uint32_t at = granule % s->granules;
    sl_assert(g != NULL && count <= s->granules - at);
    mark(g, at, count, false);
    g->first = SL_MIN(g->first, at);
    /* How long it is with its neighbours the next search finds out. */
    s->runs_max[granule / s->granules] = s->granules;
}

/* ---- slabs --------------------------------------------------------------------------------- */

static uint32_t *
cut_at(struct sl_slab *s, uint32_t granule)
{
    struct segment *g = s->segments[granule / s->granules];
    sl_assert(g != NULL);
    return &g->cuts[granule % s->granules / SLAB_GRANULES];
}

static uint32_t
class_of(uint64_t size_bytes)
{
    return (uint32_t)((size_bytes - 1) / SL_SLAB_ALIGNMENT);
}

static uint32_t
slots_of(uint32_t class)
{
    return (uint32_t)(SLAB_BYTES / ((class + 1) * SL_SLAB_ALIGNMENT));
}

static void
link_cut(struct sl_slab *s, uint32_t number)
{
    struct cut *c = &s->cuts[number];
    c->previous = NONE;
    c->next = s->open[c->class];
    if (c->next != NONE)
        s->cuts[c->next].previous = number;
    s->open[c->class] = number;
}

static void
unlink_cut(struct sl_slab *s, uint32_t number)
{
    struct cut *c = &s->cuts[number];
    if (c->previous == NONE)
        s->open[c->class] = c->next;
    else
        s->cuts[c->previous].next = c->next;
    if (c->next != NONE)
        s->cuts[c->next].previous = c->previous;
}

static uint32_t
new_cut(struct sl_slab *s)
{
    if (s->cuts_free == NONE) {
        uint32_t old = s->cuts_capacity, more = SL_MAX(old, 16u);
        s->cuts_capacity = old + more;
        s->cuts = sl_realloc(s->cuts, s->cuts_capacity * sizeof(*s->cuts));
        for (uint32_t i = s->cuts_capacity; i-- > old;) {
            s->cuts[i].next = s->cuts_free;
            s->cuts_free = i;
        }
    }
    uint32_t number = s->cuts_free;
    s->cuts_free = s->cuts[number].next;
    return number;
}

static enum sl_err
open_cut(struct sl_slab *s, uint32_t class)
{
    uint32_t granule;
    enum sl_err err = take_run(s, SLAB_GRANULES, SLAB_GRANULES, &granule);
    if (err != SL_OK)
        return err;
    uint32_t number = new_cut(s);
    s->cuts[number] = (struct cut){.granule = granule, .class = (uint16_t) class};
    *cut_at(s, granule) = number;
    link_cut(s, number);
    return SL_OK;
}

static enum sl_err
take_slot(struct sl_slab *s, uint32_t class, uint64_t *ret_offset)
{
    if (s->open[class] == NONE) {
        enum sl_err err = open_cut(s, class);
        if (err != SL_OK)
            return err;
    }
    uint32_t number = s->open[class];
    struct cut *c = &s->cuts[number];
    uint32_t slot = next_granule(c->taken, 0, slots_of(class), false);
    sl_assert(slot < slots_of(class));
    c->taken[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
    if (++c->count == slots_of(class))
        unlink_cut(s, number);
    *ret_offset = c->granule * SL_SLAB_GRANULE + slot * (class + 1) * SL_SLAB_ALIGNMENT;
    return SL_OK;
}

static void
free_slot(struct sl_slab *s, uint32_t class, uint64_t offset)
{
    uint32_t granule = (uint32_t)(offset / SLAB_BYTES * SLAB_GRANULES);
    uint32_t number = *cut_at(s, granule);
    sl_assert(number != NONE && s->cuts[number].class == class);
    struct cut *c = &s->cuts[number];
    uint32_t slot = (uint32_t)(offset % SLAB_BYTES / ((class + 1) * SL_SLAB_ALIGNMENT));
    uint64_t bit = UINT64_C(1) << slot % WORD_BITS;
    sl_assert((c->taken[slot / WORD_BITS] & bit) != 0);
    c->taken[slot / WORD_BITS] &= ~bit;
    if (c->count-- == slots_of(class))
        link_cut(s, number);
    if (c->count > 0)
        return;
    unlink_cut(s, number);
    *cut_at(s, granule) = NONE;
    c->next = s->cuts_free;
    s->cuts_free = number;
    free_run(s, granule, SLAB_GRANULES);
}

/* ---- both ---------------------------------------------------------------------------------- */

uint64_t
sl_slab_object_max(const struct sl_slab *s)
{
    check(s);
    return s->step_bytes / 2;
}

uint64_t
sl_slab_cost_bytes(uint64_t size_bytes)
{
    uint64_t unit = size_bytes <= SL_SLAB_SMALL_MAX ? SL_SLAB_ALIGNMENT : SL_SLAB_GRANULE;
    return (size_bytes + unit - 1) / unit * unit;
}

enum sl_err
sl_slab_take(struct sl_slab *s, uint64_t size_bytes, uint64_t *ret_offset)
{
    check(s);
    sl_assert(size_bytes >= 1);
    if (size_bytes > s->step_bytes / 2)
        return SL_ETOOBIG;
    enum sl_err err;
    if (size_bytes <= SL_SLAB_SMALL_MAX) {
        err = take_slot(s, class_of(size_bytes), ret_offset);
    } else {
        uint32_t granule;
        uint64_t count = sl_slab_cost_bytes(size_bytes) / SL_SLAB_GRANULE;
        err = take_run(s, (uint32_t)count, 1, &granule);
        if (err == SL_OK)
            *ret_offset = granule * SL_SLAB_GRANULE;
    }
    if (err == SL_OK)
        s->taken_bytes += sl_slab_cost_bytes(size_bytes);
    return err;
}

void
sl_slab_free(struct sl_slab *s, uint64_t offset, uint64_t size_bytes)
{
    check(s);
    sl_assert(size_bytes >= 1 && size_bytes <= s->step_bytes / 2);
    sl_assert(offset / s->step_bytes < SL_SLAB_SEGMENTS_MAX);
    if (size_bytes <= SL_SLAB_SMALL_MAX)
        free_slot(s, class_of(size_bytes), offset);
    else
        free_run(s, (uint32_t)(offset / SL_SLAB_GRANULE),
                 (uint32_t)(sl_slab_cost_bytes(size_bytes) / SL_SLAB_GRANULE));
    s->taken_bytes -= sl_slab_cost_bytes(size_bytes);
}

uint64_t
sl_slab_taken_bytes(const struct sl_slab *s)
{
    check(s);
    return s->taken_bytes;
}

uint64_t
sl_slab_total_bytes(const struct sl_slab *s)
{
    check(s);
    return s->segments_count * s->step_bytes;
}
