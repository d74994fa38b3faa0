/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/objects.h"

#include "object-store/evict.h"
#include "object-store/object_map.h"
#include "object-store/spill.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define OBJECTS_MAGIC 0x4f424a53u
#define APART_MAX     4096u
#define NONE          UINT32_MAX
#define PLACES        (2 * SL_OBJECTS_TENANTS_MAX)

/* An object that is not in an arena. */
struct apart {
    enum { FREE, LARGE, SPILLED, LEAVING } state; /* LEAVING: deleted and held. */
    uint32_t holds;
    uint32_t next; /* Of the free ones. */
    struct sl_object_id id;
    uint64_t size_bytes, rebuild_ns;
    struct sl_shared memory;
    struct sl_spilled spilled;
};

struct tenant {
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
    struct apart *apart;
    struct sl_object_map *map; /* Id -> apart. */
    struct sl_evict *cheap, *dear;
    struct sl_spill *spill;
    struct tenant *tenants[SL_OBJECTS_TENANTS_MAX];
    struct tenant *places[PLACES]; /* The same by number, with linear probing. */
};

static void
check(const struct sl_objects *o)
{
    sl_assert(o != NULL);
    sl_assert(o->magic == OBJECTS_MAGIC);
}

enum sl_err
sl_objects_create(const struct sl_objects_options *options, struct sl_objects **ret_objects)
{
    sl_assert(options != NULL && ret_objects != NULL);
    struct sl_spill *spill = NULL;
    if (options->spill_directory != NULL) {
        enum sl_err err =
            sl_spill_create(options->spill_directory, options->spill_bytes_max, &spill);
        if (err != SL_OK)
            return err;
    }
    struct sl_objects *o = sl_zalloc(sizeof(*o));
    o->magic = OBJECTS_MAGIC;
    o->options = *options;
    o->options.spill_directory = NULL; /* Borrowed for the call. */
    o->options.apart_max = options->apart_max == 0 ? APART_MAX : options->apart_max;
    o->spill = spill;
    o->apart = sl_zalloc(o->options.apart_max * sizeof(*o->apart));
    o->map = sl_object_map_create(o->options.apart_max, options->arena.seed);
    o->cheap = sl_evict_create(o->options.apart_max);
    o->dear = sl_evict_create(o->options.apart_max);
    o->free = NONE;
    for (uint32_t i = o->options.apart_max; i-- > 0;) {
        o->apart[i].next = o->free;
        o->free = i;
    }
    *ret_objects = o;
    return SL_OK;
}

void
sl_objects_destroy(struct sl_objects **objects)
{
    struct sl_objects *o = *objects;
    if (o == NULL)
        return;
    check(o);
    for (uint32_t i = 0; i < o->options.apart_max; i++) {
        if (o->apart[i].state == LARGE || o->apart[i].state == LEAVING)
            sl_shared_destroy(&o->apart[i].memory);
    }
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        sl_object_arena_destroy(&o->tenants[i]->arena);
        sl_free(o->tenants[i]);
    }
    sl_evict_destroy(&o->cheap);
    sl_evict_destroy(&o->dear);
    sl_object_map_destroy(&o->map);
    sl_spill_destroy(&o->spill);
    sl_free(o->apart);
    sl_free(o);
    *objects = NULL;
}

/* ---- tenants ------------------------------------------------------------------------------- */

/* Its place, or the free one where the search for it ends. Tenants never leave. */
static uint32_t
place_of(const struct sl_objects *o, uint64_t number)
{
    uint64_t at = sl_hash64(sl_slice(&number, sizeof(number))) % PLACES;
    while (o->places[at] != NULL && o->places[at]->number != number)
        at = (at + 1) % PLACES;
    return (uint32_t)at;
}

static struct tenant *
find_tenant(const struct sl_objects *o, uint64_t number)
{
    return o->places[place_of(o, number)];
}

/* NULL: there are as many as may be. */
static struct tenant *
need_tenant(struct sl_objects *o, uint64_t number)
{
    struct tenant *t = find_tenant(o, number);
    if (t != NULL || o->tenants_count == SL_OBJECTS_TENANTS_MAX)
        return t;
    t = sl_zalloc(sizeof(*t));
    t->objects = o;
    t->number = number;
    t->quota = o->options.tenant_bytes_max;
    o->tenants[o->tenants_count++] = t;
    o->places[place_of(o, number)] = t;
    return t;
}

