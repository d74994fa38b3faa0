/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/arena_reader.h"

#include <sys/mman.h>

#include "object-store/arena_reader_state.h"
#include "runtime/alloc.h"

#define READER_MAGIC 0x41525244u
#define TRIES_MAX    1000u

static void
check(const struct sl_object_reader *r)
{
    sl_assert(r != NULL);
    sl_assert(r->magic == READER_MAGIC);
}

static bool
is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Take from the header what all bounds are made of: it is not looked at again. */
static enum sl_err
read_header(struct sl_object_reader *r)
{
    const struct sl_object_arena_header *h = r->header;
    uint32_t count = h->entries_count;
    if (h->magic != SL_ARENA_MAGIC)
        return SL_ECORRUPT;
    if (h->version != SL_ARENA_VERSION)
        return SL_EVERSION;
    if (!is_power_of_two(count) || count < SL_ARENA_ENTRIES_MIN || count > SL_ARENA_ENTRIES_MAX ||
        r->index.size_bytes < SL_ARENA_HEADER_BYTES + sl_object_arena_table_bytes(count))
        return SL_ECORRUPT;
    r->step_bytes = h->step_bytes;
    if (!is_power_of_two(r->step_bytes) || r->step_bytes < SL_SLAB_STEP_MIN ||
        r->step_bytes > SL_SLAB_STEP_MAX)
        return SL_ECORRUPT;
    r->step_shift = (uint32_t)__builtin_ctzll(r->step_bytes);
    r->pins_max = h->pins_max;
    if (r->pins_max == 0 || r->pins_max > SL_ARENA_PINS_MAX ||
        r->pins_file.size_bytes < sizeof(*r->pins) + r->pins_max * sizeof(uint64_t))
        return SL_ECORRUPT;
    r->tenant = h->tenant;
    r->table = sl_object_arena_table(r->index.base + SL_ARENA_HEADER_BYTES, count, h->seed);
    return SL_OK;
}

enum sl_err
sl_object_reader_attach(int index_fd, int pins_fd, struct sl_object_reader **ret_reader)
{
    sl_assert(ret_reader != NULL);
    struct sl_object_reader *r = sl_zalloc(sizeof(*r));
    r->magic = READER_MAGIC;
    r->index = r->pins_file = SL_SHARED_NONE;
    enum sl_err err = sl_shared_attach(index_fd, SL_ARENA_HEADER_BYTES, false, &r->index);
    if (err == SL_OK)
        err = sl_shared_attach(pins_fd, sizeof(*r->pins), true, &r->pins_file);
    if (err == SL_OK) {
        r->header = (const void *)r->index.base;
        r->pins = (void *)r->pins_file.base;
        err = read_header(r);
    }
    if (err != SL_OK) {
        sl_object_reader_detach(&r);
        return err;
    }
    *ret_reader = r;
    return SL_OK;
}

static void
unmap(struct sl_object_arena_mapped *m)
{
    if (m->base != NULL)
        (void)munmap(m->base, m->size_bytes);
    m->base = NULL;
}

void
sl_object_reader_detach(struct sl_object_reader **reader)
{
    struct sl_object_reader *r = *reader;
    if (r == NULL)
        return;
    check(r);
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++)
        unmap(&r->segments[i]);
    sl_shared_destroy(&r->index);
    sl_shared_destroy(&r->pins_file);
    sl_free(r);
    *reader = NULL;
}

enum sl_err
sl_object_reader_add_segment(struct sl_object_reader *r, uint32_t segment, uint64_t life, int fd)
{
    check(r);
    if (segment >= SL_SLAB_SEGMENTS_MAX || life == 0)
        return SL_EINVAL;
    struct sl_object_arena_mapped *m = &r->segments[segment];
    if (atomic_load_explicit(&m->life, memory_order_relaxed) == life)
        return SL_OK; /* Another thread's get asked for it, too. */
    struct sl_shared file;
    enum sl_err err = sl_shared_attach(fd, r->step_bytes, false, &file);
    if (err != SL_OK)
        return err;
    /* Of its former life nothing is pinned, or there would be no other life. */
    atomic_store_explicit(&m->life, 0, memory_order_relaxed);
    unmap(m);
    m->base = file.base;
    m->size_bytes = file.size_bytes;
    atomic_store_explicit(&m->life, life, memory_order_release);
    return SL_OK;
}

uint32_t
sl_object_reader_trim(struct sl_object_reader *r)
{
    check(r);
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++) {
        struct sl_object_arena_mapped *m = &r->segments[i];
        uint64_t life = atomic_load_explicit(&m->life, memory_order_relaxed);
        if (life == 0 ||
            life == atomic_load_explicit(&r->header->segments[i], memory_order_acquire))
            continue;
        atomic_store_explicit(&m->life, 0, memory_order_relaxed);
        unmap(m);
        count++;
    }
    return count;
}

/* ---- pins ---------------------------------------------------------------------------------- */

