/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_list.h - rows in memory, ordered by their keys: blocks of up to 128 of them, found by two
 * binary searches. Made for up to some millions of rows, where moving the list of blocks along
 * costs less than a tree's levels.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_ROW_LIST_H
#define SL_RUNTIME_ROW_LIST_H

#include "runtime/base.h"

#define SL_ROW_BLOCK 128

/* Never changed once it is made. */
struct sl_row {
    uint32_t key_size, value_size;
    uint8_t bytes[]; /* The key, then the value. */
};

struct sl_row *sl_row_create(struct sl_slice key, struct sl_slice value); /* Freed by sl_free. */

static inline struct sl_slice
sl_row_key(const struct sl_row *row)
{
    return sl_slice(row->bytes, row->key_size);
}

static inline struct sl_slice
sl_row_value(const struct sl_row *row)
{
    return sl_slice(row->bytes + row->key_size, row->value_size);
}

struct sl_row_block {
    uint32_t count; /* Never 0. */
    struct sl_row *rows[SL_ROW_BLOCK];
};

struct sl_row_list {
    struct sl_row_block **blocks;
    uint32_t count, capacity;
};

/* A row, or the end. A write makes it void: it still is in bounds or the end, but of what? */
struct sl_row_place {
    uint32_t block, index;
};

void sl_row_list_deinit(struct sl_row_list *l); /* Frees all rows. Zeroed is fine. */
/* The first row whose key is not less. */
struct sl_row_place sl_row_list_find(const struct sl_row_list *l, struct sl_slice key);
struct sl_row *sl_row_list_at(const struct sl_row_list *l, struct sl_row_place at); /* NULL: end. */
struct sl_row_place sl_row_list_next(const struct sl_row_list *l, struct sl_row_place at);
/* False: there is none before it. */
bool sl_row_list_prev(const struct sl_row_list *l, struct sl_row_place *at);
struct sl_row_place sl_row_list_end(const struct sl_row_list *l);

/* Put a row (taken) before the one at `at`, which is where sl_row_list_find found its key. */
void sl_row_list_insert(struct sl_row_list *l, struct sl_row_place at, struct sl_row *row);
/* Put another one (taken) of the same key in its place; the old one is handed back. */
struct sl_row *sl_row_list_replace(struct sl_row_list *l, struct sl_row_place at,
                                   struct sl_row *row);
struct sl_row *sl_row_list_remove(struct sl_row_list *l, struct sl_row_place at); /* Handed back. */

#endif
