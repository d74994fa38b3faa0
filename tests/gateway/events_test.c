/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, over the API: pages in both directions, streams that go on where they ended. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/journal.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
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
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(events, .init = setup, .fini = teardown);

static void
add(enum sl_journal_kind kind, const char *subject, bool is_of_acme)
{
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_journal_event event = {.kind = kind, .subject = subject};
    if (is_of_acme) {
        event.scope = acme.scope;
        event.tenant_id = "acme";
    }
    (void)sl_journal_add(txn, h.now_ms, &event);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
}

/* Add n0, n1, ... of the cluster's own. */
static void
add_nodes(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%u", i);
        add(SL_JOURNAL_node_joined, name, false);
    }
}

/* The subjects of a page of joined nodes, "n1 n2 ". */
static const char *
page(const char *query)
{
    static char text[512];
    size_t at = 0;
    char *target = sl_format("/v1/cluster/events?kind=node_joined%s", query);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200, "%s: %s", target, h.text);
    sl_free(target);
    text[0] = '\0';
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(h.reply, "results"));
         sl_json_next(&i);) {
        char *subject = sl_json_strdup(sl_json_member(i.value, "subject"));
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s ", subject);
        sl_free(subject);
    }
    return text;
}

static char *
next_cursor(void)
{
    struct sl_json cursor = sl_json_member(sl_json_member(h.reply, "pagination"), "next_cursor");
    return sl_json_has(cursor) ? sl_json_strdup(cursor) : NULL;
}

static const char *
follow(const char *from)
{
    char *target = sl_format("/v1/cluster/events?follow=true&kind=node_joined&since=%s", from);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200, "%s", h.text);
    sl_free(target);
    return h.text;
}

/* The last id of a stream's reply: 20 characters in `ret_id`. */
static void
last_id(const char *text, char ret_id[static SL_JOURNAL_ID_SIZE])
{
    const char *at = NULL;
    for (const char *next = text; (next = strstr(next, "id: evt_")) != NULL; next++)
        at = next + 4;
    cr_assert_not_null(at, "%s", text);
    (void)snprintf(ret_id, SL_JOURNAL_ID_SIZE, "%s", at);
}

Test(events, the_latest_are_told_last_and_pages_go_back_from_there)
{
    add_nodes(5);
    cr_expect_str_eq(page("&limit=2"), "n3 n4 ");
    char *cursor = next_cursor();
    cr_assert_not_null(cursor);
    char *query = sl_format("&limit=2&cursor=%s", cursor);
    cr_expect_str_eq(page(query), "n1 n2 ");
    sl_free(cursor);
    sl_free(query);
    cursor = next_cursor();
    query = sl_format("&limit=2&cursor=%s", cursor);
    cr_expect_str_eq(page(query), "n0 ");
    sl_free(cursor);
    sl_free(query);
    cr_expect_null(next_cursor());
}

Test(events, since_an_event_or_a_time_pages_go_forward)
{
    add_nodes(3);
    cr_expect_str_eq(page(""), "n0 n1 n2 ");
    struct sl_json_iter i = sl_json_iter(sl_json_member(h.reply, "results"));
    cr_assert(sl_json_next(&i));
    char *id = sl_json_strdup(sl_json_member(i.value, "event_id"));
    char *query = sl_format("&limit=1&since=%s", id);
    cr_expect_str_eq(page(query), "n1 ");
    sl_free(query);
    char *cursor = next_cursor();
    query = sl_format("&limit=1&cursor=%s", cursor);
    cr_expect_str_eq(page(query), "n2 ");
    cr_expect_null(next_cursor());
    cr_expect_str_eq(page("&since=2020-01-01T00:00:00Z"), "n0 n1 n2 ");
    cr_expect_str_eq(page("&since=2100-01-01T00:00:00Z"), "");
    sl_free(query);
    sl_free(cursor);
    sl_free(id);
}

Test(events, only_what_is_asked_for_is_told)
{
    add(SL_JOURNAL_job_failed, "j", true);
    add(SL_JOURNAL_isolation_violation, "acme", true);
    add(SL_JOURNAL_node_joined, "n", false);
    cr_assert_eq(harness_call(&h, "GET",
                              "/v1/cluster/events?kind=job_failed,isolation-violation&"
                              "severity=critical,info",
                              NULL),
                 200);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
    cr_expect(harness_is(&h, "results.0.severity", "critical"), "%s", h.text);
    cr_expect(harness_is(&h, "results.0.tenant_id", "acme"));
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?kind=nonsense", NULL), 422);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?severity=loud", NULL), 422);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?since=yesterday", NULL), 422);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?cursor=x", NULL), 422);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?limit=0", NULL), 422);
}

