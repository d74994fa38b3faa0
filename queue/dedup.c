/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/dedup.h"

#include <assert.h>

#include "queue/list.h"
#include "queue/table.h"
#include "queue/wheel.h"
#include "runtime/alloc.h"

/*
 * Entries lie in one array, which grows by a sixteenth once it is large, and are found through an
 * index of their slots: open addressing, linear probing, at most three quarters full. So a key is
 * 48 bytes, at most 3 for those to come, and 5.3 to 10.7 of index.
 */
#define DEDUP_MAGIC   UINT32_C(0x44454455)
#define VERSION       1
#define RECORD_SIZE   41
#define SCOPE_BITS    56
#define INDEX_MIN     UINT32_C(16)
#define CAPACITY_MIN  UINT32_C(16)
#define CLOCK_BACK_MS 1000
#define CAPACITY_FAST 65536 /* Up to here it doubles. */

struct entry {
    uint64_t hash[2];
    uint64_t scope_mode; /* scope << 8 | mode; SL_DEDUP_NONE: free. */
    uint64_t task;
    uint64_t until_ms;
    struct sl_link link; /* In the wheel, or of free slots. */
};

static_assert(sizeof(struct entry) == 48, "a key is small");

struct sl_dedup {
    uint32_t magic;
    uint32_t keys_max;
    uint32_t count;
    uint32_t slots;    /* [0, slots) of entries were used. */
    uint32_t capacity; /* Of entries. */
    uint32_t free;     /* First free slot below `slots`, chained by link.next. */
    uint32_t index_capacity;
    struct entry *entries;
    uint32_t *index; /* Slots; SL_NONE: empty. */
    struct sl_wheel wheel;
};

static struct sl_items
items(const struct sl_dedup *d)
{
    return SL_TIMED_ITEMS(d->entries, struct entry, link, until_ms);
}

static enum sl_dedup_mode
mode_of(const struct entry *e)
{
    return (enum sl_dedup_mode)(e->scope_mode & 0xff);
}

static bool
is_timed(enum sl_dedup_mode mode)
{
    return mode == SL_DEDUP_TTL || mode == SL_DEDUP_THROTTLE;
}

struct sl_dedup *
sl_dedup_create(uint32_t keys_max)
{
    sl_assert(keys_max < UINT32_C(1) << 31);
    struct sl_dedup *d = sl_zalloc(sizeof(*d));
    d->magic = DEDUP_MAGIC;
    d->keys_max = keys_max;
    d->free = SL_NONE;
    sl_wheel_init(&d->wheel, 0);
    return d;
}

void
sl_dedup_destroy(struct sl_dedup **dedup)
{
    if (*dedup == NULL)
        return;
    sl_assert((*dedup)->magic == DEDUP_MAGIC);
    sl_free((*dedup)->entries);
    sl_free((*dedup)->index);
    (*dedup)->magic = 0;
    sl_free(*dedup);
    *dedup = NULL;
}

/* ---- the index ------------------------------------------------------------------------------ */

static uint32_t
home(const struct sl_dedup *d, uint64_t hash, uint64_t scope)
{
    return (uint32_t)sl_table_mix(hash ^ scope) & (d->index_capacity - 1);
}

static bool
is_key(const struct entry *e, const struct sl_dedup_key *key)
{
    return e->hash[0] == key->hash[0] && e->hash[1] == key->hash[1] &&
           e->scope_mode >> 8 == key->scope;
}

/* Where the index has the key, or the empty place where it would; there is always one. */
static uint32_t
probe(const struct sl_dedup *d, const struct sl_dedup_key *key)
{
    uint32_t at = home(d, key->hash[0], key->scope);
    while (d->index[at] != SL_NONE && !is_key(&d->entries[d->index[at]], key))
        at = (at + 1) & (d->index_capacity - 1);
    return at;
}

static uint32_t
find(const struct sl_dedup *d, const struct sl_dedup_key *key)
{
    return d->index_capacity == 0 ? SL_NONE : d->index[probe(d, key)];
}