enum sl_err
sl_objects_quota(struct sl_objects *o, uint64_t tenant, uint64_t bytes)
{
    check(o);
    struct tenant *t = need_tenant(o, tenant);
    if (t == NULL)
        return SL_EFULL;
    t->quota = bytes;
    return SL_OK;
}

/* Its arena has grown or shrunk, maybe. */
static void
count_arena(struct sl_objects *o, struct tenant *t)
{
    uint64_t bytes = t->arena == NULL ? 0 : sl_object_arena_memory(t->arena);
    o->arena_bytes += bytes - t->arena_bytes;
    t->arena_bytes = bytes;
}

static void
count_arenas(struct sl_objects *o)
{
    for (uint32_t i = 0; i < o->tenants_count; i++)
        count_arena(o, o->tenants[i]);
}

static uint64_t
used_by(struct tenant *t)
{
    return t->apart_bytes + t->draft_bytes +
           (t->arena == NULL ? 0 : sl_object_arena_bytes(t->arena));
}

uint64_t
sl_objects_used(struct sl_objects *o, uint64_t tenant)
{
    check(o);
    struct tenant *t = find_tenant(o, tenant);
    return t == NULL ? 0 : used_by(t);
}

/* ---- objects apart ------------------------------------------------------------------------- */

static uint32_t
new_apart(struct sl_objects *o, const struct sl_object_id *id, uint64_t size_bytes,
          uint64_t rebuild_ns)
{
    uint32_t at = o->free;
    sl_assert(at != NONE);
    struct apart *x = &o->apart[at];
    o->free = x->next;
    *x = (struct apart){
        .id = *id, .size_bytes = size_bytes, .rebuild_ns = rebuild_ns, .memory = SL_SHARED_NONE};
    sl_object_map_add(o->map, id, at);
    find_tenant(o, id->tenant)->apart_bytes += size_bytes;
    return at;
}

static struct sl_evict *
heap_of(struct sl_objects *o, const struct apart *x)
{
    return x->rebuild_ns == SL_ARENA_KEEP ? o->dear : o->cheap;
}

static void
set_large(struct sl_objects *o, uint32_t at, struct sl_shared *memory)
{
    struct apart *x = &o->apart[at];
    x->state = LARGE;
    x->memory = *memory;
    *memory = SL_SHARED_NONE;
    o->large_count++;
    o->large_bytes += x->size_bytes;
    sl_evict_add(heap_of(o, x), at, sl_evict_weight(x->size_bytes, x->rebuild_ns));
}

static void
set_spilled(struct sl_objects *o, uint32_t at, const struct sl_spilled *spilled)
{
    o->apart[at].state = SPILLED;
    o->apart[at].spilled = *spilled;
    o->spilled_count++;
}

/* Its memory goes with the last process that maps it. */
static void
close_large(struct sl_objects *o, uint32_t at)
{
    struct apart *x = &o->apart[at];
    sl_evict_remove(heap_of(o, x), at);
    sl_shared_destroy(&x->memory);
    o->large_bytes -= x->size_bytes;
    o->large_count--;
}

static void
free_apart(struct sl_objects *o, uint32_t at)
{
    o->apart[at].state = FREE;
    o->apart[at].next = o->free;
    o->free = at;
}

/* Nobody finds it any more; it goes at once, or when the last process lets go of it. */
static void
forget(struct sl_objects *o, uint32_t at)
{
    struct apart *x = &o->apart[at];
    (void)sl_object_map_remove(o->map, &x->id);
    find_tenant(o, x->id.tenant)->apart_bytes -= x->size_bytes;
    if (x->state == SPILLED) {
        sl_spill_drop(o->spill, &x->spilled);
        o->spilled_count--;
    } else if (x->holds > 0) {
        sl_evict_remove(heap_of(o, x), at);
        x->state = LEAVING;
        return;
    } else {
        close_large(o, at);
    }
    free_apart(o, at);
}

