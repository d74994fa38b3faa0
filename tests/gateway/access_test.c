/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, and what for: roles of users, addresses, suspended tenants. */
#include <criterion/criterion.h>
#include <string.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/cidr.h"
#include "gateway/runner.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "tests/gateway/harness.h"

#define ANN "/v1/organizations/users/ann@acme.local"

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

TestSuite(access, .init = setup, .fini = teardown);

/* ---- addresses ------------------------------------------------------------------------------ */

static bool
has(const char *range, const char *address)
{
    struct sl_cidr cidr;
    uint8_t bytes[SL_ADDRESS_SIZE];
    cr_assert_eq(sl_cidr_parse(sl_slice_str(range), &cidr), SL_OK, "%s", range);
    cr_assert_eq(sl_address_parse(sl_slice_str(address), bytes), SL_OK, "%s", address);
    return sl_cidr_has(&cidr, bytes);
}

Test(cidr, has_what_its_bits_say)
{
    cr_expect(has("10.0.0.0/8", "10.255.1.2"));
    cr_expect_not(has("10.0.0.0/8", "11.0.0.0"));
    cr_expect(has("192.168.4.0/22", "192.168.7.255"));
    cr_expect_not(has("192.168.4.0/22", "192.168.8.0"));
    cr_expect(has("127.0.0.1", "127.0.0.1"));
    cr_expect_not(has("127.0.0.1", "127.0.0.2"));
    cr_expect(has("0.0.0.0/0", "8.8.8.8"));
    cr_expect_not(has("0.0.0.0/0", "2001:db8::1"));
    cr_expect(has("2001:db8::/33", "2001:db8:7fff::1"));
    cr_expect_not(has("2001:db8::/33", "2001:db8:8000::1"));
    cr_expect(has("::/0", "8.8.8.8"));
    cr_expect(has("10.0.0.0/8", "::ffff:10.1.1.1"));
}

Test(cidr, refuses_what_is_none)
{
    static const char *const bad[] = {"",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0/8",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/08",
                                      "localhost",
                                      "::1/129",
                                      "::1/0",
                                      "10.0.0.0/8 ",
                                      "/8",
                                      "10.0.0.0/8/8",
                                      "1:2:3:4:5:6:7:8:9"};
    struct sl_cidr cidr;
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_expect_eq(sl_cidr_parse(sl_slice_str(bad[i]), &cidr), SL_EINVAL, "%s", bad[i]);
}

static bool
is_at_door(struct sl_scope scope, const char *address, bool *ret_is_suspended)
{
    struct sl_door door;
    *ret_is_suspended = false;
    if (!sl_keyring_door(h.gateway.keyring, scope, &door))
        return true;
    *ret_is_suspended = door.is_suspended;
    return sl_door_has(&door, sl_slice_str(address));
}

static void
as_operator(const char *method, const char *target, const char *body, int status)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, method, target, body), status, "%s", h.text);
    h.who = acme;
}

Test(access, is_from_listed_addresses_alone)
{
    bool is_suspended;
    cr_expect(is_at_door(acme.scope, "8.8.8.8", &is_suspended));
    as_operator("PATCH", "/v1/tenants/acme",
                "{\"security\":{\"ip_allowlist\":[\"10.0.0.0/8\",\"::1\"]}}", 200);
    for (int i = 0; i < 2; i++) {
        cr_expect(is_at_door(acme.scope, "10.1.2.3", &is_suspended));
        cr_expect(is_at_door(acme.scope, "::1", &is_suspended));
        cr_expect_not(is_at_door(acme.scope, "8.8.8.8", &is_suspended));
        cr_expect_not(is_at_door(acme.scope, "", &is_suspended));
        cr_expect(is_at_door(operator.scope, "8.8.8.8", &is_suspended));
        harness_reopen(&h);
    }
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{}}", 200);
    cr_expect(is_at_door(acme.scope, "8.8.8.8", &is_suspended));
}

