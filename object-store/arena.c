/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/arena.h"

#include "object-store/arena_state.h"
#include "runtime/alloc.h"

#define STEP_BYTES (16 * SL_MIB)
#define SIZE_BYTES SL_GIB
#define OBJECTS    16384u
#define PINS       248u

/* ---- making one ---------------------------------------------------------------------------- */

static void
set_options(struct sl_object_arena *a, const struct sl_object_arena_options *options)
{
    struct sl_object_arena_options *o = &a->options;
    *o = *options;
    o->step_bytes = o->step_bytes == 0 ? STEP_BYTES : o->step_bytes;
    o->size_bytes_max = o->size_bytes_max == 0 ? SIZE_BYTES : o->size_bytes_max;
    o->objects_max = o->objects_max == 0 ? OBJECTS : o->objects_max;
    o->pins_max = o->pins_max == 0 ? PINS : o->pins_max;
    o->size_bytes_max = SL_MIN(o->size_bytes_max, SL_SLAB_SEGMENTS_MAX * o->step_bytes);
    sl_assert(o->objects_max <= SL_ARENA_ENTRIES_MAX / 2 && o->pins_max <= SL_ARENA_PINS_MAX);
    a->entries_count = SL_ARENA_ENTRIES_MIN;
    while (a->entries_count / 2 < o->objects_max)
        a->entries_count *= 2;
}

static void
write_header(struct sl_object_arena *a)
{
    a->header = (void *)a->index.base;
    a->header->version = SL_ARENA_VERSION;
    a->header->tenant = a->options.tenant;
    a->header->step_bytes = a->options.step_bytes;
    a->header->seed = a->options.seed;
    a->header->entries_count = a->entries_count;
    a->header->pins_max = a->options.pins_max;
    a->header->magic = SL_ARENA_MAGIC;
}

enum sl_err
sl_object_arena_create(const struct sl_object_arena_options *options,
                       struct sl_object_arena **ret_arena)
{
    sl_assert(options != NULL && ret_arena != NULL);
    struct sl_object_arena *a = sl_zalloc(sizeof(*a));
    a->magic = SL_ARENA_STATE_MAGIC;
    a->leaving = SL_ARENA_NONE;
    a->index = SL_SHARED_NONE;
    set_options(a, options);
    for (uint32_t i = 0; i < SL_ARENA_READERS_MAX; i++)
        a->readers[i] = SL_SHARED_NONE;
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++)
        a->segments[i].memory = SL_SHARED_NONE;
    uint64_t size = SL_ARENA_HEADER_BYTES + sl_object_arena_table_bytes(a->entries_count);
    enum sl_err err = sl_shared_create("sluice-index", size, SL_SHARED_OURS, &a->index);
    if (err != SL_OK) {
        sl_free(a);
        return err;
    }
    write_header(a);
    a->slab = sl_slab_create(a->options.step_bytes);
    a->writer = sl_object_arena_writer_create(a->index.base + SL_ARENA_HEADER_BYTES,
                                              a->entries_count, a->options.seed);
    a->records = sl_zalloc(a->entries_count * sizeof(*a->records));
    a->cheap = sl_evict_create(a->entries_count);
    a->dear = sl_evict_create(a->entries_count);
    *ret_arena = a;
    return SL_OK;
}

static uint64_t
pins_size(const struct sl_object_arena *a)
{
    return sizeof(struct sl_object_arena_pins) + a->options.pins_max * sizeof(uint64_t);
}

void
sl_object_arena_destroy(struct sl_object_arena **arena)
{
    struct sl_object_arena *a = *arena;
    if (a == NULL)
        return;
    sl_object_arena_check(a);
    for (uint32_t i = 0; i < SL_ARENA_READERS_MAX; i++)
        sl_shared_destroy(&a->readers[i]);
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++)
        sl_shared_destroy(&a->segments[i].memory);
    sl_evict_destroy(&a->cheap);
    sl_evict_destroy(&a->dear);
    sl_object_arena_writer_destroy(&a->writer);
    sl_slab_destroy(&a->slab);
    sl_shared_destroy(&a->index);
    sl_free(a->records);
    sl_free(a);
    *arena = NULL;
}

/* ---- segments ------------------------------------------------------------------------------ */

static bool
is_below_most(const struct sl_object_arena *a)
{
    return (a->segments_count + 1) * a->options.step_bytes <= a->options.size_bytes_max;
}

bool
sl_object_arena_wants_segment(const struct sl_object_arena *a)
{
    sl_object_arena_check(a);
    uint64_t left = sl_slab_total_bytes(a->slab) - sl_slab_taken_bytes(a->slab);
    return left < a->options.step_bytes / 4 && is_below_most(a);
}

enum sl_err
sl_object_arena_segment_create(uint64_t step_bytes, struct sl_shared *ret_segment)
{
    return sl_shared_create("sluice-arena", step_bytes == 0 ? STEP_BYTES : step_bytes,
                            SL_SHARED_OURS, ret_segment);
}

