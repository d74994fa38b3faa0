/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what is in it, what it hides, and that nobody changes it unseen. */
#include "gateway/audit.h"

#include <criterion/criterion.h>

#include "actors/rows.h"
#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "tests/gateway/harness.h"

#define LOGS     "/v1/organizations/audit/logs"
#define VERIFY   "/v1/organizations/audit/verify"
#define SETTINGS "/v1/organizations/audit/settings"

static struct harness h;

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "other", "starter");
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(audit, .init = setup, .fini = teardown);

static uint64_t
events(const char *query)
{
    char *target = sl_format(LOGS "?limit=1000%s", query);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200, "%s", h.text);
    sl_free(target);
    return harness_number(&h, "total");
}

static void
make_bucket(const char *name)
{
    char *body = sl_format("{\"bucket_name\":\"%s\"}", name);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", body), 200, "%s", h.text);
    sl_free(body);
}

/* What is stored as event `sequence` of the caller; owned. */
static char *
stored(uint64_t sequence)
{
    struct sl_buf key = {0};
    struct sl_slice value;
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    cr_assert_eq(sl_txn_get(txn, h.who.scope, SL_TABLE_AUDIT, sl_audit_key(&key, sequence), &value),
                 SL_OK);
    char *text = sl_strndup((const char *)value.data, value.size);
    sl_txn_abort(&txn);
    sl_buf_deinit(&key);
    return text;
}

/* As somebody with the files would; NULL: gone. */
static void
overwrite(uint64_t sequence, const char *text)
{
    struct sl_buf key = {0};
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_slice at = sl_audit_key(&key, sequence);
    if (text == NULL)
        sl_txn_del(txn, h.who.scope, SL_TABLE_AUDIT, at);
    else
        sl_txn_put(txn, h.who.scope, SL_TABLE_AUDIT, at, sl_slice_str(text));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
}

static bool
is_intact(void)
{
    cr_assert_eq(harness_call(&h, "GET", VERIFY, NULL), 200, "%s", h.text);
    return sl_json_bool(sl_json_member(h.reply, "is_intact"), false);
}

/* ---- what is in it -------------------------------------------------------------------------- */

/* Each operation that changes something is audited, or one of these: what they change is data, and
 * tells of itself. */
static const char *const data[] = {
    "create_batch",       "patch_batch",      "delete_batch",     "add_batch_objects",
    "submit_batch",       "cancel_batch",     "retry_batch",      "retry_batch_write",
    "create_object",      "create_objects",   "patch_object",     "put_object",
    "delete_object",      "patch_document",   "put_document",     "delete_document",
    "create_document",    "update_documents", "delete_documents", "bulk_update_documents",
    "patch_any_document", "put_any_document", "create_inference", "create_embeddings",
    "put_own_jobs",       "cancel_own_jobs",  "retry_own_jobs",   "delete_own_jobs",
    "edit_own_job",       "delete_own_job",   "cancel_own_job",   "retry_own_job",
    "lease_own_jobs",     "end_own_jobs",     "extend_own_jobs",  "delete_task",
    "create_upload",      "put_upload",       "confirm_upload",   "delete_upload",
    "put_model_upload",   "put_any_upload",   "check_quota"};

static bool
is_data(const char *operation)
{
    for (size_t i = 0; i < SL_COUNT_OF(data); i++)
        if (strcmp(data[i], operation) == 0)
            return true;
    return false;
}

Test(audit_table, has_each_operation_that_changes_something)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_route *r = &routes[i];
        const struct sl_audited *what = sl_audited_find(r->name);
        bool changes = r->method != SL_GET && r->permission != SL_PERMIT_READ &&
                       !(r->flags & SL_ROUTE_REFUSED) && r->method != SL_ANY &&
                       strncmp(r->name, "list_", 5) != 0;
        if (changes)
            cr_expect((what != NULL && !what->is_read) != is_data(r->name),
                      "%s: either audited or data", r->name);
        else
            cr_expect(what == NULL || what->is_read, "%s only reads", r->name);
    }
}

Test(audit_table, is_in_order_and_names_operations_that_there_are)
{
    static const char *const names[] = {
#define AUDITED(operation, type, action, member)      #operation,
#define AUDITED_READ(operation, type, action, member) #operation,
#include "gateway/audit.def"
    };
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        bool is_there = false;
        for (uint32_t r = 0; r < count; r++)
            is_there = is_there || strcmp(routes[r].name, names[i]) == 0;
        cr_expect(is_there, "there is no operation %s", names[i]);
        cr_expect(i == 0 || strcmp(names[i - 1], names[i]) < 0, "%s is out of order", names[i]);
    }
}

