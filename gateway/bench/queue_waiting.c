/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_waiting.h"

#include <stdio.h>
#include <unistd.h>

#include "gateway/bench/queue_delay.h"
#include "queue/look.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define TASKS       10000000u
#define TASKS_QUICK 1000000u
#define PAYLOAD     200u
#define START_MS    UINT64_C(1700000000000)
#define SPREAD_MS   (86400u * 1000u) /* Due at any time of a day. */

static const struct sl_scope scope = {7};

static uint64_t
resident_bytes(void)
{
    unsigned long long all, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* As if each had been written to the log, in segments of 64 MiB. */
static void
put(struct sl_queue *q, uint32_t i, uint64_t not_before_ms, struct sl_buf *event)
{
    static const uint8_t payload[PAYLOAD] = {1};
    struct sl_log_at at = {1 + i / 200000, i % 200000 * 320};
    sl_buf_clear(event);
    sl_queue_event_put(event, &(struct sl_task_put){.task_id = sl_queue_reserve(q),
                                                    .created_ms = START_MS,
                                                    .not_before_ms = not_before_ms,
                                                    .payload = sl_slice(payload, PAYLOAD)});
    sl_queue_apply(q, scope, sl_buf_slice(event), at);
}

/* From the snapshot's bytes to the first lease. */
static bool
time_restart(struct sl_slice snapshot, double *ret_s)
{
    struct sl_queue *q = sl_queue_create();
    uint64_t start_ns = sl_time_mono_ns();
    bool is_ok = sl_queue_restore(q, snapshot) == SL_OK;
    struct sl_lease lease;
    struct sl_lease_want want = {
        .holder = 1, .now_ms = START_MS + 1, .now_ns = start_ns, .duration_ns = SL_SECOND_NS};
    sl_queue_boot(q, 2);
    is_ok = is_ok && sl_queue_lease(q, &want, &lease);
    *ret_s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    sl_queue_destroy(&q);
    return is_ok || sl_bench_fail("the queue does not come back");
}

bool
sl_bench_queue_waiting(const struct sl_bench *bench)
{
    uint32_t count = bench->is_quick ? TASKS_QUICK : TASKS;
    struct sl_queue *q = sl_queue_create();
    struct sl_buf event = {0}, snapshot = {0};
    struct sl_random random;
    double restart_s = 0;
    sl_random_seed(&random, 1);
    uint64_t before = resident_bytes();
    put(q, 0, 0, &event); /* One that is ready, for the restart. */
    for (uint32_t i = 1; i < count; i++)
        put(q, i, START_MS + 60000 + sl_random_below(&random, SPREAD_MS), &event);
    double each = (double)(resident_bytes() - before) / count;
    bool is_ok = sl_bench_queue_delay(
        bench, q, START_MS,
        bench->is_quick ? "100,000 tasks due within 5 s, beside 1,000,000 that wait; in process"
                        : "100,000 tasks due within 5 s, beside 10,000,000 that wait; in process");
    sl_queue_snapshot(q, &snapshot);
    sl_queue_destroy(&q);
    is_ok = is_ok && time_restart(sl_buf_slice(&snapshot), &restart_s);
    sl_buf_deinit(&event);
    sl_buf_deinit(&snapshot);
    const char *note = bench->is_quick ? "1,000,000 tasks" : "10,000,000 tasks";
    struct sl_bench_figure figures[] = {
        {"queue.delayed.bytes_per_task", "B", SL_BENCH_AT_MOST, 100, each, note},
        {"queue.restart.first_lease", "s", SL_BENCH_AT_MOST, 5, restart_s,
         bench->is_quick ? "1,000,000 tasks, their snapshot in memory"
                         : "10,000,000 tasks, their snapshot in memory"}};
    for (size_t i = 0; is_ok && i < SL_COUNT_OF(figures); i++)
        sl_bench_show(bench, &figures[i]);
    return is_ok;
}
