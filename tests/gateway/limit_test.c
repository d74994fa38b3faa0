/* SPDX-License-Identifier: Apache-2.0 */
/* Limits as plain state, with time as an argument; then around calls. */
#include <criterion/criterion.h>

#include "actors/journal.h"
#include "actors/rows.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "tests/gateway/harness.h"

#define NOW_MS UINT64_C(1772366400000) /* 2026-03-01T12:00:00Z */
#define DAY_MS UINT64_C(86400000)

static struct sl_limit_clock
at_ms(uint64_t ms)
{
    return (struct sl_limit_clock){.mono_ns = 5 * SL_SECOND_NS + ms * SL_MILLI_NS,
                                   .wall_ms = NOW_MS + ms};
}

static bool
admit(struct sl_limit_state *s, uint64_t ms)
{
    bool is_admitted = sl_limit_admit(s, at_ms(ms)).limit == SL_LIMIT_NONE;
    if (is_admitted)
        sl_limit_release(s);
    return is_admitted;
}

static struct sl_limit_state
rate_of(uint64_t rate, uint64_t burst)
{
    struct sl_limit_state s = {0};
    s.max[SL_LIMIT_max_requests_per_second] = rate;
    s.max[SL_LIMIT_burst_credits] = burst;
    return s;
}

Test(limit, a_rate_lets_its_burst_and_then_one_an_interval)
{
    struct sl_limit_state s = rate_of(10, 3);
    for (int i = 0; i < 3; i++)
        cr_expect(admit(&s, 0), "the %d. of the burst", i + 1);
    cr_expect_not(admit(&s, 0));
    cr_expect_not(admit(&s, 99));
    cr_expect(admit(&s, 100));
    cr_expect_not(admit(&s, 100));
    cr_expect(admit(&s, 1000));
    cr_expect(admit(&s, 1000));
    cr_expect(admit(&s, 1000));
    cr_expect_not(admit(&s, 1000));
}

/* How many are let through at once. */
static unsigned
all_at(struct sl_limit_state *s, uint64_t ms)
{
    unsigned count = 0;
    while (count < 1000 && admit(s, ms))
        count++;
    return count;
}

Test(limit, another_rate_gives_back_nothing_that_was_used)
{
    static const struct {
        uint64_t burst, used, next;
        unsigned there;
    } cases[] = {{10, 10, 10, 0}, {10, 10, 12, 2}, {10, 10, 5, 0}, {10, 4, 20, 16},
                 {10, 4, 8, 6},   {10, 8, 5, 2},   {10, 0, 3, 3}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sl_limit_state s = rate_of(10, cases[i].burst), had;
        for (uint64_t n = 0; n < cases[i].used; n++)
            cr_assert(admit(&s, 0));
        had = s;
        s.max[SL_LIMIT_max_requests_per_second] = 1;
        s.max[SL_LIMIT_burst_credits] = cases[i].next;
        sl_limit_renew(&s, &had, at_ms(0).mono_ns);
        cr_expect_eq(all_at(&s, 0), cases[i].there, "case %zu", i);
    }
    struct sl_limit_state s = rate_of(10, 5), had = {0};
    sl_limit_renew(&s, &had, at_ms(0).mono_ns);
    cr_expect_eq(all_at(&s, 0), 5, "a first one is there at once");
}

Test(limit, who_is_refused_waits_no_longer_for_it)
{
    struct sl_limit_state s = rate_of(1, 1);
    cr_expect(admit(&s, 0));
    for (uint64_t ms = 1; ms < 1000; ms++)
        cr_assert_not(admit(&s, ms));
    struct sl_limit_verdict v = sl_limit_admit(&s, at_ms(999));
    cr_expect_eq(v.limit, SL_LIMIT_max_requests_per_second);
    cr_expect_eq(v.retry_after_s, 1);
    cr_expect(admit(&s, 1000));
}

