/* SPDX-License-Identifier: Apache-2.0 */
/* How a tenant leaves: exported, kept, erased; and what is left where the server is killed. */
#include "gateway/offboard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/meter.h"
#include "gateway/purge.h"
#include "gateway/route.h"
#include "gateway/trace_log.h"
#include "object-store/blob.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/report_tap.h"
#include "runtime/time.h"
#include "tests/gateway/harness.h"

#define DAY_MS (24 * 3600 * UINT64_C(1000))
#define CANARY "canary-4711-of-acme"

static struct harness h;
static struct sl_identity operator, acme;
static uint64_t tick_ns;
static char *blob_path; /* Of what acme uploaded. */

static void
put_blob(const char *text, struct sl_blob *ret_blob)
{
    cr_assert_eq(sl_blob_put(h.gateway.blobs, sl_slice_str(text), ret_blob), SL_OK);
}

/* A row that names a blob, as objects do. */
static void
put_source(struct sl_scope scope, const struct sl_blob *blob)
{
    struct sl_buf key = {0};
    char *row = sl_format("{\"blob\":\"%s\"}", blob->id);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, scope, SL_TABLE_SOURCE, sl_key(&key, 2, "bkt_1", "obj_1"), sl_slice_str(row));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    sl_free(row);
}

static void
setup(void)
{
    struct sl_blob blob;
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "starter");
    acme = h.who;
    harness_namespace(&h, CANARY);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"name\":\"items\"}"), 200);
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/mail", "{}"), 200, "%s", h.text);
    put_blob(CANARY " in a blob", &blob);
    put_source(acme.scope, &blob);
    blob_path = sl_format("%s/blobs/%.2s/%s", h.directory, blob.id, blob.id);
    h.who = operator;
    h.now_ms += 10 * 365 * DAY_MS; /* So that no file is young. */
}

static void
teardown(void)
{
    harness_deinit(&h);
    sl_free(blob_path);
}

TestSuite(offboard, .init = setup, .fini = teardown);

static void
offboard(const char *body)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard", body), 202, "%s", h.text);
    cr_assert(harness_is(&h, "state", "offboarding"));
}

/* Up to `max` steps of what is due now; how many there were. */
static uint32_t
steps(uint32_t max)
{
    bool is_more = true;
    uint32_t count = 0;
    while (count < max && is_more) {
        cr_assert_eq(sl_passage_any(&h.gateway, h.now_ms, &is_more), SL_OK);
        count += is_more;
        uint64_t due_ms = h.gateway.passage_due_ms;
        if (!is_more && count > 0 && due_ms != UINT64_MAX && due_ms <= h.now_ms + 1000) {
            h.now_ms = due_ms; /* It waits for others. */
            is_more = true;
        }
        tick_ns += SL_SECOND_NS / 2;
        (void)sl_store_tick(h.gateway.store, tick_ns, true);
    }
    return count;
}

static bool
is_on_disk(const char *text)
{
    char *command = sl_format("grep -rqa -- '%s' %s", text, h.directory);
    int status = system(command);
    sl_free(command);
    return status == 0;
}

static bool
is_state(const char *state)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/acme", NULL), 200, "%s", h.text);
    return harness_is(&h, "state", state);
}

static bool
is_let_in(void)
{
    struct sl_identity who;
    struct sl_door door;
    return sl_keyring_find(h.gateway.keyring, acme.digest, h.now_ms, &who) == SL_OK &&
           (!sl_keyring_door(h.gateway.keyring, who.scope, &door) || !door.is_suspended);
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
expect_gone(void)
{
    struct sl_queue_depth depth;
    cr_expect(is_state("offboarded"), "%s", h.text);
    cr_expect(harness_is(&h, "name", "acme"));
    cr_expect_not(is_let_in());
    cr_expect_eq(rows_of(acme.scope), 0, "%u", rows_of(acme.scope));
    cr_expect_neq(access(blob_path, F_OK), 0);
    for (uint32_t at = 0; sl_queue_depth_next(h.gateway.queue, acme.scope, &at, &depth);)
        cr_expect_neq((int)depth.class, (int)SL_CLASS_OWN);
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/tenants", "{\"tenant_id\":\"acme\",\"name\":\"again\"}"),
        409);
}

/* ---- the way out ---------------------------------------------------------------------------- */

