/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/actor_id.h"

static uint32_t
take(struct sl_actor_ids *a)
{
    uint32_t id = 0;
    cr_assert_eq(sl_actor_ids_take(a, SL_ACTOR_SLOTS, &id), SL_OK);
    return id;
}

Test(actor_id, numbers_begin_behind_the_names)
{
    struct sl_actor_ids a = {0};
    cr_assert_eq(take(&a), SL_ACTOR_NAMES);
    cr_assert_eq(take(&a), SL_ACTOR_NAMES + 1);
    sl_actor_ids_deinit(&a);
}

Test(actor_id, a_slot_rests_and_comes_back_with_another_number)
{
    struct sl_actor_ids a = {0};
    uint32_t first = take(&a), came_back_after = 0;
    sl_actor_ids_give(&a, first);
    for (uint32_t i = 1;; i++) {
        uint32_t id = take(&a);
        cr_assert_neq(id, first);
        if (sl_actor_slot(id) == sl_actor_slot(first)) {
            came_back_after = i;
            break;
        }
        sl_actor_ids_give(&a, id);
    }
    cr_assert_geq(came_back_after, SL_ACTOR_REST);
    sl_actor_ids_deinit(&a);
}

Test(actor_id, generations_wrap_within_the_slot)
{
    struct sl_actor_ids a = {0};
    uint32_t id = 0, seen = 0;
    cr_assert_eq(sl_actor_ids_take(&a, 1, &id), SL_OK);
    uint32_t first = id;
    do {
        cr_assert_eq(sl_actor_slot(id), SL_ACTOR_NAMES);
        sl_actor_ids_give(&a, id);
        cr_assert_eq(sl_actor_ids_take(&a, 1, &id), SL_OK);
        seen++;
    } while (id != first);
    cr_assert_eq(seen, 1u << (32 - SL_ACTOR_SLOT_BITS));
    sl_actor_ids_deinit(&a);
}

Test(actor_id, a_full_table_is_an_error_and_what_ends_makes_room)
{
    struct sl_actor_ids a = {0};
    uint32_t one, two, three;
    cr_assert_eq(sl_actor_ids_take(&a, 2, &one), SL_OK);
    cr_assert_eq(sl_actor_ids_take(&a, 2, &two), SL_OK);
    cr_assert_eq(sl_actor_ids_take(&a, 2, &three), SL_EFULL);
    sl_actor_ids_give(&a, one);
    cr_assert_eq(sl_actor_ids_take(&a, 2, &three), SL_OK);
    cr_assert_eq(sl_actor_slot(three), sl_actor_slot(one));
    cr_assert_neq(three, one);
    sl_actor_ids_deinit(&a);
}

Test(actor_id, slots_are_reused_oldest_first)
{
    struct sl_actor_ids a = {0};
    uint32_t ids[3], id;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sl_actor_ids_take(&a, 3, &ids[i]), SL_OK);
    sl_actor_ids_give(&a, ids[1]);
    sl_actor_ids_give(&a, ids[2]);
    sl_actor_ids_give(&a, ids[0]);
    static const int order[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sl_actor_ids_take(&a, 3, &id), SL_OK);
        cr_assert_eq(sl_actor_slot(id), sl_actor_slot(ids[order[i]]));
    }
    sl_actor_ids_deinit(&a);
}
