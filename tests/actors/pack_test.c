/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pack.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

static const struct sl_resources node = {
    .places = 8, .cpus_milli = 4000, .gpus_milli = 1000, .memory_bytes = 1000};

static uint64_t
pack(const struct sl_pack_kind *kinds, uint32_t count, uint64_t unfit)
{
    uint64_t found;
    uint64_t nodes = sl_pack(&node, kinds, count, &found);
    cr_expect_eq(found, unfit, "%lu do not fit", (unsigned long)found);
    return nodes;
}

Test(pack, nothing_needs_no_node)
{
    cr_expect_eq(pack(NULL, 0, 0), 0);
    cr_expect_eq(pack(&(struct sl_pack_kind){{.cpus_milli = 1000}, 0}, 1, 0), 0);
}

Test(pack, forty_tasks_of_a_core_need_ten_nodes_of_four)
{
    cr_expect_eq(pack(&(struct sl_pack_kind){{.cpus_milli = 1000}, 40}, 1, 0), 10);
    cr_expect_eq(pack(&(struct sl_pack_kind){{.cpus_milli = 1000}, 41}, 1, 0), 11);
}

Test(pack, a_task_that_takes_nothing_takes_a_place)
{
    cr_expect_eq(pack(&(struct sl_pack_kind){.count = 16}, 1, 0), 2);
    cr_expect_eq(pack(&(struct sl_pack_kind){.count = UINT64_MAX}, 1, 0), UINT64_MAX / 8 + 1);
}

Test(pack, small_ones_go_beside_large_ones)
{
    struct sl_pack_kind kinds[] = {{{.cpus_milli = 1000}, 4}, {{.cpus_milli = 3000}, 4}};
    cr_expect_eq(pack(kinds, 2, 0), 4);
}

Test(pack, what_fits_on_no_node_is_said_and_not_packed)
{
    struct sl_pack_kind kinds[] = {{{.gpus_milli = 2000}, 3}, {{.cpus_milli = 4000}, 1}};
    cr_expect_eq(pack(kinds, 2, 3), 1);
}

/* One task at a time, the largest kind first, into the first node with room. */
static uint64_t
pack_slowly(const struct sl_pack_kind *kinds, uint32_t count)
{
    static struct sl_resources left[4096];
    uint64_t nodes = 0;
    for (uint32_t k = 0; k < count; k++) {
        for (uint64_t i = 0; i < kinds[k].count; i++) {
            uint64_t at = 0;
            while (at < nodes &&
                   (left[at].places == 0 || left[at].cpus_milli < kinds[k].each.cpus_milli ||
                    left[at].memory_bytes < kinds[k].each.memory_bytes))
                at++;
            if (at == nodes)
                left[nodes++] = node;
            left[at].places--;
            left[at].cpus_milli -= kinds[k].each.cpus_milli;
            left[at].memory_bytes -= kinds[k].each.memory_bytes;
        }
    }
    return nodes;
}

Test(pack, many_at_once_are_packed_as_one_by_one)
{
    struct sl_random random;
    sl_random_seed(&random, 11);
    for (int round = 0; round < 2000; round++) {
        struct sl_pack_kind kinds[3] = {{{.cpus_milli = 2500}, sl_random_below(&random, 50)},
                                        {{.memory_bytes = 300}, sl_random_below(&random, 50)},
                                        {{.cpus_milli = 600}, sl_random_below(&random, 50)}};
        cr_assert_eq(pack(kinds, 3, 0), pack_slowly(kinds, 3), "round %d", round);
    }
}
