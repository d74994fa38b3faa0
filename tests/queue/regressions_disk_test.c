/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong with other queues' files, and must not here: each test says whose report it is.
 * A queue in a store, on simulated disks.
 */
#include <criterion/criterion.h>

#include "runtime/random.h"
#include "runtime/report.h"
#include "tests/queue/stand.h"

enum { SEGMENT = 65536 };

static struct sl_sim_storage storage;
static struct sl_stand stand;
static struct sl_buf event;

static void
setup(void)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    sl_sim_storage_init(&storage);
    stand = (struct sl_stand){
        .storage = &storage, .segment_bytes = SEGMENT, .checkpoint_bytes = 100000};
}

static void
teardown(void)
{
    sl_stand_close(&stand);
    sl_sim_storage_deinit(&storage);
    sl_buf_deinit(&event);
}

TestSuite(regressions_disk, .init = setup, .fini = teardown);

static void
start(void)
{
    cr_assert_eq(sl_stand_open(&stand), SL_OK);
}

static void
lose_power(uint64_t seed)
{
    sl_stand_abandon(&stand);
    sl_sim_disk_crash(storage.log, seed);
    sl_sim_disk_crash(storage.snapshots, seed);
}

static uint64_t
put(size_t size)
{
    static uint8_t payload[SL_QUEUE_PAYLOAD_MAX];
    uint64_t id = sl_queue_reserve(stand.q);
    memset(payload, (int)id, size);
    sl_queue_event_put(&event,
                       &(struct sl_task_put){.task_id = id, .payload = sl_slice(payload, size)});
    cr_assert_eq(sl_stand_commit(&stand, &event), SL_OK);
    return id;
}

static struct sl_lease
lease(void)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {.holder = 1, .now_ns = 1, .now_ms = 1, .duration_ns = 1};
    (void)sl_queue_lease(stand.q, &want, &got);
    return got;
}

static enum sl_err
done(uint64_t task_id)
{
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = task_id});
    return sl_stand_commit(&stand, &event);
}

static bool
is_there(uint64_t id)
{
    struct sl_task_info info;
    struct sl_slice bytes;
    if (sl_queue_task(stand.q, (struct sl_scope){SL_STAND_SCOPE}, id, &info) != SL_OK)
        return false;
    cr_assert_eq(sl_body_read(stand.store, info.payload, &bytes), SL_OK);
    return true;
}

/* nats-server#7564 (Jepsen: acknowledged before it was synced), beanstalkd#546, #548 (a torn end)
 */
Test(regressions_disk, what_was_synced_is_there_after_a_power_cut_whatever_tore_behind_it)
{
    uint64_t ids[400], synced = 0, count = 0;
    struct sl_random random;
    sl_random_seed(&random, 4);
    sl_sim_disk_set_torn(storage.log, true);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        start();
        for (uint64_t i = 0; i < synced; i++)
            cr_assert(is_there(ids[i]), "seed %lu: %lu", (unsigned long)seed, (unsigned long)i);
        count = synced;
        for (int i = 0; i < 5; i++)
            ids[count++] = put(1 + sl_random_below(&random, 900));
        cr_assert_eq(sl_store_sync(stand.store), SL_OK);
        synced = count;
        for (int i = 0; i < 5; i++)
            put(1 + sl_random_below(&random, 900));
        if (seed % 2 == 0) { /* In the middle of a sync. */
            sl_sim_disk_fail_at(storage.log, 1 + sl_random_below(&random, 3));
            cr_assert_eq(sl_store_sync(stand.store), SL_EIO);
            sl_sim_disk_fail_at(storage.log, 0);
        }
        lose_power(seed);
    }
    start();
}

/* beanstalkd#44: unusable once it had read an empty log */
Test(regressions_disk, an_empty_log_is_read_any_number_of_times)
{
    for (uint64_t i = 1; i <= 6; i++) {
        start();
        cr_assert_eq(lease().task_id, 0);
        if (i % 2 == 0)
            lose_power(i);
        else
            sl_stand_close(&stand);
    }
    start();
    uint64_t id = put(10);
    cr_assert_eq(lease().task_id, id);
}

/* The power goes in the middle of the first start, before anything was put. */
Test(regressions_disk, a_log_that_was_hardly_begun_is_begun_again_after_a_power_cut)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        sl_sim_storage_deinit(&storage);
        sl_sim_storage_init(&storage);
        sl_sim_disk_set_torn(storage.log, true);
        for (uint64_t life = 0; life < 4; life++) {
            start();
            lose_power(seed * 10 + life);
        }
    }
    start();
    uint64_t id = put(10);
    cr_assert_eq(lease().task_id, id);
}

