/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/objects_state.h"

static bool
spill_large(struct sl_objects *o, uint32_t at)
{
    struct sl_spilled spilled;
    struct sl_objects_apart *x = &o->apart[at];
    if (o->spill == NULL ||
        sl_spill_write(o->spill, sl_slice(x->memory.base, x->size_bytes), &spilled) != SL_OK)
        return false;
    sl_objects_close_large(o, at);
    sl_objects_set_spilled(o, at, &spilled);
    o->spills++;
    return true;
}

static bool
send_away(struct sl_objects *o, struct sl_evict *heap, uint32_t at)
{
    if (heap == o->dear)
        return spill_large(o, at);
    sl_objects_forget(o, at);
    o->evicted++;
    return true;
}

/* Large objects that no process holds, until `bytes` came free. */
static void
evict_large(struct sl_objects *o, struct sl_evict *heap, uint64_t bytes)
{
    uint32_t at, held = SL_OBJECTS_NONE;
    uint64_t freed = 0;
    while (freed < bytes && sl_evict_pop(heap, &at)) {
        uint64_t size = o->apart[at].memory.size_bytes;
        if (o->apart[at].holds == 0 && send_away(o, heap, at)) {
            freed += size;
            continue;
        }
        o->apart[at].next = held;
        held = at;
    }
    for (; held != SL_OBJECTS_NONE; held = o->apart[held].next)
        sl_evict_add(heap, held,
                     sl_evict_weight(o->apart[held].size_bytes, o->apart[held].rebuild_ns));
}

/* What is in the pool may go at any time: it takes nobody's room. */
static bool
has_room(struct sl_objects *o, uint64_t bytes)
{
    uint64_t used = o->arena_bytes + o->large_memory;
    return used <= o->options.node_bytes_max && bytes <= o->options.node_bytes_max - used;
}

bool
sl_objects_make_space(struct sl_objects *o, uint64_t bytes)
{
    sl_objects_count_arenas(o); /* Readers come and go without telling us. */
    if (has_room(o, bytes))
        return true;
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena != NULL)
            (void)sl_object_arena_trim(o->tenants[i]->arena, 0);
    }
    sl_objects_count_arenas(o);
    if (bytes > o->options.node_bytes_max)
        return false;
    struct sl_evict *heaps[] = {o->cheap, o->dear};
    for (uint32_t i = 0; i < SL_COUNT_OF(heaps) && !has_room(o, bytes); i++)
        evict_large(o, heaps[i],
                    o->arena_bytes + o->large_memory + bytes - o->options.node_bytes_max);
    return has_room(o, bytes);
}

bool
sl_objects_make_room(struct sl_objects *o, uint64_t bytes)
{
    if (!sl_objects_make_space(o, bytes))
        return false;
    sl_large_pool_shed(o->pool,
                       o->options.node_bytes_max - o->arena_bytes - o->large_memory - bytes);
    return true;
}

/* Of the tenant's large objects the one that is to go first; or NONE: there is none that may. */
static uint32_t
cheapest_large(const struct sl_objects *o, const struct sl_objects_tenant *t)
{
    uint32_t first = SL_OBJECTS_NONE;
    for (uint32_t at = 0; at < o->options.apart_max; at++) {
        const struct sl_objects_apart *x = &o->apart[at];
        if (x->state == SL_APART_LARGE && x->holds == 0 && x->id.tenant == t->number &&
            x->rebuild_ns != SL_ARENA_KEEP &&
            (first == SL_OBJECTS_NONE || sl_evict_is_before(o->cheap, at, first)))
            first = at;
    }
    return first;
}

bool
sl_objects_fits_quota(struct sl_objects *o, struct sl_objects_tenant *t, uint64_t bytes)
{
    if (bytes > t->quota)
        return false;
    uint64_t used = sl_objects_used_by(t);
    if (used + bytes > t->quota && t->arena != NULL) {
        (void)sl_object_arena_drop(t->arena, used + bytes - t->quota);
        used = sl_objects_used_by(t);
    }
    for (uint32_t at; used + bytes > t->quota && (at = cheapest_large(o, t)) != SL_OBJECTS_NONE;) {
        sl_objects_forget(o, at);
        o->evicted++;
        used = sl_objects_used_by(t);
    }
    return used + bytes <= t->quota;
}

void
sl_objects_shed(struct sl_objects *o, struct sl_objects_tenant *t)
{
    if (sl_large_pool_bytes(o->pool) == 0)
        return;
    uint64_t used = sl_objects_used_by(t);
    sl_large_pool_shed_tenant(o->pool, t->number, t->quota - SL_MIN(t->quota, used));
}
