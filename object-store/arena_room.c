/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pins what, and how room is made. An object is hidden first and its pins are looked at then:
 * a reader pins first and looks whether the entry is still the same then. Whichever comes second
 * sees the other (decision 15).
 */
#include "object-store/arena_state.h"

#define VICTIMS_MAX 64u /* Of a pass: what it costs to look at all pins is shared by them. */

static uint32_t
scan_pins(struct sl_object_arena *a, struct sl_object_arena_pins *pins)
{
    uint32_t used = atomic_load_explicit(&pins->used, memory_order_seq_cst), count = 0;
    used = SL_MIN(used, a->options.pins_max);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t word = atomic_load_explicit(&pins->slots[i], memory_order_seq_cst);
        uint32_t entry = (uint32_t)(word & ((1u << SL_ARENA_PIN_ENTRY_BITS) - 1)) - 1;
        if (word == 0 || entry >= a->entries_count)
            continue; /* A reader may write what it likes. */
        struct sl_object_arena_record *r = &a->records[entry];
        if (r->state == SL_ARENA_FREE || sl_object_arena_pin_word(entry, r->birth) != word)
            continue;
        r->seen_scan = a->scans;
        count++;
    }
    return count;
}

uint32_t
sl_object_arena_scan_reader(struct sl_object_arena *a, uint32_t reader)
{
    a->scans++;
    return scan_pins(a, (void *)a->readers[reader].base);
}

uint32_t
sl_object_arena_scan(struct sl_object_arena *a)
{
    a->scans++;
    uint32_t count = 0;
    for (uint32_t i = 0, seen = 0; seen < a->readers_count; i++) {
        sl_assert(i < SL_ARENA_READERS_MAX);
        if (a->readers[i].base == NULL)
            continue;
        seen++;
        count += scan_pins(a, (void *)a->readers[i].base);
    }
    return count;
}

/* What readers say they asked for lately. It is believed: it decides about their tenant alone. */
static void
take_touches(struct sl_object_arena *a)
{
    for (uint32_t i = 0, seen = 0; seen < a->readers_count; i++) {
        sl_assert(i < SL_ARENA_READERS_MAX);
        struct sl_object_arena_pins *pins = (void *)a->readers[i].base;
        if (pins == NULL)
            continue;
        seen++;
        for (uint32_t k = 0; k < SL_ARENA_TOUCHED; k++) {
            if (atomic_load_explicit(&pins->touched[k], memory_order_relaxed) == 0)
                continue;
            uint32_t entry =
                atomic_exchange_explicit(&pins->touched[k], 0, memory_order_relaxed) - 1;
            if (entry >= a->entries_count || a->records[entry].state != SL_ARENA_LIVE)
                continue;
            sl_evict_touch(sl_object_arena_heap_of(a, &a->records[entry]), entry);
        }
    }
}

/* A hidden entry that nobody pins. */
static uint64_t
free_entry(struct sl_object_arena *a, uint32_t entry)
{
    struct sl_object_arena_record *r = &a->records[entry];
    sl_slab_free(a->slab, r->offset, r->size_bytes);
    sl_object_arena_writer_drop(a->writer, entry);
    a->object_bytes -= r->size_bytes;
    r->state = SL_ARENA_FREE;
    return sl_slab_cost_bytes(r->size_bytes);
}

enum sl_err
sl_object_arena_delete(struct sl_object_arena *a, const struct sl_object_id *id)
{
    sl_object_arena_check(a);
    uint32_t entry;
    if (id->tenant != a->options.tenant || !sl_object_arena_writer_lookup(a->writer, id, &entry))
        return SL_ENOTFOUND;
    struct sl_object_arena_record *r = &a->records[entry];
    sl_evict_remove(sl_object_arena_heap_of(a, r), entry);
    sl_object_arena_writer_hide(a->writer, entry);
    (void)sl_object_arena_scan(a);
    if (r->seen_scan != a->scans) {
        (void)free_entry(a, entry);
        return SL_OK;
    }
    r->state = SL_ARENA_LEAVING;
    r->next = a->leaving;
    a->leaving = entry;
    a->leaving_count++;
    return SL_OK;
}

