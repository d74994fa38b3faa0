/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/table.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define ITEMS 3000

struct item {
    uint64_t key;
    struct sl_table_link link;
    bool is_inside;
};

Test(table, finds_what_is_inside_and_nothing_else)
{
    static struct item items[ITEMS];
    struct sl_table table = {0};
    struct sl_random random;
    sl_random_seed(&random, 7);
    cr_assert_null(sl_table_find(&table, 1));
    for (int op = 0; op < 50000; op++) {
        uint64_t key = sl_random_below(&random, ITEMS);
        struct item *item = &items[key];
        struct sl_table_link *found = sl_table_find(&table, sl_table_mix(key));
        cr_assert_eq(found, item->is_inside ? &item->link : NULL);
        if (item->is_inside)
            sl_table_remove(&table, &item->link);
        else
            sl_table_insert(&table, &item->link, sl_table_mix(key));
        item->is_inside = !item->is_inside;
    }
    for (int i = 0; i < ITEMS; i++) {
        if (items[i].is_inside)
            sl_table_remove(&table, &items[i].link);
    }
    cr_assert_eq(table.count, 0);
    cr_assert_leq(table.capacity, 64);
    sl_table_deinit(&table);
}

Test(table, walks_all_items_of_one_hash)
{
    struct item items[3] = {0}, other = {0};
    struct sl_table table = {0};
    for (int i = 0; i < 3; i++)
        sl_table_insert(&table, &items[i].link, 16);
    sl_table_insert(&table, &other.link, 32); /* The same bucket. */
    int count = 0;
    for (struct sl_table_link *l = sl_table_find(&table, 16); l != NULL; l = sl_table_next(l))
        count++;
    cr_assert_eq(count, 3);
    sl_table_deinit(&table);
}
