/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - an intrusive chained hash table: the link lies in the item, the table owns no item.
 *
 * Keys of 64 bits go through sl_table_mix, which is one to one: equal hash, equal key. Longer keys
 * are hashed by the caller, who walks sl_table_find and sl_table_next and compares.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_TABLE_H
#define SL_QUEUE_TABLE_H

#include "runtime/base.h"

struct sl_table_link {
    struct sl_table_link *next;
    uint64_t hash;
};

struct sl_table {
    struct sl_table_link **buckets; /* NULL while capacity is 0. */
    size_t capacity;                /* 0 or a power of two. */
    size_t count;
};

void sl_table_deinit(struct sl_table *t); /* Zeroed is fine; the items stay as they are. */
void sl_table_insert(struct sl_table *t, struct sl_table_link *link, uint64_t hash);
void sl_table_remove(struct sl_table *t, struct sl_table_link *link); /* It must be inside. */

/* First link with this hash, and the one after `link` with the same hash; NULL: none. */
struct sl_table_link *sl_table_find(const struct sl_table *t, uint64_t hash);
struct sl_table_link *sl_table_next(const struct sl_table_link *link);

/* Scramble a key, one to one. */
uint64_t sl_table_mix(uint64_t key);

#endif
