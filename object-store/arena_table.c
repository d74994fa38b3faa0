/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/arena_table.h"

#include "runtime/alloc.h"

#define WRITER_MAGIC 0x41545752u

enum state { EMPTY, HIDDEN, LIVE };

struct sl_object_arena_writer {
    uint32_t magic;
    uint32_t count, used;
    uint64_t seed;
    _Atomic uint64_t *tags;
    struct sl_object_arena_entry *entries;
    uint8_t *hidden_tags;
    uint8_t *states; /* enum state */
    uint8_t *kinds;  /* Of hidden ones, whose entry says EMPTY. */
};

static void
check(const struct sl_object_arena_writer *w)
{
    sl_assert(w != NULL);
    sl_assert(w->magic == WRITER_MAGIC);
}

struct sl_object_arena_writer *
sl_object_arena_writer_create(void *memory, uint32_t count, uint64_t seed)
{
    sl_assert(count >= SL_ARENA_ENTRIES_MIN && count <= SL_ARENA_ENTRIES_MAX);
    sl_assert((count & (count - 1)) == 0);
    struct sl_object_arena_writer *w = sl_zalloc(sizeof(*w));
    w->magic = WRITER_MAGIC;
    w->tags = memory;
    w->entries = (void *)((uint8_t *)memory + count);
    w->count = count;
    w->seed = seed;
    w->states = sl_zalloc(count);
    w->hidden_tags = sl_zalloc(count);
    w->kinds = sl_zalloc(count);
    return w;
}

void
sl_object_arena_writer_destroy(struct sl_object_arena_writer **writer)
{
    struct sl_object_arena_writer *w = *writer;
    if (w == NULL)
        return;
    check(w);
    sl_free(w->states);
    sl_free(w->hidden_tags);
    sl_free(w->kinds);
    sl_free(w);
    *writer = NULL;
}