/* Whatever comes when: in no stretch of time are there more than its rate and the burst allow. */
Test(limit, a_rate_is_never_exceeded)
{
    struct sl_limit_state s = rate_of(50, 20);
    struct sl_random random;
    uint64_t times[4096], count = 0, ms = 0;
    sl_random_seed(&random, 8);
    while (count < SL_COUNT_OF(times)) {
        ms += sl_random_below(&random, 10) == 0 ? sl_random_below(&random, 700)
                                                : sl_random_below(&random, 3);
        if (admit(&s, ms))
            times[count++] = ms;
    }
    for (size_t from = 0; from < count; from += 7) {
        for (size_t to = from; to < count && to < from + 300; to++)
            cr_assert_leq(to - from + 1, 20 + (times[to] - times[from]) / 20 + 1);
    }
}

Test(limit, a_rate_goes_by_no_clock_that_is_set_back)
{
    struct sl_limit_state s = rate_of(10, 1);
    struct sl_limit_clock now = at_ms(0), back = {.mono_ns = at_ms(100).mono_ns, .wall_ms = 1000};
    cr_expect_eq(sl_limit_admit(&s, now).limit, SL_LIMIT_NONE);
    cr_expect_eq(sl_limit_admit(&s, back).limit, SL_LIMIT_NONE);
    cr_expect_eq(sl_limit_admit(&s, back).limit, SL_LIMIT_max_requests_per_second);
}

Test(limit, as_many_run_as_may_and_the_next_when_one_has_ended)
{
    struct sl_limit_state s = {0};
    s.max[SL_LIMIT_max_concurrent_requests] = 2;
    for (int i = 0; i < 2; i++)
        cr_expect_eq(sl_limit_admit(&s, at_ms(0)).limit, SL_LIMIT_NONE);
    struct sl_limit_verdict v = sl_limit_admit(&s, at_ms(0));
    cr_expect_eq(v.limit, SL_LIMIT_max_concurrent_requests);
    cr_expect_eq(v.used, 2);
    cr_expect_eq(v.retry_after_s, 1);
    sl_limit_release(&s);
    cr_expect_eq(sl_limit_admit(&s, at_ms(0)).limit, SL_LIMIT_NONE);
}

Test(limit, a_day_is_counted_anew_when_it_is_another_also_an_earlier_one)
{
    struct sl_limit_state s = {0};
    s.max[SL_LIMIT_max_requests_per_day] = 2;
    cr_expect(sl_limit_is_stale(&s, at_ms(0)));
    sl_limit_count(&s, at_ms(0), &(struct sl_limit_used){.requests_today = 1});
    cr_expect_not(sl_limit_is_stale(&s, at_ms(0)));
    cr_expect(admit(&s, 0));
    struct sl_limit_verdict v = sl_limit_admit(&s, at_ms(1));
    cr_expect_eq(v.limit, SL_LIMIT_max_requests_per_day);
    cr_expect_eq(v.retry_after_s, 0, "nobody waits for tomorrow");
    cr_expect_eq(v.reset_ms, NOW_MS + DAY_MS / 2);
    /* Counting again never forgets what the ledger has not seen yet. */
    sl_limit_count(&s, at_ms(2), &(struct sl_limit_used){.requests_today = 1});
    cr_expect_not(admit(&s, 2));
    cr_expect(sl_limit_is_stale(&s, at_ms(DAY_MS)));
    sl_limit_count(&s, at_ms(DAY_MS), &(struct sl_limit_used){0});
    cr_expect(admit(&s, DAY_MS));
    struct sl_limit_clock back = {.mono_ns = at_ms(DAY_MS).mono_ns, .wall_ms = NOW_MS};
    cr_expect(sl_limit_is_stale(&s, back));
    sl_limit_count(&s, back, &(struct sl_limit_used){.requests_today = 2});
    cr_expect_eq(sl_limit_admit(&s, back).limit, SL_LIMIT_max_requests_per_day);
}