Test(offboard, keeps_everything_until_its_time_and_then_nothing)
{
    offboard("{\"data_retention_days\":7,\"export_data\":false}");
    cr_expect_not(is_let_in());
    cr_expect_leq(steps(100), 4);
    cr_expect(is_state("offboarding"));
    cr_expect_geq(rows_of(acme.scope), 5);
    h.now_ms += 7 * DAY_MS - 1;
    cr_expect_eq(steps(100), 0);
    harness_reopen(&h);
    cr_expect_not(is_let_in());
    h.now_ms += 1;
    cr_expect(is_on_disk(CANARY), "else what follows shows nothing");
    cr_expect_lt(steps(100), 50);
    for (int i = 0; i < 2; i++) {
        expect_gone();
        cr_expect_not(is_on_disk(CANARY));
        harness_reopen(&h);
    }
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations/audit/logs?action=tenant_purged", NULL),
                 200);
    cr_expect_eq(harness_number(&h, "total"), 1);
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations/audit/verify", NULL), 200, "%s",
                 h.text);
}

/* How many of the lines that the head keeps are what was said before. */
static void
count_line(void *count, const struct sl_report_entry *entry)
{
    if (strcmp(entry->texts[SL_REPORT_event], "seen") == 0)
        ++*(unsigned *)count;
}

static unsigned
lines_about(void)
{
    struct sl_report_wanted all = {.limit = 1000};
    struct sl_report_walk walk;
    unsigned count = 0;
    sl_report_tap_find(h.gateway.lines, &all, count_line, &count, &walk);
    return count;
}

Test(offboard, takes_along_the_lines_that_the_head_keeps)
{
    h.gateway.lines = sl_report_tap_create();
    cr_assert_not_null(h.gateway.lines);
    sl_report_info("seen", "tenant=acme");
    while (lines_about() == 0)
        sl_time_sleep_ns(SL_MILLI_NS);
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    (void)steps(100);
    expect_gone();
    cr_expect_eq(lines_about(), 0);
    sl_report_tap_destroy(&h.gateway.lines);
}

static void
count_call(void *count, const struct sl_kept_call *call)
{
    (void)call;
    ++*(unsigned *)count;
}

Test(offboard, takes_along_the_slow_calls_that_the_head_keeps)
{
    struct sl_trace_context context = {0};
    struct sl_trace_clock now = {0};
    struct sl_m_call_traced m = {.context = sl_slice(&context, sizeof(context))};
    struct sl_identity acme;
    unsigned count = 0;
    h.gateway.trace_log = sl_trace_log_create();
    cr_assert_eq(sl_keyring_tenant(h.gateway.keyring, sl_slice_str("acme"), &acme), SL_OK);
    m.scope = acme.scope.id;
    sl_trace_log_call(h.gateway.trace_log, &m, &now);
    m.scope++;
    sl_trace_log_call(h.gateway.trace_log, &m, &now);
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    (void)steps(100);
    expect_gone();
    sl_trace_log_calls(h.gateway.trace_log, count_call, &count);
    cr_expect_eq(count, 1, "another tenant's stays");
    sl_trace_log_destroy(&h.gateway.trace_log);
}

Test(offboard, goes_on_behind_the_last_step_that_was_committed)
{
    for (uint32_t cut = 0; cut < 40; cut++) {
        offboard("{\"data_retention_days\":0,\"export_data\":false}");
        uint32_t done = steps(cut);
        harness_reopen(&h);
        cr_expect_not(is_let_in(), "cut %u", cut);
        h.now_ms += 1000; /* What waited for others is due. */
        (void)steps(100);
        expect_gone();
        teardown();
        setup();
        if (done < cut)
            return; /* That was all of it. */
    }
    cr_assert_fail("it does not end");
}

/* As a read of acme's, that was answered and is in no record yet. */
static void
use_some(void)
{
    static const struct sl_route read = {.name = "list_buckets", .permission = SL_PERMIT_READ};
    struct sl_call *call = sl_call_create();
    call->who = acme;
    call->gateway = &h.gateway;
    call->now_ms = h.now_ms;
    call->route = &read;
    call->status = 200;
    sl_meter_use(call, SL_LEDGER_tokens, 5, "");
    sl_meter_answered(call);
    sl_call_destroy(&call);
}

