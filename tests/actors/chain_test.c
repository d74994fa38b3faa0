/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/chain.h"
#include "actors/queue_projection.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/record.h"
#include "actors/rows.h"
#include "queue/body.h"
#include "queue/look.h"
#include "runtime/alloc.h"

#define NEXT "2d1f0c9e-6b1a-4f0e-9a55-0d3c5b7e8a41"

static const struct sl_scope scope = {7};
static char directory[32];
static struct sl_queue *queue;
static struct sl_store *store;

static void
setup(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/sl-chain-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {.directory = directory,
                                       .projections = &projection,
                                       .projections_count = 1,
                                       .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    sl_queue_boot(queue, 1);
}

static void
teardown(void)
{
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(chain, .init = setup, .fini = teardown);

/* A record of collection "a" and the note that tier 0 wrote it. */
static void
write_record(struct sl_txn *txn, const char *id, const char *fields, uint32_t run)
{
    struct sl_buf key = {0}, row = {0};
    sl_record_encode(&(struct sl_record){.source = sl_slice("b\0o", 3),
                                         .origin = sl_slice_str("btch"),
                                         .fields = sl_slice_str(fields),
                                         .vectors = sl_slice_str("")},
                     &row);
    sl_txn_put(txn, scope, SL_TABLE_RECORD, sl_key(&key, 2, "a", id), sl_buf_slice(&row));
    struct sl_task_payload p = {.is_chained = true,
                                .run = run,
                                .origin = sl_slice_str("btch"),
                                .collection = sl_slice_str("a"),
                                .source = sl_slice("b\0o", 3)};
    sl_chain_note(txn, scope, &p, id);
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

static struct sl_job_row
ended(enum sl_job_state state, const char *about)
{
    return (struct sl_job_row){
        .state = state, .kind = sl_slice_str("kind"), .about = sl_slice_str(about)};
}

static const char about[] =
    "{\"batch_id\":\"btch\",\"run\":0,\"total_tiers\":2,\"current_tier\":0,\"chain\":[{\"task_id\":"
    "\"" NEXT "\",\"collections\":[{\"collection_id\":\"c\",\"sources\":[\"a\"],\"is_chained\":"
    "false,\"filters\":{\"field\":\"n\",\"operator\":\"gte\",\"value\":2}}]}]}";

static bool
run(const struct sl_job_row *row, struct sl_job_id *ret_next)
{
    struct sl_txn *txn = sl_store_begin(store);
    write_record(txn, "one", "{\"n\":1}", 0);
    write_record(txn, "two", "{\"n\":2}", 0);
    write_record(txn, "three", "{\"n\":3}", 0);
    write_record(txn, "other", "{\"n\":4}", 1);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    txn = sl_store_begin(store);
    bool is_made = sl_chain_next(txn, scope, row, 900, ret_next);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    return is_made;
}

/* Open whatever is to be opened; how many turns it took. */
static uint32_t
open_all(void)
{
    struct sl_chain_opener *opener = sl_chain_opener_create();
    struct sl_chain_opened opened = {.is_more = true};
    uint32_t turns = 0;
    for (; opened.is_more; turns++)
        cr_assert_eq(sl_chain_open_some(opener, store, 950, &opened), SL_OK);
    sl_chain_opener_destroy(&opener);
    return turns;
}

static uint32_t
garbage_count(void)
{
    struct sl_scan scan = {0};
    uint32_t count = 0;
    struct sl_txn *txn = sl_store_begin(store);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    return count;
}

Test(chain, makes_a_task_of_each_wanted_record_of_this_run)
{
    struct sl_job_row row = ended(SL_JOB_PARTIAL, about);
    struct sl_job_id next, wanted;
    struct sl_job_info info;
    struct sl_lease lease;
    struct sl_task_payload p;
    cr_assert(run(&row, &next));
    cr_assert_eq(sl_job_id_parse(sl_slice_str(NEXT), &wanted), SL_OK);
    cr_assert_eq(memcmp(&next, &wanted, sizeof(next)), 0);
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_ENOTFOUND, "its tasks are not made yet");
    open_all();
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_OK);
    cr_assert_eq(info.total, 2);
    struct sl_lease_want want = {.holder = 1, .now_ms = 1000, .duration_ns = 1};
    cr_assert(sl_queue_lease(queue, &want, &lease));
    struct sl_buf copy = {0};
    cr_assert_eq(sl_lease_read(store, &lease, &copy), SL_OK);
    cr_assert_eq(sl_task_payload_decode(lease.payload, &p), SL_OK);
    cr_assert_eq(p.kind, SL_SOURCE_RECORD);
    cr_assert(sl_slice_is(p.collection, "c"));
    cr_assert(sl_slice_equal(p.source, sl_slice("a\0three", 7)));
    cr_assert_not(p.is_chained);
    sl_buf_deinit(&copy);
    cr_assert_eq(garbage_count(), 0,
                 "the next tier's end needs the notes no more, this one's does");
}

Test(chain, stores_the_next_job_one_tier_on)
{
    struct sl_job_row row = ended(SL_JOB_SUCCEEDED, about), made;
    struct sl_job_id next;
    struct sl_slice value;
    struct sl_json_doc *doc = NULL;
    cr_assert(run(&row, &next));
    open_all();
    struct sl_txn *txn = sl_store_begin(store);
    cr_assert_eq(
        sl_txn_get(txn, scope, SL_TABLE_JOB, sl_slice(next.bytes, sizeof(next.bytes)), &value),
        SL_OK);
    cr_assert_eq(sl_job_row_decode(value, &made), SL_OK);
    cr_assert_eq(made.total, 2);
    cr_assert_eq(made.created_ms, 900);
    cr_assert(sl_slice_is(made.kind, "kind"));
    cr_assert_eq(sl_json_parse(made.about, &doc, NULL), SL_OK);
    uint64_t tier = 0;
    cr_assert_eq(sl_json_u64(sl_json_member(sl_json_root(doc), "current_tier"), &tier), SL_OK);
    cr_assert_eq(tier, 1);
    cr_assert_eq(sl_json_count(sl_json_member(sl_json_root(doc), "chain")), 0);
    sl_json_destroy(&doc);
    sl_txn_abort(&txn);
}

Test(chain, goes_on_past_a_failed_tier_to_what_reads_earlier_ones)
{
    struct sl_job_row row = ended(SL_JOB_FAILED, about);
    struct sl_job_info info;
    struct sl_job_id next;
    cr_assert(run(&row, &next), "records of \"a\" were noted in this run");
    open_all();
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_OK);
    cr_assert_eq(info.total, 2);
}

