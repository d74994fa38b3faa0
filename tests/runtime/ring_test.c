/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ring.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define CAPACITY   256u
#define RECORD_MAX 100u

static _Alignas(SL_RING_LINE) uint8_t memory[sizeof(struct sl_ring_shared) + CAPACITY];
static struct sl_ring writer, reader;
static uint8_t got[RECORD_MAX];

static void
setup(void)
{
    cr_assert_eq(sl_ring_size(CAPACITY), sizeof(memory));
    memset(memory, 0, sizeof(memory));
    sl_ring_init(&writer, memory, CAPACITY, RECORD_MAX);
    sl_ring_init(&reader, memory, CAPACITY, RECORD_MAX);
}

TestSuite(ring, .init = setup, .timeout = 60);

static struct sl_ring_shared *
shared(void)
{
    return (struct sl_ring_shared *)(void *)memory;
}

static enum sl_err
write_text(const char *text)
{
    return sl_ring_write(&writer, sl_slice_str(text));
}

static void
must_read(const char *text)
{
    size_t size = 0;
    cr_assert_eq(sl_ring_read(&reader, got, &size), SL_OK);
    cr_assert_eq(size, strlen(text));
    cr_assert_arr_eq(got, text, size);
}

static enum sl_err
read_any(void)
{
    size_t size = 0;
    enum sl_err err = sl_ring_read(&reader, got, &size);
    cr_assert(size <= RECORD_MAX);
    return err;
}

Test(ring, records_come_out_once_and_in_order)
{
    cr_assert_not(sl_ring_has_news(&reader));
    cr_assert_eq(read_any(), SL_ENOTFOUND);
    cr_assert_eq(write_text("one"), SL_OK);
    cr_assert_eq(write_text(""), SL_OK);
    cr_assert_eq(write_text("three"), SL_OK);
    cr_assert(sl_ring_has_news(&reader));
    must_read("one");
    must_read("");
    must_read("three");
    cr_assert_eq(read_any(), SL_ENOTFOUND);
    cr_assert_not(sl_ring_has_news(&reader));
}

/* Of all sizes, so that both a size and its bytes lie at every place of the end. */
Test(ring, any_sizes_go_around_the_end_unchanged)
{
    struct sl_random random;
    sl_random_seed(&random, 7);
    uint8_t record[RECORD_MAX];
    uint32_t sizes[64], first = 0, last = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        bool is_write = sl_random_below(&random, 2) == 0;
        uint32_t size = (uint32_t)sl_random_below(&random, RECORD_MAX + 1);
        memset(record, (int)(last % 251), size);
        if (is_write && sl_ring_write(&writer, sl_slice(record, size)) == SL_OK)
            sizes[last++ % 64] = size;
        size_t read_size;
        if (!is_write && sl_ring_read(&reader, got, &read_size) == SL_OK) {
            cr_assert_eq(read_size, sizes[first % 64]);
            for (size_t k = 0; k < read_size; k++)
                cr_assert_eq(got[k], first % 251);
            first++;
        }
        cr_assert(last - first < 64);
    }
    cr_assert_gt(first, 5000);
}

Test(ring, a_full_ring_refuses_and_takes_again_once_there_is_room)
{
    uint32_t count = 0;
    while (write_text("twelve bytes") == SL_OK)
        count++;
    cr_assert_eq(count, CAPACITY / sl_ring_space(12));
    cr_assert_eq(write_text("twelve bytes"), SL_EFULL);
    must_read("twelve bytes");
    cr_assert_eq(write_text("twelve bytes"), SL_OK);
    cr_assert_eq(write_text("twelve bytes"), SL_EFULL);
}

Test(ring, a_record_over_the_limit_is_refused_and_leaves_nothing)
{
    uint8_t large[RECORD_MAX + 1] = {0};
    cr_assert_eq(sl_ring_write(&writer, sl_slice(large, sizeof(large))), SL_ETOOBIG);
    cr_assert_not(sl_ring_has_news(&reader));
    cr_assert_eq(sl_ring_write(&writer, sl_slice(large, RECORD_MAX)), SL_OK);
}

Test(ring, a_writer_that_lies_about_how_much_there_is_is_found_out)
{
    static const uint64_t lies[] = {1, 4, CAPACITY + 8, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX / 2};
    for (size_t i = 0; i < SL_COUNT_OF(lies); i++) {
        setup();
        atomic_store(&shared()->tail, lies[i]);
        cr_assert(sl_ring_has_news(&reader));
        cr_assert_eq(read_any(), SL_ECORRUPT, "%zu", i);
    }
}

Test(ring, a_writer_that_goes_back_is_found_out)
{
    cr_assert_eq(write_text("one"), SL_OK);
    must_read("one");
    atomic_store(&shared()->tail, 0);
    cr_assert_eq(read_any(), SL_ECORRUPT);
}

Test(ring, a_record_that_says_it_is_larger_than_what_came_is_not_read)
{
    static const uint32_t sizes[] = {5, RECORD_MAX, RECORD_MAX + 1, CAPACITY, UINT32_MAX};
    for (size_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        setup();
        cr_assert_eq(write_text("one"), SL_OK); /* Eight bytes with its size. */
        memcpy(shared()->bytes, &sizes[i], sizeof(sizes[i]));
        cr_assert_eq(read_any(), SL_ECORRUPT, "%zu", i);
    }
}

/* The reader has its own count of what came: a tail that moves on while it reads changes nothing.
 */
Test(ring, what_is_written_while_it_is_read_stays_within_what_came)
{
    cr_assert_eq(write_text("one"), SL_OK);
    cr_assert_eq(write_text("two"), SL_OK);
    must_read("one");
    uint32_t size = 60;
    memcpy(shared()->bytes + 8, &size, sizeof(size));
    atomic_store(&shared()->tail, CAPACITY);
    cr_assert_eq(read_any(), SL_ECORRUPT);
}

Test(ring, a_reader_that_lies_about_where_it_is_is_found_out)
{
    static const uint64_t lies[] = {UINT64_MAX, CAPACITY + 1, UINT64_MAX / 2};
    for (size_t i = 0; i < SL_COUNT_OF(lies); i++) {
        setup();
        while (write_text("twelve bytes") == SL_OK)
            ;
        atomic_store(&shared()->head, lies[i]);
        cr_assert_eq(write_text("twelve bytes"), SL_ECORRUPT, "%zu", i);
    }
}

Test(ring, a_reader_that_goes_back_is_found_out)
{
    while (write_text("twelve bytes") == SL_OK)
        ;
    must_read("twelve bytes");
    must_read("twelve bytes");
    cr_assert_eq(write_text("twelve bytes"), SL_OK);
    cr_assert_eq(write_text("twelve bytes"), SL_OK);
    atomic_store(&shared()->head, sl_ring_space(12));
    cr_assert_eq(write_text("twelve bytes"), SL_ECORRUPT);
}

Test(ring, only_a_reader_that_dozes_is_woken_and_once)
{
    cr_assert_eq(write_text("one"), SL_OK);
    cr_assert_not(sl_ring_wakes(&writer));
    cr_assert_not(sl_ring_doze(&reader), "there is something to read");
    must_read("one");
    cr_assert(sl_ring_doze(&reader));
    cr_assert_eq(write_text("two"), SL_OK);
    cr_assert(sl_ring_wakes(&writer));
    cr_assert_not(sl_ring_wakes(&writer));
    must_read("two");
    cr_assert(sl_ring_doze(&reader));
    sl_ring_rouse(&reader);
    cr_assert_eq(write_text("three"), SL_OK);
    cr_assert_not(sl_ring_wakes(&writer));
}