Test(audit, tells_who_made_what)
{
    h.user_agent = "curl/8";
    make_bucket("items");
    char *id = harness_text(&h, "bucket_id");
    char *query = sl_format("&resource_id=%s", id);
    cr_assert_eq(events(query), 1);
    cr_expect(harness_is(&h, "results.0.action", "bucket_created"));
    cr_expect(harness_is(&h, "results.0.resource_type", "bucket"));
    cr_expect(harness_is(&h, "results.0.actor_id", h.who.user_id));
    cr_expect(harness_is(&h, "results.0.actor_type", "user"));
    cr_expect(harness_is(&h, "results.0.status", "success"));
    cr_expect(harness_is(&h, "results.0.user_agent", "curl/8"));
    cr_expect(harness_is(&h, "results.0.changes.bucket_name", "items"));
    char *event = harness_text(&h, "results.0.audit_id");
    char *path = sl_format(LOGS "/%s", event);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "audit_id", event));
    sl_free(id);
    sl_free(query);
    sl_free(event);
    sl_free(path);
}

Test(audit, has_the_newest_first_and_pages)
{
    make_bucket("a");
    make_bucket("b");
    make_bucket("c");
    cr_assert_eq(events("&action=bucket_created"), 3);
    cr_expect(harness_is(&h, "results.0.changes.bucket_name", "c"));
    cr_assert_eq(harness_call(&h, "GET", LOGS "?action=bucket_created&skip=1&limit=1", NULL), 200);
    cr_expect(harness_is(&h, "results.0.changes.bucket_name", "b"));
    cr_expect_eq(harness_number(&h, "total"), 3);
    cr_expect_eq(harness_number(&h, "skip"), 1);
    cr_expect_eq(harness_number(&h, "limit"), 1);
}

Test(audit, finds_by_time_and_by_each_name)
{
    uint64_t all = events("");
    h.now_ms += 3600 * 1000;
    make_bucket("late");
    char from[SL_TIME_TEXT_SIZE];
    sl_time_format(h.now_ms, from);
    char *since = sl_format("&start=%s", from), *until = sl_format("&end=%s", from);
    cr_expect_eq(events(since), 1);
    cr_expect_eq(events(until), all);
    cr_expect_eq(events("&resource_type=bucket"), 1);
    cr_expect_eq(events("&resource_type=retriever"), 0);
    cr_expect_eq(events("&actor_id=nobody"), 0);
    cr_expect_eq(harness_call(&h, "GET", LOGS "?start=yesterday", NULL), 422);
    sl_free(since);
    sl_free(until);
}

Test(audit, says_nothing_of_a_call_that_changed_nothing)
{
    uint64_t before = events("");
    cr_expect_eq(harness_call(&h, "POST", "/v1/buckets", "{\"bucket_name\":\"\"}"), 422);
    cr_expect_eq(harness_call(&h, "DELETE", "/v1/buckets/none", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", "/v1/buckets", NULL), 200);
    cr_expect_eq(events(""), before);
}

Test(audit, has_one_event_for_requests_under_one_key)
{
    h.idempotency_key = "once";
    make_bucket("items");
    make_bucket("items");
    h.idempotency_key = NULL;
    cr_expect_eq(events("&action=bucket_created"), 1);
}

Test(audit, names_what_is_done_to_keys)
{
    char *path = sl_format("/v1/organizations/users/%s/api-keys", "owner@acme.local");
    char *one = sl_format("%s/k", path), *rotate = sl_format("%s/k/rotate", path);
    cr_assert_eq(harness_call(&h, "POST", path, "{\"name\":\"k\"}"), 200, "%s", h.text);
    char *secret = harness_text(&h, "key");
    cr_assert_eq(harness_call(&h, "PATCH", one, "{\"permissions\":[\"read\"]}"), 200);
    cr_assert_eq(harness_call(&h, "POST", rotate, NULL), 200, "%s", h.text);
    char *rotated = harness_text(&h, "key");
    cr_assert_eq(harness_call(&h, "PATCH", one, "{\"status\":\"revoked\"}"), 200);
    cr_expect_eq(events("&action=api_key_created"), 1);
    cr_expect_eq(events("&action=permission_updated"), 1);
    cr_expect_eq(events("&action=api_key_rotated"), 1);
    cr_expect_eq(events("&action=api_key_revoked"), 1);
    (void)events("");
    cr_expect_null(strstr(h.text, secret));
    cr_expect_null(strstr(h.text, rotated));
    sl_free(path);
    sl_free(one);
    sl_free(rotate);
    sl_free(secret);
    sl_free(rotated);
}

Test(audit, hides_what_sounds_secret_and_what_is_long)
{
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/organizations",
                              "{\"metadata\":{\"a\":[{\"db_Password\":\"hunter2\"}],\"b\":1}}"),
                 200, "%s", h.text);
    cr_assert_eq(events("&action=organization_updated"), 1);
    cr_expect(harness_is(&h, "results.0.changes.metadata.a.0.db_Password", "hidden"));
    cr_expect_eq(harness_number(&h, "results.0.changes.metadata.b"), 1);
    char *long_text = sl_zalloc(SL_AUDIT_CHANGES_MAX + 1);
    memset(long_text, 'x', SL_AUDIT_CHANGES_MAX);
    char *body = sl_format("{\"metadata\":{\"c\":\"%s\"}}", long_text);
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/organizations", body), 200);
    cr_assert_eq(events("&action=organization_updated"), 2);
    cr_expect_eq(harness_number(&h, "results.0.changes.omitted_bytes"), strlen(body));
    sl_free(long_text);
    sl_free(body);
}