Test(chain, ends_where_nothing_follows_or_nothing_is_left_to_read)
{
    struct sl_job_id next;
    struct sl_job_row canceled = ended(SL_JOB_CANCELED, about);
    cr_assert_not(run(&canceled, &next));
    cr_assert_eq(garbage_count(), 1, "what was noted is left to the purge");
    char *later = sl_format("{\"batch_id\":\"btch\",\"run\":2,%s", strstr(about, "\"total"));
    struct sl_job_row failed = ended(SL_JOB_FAILED, later);
    cr_assert_not(run(&failed, &next), "run 2 noted nothing");
    sl_free(later);
    struct sl_job_row alone = ended(SL_JOB_SUCCEEDED, "{\"batch_id\":\"x\",\"chain\":[]}");
    cr_assert_not(run(&alone, &next));
    struct sl_job_row other = ended(SL_JOB_SUCCEEDED, "{\"some\":\"task\"}");
    cr_assert_not(run(&other, &next));
    struct sl_job_row broken = ended(SL_JOB_SUCCEEDED, "{\"batch_id\":\"x\",\"chain\":[{}]}");
    cr_assert_not(run(&broken, &next));
}

#define LAST "7d1f0c9e-6b1a-4f0e-9a55-0d3c5b7e8a41"

static const char three[] =
    "{\"batch_id\":\"btch\",\"run\":0,\"total_tiers\":3,\"current_tier\":0,\"chain\":[{\"task_id\":"
    "\"" NEXT "\",\"collections\":[{\"collection_id\":\"c\",\"sources\":[\"a\"],\"is_chained\":"
    "true,\"filters\":null}]},{\"task_id\":\"" LAST "\",\"collections\":[{\"collection_id\":\"d\","
    "\"sources\":[\"a\"],\"is_chained\":false,\"filters\":null}]}]}";

