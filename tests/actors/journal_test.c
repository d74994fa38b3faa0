/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

#define NOW_MS UINT64_C(1790000000000)

static const struct sl_scope tenant = {7}, other = {8};

static char directory[64];

static struct sl_store *
open_store(void)
{
    struct sl_store *store = NULL;
    if (directory[0] == '\0') {
        (void)snprintf(directory, sizeof(directory), "/tmp/sluice-journal-XXXXXX");
        cr_assert_not_null(mkdtemp(directory));
    }
    struct sl_store_options options = {.directory = directory, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    return store;
}

static void
close_store(struct sl_store **store)
{
    char command[128];
    sl_store_close(store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    directory[0] = '\0';
}

static bool
add(struct sl_store *store, uint64_t now_ms, const struct sl_journal_event *event)
{
    struct sl_txn *txn = sl_store_begin(store);
    bool is_added = sl_journal_add(txn, now_ms, event);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    return is_added;
}

/* How many there are in a scope; *ret_last is the newest. */
static uint32_t
count(struct sl_store *store, struct sl_scope scope, uint64_t *ret_first, uint64_t *ret_last)
{
    struct sl_txn *txn = sl_store_begin(store);
    struct sl_scan scan;
    struct sl_journal_row row;
    uint32_t found = 0;
    *ret_first = *ret_last = 0;
    sl_txn_scan(txn, scope, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        cr_assert(sl_journal_read(scan.key, scan.value, &row));
        cr_assert_gt(row.sequence, *ret_last);
        *ret_first = found++ == 0 ? row.sequence : *ret_first;
        *ret_last = row.sequence;
    }
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    return found;
}

static const struct sl_journal_event joined = {
    .kind = SL_JOURNAL_node_joined, .node_id = "w1", .group = "cpu", .subject = "w1"};
static const struct sl_journal_event failed = {.kind = SL_JOURNAL_job_failed,
                                               .scope = {7},
                                               .tenant_id = "acme",
                                               .subject = "job-1",
                                               .message = "2 of 3 tasks failed"};

Test(journal, an_event_of_a_tenant_is_among_all_and_among_the_tenants_alone)
{
    struct sl_store *store = open_store();
    uint64_t first, last;
    add(store, NOW_MS, &joined);
    add(store, NOW_MS, &failed);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), 2);
    cr_expect_eq(count(store, tenant, &first, &last), 1);
    cr_expect_eq(count(store, other, &first, &last), 0);
    close_store(&store);
}

Test(journal, numbers_rise_also_when_the_clock_is_set_back_and_over_restarts)
{
    struct sl_store *store = open_store();
    uint64_t first, last, before;
    add(store, NOW_MS, &joined);
    (void)count(store, SL_SCOPE_SYSTEM, &first, &before);
    cr_expect_eq(before, sl_journal_at(NOW_MS));
    cr_expect_eq(sl_journal_time_ms(before), NOW_MS);
    sl_store_close(&store);
    store = open_store();
    add(store, NOW_MS - 3600000, &joined);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), 2);
    cr_expect_eq(last, before + 1);
    close_store(&store);
}

Test(journal, several_of_one_transaction_are_all_there_in_their_order)
{
    struct sl_store *store = open_store();
    uint64_t first, last;
    struct sl_txn *txn = sl_store_begin(store);
    for (int i = 0; i < 5; i++)
        sl_journal_add(txn, NOW_MS, i % 2 == 0 ? &failed : &joined);
    cr_expect_eq(sl_journal_last(txn), sl_journal_at(NOW_MS) + 4);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), 5);
    cr_expect_eq(last - first, 4);
    cr_expect_eq(count(store, tenant, &first, &last), 3);
    close_store(&store);
}

Test(journal, what_was_not_committed_did_not_happen)
{
    struct sl_store *store = open_store();
    uint64_t first, last;
    struct sl_txn *txn = sl_store_begin(store);
    sl_journal_add(txn, NOW_MS, &failed);
    sl_txn_abort(&txn);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), 0);
    cr_expect_eq(count(store, tenant, &first, &last), 0);
    close_store(&store);
}

Test(journal, a_tenant_keeps_so_many_and_knows_which_are_gone)
{
    struct sl_store *store = open_store();
    uint64_t first, last;
    struct sl_txn *txn = NULL;
    for (unsigned i = 0; i < SL_JOURNAL_TENANT_MAX + 50; i++) {
        txn = txn == NULL ? sl_store_begin(store) : txn;
        sl_journal_add(txn, NOW_MS + i, &failed);
        if (i % 3 == 0) /* Some in a transaction of their own, some together. */
            cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    }
    if (txn != NULL)
        cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    cr_expect_eq(count(store, tenant, &first, &last), SL_JOURNAL_TENANT_MAX);
    cr_expect_eq(sl_journal_time_ms(first), NOW_MS + 50);
    txn = sl_store_begin(store);
    cr_expect_eq(sl_journal_time_ms(sl_journal_cut(txn, tenant)), NOW_MS + 49);
    cr_expect_eq(sl_journal_cut(txn, SL_SCOPE_SYSTEM), 0);
    sl_txn_abort(&txn);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), SL_JOURNAL_TENANT_MAX + 50);
    close_store(&store);
}

