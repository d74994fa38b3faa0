/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "object-store/object_map.h"
#include "runtime/random.h"

enum { CAPACITY = 200, IDS = 400 };

/* Few different keys and places, so that they are in each other's way. */
static struct sl_object_id
id_of(uint64_t n)
{
    return (struct sl_object_id){.tenant = n % 3, .kind = 1 + n % 2, .key = {n / 6, 0, 0, n / 50}};
}

static void
check_seed(uint64_t seed)
{
    struct sl_object_map *m = sl_object_map_create(CAPACITY, seed);
    static uint32_t numbers[IDS]; /* 0: it is not there. */
    struct sl_random r;
    uint32_t count = 0, number;
    sl_random_seed(&r, seed);
    memset(numbers, 0, sizeof(numbers));
    for (uint32_t step = 1; step <= 30000; step++) {
        uint64_t n = sl_random_below(&r, IDS);
        struct sl_object_id id = id_of(n);
        cr_assert_eq(sl_object_map_lookup(m, &id, &number), numbers[n] != 0,
                     "seed %" PRIu64 " step %u", seed, step);
        cr_assert(numbers[n] == 0 || number == numbers[n]);
        if (numbers[n] != 0 || count == CAPACITY) {
            cr_assert_eq(sl_object_map_remove(m, &id), numbers[n] != 0);
            count -= numbers[n] != 0;
            numbers[n] = 0;
        } else {
            sl_object_map_add(m, &id, step);
            numbers[n] = step;
            count++;
        }
        cr_assert_eq(sl_object_map_count(m), count);
    }
    sl_object_map_destroy(&m);
}

Test(object_map, does_what_an_array_would)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        check_seed(seed);
}
