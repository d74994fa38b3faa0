/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/ledger.h"
#include "actors/rows.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define NOW_MS   UINT64_C(1772366400000) /* 2026-03-01T12:00:00Z */
#define HOUR_MS  UINT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)
#define SCOPE    ((struct sl_scope){7})
#define RESOURCE 2u

static struct sl_store *store;
static char directory[] = "/tmp/sluice-ledger-XXXXXX";

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

static void
setup(void)
{
    cr_assert_not_null(mkdtemp(directory));
    struct sl_store_options options = {
        .directory = directory, .is_sync_off = true, .map_size_bytes = 64 * SL_MIB};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
}

static void
teardown(void)
{
    sl_store_close(&store);
    (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(ledger, .init = setup, .fini = teardown);

static struct sl_ledger_entry
entry(unsigned resource, uint64_t amount, const char *key, const char *route)
{
    struct sl_ledger_entry e = {
        .resource = (uint8_t)resource, .amount = amount, .cost_nano = 3 * amount};
    e.dimensions[SL_LEDGER_BY_key] = sl_slice_str(key);
    e.dimensions[SL_LEDGER_BY_route] = sl_slice_str(route);
    return e;
}

static void
put(struct sl_ledger_id id, const struct sl_ledger_entry *entries, uint32_t count)
{
    struct sl_buf record = {0};
    for (uint32_t i = 0; i < count; i++)
        sl_ledger_write(&record, &entries[i]);
    struct sl_txn *txn = sl_store_begin(store);
    sl_ledger_put(txn, SCOPE, id, sl_buf_slice(&record));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&record);
}

static bool
fold(uint64_t now_ms, uint32_t rows_max)
{
    bool is_more = false;
    struct sl_ledger_fold f = {
        .store = store, .scope = SCOPE, .now_ms = now_ms, .rows_max = rows_max};
    cr_assert_eq(sl_ledger_fold(&f, &is_more), SL_OK);
    return is_more;
}

struct found {
    struct sl_ledger_sums sums; /* By an entry's key. */
    uint64_t rows, amount, cost_nano, first_ms;
};

static void
see(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    struct found *f = arg;
    uint8_t key[SL_LEDGER_KEY_MAX];
    if (f->rows++ == 0 || at_ms < f->first_ms)
        f->first_ms = at_ms;
    f->amount += e->amount;
    f->cost_nano += e->cost_nano;
    sl_ledger_sums_add(&f->sums, sl_slice(key, sl_ledger_key(e, key)), e->amount, e->cost_nano);
}

static struct found
walk(uint64_t from_ms, uint64_t to_ms, uint32_t rows_max)
{
    struct found found = {0};
    struct sl_ledger_place place = {0};
    struct sl_ledger_walk w = {.scope = SCOPE,
                               .from_ms = from_ms,
                               .to_ms = to_ms,
                               .rows_max = rows_max,
                               .seen = see,
                               .arg = &found};
    struct sl_txn *txn = sl_store_begin(store);
    for (uint32_t turns = 0; !sl_ledger_walk(txn, &w, &place); turns++)
        cr_assert_lt(turns, 100000);
    sl_txn_abort(&txn);
    sl_buf_deinit(&place.after);
    sl_ledger_sums_sort(&found.sums);
    return found;
}

static void
expect_same(const struct found *a, const struct found *b)
{
    cr_assert_eq(a->sums.count, b->sums.count);
    for (uint32_t i = 0; i < a->sums.count; i++) {
        cr_assert(sl_slice_equal(sl_ledger_sums_key(&a->sums, i), sl_ledger_sums_key(&b->sums, i)));
        cr_assert_eq(a->sums.items[i].amount, b->sums.items[i].amount);
        cr_assert_eq(a->sums.items[i].cost_nano, b->sums.items[i].cost_nano);
    }
}

Test(ledger, a_record_is_seen_before_and_after_it_is_folded)
{
    struct sl_ledger_entry e[] = {entry(1, 1, "key_a", "list"), entry(RESOURCE, 5, "key_a", "put")};
    put((struct sl_ledger_id){NOW_MS + 5, 1}, e, 2);
    for (int folds = 0; folds < 3; folds++) {
        struct found found = walk(0, UINT64_MAX, 100);
        cr_expect_eq(found.rows, 2);
        cr_expect_eq(found.amount, 6);
        cr_expect_eq(found.cost_nano, 18);
        cr_expect_eq(found.first_ms, folds == 0 ? NOW_MS + 5 : NOW_MS);
        sl_ledger_sums_deinit(&found.sums);
        cr_expect_not(fold(NOW_MS + 10, 100));
    }
}

Test(ledger, one_of_the_same_id_is_counted_once)
{
    struct sl_ledger_entry e = entry(1, 1, "key_a", "list");
    put((struct sl_ledger_id){NOW_MS, 1}, &e, 1);
    put((struct sl_ledger_id){NOW_MS, 1}, &e, 1);
    put((struct sl_ledger_id){NOW_MS, 2}, &e, 1);
    struct found found = walk(0, UINT64_MAX, 100);
    cr_expect_eq(found.amount, 2);
    sl_ledger_sums_deinit(&found.sums);
}

Test(ledger, an_entry_is_added_to_the_one_of_its_key)
{
    struct sl_ledger_entry e[] = {entry(1, 1, "key_a", "list"), entry(RESOURCE, 5, "key_a", "put"),
                                  entry(1, 2, "key_b", "list"),
                                  entry(1, UINT64_MAX - 1, "key_a", "list")};
    struct sl_buf record = {0}, more = {0};
    struct sl_ledger_sums sums = {0}, wanted = {0};
    for (size_t i = 0; i < SL_COUNT_OF(e); i++) {
        uint8_t key[SL_LEDGER_KEY_MAX];
        size_t size = sl_ledger_key(&e[i], key), had = record.size;
        sl_ledger_add(&record, &e[i]);
        cr_expect_eq(record.size > had, i < 3);
        sl_buf_clear(&more);
        sl_ledger_write(&more, &e[i]);
        cr_assert_eq(sl_ledger_merge(&record, sl_buf_slice(&more)), SL_OK);
        for (int twice = 0; twice < 2; twice++)
            sl_ledger_sums_add(&wanted, sl_slice(key, size), e[i].amount, e[i].cost_nano);
    }
    cr_expect_eq(sl_ledger_merge(&record, sl_slice_str("\x01none")), SL_ECORRUPT);
    cr_assert_eq(sl_ledger_sum_record(sl_buf_slice(&record), &sums), SL_OK);
    struct found a = {.sums = sums}, b = {.sums = wanted};
    cr_expect_eq(sums.count, 3);
    expect_same(&a, &b);
    sl_ledger_sums_deinit(&sums);
    sl_ledger_sums_deinit(&wanted);
    sl_buf_deinit(&record);
    sl_buf_deinit(&more);
}

/* Records of random times, among them those of a clock that was set back, folded at random moments
 * in pieces of random size: at every moment all levels together are what was recorded. */
Test(ledger, sums_always_equal_the_records)
{
    static const char long_key[] =
        "key_with_a_name_that_is_much_too_long_and_is_cut_where_it_is_so";
    static const char *const keys[] = {"", "key_a", "key_b", long_key};
    static const char *const routes[] = {"list_objects", "create_object", ""};
    struct sl_random random;
    struct found wanted = {0};
    uint64_t now_ms = NOW_MS - 500 * DAY_MS;
    sl_random_seed(&random, 20260301);
    for (uint64_t n = 0; n < 1500; n++) {
        struct sl_ledger_entry e[3];
        uint32_t count = 1 + (uint32_t)sl_random_below(&random, 3);
        now_ms += sl_random_below(&random, DAY_MS / 2);
        if (n % 97 == 0)
            now_ms -= sl_random_below(&random, 40 * DAY_MS);
        for (uint32_t i = 0; i < count; i++) {
            e[i] =
                entry(1 + (unsigned)sl_random_below(&random, 8), 1 + sl_random_below(&random, 1000),
                      keys[sl_random_below(&random, 4)], routes[sl_random_below(&random, 3)]);
            see(&wanted, now_ms, &e[i]);
        }
        put((struct sl_ledger_id){now_ms, n}, e, count);
        if (sl_random_below(&random, 10) == 0)
            (void)fold(now_ms, 1 + (uint32_t)sl_random_below(&random, 40));
        if (n % 300 != 0)
            continue;
        struct found found = walk(0, UINT64_MAX, 1 + (uint32_t)sl_random_below(&random, 50));
        cr_assert_eq(found.amount, wanted.amount);
        cr_assert_eq(found.cost_nano, wanted.cost_nano);
        sl_ledger_sums_deinit(&found.sums);
    }
    while (fold(now_ms, 64))
        ;
    struct found found = walk(0, UINT64_MAX, 10000);
    sl_ledger_sums_sort(&wanted.sums);
    expect_same(&found, &wanted);
    cr_expect_lt(found.rows, wanted.rows);
    sl_ledger_sums_deinit(&found.sums);
    sl_ledger_sums_deinit(&wanted.sums);
}

Test(ledger, rows_are_summed_by_hour_then_day_then_month)
{
    static const struct {
        uint64_t days;
        const char *begin;
    } steps[] = {{0, "2026-03-01T12:00:00.000Z"},
                 {31, "2026-03-01T12:00:00.000Z"},
                 {33, "2026-03-01T00:00:00.000Z"},
                 {450, "2026-03-01T00:00:00.000Z"}};
    struct sl_ledger_entry e = entry(1, 1, "key_a", "list");
    put((struct sl_ledger_id){NOW_MS + 1800000, 1}, &e, 1);
    put((struct sl_ledger_id){NOW_MS + 1800000 + 3 * DAY_MS, 2}, &e, 1);
    for (size_t i = 0; i < SL_COUNT_OF(steps); i++) {
        char text[SL_TIME_TEXT_SIZE];
        (void)fold(NOW_MS + steps[i].days * DAY_MS, 100);
        struct found found = walk(0, UINT64_MAX, 100);
        sl_time_format(found.first_ms, text);
        cr_expect_str_eq(text, steps[i].begin);
        cr_expect_eq(found.amount, 2);
        cr_expect_eq(found.rows, i == 3 ? 1 : 2, "in step %zu: %u", i, (unsigned)found.rows);
        sl_ledger_sums_deinit(&found.sums);
    }
}

Test(ledger, a_walk_sees_what_began_in_its_time)
{
    struct sl_ledger_entry e = entry(1, 1, "key_a", "list");
    for (uint64_t hour = 0; hour < 48; hour++)
        put((struct sl_ledger_id){NOW_MS + hour * HOUR_MS + 7, hour}, &e, 1);
    for (int folds = 0; folds < 2; folds++) {
        struct found found = walk(NOW_MS + 5 * HOUR_MS, NOW_MS + 29 * HOUR_MS, 5);
        cr_expect_eq(found.amount, 24);
        sl_ledger_sums_deinit(&found.sums);
        (void)fold(NOW_MS, 1000);
    }
}

Test(ledger, begins_are_those_of_the_calendar)
{
    static const struct {
        const char *at, *month;
    } times[] = {{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
                 {"2000-02-29T23:59:59Z", "2000-02-01T00:00:00Z"},
                 {"2024-12-31T23:59:59Z", "2024-12-01T00:00:00Z"},
                 {"2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"},
                 {"2100-02-28T12:00:00Z", "2100-02-01T00:00:00Z"},
                 {"2100-03-31T12:00:00Z", "2100-03-01T00:00:00Z"}};
    for (size_t i = 0; i < SL_COUNT_OF(times); i++) {
        uint64_t at_ms, month_ms;
        cr_assert_eq(sl_time_parse(sl_slice_str(times[i].at), &at_ms), SL_OK);
        cr_assert_eq(sl_time_parse(sl_slice_str(times[i].month), &month_ms), SL_OK);
        cr_expect_eq(sl_ledger_begin(SL_LEDGER_MONTH, at_ms), month_ms, "%s", times[i].at);
        cr_expect_eq(sl_ledger_begin(SL_LEDGER_DAY, at_ms), at_ms - at_ms % DAY_MS);
    }
}

Test(ledger, a_damaged_row_is_left_and_the_others_are_folded)
{
    struct sl_ledger_entry e = entry(1, 1, "key_a", "list");
    struct sl_txn *txn = sl_store_begin(store);
    sl_ledger_put(txn, SCOPE, (struct sl_ledger_id){NOW_MS, 1}, sl_slice_str("\x01no record"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    put((struct sl_ledger_id){NOW_MS, 2}, &e, 1);
    (void)fold(NOW_MS, 100);
    cr_expect_not(fold(NOW_MS, 1), "it would be folded for ever");
    struct found found = walk(0, UINT64_MAX, 100);
    cr_expect_eq(found.amount, 1);
    sl_ledger_sums_deinit(&found.sums);
}

Test(ledger, sums_never_wrap)
{
    struct sl_ledger_entry e = entry(1, UINT64_MAX - 1, "key_a", "list");
    e.cost_nano = UINT64_MAX;
    put((struct sl_ledger_id){NOW_MS, 1}, &e, 1);
    put((struct sl_ledger_id){NOW_MS, 2}, &e, 1);
    (void)fold(NOW_MS, 100);
    struct found found = walk(0, UINT64_MAX, 100);
    cr_expect_eq(found.rows, 1);
    cr_expect_eq(found.amount, UINT64_MAX);
    cr_expect_eq(found.cost_nano, UINT64_MAX);
    sl_ledger_sums_deinit(&found.sums);
    cr_expect_eq(sl_ledger_cost(SL_LEDGER_requests, UINT64_MAX), UINT64_MAX);
}

Test(ledger, every_resource_has_a_name_and_a_unit)
{
    for (unsigned i = 1; i < SL_LEDGER_RESOURCE_END; i++) {
        const struct sl_ledger_info *info = sl_ledger_info(i);
        cr_assert_not_null(info);
        cr_expect_eq(sl_ledger_resource_of(sl_slice_str(info->name)), i);
        cr_expect_gt(strlen(info->unit), 0);
    }
    cr_expect_null(sl_ledger_info(0));
    cr_expect_null(sl_ledger_info(SL_LEDGER_RESOURCE_END));
    cr_expect_eq(sl_ledger_resource_of(sl_slice_str("nothing")), 0);
}