static void
index_grow(struct sl_dedup *d)
{
    d->index_capacity = SL_MAX(d->index_capacity * 2, INDEX_MIN);
    sl_free(d->index);
    d->index = sl_alloc((size_t)d->index_capacity * sizeof(*d->index));
    memset(d->index, 0xff, (size_t)d->index_capacity * sizeof(*d->index));
    for (uint32_t slot = 0; slot < d->slots; slot++) {
        const struct entry *e = &d->entries[slot];
        if (mode_of(e) != SL_DEDUP_NONE)
            d->index[probe(
                d, &(struct sl_dedup_key){{e->hash[0], e->hash[1]}, e->scope_mode >> 8})] = slot;
    }
}

/* Close the hole by what probed past it, so that there are no graves to clear away. */
static void
index_remove(struct sl_dedup *d, uint32_t slot)
{
    uint32_t mask = d->index_capacity - 1;
    uint32_t hole = home(d, d->entries[slot].hash[0], d->entries[slot].scope_mode >> 8);
    while (d->index[hole] != slot)
        hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; d->index[at] != SL_NONE; at = (at + 1) & mask) {
        const struct entry *e = &d->entries[d->index[at]];
        uint32_t from = home(d, e->hash[0], e->scope_mode >> 8);
        if (((at - from) & mask) < ((at - hole) & mask))
            continue;
        d->index[hole] = d->index[at];
        hole = at;
    }
    d->index[hole] = SL_NONE;
}

/* ---- entries -------------------------------------------------------------------------------- */

static uint32_t
take_slot(struct sl_dedup *d)
{
    uint32_t slot = d->free;
    if (slot != SL_NONE) {
        d->free = d->entries[slot].link.next;
        return slot;
    }
    if (d->slots == d->capacity) {
        uint32_t more = d->capacity < CAPACITY_FAST ? d->capacity : d->capacity / 16;
        d->capacity += SL_MAX(more, CAPACITY_MIN);
        d->entries = sl_realloc(d->entries, (size_t)d->capacity * sizeof(*d->entries));
    }
    return d->slots++;
}

static void
remove_slot(struct sl_dedup *d, uint32_t slot, bool is_in_wheel)
{
    struct entry *e = &d->entries[slot];
    if (is_in_wheel && is_timed(mode_of(e)))
        sl_wheel_remove(&d->wheel, items(d), slot);
    index_remove(d, slot);
    *e = (struct entry){.scope_mode = SL_DEDUP_NONE, .link.next = d->free};
    d->free = slot;
    d->count--;
}

bool
sl_dedup_entry_is_valid(const struct sl_dedup_entry *e)
{
    if (e->task == 0 || e->mode <= SL_DEDUP_NONE || e->mode >= SL_DEDUP_MODE_COUNT ||
        e->key.scope >> SCOPE_BITS != 0)
        return false;
    return e->until_ms == 0 || is_timed(e->mode) || e->mode == SL_DEDUP_DEBOUNCE;
}

enum sl_err
sl_dedup_put(struct sl_dedup *d, const struct sl_dedup_entry *entry, uint32_t *ret_slot)
{
    sl_assert(d->magic == DEDUP_MAGIC);
    if (!sl_dedup_entry_is_valid(entry))
        return SL_EINVAL;
    uint32_t slot = find(d, &entry->key);
    if (slot != SL_NONE)
        remove_slot(d, slot, true);
    else if (d->count == d->keys_max)
        return SL_EFULL;

    if ((uint64_t)(d->count + 1) * 4 > (uint64_t)d->index_capacity * 3)
        index_grow(d);
    slot = take_slot(d);
    d->entries[slot] = (struct entry){.hash = {entry->key.hash[0], entry->key.hash[1]},
                                      .scope_mode = entry->key.scope << 8 | entry->mode,
                                      .task = entry->task,
                                      .until_ms = entry->until_ms};
    d->index[probe(d, &entry->key)] = slot;
    if (is_timed(entry->mode))
        sl_wheel_insert(&d->wheel, items(d), slot);
    d->count++;
    *ret_slot = slot;
    return SL_OK;
}

static uint64_t
later(uint64_t now_ms, uint64_t by_ms)
{
    return by_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + by_ms;
}