void
sl_object_arena_add_segment(struct sl_object_arena *a, struct sl_shared *segment)
{
    sl_object_arena_check(a);
    sl_assert(segment->size_bytes == a->options.step_bytes && segment->base != NULL);
    uint32_t at;
    if (sl_slab_add(a->slab, &at) != SL_OK) {
        sl_shared_destroy(segment);
        return;
    }
    a->segments[at] = (struct sl_object_arena_segment){.memory = *segment, .life = ++a->lives};
    a->segments_count++;
    atomic_store_explicit(&a->header->segments[at], a->lives, memory_order_release);
    *segment = SL_SHARED_NONE;
}

uint64_t
sl_object_arena_trim(struct sl_object_arena *a, uint32_t keep)
{
    sl_object_arena_check(a);
    uint64_t freed = 0;
    (void)sl_object_arena_collect(a);
    for (uint32_t i = SL_SLAB_SEGMENTS_MAX; i-- > 0 && a->segments_count > keep;) {
        if (a->segments[i].memory.base == NULL || !sl_slab_is_empty(a->slab, i))
            continue;
        atomic_store_explicit(&a->header->segments[i], 0, memory_order_release);
        sl_slab_remove(a->slab, i);
        sl_shared_destroy(&a->segments[i].memory);
        a->segments_count--;
        freed += a->options.step_bytes;
    }
    return freed;
}

enum sl_err
sl_object_arena_segment_lookup(const struct sl_object_arena *a, uint32_t segment, int *ret_fd,
                               uint64_t *ret_life)
{
    sl_object_arena_check(a);
    if (segment >= SL_SLAB_SEGMENTS_MAX || a->segments[segment].memory.base == NULL)
        return SL_ENOTFOUND;
    *ret_fd = a->segments[segment].memory.fd;
    *ret_life = a->segments[segment].life;
    return SL_OK;
}

/* ---- objects ------------------------------------------------------------------------------- */

static enum sl_err
grow(struct sl_object_arena *a)
{
    const struct sl_object_arena_options *o = &a->options;
    if (!is_below_most(a) || (o->may_grow != NULL && !o->may_grow(o->owner, o->step_bytes)))
        return SL_EFULL;
    struct sl_shared segment;
    enum sl_err err = sl_object_arena_segment_create(a->options.step_bytes, &segment);
    if (err == SL_OK)
        sl_object_arena_add_segment(a, &segment);
    return err;
}

enum sl_err
sl_object_arena_begin(struct sl_object_arena *a, uint64_t size_bytes,
                      struct sl_object_arena_draft *ret_draft)
{
    sl_object_arena_check(a);
    sl_assert(size_bytes >= 1 && ret_draft != NULL);
    /* Some more than is needed, since a pass looks at all pins, however little it frees. */
    uint64_t offset, cost = SL_MAX(sl_slab_cost_bytes(size_bytes), a->options.step_bytes / 128);
    enum sl_err err, grown = SL_OK;
    while ((err = sl_slab_take(a->slab, size_bytes, &offset)) == SL_EFULL) {
        if (sl_object_arena_collect(a) > 0)
            continue;
        if (grown == SL_OK && (grown = grow(a)) == SL_OK)
            continue;
        /* Each turn at least one object goes, so this ends; runs grow together on the way. */
        if (sl_object_arena_evict(a, cost) == 0)
            return grown;
        cost *= 2;
    }
    if (err != SL_OK)
        return err;
    struct sl_object_arena_record place = {.offset = offset, .size_bytes = size_bytes};
    *ret_draft =
        (struct sl_object_arena_draft){.offset = offset,
                                       .size_bytes = size_bytes,
                                       .data = (uint8_t *)sl_object_arena_bytes_of(a, &place).data};
    return SL_OK;
}

void
sl_object_arena_abort(struct sl_object_arena *a, const struct sl_object_arena_draft *draft)
{
    sl_object_arena_check(a);
    sl_slab_free(a->slab, draft->offset, draft->size_bytes);
}

enum sl_err
sl_object_arena_seal(struct sl_object_arena *a, const struct sl_object_arena_draft *draft,
                     const struct sl_object_id *id, uint64_t rebuild_ns)
{
    sl_object_arena_check(a);
    sl_assert(id->tenant == a->options.tenant);
    struct sl_object_arena_place place = {
        .offset = draft->offset, .size_bytes = draft->size_bytes, .birth = a->births + 1};
    uint32_t entry;
    enum sl_err err = sl_object_arena_writer_insert(a->writer, id, &place, &entry);
    if (err == SL_EFULL && sl_object_arena_evict(a, 1) > 0)
        err = sl_object_arena_writer_insert(a->writer, id, &place, &entry);
    if (err != SL_OK)
        return err;
    a->births++;
    struct sl_object_arena_record *r = &a->records[entry];
    *r = (struct sl_object_arena_record){.state = SL_ARENA_LIVE,
                                         .offset = draft->offset,
                                         .size_bytes = draft->size_bytes,
                                         .birth = place.birth,
                                         .rebuild_ns = rebuild_ns};
    a->object_bytes += draft->size_bytes;
    sl_evict_add(sl_object_arena_heap_of(a, r), entry,
                 sl_evict_weight(draft->size_bytes, rebuild_ns));
    return SL_OK;
}