static struct sl_job_row row_of(struct sl_job_id id, struct sl_buf *copy);

Test(chain, says_of_each_tier_what_its_sources_gave)
{
    struct sl_job_row row = ended(SL_JOB_SUCCEEDED, three);
    struct sl_job_id next, last;
    struct sl_buf copy = {0};
    cr_assert(run(&row, &next));
    open_all();
    for (int tier = 1; tier <= 2; tier++) {
        struct sl_json_doc *doc = NULL;
        uint64_t fetched = 0;
        row = row_of(next, &copy);
        cr_assert_eq(sl_json_parse(row.about, &doc, NULL), SL_OK, "%.*s", SL_SLICE_FMT(row.about));
        struct sl_json value = sl_json_member(sl_json_root(doc), SL_CHAIN_FETCHED);
        cr_assert_eq(sl_json_u64(value, &fetched), SL_OK);
        cr_assert_eq(fetched, 3);
        sl_json_destroy(&doc);
        row.state = SL_JOB_SUCCEEDED;
        struct sl_txn *txn = sl_store_begin(store);
        cr_assert_eq(sl_chain_next(txn, scope, &row, 960, &last), tier == 1);
        cr_assert_eq(sl_txn_commit(&txn), SL_OK);
        open_all();
        next = last;
    }
    sl_buf_deinit(&copy);
}

/* As many records of collection "a" as take several slices. */
static void
write_many(uint32_t count)
{
    struct sl_txn *txn = sl_store_begin(store);
    for (uint32_t i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%06u", i);
        write_record(txn, id, "{\"n\":7}", 0);
    }
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
}

static struct sl_job_row
row_of(struct sl_job_id id, struct sl_buf *copy)
{
    struct sl_txn *txn = sl_store_begin(store);
    struct sl_job_row row;
    struct sl_slice value;
    cr_assert_eq(sl_txn_get(txn, scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)), &value),
                 SL_OK);
    sl_buf_clear(copy);
    sl_buf_append_slice(copy, value);
    cr_assert_eq(sl_job_row_decode(sl_buf_slice(copy), &row), SL_OK);
    sl_txn_abort(&txn);
    return row;
}

Test(chain, opens_a_large_tier_in_slices_and_again_after_a_crash)
{
    struct sl_job_row row = ended(SL_JOB_SUCCEEDED, about);
    struct sl_chain_opened opened;
    struct sl_job_info info;
    struct sl_job_id next;
    write_many(5000);
    cr_assert(run(&row, &next));
    /* The process dies between two slices: what was collected goes with it. */
    struct sl_chain_opener *opener = sl_chain_opener_create();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sl_chain_open_some(opener, store, 950, &opened), SL_OK);
    cr_assert(opened.is_more);
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_ENOTFOUND);
    sl_chain_opener_destroy(&opener);
    cr_assert_geq(open_all(), 5);
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_OK);
    cr_assert_eq(info.total, 5002);
    cr_assert_eq(open_all(), 1, "nothing is opened twice");
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_OK);
    cr_assert_eq(info.total, 5002);
}

Test(chain, ends_with_a_tier_that_is_cancelled_while_it_waits)
{
    struct sl_job_row row = ended(SL_JOB_SUCCEEDED, about);
    struct sl_buf copy = {0}, value = {0};
    struct sl_job_info info;
    struct sl_job_id next;
    cr_assert(run(&row, &next));
    struct sl_job_row canceled = row_of(next, &copy);
    canceled.state = SL_JOB_CANCELED;
    canceled.ended_ms = 940;
    struct sl_txn *txn = sl_store_begin(store);
    sl_job_row_encode(&canceled, &value);
    sl_txn_put(txn, scope, SL_TABLE_JOB, sl_slice(next.bytes, sizeof(next.bytes)),
               sl_buf_slice(&value));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    open_all();
    cr_assert_eq(sl_queue_job(queue, next, &info), SL_ENOTFOUND);
    cr_assert_eq(row_of(next, &copy).state, SL_JOB_CANCELED);
    cr_assert_eq(garbage_count(), 1, "what was noted is left to the purge");
    cr_assert_eq(open_all(), 1);
    sl_buf_deinit(&copy);
    sl_buf_deinit(&value);
}
