/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "object-store/object_stream.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

static struct sl_object_stream ours, theirs;

static void
set_up(void)
{
    cr_assert_eq(sl_object_stream_create(&ours), SL_OK);
    cr_assert_eq(sl_object_stream_attach(ours.memory.fd, &theirs), SL_OK);
}

static void
tear_down(void)
{
    sl_object_stream_deinit(&ours);
    sl_object_stream_deinit(&theirs);
}

TestSuite(object_stream, .init = set_up, .fini = tear_down, .timeout = 60);

static void
write_word(uint64_t place, uint64_t word)
{
    memcpy(theirs.memory.base + place, &word, sizeof(word));
}

/* A byte for each place, so that what is taken says where it was. */
static uint8_t
byte_at(uint64_t at)
{
    return (uint8_t)(at * 31 ^ at >> 13);
}

Test(object_stream, bytes_come_out_as_they_went_in)
{
    enum { TOTAL = 20 * SL_MIB, SOURCE = 300 * SL_KIB };
    struct sl_random r;
    struct sl_slice there;
    uint8_t *source = sl_alloc(SOURCE);
    uint64_t written = 0, taken = 0;
    sl_random_seed(&r, 2);
    while (taken < TOTAL) {
        size_t size = 0;
        bool is_wanted;
        uint64_t most = SL_MIN(SOURCE, TOTAL - written), want = 0;
        if (most > 0)
            want = 1 + sl_random_below(&r, most);
        for (uint64_t i = 0; i < want; i++)
            source[i] = byte_at(written + i);
        enum sl_err err = SL_EBUSY;
        if (want > 0)
            err = sl_object_stream_write(&theirs, sl_slice(source, want), &size, &is_wanted);
        cr_assert(err == SL_OK || (err == SL_EBUSY && size == 0));
        cr_assert_leq(size, SL_OBJECT_STREAM_PART);
        written += size;
        cr_assert_leq(written - taken, SL_OBJECT_STREAM_BYTES);
        if (err == SL_OK && sl_random_below(&r, 3) > 0)
            continue;
        uint64_t limit = 1 + sl_random_below(&r, SL_MIB);
        err = sl_object_stream_look(&ours, limit, &there);
        cr_assert_eq(err, written == taken ? SL_EBUSY : SL_OK);
        for (size_t i = 0; err == SL_OK && i < there.size; i++)
            cr_assert_eq(there.data[i], byte_at(taken + i));
        if (err != SL_OK)
            continue;
        cr_assert(there.size > 0 && there.size <= limit);
        sl_object_stream_pass(&ours, there.size);
        taken += there.size;
    }
    sl_free(source);
}

Test(object_stream, says_when_it_is_to_be_woken_and_when_nobody_listens)
{
    uint8_t byte = 1;
    size_t size;
    bool is_wanted = true;
    struct sl_slice one = sl_slice(&byte, 1);
    cr_assert_eq(sl_object_stream_write(&theirs, one, &size, &is_wanted), SL_OK);
    cr_assert_not(is_wanted);
    sl_object_stream_sleep(&ours, true);
    cr_assert_eq(sl_object_stream_write(&theirs, one, &size, &is_wanted), SL_OK);
    cr_assert(is_wanted);
    sl_object_stream_refuse(&ours);
    cr_assert_eq(sl_object_stream_write(&theirs, one, &size, &is_wanted), SL_ECANCELED);
    sl_object_stream_restart(&ours);
    struct sl_slice there;
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_EBUSY, "what was there is gone");
    cr_assert_eq(sl_object_stream_write(&theirs, one, &size, &is_wanted), SL_OK);
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_OK);
    cr_assert_eq(there.size, 1);
}

Test(object_stream, waits_no_longer_than_it_must)
{
    uint64_t start_ns = sl_time_mono_ns();
    sl_object_stream_wait(&theirs, 50 * SL_SECOND_NS);
    cr_assert_lt(sl_time_mono_ns() - start_ns, SL_SECOND_NS, "there is room");
    uint8_t *bytes = sl_zalloc(SL_OBJECT_STREAM_PART);
    size_t size;
    bool is_wanted;
    while (sl_object_stream_write(&theirs, sl_slice(bytes, SL_OBJECT_STREAM_PART), &size,
                                  &is_wanted) == SL_OK) {
    }
    start_ns = sl_time_mono_ns();
    sl_object_stream_wait(&theirs, 2 * SL_MILLI_NS);
    cr_assert_geq(sl_time_mono_ns() - start_ns, 2 * SL_MILLI_NS, "nobody takes any");
    sl_object_stream_refuse(&ours);
    sl_object_stream_wait(&theirs, 50 * SL_SECOND_NS);
    sl_free(bytes);
}

Test(object_stream, a_hostile_writer_is_told_apart)
{
    struct sl_slice there;
    write_word(0, SL_OBJECT_STREAM_BYTES + 1);
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_ECORRUPT);
    write_word(0, UINT64_MAX);
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_ECORRUPT);
    sl_object_stream_restart(&ours);
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_EBUSY);
    write_word(0, UINT64_MAX + SL_OBJECT_STREAM_BYTES);
    cr_assert_eq(sl_object_stream_look(&ours, 100, &there), SL_OK, "it may begin anywhere");
    cr_assert(there.data >= ours.memory.base &&
              there.data + there.size <= ours.memory.base + ours.memory.size_bytes);
}

Test(object_stream, memory_that_is_given_back_is_gone_though_it_is_mapped)
{
    memset(theirs.memory.base, 7, theirs.memory.size_bytes);
    sl_object_stream_give_back(&ours);
    cr_assert_eq(theirs.memory.base[0], 0);
    cr_assert_eq(theirs.memory.base[theirs.memory.size_bytes - 1], 0);
}
