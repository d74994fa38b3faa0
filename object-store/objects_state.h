/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects_state.h - what objects.c (tenants, objects, drafts) and objects_room.c (how room is made)
 * share.
 */
#ifndef SL_OBJECT_STORE_OBJECTS_STATE_H
#define SL_OBJECT_STORE_OBJECTS_STATE_H

#include "object-store/evict.h"
#include "object-store/large_pool.h"
#include "object-store/object_map.h"
#include "object-store/objects.h"
#include "object-store/spill.h"

#define SL_OBJECTS_MAGIC  0x4f424a53u
#define SL_OBJECTS_NONE   UINT32_MAX
#define SL_OBJECTS_PLACES (2 * SL_OBJECTS_TENANTS_MAX)

/* An object that is not in an arena. LEAVING: deleted and held. */
struct sl_objects_apart {
    enum { SL_APART_FREE, SL_APART_LARGE, SL_APART_SPILLED, SL_APART_LEAVING } state;
    bool is_ours; /* We alone write its memory, and may do so again. */
    uint32_t holds;
    uint32_t next; /* Of the free ones. */
    struct sl_object_id id;
    uint64_t size_bytes, rebuild_ns;
    struct sl_shared memory;
    struct sl_spilled spilled;
};

struct sl_objects_tenant {
    struct sl_objects *objects;
    uint64_t number, quota;
    uint64_t apart_bytes; /* Of its large and spilled objects. */
    uint64_t draft_bytes;
    uint64_t arena_bytes; /* Memory of its arena, as it is part of that of all. */
    struct sl_object_arena *arena;
};

struct sl_objects {
    uint32_t magic;
    uint32_t tenants_count, free;
    uint32_t large_count, spilled_count, holds;
    struct sl_objects_options options;
    uint64_t arena_bytes, large_bytes, evicted, spills;
    uint64_t large_memory; /* Files of large objects and drafts of them. */
    struct sl_large_pool *pool;
    struct sl_objects_apart *apart;
    struct sl_object_map *map; /* Id -> apart. */
    struct sl_evict *cheap, *dear;
    struct sl_spill *spill;
    struct sl_objects_tenant *tenants[SL_OBJECTS_TENANTS_MAX];
    struct sl_objects_tenant
        *places[SL_OBJECTS_PLACES]; /* The same by number, with linear probing. */
};

static inline void
sl_objects_check(const struct sl_objects *o)
{
    sl_assert(o != NULL);
    sl_assert(o->magic == SL_OBJECTS_MAGIC);
}

static inline struct sl_evict *
sl_objects_heap_of(struct sl_objects *o, const struct sl_objects_apart *x)
{
    return x->rebuild_ns == SL_ARENA_KEEP ? o->dear : o->cheap;
}

/* ---- objects.c ----------------------------------------------------------------------------- */
uint64_t sl_objects_used_by(struct sl_objects_tenant *t);
void sl_objects_count_arenas(struct sl_objects *o); /* They have grown or shrunk, maybe. */
void sl_objects_set_spilled(struct sl_objects *o, uint32_t at, const struct sl_spilled *spilled);
/* Its memory goes with the last process that maps it, or to the pool, if it is ours. */
void sl_objects_close_large(struct sl_objects *o, uint32_t at);
/* Nobody finds it any more; it goes at once, or when the last process lets go of it. */
void sl_objects_forget(struct sl_objects *o, uint32_t at);

/* ---- objects_room.c ------------------------------------------------------------------------ */
/* Have others go until the node could take `bytes` more. What large ones leave is in the pool. */
bool sl_objects_make_space(struct sl_objects *o, uint64_t bytes);
/* The same, and give as much of the pool back as they need. */
bool sl_objects_make_room(struct sl_objects *o, uint64_t bytes);
/* Of the tenant's own, what can be made again goes, until `bytes` more are within its quota. */
bool sl_objects_fits_quota(struct sl_objects *o, struct sl_objects_tenant *t, uint64_t bytes);
/* The pool keeps what the tenant's quota leaves. */
void sl_objects_shed(struct sl_objects *o, struct sl_objects_tenant *t);

#endif
