/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/objects.h"

#include "object-store/bulk_copy.h"
#include "object-store/objects_state.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define APART_MAX 4096u

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
    o->magic = SL_OBJECTS_MAGIC;
    o->options = *options;
    o->options.spill_directory = NULL; /* Borrowed for the call. */
    o->options.apart_max = options->apart_max == 0 ? APART_MAX : options->apart_max;
    o->spill = spill;
    o->pool = sl_large_pool_create();
    o->apart = sl_zalloc(o->options.apart_max * sizeof(*o->apart));
    o->map = sl_object_map_create(o->options.apart_max, options->arena.seed);
    o->cheap = sl_evict_create(o->options.apart_max);
    o->dear = sl_evict_create(o->options.apart_max);
    o->free = SL_OBJECTS_NONE;
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
    sl_objects_check(o);
    for (uint32_t i = 0; i < o->options.apart_max; i++) {
        if (o->apart[i].state == SL_APART_LARGE || o->apart[i].state == SL_APART_LEAVING)
            sl_shared_destroy(&o->apart[i].memory);
    }
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        sl_object_arena_destroy(&o->tenants[i]->arena);
        sl_free(o->tenants[i]);
    }
    sl_large_pool_destroy(&o->pool);
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
    uint64_t at = sl_hash64(sl_slice(&number, sizeof(number))) % SL_OBJECTS_PLACES;
    while (o->places[at] != NULL && o->places[at]->number != number)
        at = (at + 1) % SL_OBJECTS_PLACES;
    return (uint32_t)at;
}

static struct sl_objects_tenant *
find_tenant(const struct sl_objects *o, uint64_t number)
{
    return o->places[place_of(o, number)];
}

/* NULL: there are as many as may be. */
static struct sl_objects_tenant *
need_tenant(struct sl_objects *o, uint64_t number)
{
    struct sl_objects_tenant *t = find_tenant(o, number);
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
    sl_objects_check(o);
    struct sl_objects_tenant *t = need_tenant(o, tenant);
    if (t == NULL)
        return SL_EFULL;
    t->quota = bytes;
    return SL_OK;
}

/* Its arena has grown or shrunk, maybe. */
static void
count_arena(struct sl_objects *o, struct sl_objects_tenant *t)
{
    uint64_t bytes = t->arena == NULL ? 0 : sl_object_arena_memory(t->arena);
    o->arena_bytes += bytes - t->arena_bytes;
    t->arena_bytes = bytes;
}

void
sl_objects_count_arenas(struct sl_objects *o)
{
    for (uint32_t i = 0; i < o->tenants_count; i++)
        count_arena(o, o->tenants[i]);
}

uint64_t
sl_objects_used_by(struct sl_objects_tenant *t)
{
    return t->apart_bytes + t->draft_bytes +
           (t->arena == NULL ? 0 : sl_object_arena_bytes(t->arena));
}

uint64_t
sl_objects_used(struct sl_objects *o, uint64_t tenant)
{
    sl_objects_check(o);
    struct sl_objects_tenant *t = find_tenant(o, tenant);
    return t == NULL ? 0 : sl_objects_used_by(t);
}

/* ---- objects apart ------------------------------------------------------------------------- */

static uint32_t
new_apart(struct sl_objects *o, const struct sl_object_id *id, uint64_t size_bytes,
          uint64_t rebuild_ns)
{
    uint32_t at = o->free;
    sl_assert(at != SL_OBJECTS_NONE);
    struct sl_objects_apart *x = &o->apart[at];
    o->free = x->next;
    *x = (struct sl_objects_apart){
        .id = *id, .size_bytes = size_bytes, .rebuild_ns = rebuild_ns, .memory = SL_SHARED_NONE};
    sl_object_map_add(o->map, id, at);
    find_tenant(o, id->tenant)->apart_bytes += size_bytes;
    return at;
}

static void
set_large(struct sl_objects *o, uint32_t at, struct sl_shared *memory, bool is_ours)
{
    struct sl_objects_apart *x = &o->apart[at];
    x->state = SL_APART_LARGE;
    x->is_ours = is_ours;
    x->memory = *memory;
    *memory = SL_SHARED_NONE;
    o->large_count++;
    o->large_bytes += x->size_bytes;
    o->large_memory += x->memory.size_bytes;
    sl_evict_add(sl_objects_heap_of(o, x), at, sl_evict_weight(x->size_bytes, x->rebuild_ns));
}

