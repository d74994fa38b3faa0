/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/idempotency.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "runtime/sim_disk.h"

static const struct sl_scope scope = {5};
static struct sl_gateway g;
static uint32_t runs, afters;
static char directory[64];

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/runner-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    struct sl_store_options options = {
        .directory = directory, .map_size_bytes = 16 * SL_MIB, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &g.store), SL_OK);
}

static void
teardown(void)
{
    sl_store_close(&g.store);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(runner, .init = setup, .fini = teardown);

static void
after(struct sl_call *call, void *arg)
{
    (void)call, (void)arg;
    afters++;
}

/* Put a row named by the body's "n", and answer with it; fail or wait when the body says so. */
static void
act(struct sl_call *call)
{
    runs++;
    struct sl_slice name = sl_call_text(call, sl_json_member(call->body, "n"));
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER, name, sl_slice_str("row"));
    sl_call_after_commit(call, after, NULL);
    if (sl_json_bool(sl_json_member(call->body, "fail"), false)) {
        sl_call_fail(call, SL_API_CONFLICT, "as asked");
        return;
    }
    call->is_failure_kept = sl_json_bool(sl_json_member(call->body, "keep"), false);
    if (sl_json_bool(sl_json_member(call->body, "break"), false)) {
        sl_call_fail(call, SL_API_INTERNAL, "as asked");
        return;
    }
    call->is_waiting = sl_json_bool(sl_json_member(call->body, "wait"), false);
    if (call->is_waiting)
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_u64(&call->out, "run", runs);
    sl_jsonw_member_str(&call->out, "namespace", call->namespace_id);
    sl_jsonw_end(&call->out);
}

static void
go_on(struct sl_call *call)
{
    runs++;
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER, sl_slice_str("later"),
               sl_slice_str("row"));
    sl_buf_append_str(&call->reply, "{\"late\":true}");
}

static const struct sl_field schema[] = {
    {.name = "n", .kind = SL_FIELD_STRING, .is_required = true, .min = 1, .max = 9},
    {.name = NULL}};
static const struct sl_route plain = {
    .method = SL_POST, .path = "/x", .success = 202, .schema = schema, .handler = act};
static const struct sl_route named = {.method = SL_POST,
                                      .path = "/x",
                                      .flags = SL_ROUTE_NAMESPACE,
                                      .success = 200,
                                      .schema = schema,
                                      .handler = act};
static const struct sl_route paid = {
    .method = SL_POST, .path = "/x", .flags = SL_ROUTE_ENTERPRISE, .success = 200, .handler = act};

static struct sl_call *
make(const struct sl_route *route, const char *body, const char *key)
{
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->path = sl_slice_str("/x");
    call->who.scope = scope;
    call->now_ms = 1000;
    call->idempotency_key = sl_slice_str(key);
    call->body_text = sl_slice_str(body);
    cr_assert_eq(sl_json_parse(call->body_text, &call->body_doc, NULL), SL_OK);
    call->body = sl_json_root(call->body_doc);
    return call;
}

/* Run a call to its end and give its status; *ret_reply (static) gets the reply. */
static char text[4096];

static int
end(struct sl_call *call)
{
    int status = call->status;
    snprintf(text, sizeof(text), "%s", sl_buf_text(&call->reply));
    cr_assert_null(call->txn);
    cr_assert_null(g.running);
    sl_call_destroy(&call);
    return status;
}

static int
run(const struct sl_route *route, const char *body, const char *key)
{
    struct sl_call *call = make(route, body, key);
    sl_runner_run(&g, call);
    cr_assert_not(call->is_waiting);
    return end(call);
}

static bool
is_stored(const char *name)
{
    struct sl_slice value;
    struct sl_txn *txn = sl_store_begin(g.store);
    bool is_there = sl_txn_get(txn, scope, SL_TABLE_USER, sl_slice_str(name), &value) == SL_OK;
    sl_txn_abort(&txn);
    return is_there;
}

static void
add_namespace(const char *id, const char *name)
{
    struct sl_buf key = {0};
    struct sl_txn *txn = sl_store_begin(g.store);
    sl_txn_put(txn, scope, SL_TABLE_NAMESPACE, sl_key(&key, 1, id), sl_slice_str("{}"));
    sl_txn_put(txn, scope, SL_TABLE_NAME, sl_key(&key, 3, "namespace", "", name), sl_slice_str(id));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
}

Test(runner, a_success_is_committed_and_a_failure_is_not)
{
    cr_assert_eq(run(&plain, "{\"n\":\"a\"}", NULL), 202);
    cr_assert(is_stored("a"));
    cr_assert_eq(afters, 1);
    cr_assert_eq(run(&plain, "{\"n\":\"b\",\"fail\":true}", NULL), 409);
    cr_assert_not(is_stored("b"));
    cr_assert_eq(afters, 1);
}