Test(events, a_tenant_hears_of_its_own_alone)
{
    add(SL_JOURNAL_node_joined, "n", false);
    add(SL_JOURNAL_job_failed, "mine", true);
    h.who = acme;
    static const char *const paths[] = {"/v1/cluster/events?kind=job_failed,node_joined",
                                        "/v1/tenants/acme/events?kind=job_failed,node_joined"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        cr_assert_eq(harness_call(&h, "GET", paths[i], NULL), 200);
        cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
        cr_expect(harness_is(&h, "results.0.subject", "mine"));
    }
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/events?tenant_id=operator", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/operator/events", NULL), 404);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/events?tenant_id=acme&kind=job_failed", NULL),
                 200);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
}

Test(events, a_stream_goes_on_where_it_ended_without_loss_or_doubling)
{
    char id[SL_JOURNAL_ID_SIZE];
    const char *text = follow("2020-01-01T00:00:00Z");
    cr_expect_null(strstr(text, "event: node_joined"), "%s", text);
    last_id(text, id);
    add_nodes(3);
    add(SL_JOURNAL_job_failed, "j", true);
    text = follow(id);
    for (unsigned i = 0; i < 3; i++) {
        char wanted[32];
        (void)snprintf(wanted, sizeof(wanted), "\"subject\":\"n%u\"", i);
        cr_expect_not_null(strstr(text, wanted), "%s in %s", wanted, text);
    }
    cr_expect_null(strstr(text, "job_failed"));
    last_id(text, id);
    add(SL_JOURNAL_node_joined, "n3", false);
    text = follow(id);
    cr_expect_null(strstr(text, "\"subject\":\"n2\""), "%s", text);
    cr_expect_not_null(strstr(text, "\"subject\":\"n3\""), "%s", text);
    last_id(text, id);
    text = follow(id);
    cr_expect_null(strstr(text, "event:"), "%s", text);
    cr_expect_not_null(strstr(text, ": keep-alive"), "%s", text);
}

Test(events, a_stream_that_begins_tells_what_comes_from_now_on)
{
    char id[SL_JOURNAL_ID_SIZE];
    add_nodes(1);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/events?follow=true", NULL), 200);
    cr_expect_null(strstr(h.text, "event:"), "%s", h.text);
    last_id(h.text, id);
    add(SL_JOURNAL_node_joined, "later", false);
    cr_expect_not_null(strstr(follow(id), "\"subject\":\"later\""));
}

Test(events, who_was_away_for_too_long_is_told_of_the_gap)
{
    char id[SL_JOURNAL_ID_SIZE];
    add(SL_JOURNAL_job_failed, "first", true);
    h.who = acme;
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/events?follow=true", NULL), 200);
    last_id(h.text, id);
    for (unsigned i = 0; i < SL_JOURNAL_TENANT_MAX + 2; i++)
        add(SL_JOURNAL_job_failed, "again", true);
    char *target = sl_format("/v1/cluster/events?follow=true&since=%s&limit=1000", id);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200);
    cr_expect_not_null(strstr(h.text, "event: gap"), "%.300s", h.text);
    uint32_t told = 0;
    for (const char *at = h.text; (at = strstr(at, "event: job_failed")) != NULL; at++)
        told++;
    cr_expect_eq(told, SL_JOURNAL_TENANT_MAX);
    sl_free(target);
}

Test(events, what_is_too_old_to_be_told_is_told_of_as_a_gap_once)
{
    char id[SL_JOURNAL_ID_SIZE];
    add_nodes(1);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/events?follow=true", NULL), 200);
    last_id(h.text, id);
    add(SL_JOURNAL_node_joined, "missed", false);
    h.now_ms += SL_JOURNAL_KEEP_MS + 1000;
    cr_expect_not_null(strstr(follow(id), "event: gap"), "%s", h.text);
    cr_expect_null(strstr(h.text, "missed"), "%s", h.text);
    last_id(h.text, id);
    h.now_ms += 1000;
    cr_expect_null(strstr(follow(id), "event:"), "%s", h.text);
}

Test(events, what_becomes_of_a_tenant_is_told_with_it)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/suspend", "{\"reason\":\"security\"}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/resume", NULL), 200, "%s", h.text);
    cr_assert_eq(
        harness_call(&h, "GET", "/v1/tenants/acme/events?kind=tenant_state_changed&limit=2", NULL),
        200);
    cr_expect(harness_is(&h, "results.0.attributes.to", "suspended"), "%s", h.text);
    cr_expect(harness_is(&h, "results.1.attributes.from", "suspended"), "%s", h.text);
    cr_expect(harness_is(&h, "results.1.attributes.to", "active"));
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/resume", NULL), 409);
    cr_assert_eq(
        harness_call(&h, "GET", "/v1/tenants/acme/events?kind=tenant_state_changed&limit=2", NULL),
        200);
    cr_expect(harness_is(&h, "results.0.attributes.to", "suspended"),
              "what was refused did not happen");
}
