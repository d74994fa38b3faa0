/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of four replicas as an agent has it (actors/pool.h), without the agent: calls of a hundred
 * tenants come, are taken in turn, given to replicas and come back done. What is measured is all
 * that the pool does for one, from its coming to its end, with the message to the replica made and
 * thrown away; the replicas and links are none. Then a replica's batcher alone.
 */
#include "gateway/bench/pool.h"

#include "actors/pool.h"
#include "extractors/batcher.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define ROUNDS   11u
#define WAVES    40u
#define WAVE     250u /* Calls that come before any is done. */
#define REPLICAS 4u
#define TENANTS  100u

struct bench_pool {
    struct sl_driver driver;
    struct sl_ctx ctx;
    struct sl_pool pool;
    struct sl_work_spec spec;
    struct sl_pool_options options;
    uint64_t sent[WAVE]; /* Items by their serial, and where they are. */
    uint32_t at[WAVE], sent_count, number_next;
};

static void
take_sent(struct sl_driver *driver, struct sl_msg *msg)
{
    struct bench_pool *b = SL_CONTAINER(driver, struct bench_pool, driver);
    if (msg->id == SL_M_process) {
        sl_assert(b->sent_count < WAVE);
        b->at[b->sent_count] = msg->to.node;
        b->sent[b->sent_count++] = SL_BODY(msg, process)->item;
    }
    sl_msg_destroy(&msg);
}

static void
add_call(struct bench_pool *b, uint64_t serial)
{
    struct sl_m_embed_run call = {.inputs = sl_slice_str("a few words to make a vector of"),
                                  .scope = serial % TENANTS};
    struct sl_item *item = sl_zalloc(sizeof(*item));
    item->msg = sl_msg_create(SL_M_embed_run, &call);
    item->serial = serial;
    item->spec = &b->spec;
    sl_pool_add(&b->pool, &b->ctx, item);
    sl_pool_pump(&b->pool, &b->ctx, &b->number_next);
}

/* All that was sent comes back; what waited goes out meanwhile. */
static void
end_calls(struct bench_pool *b)
{
    while (b->sent_count > 0) {
        uint64_t serial = b->sent[--b->sent_count];
        struct sl_m_processed done = {.item = serial, .busy_ns = SL_MILLI_NS};
        struct sl_replica *r = sl_pool_replica(&b->pool, b->at[b->sent_count]);
        struct sl_item *item = sl_pool_on_processed(&b->pool, &b->ctx, r, &done);
        sl_assert(item != NULL);
        sl_msg_destroy(&item->msg);
        sl_free(item);
        sl_pool_pump(&b->pool, &b->ctx, &b->number_next);
    }
}

static double
run_round(struct bench_pool *b)
{
    uint64_t serial = 0, start_ns = sl_time_mono_ns();
    for (uint32_t wave = 0; wave < WAVES; wave++) {
        for (uint32_t i = 0; i < WAVE; i++)
            add_call(b, ++serial);
        end_calls(b);
        b->ctx.now_ns += SL_SECOND_NS;
    }
    return (double)(sl_time_mono_ns() - start_ns) / 1e3 / (double)serial;
}

static void
start_replicas(struct bench_pool *b)
{
    add_call(b, 1);
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &b->pool.replicas[i];
        if (r->state == SL_REPLICA_STARTING)
            sl_pool_on_ready(&b->pool, &b->ctx, r, (struct sl_slice){0});
    }
    sl_pool_pump(&b->pool, &b->ctx, &b->number_next);
    end_calls(b);
}

/* And in the replica: what came is made into batches of a budget. */
static double
run_batcher(struct sl_batcher *batcher)
{
    struct sl_batch_entry entries[WAVE], *taken[SL_BATCH_ITEMS_MAX];
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t wave = 0; wave < WAVES; wave++) {
        for (uint32_t i = 0; i < WAVE; i++) {
            entries[i] = (struct sl_batch_entry){.scope = i % TENANTS, .units = 1 + i % 60};
            sl_batcher_add(batcher, &entries[i]);
        }
        while (sl_batcher_take(batcher, taken) > 0)
            ;
    }
    return (double)(sl_time_mono_ns() - start_ns) / 1e3 / (WAVES * WAVE);
}

static void
bench_batcher(const struct sl_bench *bench)
{
    double us[ROUNDS];
    struct sl_batcher *batcher = sl_batcher_create(&(struct sl_batch_plan){.units_max = 1024});
    for (uint32_t i = 0; i < ROUNDS; i++)
        us[i] = run_batcher(batcher);
    sl_batcher_destroy(&batcher);
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "mixed.batch_forming_in_replica",
                                                   .unit = "us",
                                                   .goal = SL_BENCH_AT_MOST,
                                                   .target = 5,
                                                   .value = sl_bench_median(us, ROUNDS),
                                                   .note = "an item, 250 at a time of 100 tenants, "
                                                           "batches of 1024 units"});
}

void
sl_bench_pool(const struct sl_bench *bench)
{
    static const struct sl_driver_ops ops = {.send = take_sent};
    struct bench_pool *b = sl_zalloc(sizeof(*b));
    struct sl_scale_book book = {0};
    char *why = NULL;
    double us[ROUNDS];
    static const char config[] = "{\"noop\":{\"autoscaling_config\":{\"min_replicas\":4,"
                                 "\"max_replicas\":4}}}";
    struct sl_scale_settings defaults = sl_scale_settings_default();
    sl_assert(sl_scale_book_read(sl_slice_str(config), &defaults, &book, &why) == SL_OK);
    sl_report_level_set(SL_REPORT_ERROR);
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    b->driver.ops = &ops;
    b->ctx = (struct sl_ctx){.now_ns = SL_SECOND_NS, .driver = &b->driver};
    b->spec = (struct sl_work_spec){
        .number = 1, .extractor = "noop", .params = "{}", .index = "", .model = "", .space = ""};
    b->options = (struct sl_pool_options){
        .endpoint = "", .blob_directory = "", .plugin_directories = "", .book = &book};
    sl_pool_init(&b->pool, &b->options, &b->spec);
    b->number_next = 1;
    start_replicas(b);
    for (uint32_t i = 0; i < ROUNDS; i++)
        us[i] = run_round(b);
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "mixed.batch_formation",
                                                   .unit = "us",
                                                   .goal = SL_BENCH_AT_MOST,
                                                   .target = 5,
                                                   .value = sl_bench_median(us, ROUNDS),
                                                   .note = "a call, 250 at a time of 100 tenants, "
                                                           "4 replicas"});
    bench_batcher(bench);
    sl_pool_deinit(&b->pool);
    sl_scale_book_deinit(&book);
    sl_free(b);
}