struct sl_dedup_answer
sl_dedup_fresh(const struct sl_dedup_want *want)
{
    struct sl_dedup_answer a = {.kind = SL_DEDUP_NEW, .slot = SL_NONE};
    if (is_timed(want->mode))
        a.until_ms = later(want->now_ms, want->window_ms);
    if (want->mode == SL_DEDUP_DEBOUNCE) {
        a.until_ms = want->max_ms == 0 ? UINT64_MAX : later(want->now_ms, want->max_ms);
        a.not_before_ms = SL_MIN(later(want->now_ms, want->window_ms), a.until_ms);
    }
    return a;
}

enum sl_err
sl_dedup_look(const struct sl_dedup *d, const struct sl_dedup_want *want,
              struct sl_dedup_answer *ret_answer)
{
    sl_assert(d->magic == DEDUP_MAGIC);
    if (want->mode <= SL_DEDUP_NONE || want->mode >= SL_DEDUP_MODE_COUNT ||
        (want->mode >= SL_DEDUP_TTL && want->window_ms == 0) || want->key.scope >> SCOPE_BITS != 0)
        return SL_EINVAL;
    uint32_t slot = find(d, &want->key);
    const struct entry *e = slot == SL_NONE ? NULL : &d->entries[slot];
    if (e == NULL || (is_timed(mode_of(e)) && e->until_ms <= want->now_ms)) {
        *ret_answer = sl_dedup_fresh(want);
        return SL_OK;
    }
    *ret_answer =
        (struct sl_dedup_answer){.kind = SL_DEDUP_EXISTING, .slot = slot, .task = e->task};
    if (mode_of(e) == SL_DEDUP_DEBOUNCE) {
        /* The pause is the submit's own; where it has none, the task is due now. */
        ret_answer->kind = SL_DEDUP_REPLACE;
        ret_answer->not_before_ms = SL_MIN(later(want->now_ms, want->window_ms), e->until_ms);
    }
    return SL_OK;
}

static bool
is_of(const struct sl_dedup *d, uint32_t slot, uint64_t task)
{
    sl_assert(d->magic == DEDUP_MAGIC);
    return slot < d->slots && mode_of(&d->entries[slot]) != SL_DEDUP_NONE &&
           d->entries[slot].task == task;
}

bool
sl_dedup_start(struct sl_dedup *d, uint32_t slot, uint64_t task)
{
    if (!is_of(d, slot, task))
        return false;
    enum sl_dedup_mode mode = mode_of(&d->entries[slot]);
    if (mode != SL_DEDUP_UNTIL_START && mode != SL_DEDUP_DEBOUNCE)
        return false;
    remove_slot(d, slot, true);
    return true;
}

bool
sl_dedup_end(struct sl_dedup *d, uint32_t slot, uint64_t task, bool was_started)
{
    if (!is_of(d, slot, task))
        return false;
    enum sl_dedup_mode mode = mode_of(&d->entries[slot]);
    if (mode == SL_DEDUP_TTL || (mode == SL_DEDUP_THROTTLE && was_started))
        return false;
    remove_slot(d, slot, true);
    return true;
}

bool
sl_dedup_drop(struct sl_dedup *d, const struct sl_dedup_key *key, uint64_t before_ms)
{
    uint32_t slot = find(d, key);
    if (slot == SL_NONE)
        return false;
    const struct entry *e = &d->entries[slot];
    if (before_ms != UINT64_MAX && (!is_timed(mode_of(e)) || e->until_ms > before_ms))
        return false;
    remove_slot(d, slot, true);
    return true;
}

uint32_t
sl_dedup_due(struct sl_dedup *d, uint64_t now_ms, uint32_t *ret_slots, uint32_t max)
{
    uint32_t count = 0;
    if (now_ms + CLOCK_BACK_MS < d->wheel.now_ms) /* The clock was ahead, and is not any more. */
        sl_wheel_rewind(&d->wheel, items(d), now_ms);
    while (count < max && sl_wheel_next_ms(&d->wheel) <= now_ms) {
        uint32_t slot = sl_wheel_pop(&d->wheel, items(d), now_ms);
        if (slot != SL_NONE)
            ret_slots[count++] = slot;
    }
    for (uint32_t i = 0; i < count; i++)
        sl_wheel_insert(&d->wheel, items(d), ret_slots[i]);
    return count;
}

