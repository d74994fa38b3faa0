/* SPDX-License-Identifier: Apache-2.0 */
/* How a tenant comes to be, also where the server is killed on the way. */
#include "gateway/onboard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "actors/rows.h"
#include "gateway/isolation/rows.h"
#include "gateway/purge.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(onboard, .init = setup, .fini = teardown);

/* A request for a tenant whose server dies once the tenant's row is committed; the secret that it
 * would have answered with. */
static void
ask_and_die(const char *tenant_id, struct sl_tenant_made *ret_made)
{
    struct sl_call *call = sl_call_create();
    struct sl_tenant_new want = {.tenant_id = tenant_id,
                                 .organization_id = "org_123456789012345",
                                 .name = tenant_id,
                                 .owner_email = "owner@acme.local",
                                 .owner_name = tenant_id,
                                 .plan = sl_plan_lookup(sl_slice_str("starter")),
                                 .now_ms = h.now_ms};
    call->gateway = &h.gateway;
    call->who = operator;
    call->now_ms = h.now_ms;
    call->txn = sl_store_begin(h.gateway.store);
    (void)sl_onboard_begin(call, &want, ret_made);
    cr_assert_eq(sl_txn_commit(&call->txn), SL_OK);
    sl_call_destroy(&call);
}

static bool
is_let_in(const struct sl_tenant_made *made)
{
    struct sl_identity who;
    struct sl_door door;
    return sl_keyring_check(h.gateway.keyring, sl_slice_str(made->secret), h.now_ms, &who) ==
               SL_OK &&
           (!sl_keyring_door(h.gateway.keyring, who.scope, &door) || !door.is_suspended);
}

static bool
is_state(const char *state)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/acme", NULL), 200, "%s", h.text);
    return harness_is(&h, "state", state);
}

static uint32_t
rows_of(struct sl_scope scope)
{
    uint32_t count = 0;
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    for (unsigned table = 1; table <= UINT8_MAX; table++) {
        struct sl_scan scan = {0};
        sl_txn_scan(txn, scope, (uint8_t)table, sl_slice(NULL, 0), sl_slice(NULL, 0), false, &scan);
        while (sl_scan_next(&scan))
            count++;
        sl_scan_end(&scan);
    }
    sl_txn_abort(&txn);
    return count;
}

static void
go_on(void)
{
    bool is_more = true;
    for (uint32_t i = 0; is_more; i++) {
        cr_assert_lt(i, 100);
        cr_assert_eq(sl_purge_step(&h.gateway, h.now_ms, SL_PURGE_ROWS, &is_more), SL_OK);
    }
}

Test(onboard, is_over_when_the_reply_comes)
{
    static const char *const names[] = {"create_database",        "provision_infrastructure",
                                        "configure_security",     "load_initial_data",
                                        "configure_integrations", "verify_setup"};
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants", "{\"tenant_id\":\"acme\",\"name\":\"A\"}"),
                 201, "%s", h.text);
    cr_expect(harness_is(&h, "state", "active"));
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        char path[64];
        snprintf(path, sizeof(path), "onboarding.%zu.name", i);
        cr_expect(harness_is(&h, path, names[i]), "%s", h.text);
        snprintf(path, sizeof(path), "onboarding.%zu.status", i);
        cr_expect(harness_is(&h, path, i == 4 ? "skipped" : "done"), "%s", h.text);
    }
    struct sl_tenant_made made = {0};
    char *key = harness_text(&h, "api_key"), *task = harness_text(&h, "task_id");
    snprintf(made.secret, sizeof(made.secret), "%s", key);
    cr_expect(is_let_in(&made));
    char *path = sl_format("/v1/tasks/%s", task);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "status", "COMPLETED"));
    cr_expect_eq(harness_number(&h, "additional_data.progress.done"), SL_ONBOARD_STEPS);
    cr_assert_eq(
        harness_call(&h, "GET", "/v1/organizations/audit/logs?action=tenant_created", NULL), 200);
    cr_expect_eq(harness_number(&h, "total"), 1);
    cr_expect(harness_is(&h, "results.0.resource_id", "acme"));
    sl_free(path);
    sl_free(key);
    sl_free(task);
}

/* With a cut behind each number of steps, and at each again: what is there at the end is what is
 * there without, and until then nobody is let in. */
Test(onboard, goes_on_behind_the_last_step_that_was_committed)
{
    uint32_t rows = 0;
    for (uint32_t cut = 0; cut <= SL_ONBOARD_STEPS; cut++) {
        struct sl_tenant_made made;
        enum sl_passage_state state;
        ask_and_die("acme", &made);
        for (uint32_t i = 0; i < cut; i++) {
            cr_assert_eq(sl_passage_step(&h.gateway, "acme", h.now_ms, &state), SL_OK);
            cr_expect_eq(state, i + 1 < SL_ONBOARD_STEPS ? SL_PASSAGE_MORE : SL_PASSAGE_ENDED);
        }
        harness_reopen(&h);
        if (cut < SL_ONBOARD_STEPS) {
            cr_expect(is_state("provisioning"), "cut %u: %s", cut, h.text);
            cr_expect_not(is_let_in(&made), "cut %u", cut);
        }
        go_on();
        for (int i = 0; i < 2; i++) {
            cr_expect(is_state("active"), "cut %u: %s", cut, h.text);
            cr_expect(is_let_in(&made), "cut %u", cut);
            if (cut == 0)
                rows = rows_of(made.who.scope);
            cr_expect_eq(rows_of(made.who.scope), rows, "cut %u: %u", cut, rows_of(made.who.scope));
            harness_reopen(&h);
        }
        harness_deinit(&h);
        setup();
    }
    cr_expect_eq(rows, 5, "head, owner, key's name; the event that it is active, and their number");
}

