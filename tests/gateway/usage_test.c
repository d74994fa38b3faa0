/* SPDX-License-Identifier: Apache-2.0 */
/* What calls use, and how it is reported. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/meter.h"
#include "gateway/usage_period.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "tests/gateway/harness.h"

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

TestSuite(usage, .init = setup, .fini = teardown);

static uint64_t
requests(const char *query)
{
    char *target = sl_format("/v1/organizations/usage%s", query);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200, "%s", h.text);
    sl_free(target);
    return harness_number(&h, "total_requests");
}

static void
tick(void)
{
    for (int i = 0; i < 8; i++)
        cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
}

Test(usage, every_answer_counts_once_recorded_or_not)
{
    uint64_t before = requests("");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200);     /* Commits. */
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);   /* Reads. */
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces/x", NULL), 404); /* Is refused. */
    cr_assert_eq(harness_call(&h, "POST", "/v1/namespaces", "{}"), 422);
    uint64_t wanted = before + 5; /* And the first report. */
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(requests(""), wanted, "after %d ticks", i);
        cr_expect_eq(requests("?status=404"), 1);
        cr_expect_eq(requests("?status=422&route=create_namespace"), 1);
        wanted += 3; /* These reports. */
        tick();
    }
    cr_expect_eq(h.gateway.meter->cells.count, 0);
}

Test(usage, what_was_recorded_outlives_a_crash_and_the_rest_is_not_doubled)
{
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    tick();
    uint64_t before = requests("?route=make_own_queue") + requests("?route=list_namespaces");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/r", "{}"), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200); /* Not recorded: lost. */
    harness_reopen(&h);
    h.who = acme;
    uint64_t after = requests("?route=make_own_queue") + requests("?route=list_namespaces");
    cr_expect_eq(after, before + 1);
}

Test(usage, jobs_that_were_taken_are_counted_with_their_calls_commit)
{
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs",
                              "{\"jobs\":[{\"payload\":1},{\"payload\":2},{\"payload\":3}]}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "accepted"), 3, "%s", h.text);
    (void)requests("?resource_type=jobs&group_by=key");
    cr_expect_eq(harness_number(&h, "groups.0.amount"), 3, "%s", h.text);
    cr_expect(harness_is(&h, "groups.0.unit", "job"), "%s", h.text);
    cr_expect(harness_is(&h, "groups.0.key.key", acme.key_id), "%s", h.text);
    cr_expect(harness_is(&h, "groups.0.key.resource_type", "jobs"), "%s", h.text);
}

/* Commits of a second share a row, which is written anew by each, and folded between any two. */
Test(usage, each_of_many_commits_is_counted_once_whenever_they_are_folded)
{
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
    for (uint64_t i = 1; i <= 40; i++) {
        cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", "{\"jobs\":[{\"payload\":1}]}"),
                     200);
        if (i % 7 == 0)
            tick();
        if (i % 11 == 0)
            h.now_ms += 3600 * UINT64_C(1000);
        if (i % 16 == 0) {
            harness_reopen(&h);
            h.who = acme;
        }
        (void)requests("?resource_type=jobs&group_by=resource_type");
        cr_assert_eq(harness_number(&h, "groups.0.amount"), i, "%s", h.text);
        cr_assert_eq(requests("?route=put_own_jobs"), i, "%s", h.text);
    }
    h.now_ms += 2000;
    tick();
    cr_expect_eq(h.gateway.meter->opened, 0);
}

Test(usage, more_tenants_than_have_an_open_record_lose_nothing)
{
    char id[16];
    struct sl_identity who[SL_METER_OPEN_MAX / 2 * 3];
    for (size_t i = 0; i < SL_COUNT_OF(who); i++) {
        (void)snprintf(id, sizeof(id), "t%zu", i);
        h.who = operator;
        harness_tenant(&h, id, "starter");
        who[i] = h.who;
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SL_COUNT_OF(who); i++) {
            h.who = who[i];
            cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
        }
        tick();
    }
    for (size_t i = 0; i < SL_COUNT_OF(who); i++) {
        h.who = who[i];
        cr_assert_eq(requests("?route=make_own_queue"), 2, "%zu: %s", i, h.text);
    }
}

Test(usage, a_refused_call_has_used_nothing_but_itself)
{
    uint64_t digest;
    tick();
    digest = harness_digest(&h);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/none/jobs", "{\"jobs\":[{\"payload\":1}]}"),
                 404, "%s", h.text);
    cr_expect_eq(harness_digest(&h), digest);
    (void)requests("?resource_type=jobs");
    cr_expect_not(sl_json_has(sl_json_member(h.reply, "groups.0")));
    cr_expect_null(strstr(h.text, "\"job\""), "%s", h.text);
}