Test(limit, budgets_and_tokens_are_those_of_the_ledger)
{
    static const struct {
        enum sl_limit limit;
        struct sl_limit_used used;
    } cases[] = {{SL_LIMIT_max_tokens_per_month, {.tokens_this_month = 100}},
                 {SL_LIMIT_daily_budget, {.cost_today_nano = 100}},
                 {SL_LIMIT_monthly_budget, {.cost_this_month_nano = 100}}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        unsigned percent = 0;
        struct sl_limit_state s = {0};
        s.max[cases[i].limit] = 101;
        sl_limit_count(&s, at_ms(0), &cases[i].used);
        cr_expect(admit(&s, 0));
        cr_expect_eq(sl_limit_near(&s, at_ms(0), &percent), cases[i].limit);
        cr_expect_eq(percent, 99);
        s.max[cases[i].limit] = 100;
        cr_expect_eq(sl_limit_admit(&s, at_ms(0)).limit, cases[i].limit);
        s.max[cases[i].limit] = 1000;
        cr_expect_eq(sl_limit_near(&s, at_ms(0), &percent), SL_LIMIT_NONE);
        cr_expect(sl_limit_is_stale(&s, at_ms(10001)), "tasks use while nobody calls");
    }
}

Test(limit, a_soft_limit_slows_to_half_the_rate_and_refuses_at_half_as_much_again)
{
    struct sl_limit_state s = rate_of(10, 1);
    s.max[SL_LIMIT_max_requests_per_day] = 4;
    s.soft = 1u << SL_LIMIT_max_requests_per_day;
    sl_limit_count(&s, at_ms(0), &(struct sl_limit_used){0});
    for (uint64_t ms = 0; ms < 500; ms += 100)
        cr_expect(admit(&s, ms), "%lu ms", (unsigned long)ms);
    cr_expect_not(admit(&s, 500), "the fifth, at 400 ms, was above it");
    cr_expect(admit(&s, 600));
    struct sl_limit_verdict v = sl_limit_admit(&s, at_ms(1000));
    cr_expect_eq(v.limit, SL_LIMIT_max_requests_per_day);
    cr_expect(v.used == 6 && v.max == 6);
    s.soft = 0;
    cr_expect_eq(sl_limit_admit(&s, at_ms(1000)).max, 4);
}

/* ---- around calls -------------------------------------------------------------------------- */

static struct harness h;
static struct sl_identity operator, acme;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "starter");
    acme = h.who;
}

static void
teardown(void)
{
    harness_deinit(&h);
}

static void
limit(const char *limits)
{
    char *body = sl_format("{\"limits\":%s}", limits);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/tenants/acme/quotas", body), 200, "%s", h.text);
    sl_free(body);
    h.who = acme;
}

TestSuite(limits, .init = setup, .fini = teardown);

Test(limits, a_day_has_as_many_requests_as_it_may_and_starts_remember_them)
{
    limit("{\"max_requests_per_day\":3}");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "%s", h.text);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429);
    cr_expect(harness_is(&h, "error.type", "QuotaExceededError"), "%s", h.text);
    cr_expect(harness_is(&h, "error.details.limit", "max_requests_per_day"), "%s", h.text);
    cr_expect_eq(harness_number(&h, "error.details.used"), 3);
    cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    harness_reopen(&h);
    h.who = acme;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429);
    h.now_ms += DAY_MS;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    h.now_ms -= DAY_MS;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429, "the clock was set back");
}

Test(limits, a_budget_refuses_what_is_beyond_it)
{
    limit("{\"daily_budget\":0.000003}"); /* A request is 0.000001. */
    for (int i = 0; i < 3; i++) {
        h.now_ms += 1; /* What was used is counted anew when it is older than some seconds. */
        limit("{\"daily_budget\":0.000003}");
        cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "%s", h.text);
    }
    cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    h.now_ms += DAY_MS;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "%s", h.text);
    h.now_ms -= DAY_MS; /* Counted anew. */
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429, "%s", h.text);
    cr_expect(harness_is(&h, "error.details.limit", "daily_budget"), "%s", h.text);
}

#define THREE_JOBS "{\"jobs\":[{\"payload\":1},{\"payload\":2},{\"payload\":3}]}"

