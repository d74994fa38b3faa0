/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/row_list.h"

#include "runtime/alloc.h"

struct sl_row *
sl_row_create(struct sl_slice key, struct sl_slice value)
{
    sl_assert(key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    struct sl_row *row = sl_alloc(sizeof(*row) + key.size + value.size);
    row->key_size = (uint32_t)key.size;
    row->value_size = (uint32_t)value.size;
    if (key.size > 0)
        memcpy(row->bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(row->bytes + key.size, value.data, value.size);
    return row;
}

static bool
is_less(const struct sl_row *row, struct sl_slice key)
{
    int order = memcmp(row->bytes, key.data, SL_MIN((size_t)row->key_size, key.size));
    return order != 0 ? order < 0 : row->key_size < key.size;
}

/* How many rows of the block are less. */
static uint32_t
count_less(const struct sl_row_block *block, struct sl_slice key)
{
    uint32_t low = 0, high = block->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_less(block->rows[middle], key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last block whose first row is less: what is sought is in it, or begins the one after. */
static uint32_t
find_block(const struct sl_row_list *l, struct sl_slice key)
{
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_less(l->blocks[middle]->rows[0], key))
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : low - 1;
}

struct sl_row_place
sl_row_list_find(const struct sl_row_list *l, struct sl_slice key)
{
    if (l->count == 0)
        return (struct sl_row_place){0, 0};
    uint32_t block = find_block(l, key);
    uint32_t index = count_less(l->blocks[block], key);
    if (index == l->blocks[block]->count)
        return (struct sl_row_place){block + 1, 0};
    return (struct sl_row_place){block, index};
}

struct sl_row *
sl_row_list_at(const struct sl_row_list *l, struct sl_row_place at)
{
    if (at.block >= l->count || at.index >= l->blocks[at.block]->count)
        return NULL;
    return l->blocks[at.block]->rows[at.index];
}

struct sl_row_place
sl_row_list_next(const struct sl_row_list *l, struct sl_row_place at)
{
    if (at.block < l->count && at.index + 1 < l->blocks[at.block]->count)
        return (struct sl_row_place){at.block, at.index + 1};
    return (struct sl_row_place){at.block + 1, 0};
}

bool
sl_row_list_prev(const struct sl_row_list *l, struct sl_row_place *at)
{
    if (at->block > l->count)
        *at = sl_row_list_end(l);
    if (at->index > 0) {
        at->index--;
        return true;
    }
    if (at->block == 0)
        return false;
    at->block--;
    at->index = l->blocks[at->block]->count - 1;
    return true;
}

struct sl_row_place
sl_row_list_end(const struct sl_row_list *l)
{
    return (struct sl_row_place){l->count, 0};
}

/* ---- writes -------------------------------------------------------------------------------- */

static void
insert_block(struct sl_row_list *l, uint32_t at)
{
    if (l->count == l->capacity) {
        l->capacity = SL_MAX(l->capacity * 2, 16u);
        l->blocks = sl_realloc(l->blocks, l->capacity * sizeof(l->blocks[0]));
    }
    memmove(&l->blocks[at + 1], &l->blocks[at], (l->count - at) * sizeof(l->blocks[0]));
    l->blocks[at] = sl_alloc(sizeof(*l->blocks[at]));
    l->blocks[at]->count = 0;
    l->count++;
}

/* A full block becomes two. Keys often grow, so one whose end is written keeps most of it. */
static struct sl_row_place
split(struct sl_row_list *l, struct sl_row_place at)
{
    uint32_t keep = at.index == SL_ROW_BLOCK ? SL_ROW_BLOCK - 8 : SL_ROW_BLOCK / 2;
    insert_block(l, at.block + 1);
    struct sl_row_block *from = l->blocks[at.block], *to = l->blocks[at.block + 1];
    memcpy(to->rows, from->rows + keep, (SL_ROW_BLOCK - keep) * sizeof(to->rows[0]));
    to->count = SL_ROW_BLOCK - keep;
    from->count = keep;
    return at.index <= keep ? at : (struct sl_row_place){at.block + 1, at.index - keep};
}

void
sl_row_list_insert(struct sl_row_list *l, struct sl_row_place at, struct sl_row *row)
{
    if (l->count == 0)
        insert_block(l, 0);
    if (at.index == 0 && at.block > 0) /* It goes behind the last one of the block before. */
        at = (struct sl_row_place){at.block - 1, l->blocks[at.block - 1]->count};
    if (l->blocks[at.block]->count == SL_ROW_BLOCK)
        at = split(l, at);
    struct sl_row_block *block = l->blocks[at.block];
    memmove(&block->rows[at.index + 1], &block->rows[at.index],
            (block->count - at.index) * sizeof(block->rows[0]));
    block->rows[at.index] = row;
    block->count++;
}

struct sl_row *
sl_row_list_replace(struct sl_row_list *l, struct sl_row_place at, struct sl_row *row)
{
    struct sl_row *old = sl_row_list_at(l, at);
    sl_assert(old != NULL);
    l->blocks[at.block]->rows[at.index] = row;
    return old;
}

struct sl_row *
sl_row_list_remove(struct sl_row_list *l, struct sl_row_place at)
{
    struct sl_row *row = sl_row_list_at(l, at);
    sl_assert(row != NULL);
    struct sl_row_block *block = l->blocks[at.block];
    memmove(&block->rows[at.index], &block->rows[at.index + 1],
            (block->count - at.index - 1) * sizeof(block->rows[0]));
    block->count--;
    if (block->count == 0) {
        sl_free(block);
        l->count--;
        memmove(&l->blocks[at.block], &l->blocks[at.block + 1],
                (l->count - at.block) * sizeof(l->blocks[0]));
    }
    return row;
}

void
sl_row_list_deinit(struct sl_row_list *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        for (uint32_t k = 0; k < l->blocks[i]->count; k++)
            sl_free(l->blocks[i]->rows[k]);
        sl_free(l->blocks[i]);
    }
    sl_free(l->blocks);
    *l = (struct sl_row_list){0};
}