/* A tenant that believes in a second factor which nobody asks for is worse off than one without. */
Test(access, takes_no_promise_that_is_not_kept)
{
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{\"mfa_required\":true}}", 422);
    cr_expect_not_null(strstr(h.text, "ip_allowlist"), "%s", h.text);
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{\"mfa_required\":1}}", 422);
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{\"session_timeout\":3600}}", 422);
    cr_expect_not_null(strstr(h.text, "expires_at"), "%s", h.text);
    as_operator("POST", "/v1/tenants",
                "{\"tenant_id\":\"b1\",\"name\":\"b\",\"security\":{\"session_timeout\":1}}", 422);
    as_operator("GET", "/v1/tenants/b1", NULL, 404);
    as_operator("PATCH", "/v1/tenants/acme",
                "{\"security\":{\"mfa_required\":false,\"session_timeout\":null}}", 200);
}

Test(access, takes_no_list_that_cannot_be_read)
{
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{\"ip_allowlist\":[\"10.0.0.1/8\"]}}",
                422);
    as_operator("PATCH", "/v1/tenants/acme", "{\"security\":{\"ip_allowlist\":\"::1\"}}", 422);
    as_operator("POST", "/v1/tenants",
                "{\"tenant_id\":\"b1\",\"name\":\"b\",\"security\":{\"ip_allowlist\":[7]}}", 422);
    as_operator("GET", "/v1/tenants/b1", NULL, 404);
}

Test(access, never_locks_the_operator_out)
{
    as_operator("PATCH", "/v1/tenants/operator",
                "{\"security\":{\"ip_allowlist\":[\"10.0.0.0/8\"]}}", 409);
    as_operator("POST", "/v1/tenants/operator/suspend", "{\"reason\":\"abuse\"}", 409);
}

Test(access, of_copies_is_as_of_the_head)
{
    struct sl_keyring *copy = sl_keyring_create();
    struct sl_buf rows = {0};
    struct sl_door door;
    as_operator("POST", "/v1/tenants/acme/suspend", "{\"reason\":\"abuse\"}", 200);
    sl_keyring_write(h.gateway.keyring, &rows);
    cr_assert_eq(sl_keyring_apply(copy, sl_buf_slice(&rows), true), SL_OK);
    cr_expect(sl_keyring_door(copy, acme.scope, &door) && door.is_suspended);
    sl_keyring_note_changes(h.gateway.keyring);
    as_operator("POST", "/v1/tenants/acme/resume", NULL, 200);
    sl_buf_clear(&rows);
    cr_assert(sl_keyring_take_changes(h.gateway.keyring, &rows));
    cr_assert_eq(sl_keyring_apply(copy, sl_buf_slice(&rows), false), SL_OK);
    cr_expect_not(sl_keyring_door(copy, acme.scope, &door));
    sl_keyring_destroy(&copy);
    sl_buf_deinit(&rows);
}

/* ---- suspended ------------------------------------------------------------------------------ */

static bool
hands_out(enum sl_class class, const char *own)
{
    struct sl_queue_depth depth;
    uint64_t lane = own == NULL ? 0 : sl_lane_hash(sl_slice_str(own));
    return sl_queue_depth(h.gateway.queue, acme.scope, class, lane, &depth) != SL_OK ||
           sl_lane_mode_gives(depth.settings.mode);
}