enum sl_err
sl_objects_hold(struct sl_objects *o, const struct sl_object_id *id, uint32_t *ret_hold)
{
    check(o);
    uint32_t at;
    if (!sl_object_map_lookup(o->map, id, &at) || o->apart[at].state != LARGE)
        return SL_ENOTFOUND;
    o->apart[at].holds++;
    o->holds++;
    sl_evict_touch(heap_of(o, &o->apart[at]), at);
    *ret_hold = at;
    return SL_OK;
}

void
sl_objects_let_go(struct sl_objects *o, uint32_t hold)
{
    check(o);
    sl_assert(hold < o->options.apart_max && o->apart[hold].holds > 0);
    struct apart *x = &o->apart[hold];
    x->holds--;
    o->holds--;
    if (x->state != LEAVING || x->holds > 0)
        return;
    close_large(o, hold);
    free_apart(o, hold);
}

/* ---- room ---------------------------------------------------------------------------------- */

static bool
spill_large(struct sl_objects *o, uint32_t at)
{
    struct sl_spilled spilled;
    struct apart *x = &o->apart[at];
    if (o->spill == NULL ||
        sl_spill_write(o->spill, sl_slice(x->memory.base, x->size_bytes), &spilled) != SL_OK)
        return false;
    close_large(o, at);
    set_spilled(o, at, &spilled);
    o->spills++;
    return true;
}

static bool
send_away(struct sl_objects *o, struct sl_evict *heap, uint32_t at)
{
    if (heap == o->dear)
        return spill_large(o, at);
    forget(o, at);
    o->evicted++;
    return true;
}

/* Large objects that no process holds, until `bytes` came free. */
static void
evict_large(struct sl_objects *o, struct sl_evict *heap, uint64_t bytes)
{
    uint32_t at, held = NONE;
    uint64_t freed = 0;
    while (freed < bytes && sl_evict_pop(heap, &at)) {
        uint64_t size = o->apart[at].size_bytes;
        if (o->apart[at].holds == 0 && send_away(o, heap, at)) {
            freed += size;
            continue;
        }
        o->apart[at].next = held;
        held = at;
    }
    for (; held != NONE; held = o->apart[held].next)
        sl_evict_add(heap, held,
                     sl_evict_weight(o->apart[held].size_bytes, o->apart[held].rebuild_ns));
}

static bool
has_room(struct sl_objects *o, uint64_t bytes)
{
    uint64_t used = o->arena_bytes + o->large_bytes;
    return used <= o->options.node_bytes_max && bytes <= o->options.node_bytes_max - used;
}

static bool
make_room(struct sl_objects *o, uint64_t bytes)
{
    count_arenas(o); /* Readers come and go without telling us. */
    if (has_room(o, bytes))
        return true;
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena != NULL)
            (void)sl_object_arena_trim(o->tenants[i]->arena, 0);
    }
    count_arenas(o);
    if (bytes > o->options.node_bytes_max)
        return false;
    struct sl_evict *heaps[] = {o->cheap, o->dear};
    for (uint32_t i = 0; i < SL_COUNT_OF(heaps) && !has_room(o, bytes); i++)
        evict_large(o, heaps[i],
                    o->arena_bytes + o->large_bytes + bytes - o->options.node_bytes_max);
    return has_room(o, bytes);
}

/* An arena asks before it makes a segment. Nothing of its own is given back: it is full. */
static bool
may_grow(void *owner, uint64_t bytes)
{
    struct tenant *t = owner;
    return make_room(t->objects, bytes);
}

static bool
spill_small(void *owner, const struct sl_object_id *id, struct sl_slice bytes)
{
    struct tenant *t = owner;
    struct sl_objects *o = t->objects;
    struct sl_spilled spilled;
    if (o->free == NONE || sl_spill_write(o->spill, bytes, &spilled) != SL_OK)
        return false;
    set_spilled(o, new_apart(o, id, bytes.size, SL_ARENA_KEEP), &spilled);
    return true;
}

