/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "object-store/slab.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

#define STEP (4 * SL_MIB)

enum { ITEMS = 3000 };

static struct {
    uint64_t offset, size;
} items[ITEMS];

/* The model: a byte for each 64 bytes of the segments. Anything that is given twice shows. */
static uint8_t *
new_map(uint32_t segments)
{
    return sl_zalloc(segments * STEP / SL_SLAB_ALIGNMENT);
}

static void
paint(uint8_t *map, uint64_t offset, uint64_t size, uint8_t from, uint8_t to)
{
    for (uint64_t i = offset / SL_SLAB_ALIGNMENT; i * SL_SLAB_ALIGNMENT < offset + size; i++) {
        cr_assert_eq(map[i], from, "64 bytes at %" PRIu64 " are given twice, or to nobody", i * 64);
        map[i] = to;
    }
}

static uint64_t
random_size(struct sl_random *r)
{
    uint64_t top = UINT64_C(64) << sl_random_below(r, 13); /* 64 bytes to 256 KiB */
    return 1 + sl_random_below(r, top);
}

static void
check_seed(uint64_t seed)
{
    struct sl_slab *s = sl_slab_create(STEP);
    struct sl_random r;
    uint32_t segment, refused = 0;
    uint64_t taken = 0;
    uint8_t *map = new_map(3);
    sl_random_seed(&r, seed);
    memset(items, 0, sizeof(items));
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(sl_slab_add(s, &segment), SL_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        uint64_t at = sl_random_below(&r, ITEMS);
        if (items[at].size != 0) {
            sl_slab_free(s, items[at].offset, items[at].size);
            paint(map, items[at].offset, items[at].size, 1, 0);
            taken -= sl_slab_cost_bytes(items[at].size);
            items[at].size = 0;
            continue;
        }
        uint64_t size = random_size(&r), offset;
        if (sl_slab_take(s, size, &offset) == SL_EFULL) {
            refused++;
            continue;
        }
        cr_assert_eq(offset % SL_SLAB_ALIGNMENT, 0);
        cr_assert_eq(offset / STEP, (offset + size - 1) / STEP, "an object in two segments");
        cr_assert_lt(offset + size, 3 * STEP + 1);
        paint(map, offset, size, 0, 1);
        items[at].offset = offset;
        items[at].size = size;
        taken += sl_slab_cost_bytes(size);
        cr_assert_eq(sl_slab_taken_bytes(s), taken);
    }
    cr_assert_gt(refused, 0, "this test is to fill it");
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (items[i].size != 0)
            sl_slab_free(s, items[i].offset, items[i].size);
    }
    for (uint32_t i = 0; i < 3; i++)
        cr_assert(sl_slab_is_empty(s, i), "seed %" PRIu64 " leaks", seed);
    uint64_t offset;
    for (uint32_t i = 0; i < 6; i++)
        cr_assert_eq(sl_slab_take(s, STEP / 2, &offset), SL_OK, "what is free is one run again");
    sl_free(map);
    sl_slab_destroy(&s);
}

Test(slab, gives_no_byte_twice_and_loses_none)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        check_seed(seed);
}

Test(slab, fills_nearly_all_of_a_segment)
{
    static const uint64_t sizes[] = {64, 700, 1024, 4096, 5000, 65536, 1000000};
    for (uint32_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        struct sl_slab *s = sl_slab_create(16 * SL_MIB);
        uint32_t segment;
        uint64_t bytes = 0, offset;
        cr_assert_eq(sl_slab_add(s, &segment), SL_OK);
        while (sl_slab_take(s, sizes[i], &offset) == SL_OK)
            bytes += sizes[i];
        cr_assert_geq(bytes, 16 * SL_MIB * 90 / 100, "objects of %" PRIu64 " bytes waste a tenth",
                      sizes[i]);
        sl_slab_destroy(&s);
    }
}

/* Mixed sizes replace each other in a full arena for long: what stays free must stay usable. */
Test(slab, loses_little_to_fragmentation)
{
    struct sl_slab *s = sl_slab_create(16 * SL_MIB);
    struct sl_random r;
    uint32_t segment;
    uint64_t live = 0, least = UINT64_MAX, total = 4 * 16 * SL_MIB;
    sl_random_seed(&r, 7);
    memset(items, 0, sizeof(items));
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(sl_slab_add(s, &segment), SL_OK);
    for (uint32_t i = 0; i < 300000; i++) {
        uint64_t size = SL_KIB << sl_random_below(&r, 8), offset;
        size += sl_random_below(&r, size);
        while (sl_slab_take(s, size, &offset) != SL_OK) {
            uint64_t at = sl_random_below(&r, ITEMS);
            if (items[at].size == 0)
                continue;
            sl_slab_free(s, items[at].offset, items[at].size);
            live -= items[at].size;
            items[at].size = 0;
            least = i > 100000 ? SL_MIN(least, live) : least;
        }
        uint32_t at = 0;
        while (at < ITEMS && items[at].size != 0)
            at++;
        cr_assert_lt(at, ITEMS);
        items[at].offset = offset;
        items[at].size = size;
        live += size;
    }
    cr_log_info("at worst %.1f %% of the bytes are objects", 100.0 * least / total);
    cr_assert_gt(least, total * 75 / 100);
    sl_slab_destroy(&s);
}

Test(slab, refuses_what_never_fits_and_segments_beyond_the_most)
{
    struct sl_slab *s = sl_slab_create(SL_SLAB_STEP_MIN);
    uint64_t offset;
    uint32_t segment;
    cr_assert_eq(sl_slab_take(s, 1, &offset), SL_EFULL);
    cr_assert_eq(sl_slab_take(s, SL_SLAB_STEP_MIN / 2 + 1, &offset), SL_ETOOBIG);
    for (uint32_t i = 0; i < SL_SLAB_SEGMENTS_MAX; i++) {
        cr_assert_eq(sl_slab_add(s, &segment), SL_OK);
        cr_assert_eq(segment, i);
    }
    cr_assert_eq(sl_slab_add(s, &segment), SL_EFULL);
    sl_slab_remove(s, 17);
    cr_assert_eq(sl_slab_add(s, &segment), SL_OK);
    cr_assert_eq(segment, 17, "the lowest number that is free");
    sl_slab_destroy(&s);
}
