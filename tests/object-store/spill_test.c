/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "object-store/spill.h"

static char directory[] = "/tmp/spill-XXXXXX";

static struct sl_spill *
open_spill(uint64_t size_bytes_max)
{
    struct sl_spill *s = NULL;
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(sl_spill_create(directory, size_bytes_max, &s), SL_OK);
    return s;
}

Test(spill, gives_back_what_it_was_given_and_closes_what_is_empty)
{
    struct sl_spill *s = open_spill(SL_MIB);
    struct sl_spilled spilled[100];
    uint8_t bytes[5000], back[5000];
    for (uint32_t i = 0; i < 100; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        cr_assert_eq(sl_spill_write(s, sl_slice(bytes, 50 * (i + 1)), &spilled[i]), SL_OK);
    }
    cr_assert_eq(sl_spill_files(s), 1, "many share a file");
    for (uint32_t i = 0; i < 100; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        cr_assert_eq(sl_spill_read(s, &spilled[i], back), SL_OK);
        cr_assert_arr_eq(back, bytes, 50 * (i + 1));
    }
    struct sl_spilled wrong = spilled[3];
    wrong.offset += 50;
    cr_assert_eq(sl_spill_read(s, &wrong, back), SL_ECORRUPT);
    for (uint32_t i = 0; i < 100; i++)
        sl_spill_drop(s, &spilled[i]);
    cr_assert_eq(sl_spill_files(s) + sl_spill_bytes(s), 0);
    cr_assert_eq(rmdir(directory), 0, "files have no names");
    sl_spill_destroy(&s);
}

Test(spill, refuses_what_is_over_its_limit_and_where_it_cannot_write)
{
    struct sl_spill *s = NULL;
    struct sl_spilled spilled;
    static uint8_t bytes[1000];
    cr_assert_eq(sl_spill_create("/nowhere/at/all", SL_MIB, &s), SL_ENOTFOUND);
    s = open_spill(1500);
    cr_assert_eq(rmdir(directory), 0);
    cr_assert_neq(sl_spill_write(s, sl_slice(bytes, 1000), &spilled), SL_OK, "it is gone");
    cr_assert_eq(sl_spill_write(s, sl_slice(bytes, 1501), &spilled), SL_EFULL);
    cr_assert_eq(sl_spill_files(s) + sl_spill_bytes(s), 0);
    sl_spill_destroy(&s);
}

/* A disk that is full in the middle of an object: what the file size limit does here. */
Test(spill, a_write_that_fails_leaves_what_was_there)
{
    struct sl_spill *s = open_spill(SL_MIB);
    struct sl_spilled first, second;
    static uint8_t bytes[10000], back[10000];
    memset(bytes, 7, sizeof(bytes));
    cr_assert_eq(sl_spill_write(s, sl_slice(bytes, sizeof(bytes)), &first), SL_OK);
    struct rlimit was, limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = was;
    limit.rlim_cur = 15000;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum sl_err err = sl_spill_write(s, sl_slice(bytes, sizeof(bytes)), &second);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
    cr_assert_eq(err, SL_ETOOBIG, "%s", sl_err_name(err));
    cr_assert_eq(sl_spill_bytes(s), sizeof(bytes));
    cr_assert_eq(sl_spill_write(s, sl_slice(bytes, sizeof(bytes)), &second), SL_OK);
    cr_assert_eq(sl_spill_read(s, &first, back), SL_OK);
    cr_assert_eq(sl_spill_read(s, &second, back), SL_OK);
    sl_spill_destroy(&s);
    cr_assert_eq(rmdir(directory), 0);
}