uint64_t
sl_object_arena_collect(struct sl_object_arena *a)
{
    sl_object_arena_check(a);
    if (a->leaving == SL_ARENA_NONE)
        return 0;
    uint64_t freed = 0;
    (void)sl_object_arena_scan(a);
    for (uint32_t *at = &a->leaving; *at != SL_ARENA_NONE;) {
        struct sl_object_arena_record *r = &a->records[*at];
        if (r->seen_scan == a->scans) {
            at = &r->next;
            continue;
        }
        uint32_t entry = *at;
        *at = r->next;
        a->leaving_count--;
        freed += free_entry(a, entry);
    }
    return freed;
}

/* ---- eviction ------------------------------------------------------------------------------ */

static void
add_again(struct sl_object_arena *a, struct sl_evict *heap, uint32_t entry)
{
    const struct sl_object_arena_record *r = &a->records[entry];
    sl_evict_add(heap, entry, sl_evict_weight(r->size_bytes, r->rebuild_ns));
}

/* Take the cheapest that nobody pins now; those that somebody does go back as if just asked for. */
static uint32_t
choose(struct sl_object_arena *a, struct sl_evict *heap, uint64_t bytes,
       uint32_t victims[VICTIMS_MAX])
{
    uint32_t count = 0, entry, pinned = SL_ARENA_NONE;
    uint64_t cost = 0;
    (void)sl_object_arena_scan(a);
    while (count < VICTIMS_MAX && cost < bytes && sl_evict_pop(heap, &entry)) {
        struct sl_object_arena_record *r = &a->records[entry];
        if (r->seen_scan == a->scans) {
            r->next = pinned;
            pinned = entry;
            continue;
        }
        victims[count++] = entry;
        cost += sl_slab_cost_bytes(r->size_bytes);
    }
    for (; pinned != SL_ARENA_NONE; pinned = a->records[pinned].next)
        add_again(a, heap, pinned);
    return count;
}

static bool
save(struct sl_object_arena *a, uint32_t entry)
{
    struct sl_object_arena_record *r = &a->records[entry];
    struct sl_object_id id;
    sl_object_arena_writer_id(a->writer, entry, &id);
    id.tenant = a->options.tenant;
    if (!a->options.spill(a->options.owner, &id, sl_object_arena_bytes_of(a, r)))
        return false;
    a->spilled++;
    return true;
}

/* One pass; what came free. */
static uint64_t
evict(struct sl_object_arena *a, struct sl_evict *heap, uint64_t bytes)
{
    uint32_t victims[VICTIMS_MAX];
    uint64_t freed = 0;
    uint32_t count = choose(a, heap, bytes, victims);
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        sl_object_arena_writer_hide(a->writer, victims[i]);
    (void)sl_object_arena_scan(a);
    for (uint32_t i = 0; i < count; i++) {
        bool is_pinned = a->records[victims[i]].seen_scan == a->scans;
        if (is_pinned || (heap == a->dear && !save(a, victims[i]))) {
            sl_object_arena_writer_show(a->writer, victims[i]);
            add_again(a, heap, victims[i]);
            continue;
        }
        freed += free_entry(a, victims[i]);
        a->evicted += heap == a->cheap;
    }
    return freed;
}

uint64_t
sl_object_arena_drop(struct sl_object_arena *a, uint64_t bytes)
{
    sl_object_arena_check(a);
    uint64_t freed = sl_object_arena_collect(a), pass;
    if (freed >= bytes)
        return freed;
    take_touches(a);
    while (freed < bytes && (pass = evict(a, a->cheap, bytes - freed)) > 0)
        freed += pass;
    return freed;
}

uint64_t
sl_object_arena_evict(struct sl_object_arena *a, uint64_t bytes)
{
    uint64_t freed = sl_object_arena_drop(a, bytes), pass;
    while (freed < bytes && a->options.spill != NULL &&
           (pass = evict(a, a->dear, bytes - freed)) > 0)
        freed += pass;
    return freed;
}
