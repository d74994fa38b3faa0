/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_room.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

static struct sl_image_room room;

static void
finish(void)
{
    sl_image_room_deinit(&room);
}

TestSuite(image_room, .fini = finish);

static struct sl_image_name
named(uint8_t number)
{
    return (struct sl_image_name){.digest = {number}};
}

static void
here(uint8_t number, uint64_t size_bytes, uint64_t used_ns)
{
    struct sl_image_name name = named(number);
    sl_image_room_here(&room, &name, size_bytes, used_ns);
}

Test(image_room, the_one_that_was_wanted_longest_ago_goes_first)
{
    struct sl_image_name gone;
    room.bytes_max = 100;
    here(1, 40, 5);
    here(2, 30, 3);
    here(3, 30, 4);
    here(2, 30, 0); /* Found again: no use. */
    cr_assert_eq(sl_image_room_make(&room, 0, &gone), SL_IMAGE_FITS);
    cr_assert_eq(sl_image_room_make(&room, 50, &gone), SL_IMAGE_EVICT);
    cr_assert_eq(gone.digest[0], 2);
    cr_assert_eq(sl_image_room_make(&room, 50, &gone), SL_IMAGE_EVICT);
    cr_assert_eq(gone.digest[0], 3);
    cr_assert_eq(sl_image_room_make(&room, 50, &gone), SL_IMAGE_FITS);
    cr_assert_eq(room.bytes, 40);
}

Test(image_room, what_is_coming_counts_and_stays)
{
    struct sl_image_name gone, coming = named(1);
    room.bytes_max = 100;
    sl_image_room_coming(&room, &coming, 60);
    here(2, 40, 1);
    cr_assert_eq(sl_image_room_make(&room, 41, &gone), SL_IMAGE_WAIT);
    cr_assert_eq(room.count, 2, "nothing went for what will not fit");
    cr_assert_eq(sl_image_room_make(&room, 101, &gone), SL_IMAGE_NEVER);
    cr_assert_eq(sl_image_room_make(&room, UINT64_MAX, &gone), SL_IMAGE_NEVER);
    sl_image_room_drop(&room, &coming);
    cr_assert_eq(sl_image_room_make(&room, 41, &gone), SL_IMAGE_FITS);
    sl_image_room_drop(&room, &coming); /* Unknown is fine. */
    cr_assert_eq(room.bytes, 40);
}

/* Its files went behind the room's back; what is fetched again must not be taken for whole. */
Test(image_room, what_was_whole_and_is_coming_again_stays)
{
    struct sl_image_name gone, again = named(1);
    room.bytes_max = 100;
    here(1, 60, 1);
    sl_image_room_coming(&room, &again, 50);
    cr_assert_eq(room.bytes, 50);
    cr_assert_eq(room.whole, 0);
    cr_assert_eq(sl_image_room_make(&room, 51, &gone), SL_IMAGE_WAIT);
    here(1, 50, 2);
    cr_assert_eq(sl_image_room_make(&room, 51, &gone), SL_IMAGE_EVICT);
    cr_assert_eq(gone.digest[0], 1);
}

Test(image_room, without_a_limit_all_fits)
{
    struct sl_image_name gone;
    here(1, UINT64_MAX / 2, 1);
    cr_assert_eq(sl_image_room_make(&room, UINT64_MAX, &gone), SL_IMAGE_FITS);
}

Test(image_room, never_holds_more_than_its_limit_whatever_comes)
{
    struct sl_random random;
    sl_random_seed(&random, 11);
    room.bytes_max = 1000;
    for (uint64_t now = 1; now <= 20000; now++) {
        struct sl_image_name gone, name = named((uint8_t)sl_random_below(&random, 40));
        uint64_t size = name.digest[0] * 20u + 1;
        bool is_known = false;
        for (uint32_t i = 0; i < room.count; i++)
            is_known = is_known || memcmp(sl_image_room_name(&room, i), &name, sizeof(name)) == 0;
        if (sl_random_below(&random, 4) == 0) {
            sl_image_room_drop(&room, &name);
        } else if (is_known) {
            sl_image_room_here(&room, &name, size, now);
        } else {
            enum sl_image_fit fit;
            while ((fit = sl_image_room_make(&room, size, &gone)) == SL_IMAGE_EVICT)
                ;
            if (fit == SL_IMAGE_FITS)
                sl_image_room_coming(&room, &name, size);
        }
        cr_assert_leq(room.bytes, room.bytes_max);
        cr_assert_leq(room.whole, room.count);
    }
}
