/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node_set.h"

#include <criterion/criterion.h>

#define COUNT 1000

Test(node_set, finds_each_of_many_by_its_number_and_none_that_went)
{
    static struct sl_node_slot nodes[COUNT];
    struct sl_node_set set = {0};
    cr_assert_null(sl_node_set_lookup(&set, 2));
    for (uint32_t i = 0; i < COUNT; i++)
        sl_node_set_add(&set, &nodes[i], 2 + 3 * i);
    for (uint32_t i = 0; i < COUNT; i += 2)
        sl_node_set_remove(&set, &nodes[i]);
    cr_assert_eq(set.count, COUNT / 2);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(sl_node_set_lookup(&set, 2 + 3 * i), i % 2 == 0 ? NULL : &nodes[i]);
    cr_assert_null(sl_node_set_lookup(&set, 3));
    for (uint32_t i = 0; i < set.count; i++)
        cr_assert_eq(set.slots[i]->index, i);
    sl_node_set_deinit(&set);
}
