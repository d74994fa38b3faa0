/* SPDX-License-Identifier: Apache-2.0 */
/* What was used, counted in steps: the same as counting all of it each time. */
#include <criterion/criterion.h>

#include "actors/ledger.h"
#include "gateway/spend.h"
#include "runtime/random.h"
#include "tests/gateway/harness.h"

#define NOW_MS  UINT64_C(1772366400000) /* 2026-03-01T12:00:00Z */
#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define SCOPE   ((struct sl_scope){77})

static struct harness h;

static void
setup(void)
{
    harness_init(&h);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(spend, .init = setup, .fini = teardown);

static void
put(uint64_t at_ms, uint64_t number, uint64_t requests, uint64_t tokens)
{
    struct sl_buf entries = {0};
    struct sl_ledger_entry e = {
        .resource = SL_LEDGER_requests, .amount = requests, .cost_nano = 7 * requests};
    e.dimensions[SL_LEDGER_BY_status] = sl_slice_str(number % 5 == 0 ? "429" : "200");
    sl_ledger_write(&entries, &e);
    e = (struct sl_ledger_entry){.resource = SL_LEDGER_tokens, .amount = tokens};
    if (tokens > 0)
        sl_ledger_write(&entries, &e);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_ledger_put(txn, SCOPE, (struct sl_ledger_id){at_ms, number}, sl_buf_slice(&entries));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&entries);
}

static void
fold(uint64_t now_ms)
{
    bool is_more = false;
    struct sl_ledger_fold f = {
        .store = h.gateway.store, .scope = SCOPE, .now_ms = now_ms, .rows_max = 16};
    cr_assert_eq(sl_ledger_fold(&f, &is_more), SL_OK);
}

static struct sl_limit_used
count(struct sl_spend *s, uint64_t wall_ms)
{
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_spend_source source = {.txn = txn, .scope = SCOPE};
    struct sl_limit_used used = sl_spend_count(s, &source, wall_ms);
    sl_txn_abort(&txn);
    return used;
}

static void
expect_as_anew(struct sl_spend *s, uint64_t wall_ms)
{
    struct sl_spend fresh = {0};
    struct sl_limit_used is = count(s, wall_ms), should = count(&fresh, wall_ms);
    cr_assert_eq(is.requests_today, should.requests_today);
    cr_assert_eq(is.tokens_this_month, should.tokens_this_month);
    cr_assert_eq(is.cost_today_nano, should.cost_today_nano);
    cr_assert_eq(is.cost_this_month_nano, should.cost_this_month_nano);
}

/* Records, folds, and a clock that goes on and is set back now and then: through four months. */
Test(spend, in_steps_is_what_it_is_when_counted_anew)
{
    struct sl_spend s = {0};
    struct sl_random random;
    uint64_t now_ms = NOW_MS;
    sl_random_seed(&random, 15);
    for (uint64_t number = 1; number < 3000; number++) {
        uint64_t step = sl_random_below(&random, 100);
        now_ms += step < 60   ? sl_random_below(&random, 60000)
                  : step < 97 ? sl_random_below(&random, 2 * HOUR_MS)
                              : sl_random_below(&random, 3 * DAY_MS);
        if (sl_random_below(&random, 200) == 0)
            now_ms -= sl_random_below(&random, 2 * DAY_MS);
        put(now_ms, number, 1 + sl_random_below(&random, 9), sl_random_below(&random, 4));
        if (sl_random_below(&random, 4) == 0)
            fold(now_ms);
        if (sl_random_below(&random, 3) == 0)
            expect_as_anew(&s, now_ms);
    }
}

Test(spend, a_count_looks_at_what_is_new_and_not_at_the_whole_month)
{
    struct sl_spend s = {0};
    uint64_t number = 1, last_ms = NOW_MS + 5 * DAY_MS;
    for (uint64_t at_ms = NOW_MS; at_ms < last_ms; at_ms += 10 * 60000)
        put(at_ms, number++, 1, 0);
    (void)count(&s, last_ms);
    (void)count(&s, last_ms); /* The first may have been of a day before. */
    uint64_t rows = s.rows;
    for (int i = 0; i < 10; i++)
        (void)count(&s, last_ms + (uint64_t)i * 1000);
    cr_expect_leq(s.rows - rows, 10 * 12, "two hours have 12 records, the month has %lu",
                  (unsigned long)number);
    expect_as_anew(&s, last_ms + 60000);
}
