/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/row_list.h"

#define KEYS 3000

static struct sl_slice
key_of(uint32_t number, char text[static 16])
{
    /* Of different lengths, some the beginning of others. */
    int size = snprintf(text, 16, "%u", number);
    return sl_slice(text, (size_t)size);
}

/* As one by one in a plain array: which keys are there, and with what. */
struct model {
    bool is_there[KEYS];
    uint32_t values[KEYS];
};

static int
compare(const void *a, const void *b)
{
    char x[16], y[16];
    (void)key_of(*(const uint32_t *)a, x);
    (void)key_of(*(const uint32_t *)b, y);
    return strcmp(x, y);
}

static void
check(const struct sl_row_list *l, const struct model *m)
{
    static uint32_t sorted[KEYS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (m->is_there[i])
            sorted[count++] = i;
    }
    qsort(sorted, count, sizeof(sorted[0]), compare);
    struct sl_row_place at = {0, 0}, back = sl_row_list_end(l);
    for (uint32_t i = 0; i < count; i++, at = sl_row_list_next(l, at)) {
        char text[16];
        const struct sl_row *row = sl_row_list_at(l, at);
        cr_assert_not_null(row);
        cr_assert(sl_slice_equal(sl_row_key(row), key_of(sorted[i], text)));
        cr_assert_eq(memcmp(sl_row_value(row).data, &m->values[sorted[i]], 4), 0);
    }
    cr_assert_null(sl_row_list_at(l, at));
    for (uint32_t i = count; i-- > 0;) {
        char text[16];
        cr_assert(sl_row_list_prev(l, &back));
        cr_assert(sl_slice_equal(sl_row_key(sl_row_list_at(l, back)), key_of(sorted[i], text)));
    }
    cr_assert_not(sl_row_list_prev(l, &back));
}

static void
write_one(struct sl_row_list *l, struct model *m, struct sl_random *random)
{
    char text[16];
    uint32_t number = (uint32_t)sl_random_below(random, KEYS),
             value = (uint32_t)sl_random_u64(random);
    struct sl_slice key = key_of(number, text);
    struct sl_row_place at = sl_row_list_find(l, key);
    const struct sl_row *row = sl_row_list_at(l, at);
    bool is_there = row != NULL && sl_slice_equal(sl_row_key(row), key);
    cr_assert_eq(is_there, m->is_there[number]);
    if (is_there && sl_random_below(random, 3) == 0) {
        sl_free(sl_row_list_remove(l, at));
        m->is_there[number] = false;
        return;
    }
    struct sl_row *new = sl_row_create(key, sl_slice(&value, sizeof(value)));
    if (is_there)
        sl_free(sl_row_list_replace(l, at, new));
    else
        sl_row_list_insert(l, at, new);
    m->is_there[number] = true;
    m->values[number] = value;
}

Test(row_list, is_what_a_sorted_array_would_be)
{
    static struct model m;
    struct sl_row_list l = {0};
    struct sl_random random;
    sl_random_seed(&random, 7);
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < 500; i++)
            write_one(&l, &m, &random);
        check(&l, &m);
    }
    sl_row_list_deinit(&l);
}

Test(row_list, takes_rows_that_come_in_order_and_gives_all_back)
{
    struct sl_row_list l = {0};
    uint8_t key[4];
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t number = i;
        for (int k = 3; k >= 0; k--, number >>= 8)
            key[k] = (uint8_t)number;
        struct sl_slice slice = sl_slice(key, sizeof(key));
        sl_row_list_insert(&l, sl_row_list_find(&l, slice), sl_row_create(slice, slice));
    }
    cr_assert_leq(l.count, 10000 / (SL_ROW_BLOCK - 8) + 1, "blocks are nearly full");
    for (uint32_t i = 0; i < 10000; i++)
        sl_free(sl_row_list_remove(&l, (struct sl_row_place){0, 0}));
    cr_assert_eq(l.count, 0);
    cr_assert_null(sl_row_list_at(&l, sl_row_list_find(&l, sl_slice(key, sizeof(key)))));
    sl_row_list_deinit(&l);
}
