/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/catalogue.h"
#include "runtime/catalogue_memory.h"
#include "runtime/random.h"

static char path[] = "/tmp/sluice-catalogue-XXXXXX";
static struct sl_catalogue_memory *memory; /* NULL: the file is opened. */
static const struct sl_scope one = {1}, two = {2};

static void
setup(void)
{
    cr_assert_not_null(mkdtemp(path));
}

static void
teardown(void)
{
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

static struct sl_catalogue *
open_catalogue(uint64_t map_size)
{
    struct sl_catalogue *c = NULL;
    struct sl_catalogue_options options = {
        .path = path, .map_size_bytes = map_size, .memory = memory};
    cr_assert_eq(sl_catalogue_open(&options, &c), SL_OK);
    return c;
}

static void
put(struct sl_catalogue *c, struct sl_scope scope, const char *key, const char *value)
{
    cr_assert_eq(sl_catalogue_put(c, scope, 7, sl_slice_str(key), sl_slice_str(value)), SL_OK);
}

/* What holds for rows in a file holds for rows in memory. */
static void
on_both(void (*check)(void))
{
    check();
    memory = sl_catalogue_memory_create();
    check();
    sl_catalogue_memory_destroy(&memory);
}

TestSuite(catalogue, .init = setup, .fini = teardown);

static void
keeps(void)
{
    struct sl_catalogue *c = open_catalogue(0);
    struct sl_slice value;
    put(c, one, "a", "1");
    sl_catalogue_position_set(c, 5);
    cr_assert_gt(sl_catalogue_dirty_bytes(c), 0);
    cr_assert_eq(sl_catalogue_commit(c, true), SL_OK);
    cr_assert_eq(sl_catalogue_dirty_bytes(c), 0);
    put(c, one, "a", "2");
    sl_catalogue_position_set(c, 6);
    cr_assert_eq(sl_catalogue_get(c, one, 7, sl_slice_str("a"), &value), SL_OK);
    cr_assert(sl_slice_is(value, "2"));
    sl_catalogue_close(&c);
    c = open_catalogue(0);
    cr_assert_eq(sl_catalogue_position(c), 5);
    cr_assert_eq(sl_catalogue_get(c, one, 7, sl_slice_str("a"), &value), SL_OK);
    cr_assert(sl_slice_is(value, "1"));
    cr_assert_eq(sl_catalogue_get(c, two, 7, sl_slice_str("a"), &value), SL_ENOTFOUND);
    cr_assert_eq(sl_catalogue_get(c, one, 8, sl_slice_str("a"), &value), SL_ENOTFOUND);
    cr_assert_eq(sl_catalogue_del(c, one, 7, sl_slice_str("a")), SL_OK);
    cr_assert_eq(sl_catalogue_del(c, one, 7, sl_slice_str("a")), SL_OK);
    cr_assert_eq(sl_catalogue_get(c, one, 7, sl_slice_str("a"), &value), SL_ENOTFOUND);
    sl_catalogue_close(&c);
}

Test(catalogue, keeps_what_is_committed_and_drops_the_rest)
{
    on_both(keeps);
}

static void
opens_once(void)
{
    struct sl_catalogue *c = open_catalogue(0), *again = NULL;
    struct sl_catalogue_options options = {.path = path, .memory = memory};
    cr_assert_eq(sl_catalogue_open(&options, &again), SL_EBUSY);
    cr_assert_null(again);
    sl_catalogue_close(&c);
    c = open_catalogue(0);
    sl_catalogue_close(&c);
}

Test(catalogue, is_open_once)
{
    on_both(opens_once);
}

static void
refuses(void)
{
    struct sl_catalogue *c = open_catalogue(0);
    char key[SL_KEY_SIZE_MAX + 1];
    struct sl_slice value;
    memset(key, 'k', sizeof(key));
    cr_assert_eq(sl_catalogue_put(c, one, 7, sl_slice(key, 0), sl_slice("", 0)), SL_EINVAL);
    cr_assert_eq(sl_catalogue_put(c, one, 7, sl_slice(key, sizeof(key)), sl_slice("", 0)),
                 SL_EINVAL);
    cr_assert_eq(sl_catalogue_put(c, one, 7, sl_slice(key, SL_KEY_SIZE_MAX), sl_slice("", 0)),
                 SL_OK);
    cr_assert_eq(sl_catalogue_get(c, one, 7, sl_slice(key, SL_KEY_SIZE_MAX), &value), SL_OK);
    cr_assert_eq(value.size, 0);
    sl_catalogue_close(&c);
}

Test(catalogue, refuses_keys_that_are_empty_or_too_long)
{
    on_both(refuses);
}

static void
expect_scan(struct sl_catalogue *c, const char *prefix, const char *after, bool is_reverse,
            const char *want)
{
    struct sl_buf got = {0};
    struct sl_scan scan;
    sl_catalogue_scan(c, one, 7, sl_slice_str(prefix), sl_slice_str(after), is_reverse, &scan);
    while (sl_scan_next(&scan)) {
        sl_buf_append_slice(&got, scan.key);
        sl_buf_append_u8(&got, ' ');
        cr_assert(sl_slice_is(scan.value, "v"));
    }
    sl_scan_end(&scan);
    cr_assert_str_eq(sl_buf_text(&got), want, "prefix %s after %s reverse %d: %s", prefix, after,
                     is_reverse, sl_buf_text(&got));
    sl_buf_deinit(&got);
}

static void
scans(void)
{
    struct sl_catalogue *c = open_catalogue(0);
    static const char *const keys[] = {"a", "b", "b/1", "b/2", "b/3", "c", "\xff", "\xff\xff"};
    for (size_t i = 0; i < SL_COUNT_OF(keys); i++) {
        put(c, one, keys[i], "v");
        put(c, (struct sl_scope){0}, keys[i], "other");
        put(c, two, keys[i], "other");
        put(c, (struct sl_scope){UINT64_MAX}, keys[i], "other");
    }
    for (int committed = 0; committed < 2; committed++) {
        expect_scan(c, "b", "", false, "b b/1 b/2 b/3 ");
        expect_scan(c, "b/", "", false, "b/1 b/2 b/3 ");
        expect_scan(c, "b/", "b/1", false, "b/2 b/3 ");
        expect_scan(c, "b", "b", false, "b/1 b/2 b/3 ");
        expect_scan(c, "b/", "a", false, "b/1 b/2 b/3 ");
        expect_scan(c, "b/", "b/9", false, "");
        expect_scan(c, "b/", "c", false, "");
        expect_scan(c, "b/", "", true, "b/3 b/2 b/1 ");
        expect_scan(c, "b/", "b/3", true, "b/2 b/1 ");
        expect_scan(c, "b/", "c", true, "b/3 b/2 b/1 ");
        expect_scan(c, "b/", "a", true, "");
        expect_scan(c, "\xff", "", true, "\xff\xff \xff ");
        expect_scan(c, "", "", false, "a b b/1 b/2 b/3 c \xff \xff\xff ");
        expect_scan(c, "", "", true, "\xff\xff \xff c b/3 b/2 b/1 b a ");
        expect_scan(c, "x", "", false, "");
        cr_assert_eq(sl_catalogue_commit(c, false), SL_OK);
    }
    sl_catalogue_close(&c);
}

Test(catalogue, scans_one_scope_and_prefix_both_ways)
{
    on_both(scans);
}

Test(catalogue, says_in_time_that_the_map_is_full)
{
    struct sl_catalogue *c = open_catalogue(4 * SL_MIB);
    uint8_t value[1000] = {0};
    uint32_t i = 0;
    for (; sl_catalogue_has_room(c, 1, sizeof(value)) && i < 10000; i++) {
        cr_assert_eq(
            sl_catalogue_put(c, one, 1, sl_slice(&i, sizeof(i)), sl_slice(value, sizeof(value))),
            SL_OK);
        if (i % 100 == 99)
            cr_assert_eq(sl_catalogue_commit(c, false), SL_OK);
    }
    cr_assert_gt(i, 200);
    cr_assert_lt(i, 4000);
    cr_assert_eq(sl_catalogue_commit(c, false), SL_OK);
    while (i-- > 0) {
        if (!sl_catalogue_has_room(c, 1, 0))
            cr_assert_eq(sl_catalogue_commit(c, false), SL_OK);
        cr_assert(sl_catalogue_has_room(c, 1, 0), "%u", i);
        cr_assert_eq(sl_catalogue_del(c, one, 1, sl_slice(&i, sizeof(i))), SL_OK);
    }
    cr_assert_eq(sl_catalogue_commit(c, false), SL_OK);
    cr_assert(sl_catalogue_has_room(c, 20, 20 * sizeof(value)));
    sl_catalogue_close(&c);
}

/* ---- both at once -------------------------------------------------------------------------- */

/* All rows of a table, both ways. */
static void
read_all(struct sl_catalogue *c, struct sl_buf *out)
{
    for (int is_reverse = 0; is_reverse < 2; is_reverse++) {
        struct sl_scan scan;
        sl_catalogue_scan(c, one, 7, sl_slice(NULL, 0), sl_slice(NULL, 0), is_reverse, &scan);
        while (sl_scan_next(&scan)) {
            sl_buf_append_block(out, scan.key);
            sl_buf_append_block(out, scan.value);
        }
        sl_scan_end(&scan);
    }
}

static void
write_both(struct sl_catalogue *both[2], struct sl_random *random)
{
    char key[16];
    uint64_t value = sl_random_u64(random), what = sl_random_below(random, 4);
    snprintf(key, sizeof(key), "%u", (unsigned)sl_random_below(random, 500));
    for (int i = 0; i < 2; i++) {
        struct sl_slice bytes = sl_slice(&value, what * 2);
        enum sl_err err = what == 0 ? sl_catalogue_del(both[i], one, 7, sl_slice_str(key))
                                    : sl_catalogue_put(both[i], one, 7, sl_slice_str(key), bytes);
        cr_assert_eq(err, SL_OK);
    }
}

static void
open_both(struct sl_catalogue *both[2], struct sl_catalogue_memory *rows)
{
    memory = NULL;
    both[0] = open_catalogue(0);
    memory = rows;
    both[1] = open_catalogue(0);
}

Test(catalogue, is_the_same_in_memory_as_in_a_file)
{
    struct sl_catalogue_memory *rows = sl_catalogue_memory_create();
    struct sl_catalogue *both[2];
    struct sl_random random;
    sl_random_seed(&random, 3);
    open_both(both, rows);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 100; i++)
            write_both(both, &random);
        struct sl_buf file = {0}, heap = {0};
        read_all(both[0], &file);
        read_all(both[1], &heap);
        cr_assert(sl_slice_equal(sl_buf_slice(&file), sl_buf_slice(&heap)), "round %d", round);
        cr_assert_gt(file.size, 0);
        sl_buf_deinit(&file);
        sl_buf_deinit(&heap);
        for (int i = 0; i < 2; i++) {
            if (round % 3 != 0) /* Else what was written is dropped. */
                cr_assert_eq(sl_catalogue_commit(both[i], false), SL_OK);
            if (round % 3 != 1)
                sl_catalogue_close(&both[i]);
        }
        if (round % 3 != 1)
            open_both(both, rows);
    }
    for (int i = 0; i < 2; i++)
        sl_catalogue_close(&both[i]);
    sl_catalogue_memory_destroy(&rows);
}
