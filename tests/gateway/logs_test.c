/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/logs.h"
#include "runtime/alloc.h"
#include "runtime/report_tap.h"
#include "runtime/time.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator, acme;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "scale");
    acme = h.who;
    h.who = operator;
    h.gateway.lines = sl_report_tap_create();
    cr_assert_not_null(h.gateway.lines);
}

static void
teardown(void)
{
    sl_report_tap_destroy(&h.gateway.lines);
    harness_deinit(&h);
}

TestSuite(logs, .init = setup, .fini = teardown, .timeout = 60);

/* A line, and wait until it is kept. */
static void
say(const char *event, const struct sl_report_about *about)
{
    uint64_t before = sl_report_tap_newest(h.gateway.lines);
    (void)sl_report_about_set(about);
    sl_report_info(event, "n=1");
    (void)sl_report_about_set(NULL);
    while (sl_report_tap_newest(h.gateway.lines) == before)
        sl_time_sleep_ns(SL_MILLI_NS);
}

/* The events of a page, "a b ". */
static const char *
page(const char *query)
{
    static char text[512];
    size_t at = 0;
    char *target = sl_format("/v1/cluster/logs?%s", query);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200, "%s: %s", target, h.text);
    sl_free(target);
    text[0] = '\0';
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(h.reply, "results"));
         sl_json_next(&i);) {
        char *event = sl_json_strdup(sl_json_member(i.value, "event"));
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s ", event);
        sl_free(event);
    }
    return text;
}

Test(logs, a_tenants_key_sees_lines_about_its_tenant_alone)
{
    const struct sl_report_about mine = {.scope = acme.scope.id}, named = {.tenant = "acme"};
    const struct sl_report_about other = {.scope = acme.scope.id + 1, .tenant = "acme"};
    say("ours", NULL);
    say("number", &mine);
    say("name", &named);
    say("other", &other);
    cr_expect_str_eq(page("limit=10"), "ours number name other ");
    cr_expect_str_eq(page("tenant=acme"), "number name ");
    h.who = acme;
    cr_expect_str_eq(page("limit=10"), "number name ");
    cr_expect(harness_is(&h, "results.0.tenant_id", "acme"));
    cr_expect_str_eq(page("tenant_id=acme"), "number name ");
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/logs?tenant=operator", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/logs?tenant=nobody", NULL), 404);
}

Test(logs, pages_end_with_cursors_to_older_and_newer_lines)
{
    say("a", NULL);
    say("b", NULL);
    say("c", NULL);
    cr_expect_str_eq(page("limit=2"), "b c ");
    char *next = harness_text(&h, "pagination.next_cursor");
    char *follow = harness_text(&h, "pagination.follow_cursor");
    char *older = sl_format("limit=2&cursor=%s", next);
    char *newer = sl_format("limit=1&cursor=%s", follow);
    cr_expect_str_eq(page(older), "a ");
    cr_expect_not(sl_json_has(sl_json_path(h.reply, sl_slice_str("pagination.next_cursor"))));
    cr_expect_str_eq(page(newer), "");
    say("d", NULL);
    say("e", NULL);
    cr_expect_str_eq(page(newer), "d ");
    char *rest = harness_text(&h, "pagination.next_cursor");
    char *more = sl_format("cursor=%s", rest);
    cr_expect_str_eq(page(more), "e ");
    char *const texts[] = {next, follow, older, newer, rest, more};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++)
        sl_free(texts[i]);
}

Test(logs, each_id_is_a_filter)
{
    const struct sl_report_about about = {
        .tenant = "acme", .job = "j1", .request = "req_1", .trace = "t1", .extractor = "x1"};
    say("none", NULL);
    say("all", &about);
    static const char *const queries[] = {"job_id=j1",      "request_id=req_1", "trace_id=t1",
                                          "extractor=x1",   "tenant=acme",      "q=JOB%3Dj1",
                                          "event=all&q=ALL"};
    for (size_t i = 0; i < SL_COUNT_OF(queries); i++)
        cr_expect_str_eq(page(queries[i]), "all ", "%s", queries[i]);
    cr_expect_str_eq(page("job_id=j"), "");
    cr_expect_str_eq(page("severity=warning,error"), "");
    cr_expect_str_eq(page("severity=info&since=2020-01-01T00:00:00Z"), "none all ");
    cr_expect_str_eq(page("since=2999-01-01T00:00:00Z"), "");
}

Test(logs, what_is_asked_wrongly_is_refused)
{
    static const char *const queries[] = {"severity=loud", "cursor=x", "cursor=n0000000000000000",
                                          "since=now",     "limit=0",  "limit=501",
                                          "q=%00"};
    for (size_t i = 0; i < SL_COUNT_OF(queries); i++) {
        char *target = sl_format("/v1/cluster/logs?%s", queries[i]);
        cr_expect_eq(harness_call(&h, "GET", target, NULL), 422, "%s: %d", target, h.status);
        sl_free(target);
    }
}

Test(logs, without_a_ring_there_are_none)
{
    sl_report_tap_destroy(&h.gateway.lines);
    cr_expect_str_eq(page("limit=10"), "");
}
