/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand tenants that each called twelve routes with three outcomes, have two queues with tasks
 * and used everything that is metered; what /metrics writes of them is timed in this process, for
 * that is the time for which a scrape holds up everybody else.
 */
#include "gateway/bench/scrape.h"

#include <stdio.h>
#include <string.h>

#include "actors/use_counts.h"
#include "gateway/gateway.h"
#include "gateway/metrics.h"
#include "gateway/request_counts.h"
#include "queue/event.h"
#include "queue/queue.h"
#include "runtime/time.h"

#define TENANTS 1000u
#define ROUTES  12u
#define ROUNDS  21u
#define CALLS   100000u
#define NOW_MS  UINT64_C(1772366400000)

static void
add_calls(struct sl_gateway *g, uint32_t tenant, const char *id)
{
    static const uint16_t statuses[] = {200, 404, 429};
    uint32_t routes_count;
    const struct sl_route *routes = sl_routes(&routes_count);
    for (uint32_t i = 0; i < ROUTES; i++) {
        for (size_t s = 0; s < SL_COUNT_OF(statuses); s++) {
            struct sl_request_end end = {.scope = {tenant},
                                         .tenant_id = id,
                                         .route = &routes[(tenant + i * 17) % routes_count],
                                         .status = statuses[s],
                                         .took_ns = (tenant + i) * UINT64_C(10000),
                                         .at_ms = NOW_MS};
            sl_request_counts_add(g->requests, &end);
        }
    }
}

static void
add_uses(struct sl_gateway *g, uint32_t tenant)
{
    struct sl_scope scope = {tenant};
    struct sl_use jobs = {.kind = SL_USE_JOBS,
                          .scope = scope,
                          .labels = {sl_slice_str("own"), sl_slice_str("succeeded")}};
    struct sl_use tokens = {
        .kind = SL_USE_TOKENS, .scope = scope, .labels = {sl_slice_str("model")}};
    for (unsigned r = 1; r < SL_LEDGER_RESOURCE_END; r++) {
        struct sl_ledger_entry e = {.resource = (uint8_t)r, .amount = tenant, .cost_nano = r};
        sl_use_count_entry(g->uses, scope, &e);
    }
    sl_use_count(g->uses, &jobs, 1, 0);
    sl_use_count(g->uses, &tokens, 1, 0);
}

static void
add_queue(struct sl_gateway *g, uint32_t tenant, enum sl_class class)
{
    struct sl_buf event = {0};
    struct sl_enqueue e = {.class = class, .created_ms = NOW_MS - tenant};
    memcpy(e.job.bytes, &tenant, sizeof(tenant));
    e.job.bytes[sizeof(tenant)] = (uint8_t) class;
    sl_queue_event_enqueue(&event, &e);
    sl_queue_event_task(&event, sl_slice_str("payload"));
    sl_queue_apply(g->queue, (struct sl_scope){tenant}, sl_buf_slice(&event),
                   (struct sl_log_at){1, 0});
    sl_buf_deinit(&event);
}

static bool
time_view(const struct sl_bench *bench, const struct sl_gateway *g, enum sl_metrics_view view)
{
    double ms[ROUNDS];
    struct sl_buf out = {0};
    char note[96];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct sl_metrics_source source = {
            .gateway = g,
            .view = view,
            .tenant = {.scope = {TENANTS / 2}, .tenant_id = "tenant-500"},
            .now_ms = NOW_MS};
        sl_buf_clear(&out);
        uint64_t start_ns = sl_time_mono_ns();
        sl_metrics_write(&source, &out);
        ms[i] = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    }
    static const char *const names[] = {[SL_METRICS_ALL] = "gateway.scrape.by_tenant",
                                        [SL_METRICS_UNLABELED] = "gateway.scrape.unlabelled",
                                        [SL_METRICS_TENANT] = "gateway.scrape.of_a_tenant"};
    (void)snprintf(note, sizeof(note), "1,000 tenants, 12 routes each: %zu KiB of text",
                   out.size / 1024);
    sl_bench_show(bench, &(struct sl_bench_figure){names[view], "ms", SL_BENCH_AT_MOST, 10,
                                                   sl_bench_median(ms, ROUNDS), note});
    bool is_whole = out.size > (view == SL_METRICS_TENANT ? 10000 : 100000);
    sl_buf_deinit(&out);
    return is_whole || sl_bench_fail("a scrape was too short to be one");
}

/* What is counted of each call on the store's thread, of tenants in turn: with it, less without. */
static void
time_counting(const struct sl_bench *bench, struct sl_gateway *g)
{
    double ns[ROUNDS];
    uint32_t routes_count;
    const struct sl_route *routes = sl_routes(&routes_count);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        for (uint32_t c = 0; c < CALLS; c++) {
            struct sl_scope scope = {1 + c % TENANTS};
            struct sl_request_end end = {.scope = scope,
                                         .tenant_id = "",
                                         .route = &routes[scope.id % routes_count],
                                         .status = 200,
                                         .took_ns = c,
                                         .at_ms = NOW_MS};
            struct sl_ledger_entry e = {
                .resource = SL_LEDGER_requests, .amount = 1, .cost_nano = 1};
            sl_request_counts_add(g->requests, &end);
            sl_use_count_entry(g->uses, scope, &e);
        }
        ns[i] = (double)(sl_time_mono_ns() - start_ns) / CALLS;
    }
    sl_bench_show(bench, &(struct sl_bench_figure){
                             "gateway.count.call", "ns", SL_BENCH_AT_MOST, 250,
                             sl_bench_median(ns, ROUNDS),
                             "what counting adds to a call: 1 % of one that does nothing"});
}

bool
sl_bench_scrape(const struct sl_bench *bench)
{
    struct sl_gateway g = {.requests = sl_request_counts_create(),
                           .uses = sl_use_counts_create(),
                           .queue = sl_queue_create()};
    sl_queue_boot(g.queue, 1);
    for (uint32_t i = 1; i <= TENANTS; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "tenant-%u", i);
        add_calls(&g, i, id);
        add_uses(&g, i);
        add_queue(&g, i, SL_CLASS_BATCH);
        add_queue(&g, i, SL_CLASS_CPU);
    }
    bool is_ok = time_view(bench, &g, SL_METRICS_ALL) &&
                 time_view(bench, &g, SL_METRICS_UNLABELED) &&
                 time_view(bench, &g, SL_METRICS_TENANT);
    time_counting(bench, &g);
    sl_queue_destroy(&g.queue);
    sl_use_counts_destroy(&g.uses);
    sl_request_counts_destroy(&g.requests);
    return is_ok;
}