Test(offboard, erases_what_was_used_last_as_well)
{
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    use_some();
    cr_expect_neq(sl_meter_due_ns(&h.gateway), UINT64_MAX, "something is on its way");
    steps(100);
    cr_expect(is_state("offboarding"), "it waits for that: %s", h.text);
    cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    cr_expect_gt(rows_of(acme.scope), 0, "behind the step that erases rows");
    h.now_ms += 1000;
    steps(100);
    expect_gone();
    cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    cr_expect_eq(rows_of(acme.scope), 0);
}

Test(offboard, is_cancelled_while_the_data_is_kept)
{
    struct sl_queue_depth depth;
    uint64_t mail = sl_lane_hash(sl_slice_str("mail"));
    uint32_t rows = rows_of(acme.scope);
    for (uint32_t cut = 0; cut < 12; cut += 3) {
        offboard("{}");
        cr_assert_eq(sl_queue_depth(h.gateway.queue, acme.scope, SL_CLASS_OWN, mail, &depth),
                     SL_OK);
        cr_expect_eq(depth.settings.mode, SL_LANE_PAUSED);
        (void)steps(cut);
        cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 200, "%s",
                     h.text);
        for (int i = 0; i < 2; i++) {
            cr_expect(is_state("active"));
            cr_expect(is_let_in());
            cr_expect_eq(steps(100), 0);
            harness_reopen(&h);
        }
        cr_assert_eq(sl_queue_depth(h.gateway.queue, acme.scope, SL_CLASS_OWN, mail, &depth),
                     SL_OK);
        cr_expect_eq(depth.settings.mode, SL_LANE_OPEN);
        cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 409);
    }
    cr_expect_geq(rows_of(acme.scope), rows);
    cr_assert_eq(access(blob_path, F_OK), 0);
}

Test(offboard, comes_back_suspended_where_it_was)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/suspend", "{\"reason\":\"abuse\"}"),
                 200);
    offboard("{\"export_data\":false}");
    (void)steps(2);
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 200, "%s",
                 h.text);
    cr_expect(harness_is(&h, "state", "suspended"));
    cr_expect(harness_is(&h, "suspend_reason", "abuse"));
    cr_expect_not(is_let_in());
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/resume", NULL), 200, "%s", h.text);
    cr_expect(is_let_in());
}

Test(offboard, has_no_way_back_once_something_is_erased)
{
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    (void)steps(4);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 409, "%s",
                 h.text);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/suspend", "{\"reason\":\"abuse\"}"),
                 409);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard", "{}"), 409);
    (void)steps(100);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 409);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard", "{}"), 409);
}

Test(offboard, is_refused_where_it_makes_no_sense)
{
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/operator/offboard", "{}"), 409);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/nobody/offboard", "{}"), 404);
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/tenants/acme/offboard", "{\"data_retention_days\":0}"), 422);
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/tenants/acme/offboard", "{\"data_retention_days\":366}"),
        422);
    cr_expect(is_state("active"));
}

static bool
is_entered(void)
{
    struct sl_identity tenant;
    return sl_keyring_tenant(h.gateway.keyring, sl_slice_str("acme"), &tenant) == SL_OK;
}

Test(offboard, lets_no_operator_in_once_it_is_erased)
{
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    cr_expect(is_entered());
    (void)steps(4);
    for (int i = 0; i < 2; i++) {
        cr_expect_not(is_entered());
        cr_expect_eq(harness_call(&h, "PATCH", "/v1/tenants/acme", "{\"name\":\"x\"}"), 409);
        harness_reopen(&h);
    }
    h.now_ms += 1000;
    (void)steps(100);
    for (int i = 0; i < 2; i++) {
        expect_gone();
        cr_expect_not(is_entered());
        cr_expect_eq(harness_call(&h, "PATCH", "/v1/tenants/acme", "{\"name\":\"x\"}"), 409);
        harness_reopen(&h);
    }
}

/* ---- others' passages ------------------------------------------------------------------------ */

Test(offboard, erases_two_tenants_whose_turns_alternate)
{
    harness_tenant(&h, "other", "starter");
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/other/offboard",
                              "{\"data_retention_days\":0,\"export_data\":false}"),
                 202, "%s", h.text);
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    cr_expect_lt(steps(400), 400);
    expect_gone();
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/other", NULL), 200);
    cr_expect(harness_is(&h, "state", "offboarded"));
}

Test(offboard, is_not_held_up_by_a_note_that_is_about_nobody)
{
    static const char *const notes[] = {"{\"kind\":\"offboard\",\"step\":0}", "{", "[]"};
    static const char *const ids[] = {"aaa", "aab", "aac"};
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    for (size_t i = 0; i < SL_COUNT_OF(ids); i++)
        sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str(ids[i]),
                   sl_slice_str(notes[i]));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    cr_expect_lt(steps(100), 100);
    expect_gone();
}