static uint64_t room;

static uint64_t
tell_room(void *self)
{
    (void)self;
    return room;
}

Test(runner, a_disk_that_is_nearly_full_refuses_new_rows_takes_deletes_and_recovers)
{
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_disk disk = sl_sim_disk_ops(sim);
    disk.room = tell_room;
    sl_store_close(&g.store);
    struct sl_store_options options = {
        .directory = directory, .disk = &disk, .map_size_bytes = 16 * SL_MIB, .is_sync_off = true};
    room = SL_MIB;
    cr_assert_eq(sl_store_open(&options, &g.store), SL_OK);
    cr_assert_eq(run(&plain, "{\"n\":\"a\"}", "k"), 503);
    cr_assert_not_null(strstr(text, "full"));
    cr_assert_not(is_stored("a"));
    cr_assert_eq(afters, 0);
    struct sl_route deleting = plain;
    deleting.method = SL_DELETE;
    cr_assert_eq(run(&deleting, "{\"n\":\"b\"}", NULL), 202, "that is how room is made");
    struct sl_route suspending = plain;
    suspending.flags |= SL_ROUTE_ANYWAY;
    cr_assert_eq(run(&suspending, "{\"n\":\"c\"}", NULL), 202, "that is how somebody is kept out");
    room = UINT64_MAX;
    cr_assert_eq(run(&plain, "{\"n\":\"a\"}", "k"), 202);
    cr_assert(is_stored("a"));
    sl_store_close(&g.store);
    sl_sim_disk_destroy(&sim);
}

Test(runner, who_is_to_be_kept_out_is_so_on_a_disk_that_is_nearly_full)
{
    static const struct {
        enum sl_method method;
        const char *path;
    } ways[] = {{SL_POST, "/v1/tenants/acme/suspend"},
                {SL_DELETE, "/v1/organizations/users/a@b/api-keys/one"},
                {SL_DELETE, "/v1/organizations/users/a@b"}};
    struct sl_slice params[SL_CALL_PARAMS_MAX];
    for (size_t i = 0; i < SL_COUNT_OF(ways); i++) {
        const struct sl_route *route;
        cr_assert_eq(sl_route_match(ways[i].method, sl_slice_str(ways[i].path), &route, params),
                     SL_OK, "%s", ways[i].path);
        cr_expect(route->method == SL_DELETE || (route->flags & SL_ROUTE_ANYWAY), "%s",
                  ways[i].path);
    }
}

Test(runner, a_body_that_does_not_fit_never_reaches_the_handler)
{
    cr_assert_eq(run(&plain, "{\"n\":7}", "k"), 422);
    cr_assert_eq(runs, 0);
}

Test(runner, the_enterprise_plan_is_asked_for)
{
    cr_assert_eq(run(&paid, "{\"n\":\"a\"}", NULL), 403);
    struct sl_call *call = make(&paid, "{\"n\":\"a\"}", NULL);
    snprintf(call->who.account_type, sizeof(call->who.account_type), "enterprise");
    sl_runner_run(&g, call);
    cr_assert_eq(end(call), 200);
}

Test(runner, a_namespace_is_found_by_id_by_name_or_for_being_the_only_one)
{
    const char *headers[] = {"ns_1", "shop", ""};
    cr_assert_eq(run(&named, "{\"n\":\"a\"}", NULL), 400);
    add_namespace("ns_1", "shop");
    for (size_t i = 0; i < SL_COUNT_OF(headers); i++) {
        struct sl_call *call = make(&named, "{\"n\":\"a\"}", NULL);
        call->namespace_header = sl_slice_str(headers[i]);
        sl_runner_run(&g, call);
        cr_assert_eq(end(call), 200);
        cr_assert_not_null(strstr(text, "\"namespace\":\"ns_1\""), "%s", text);
    }
    add_namespace("ns_2", "ns_1"); /* A name that is another's id does not win. */
    cr_assert_eq(run(&named, "{\"n\":\"a\"}", NULL), 400);
    struct sl_call *call = make(&named, "{\"n\":\"a\"}", NULL);
    call->namespace_header = sl_slice_str("ns_1");
    sl_runner_run(&g, call);
    cr_assert_eq(end(call), 200);
    cr_assert_not_null(strstr(text, "\"namespace\":\"ns_1\""));
    call = make(&named, "{\"n\":\"a\"}", NULL);
    call->namespace_header = sl_slice_str("no");
    sl_runner_run(&g, call);
    cr_assert_eq(end(call), 404);
    call = make(&plain, "{\"n\":\"a\"}", NULL); /* Where none is needed the header is ignored. */
    call->namespace_header = sl_slice_str("no");
    sl_runner_run(&g, call);
    cr_assert_eq(end(call), 202);
}

