/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "object-store/evict.h"
#include "runtime/random.h"

enum { CAPACITY = 500 };

Test(evict, takes_the_large_and_cheap_before_the_small_and_dear)
{
    struct sl_evict *e = sl_evict_create(4);
    uint32_t first = 9;
    sl_evict_add(e, 0, sl_evict_weight(1000, 1000000));
    sl_evict_add(e, 1, sl_evict_weight(1000000, 1000000));
    sl_evict_add(e, 2, sl_evict_weight(1000, 1000));
    cr_assert(sl_evict_pop(e, &first) && first == 1, "the most bytes for its cost");
    cr_assert(sl_evict_pop(e, &first) && first == 2);
    cr_assert(sl_evict_pop(e, &first) && first == 0);
    cr_assert_not(sl_evict_pop(e, &first));
    sl_evict_destroy(&e);
}

Test(evict, keeps_what_was_asked_for_lately)
{
    struct sl_evict *e = sl_evict_create(8);
    uint32_t first;
    for (uint32_t i = 0; i < 4; i++)
        sl_evict_add(e, i, 100);
    cr_assert(sl_evict_pop(e, &first) && first == 0);
    sl_evict_touch(e, 1);
    cr_assert(sl_evict_pop(e, &first) && first == 2);
    cr_assert(sl_evict_pop(e, &first) && first == 3);
    cr_assert(sl_evict_pop(e, &first) && first == 1);
    sl_evict_destroy(&e);
}

Test(evict, lets_go_of_the_dearest_in_the_end_if_nobody_asks)
{
    struct sl_evict *e = sl_evict_create(CAPACITY);
    uint32_t first, count = 0;
    sl_evict_add(e, 0, 10000);
    for (uint32_t i = 1;; i = i % (CAPACITY - 1) + 1, count++) {
        sl_evict_add(e, i, 100);
        cr_assert(sl_evict_pop(e, &first));
        if (first == 0)
            break;
        cr_assert_lt(count, 1000, "it stays for ever");
    }
    cr_assert_gt(count, 50);
    sl_evict_destroy(&e);
}

Test(evict, of_equals_takes_the_one_that_nobody_asked_for_longest)
{
    static const uint32_t order[] = {5, 4, 3, 2, 1, 0, 7, 6};
    struct sl_evict *e = sl_evict_create(8);
    uint32_t first;
    for (uint32_t i = 8; i-- > 0;)
        sl_evict_add(e, i, 100);
    sl_evict_touch(e, 0); /* It is the youngest. */
    sl_evict_touch(e, 7);
    sl_evict_touch(e, 6);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert(sl_evict_pop(e, &first) && first == order[i], "%u", first);
    sl_evict_destroy(&e);
}

/* Against an array that is searched. */
static void
check_seed(uint64_t seed)
{
    struct sl_evict *e = sl_evict_create(CAPACITY);
    static uint64_t worth[CAPACITY], weight[CAPACITY], since[CAPACITY];
    uint64_t floor = 0, age = 0;
    uint32_t count = 0;
    struct sl_random r;
    sl_random_seed(&r, seed);
    memset(worth, 0, sizeof(worth));
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t at = (uint32_t)sl_random_below(&r, CAPACITY), least = CAPACITY, popped;
        switch (sl_random_below(&r, 4)) {
        case 0:
        case 1:
            if (worth[at] == 0) {
                weight[at] = 1 + sl_random_below(&r, seed % 2 == 0 ? 1000 : 3);
                worth[at] = floor + weight[at];
                since[at] = age++;
                sl_evict_add(e, at, (uint32_t)weight[at]);
                count++;
            } else {
                if (worth[at] != floor + weight[at] || age - since[at] > count / 4)
                    since[at] = age++;
                worth[at] = floor + weight[at];
                sl_evict_touch(e, at);
            }
            break;
        case 2:
            count -= worth[at] != 0;
            worth[at] = 0;
            sl_evict_remove(e, at);
            break;
        default:
            for (uint32_t k = 0; k < CAPACITY; k++) {
                if (worth[k] != 0 && (least == CAPACITY || worth[k] < worth[least] ||
                                      (worth[k] == worth[least] && since[k] < since[least])))
                    least = k;
            }
            cr_assert_eq(sl_evict_pop(e, &popped), least < CAPACITY);
            if (least == CAPACITY)
                break;
            cr_assert_eq(popped, least, "seed %" PRIu64 " step %u", seed, i);
            floor = worth[least];
            worth[least] = 0;
            count--;
        }
        cr_assert_eq(sl_evict_count(e), count);
    }
    sl_evict_destroy(&e);
}

Test(evict, chooses_as_an_array_that_is_searched_would)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        check_seed(seed);
}

Test(evict, weighs_any_size_and_cost)
{
    cr_assert_eq(sl_evict_weight(0, 0), 1);
    cr_assert_eq(sl_evict_weight(UINT64_MAX, 1), 1);
    cr_assert_eq(sl_evict_weight(1, UINT64_MAX), UINT32_MAX);
    cr_assert_gt(sl_evict_weight(100, 5000), sl_evict_weight(200, 5000));
}