static enum sl_err
need_arena(struct sl_objects *o, struct tenant *t)
{
    if (t->arena != NULL)
        return SL_OK;
    struct sl_object_arena_options options = o->options.arena;
    if (!make_room(o, 0))
        return SL_EFULL;
    options.tenant = t->number;
    options.size_bytes_max = o->options.node_bytes_max;
    options.owner = t;
    options.may_grow = may_grow;
    options.spill = o->spill == NULL ? NULL : spill_small;
    enum sl_err err = sl_object_arena_create(&options, &t->arena);
    if (err == SL_OK && !make_room(o, 0)) { /* Its index is too much. */
        sl_object_arena_destroy(&t->arena);
        err = SL_EFULL;
    }
    count_arena(o, t);
    return err;
}

enum sl_err
sl_objects_arena(struct sl_objects *o, uint64_t tenant, struct sl_object_arena **ret_arena)
{
    check(o);
    struct tenant *t = need_tenant(o, tenant);
    enum sl_err err = t == NULL ? SL_EFULL : need_arena(o, t);
    if (err == SL_OK)
        *ret_arena = t->arena;
    return err;
}

bool
sl_objects_arena_lookup(const struct sl_objects *o, uint64_t tenant,
                        struct sl_object_arena **ret_arena)
{
    check(o);
    struct tenant *t = find_tenant(o, tenant);
    if (t == NULL || t->arena == NULL)
        return false;
    *ret_arena = t->arena;
    return true;
}

/* Of the tenant's large objects the one that is to go first; NONE: there is none that may. */
static uint32_t
cheapest_large(const struct sl_objects *o, const struct tenant *t)
{
    uint32_t first = NONE;
    for (uint32_t at = 0; at < o->options.apart_max; at++) {
        const struct apart *x = &o->apart[at];
        if (x->state == LARGE && x->holds == 0 && x->id.tenant == t->number &&
            x->rebuild_ns != SL_ARENA_KEEP &&
            (first == NONE || sl_evict_is_before(o->cheap, at, first)))
            first = at;
    }
    return first;
}

/* Of the tenant's own, what can be made again, until `bytes` more are within its quota. */
static bool
fits_quota(struct sl_objects *o, struct tenant *t, uint64_t bytes)
{
    if (bytes > t->quota)
        return false;
    uint64_t used = used_by(t);
    if (used + bytes > t->quota && t->arena != NULL) {
        (void)sl_object_arena_drop(t->arena, used + bytes - t->quota);
        used = used_by(t);
    }
    for (uint32_t at; used + bytes > t->quota && (at = cheapest_large(o, t)) != NONE;) {
        forget(o, at);
        o->evicted++;
        used = used_by(t);
    }
    return used + bytes <= t->quota;
}

/* ---- objects ------------------------------------------------------------------------------- */

static bool
is_there(struct sl_objects *o, const struct sl_object_id *id)
{
    uint32_t at;
    struct sl_slice bytes;
    struct tenant *t = find_tenant(o, id->tenant);
    return t != NULL && (sl_object_map_lookup(o->map, id, &at) ||
                         (t->arena != NULL && sl_object_arena_lookup(t->arena, id, &bytes)));
}

static enum sl_err
begin_large(struct sl_objects *o, struct sl_objects_draft *draft)
{
    if (!make_room(o, draft->size_bytes))
        return SL_EFULL;
    enum sl_err err = sl_large_create(draft->size_bytes, &draft->large);
    if (err != SL_OK)
        return err;
    o->large_bytes += draft->size_bytes; /* Until it is sealed or aborted, as a draft. */
    draft->data = draft->large.base;
    return SL_OK;
}

static enum sl_err
begin_small(struct sl_objects *o, struct tenant *t, struct sl_objects_draft *draft)
{
    enum sl_err err = sl_object_arena_begin(t->arena, draft->size_bytes, &draft->small);
    if (err == SL_OK)
        draft->data = draft->small.data;
    count_arena(o, t);
    return err;
}

/* Without a look at the quota: what is read back counts already. */
static enum sl_err
begin(struct sl_objects *o, struct tenant *t, uint64_t size_bytes,
      struct sl_objects_draft *ret_draft)
{
    struct sl_objects_draft draft = {
        .tenant = t->number, .size_bytes = size_bytes, .large = SL_SHARED_NONE};
    enum sl_err err = need_arena(o, t);
    if (err == SL_OK)
        err = size_bytes > sl_object_arena_object_max(t->arena) ? begin_large(o, &draft)
                                                                : begin_small(o, t, &draft);
    if (err == SL_OK)
        *ret_draft = draft;
    return err;
}