/*
 * Whether it is there. If not, what sealing it will write is fetched into the caches meanwhile: it
 * lies anywhere in some MiB, and to wait for that takes longer than to copy 4 KiB.
 */
static enum sl_err
expect(const struct sl_object_arena *a, const struct sl_object_id *id, uint64_t rebuild_ns)
{
    uint32_t entry;
    enum sl_err err = sl_object_arena_writer_expect(a->writer, id, &entry);
    if (err != SL_OK)
        return err;
    __builtin_prefetch(&a->records[entry], 1);
    sl_evict_expect(rebuild_ns == SL_ARENA_KEEP ? a->dear : a->cheap, entry);
    return SL_OK;
}

enum sl_err
sl_object_arena_put(struct sl_object_arena *a, const struct sl_object_id *id, struct sl_slice bytes,
                    uint64_t rebuild_ns)
{
    sl_object_arena_check(a);
    sl_assert(id->tenant == a->options.tenant);
    struct sl_object_arena_draft draft;
    enum sl_err err = expect(a, id, rebuild_ns);
    if (err == SL_EEXIST)
        return err;
    err = sl_object_arena_begin(a, bytes.size, &draft);
    if (err != SL_OK)
        return err;
    memcpy(draft.data, bytes.data, bytes.size);
    err = sl_object_arena_seal(a, &draft, id, rebuild_ns);
    if (err != SL_OK)
        sl_object_arena_abort(a, &draft);
    return err;
}

bool
sl_object_arena_lookup(const struct sl_object_arena *a, const struct sl_object_id *id,
                       struct sl_slice *ret_bytes)
{
    sl_object_arena_check(a);
    uint32_t entry;
    if (id->tenant != a->options.tenant || !sl_object_arena_writer_lookup(a->writer, id, &entry))
        return false;
    *ret_bytes = sl_object_arena_bytes_of(a, &a->records[entry]);
    return true;
}

uint64_t
sl_object_arena_bytes(const struct sl_object_arena *a)
{
    sl_object_arena_check(a);
    return a->object_bytes;
}

uint64_t
sl_object_arena_memory(const struct sl_object_arena *a)
{
    sl_object_arena_check(a);
    return a->index.size_bytes + a->segments_count * a->options.step_bytes +
           a->readers_count * pins_size(a);
}

uint64_t
sl_object_arena_object_max(const struct sl_object_arena *a)
{
    sl_object_arena_check(a);
    return sl_slab_object_max(a->slab);
}

/* ---- readers ------------------------------------------------------------------------------- */

enum sl_err
sl_object_arena_admit(struct sl_object_arena *a, struct sl_object_arena_grant *ret_grant)
{
    sl_object_arena_check(a);
    uint32_t at = 0;
    while (at < SL_ARENA_READERS_MAX && a->readers[at].base != NULL)
        at++;
    if (at == SL_ARENA_READERS_MAX)
        return SL_EFULL;
    uint64_t size = pins_size(a);
    enum sl_err err = sl_shared_create("sluice-pins", size, SL_SHARED_THEIRS, &a->readers[at]);
    if (err != SL_OK)
        return err;
    a->readers_count++;
    *ret_grant = (struct sl_object_arena_grant){
        .reader = at, .index_fd = a->index.fd, .pins_fd = a->readers[at].fd};
    return SL_OK;
}

uint32_t
sl_object_arena_dismiss(struct sl_object_arena *a, uint32_t reader)
{
    sl_object_arena_check(a);
    sl_assert(reader < SL_ARENA_READERS_MAX && a->readers[reader].base != NULL);
    struct sl_object_arena_pins *theirs = (void *)a->readers[reader].base;
    /* Before the last look at them: if the process lives on, it gets nothing that is not pinned. */
    atomic_store_explicit(&theirs->revoked, 1, memory_order_seq_cst);
    uint32_t pins = sl_object_arena_scan_reader(a, reader);
    sl_shared_destroy(&a->readers[reader]);
    a->readers_count--;
    (void)sl_object_arena_collect(a);
    return pins;
}

void
sl_object_arena_stats(struct sl_object_arena *a, struct sl_object_arena_stats *ret_stats)
{
    sl_object_arena_check(a);
    *ret_stats = (struct sl_object_arena_stats){
        .objects = sl_object_arena_writer_used(a->writer) - a->leaving_count,
        .leaving = a->leaving_count,
        .readers = a->readers_count,
        .segments = a->segments_count,
        .pins = sl_object_arena_scan(a),
        .object_bytes = a->object_bytes,
        .taken_bytes = sl_slab_taken_bytes(a->slab),
        .segment_bytes = sl_slab_total_bytes(a->slab),
        .evicted = a->evicted,
        .spilled = a->spilled,
    };
}