Test(limits, a_call_has_as_many_items_as_it_may_and_a_larger_one_uses_nothing)
{
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
    limit("{\"max_batch_size\":2,\"max_requests_per_day\":10}");
    cr_expect_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", THREE_JOBS), 413, "%s", h.text);
    cr_expect(harness_is(&h, "error.details.limit", "max_batch_size"), "%s", h.text);
    cr_expect_eq(harness_number(&h, "error.details.used"), 3);
    cr_expect_eq(harness_number(&h, "error.details.max"), 2);
    cr_expect_eq(harness_call(&h, "POST", "/v1/queues/q/jobs",
                              "{\"jobs\":[{\"payload\":1},{\"payload\":2}]}"),
                 200, "%s", h.text);
    limit("{\"max_batch_size\":null}");
    cr_expect_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", THREE_JOBS), 200, "%s", h.text);
}

Test(limits, of_a_plan_are_those_of_tenants_without_their_own)
{
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
    h.gateway.plans = "{\"starter\":{\"limits\":{\"max_batch_size\":\"2\"}},"
                      "\"scale\":{\"limits\":{\"max_batch_size\":\"1\"}}}";
    limit("{\"max_requests_per_day\":10}");
    cr_expect_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", THREE_JOBS), 413, "%s", h.text);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 200);
    cr_expect_eq(harness_number(&h, "limits.max_batch_size"), 2, "%s", h.text);
    limit("{\"max_batch_size\":3}");
    cr_expect_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", THREE_JOBS), 200, "%s", h.text);
}

Test(limits, other_tenants_and_the_operator_go_on)
{
    limit("{\"max_requests_per_day\":1}");
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429);
    h.who = operator;
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 200);
    cr_expect_eq(harness_number(&h, "limits.max_requests_per_day"), 1);
    cr_expect_eq(harness_number(&h, "usage.max_requests_per_day.remaining"), 0);
    harness_tenant(&h, "other", "starter");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 404);
    cr_expect_eq(harness_call(&h, "PUT", "/v1/tenants/other/quotas", "{\"limits\":{}}"), 403);
    limit("{\"max_requests_per_day\":null}");
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "%s", h.text);
}

static unsigned
events(const char *subject)
{
    unsigned count = 0;
    struct sl_scan scan;
    struct sl_journal_row row;
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_scan(txn, acme.scope, SL_TABLE_EVENT, sl_journal_prefix(), (struct sl_slice){0}, false,
                &scan);
    while (sl_scan_next(&scan))
        count += sl_journal_read(scan.key, scan.value, &row) &&
                 sl_slice_is(row.kind, "quota_exceeded") && sl_slice_is(row.subject, subject);
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    return count;
}

Test(limits, a_tenant_is_told_at_80_and_at_100_percent_once_a_day_also_over_restarts)
{
    limit("{\"max_requests_per_day\":5}");
    for (unsigned i = 1; i <= 8; i++) {
        harness_call(&h, "GET", "/v1/namespaces", NULL);
        cr_expect_eq(events("max_requests_per_day"), (i >= 4) + (i >= 5), "after call %u", i);
    }
    cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    harness_reopen(&h);
    h.who = acme;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 429);
    cr_expect_eq(events("max_requests_per_day"), 2);
    h.now_ms += DAY_MS;
    for (unsigned i = 1; i <= 4; i++)
        cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    cr_expect_eq(events("max_requests_per_day"), 3, "the next day");
}

Test(limits, of_a_soft_plan_are_soft_and_what_the_operator_sets_is_hard)
{
    h.gateway.plans = "{\"starter\":{\"limits\":{\"max_requests_per_day\":\"4\"}},"
                      "\"growth\":{\"limits\":{\"max_requests_per_day\":\"4\"}}}";
    limit("{}");
    unsigned count = 0;
    while (count < 20 && harness_call(&h, "GET", "/v1/namespaces", NULL) == 200)
        count++;
    cr_expect_eq(count, 6, "%s", h.text);
    h.who = operator;
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 200);
    cr_expect_eq(harness_number(&h, "limits.max_requests_per_day"), 4);
    cr_expect_eq(harness_number(&h, "usage.max_requests_per_day.hard_max"), 6, "%s", h.text);
    harness_tenant(&h, "firm", "growth");
    for (count = 0; count < 20 && harness_call(&h, "GET", "/v1/namespaces", NULL) == 200;)
        count++;
    cr_expect_eq(count, 4, "%s", h.text);
    limit("{\"max_requests_per_day\":7}");
    for (count = 0; count < 20 && harness_call(&h, "GET", "/v1/namespaces", NULL) == 200;)
        count++;
    cr_expect_eq(count, 1, "six of seven are used: %s", h.text);
}