enum sl_err
sl_objects_begin(struct sl_objects *o, uint64_t tenant, uint64_t size_bytes,
                 struct sl_objects_draft *ret_draft)
{
    check(o);
    if (size_bytes == 0)
        return SL_EINVAL;
    struct tenant *t = need_tenant(o, tenant);
    if (t == NULL || !fits_quota(o, t, size_bytes))
        return SL_EFULL;
    enum sl_err err = begin(o, t, size_bytes, ret_draft);
    if (err == SL_OK)
        t->draft_bytes += size_bytes;
    return err;
}

static void
give_up(struct sl_objects *o, struct sl_objects_draft *draft)
{
    if (draft->large.base != NULL || draft->large.fd >= 0) {
        o->large_bytes -= draft->size_bytes;
        sl_shared_destroy(&draft->large);
    } else {
        sl_object_arena_abort(find_tenant(o, draft->tenant)->arena, &draft->small);
    }
    draft->data = NULL;
}

void
sl_objects_abort(struct sl_objects *o, struct sl_objects_draft *draft)
{
    check(o);
    find_tenant(o, draft->tenant)->draft_bytes -= draft->size_bytes;
    give_up(o, draft);
}

enum sl_err
sl_objects_seal(struct sl_objects *o, struct sl_objects_draft *draft, const struct sl_object_id *id,
                uint64_t rebuild_ns)
{
    check(o);
    if (!sl_object_id_is_sound(id) || id->tenant != draft->tenant)
        return SL_EINVAL;
    if (is_there(o, id))
        return SL_EEXIST;
    struct tenant *t = find_tenant(o, id->tenant);
    enum sl_err err;
    if (draft->large.fd < 0)
        err = sl_object_arena_seal(t->arena, &draft->small, id, rebuild_ns);
    else
        err = o->free == NONE ? SL_EFULL : sl_large_seal(&draft->large);
    if (err != SL_OK)
        return err;
    t->draft_bytes -= draft->size_bytes;
    if (draft->large.fd < 0)
        return SL_OK;
    o->large_bytes -= draft->size_bytes;
    set_large(o, new_apart(o, id, draft->size_bytes, rebuild_ns), &draft->large);
    return SL_OK;
}

