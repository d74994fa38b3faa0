/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_put.h"

#include "actors/rows.h"
#include "queue/store_backend.h"
#include "runtime/time.h"

#define ROUNDS  5u
#define BATCH   64u /* Items of a call... */
#define CALLS   64u /* ...and calls under way, which share a sync. */
#define SYNCS   100u
#define PAYLOAD 200u

struct puts {
    struct sl_backend *backend;
    struct sl_queue_name queue;
    struct sl_put_item items[BATCH];
    struct sl_put_result results[BATCH];
};

static bool
put(struct puts *p, uint32_t count)
{
    struct sl_when when = {sl_time_mono_ns(), sl_time_wall_ms()};
    enum sl_err err = p->backend->ops->put(p->backend, when, p->queue, p->items, count, p->results);
    for (uint32_t i = 0; err == SL_OK && i < count; i++)
        err = p->results[i].err;
    return err == SL_OK || sl_bench_fail("put: %s", sl_err_text(err));
}

/* So many calls of so many items for each sync. Items a second. */
static bool
time_puts(struct puts *p, uint32_t calls, uint32_t items, double *ret_per_s)
{
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < SYNCS; i++) {
        for (uint32_t k = 0; k < calls; k++) {
            if (!put(p, items))
                return false;
        }
        enum sl_err err = p->backend->ops->sync(p->backend);
        if (err != SL_OK)
            return sl_bench_fail("sync: %s", sl_err_text(err));
    }
    double took_s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    *ret_per_s = (double)SYNCS * calls * items / took_s;
    return true;
}

static bool
run(const struct sl_bench *bench, struct puts *p)
{
    double one[ROUNDS], many[ROUNDS];
    struct sl_lane_settings settings = {0};
    uint32_t rounds = bench->is_quick ? 1 : ROUNDS;
    if (p->backend->ops->set(p->backend, p->queue, &settings) != SL_OK)
        return sl_bench_fail("the queue cannot be made");
    for (uint32_t i = 0; i < rounds; i++) {
        if (!time_puts(p, 1, BATCH, &one[i]) || !time_puts(p, CALLS, BATCH, &many[i]))
            return false;
    }
    struct sl_bench_figure figures[] = {
        {"queue.durable.put.inproc_64", "1/s", SL_BENCH_NO_GOAL, 0, sl_bench_median(one, rounds),
         "one put of 64, then a sync"},
        {"queue.durable.put.inproc_batched", "1/s", SL_BENCH_AT_LEAST, 400000,
         sl_bench_median(many, rounds), "64 puts of 64 for a sync"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(bench, &figures[i]);
    return true;
}

bool
sl_bench_queue_put(const struct sl_bench *bench, struct sl_store *store, struct sl_queue *queue)
{
    static const uint8_t payload[PAYLOAD] = {1};
    struct sl_store_backend backend;
    struct sl_random random;
    sl_random_seed(&random, 1);
    sl_store_backend_init(
        &backend,
        &(struct sl_store_backend_options){
            .store = store, .queue = queue, .random = &random, .projection = SL_PROJECTION_QUEUE});
    struct puts p = {.backend = &backend.backend,
                     .queue = {.scope = {8}, .name = sl_slice_str("bench")}};
    for (uint32_t i = 0; i < BATCH; i++)
        p.items[i].payload = sl_slice(payload, sizeof(payload));
    bool is_ok = run(bench, &p);
    sl_store_backend_deinit(&backend);
    return is_ok;
}
