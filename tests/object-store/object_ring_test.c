/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_ring.h"

#include <criterion/criterion.h>

#include "runtime/random.h"
#include "tests/object-store/arena_scene.h"

static struct sl_object_ring store, writer;
static struct sl_buf scratch;

static void
set_up(void)
{
    cr_assert_eq(sl_object_ring_create(&store), SL_OK);
    cr_assert_eq(sl_object_ring_attach(store.memory.fd, &writer), SL_OK);
}

static void
tear_down(void)
{
    sl_object_ring_deinit(&store);
    sl_object_ring_deinit(&writer);
    sl_buf_deinit(&scratch);
}

TestSuite(object_ring, .init = set_up, .fini = tear_down, .timeout = 60);

static enum sl_err
hand(uint64_t number, uint64_t size)
{
    static uint8_t bytes[SL_OBJECT_RING_BYTES_MAX + 1];
    bool is_wanted;
    scene_fill(bytes, size, number);
    struct sl_object_handed handed = {
        .id = scene_id(number), .rebuild_ns = number, .bytes = sl_slice(bytes, size)};
    return sl_object_ring_hand(&writer, &handed, &is_wanted);
}

static void
expect(uint64_t number, uint64_t size)
{
    struct sl_object_handed handed;
    struct sl_object_id id = scene_id(number);
    uint64_t mark;
    cr_assert_eq(sl_object_ring_take(&store, &scratch, &handed), SL_OK);
    cr_assert_eq(handed.id.kind, SL_OBJECT_NAMED);
    cr_assert_eq(handed.id.tenant, 0, "no ring says whose it is");
    cr_assert(memcmp(handed.id.key, id.key, sizeof(id.key)) == 0);
    cr_assert_eq(handed.rebuild_ns, number);
    cr_assert_eq(handed.bytes.size, size);
    cr_assert(scene_is_whole(handed.bytes, &mark) && (size < 8 || mark == number));
}

/* Of any sizes, round and round. */
Test(object_ring, gives_what_was_handed_in_its_order)
{
    struct sl_random random;
    uint64_t sizes[64], first = 0, next = 0;
    struct sl_object_handed handed;
    sl_random_seed(&random, 1);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t size = 1 + sl_random_below(&random, i % 3 == 0 ? SL_OBJECT_RING_BYTES_MAX : 300);
        if (next - first < SL_COUNT_OF(sizes) && sl_random_below(&random, 2) == 0) {
            enum sl_err err = hand(next, size);
            cr_assert(err == SL_OK || err == SL_EBUSY);
            if (err == SL_OK)
                sizes[next++ % SL_COUNT_OF(sizes)] = size;
        } else if (first < next) {
            expect(first, sizes[first % SL_COUNT_OF(sizes)]);
            first++;
        }
    }
    for (; first < next; first++)
        expect(first, sizes[first % SL_COUNT_OF(sizes)]);
    cr_assert_gt(next, 1000);
    cr_assert_eq(sl_object_ring_take(&store, &scratch, &handed), SL_EBUSY);
}

Test(object_ring, has_room_again_when_something_was_taken)
{
    uint64_t count = 0;
    cr_assert_eq(hand(1, 0), SL_EINVAL);
    cr_assert_eq(hand(1, SL_OBJECT_RING_BYTES_MAX + 1), SL_ETOOBIG);
    while (hand(count, SL_OBJECT_RING_BYTES_MAX) == SL_OK)
        count++;
    cr_assert_geq(count, SL_OBJECT_RING_BYTES / SL_OBJECT_RING_BYTES_MAX - 2);
    expect(0, SL_OBJECT_RING_BYTES_MAX);
    expect(1, SL_OBJECT_RING_BYTES_MAX);
    cr_assert_eq(hand(count, SL_OBJECT_RING_BYTES_MAX), SL_OK);
}

Test(object_ring, tells_a_writer_to_wake_who_sleeps)
{
    bool is_wanted = true;
    struct sl_object_handed handed = {.id = scene_id(1), .bytes = sl_slice_str("x")};
    cr_assert_eq(sl_object_ring_hand(&writer, &handed, &is_wanted), SL_OK);
    cr_assert_not(is_wanted);
    sl_object_ring_sleep(&store, true);
    cr_assert_eq(sl_object_ring_hand(&writer, &handed, &is_wanted), SL_OK);
    cr_assert(is_wanted);
}

/* Where the first record's members lie: size, kind, key (4), rebuild_ns. */
static void
set_word(uint64_t at, uint64_t value)
{
    memcpy(writer.memory.base + at, &value, sizeof(value));
}

/* The writer is another process, and may be anybody. */
Test(object_ring, what_no_writer_would_write_is_told_apart)
{
    enum { WRITTEN = 0, RECORD = 4096 };
    static const struct {
        uint64_t written, size, kind;
    } lies[] = {
        {64, 1, 1}, /* It ends before its bytes. */
        {63, 1, 1},
        {SL_OBJECT_RING_BYTES + 64, 1, 1},
        {UINT64_MAX - 63, 1, 1},
        {128, 0, 1},
        {128, 65, 1},
        {1 << 16, SL_OBJECT_RING_BYTES_MAX + 1, 1},
        {128, UINT64_MAX - 1, 1},
        {128, UINT64_MAX, 1}, /* A skip with nothing behind it. */
        {128, 1, 0},
        {128, 1, 3},
    };
    struct sl_object_handed handed;
    for (uint32_t i = 0; i < SL_COUNT_OF(lies); i++) {
        set_word(WRITTEN, lies[i].written);
        set_word(RECORD, lies[i].size);
        set_word(RECORD + 8, lies[i].kind);
        cr_assert_eq(sl_object_ring_take(&store, &scratch, &handed), SL_ECORRUPT, "%d", (int)i);
    }
    set_word(WRITTEN, 128);
    set_word(RECORD, 1);
    set_word(RECORD + 8, 1);
    cr_assert_eq(sl_object_ring_take(&store, &scratch, &handed), SL_OK);
}