/* nats-server 2.10.22: all of a stream was gone after a crash at the wrong moment */
Test(regressions_disk, a_start_that_fails_anywhere_is_followed_by_one_that_has_everything)
{
    start();
    for (int i = 0; i < 300; i++)
        put(500);
    cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
    for (int i = 0; i < 100; i++)
        put(500);
    cr_assert_eq(sl_store_sync(stand.store), SL_OK);
    uint64_t digest = sl_queue_digest(stand.q), failed = 0;
    sl_stand_abandon(&stand);
    for (uint64_t nth = 1; nth < 200; nth++) {
        struct sl_sim_disk *disk = nth % 2 == 0 ? storage.log : storage.snapshots;
        sl_sim_disk_fail_at(disk, 1 + nth / 2);
        failed += sl_stand_open(&stand) != SL_OK;
        if (stand.store != NULL)
            sl_stand_abandon(&stand);
        sl_sim_disk_fail_at(disk, 0);
        sl_sim_disk_crash(storage.log, nth);
        sl_sim_disk_crash(storage.snapshots, nth);
        start();
        cr_assert_eq(sl_queue_digest(stand.q), digest, "%lu", (unsigned long)nth);
        sl_stand_abandon(&stand);
    }
    cr_assert_gt(failed, 5, "%lu", (unsigned long)failed);
    start();
}

/* beanstalkd#359, #570: one old job kept hundreds of gigabytes of log */
Test(regressions_disk, one_old_task_keeps_no_more_than_a_few_segments)
{
    start();
    uint64_t old = put(1000), now_ns = SL_SECOND_NS, most = 0;
    cr_assert_eq(lease().task_id, old);
    for (int i = 0; i < 6000; i++) {
        uint64_t id = put(1000);
        cr_assert_eq(lease().task_id, id);
        cr_assert_eq(done(id), SL_OK);
        sl_store_tick(stand.store, now_ns += 20 * SL_MILLI_NS, false);
        most = SL_MAX(most, sl_log_segments(sl_store_log(stand.store)));
    }
    cr_assert_leq(most, 6, "%lu segments", (unsigned long)most);
    cr_assert(is_there(old));
}

/* beanstalkd (walg.c: the log is switched off, and all goes on in memory) */
Test(regressions_disk, a_log_that_could_not_be_written_never_acknowledges_again)
{
    start();
    uint64_t kept = put(10);
    cr_assert_eq(sl_store_sync(stand.store), SL_OK);
    put(10);
    sl_sim_disk_fail_at(storage.log, 1);
    cr_assert_eq(sl_store_sync(stand.store), SL_EIO);
    sl_sim_disk_fail_at(storage.log, 0); /* The disk is well again; what it dropped is not. */
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sl_store_sync(stand.store), SL_EIO);
        cr_assert(sl_store_is_dirty(stand.store));
    }
    lose_power(1);
    start();
    cr_assert(is_there(kept));
}

/* JetStream, which ran on; Redis, which refused all: a full disk must let what runs come to its end
 */
Test(regressions_disk, a_full_disk_refuses_new_tasks_before_ends)
{
    enum { TASKS = 200 };
    start();
    struct sl_log *log = sl_store_log(stand.store);
    for (int i = 0; i < TASKS; i++)
        put(100);
    while (sl_log_segments(log) < 3 || sl_log_wants_prepare(log)) {
        if (sl_log_wants_prepare(log))
            cr_assert_eq(sl_log_prepare(log), SL_OK);
        put(1000);
        cr_assert_eq(sl_store_sync(stand.store), SL_OK);
    }
    sl_sim_disk_set_full(storage.log, true);
    for (int i = 0; !sl_store_is_low(stand.store); i++) {
        cr_assert_lt(i, 1000);
        put(1000);
        cr_assert_eq(sl_store_sync(stand.store), SL_OK);
        if (sl_log_wants_prepare(log))
            cr_assert_eq(sl_log_prepare(log), SL_ENOSPC);
    }
    for (int i = 0; i < TASKS; i++) {
        cr_assert_eq(done(lease().task_id), SL_OK);
        cr_assert_eq(sl_store_sync(stand.store), SL_OK, "end %d", i);
    }
    uint64_t digest = sl_queue_digest(stand.q);
    lose_power(2);
    start();
    cr_assert_eq(sl_queue_digest(stand.q), digest);
}