/* A file that only we write may be another object of its tenant's, now that nobody holds it. */
static void
recycle(struct sl_objects *o, uint64_t tenant, struct sl_shared *file)
{
    sl_large_pool_give(o->pool, tenant, file);
    sl_objects_shed(o, find_tenant(o, tenant));
}

void
sl_objects_set_spilled(struct sl_objects *o, uint32_t at, const struct sl_spilled *spilled)
{
    o->apart[at].state = SL_APART_SPILLED;
    o->apart[at].spilled = *spilled;
    o->spilled_count++;
}

void
sl_objects_close_large(struct sl_objects *o, uint32_t at)
{
    struct sl_objects_apart *x = &o->apart[at];
    sl_evict_remove(sl_objects_heap_of(o, x), at);
    o->large_bytes -= x->size_bytes;
    o->large_memory -= x->memory.size_bytes;
    o->large_count--;
    if (x->is_ours)
        recycle(o, x->id.tenant, &x->memory);
    sl_shared_destroy(&x->memory);
}

static void
free_apart(struct sl_objects *o, uint32_t at)
{
    o->apart[at].state = SL_APART_FREE;
    o->apart[at].next = o->free;
    o->free = at;
}

void
sl_objects_forget(struct sl_objects *o, uint32_t at)
{
    struct sl_objects_apart *x = &o->apart[at];
    (void)sl_object_map_remove(o->map, &x->id);
    find_tenant(o, x->id.tenant)->apart_bytes -= x->size_bytes;
    if (x->state == SL_APART_SPILLED) {
        sl_spill_drop(o->spill, &x->spilled);
        o->spilled_count--;
    } else if (x->holds > 0) {
        sl_evict_remove(sl_objects_heap_of(o, x), at);
        x->state = SL_APART_LEAVING;
        return;
    } else {
        sl_objects_close_large(o, at);
    }
    free_apart(o, at);
}

enum sl_err
sl_objects_hold(struct sl_objects *o, const struct sl_object_id *id, uint32_t *ret_hold)
{
    sl_objects_check(o);
    uint32_t at;
    if (!sl_object_map_lookup(o->map, id, &at) || o->apart[at].state != SL_APART_LARGE)
        return SL_ENOTFOUND;
    o->apart[at].holds++;
    o->holds++;
    sl_evict_touch(sl_objects_heap_of(o, &o->apart[at]), at);
    *ret_hold = at;
    return SL_OK;
}

void
sl_objects_let_go(struct sl_objects *o, uint32_t hold)
{
    sl_objects_check(o);
    sl_assert(hold < o->options.apart_max && o->apart[hold].holds > 0);
    struct sl_objects_apart *x = &o->apart[hold];
    x->holds--;
    o->holds--;
    if (x->state != SL_APART_LEAVING || x->holds > 0)
        return;
    sl_objects_close_large(o, hold);
    free_apart(o, hold);
}

/* An arena asks before it makes a segment. Nothing of its own is given back: it is full. */
static bool
may_grow(void *owner, uint64_t bytes)
{
    struct sl_objects_tenant *t = owner;
    return sl_objects_make_room(t->objects, bytes);
}

static bool
spill_small(void *owner, const struct sl_object_id *id, struct sl_slice bytes)
{
    struct sl_objects_tenant *t = owner;
    struct sl_objects *o = t->objects;
    struct sl_spilled spilled;
    if (o->free == SL_OBJECTS_NONE || sl_spill_write(o->spill, bytes, &spilled) != SL_OK)
        return false;
    sl_objects_set_spilled(o, new_apart(o, id, bytes.size, SL_ARENA_KEEP), &spilled);
    return true;
}

static enum sl_err
need_arena(struct sl_objects *o, struct sl_objects_tenant *t)
{
    if (t->arena != NULL)
        return SL_OK;
    struct sl_object_arena_options options = o->options.arena;
    if (!sl_objects_make_room(o, 0))
        return SL_EFULL;
    options.tenant = t->number;
    options.size_bytes_max = o->options.node_bytes_max;
    options.owner = t;
    options.may_grow = may_grow;
    options.spill = o->spill == NULL ? NULL : spill_small;
    enum sl_err err = sl_object_arena_create(&options, &t->arena);
    if (err == SL_OK && !sl_objects_make_room(o, 0)) { /* Its index is too much. */
        sl_object_arena_destroy(&t->arena);
        err = SL_EFULL;
    }
    count_arena(o, t);
    return err;
}