Test(access, of_a_suspended_tenant_is_refused_and_its_queues_stand_still)
{
    bool is_suspended;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/mail", "{}"), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:batch/drain", NULL), 200);
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/still", "{}"), 200);
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/queues/still", "{\"mode\":\"paused\"}"), 200);
    as_operator("POST", "/v1/tenants/acme/suspend", "{\"reason\":\"payment_overdue\"}", 200);
    cr_expect(harness_is(&h, "state", "suspended"));
    cr_expect(harness_is(&h, "suspend_reason", "payment_overdue"));
    for (int i = 0; i < 2; i++) {
        (void)is_at_door(acme.scope, "", &is_suspended);
        cr_expect(is_suspended);
        cr_expect_not(hands_out(SL_CLASS_CPU, NULL));
        cr_expect_not(hands_out(SL_CLASS_BATCH, NULL));
        cr_expect_not(hands_out(SL_CLASS_OWN, "mail"));
        harness_reopen(&h);
        as_operator("POST", "/v1/tenants/acme/suspend", "{\"reason\":\"security\"}", 200);
    }
    as_operator("POST", "/v1/tenants/acme/resume", NULL, 200);
    cr_expect(harness_is(&h, "state", "active"));
    (void)is_at_door(acme.scope, "", &is_suspended);
    cr_expect_not(is_suspended);
    cr_expect(hands_out(SL_CLASS_CPU, NULL));
    cr_expect(hands_out(SL_CLASS_BATCH, NULL));
    cr_expect(hands_out(SL_CLASS_OWN, "mail"));
    cr_expect_not(hands_out(SL_CLASS_OWN, "still"), "it was paused before");
    struct sl_queue_depth depth;
    cr_assert_eq(sl_queue_depth(h.gateway.queue, acme.scope, SL_CLASS_BATCH, 0, &depth), SL_OK);
    cr_expect_eq(depth.settings.mode, SL_LANE_DRAINING);
    as_operator("POST", "/v1/tenants/acme/resume", NULL, 409);
}

Test(access, of_whoever_changes_a_tenant_is_in_its_log)
{
    as_operator("POST", "/v1/tenants/acme/suspend", "{\"reason\":\"abuse\"}", 200);
    as_operator("POST", "/v1/tenants/acme/resume", NULL, 200);
    cr_assert_eq(
        harness_call(&h, "GET", "/v1/organizations/audit/logs?action=tenant_suspended", NULL), 200);
    cr_expect_eq(harness_number(&h, "total"), 1);
    cr_expect(harness_is(&h, "results.0.actor_type", "operator"));
    cr_expect(harness_is(&h, "results.0.resource_id", "acme"));
}

Test(access, to_a_plan_follows_the_plan)
{
    struct sl_identity who;
    as_operator("PATCH", "/v1/tenants/acme", "{\"plan\":\"scale\",\"name\":\"Acme\"}", 200);
    cr_expect(harness_is(&h, "plan", "scale"));
    cr_expect(harness_is(&h, "name", "Acme"));
    cr_assert_eq(sl_keyring_find(h.gateway.keyring, acme.digest, h.now_ms, &who), SL_OK);
    cr_expect_str_eq(who.account_type, "enterprise");
    as_operator("PATCH", "/v1/tenants/acme", "{\"plan\":\"gold\"}", 422);
    as_operator("PATCH", "/v1/tenants/none", "{}", 404);
}

/* ---- users ---------------------------------------------------------------------------------- */

static void
make_ann(const char *role)
{
    char *body =
        sl_format("{\"email\":\"ann@acme.local\",\"user_name\":\"Ann\",\"role\":\"%s\"}", role);
    cr_assert_eq(harness_call(&h, "POST", "/v1/organizations/users", body), 200, "%s", h.text);
    sl_free(body);
}

/* Owned. */
static char *
make_key(const char *name, const char *permissions)
{
    char *body = sl_format("{\"name\":\"%s\",\"permissions\":[%s]}", name, permissions);
    cr_assert_eq(harness_call(&h, "POST", ANN "/api-keys", body), 200, "%s", h.text);
    sl_free(body);
    return harness_text(&h, "key");
}

static bool
may(const char *secret, enum sl_permission permission)
{
    struct sl_identity who;
    return sl_keyring_check(h.gateway.keyring, sl_slice_str(secret), h.now_ms, &who) == SL_OK &&
           sl_identity_may(&who, permission);
}