/* ---- what others have ----------------------------------------------------------------------- */

Test(offboard, leaves_a_blob_that_another_tenant_names)
{
    struct sl_blob blob;
    harness_tenant(&h, "other", "starter");
    put_blob(CANARY " in a blob", &blob);
    put_source(h.who.scope, &blob);
    uint32_t rows = rows_of(h.who.scope);
    struct sl_scope other = h.who.scope;
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    (void)steps(100);
    cr_expect(is_state("offboarded"));
    cr_expect_eq(access(blob_path, F_OK), 0);
    cr_expect_eq(rows_of(other), rows);
}

/* Its row may be about to come: another tenant has just uploaded the same bytes. */
Test(offboard, leaves_a_blob_that_was_just_made_until_later)
{
    h.now_ms = (uint64_t)time(NULL) * 1000;
    offboard("{\"data_retention_days\":0,\"export_data\":false}");
    (void)steps(100);
    cr_expect(is_state("offboarding"));
    cr_expect_eq(access(blob_path, F_OK), 0);
    h.now_ms += 11 * 60 * UINT64_C(1000);
    (void)steps(100);
    expect_gone();
}

/* ---- exports -------------------------------------------------------------------------------- */

/* Whether what `tar` gets out of the file is as `command` says: names, and who reads them. */
static bool
says(const char *command, const char *file)
{
    char *line = sl_format("cd %s && tar -xOf %s %s", h.directory, file, command);
    int status = system(line);
    sl_free(line);
    return status == 0;
}

Test(offboard, exports_all_of_it_with_its_digest)
{
    offboard("{\"data_retention_days\":30}");
    char *id = harness_text(&h, "export_id");
    char *path = sl_format("/v1/tenants/acme/exports/%s", id);
    char *content = sl_format("%s/content", path);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "status", "pending"));
    cr_expect_eq(harness_call(&h, "GET", content, NULL), 409);
    (void)steps(3);
    harness_reopen(&h); /* In the middle: it begins anew. */
    (void)steps(1000);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "completed"), "%s", h.text);
    char *digest = harness_text(&h, "sha256");
    char *file = sl_format("%s/blobs/%.2s/%s", h.directory, digest, digest);
    harness_reopen(&h); /* It outlasts the sweep of a start. */
    cr_expect(says("manifest.json | grep -q '\"tenant_id\":\"acme\"'", file));
    cr_expect(says("rows/namespaces/000001.jsonl | grep -q " CANARY, file));
    cr_expect(says("rows/events/000001.jsonl | grep -q tenant_state_changed", file));
    cr_expect(says("--wildcards 'blobs/*' | grep -q '" CANARY " in a blob'", file));
    char *sum = sl_format("echo %s %s | sha256sum -c --status", digest, file);
    cr_expect_eq(system(sum), 0, "the digest is that of the file");
    sl_free(sum);
    cr_expect_eq(harness_call(&h, "GET", content, NULL), 200, "%s", h.text);
    h.now_ms += 31 * DAY_MS;
    (void)steps(100);
    expect_gone();
    cr_expect_neq(access(file, F_OK), 0, "the export goes with the data");
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    sl_free(file);
    sl_free(digest);
    sl_free(content);
    sl_free(path);
    sl_free(id);
}

/* A blob that cannot be read: nothing is erased before all of it was exported. */
Test(offboard, erases_nothing_of_what_it_could_not_export)
{
    char *aside = sl_format("%s.aside", blob_path);
    cr_assert_eq(rename(blob_path, aside), 0);
    cr_assert_eq(mkdir(blob_path, 0700), 0);
    offboard("{\"data_retention_days\":1}");
    char *id = harness_text(&h, "export_id");
    char *path = sl_format("/v1/tenants/acme/exports/%s", id);
    for (int i = 0; i < 5; i++) {
        (void)steps(1000);
        cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
        cr_expect(harness_is(&h, "status", "failed"), "%s", h.text);
        h.now_ms += DAY_MS;
    }
    cr_expect(is_state("offboarding"));
    cr_expect_geq(rows_of(acme.scope), 5);
    cr_assert_eq(rmdir(blob_path), 0);
    cr_assert_eq(rename(aside, blob_path), 0);
    (void)steps(1000);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "status", "completed"), "%s", h.text);
    h.now_ms += DAY_MS - 1; /* So long it is there, late as it was. */
    cr_expect_eq(steps(1000), 0);
    h.now_ms += 1;
    (void)steps(1000);
    expect_gone();
    sl_free(aside);
    sl_free(path);
    sl_free(id);
}