Test(runner, a_key_makes_a_request_happen_once)
{
    char first[4096];
    cr_assert_eq(run(&plain, "{\"n\":\"a\"}", "k"), 202);
    memcpy(first, text, sizeof(first));
    struct sl_call *call = make(&plain, "{\"n\":\"a\"}", "k");
    call->path = sl_slice_str("/x/");
    sl_runner_run(&g, call);
    cr_assert_eq(call->headers_count, 1);
    cr_assert(sl_slice_is(call->headers[0].name, "Idempotent-Replayed"));
    cr_assert_eq(end(call), 202);
    cr_assert_str_eq(text, first);
    cr_assert_eq(runs, 1);
    cr_assert_eq(run(&plain, "{\"n\":\"b\"}", "k"), 422);
    cr_assert_eq(run(&plain, "{\"n\":\"b\"}", "other"), 202);
    cr_assert_eq(runs, 2);
}

Test(runner, a_key_lasts_a_day)
{
    cr_assert_eq(run(&plain, "{\"n\":\"a\"}", "k"), 202);
    struct sl_call *call = make(&plain, "{\"n\":\"b\"}", "k");
    call->now_ms += SL_IDEMPOTENT_MS;
    sl_runner_run(&g, call);
    cr_assert_eq(end(call), 202);
    cr_assert_eq(runs, 2);
}

Test(runner, refusals_are_kept_and_our_own_failures_are_not)
{
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"fail\":true}", "k"), 409);
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"fail\":true}", "k"), 409);
    cr_assert_eq(runs, 1);
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"break\":true}", "j"), 500);
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"break\":true}", "j"), 500);
    cr_assert_eq(runs, 3);
    cr_assert_not(is_stored("a"));
}

Test(runner, a_failure_that_says_so_keeps_what_was_staged)
{
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"break\":true,\"keep\":true}", NULL), 500);
    cr_assert(is_stored("a"));
    cr_assert_eq(afters, 1);
    cr_assert_eq(run(&plain, "{\"n\":\"b\",\"break\":true}", NULL), 500);
    cr_assert_not(is_stored("b"));
    cr_assert_eq(afters, 1);
}

Test(runner, a_waiting_call_holds_its_key_and_goes_on)
{
    struct sl_call *call = make(&plain, "{\"n\":\"a\",\"wait\":true}", "k");
    sl_runner_run(&g, call);
    cr_assert(call->is_waiting);
    cr_assert(is_stored("a"));
    struct sl_call *second = make(&plain, "{\"n\":\"a\",\"wait\":true}", "k");
    sl_runner_run(&g, second);
    cr_assert_eq(second->status, 409);
    sl_call_destroy(&second);
    sl_runner_continue(&g, call, go_on);
    cr_assert_not(call->is_waiting);
    cr_assert_eq(end(call), 202);
    cr_assert_str_eq(text, "{\"late\":true}");
    cr_assert(is_stored("later"));
    cr_assert_eq(run(&plain, "{\"n\":\"a\",\"wait\":true}", "k"), 202);
    cr_assert_str_eq(text, "{\"late\":true}");
    cr_assert_eq(runs, 2);
}

Test(runner, a_sweep_forgets_what_has_expired)
{
    struct sl_buf cursor = {0};
    for (int i = 0; i < 10; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        struct sl_call *call = make(&plain, "{\"n\":\"a\"}", key);
        call->now_ms = i < 5 ? 1000 : 2000;
        sl_runner_run(&g, call);
        cr_assert_eq(end(call), 202);
    }
    uint32_t rounds = 0;
    do {
        cr_assert_eq(sl_runner_sweep(&g, scope, 1000 + SL_IDEMPOTENT_MS, 3, &cursor), SL_OK);
    } while (cursor.size > 0 && ++rounds < 20);
    cr_assert_eq(rounds, 3);
    struct sl_scan scan;
    uint32_t left = 0;
    struct sl_txn *txn = sl_store_begin(g.store);
    sl_txn_scan(txn, scope, SL_TABLE_IDEMPOTENT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        left++;
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    cr_assert_eq(left, 5);
    sl_buf_deinit(&cursor);
}

/* A full store is told as what it is, and the call leaves nothing behind. */
Test(runner, a_full_store_answers_503)
{
    int status = 202;
    char body[64];
    static char filler[1 << 20];
    for (int i = 0; i < 64 && status == 202; i++) {
        struct sl_txn *txn = sl_store_begin(g.store);
        snprintf(body, sizeof(body), "fill%d", i);
        sl_txn_put(txn, scope, SL_TABLE_USER, sl_slice_str(body), sl_slice(filler, sizeof(filler)));
        if (sl_txn_commit(&txn) != SL_OK)
            break;
    }
    for (int i = 0; i < 100000 && status == 202; i++) {
        snprintf(body, sizeof(body), "{\"n\":\"%d\"}", i);
        status = run(&plain, body, NULL);
    }
    cr_assert_eq(status, 503, "%d %s", status, text);
}
