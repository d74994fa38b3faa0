/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/heap.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define ITEMS 200

struct item {
    uint64_t key;
    uint32_t position;
    bool is_inside;
};

Test(heap, keeps_every_item_at_its_place_through_random_pushes_removals_and_rekeys)
{
    struct item items[ITEMS] = {0};
    struct sl_heap heap = {0};
    struct sl_random random;
    sl_random_seed(&random, 7);
    for (int op = 0; op < 20000; op++) {
        uint64_t i = sl_random_below(&random, ITEMS);
        struct item *item = &items[i];
        uint64_t key = sl_random_below(&random, 50);
        if (!item->is_inside) {
            sl_heap_push(&heap, (struct sl_heap_entry){key, i, &item->position});
        } else if (sl_random_below(&random, 2) == 0) {
            sl_heap_rekey(&heap, item->position, key);
        } else {
            sl_heap_remove(&heap, item->position);
            item->is_inside = false;
            continue;
        }
        item->is_inside = true;
        item->key = key;

        cr_assert_eq(heap.entries[item->position].position, &item->position);
        cr_assert_eq(heap.entries[item->position].key, key);
        const struct item *least = NULL;
        for (int j = 0; j < ITEMS; j++) {
            if (items[j].is_inside && (least == NULL || items[j].key < least->key))
                least = &items[j];
        }
        cr_assert_eq(heap.entries[0].position, &least->position);
    }
    sl_heap_deinit(&heap);
}

Test(heap, gives_memory_back)
{
    static struct item items[4096];
    struct sl_heap heap = {0};
    for (uint32_t i = 0; i < SL_COUNT_OF(items); i++)
        sl_heap_push(&heap, (struct sl_heap_entry){i, i, &items[i].position});
    while (heap.count > 0)
        sl_heap_remove(&heap, 0);
    cr_assert_leq(heap.capacity, 64);
    sl_heap_deinit(&heap);
}