Test(access, of_a_key_is_no_more_than_its_users_role)
{
    make_ann("viewer");
    cr_expect_eq(harness_call(&h, "POST", ANN "/api-keys",
                              "{\"name\":\"k\",\"permissions\":[\"read\",\"write\"]}"),
                 422);
    char *secret = make_key("k", "\"read\"");
    cr_expect(may(secret, SL_PERMIT_READ));
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"role\":\"admin\"}"), 200);
    cr_assert_eq(harness_call(&h, "PATCH", ANN "/api-keys/k",
                              "{\"permissions\":[\"read\",\"write\",\"delete\",\"admin\"]}"),
                 200, "%s", h.text);
    cr_expect(may(secret, SL_PERMIT_ADMIN));
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"role\":\"member\"}"), 200);
    for (int i = 0; i < 2; i++) {
        cr_expect(may(secret, SL_PERMIT_DELETE));
        cr_expect_not(may(secret, SL_PERMIT_ADMIN));
        harness_reopen(&h);
    }
    sl_free(secret);
}

Test(access, of_an_analyst_is_that_of_a_reader_and_to_reports)
{
    make_ann("analyst");
    cr_expect_eq(harness_call(&h, "POST", ANN "/api-keys",
                              "{\"name\":\"k\",\"permissions\":[\"read\",\"write\"]}"),
                 422);
    char *secret = make_key("k", "\"read\"");
    for (int i = 0; i < 2; i++) {
        cr_expect(may(secret, SL_PERMIT_READ) && may(secret, SL_PERMIT_REPORT));
        for (int p = SL_PERMIT_WRITE; p <= SL_PERMIT_OPERATOR; p++)
            cr_expect_not(may(secret, (enum sl_permission)p), "%d", p);
        harness_reopen(&h);
    }
    static const char *const others[] = {"viewer", "member", "admin"};
    for (size_t i = 0; i < SL_COUNT_OF(others); i++) {
        char *body = sl_format("{\"role\":\"%s\"}", others[i]);
        cr_assert_eq(harness_call(&h, "PATCH", ANN, body), 200);
        cr_expect(may(secret, SL_PERMIT_READ));
        cr_expect_not(may(secret, SL_PERMIT_REPORT), "a key that reads, of a %s", others[i]);
        sl_free(body);
    }
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"role\":\"Analyst\"}"), 422);
    sl_free(secret);
}

Test(access, of_an_analyst_reaches_reports_of_its_own_tenant_alone)
{
    static const char *const reports[] = {"usage", "quotas", "metrics", "health", "events"};
    make_ann("analyst");
    char *secret = make_key("k", "\"read\"");
    harness_tenant(&h, "other", "starter");
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, sl_slice_str(secret), h.now_ms, &h.who),
                 SL_OK);
    for (size_t i = 0; i < SL_COUNT_OF(reports); i++) {
        char *own = sl_format("/v1/tenants/acme/%s", reports[i]);
        char *others = sl_format("/v1/tenants/other/%s", reports[i]);
        cr_expect_eq(harness_call(&h, "GET", own, NULL), 200, "%s: %s", own, h.text);
        cr_expect_eq(harness_call(&h, "GET", others, NULL), 404, "%s: %s", others, h.text);
        sl_free(own);
        sl_free(others);
    }
    cr_expect_eq(harness_call(&h, "GET", "/v1/organizations/audit/logs", NULL), 200);
    cr_expect(harness_is(&h, "results.0.action", "api_key_created"), "%s", h.text);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/organizations/audit/settings", "{}"), 403);
    cr_expect_eq(harness_call(&h, "GET", "/v1/organizations/users", NULL), 403);
    sl_free(secret);
}

Test(access, ends_while_a_user_is_suspended)
{
    make_ann("member");
    char *secret = make_key("k", "\"read\"");
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"status\":\"suspended\"}"), 200);
    char *later = make_key("later", "\"read\"");
    for (int i = 0; i < 2; i++) {
        cr_expect_not(may(secret, SL_PERMIT_READ));
        cr_expect_not(may(later, SL_PERMIT_READ));
        harness_reopen(&h);
    }
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"status\":\"active\"}"), 200);
    cr_expect(may(secret, SL_PERMIT_READ));
    cr_expect(may(later, SL_PERMIT_READ));
    sl_free(secret);
    sl_free(later);
}