enum sl_err
sl_objects_arena(struct sl_objects *o, uint64_t tenant, struct sl_object_arena **ret_arena)
{
    sl_objects_check(o);
    struct sl_objects_tenant *t = need_tenant(o, tenant);
    enum sl_err err = t == NULL ? SL_EFULL : need_arena(o, t);
    if (err == SL_OK)
        *ret_arena = t->arena;
    return err;
}

bool
sl_objects_arena_lookup(const struct sl_objects *o, uint64_t tenant,
                        struct sl_object_arena **ret_arena)
{
    sl_objects_check(o);
    struct sl_objects_tenant *t = find_tenant(o, tenant);
    if (t == NULL || t->arena == NULL)
        return false;
    *ret_arena = t->arena;
    return true;
}

/* ---- objects ------------------------------------------------------------------------------- */

bool
sl_objects_has(const struct sl_objects *o, const struct sl_object_id *id)
{
    sl_objects_check(o);
    uint32_t at;
    struct sl_slice bytes;
    struct sl_objects_tenant *t = find_tenant(o, id->tenant);
    return t != NULL && (sl_object_map_lookup(o->map, id, &at) ||
                         (t->arena != NULL && sl_object_arena_lookup(t->arena, id, &bytes)));
}

static bool
take_spare(struct sl_objects *o, struct sl_objects_draft *draft)
{
    draft->is_recycled =
        sl_large_pool_take(o->pool, draft->tenant, draft->size_bytes, &draft->large);
    return draft->is_recycled;
}

/* What goes for its sake may leave just what it needs. */
static enum sl_err
begin_large(struct sl_objects *o, struct sl_objects_draft *draft)
{
    enum sl_err err = SL_OK;
    draft->is_large = true;
    if (!take_spare(o, draft)) {
        if (!sl_objects_make_space(o, draft->size_bytes))
            return SL_EFULL;
        if (!take_spare(o, draft))
            err = sl_objects_make_room(o, draft->size_bytes)
                      ? sl_shared_reserve("sluice-object", draft->size_bytes, &draft->large)
                      : SL_EFULL;
    }
    if (err != SL_OK)
        return err;
    o->large_memory += draft->large.size_bytes; /* Until it is sealed or aborted, as a draft. */
    draft->data = draft->large.base;
    return SL_OK;
}

static enum sl_err
begin_small(struct sl_objects *o, struct sl_objects_tenant *t, struct sl_objects_draft *draft)
{
    enum sl_err err = sl_object_arena_begin(t->arena, draft->size_bytes, &draft->small);
    if (err == SL_OK)
        draft->data = draft->small.data;
    count_arena(o, t);
    return err;
}

/* Memory for its bytes up to `until`. */
static enum sl_err
take_memory(struct sl_objects_draft *draft, uint64_t until)
{
    if (!draft->is_large || draft->is_recycled)
        return SL_OK;
    return sl_shared_take(&draft->large, until, &draft->taking);
}

