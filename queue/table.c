/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/table.h"

#include "runtime/alloc.h"

#define CAPACITY_MIN 16

void
sl_table_deinit(struct sl_table *t)
{
    sl_free(t->buckets);
    *t = (struct sl_table){0};
}

uint64_t
sl_table_mix(uint64_t key)
{
    /* Every step can be undone, so two keys never meet in one hash. */
    key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
    return key ^ (key >> 31);
}

static struct sl_table_link **
bucket(const struct sl_table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->capacity - 1)];
}

static void
resize(struct sl_table *t, size_t capacity)
{
    struct sl_table old = *t;
    t->buckets = sl_zalloc(capacity * sizeof(struct sl_table_link *));
    t->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        for (struct sl_table_link *link = old.buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            struct sl_table_link **at = bucket(t, link->hash);
            link->next = *at;
            *at = link;
        }
    }
    sl_free(old.buckets);
}

void
sl_table_insert(struct sl_table *t, struct sl_table_link *link, uint64_t hash)
{
    if (t->count >= t->capacity)
        resize(t, SL_MAX(t->capacity * 2, (size_t)CAPACITY_MIN));
    struct sl_table_link **at = bucket(t, hash);
    link->hash = hash;
    link->next = *at;
    *at = link;
    t->count++;
}

void
sl_table_remove(struct sl_table *t, struct sl_table_link *link)
{
    sl_assert(t->count > 0);
    struct sl_table_link **at = bucket(t, link->hash);
    while (*at != link) {
        sl_assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    t->count--;
    /* Far from the growth bound, so that a table on the edge does not resize back and forth. */
    if (t->capacity > CAPACITY_MIN && t->count < t->capacity / 8)
        resize(t, t->capacity / 4);
}

struct sl_table_link *
sl_table_find(const struct sl_table *t, uint64_t hash)
{
    if (t->capacity == 0)
        return NULL;
    struct sl_table_link *link = *bucket(t, hash);
    while (link != NULL && link->hash != hash)
        link = link->next;
    return link;
}

struct sl_table_link *
sl_table_next(const struct sl_table_link *link)
{
    struct sl_table_link *next = link->next;
    while (next != NULL && next->hash != link->hash)
        next = next->next;
    return next;
}