/* The store looks at slots below `used` alone. It must hear of more before one of them is taken. */
static void
raise_used(struct sl_object_reader *r, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&r->pins->used, memory_order_relaxed);
    while (used <= slot &&
           !atomic_compare_exchange_weak_explicit(&r->pins->used, &used, slot + 1,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

/* The exchange claims the slot, tells the store, and orders what follows behind it. */
static bool
try_slot(struct sl_object_reader *r, uint32_t slot, uint64_t word)
{
    uint64_t empty = 0;
    if (atomic_load_explicit(&r->pins->slots[slot], memory_order_relaxed) != 0)
        return false;
    raise_used(r, slot);
    return atomic_compare_exchange_strong_explicit(&r->pins->slots[slot], &empty, word,
                                                   memory_order_seq_cst, memory_order_relaxed);
}

static bool
pin(struct sl_object_reader *r, uint64_t word, uint32_t *ret_slot)
{
    uint32_t slot = atomic_load_explicit(&r->hint, memory_order_relaxed);
    for (uint32_t i = 0; i < r->pins_max; i++, slot++) {
        if (slot >= r->pins_max)
            slot = 0;
        if (!try_slot(r, slot, word))
            continue;
        atomic_store_explicit(&r->hint, slot + 1, memory_order_relaxed);
        *ret_slot = slot;
        return true;
    }
    return false;
}

/* Release: what was read through the pin was read before the store sees it gone. */
static void
unpin(struct sl_object_reader *r, uint32_t slot)
{
    atomic_store_explicit(&r->pins->slots[slot], 0, memory_order_release);
    atomic_store_explicit(&r->hint, slot, memory_order_relaxed);
}

/* ---- get ----------------------------------------------------------------------------------- */

/* Where the bytes are here. What the entry says is not believed. */
static enum sl_err
locate(struct sl_object_reader *r, const struct sl_object_arena_seen *seen,
       struct sl_object_arena_ref *ret_ref)
{
    uint64_t segment = seen->offset >> r->step_shift, at = seen->offset & (r->step_bytes - 1);
    if (segment >= SL_SLAB_SEGMENTS_MAX || seen->size_bytes == 0 ||
        seen->size_bytes > r->step_bytes - at)
        return SL_ECORRUPT;
    struct sl_object_arena_mapped *m = &r->segments[segment];
    uint64_t life = atomic_load_explicit(&m->life, memory_order_acquire);
    ret_ref->segment = (uint32_t)segment;
    if (life == 0 ||
        life != atomic_load_explicit(&r->header->segments[segment], memory_order_acquire))
        return SL_EUNAVAIL;
    ret_ref->bytes = sl_slice(m->base + at, seen->size_bytes);
    return SL_OK;
}

static void
tell_touched(struct sl_object_reader *r, uint32_t entry)
{
    atomic_store_explicit(&r->pins->touched[entry % SL_ARENA_TOUCHED], entry + 1,
                          memory_order_relaxed);
}

enum sl_err
sl_object_reader_get(struct sl_object_reader *r, const struct sl_object_id *id,
                     struct sl_object_arena_ref *ret_ref)
{
    check(r);
    if (!sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (id->tenant != r->tenant)
        return SL_ENOTFOUND;
    for (uint32_t tries = 0; tries < TRIES_MAX; tries++) {
        struct sl_object_arena_seen seen;
        struct sl_object_arena_ref ref = {0};
        enum sl_err err = sl_object_arena_find(&r->table, id, &seen);
        if (err != SL_OK)
            return err;
        if (!pin(r, sl_object_arena_pin_word(seen.entry, seen.birth), &ref.slot))
            return SL_EFULL;
        /* The same still: the store sees the pin before it can free the bytes. */
        bool is_held = sl_object_arena_is_same(&r->table, &seen);
        if (atomic_load_explicit(&r->pins->revoked, memory_order_seq_cst) != 0)
            err = SL_ESTALE;
        else if (is_held)
            err = locate(r, &seen, &ref);
        if (!is_held || err != SL_OK)
            unpin(r, ref.slot);
        if (!is_held && err == SL_OK)
            continue; /* It changed under us: what is it now? */
        if (err == SL_OK) {
            tell_touched(r, seen.entry);
            *ret_ref = ref;
        } else if (err == SL_EUNAVAIL) {
            ret_ref->segment = ref.segment;
        }
        return err;
    }
    return SL_EBUSY; /* Somebody puts and deletes this very object without end. */
}

void
sl_object_reader_release(struct sl_object_reader *r, struct sl_object_arena_ref *ref)
{
    check(r);
    sl_assert(ref->bytes.data != NULL && ref->slot < r->pins_max);
    unpin(r, ref->slot);
    ref->bytes = (struct sl_slice){0};
}

uint64_t
sl_object_reader_tenant(const struct sl_object_reader *r)
{
    check(r);
    return r->tenant;
}

uint32_t
sl_object_reader_pins(const struct sl_object_reader *r)
{
    check(r);
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->pins_max; i++)
        count += atomic_load_explicit(&r->pins->slots[i], memory_order_relaxed) != 0;
    return count;
}
