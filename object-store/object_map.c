/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_map.h"

#include "runtime/alloc.h"

#define MAP_MAGIC 0x4f4d4150u

struct slot {
    struct sl_object_id id;
    uint32_t number;
    bool is_used;
};

struct sl_object_map {
    uint32_t magic;
    uint32_t capacity, count;
    uint32_t size; /* A power of two, at least twice the capacity. */
    uint64_t seed;
    struct slot *slots;
};

static void
check(const struct sl_object_map *m)
{
    sl_assert(m != NULL);
    sl_assert(m->magic == MAP_MAGIC);
}

struct sl_object_map *
sl_object_map_create(uint32_t capacity, uint64_t seed)
{
    sl_assert(capacity >= 1 && capacity <= UINT32_MAX / 4);
    struct sl_object_map *m = sl_zalloc(sizeof(*m));
    m->magic = MAP_MAGIC;
    m->capacity = capacity;
    m->seed = seed;
    for (m->size = 4; m->size < 2 * capacity;)
        m->size *= 2;
    m->slots = sl_zalloc(m->size * sizeof(*m->slots));
    return m;
}

void
sl_object_map_destroy(struct sl_object_map **map)
{
    struct sl_object_map *m = *map;
    if (m == NULL)
        return;
    check(m);
    sl_free(m->slots);
    sl_free(m);
    *map = NULL;
}

/* All of the id counts: peers choose ids, and must not be able to choose places. */
static uint32_t
home(const struct sl_object_map *m, const struct sl_object_id *id)
{
    uint64_t x = m->seed;
    const uint64_t words[] = {id->tenant, id->kind, id->key[0], id->key[1], id->key[2], id->key[3]};
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        x = (x ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        x ^= x >> 29;
    }
    return (uint32_t)(x >> 32 ^ x) & (m->size - 1);
}

/* The slot of an id, or the free one where the search for it ends. */
static uint32_t
search(const struct sl_object_map *m, const struct sl_object_id *id)
{
    uint32_t at = home(m, id);
    while (m->slots[at].is_used && !sl_object_id_equal(&m->slots[at].id, id))
        at = (at + 1) & (m->size - 1);
    return at;
}

void
sl_object_map_add(struct sl_object_map *m, const struct sl_object_id *id, uint32_t number)
{
    check(m);
    uint32_t at = search(m, id);
    sl_assert(!m->slots[at].is_used && m->count < m->capacity);
    m->slots[at] = (struct slot){.id = *id, .number = number, .is_used = true};
    m->count++;
}

bool
sl_object_map_lookup(const struct sl_object_map *m, const struct sl_object_id *id,
                     uint32_t *ret_number)
{
    check(m);
    const struct slot *slot = &m->slots[search(m, id)];
    if (slot->is_used)
        *ret_number = slot->number;
    return slot->is_used;
}

bool
sl_object_map_remove(struct sl_object_map *m, const struct sl_object_id *id)
{
    check(m);
    uint32_t hole = search(m, id), mask = m->size - 1;
    if (!m->slots[hole].is_used)
        return false;
    /* Whoever follows and would not be found past the hole moves into it. */
    for (uint32_t at = (hole + 1) & mask; m->slots[at].is_used; at = (at + 1) & mask) {
        uint32_t from = home(m, &m->slots[at].id);
        if (((at - from) & mask) < ((at - hole) & mask))
            continue;
        m->slots[hole] = m->slots[at];
        hole = at;
    }
    m->slots[hole].is_used = false;
    m->count--;
    return true;
}

uint32_t
sl_object_map_count(const struct sl_object_map *m)
{
    check(m);
    return m->count;
}