/* Without a look at the quota: what is read back counts already. */
static enum sl_err
begin(struct sl_objects *o, struct sl_objects_tenant *t, uint64_t size_bytes,
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
sl_objects_begin_parts(struct sl_objects *o, uint64_t tenant, uint64_t size_bytes,
                       struct sl_objects_draft *ret_draft)
{
    sl_objects_check(o);
    if (size_bytes == 0)
        return SL_EINVAL;
    struct sl_objects_tenant *t = need_tenant(o, tenant);
    if (t == NULL || !sl_objects_fits_quota(o, t, size_bytes))
        return SL_EFULL;
    enum sl_err err = begin(o, t, size_bytes, ret_draft);
    if (err == SL_OK)
        t->draft_bytes += size_bytes;
    sl_objects_shed(o, t);
    return err;
}

enum sl_err
sl_objects_begin(struct sl_objects *o, uint64_t tenant, uint64_t size_bytes,
                 struct sl_objects_draft *ret_draft)
{
    struct sl_objects_draft draft;
    enum sl_err err = sl_objects_begin_parts(o, tenant, size_bytes, &draft);
    if (err != SL_OK)
        return err;
    err = take_memory(&draft, size_bytes);
    if (err == SL_OK)
        *ret_draft = draft;
    else
        sl_objects_abort(o, &draft);
    return err;
}

enum sl_err
sl_objects_add(struct sl_objects *o, struct sl_objects_draft *draft, struct sl_slice bytes)
{
    sl_objects_check(o);
    sl_assert(bytes.size <= draft->size_bytes - draft->added_bytes);
    enum sl_err err = take_memory(draft, draft->added_bytes + bytes.size);
    if (err != SL_OK)
        return err;
    sl_bulk_copy(draft->data + draft->added_bytes, bytes.data, bytes.size);
    draft->added_bytes += bytes.size;
    return SL_OK;
}

/* From here on others may have its descriptor. */
static enum sl_err
settle(const struct sl_objects_draft *draft)
{
    return draft->is_recycled ? SL_OK : sl_shared_settle(&draft->large, SL_SHARED_OURS);
}

/* What was made for it alone is not kept: it may lack memory, or its seals. */
static void
give_up(struct sl_objects *o, struct sl_objects_draft *draft)
{
    if (draft->is_large) {
        o->large_memory -= draft->large.size_bytes;
        if (draft->is_recycled)
            recycle(o, draft->tenant, &draft->large);
        sl_shared_destroy(&draft->large);
    } else {
        sl_object_arena_abort(find_tenant(o, draft->tenant)->arena, &draft->small);
    }
    draft->data = NULL;
}

void
sl_objects_abort(struct sl_objects *o, struct sl_objects_draft *draft)
{
    sl_objects_check(o);
    find_tenant(o, draft->tenant)->draft_bytes -= draft->size_bytes;
    give_up(o, draft);
}

enum sl_err
sl_objects_seal(struct sl_objects *o, struct sl_objects_draft *draft, const struct sl_object_id *id,
                uint64_t rebuild_ns)
{
    sl_objects_check(o);
    if (!sl_object_id_is_sound(id) || id->tenant != draft->tenant)
        return SL_EINVAL;
    if (sl_objects_has(o, id))
        return SL_EEXIST;
    struct sl_objects_tenant *t = find_tenant(o, id->tenant);
    enum sl_err err;
    if (!draft->is_large)
        err = sl_object_arena_seal(t->arena, &draft->small, id, rebuild_ns);
    else
        err = o->free == SL_OBJECTS_NONE ? SL_EFULL : settle(draft);
    if (err != SL_OK)
        return err;
    t->draft_bytes -= draft->size_bytes;
    if (!draft->is_large)
        return SL_OK;
    o->large_memory -= draft->large.size_bytes;
    set_large(o, new_apart(o, id, draft->size_bytes, rebuild_ns), &draft->large, true);
    return SL_OK;
}

enum sl_err
sl_objects_put(struct sl_objects *o, const struct sl_object_id *id, struct sl_slice bytes,
               uint64_t rebuild_ns)
{
    sl_objects_check(o);
    if (!sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (sl_objects_has(o, id))
        return SL_EEXIST;
    struct sl_objects_draft draft;
    enum sl_err err = sl_objects_begin(o, id->tenant, bytes.size, &draft);
    if (err != SL_OK)
        return err;
    err = sl_objects_add(o, &draft, bytes);
    if (err == SL_OK)
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
    sl_objects_check(o);
    struct sl_objects_tenant *t = need_tenant(o, id->tenant);
    struct sl_shared memory;
    if (!sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (sl_objects_has(o, id))
        return SL_EEXIST;
    enum sl_err err = sl_large_attach(fd, &memory);
    if (err != SL_OK)
        return err;
    /* First, so that nobody's objects go for what is refused. */
    if (!is_digest(id, &memory))
        err = SL_EINVAL;
    else if (t == NULL || !sl_objects_fits_quota(o, t, memory.size_bytes) ||
             !sl_objects_make_room(o, memory.size_bytes) || o->free == SL_OBJECTS_NONE)
        err = SL_EFULL;
    else
        err = sl_shared_keep(fd, &memory);
    if (err == SL_OK)
        set_large(o, new_apart(o, id, memory.size_bytes, rebuild_ns), &memory, false);
    sl_shared_destroy(&memory);
    return err;
}

static enum sl_err
read_back(struct sl_objects *o, uint32_t at)
{
    struct sl_objects_apart x = o->apart[at];
    struct sl_objects_tenant *t = find_tenant(o, x.id.tenant);
    struct sl_objects_draft draft;
    enum sl_err err = begin(o, t, x.size_bytes, &draft);
    if (err != SL_OK)
        return err;
    err = take_memory(&draft, x.size_bytes);
    if (err == SL_OK)
        err = sl_spill_read(o->spill, &x.spilled, draft.data);
    if (err == SL_OK)
        err = draft.is_large ? settle(&draft)
                             : sl_object_arena_seal(t->arena, &draft.small, &x.id, x.rebuild_ns);
    if (err != SL_OK) {
        give_up(o, &draft); /* It is on the disk still. */
        return err;
    }
    if (!draft.is_large) {
        sl_objects_forget(o, at);
        return SL_OK;
    }
    sl_spill_drop(o->spill, &x.spilled);
    o->spilled_count--;
    o->large_memory -= draft.large.size_bytes;
    set_large(o, at, &draft.large, true);
    return SL_OK;
}

enum sl_err
sl_objects_find(struct sl_objects *o, const struct sl_object_id *id,
                struct sl_objects_found *ret_found)
{
    sl_objects_check(o);
    uint32_t at;
    struct sl_objects_found found = {.fd = -1};
    if (sl_object_map_lookup(o->map, id, &at) && o->apart[at].state == SL_APART_SPILLED) {
        enum sl_err err = read_back(o, at);
        if (err != SL_OK)
            return err;
    }
    if (sl_object_map_lookup(o->map, id, &at)) {
        found.fd = o->apart[at].memory.fd;
        found.bytes = sl_slice(o->apart[at].memory.base, o->apart[at].size_bytes);
        sl_evict_touch(sl_objects_heap_of(o, &o->apart[at]), at);
    } else {
        struct sl_objects_tenant *t = find_tenant(o, id->tenant);
        if (t == NULL || t->arena == NULL || !sl_object_arena_lookup(t->arena, id, &found.bytes))
            return SL_ENOTFOUND;
    }
    *ret_found = found;
    return SL_OK;
}

enum sl_err
sl_objects_delete(struct sl_objects *o, const struct sl_object_id *id)
{
    sl_objects_check(o);
    uint32_t at;
    struct sl_objects_tenant *t = find_tenant(o, id->tenant);
    if (sl_object_map_lookup(o->map, id, &at)) {
        sl_objects_forget(o, at);
        return SL_OK;
    }
    return t == NULL || t->arena == NULL ? SL_ENOTFOUND : sl_object_arena_delete(t->arena, id);
}

uint64_t
sl_objects_tidy(struct sl_objects *o)
{
    sl_objects_check(o);
    uint64_t freed = 0;
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena == NULL)
            continue;
        freed += sl_object_arena_collect(o->tenants[i]->arena);
        freed += sl_object_arena_trim(o->tenants[i]->arena, 0);
    }
    sl_objects_count_arenas(o);
    return freed;
}

uint64_t
sl_objects_cool(struct sl_objects *o)
{
    sl_objects_check(o);
    sl_large_pool_cool(o->pool);
    return sl_large_pool_bytes(o->pool);
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
    sl_objects_check(o);
    *ret_stats = (struct sl_objects_stats){
        .memory_bytes = o->arena_bytes + o->large_memory + sl_large_pool_bytes(o->pool),
        .spilled_bytes = o->spill == NULL ? 0 : sl_spill_bytes(o->spill),
        .tenants = o->tenants_count,
        .large = o->large_count,
        .spilled = o->spilled_count,
        .holds = o->holds,
        .evicted = o->evicted,
        .large_bytes = o->large_bytes,
        .spills = o->spills,
        .pool_bytes = sl_large_pool_bytes(o->pool),
    };
    for (uint32_t i = 0; i < o->tenants_count; i++) {
        if (o->tenants[i]->arena != NULL)
            add_arena(o->tenants[i]->arena, &ret_stats->arenas);
    }
}