Test(usage, a_tenant_sees_its_own_alone)
{
    (void)requests("");
    harness_tenant(&h, "other", "starter");
    cr_expect_eq(requests(""), 0, "%s", h.text);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/usage", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/nobody/usage", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/other/usage", NULL), 200);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/acme/usage", NULL), 200, "%s", h.text);
    cr_expect_geq(harness_number(&h, "total_requests"), 1);
    cr_expect(harness_is(&h, "tenant_id", "acme"), "%s", h.text);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/nobody/usage", NULL), 404);
}

Test(usage, groups_come_in_pages_and_as_a_table)
{
    static const char *const reads[] = {"/v1/namespaces", "/v1/queues", "/v1/organizations"};
    for (size_t i = 0; i < SL_COUNT_OF(reads); i++)
        cr_assert_eq(harness_call(&h, "GET", reads[i], NULL), 200);
    uint64_t seen = 0, total = 0;
    char *query = sl_strdup("?group_by=route,status&limit=1");
    for (int pages = 0; query != NULL; pages++) {
        cr_assert_lt(pages, 50);
        total = requests(query);
        seen += harness_number(&h, "groups.0.amount");
        sl_free(query);
        struct sl_json cursor =
            sl_json_member(sl_json_member(h.reply, "pagination"), "next_cursor");
        char *text = sl_json_strdup(cursor);
        query = text == NULL ? NULL : sl_format("?group_by=route,status&limit=1&cursor=%s", text);
        sl_free(text);
    }
    cr_expect_leq(seen, total);
    cr_expect_geq(seen, 3);
    static const char table[] = "/v1/organizations/usage?format=csv&group_by=route";
    cr_assert_eq(harness_call(&h, "GET", table, NULL), 200);
    cr_expect_eq(strncmp(h.text, "route,resource_type,amount,unit,cost,currency\r\n", 47), 0, "%s",
                 h.text);
    cr_expect_not_null(
        strstr(h.text, "\"list_namespaces\",\"requests\",1,request,0.000001,USD\r\n"), "%s",
        h.text);
}

Test(usage, what_cannot_be_asked_is_refused_with_its_name)
{
    static const struct {
        const char *query, *loc;
    } bad[] = {{"period=2026-13", "period"},
               {"period=yesterday", "period"},
               {"period=2026-02-30", "period"},
               {"group_by=day,shoe", "group_by"},
               {"format=pdf", "format"},
               {"resource_type=shoes", "resource_type"},
               {"start=never", "start"},
               {"start=2026-01-02&end=2026-01-01", "end"},
               {"limit=0", "limit"},
               {"cursor=%21", "cursor"}};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        char *target = sl_format("/v1/organizations/usage?%s", bad[i].query);
        cr_expect_eq(harness_call(&h, "GET", target, NULL), 422, "%s: %s", target, h.text);
        cr_expect_not_null(strstr(h.text, bad[i].loc), "%s: %s", target, h.text);
        sl_free(target);
    }
    cr_expect_eq(h.gateway.meter->readers, 0, "a report that was refused holds folds up");
}

Test(usage_period, is_of_the_calendar)
{
    static const struct {
        const char *text, *start, *end;
    } good[] = {{"", "2026-03-01", "2026-04-01"},
                {"2026-02", "2026-02-01", "2026-03-01"},
                {"2025-12", "2025-12-01", "2026-01-01"},
                {"2024-02-29", "2024-02-29", "2024-03-01"},
                {"last_30_days", "2026-02-13", "2026-03-15"}};
    uint64_t now_ms;
    cr_assert_eq(sl_usage_time(sl_slice_str("2026-03-14T15:09:26Z"), &now_ms), SL_OK);
    for (size_t i = 0; i < SL_COUNT_OF(good); i++) {
        struct sl_usage_period p;
        char start[SL_TIME_TEXT_SIZE], end[SL_TIME_TEXT_SIZE];
        cr_assert_eq(sl_usage_period(sl_slice_str(good[i].text), now_ms, &p), SL_OK, "%s",
                     good[i].text);
        sl_time_format(p.start_ms, start);
        sl_time_format(p.end_ms, end);
        cr_expect_eq(strncmp(start, good[i].start, 10), 0, "%s: %s", good[i].text, start);
        cr_expect_eq(strncmp(end, good[i].end, 10), 0, "%s: %s", good[i].text, end);
    }
}