/* The blob of the export that the last reply is about; owned. */
static char *
export_file(const char *path)
{
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    char *digest = harness_text(&h, "sha256");
    char *file = sl_format("%s/blobs/%.2s/%s", h.directory, digest, digest);
    sl_free(digest);
    return file;
}

/* Whoever got the export may have stored it: the same bytes are one file. */
Test(offboard, leaves_an_export_that_another_tenant_names)
{
    struct sl_blob blob = {0};
    harness_tenant(&h, "other", "starter");
    struct sl_scope other = h.who.scope;
    for (int is_cancelled = 1; is_cancelled >= 0; is_cancelled--) {
        offboard("{\"data_retention_days\":1}");
        char *id = harness_text(&h, "export_id");
        char *path = sl_format("/v1/tenants/acme/exports/%s", id);
        (void)steps(1000);
        char *file = export_file(path);
        (void)snprintf(blob.id, sizeof(blob.id), "%s", strrchr(file, '/') + 1);
        put_source(other, &blob);
        h.now_ms += DAY_MS;
        if (is_cancelled)
            cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 200);
        else
            (void)steps(1000);
        cr_expect(is_state(is_cancelled ? "active" : "offboarded"));
        cr_expect_eq(access(file, F_OK), 0);
        sl_free(file);
        sl_free(path);
        sl_free(id);
    }
}

Test(offboard, takes_an_export_along_that_nobody_else_names)
{
    offboard("{}");
    char *id = harness_text(&h, "export_id");
    char *path = sl_format("/v1/tenants/acme/exports/%s", id);
    (void)steps(1000);
    char *file = export_file(path);
    cr_assert_eq(access(file, F_OK), 0);
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/offboard/cancel", NULL), 200);
    cr_expect_neq(access(file, F_OK), 0);
    sl_free(file);
    sl_free(path);
    sl_free(id);
}

Test(offboard, exports_no_secret)
{
    h.who = acme;
    cr_assert_eq(harness_call(&h, "POST", "/v1/organizations/webhooks",
                              "{\"webhook_name\":\"hook\",\"event_types\":[\"object.created\"],"
                              "\"channels\":[{\"channel\":\"webhook\",\"configs\":"
                              "{\"url\":\"https://example.org/\"}}]}"),
                 201, "%s", h.text);
    char *secret = harness_text(&h, "secret");
    offboard("{}");
    char *id = harness_text(&h, "export_id");
    char *path = sl_format("/v1/tenants/acme/exports/%s", id);
    (void)steps(1000);
    char *file = export_file(path);
    char *command = sl_format("grep -qa '%s' %s", secret, file);
    cr_expect(says("rows/webhooks/000001.jsonl | grep -q example.org", file));
    cr_expect_neq(system(command), 0);
    sl_free(command);
    sl_free(file);
    sl_free(path);
    sl_free(id);
    sl_free(secret);
}

Test(offboard, exports_two_tenants_one_behind_the_other)
{
    harness_tenant(&h, "other", "starter");
    harness_namespace(&h, "another");
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/other/offboard", "{}"), 202, "%s", h.text);
    char *other = harness_text(&h, "export_id");
    offboard("{}");
    char *own = harness_text(&h, "export_id");
    char *paths[] = {sl_format("/v1/tenants/acme/exports/%s", own),
                     sl_format("/v1/tenants/other/exports/%s", other)};
    cr_expect_lt(steps(200), 200);
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        cr_assert_eq(harness_call(&h, "GET", paths[i], NULL), 200, "%s", h.text);
        cr_expect(harness_is(&h, "status", "completed"), "%s", h.text);
        sl_free(paths[i]);
    }
    sl_free(own);
    sl_free(other);
}

Test(offboard, shows_exports_to_their_tenant_alone)
{
    offboard("{}");
    char *id = harness_text(&h, "export_id");
    char *path = sl_format("/v1/tenants/acme/exports/%s", id);
    harness_tenant(&h, "other", "starter");
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    h.who = acme;
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 200);
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants/acme/exports/exp_none", NULL), 404);
    sl_free(path);
    sl_free(id);
}