static uint64_t
peek(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/*
 * The words between begin and end are stored with release: whoever reads one of them knows that seq
 * is odd. The end of a hiding is sequentially consistent, so that the look at the pins that follows
 * cannot come before it. Of an insertion it need not be, as no such look follows: it is a release,
 * which does not wait until the object's bytes, written just before, have left for the caches.
 */
static void
begin(struct sl_object_arena_entry *e)
{
    atomic_store_explicit(&e->seq, peek(&e->seq) + 1, memory_order_relaxed);
}

static void
set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static void
end(struct sl_object_arena_entry *e, memory_order order)
{
    atomic_store_explicit(&e->seq, peek(&e->seq) + 1, order);
}

static void
set_kind(struct sl_object_arena_entry *e, uint64_t kind)
{
    begin(e);
    set(&e->size_kind, (peek(&e->size_kind) & ~UINT64_C(0xff)) | kind);
    end(e, memory_order_seq_cst);
}

static bool
is_of(const struct sl_object_arena_entry *e, const struct sl_object_id *id)
{
    if ((peek(&e->size_kind) & 0xff) != id->kind)
        return false;
    for (uint32_t i = 0; i < SL_COUNT_OF(e->key); i++) {
        if (peek(&e->key[i]) != id->key[i])
            return false;
    }
    return true;
}

/* Change one tag of a bucket. */
static void
set_tag(struct sl_object_arena_writer *w, uint32_t entry, uint8_t tag)
{
    _Atomic uint64_t *word = &w->tags[entry / SL_ARENA_BUCKET];
    uint32_t shift = entry % SL_ARENA_BUCKET * 8;
    set(word, (peek(word) & ~(UINT64_C(0xff) << shift)) | (uint64_t)tag << shift);
}

static uint8_t
tag_at(const struct sl_object_arena_writer *w, uint32_t entry)
{
    return (uint8_t)(peek(&w->tags[entry / SL_ARENA_BUCKET]) >> entry % SL_ARENA_BUCKET * 8);
}

/* Whether the id is in a bucket. */
static bool
search_bucket(const struct sl_object_arena_writer *w, const struct sl_object_id *id, uint32_t home,
              uint64_t tag, uint32_t *ret_entry)
{
    uint64_t bits = sl_object_arena_zero_bytes(peek(&w->tags[home / SL_ARENA_BUCKET]) ^ tag);
    for (; bits != 0; bits &= bits - 1) {
        uint32_t at = home + (uint32_t)__builtin_ctzll(bits) / 8;
        if (is_of(&w->entries[at], id)) {
            *ret_entry = at;
            return true;
        }
    }
    return false;
}

/* A bit for each entry of a bucket that is free: neither live nor hidden. */
static uint64_t
free_bits(const struct sl_object_arena_writer *w, uint32_t home)
{
    uint64_t states;
    memcpy(&states, &w->states[home], sizeof(states));
    return sl_object_arena_zero_bytes(states);
}

/* True: *ret_entry is that of the id. False: it is where the id may go, or `count`. */
static bool
search(const struct sl_object_arena_writer *w, const struct sl_object_id *id, uint32_t *ret_entry,
       uint8_t *ret_tag)
{
    uint32_t homes[SL_ARENA_HOMES], entry = w->count;
    uint64_t tag = sl_object_arena_homes(id, w->seed, w->count, homes);
    int most = 0;
    *ret_tag = (uint8_t)tag;
    for (uint32_t i = 0; i < SL_ARENA_HOMES; i++) {
        if (search_bucket(w, id, homes[i], tag, ret_entry))
            return true;
        uint64_t bits = free_bits(w, homes[i]);
        if (__builtin_popcountll(bits) <= most)
            continue;
        most = __builtin_popcountll(bits);
        entry = homes[i] + (uint32_t)__builtin_ctzll(bits) / 8;
    }
    *ret_entry = entry;
    return false;
}

bool
sl_object_arena_writer_lookup(const struct sl_object_arena_writer *w, const struct sl_object_id *id,
                              uint32_t *ret_entry)
{
    check(w);
    uint32_t at;
    uint8_t tag;
    if (!search(w, id, &at, &tag))
        return false;
    *ret_entry = at;
    return true;
}

enum sl_err
sl_object_arena_writer_expect(const struct sl_object_arena_writer *w, const struct sl_object_id *id,
                              uint32_t *ret_entry)
{
    check(w);
    uint32_t at;
    uint8_t tag;
    if (search(w, id, &at, &tag))
        return SL_EEXIST;
    if (at == w->count || w->used >= w->count / 2)
        return SL_EFULL;
    __builtin_prefetch(&w->entries[at], 1);
    *ret_entry = at;
    return SL_OK;
}

enum sl_err
sl_object_arena_writer_insert(struct sl_object_arena_writer *w, const struct sl_object_id *id,
                              const struct sl_object_arena_place *place, uint32_t *ret_entry)
{
    check(w);
    sl_assert(sl_object_id_is_sound(id) && place->size_bytes < UINT64_C(1) << 56);
    uint32_t at;
    uint8_t tag;
    if (search(w, id, &at, &tag))
        return SL_EEXIST;
    if (at == w->count || w->used >= w->count / 2)
        return SL_EFULL;
    struct sl_object_arena_entry *e = &w->entries[at];
    begin(e);
    set(&e->offset, place->offset);
    set(&e->birth, place->birth);
    for (uint32_t i = 0; i < SL_COUNT_OF(e->key); i++)
        set(&e->key[i], id->key[i]);
    set(&e->size_kind, place->size_bytes << 8 | id->kind);
    end(e, memory_order_release);
    set_tag(w, at, tag);
    w->states[at] = LIVE;
    w->used++;
    *ret_entry = at;
    return SL_OK;
}

void
sl_object_arena_writer_hide(struct sl_object_arena_writer *w, uint32_t entry)
{
    check(w);
    sl_assert(entry < w->count && w->states[entry] == LIVE);
    w->kinds[entry] = (uint8_t)(peek(&w->entries[entry].size_kind) & 0xff);
    w->states[entry] = HIDDEN;
    w->hidden_tags[entry] = tag_at(w, entry);
    set_tag(w, entry, 0);
    set_kind(&w->entries[entry], SL_ARENA_EMPTY);
}

void
sl_object_arena_writer_show(struct sl_object_arena_writer *w, uint32_t entry)
{
    check(w);
    sl_assert(entry < w->count && w->states[entry] == HIDDEN);
    w->states[entry] = LIVE;
    set_kind(&w->entries[entry], w->kinds[entry]);
    set_tag(w, entry, w->hidden_tags[entry]);
}

void
sl_object_arena_writer_drop(struct sl_object_arena_writer *w, uint32_t entry)
{
    check(w);
    sl_assert(entry < w->count && w->states[entry] == HIDDEN);
    w->states[entry] = EMPTY;
    w->used--;
}

void
sl_object_arena_writer_id(const struct sl_object_arena_writer *w, uint32_t entry,
                          struct sl_object_id *ret_id)
{
    check(w);
    sl_assert(entry < w->count && w->states[entry] >= HIDDEN);
    *ret_id = (struct sl_object_id){.kind = w->states[entry] == HIDDEN
                                                ? w->kinds[entry]
                                                : peek(&w->entries[entry].size_kind) & 0xff};
    for (uint32_t i = 0; i < SL_COUNT_OF(ret_id->key); i++)
        ret_id->key[i] = peek(&w->entries[entry].key[i]);
}

uint32_t
sl_object_arena_writer_used(const struct sl_object_arena_writer *w)
{
    check(w);
    return w->used;
}