uint32_t
sl_dedup_sweep(struct sl_dedup *d, uint64_t now_ms, uint32_t max)
{
    uint32_t swept = 0, slot;
    while (swept < max && (slot = sl_wheel_pop(&d->wheel, items(d), now_ms)) != SL_NONE) {
        remove_slot(d, slot, false);
        swept++;
    }
    return swept;
}

uint64_t
sl_dedup_next_ms(const struct sl_dedup *d)
{
    return sl_wheel_next_ms(&d->wheel);
}

uint32_t
sl_dedup_slots(const struct sl_dedup *d)
{
    return d->slots;
}

bool
sl_dedup_at(const struct sl_dedup *d, uint32_t slot, struct sl_dedup_entry *ret_entry)
{
    if (slot >= d->slots || mode_of(&d->entries[slot]) == SL_DEDUP_NONE)
        return false;
    const struct entry *e = &d->entries[slot];
    *ret_entry = (struct sl_dedup_entry){.key = {{e->hash[0], e->hash[1]}, e->scope_mode >> 8},
                                         .mode = mode_of(e),
                                         .task = e->task,
                                         .until_ms = e->until_ms};
    return true;
}

uint32_t
sl_dedup_count(const struct sl_dedup *d)
{
    return d->count;
}

uint64_t
sl_dedup_bytes(const struct sl_dedup *d)
{
    return sizeof(*d) + (uint64_t)d->capacity * sizeof(*d->entries) +
           (uint64_t)d->index_capacity * sizeof(*d->index);
}

/* ---- snapshot ------------------------------------------------------------------------------- */

void
sl_dedup_snapshot(const struct sl_dedup *d, struct sl_buf *out)
{
    sl_assert(d->magic == DEDUP_MAGIC);
    sl_buf_append_u8(out, VERSION);
    sl_buf_append_u32(out, d->count);
    sl_buf_reserve(out, (size_t)d->count * RECORD_SIZE);
    for (uint32_t slot = 0; slot < d->slots; slot++) {
        const struct entry *e = &d->entries[slot];
        if (mode_of(e) == SL_DEDUP_NONE)
            continue;
        sl_buf_append_u64(out, e->scope_mode >> 8);
        sl_buf_append_u64(out, e->hash[0]);
        sl_buf_append_u64(out, e->hash[1]);
        sl_buf_append_u64(out, e->task);
        sl_buf_append_u8(out, (uint8_t)mode_of(e));
        sl_buf_append_u64(out, e->until_ms);
    }
}

static enum sl_err
read_all(struct sl_dedup *d, struct sl_reader *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sl_dedup_entry e = {.key.scope = sl_read_u64(r)};
        e.key.hash[0] = sl_read_u64(r);
        e.key.hash[1] = sl_read_u64(r);
        e.task = sl_read_u64(r);
        e.mode = (enum sl_dedup_mode)sl_read_u8(r);
        e.until_ms = sl_read_u64(r);
        uint32_t slot;
        if (r->is_bad || find(d, &e.key) != SL_NONE)
            return SL_ECORRUPT;
        enum sl_err err = sl_dedup_put(d, &e, &slot);
        if (err != SL_OK)
            return err == SL_EINVAL ? SL_ECORRUPT : err;
    }
    return SL_OK;
}

enum sl_err
sl_dedup_restore(struct sl_dedup *d, struct sl_slice bytes)
{
    sl_assert(d->magic == DEDUP_MAGIC);
    struct sl_reader r = sl_reader(bytes);
    uint8_t version = sl_read_u8(&r);
    uint32_t count = sl_read_u32(&r);
    if (!r.is_bad && version != VERSION)
        return SL_EVERSION;
    if (r.is_bad || (size_t)(r.end - r.at) != (size_t)count * RECORD_SIZE)
        return SL_ECORRUPT;

    struct sl_dedup *read = sl_dedup_create(d->keys_max);
    enum sl_err err = read_all(read, &r, count);
    if (err == SL_OK) {
        struct sl_dedup old = *d;
        *d = *read;
        *read = old;
    }
    sl_dedup_destroy(&read);
    return err;
}
