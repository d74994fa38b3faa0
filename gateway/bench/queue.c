/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `queue`: the index alone, the index with its log when the caller
 * gathers 64 enqueues for a sync, and a lone enqueue against the bare write and fdatasync of as
 * many bytes into a file that was filled with zeroes, in alternating slices of one run.
 */
#include <stdio.h>

#include "actors/rows.h"
#include "actors/queue_projection.h"
#include "gateway/bench.h"
#include "gateway/bench/bare.h"
#include "gateway/bench/directory.h"
#include "gateway/bench/queue_put.h"
#include "gateway/bench/queue_remote.h"
#include "gateway/bench/queue_fair.h"
#include "gateway/bench/queue_waiting.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/log.h"
#include "runtime/store.h"
#include "runtime/time.h"

#define ROUNDS        5u
#define INDEX_TASKS   100000u
#define GROUP         64u
#define SLICES        12u
#define SLICE_COMMITS 50u
#define PAYLOAD_SIZE  40u
#define RECORD_SIZE   128u /* About what one enqueue is in the log. */

static const struct sl_scope scope = {7};

struct bed {
    struct sl_queue *queue;
    struct sl_store *store;
    char *directory;
    struct sl_bench_bare bare;
    uint64_t jobs;
};

static struct sl_slice
payload(void)
{
    static const uint8_t bytes[PAYLOAD_SIZE] = {1};
    return sl_slice(bytes, sizeof(bytes));
}

/* ---- the index alone ----------------------------------------------------------------------- */

/* One job of many tasks: enqueued, leased one by one, each done. Tasks a second. */
static double
time_index(void)
{
    struct sl_queue *q = sl_queue_create();
    struct sl_buf event = {0};
    struct sl_enqueue enqueue = {.job = {{1}}, .created_ms = 1};
    struct sl_lease_want want = {
        .holder = 1, .now_ns = 1, .now_ms = 1, .duration_ns = SL_SECOND_NS};
    struct sl_lease lease;
    uint32_t count = 0;
    sl_queue_boot(q, 1);
    uint64_t start_ns = sl_time_mono_ns();
    sl_queue_event_enqueue(&event, &enqueue);
    for (uint32_t i = 0; i < INDEX_TASKS; i++)
        sl_queue_event_task(&event, payload());
    sl_queue_apply(q, scope, sl_buf_slice(&event), (struct sl_log_at){1, 0});
    while (sl_queue_lease(q, &want, &lease)) {
        if (sl_queue_check(q, lease.task_id, lease.epoch, &lease) != SL_OK)
            break;
        sl_buf_clear(&event);
        sl_queue_event_done(&event, &(struct sl_task_end){.task_id = lease.task_id});
        sl_queue_apply(q, scope, sl_buf_slice(&event), (struct sl_log_at){1, 0});
        count++;
    }
    double s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    sl_buf_deinit(&event);
    sl_queue_destroy(&q);
    return count == INDEX_TASKS ? count / s : 0;
}

/* ---- with the log -------------------------------------------------------------------------- */

static bool
enqueue(struct bed *b)
{
    struct sl_buf event = {0};
    struct sl_enqueue e = {.created_ms = 1};
    b->jobs++;
    memcpy(e.job.bytes, &b->jobs, sizeof(b->jobs));
    sl_queue_event_enqueue(&event, &e);
    sl_queue_event_task(&event, payload());
    struct sl_txn *t = sl_store_begin(b->store);
    sl_txn_event(t, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    enum sl_err err = sl_txn_commit(&t);
    sl_buf_deinit(&event);
    return err == SL_OK || sl_bench_fail("enqueue: %s", sl_err_text(err));
}

static bool
sync_store(struct bed *b)
{
    enum sl_err err = sl_store_sync(b->store);
    (void)sl_store_tick(b->store, sl_time_mono_ns(), false);
    return err == SL_OK || sl_bench_fail("sync: %s", sl_err_text(err));
}

static bool
time_groups(struct bed *b, uint32_t groups, double *ret_per_s)
{
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < groups; i++) {
        for (uint32_t k = 0; k < GROUP; k++) {
            if (!enqueue(b))
                return false;
        }
        if (!sync_store(b))
            return false;
    }
    *ret_per_s = groups * (double)GROUP * 1e9 / (double)(sl_time_mono_ns() - start_ns);
    return true;
}