Test(journal, what_is_too_old_goes_when_something_comes)
{
    struct sl_store *store = open_store();
    uint64_t first, last;
    for (unsigned i = 0; i < 4; i++)
        add(store, NOW_MS + i, &failed);
    add(store, NOW_MS + 2 + SL_JOURNAL_KEEP_MS, &failed);
    cr_expect_eq(count(store, tenant, &first, &last), 3);
    cr_expect_eq(sl_journal_time_ms(first), NOW_MS + 2);
    cr_expect_eq(count(store, SL_SCOPE_SYSTEM, &first, &last), 3);
    close_store(&store);
}

Test(journal, one_that_is_quiet_is_not_told_again_too_soon)
{
    struct sl_store *store = open_store();
    struct sl_journal_event quota = {.kind = SL_JOURNAL_quota_exceeded,
                                     .scope = tenant,
                                     .tenant_id = "acme",
                                     .subject = "max_storage_bytes",
                                     .quiet_ms = 1000};
    cr_expect(add(store, NOW_MS, &quota));
    cr_expect_not(add(store, NOW_MS + 999, &quota));
    quota.subject = "max_requests_per_second";
    cr_expect(add(store, NOW_MS + 999, &quota), "another subject");
    quota.scope = other;
    cr_expect(add(store, NOW_MS + 999, &quota), "another tenant");
    quota.scope = tenant;
    quota.subject = "max_storage_bytes";
    cr_expect(add(store, NOW_MS + 1000, &quota), "its time is over");
    close_store(&store);
}

Test(journal, one_of_a_clock_that_was_ahead_has_nothing_muted)
{
    struct sl_store *store = open_store();
    struct sl_journal_event quota = {
        .kind = SL_JOURNAL_quota_exceeded, .scope = tenant, .subject = "max", .quiet_ms = 1000};
    cr_expect(add(store, NOW_MS + SL_JOURNAL_KEEP_MS, &quota));
    cr_expect(add(store, NOW_MS, &quota));
    cr_expect_not(add(store, NOW_MS + 999, &quota), "its number is of a time to come");
    cr_expect(add(store, NOW_MS + 1000, &quota));
    close_store(&store);
}

Test(journal, texts_that_are_too_long_or_strange_are_cut_and_still_json)
{
    struct sl_store *store = open_store();
    char message[1000], subject[300];
    struct sl_json_doc *doc = NULL;
    struct sl_journal_row row;
    struct sl_scan scan;
    for (size_t i = 0; i + 2 < sizeof(message); i += 2)
        memcpy(message + i, "\xc3\xa9", 3);
    memset(subject, 'x', sizeof(subject));
    subject[3] = '\n';
    subject[sizeof(subject) - 1] = '\0';
    add(store, NOW_MS,
        &(struct sl_journal_event){.kind = SL_JOURNAL_job_failed,
                                   .scope = tenant,
                                   .subject = subject,
                                   .message = message});
    struct sl_txn *txn = sl_store_begin(store);
    sl_txn_scan(txn, tenant, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), false, &scan);
    cr_assert(sl_scan_next(&scan));
    cr_assert(sl_journal_read(scan.key, scan.value, &row));
    cr_expect_eq(row.subject.size, SL_JOURNAL_SUBJECT_MAX);
    cr_assert_eq(sl_json_parse(row.json, &doc, NULL), SL_OK);
    char *text = sl_json_strdup(sl_json_member(sl_json_root(doc), "message"));
    cr_expect_eq(strlen(text), SL_JOURNAL_MESSAGE_MAX);
    cr_expect(sl_json_is(sl_json_member(sl_json_root(doc), "severity"), "warning"));
    cr_expect(sl_json_is(sl_json_member(sl_json_root(doc), "kind"), "job_failed"));
    sl_free(text);
    sl_json_destroy(&doc);
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    close_store(&store);
}

Test(journal, kinds_are_known_by_all_of_their_names)
{
    cr_expect_eq(sl_journal_kind_find(sl_slice_str("node_joined")), SL_JOURNAL_node_joined);
    cr_expect_eq(sl_journal_kind_find(sl_slice_str("node-joined")), SL_JOURNAL_node_joined);
    cr_expect_eq(sl_journal_kind_find(sl_slice_str("group-by-demand")), SL_JOURNAL_manual_scale);
    cr_expect_eq(sl_journal_kind_find(sl_slice_str("")), SL_JOURNAL_KIND_COUNT);
    cr_expect_eq(sl_journal_kind_find(sl_slice_str("node_join")), SL_JOURNAL_KIND_COUNT);
}

Test(journal, ids_are_read_as_they_are_written_and_nothing_else_is)
{
    static const char *const wrong[] = {"",
                                        "evt_",
                                        "evt_00000000000000gg",
                                        "evt_000000000000000",
                                        "evt_00000000000000000",
                                        "job_0000000000000001",
                                        "evt_0000000000000A00"};
    char id[SL_JOURNAL_ID_SIZE];
    uint64_t number = 0;
    sl_journal_id(sl_journal_at(NOW_MS) + 5, id);
    cr_assert(sl_journal_id_parse(sl_slice_str(id), &number));
    cr_expect_eq(number, sl_journal_at(NOW_MS) + 5);
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++)
        cr_expect_not(sl_journal_id_parse(sl_slice_str(wrong[i]), &number), "%s", wrong[i]);
}