/* What nothing here goes by is there for who asks: the limits are quotas, not these. */
Test(onboard, keeps_what_it_is_made_with)
{
    static const char body[] =
        "{\"tenant_id\":\"acme\",\"name\":\"A\",\"plan\":\"scale\",\"isolation_level\":\"process\","
        "\"config\":{\"max_routes\":1000,\"max_requests_per_day\":1000000,\"budget_limit\":10000."
        "00,"
        "\"data_residency\":\"us-east-1\",\"retention_days\":90},\"region\":\"us-east-1\","
        "\"routing\":{\"dimension\":384,\"threshold\":0.5,\"cache_enabled\":true},"
        "\"security\":{\"ip_allowlist\":[\"203.0.113.0/24\"]}}";
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants", body), 201, "%s", h.text);
    for (int i = 0; i < 2; i++) {
        cr_expect(is_state("active"));
        cr_expect(harness_is(&h, "plan", "scale"));
        cr_expect(harness_is(&h, "isolation_level", "process"));
        cr_expect_eq(harness_number(&h, "config.max_routes"), 1000);
        cr_expect_eq(harness_number(&h, "config.retention_days"), 90);
        cr_expect(harness_is(&h, "config.data_residency", "us-east-1"));
        cr_expect_eq(harness_number(&h, "routing.dimension"), 384);
        cr_expect(harness_is(&h, "security.ip_allowlist.0", "203.0.113.0/24"));
        harness_reopen(&h);
    }
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/tenants/acme", "{\"routing\":{\"dimension\":768}}"),
                 200, "%s", h.text);
    cr_expect_eq(harness_number(&h, "routing.dimension"), 768);
    cr_expect_eq(harness_number(&h, "config.max_routes"), 1000);
}

/* Neither of the first key nor of any other. */
Test(onboard, leaves_no_secret_on_the_disk)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants", "{\"tenant_id\":\"acme\",\"name\":\"A\"}"),
                 201, "%s", h.text);
    char *key = harness_text(&h, "api_key");
    cr_assert_eq(sl_store_sync(h.gateway.store), SL_OK);
    char *tenant = sl_format("grep -rqaF acme %s", h.directory);
    char *secret = sl_format("grep -rqaF -e %s %s", key + 3, h.directory); /* Behind "sk_". */
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(system(tenant), 0, "the tenant is there");
        cr_expect_neq(system(secret), 0, "and so is its secret");
        harness_reopen(&h);
    }
    sl_free(key);
    sl_free(tenant);
    sl_free(secret);
}

/* The directory is there, and its transaction is not. */
Test(onboard, does_again_what_it_has_done_outside_of_the_store)
{
    struct sl_tenant_made made;
    enum sl_passage_state state;
    ask_and_die("acme", &made);
    char *path = sl_format("%s/models", h.directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    char *own = sl_format("%s/%llu", path, (unsigned long long)made.who.scope.id);
    cr_assert_eq(mkdir(own, 0700), 0);
    for (uint32_t i = 0; i < SL_ONBOARD_STEPS; i++)
        cr_assert_eq(sl_passage_step(&h.gateway, "acme", h.now_ms, &state), SL_OK);
    cr_expect(is_state("active"));
    sl_free(own);
    sl_free(path);
}

Test(onboard, fails_with_what_it_found_and_lets_nobody_in)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants",
                              "{\"tenant_id\":\"acme\",\"name\":\"A\",\"region\":\"us-1\","
                              "\"config\":{\"data_residency\":\"eu-1\"}}"),
                 201, "%s", h.text);
    cr_expect(harness_is(&h, "state", "failed"));
    cr_expect(harness_is(&h, "onboarding.4.status", "failed"));
    cr_expect(harness_is(&h, "onboarding.5.status", "pending"));
    struct sl_tenant_made made = {0};
    char *key = harness_text(&h, "api_key"), *task = harness_text(&h, "task_id");
    snprintf(made.secret, sizeof(made.secret), "%s", key);
    char *path = sl_format("/v1/tasks/%s", task);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "status", "FAILED"));
    for (int i = 0; i < 2; i++) {
        cr_expect_not(is_let_in(&made));
        cr_expect(is_state("failed"));
        harness_reopen(&h);
        go_on();
    }
    sl_free(path);
    sl_free(key);
    sl_free(task);
}

/* A scope is given once. Were it not, the new tenant would read what the old one left. */
Test(onboard, never_takes_a_scope_that_holds_rows)
{
    struct sl_tenant_made made;
    ask_and_die("acme", &made);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, made.who.scope, SL_TABLE_RECORD, sl_slice_str("left"), sl_slice_str("behind"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    go_on();
    cr_expect(is_state("failed"), "%s", h.text);
    cr_expect(harness_is(&h, "onboarding.0.status", "failed"));
}

/* As if the store gave a neighbour what is another's. */
Test(onboard, is_failed_where_a_neighbour_gets_something_of_it)
{
    struct sl_tenant_made made;
    ask_and_die("acme", &made);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, sl_isolation_neighbour().scope, SL_TABLE_HEAD, sl_slice_str("tenant"),
               sl_slice_str("{}"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    go_on();
    cr_expect(is_state("failed"), "%s", h.text);
    cr_expect(harness_is(&h, "onboarding.4.status", "skipped"), "%s", h.text);
    cr_expect(harness_is(&h, "onboarding.5.status", "failed"), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "database_isolation is violated: rows: "), "%s", h.text);
    cr_expect_not(is_let_in(&made));
}