/* One slice: the median of lone enqueues over that of bare writes; *ret_us the former. */
static bool
time_lone(struct bed *b, double *ret_ratio, double *ret_us)
{
    double ours[SLICE_COMMITS], bare[SLICE_COMMITS];
    uint64_t before = sl_log_bytes(sl_store_log(b->store));
    for (uint32_t i = 0; i < SLICE_COMMITS; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        if (!enqueue(b) || !sync_store(b))
            return false;
        ours[i] = (double)(sl_time_mono_ns() - start_ns);
    }
    /* What the log has written for one; a checkpoint in between can only have made it less. */
    uint64_t after = sl_log_bytes(sl_store_log(b->store));
    size_t size = after > before ? (size_t)((after - before) / SLICE_COMMITS) : RECORD_SIZE;
    for (uint32_t i = 0; i < SLICE_COMMITS; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        if (!sl_bench_bare_write(&b->bare, SL_MIN(size, (size_t)SL_BENCH_BARE_MAX)))
            return false;
        bare[i] = (double)(sl_time_mono_ns() - start_ns);
    }
    double p50 = sl_bench_median(ours, SLICE_COMMITS);
    *ret_ratio = p50 / sl_bench_median(bare, SLICE_COMMITS);
    *ret_us = p50 / 1e3;
    return true;
}

/* ---- the suite ----------------------------------------------------------------------------- */

static bool
open_bed(const struct sl_bench *bench, struct bed *b)
{
    b->directory = sl_bench_directory_make(bench);
    if (b->directory == NULL)
        return false;
    b->queue = sl_queue_create();
    sl_queue_boot(b->queue, 1);
    struct sl_projection queue = sl_queue_projection(b->queue);
    char *store = sl_format("%s/data", b->directory);
    struct sl_store_options options = {
        .directory = store, .projections = &queue, .projections_count = 1};
    enum sl_err err = sl_store_open(&options, &b->store);
    sl_free(store);
    if (err != SL_OK)
        return sl_bench_fail("the store does not open: %s", sl_err_text(err));
    return sl_bench_bare_open(b->directory, &b->bare);
}

static bool
run_durable(const struct sl_bench *bench, struct bed *b)
{
    double per_s[ROUNDS], ratios[SLICES], us[SLICES];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (!time_groups(b, bench->is_quick ? 100 : 500, &per_s[i]))
            return false;
    }
    for (uint32_t i = 0; i < SLICES; i++) {
        if (!time_lone(b, &ratios[i], &us[i]))
            return false;
    }
    struct sl_bench_figure figures[] = {
        {"queue.durable.enqueue.inproc_64", "1/s", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(per_s, ROUNDS), NULL},
        {"queue.durable.lone.p50", "us", SL_BENCH_NO_GOAL, 0, sl_bench_median(us, SLICES), NULL},
        {"queue.durable.lone_ratio", "x", SL_BENCH_AT_MOST, 1.3, sl_bench_median(ratios, SLICES),
         NULL}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(bench, &figures[i]);
    return true;
}

bool
sl_bench_queue(const struct sl_bench *bench)
{
    struct bed b = {.bare = {.fd = -1}};
    double index[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++)
        index[i] = time_index();
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "queue.index.tasks_per_s",
                                                   .unit = "1/s",
                                                   .value = sl_bench_median(index, ROUNDS)});
    bool is_ok = sl_bench_queue_fair(bench) && sl_bench_queue_waiting(bench) &&
                 open_bed(bench, &b) && run_durable(bench, &b) &&
                 sl_bench_queue_put(bench, b.store, b.queue);
    sl_store_close(&b.store);
    sl_queue_destroy(&b.queue);
    sl_bench_bare_close(&b.bare);
    sl_bench_directory_remove(&b.directory);
    return is_ok && sl_bench_queue_remote(bench);
}