Test(audit, is_each_organizations_own)
{
    make_bucket("items");
    (void)events("&action=bucket_created");
    char *event = harness_text(&h, "results.0.audit_id");
    char *path = sl_format(LOGS "/%s", event);
    h.namespace_id = NULL;
    harness_tenant(&h, "third", "starter");
    cr_expect_eq(events(""), 0);
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", LOGS "/audit_x", NULL), 404);
    cr_expect_eq(harness_call(&h, "GET", LOGS "/audit_0000000000000000", NULL), 404);
    sl_free(event);
    sl_free(path);
}

Test(audit, has_reads_where_they_are_asked_for)
{
    make_bucket("items");
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(events("&action=bucket_accessed"), 0);
    cr_assert_eq(harness_call(&h, "PATCH", SETTINGS, "{\"read_auditing_enabled\":true}"), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(events("&action=bucket_accessed"), 1);
    cr_assert_eq(harness_call(&h, "PATCH", SETTINGS, "{\"read_auditing_enabled\":false}"), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(events("&action=bucket_accessed"), 1);
    cr_expect_eq(events("&action=audit_settings_updated"), 2);
    cr_assert_eq(harness_call(&h, "GET", SETTINGS, NULL), 200);
    cr_expect_not(sl_json_bool(sl_json_member(h.reply, "read_auditing_enabled"), true));
}

/* ---- the chain ------------------------------------------------------------------------------ */

Test(audit, is_whole_when_nobody_touched_it)
{
    for (int i = 0; i < 5; i++) {
        char *name = sl_format("b%d", i);
        make_bucket(name);
        sl_free(name);
    }
    cr_assert(is_intact(), "%s", h.text);
    cr_expect_eq(harness_number(&h, "events"), 6); /* And the namespace. */
    harness_reopen(&h);
    make_bucket("after");
    cr_assert(is_intact(), "%s", h.text);
    cr_expect_eq(harness_number(&h, "events"), 7);
}

Test(audit, of_nobody_yet_is_whole)
{
    h.namespace_id = NULL;
    harness_tenant(&h, "fresh", "starter");
    cr_assert(is_intact(), "%s", h.text);
    cr_expect_eq(harness_number(&h, "events"), 0);
}

Test(audit, shows_an_event_that_was_changed)
{
    make_bucket("a");
    make_bucket("b");
    char *text = stored(2), *at = strstr(text, "bucket_created");
    cr_assert_not_null(at);
    memcpy(at, "bucket_updated", 14);
    overwrite(2, text);
    cr_assert_not(is_intact());
    cr_expect_eq(harness_number(&h, "broken_at"), 2);
    sl_free(text);
}

Test(audit, shows_an_event_that_is_missing)
{
    make_bucket("a");
    make_bucket("b");
    overwrite(2, NULL);
    cr_assert_not(is_intact());
    cr_expect_eq(harness_number(&h, "broken_at"), 2);
}

Test(audit, shows_that_the_first_is_missing)
{
    make_bucket("a");
    overwrite(1, NULL);
    cr_assert_not(is_intact());
    cr_expect_eq(harness_number(&h, "broken_at"), 1);
}

Test(audit, shows_one_that_was_put_in)
{
    make_bucket("a");
    char *text = stored(1);
    overwrite(3, text);
    cr_assert_not(is_intact());
    sl_free(text);
}

Test(audit, shows_what_cannot_be_read)
{
    make_bucket("a");
    overwrite(3, "{\"sequence\":3}");
    cr_assert_not(is_intact());
}

/* All made anew is seen by its head alone. */
Test(audit, has_another_head_when_its_newest_event_is_gone)
{
    make_bucket("a");
    cr_assert(is_intact());
    char *head = harness_text(&h, "head");
    overwrite(2, NULL);
    cr_assert(is_intact());
    cr_expect_not(harness_is(&h, "head", head));
    sl_free(head);
}

Test(audit, walks_a_long_log_in_turns)
{
    for (int i = 0; i < 4100; i++)
        cr_assert_eq(harness_call(&h, "PATCH", "/v1/organizations", "{\"metadata\":{}}"), 200);
    harness_turns = 0;
    cr_assert(is_intact(), "%s", h.text);
    cr_expect_eq(harness_number(&h, "events"), 4101);
    cr_expect_geq(harness_turns, 2);
}