enum sl_err
sl_objects_put(struct sl_objects *o, const struct sl_object_id *id, struct sl_slice bytes,
               uint64_t rebuild_ns)
{
    check(o);
    if (!sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (is_there(o, id))
        return SL_EEXIST;
    struct sl_objects_draft draft;
    enum sl_err err = sl_objects_begin(o, id->tenant, bytes.size, &draft);
    if (err != SL_OK)
        return err;
    memcpy(draft.data, bytes.data, bytes.size);
    err = sl_objects_seal(o, &draft, id, rebuild_ns);
    if (err != SL_OK)
        sl_objects_abort(o, &draft);
    return err;
}

/* A digest that somebody says is checked; a name says nothing. */
static bool
is_digest(const struct sl_object_id *id, const struct sl_shared *memory)
{
    if (id->kind != SL_OBJECT_CONTENT)
        return true;
    struct sl_object_id digest;
    sl_object_id_content(id->tenant, sl_slice(memory->base, memory->size_bytes), &digest);
    return sl_object_id_equal(id, &digest);
}

enum sl_err
sl_objects_adopt(struct sl_objects *o, const struct sl_object_id *id, int fd, uint64_t rebuild_ns)
{
    check(o);
    struct tenant *t = need_tenant(o, id->tenant);
    struct sl_shared memory;
    if (!sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (is_there(o, id))
        return SL_EEXIST;
    enum sl_err err = sl_large_attach(fd, &memory);
    if (err != SL_OK)
        return err;
    /* First, so that nobody's objects go for what is refused. */
    if (!is_digest(id, &memory))
        err = SL_EINVAL;
    else if (t == NULL || !fits_quota(o, t, memory.size_bytes) ||
             !make_room(o, memory.size_bytes) || o->free == NONE)
        err = SL_EFULL;
    else
        err = sl_shared_keep(fd, &memory);
    if (err == SL_OK)
        set_large(o, new_apart(o, id, memory.size_bytes, rebuild_ns), &memory);
    sl_shared_destroy(&memory);
    return err;
}

static enum sl_err
read_back(struct sl_objects *o, uint32_t at)
{
    struct apart x = o->apart[at];
    struct tenant *t = find_tenant(o, x.id.tenant);
    struct sl_objects_draft draft;
    enum sl_err err = begin(o, t, x.size_bytes, &draft);
    if (err != SL_OK)
        return err;
    err = sl_spill_read(o->spill, &x.spilled, draft.data);
    if (err == SL_OK)
        err = draft.large.fd >= 0
                  ? sl_large_seal(&draft.large)
                  : sl_object_arena_seal(t->arena, &draft.small, &x.id, x.rebuild_ns);
    if (err != SL_OK) {
        give_up(o, &draft); /* It is on the disk still. */
        return err;
    }
    if (draft.large.fd < 0) {
        forget(o, at);
        return SL_OK;
    }
    sl_spill_drop(o->spill, &x.spilled);
    o->spilled_count--;
    o->large_bytes -= x.size_bytes;
    set_large(o, at, &draft.large);
    return SL_OK;
}

enum sl_err
sl_objects_find(struct sl_objects *o, const struct sl_object_id *id,
                struct sl_objects_found *ret_found)
{
    check(o);
    uint32_t at;
    struct sl_objects_found found = {.fd = -1};
    if (sl_object_map_lookup(o->map, id, &at) && o->apart[at].state == SPILLED) {
        enum sl_err err = read_back(o, at);
        if (err != SL_OK)
            return err;
    }
    if (sl_object_map_lookup(o->map, id, &at)) {
        found.fd = o->apart[at].memory.fd;
        found.bytes = sl_slice(o->apart[at].memory.base, o->apart[at].size_bytes);
        sl_evict_touch(heap_of(o, &o->apart[at]), at);
    } else {
        struct tenant *t = find_tenant(o, id->tenant);
        if (t == NULL || t->arena == NULL || !sl_object_arena_lookup(t->arena, id, &found.bytes))
            return SL_ENOTFOUND;
    }
    *ret_found = found;
    return SL_OK;
}

enum sl_err
sl_objects_delete(struct sl_objects *o, const struct sl_object_id *id)
{
    check(o);
    uint32_t at;
    struct tenant *t = find_tenant(o, id->tenant);
    if (sl_object_map_lookup(o->map, id, &at)) {
        forget(o, at);
        return SL_OK;
    }
    return t == NULL || t->arena == NULL ? SL_ENOTFOUND : sl_object_arena_delete(t->arena, id);
}

uint64_t
sl_objects_tidy(struct sl_objects *o)
{
    check(o);
    uint64_t freed = 0;
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena == NULL)
            continue;
        freed += sl_object_arena_collect(o->tenants[i]->arena);
        freed += sl_object_arena_trim(o->tenants[i]->arena, 0);
    }
    count_arenas(o);
    return freed;
}

static void
add_arena(struct sl_object_arena *arena, struct sl_object_arena_stats *sum)
{
    struct sl_object_arena_stats one;
    sl_object_arena_stats(arena, &one);
    sum->objects += one.objects;
    sum->leaving += one.leaving;
    sum->readers += one.readers;
    sum->segments += one.segments;
    sum->pins += one.pins;
    sum->object_bytes += one.object_bytes;
    sum->taken_bytes += one.taken_bytes;
    sum->segment_bytes += one.segment_bytes;
    sum->evicted += one.evicted;
    sum->spilled += one.spilled;
}

void
sl_objects_measure(const struct sl_objects *o, struct sl_objects_stats *ret_stats)
{
    check(o);
    *ret_stats = (struct sl_objects_stats){
        .memory_bytes = o->arena_bytes + o->large_bytes,
        .spilled_bytes = o->spill == NULL ? 0 : sl_spill_bytes(o->spill),
        .tenants = o->tenants_count,
        .large = o->large_count,
        .spilled = o->spilled_count,
        .holds = o->holds,
        .evicted = o->evicted,
        .large_bytes = o->large_bytes,
        .spills = o->spills,
    };
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena != NULL)
            add_arena(o->tenants[i]->arena, &ret_stats->arenas);
    }
}
