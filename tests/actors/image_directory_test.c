/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_directory.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define NODES  1000
#define SERVES 3

static struct sl_image_directory *d;
static struct sl_image_name name = {{1, 2, 3}}, other = {{9}};

static void
setup(void)
{
    d = sl_image_directory_create(SERVES);
}

static void
finish(void)
{
    sl_image_directory_destroy(&d);
}

TestSuite(image_directory, .init = setup, .fini = finish);

static struct sl_image_located
locate(uint32_t node)
{
    struct sl_image_located located = {0};
    cr_assert_eq(sl_image_directory_locate(d, node, &name, &located), SL_OK);
    return located;
}

static void
has(uint32_t node)
{
    cr_assert_eq(sl_image_directory_has(d, node, &name, 77), SL_OK);
}

Test(image_directory, knows_who_has_what)
{
    uint32_t whole, fetching;
    cr_assert_not(locate(5).is_known);
    has(1);
    cr_assert_eq(sl_image_directory_has(d, 1, &other, 5), SL_OK);
    struct sl_image_located l = locate(5);
    cr_assert(l.is_known);
    cr_assert_eq(l.count, 1);
    cr_assert_eq(l.nodes[0], 1);
    cr_assert_eq(l.size_bytes, 77);
    sl_image_directory_count(d, &name, &whole, &fetching);
    cr_assert_eq(whole, 1);
    cr_assert_eq(fetching, 1);
    has(5);
    cr_assert_eq(sl_image_directory_load(d, 1, &name), 0, "it serves nobody any more");
    sl_image_directory_gone(d, 1, &name);
    l = locate(6);
    cr_assert_eq(l.count, 1);
    cr_assert_eq(l.nodes[0], 5);
    sl_image_directory_lose(d, 5);
    sl_image_directory_lose(d, 6);
    cr_assert_not(locate(7).is_known);
    sl_image_directory_lose(d, 1);
    sl_image_directory_count(d, &other, &whole, &fetching);
    cr_assert_eq(whole, 0);
}

Test(image_directory, gives_several_sources_and_others_to_who_asks_again)
{
    for (uint32_t node = 1; node <= 6; node++)
        has(node);
    struct sl_image_located first = locate(10), again = locate(10);
    cr_assert_eq(first.count, 4);
    cr_assert_eq(again.count, 2, "the two that it was not told of");
    for (uint32_t i = 0; i < again.count; i++) {
        for (uint32_t k = 0; k < first.count; k++)
            cr_assert_neq(again.nodes[i], first.nodes[k]);
    }
    sl_image_directory_lose(d, again.nodes[0]);
    sl_image_directory_lose(d, again.nodes[1]);
    cr_assert_eq(locate(10).count, 4);
}

Test(image_directory, one_that_lost_it_without_a_word_fetches_from_nobody_that_fetches_from_it)
{
    has(1);
    has(2);
    (void)locate(3);
    sl_image_directory_gone(d, 1, &name);
    cr_assert_eq(locate(3).nodes[0], 2);
    struct sl_image_located l = locate(2); /* The last whole one: 3 may have chunks. */
    cr_assert(l.is_known);
    cr_assert_eq(l.count, 1);
    cr_assert_eq(l.nodes[0], 3);
    cr_assert_eq(locate(3).count, 0, "not each from the other");
}

static uint32_t
check_loads(void)
{
    uint32_t total = 0;
    for (uint32_t node = 1; node <= NODES; node++) {
        uint32_t load = sl_image_directory_load(d, node, &name);
        cr_assert_leq(load, SERVES);
        total += load;
    }
    return total;
}

/* The worst case: who fetches passes nothing on before it has all. A round is one whole transfer,
 * of which a node serves SERVES at once. */
Test(image_directory, thousand_nodes_that_ask_at_once_finish_in_few_rounds)
{
    static struct sl_image_located told[NODES + 1];
    static bool is_whole[NODES + 1];
    uint32_t left = NODES - 1, rounds = 0;
    has(1);
    is_whole[1] = true;
    for (uint32_t node = 2; node <= NODES; node++)
        told[node] = locate(node);
    for (; left > 0; rounds++) {
        cr_assert_lt(rounds, 100, "%u are left", left);
        (void)check_loads();
        static bool done[NODES + 1];
        memset(done, 0, sizeof(done));
        for (uint32_t node = 2; node <= NODES; node++) {
            if (!is_whole[node] && told[node].count == 0)
                told[node] = locate(node);
            for (uint32_t i = 0; i < told[node].count && !is_whole[node]; i++)
                done[node] |= is_whole[told[node].nodes[i]];
        }
        for (uint32_t node = 2; node <= NODES; node++) {
            if (done[node]) {
                has(node);
                is_whole[node] = true;
                left--;
            }
        }
    }
    cr_log_info("rounds: %u", rounds);
    cr_assert_leq(rounds, 20); /* log(1000) to the base of 1.5, with two sources each, is 17. */
    cr_assert_eq(check_loads(), 0);
}

/* As one that fetches passes chunks on while it does: the time is that of one transfer and the
 * depth of the tree, in chunks. */
Test(image_directory, chunks_flow_through_the_tree)
{
    enum { CHUNKS = 64 };
    static struct sl_image_located told[NODES + 1];
    static uint32_t have[NODES + 1], before[NODES + 1];
    uint32_t steps = 0, left = NODES - 1;
    has(1);
    have[1] = CHUNKS;
    for (uint32_t node = 2; node <= NODES; node++)
        told[node] = locate(node);
    for (; left > 0; steps++) {
        cr_assert_lt(steps, 10 * CHUNKS);
        memcpy(before, have, sizeof(have));
        for (uint32_t node = 2; node <= NODES; node++) {
            uint32_t most = 0;
            if (have[node] < CHUNKS && told[node].count == 0)
                told[node] = locate(node);
            for (uint32_t i = 0; i < told[node].count; i++)
                most = SL_MAX(most, before[told[node].nodes[i]]);
            if (have[node] < most && ++have[node] == CHUNKS) {
                has(node);
                left--;
            }
        }
    }
    cr_log_info("steps: %u", steps);
    cr_assert_leq(steps, CHUNKS + 24);
}

Test(image_directory, bounds_hold_while_nodes_come_and_go)
{
    struct sl_random random;
    sl_random_seed(&random, 3);
    has(1);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t node = 1 + (uint32_t)sl_random_below(&random, 60);
        switch (sl_random_below(&random, 5)) {
        case 0:
            has(node);
            break;
        case 1:
            sl_image_directory_gone(d, node, &name);
            break;
        case 2:
            sl_image_directory_lose(d, node);
            break;
        default: {
            struct sl_image_located l = locate(node);
            for (uint32_t k = 0; k < l.count; k++)
                cr_assert_neq(l.nodes[k], node);
        }
        }
        if (i % 50 == 0)
            (void)check_loads();
    }
    for (uint32_t node = 1; node <= 60; node++)
        sl_image_directory_lose(d, node);
    cr_assert_eq(check_loads(), 0);
    cr_assert_not(locate(1).is_known);
}