Test(limits, asking_uses_nothing)
{
    limit("{\"max_requests_per_day\":100,\"monthly_budget\":0.5}");
    for (int i = 0; i < 2; i++) {
        h.who = operator;
        cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/quotas/check",
                                  "{\"limit\":\"max_requests_per_day\",\"amount\":100}"),
                     200, "%s", h.text);
        cr_expect_not_null(strstr(h.text, "\"allowed\":true"), "%s", h.text);
        cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/quotas/check",
                                  "{\"limit\":\"monthly_budget\",\"amount\":0.6}"),
                     200);
        cr_expect_not_null(strstr(h.text, "\"allowed\":false"), "%s", h.text);
    }
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/tenants/acme/quotas/check", "{\"limit\":\"max_shoes\"}"),
        422);
}

Test(limits, a_gateway_is_lent_a_part_and_a_head_that_starts_again_keeps_it_back)
{
    struct sl_loan loan;
    struct sl_limits *l = h.gateway.limits;
    cr_expect_eq(sl_limits_lend(l, acme.scope, 1, &loan), SL_ESTALE);
    limit("{\"max_requests_per_second\":10}");
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    uint64_t now_ns = h.now_ms * SL_MILLI_NS;
    cr_assert(sl_limits_remember(l, h.gateway.store));
    cr_assert_eq(sl_limits_lend(l, acme.scope, now_ns, &loan), SL_OK);
    cr_expect(loan.rate > 0 && loan.rate <= 5 && loan.credits <= loan.burst);
    int own = 1;
    while (harness_call(&h, "GET", "/v1/namespaces", NULL) == 200)
        own++;
    cr_expect_eq((uint64_t)own + loan.credits, 10, "%d and %lu", own, (unsigned long)loan.credits);
    harness_reopen(&h);
    h.who = acme;
    for (own = 0; harness_call(&h, "GET", "/v1/namespaces", NULL) == 200;)
        own++;
    cr_expect_eq(own, 5, "half may be with gateways");
    cr_expect_eq(sl_limits_lend(h.gateway.limits, acme.scope, now_ns, &loan), SL_EFULL);
    limit("{\"max_requests_per_day\":1000}");
    cr_expect_eq(sl_limits_lend(h.gateway.limits, acme.scope, now_ns, &loan), SL_ESTALE);
    h.now_ms += 60000;
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "%s", h.text);
    cr_expect_eq(sl_limits_lend(h.gateway.limits, acme.scope, now_ns, &loan), SL_EDENIED);
}

Test(limits, bad_ones_are_refused_by_name)
{
    static const char *const bad[] = {"{\"max_shoes\":1}",
                                      "{\"max_requests_per_day\":0}",
                                      "{\"max_requests_per_day\":1.5}",
                                      "{\"max_requests_per_day\":\"many\"}",
                                      "{\"daily_budget\":-1}",
                                      "{\"daily_budget\":1e300}"};
    h.who = operator;
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        char *body = sl_format("{\"limits\":%s}", bad[i]);
        cr_expect_eq(harness_call(&h, "PUT", "/v1/tenants/acme/quotas", body), 422, "%s: %s",
                     bad[i], h.text);
        cr_expect_not_null(strstr(h.text, "limits"), "%s", h.text);
        sl_free(body);
    }
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 200);
    cr_expect_not_null(strstr(h.text, "\"limits\":{}"), "%s", h.text);
}