Test(access, is_never_without_an_admin)
{
    static const char owner[] = "/v1/organizations/users/owner@acme.local";
    cr_expect_eq(harness_call(&h, "PATCH", owner, "{\"role\":\"viewer\"}"), 409);
    cr_expect_eq(harness_call(&h, "PATCH", owner, "{\"status\":\"suspended\"}"), 409);
    make_ann("admin");
    cr_expect_eq(harness_call(&h, "PATCH", owner, "{\"role\":\"viewer\"}"), 200, "%s", h.text);
    cr_expect_eq(harness_call(&h, "PATCH", ANN, "{\"status\":\"suspended\"}"), 409);
}

/* ---- secrets that were replaced ------------------------------------------------------------- */

Test(access, by_a_replaced_secret_ends_with_its_key)
{
    make_ann("member");
    char *first = make_key("k", "\"read\"");
    cr_assert_eq(harness_call(&h, "POST", ANN "/api-keys/k/rotate?overlap_s=600", NULL), 200);
    char *second = harness_text(&h, "key");
    cr_assert_eq(harness_call(&h, "PATCH", ANN "/api-keys/k", "{\"name\":\"n\"}"), 200);
    cr_expect(may(first, SL_PERMIT_READ) && may(second, SL_PERMIT_READ));
    cr_assert_eq(harness_call(&h, "GET", ANN "/api-keys", NULL), 200);
    cr_expect_eq(harness_number(&h, "total"), 1);
    cr_assert_eq(harness_call(&h, "DELETE", ANN "/api-keys/n", NULL), 200, "%s", h.text);
    cr_expect_not(may(first, SL_PERMIT_READ));
    cr_expect_not(may(second, SL_PERMIT_READ));
    sl_free(first);
    sl_free(second);
}

Test(access, by_a_replaced_secret_ends_with_its_user)
{
    make_ann("member");
    char *first = make_key("k", "\"read\"");
    cr_assert_eq(harness_call(&h, "POST", ANN "/api-keys/k/rotate?overlap_s=600", NULL), 200);
    cr_assert_eq(harness_call(&h, "PATCH", ANN, "{\"status\":\"suspended\"}"), 200);
    cr_expect_not(may(first, SL_PERMIT_READ));
    cr_assert_eq(harness_call(&h, "DELETE", ANN, NULL), 200);
    cr_expect_not(may(first, SL_PERMIT_READ));
    sl_free(first);
}

/* ---- use ------------------------------------------------------------------------------------ */

static uint64_t
last_used(void)
{
    uint64_t used_ms = 0;
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations/users/owner@acme.local/api-keys", NULL),
                 200, "%s", h.text);
    char *text = harness_text(&h, "results.0.last_used_at");
    cr_assert_eq(sl_time_parse(sl_slice_str(text), &used_ms), SL_OK);
    sl_free(text);
    return used_ms;
}

Test(access, tells_when_a_key_was_used_last_also_after_a_start)
{
    struct sl_buf cursor = {0};
    struct sl_identity owner = acme;
    h.now_ms += 5000;
    cr_expect_eq(last_used(), h.now_ms);
    uint64_t used_ms = h.now_ms;
    cr_assert_eq(sl_runner_sweep(&h.gateway, acme.scope, h.now_ms, 100, &cursor), SL_OK);
    h.now_ms += 60000;
    harness_reopen(&h);
    h.who = operator;
    sl_identity_enter(&h.who, &owner); /* Who looks does not use it. */
    cr_expect_eq(last_used(), used_ms);
    h.who = acme;
    cr_expect_eq(last_used(), h.now_ms);
    cr_assert_eq(sl_runner_sweep(&h.gateway, acme.scope, h.now_ms, 100, &cursor), SL_OK);
    cr_expect_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200, "the key is as it was");
    sl_buf_deinit(&cursor);
}
