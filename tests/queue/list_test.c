/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/list.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define ITEMS 40

struct item {
    uint16_t before; /* So that the link does not lie at the beginning. */
    struct sl_link link;
};

/* The list in an array, in order: what the links must say. */
struct model {
    uint32_t order[ITEMS];
    uint32_t count;
};

static void
insert_at(struct model *m, uint32_t at, uint32_t item)
{
    memmove(m->order + at + 1, m->order + at, (m->count - at) * sizeof(m->order[0]));
    m->order[at] = item;
    m->count++;
}

static void
remove_at(struct model *m, uint32_t at)
{
    m->count--;
    memmove(m->order + at, m->order + at + 1, (m->count - at) * sizeof(m->order[0]));
}

static uint32_t
place_of(const struct model *m, uint32_t item)
{
    uint32_t at = 0;
    while (at < m->count && m->order[at] != item)
        at++;
    return at;
}

static void
check(const struct sl_list *list, struct sl_items items, const struct model *m)
{
    uint32_t item = list->first, prev = SL_NONE;
    for (uint32_t i = 0; i < m->count; i++) {
        cr_assert_eq(item, m->order[i]);
        cr_assert_eq(sl_link(items, item)->prev, prev);
        prev = item;
        item = sl_link(items, item)->next;
    }
    cr_assert_eq(item, SL_NONE);
    cr_assert_eq(list->last, prev);
    cr_assert_eq(sl_list_is_empty(list), m->count == 0);
}

Test(list, does_what_an_array_does_through_random_calls_while_its_items_move)
{
    struct item *array = sl_zalloc(ITEMS * sizeof(*array));
    struct sl_list list;
    struct model m = {0};
    struct sl_random random;
    sl_random_seed(&random, 3);
    sl_list_init(&list);
    for (int op = 0; op < 20000; op++) {
        struct item *moved = sl_memdup(array, ITEMS * sizeof(*array));
        sl_free(array);
        array = moved;
        struct sl_items items = SL_ITEMS(array, struct item, link);
        uint32_t item = (uint32_t)sl_random_below(&random, ITEMS);
        uint32_t at = place_of(&m, item);
        if (at < m.count) {
            sl_list_remove(&list, items, item);
            remove_at(&m, at);
        } else if (sl_random_below(&random, 2) == 0) {
            uint32_t to = (uint32_t)sl_random_below(&random, m.count + 1);
            sl_list_insert(&list, items, to == 0 ? SL_NONE : m.order[to - 1], item);
            insert_at(&m, to, item);
        } else {
            sl_list_push_back(&list, items, item);
            insert_at(&m, m.count, item);
        }
        if (sl_random_below(&random, 8) == 0) {
            uint32_t first = sl_list_pop_front(&list, items);
            cr_assert_eq(first, m.count == 0 ? SL_NONE : m.order[0]);
            if (m.count > 0)
                remove_at(&m, 0);
        }
        check(&list, items, &m);
    }
    sl_free(array);
}
