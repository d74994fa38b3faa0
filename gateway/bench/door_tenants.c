/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 100,000 tenants with a key each, of which 1,000 call: what an idle one costs in memory, and what
 * a call costs that any of the 1,000 makes, against the same calls of one. Tenants have the
 * rows of one that is made whole (organization, owner, key) and are made in this process: over HTTP
 * it would take longer.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/index.h"
#include "actors/queue_projection.h"
#include "gateway/account.h"
#include "gateway/bench/directory.h"
#include "gateway/bench/door.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TENANTS     100000u
#define TENANTS_FEW 5000u
#define ACTIVE      1000u
#define ROUNDS      9u
#define CALLS       20000u
#define SYNC_EVERY  256u

struct town {
    const struct sl_bench *bench;
    struct sl_gateway gateway;
    struct sl_random random;
    char *directory;
    char (*secrets)[SL_SECRET_SIZE + 1]; /* Of those who call. */
    uint32_t tenants;
};

/* ---- calls ---------------------------------------------------------------------------------- */

static const struct sl_route *
route_of(enum sl_method method, const char *path)
{
    struct sl_slice params[SL_CALL_PARAMS_MAX];
    const struct sl_route *route = NULL;
    enum sl_err err = sl_route_match(method, sl_slice_str(path), &route, params);
    sl_assert(err == SL_OK);
    return route;
}

/* Runs it; the call is the caller's, to be looked at. */
static struct sl_call *
run_call(struct town *t, const struct sl_route *route, const struct sl_identity *who,
         struct sl_slice body)
{
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->path = sl_slice_str(route->path);
    call->gateway = &t->gateway;
    call->random = &t->random;
    call->who = *who;
    call->now_ms = sl_time_wall_ms();
    call->now_ns = sl_time_mono_ns();
    call->body_text = body;
    if (sl_json_parse(body, &call->body_doc, NULL) == SL_OK)
        call->body = sl_json_root(call->body_doc);
    sl_runner_run(&t->gateway, call);
    sl_limits_answered(call);
    sl_meter_answered(call);
    if (sl_call_has_failed(call))
        (void)sl_bench_fail("a call was refused: %s", sl_call_failure(call));
    return call;
}

/* ---- the town ------------------------------------------------------------------------------- */

static bool
make_tenant(struct town *t, uint32_t index)
{
    char id[24], organization[24], email[40];
    struct sl_tenant_made made;
    (void)snprintf(id, sizeof(id), "t%u", index);
    (void)snprintf(organization, sizeof(organization), "org_%u", index);
    (void)snprintf(email, sizeof(email), "owner@%s.local", id);
    struct sl_tenant_new want = {.tenant_id = id,
                                 .organization_id = organization,
                                 .name = id,
                                 .owner_email = email,
                                 .owner_name = "Owner",
                                 .plan = sl_plan_lookup(sl_slice_str("unlimited")),
                                 .now_ms = sl_time_wall_ms()};
    struct sl_txn *txn = sl_store_begin(t->gateway.store);
    sl_tenant_make(txn, &want, &made);
    enum sl_err err = sl_txn_commit(&txn);
    if (err != SL_OK)
        return sl_bench_fail("a tenant: %s", sl_err_text(err));
    sl_keyring_put(t->gateway.keyring, made.digest, &made.who, 0);
    sl_keyring_tenant_put(t->gateway.keyring, &made.who);
    if (index < ACTIVE)
        memcpy(t->secrets[index], made.secret, sizeof(made.secret));
    return true;
}

/* As a head does between batches: else all the catalogue's pages would be in memory as changed. */
static void
tick(struct town *t, bool is_idle)
{
    uint64_t now_ns = sl_time_mono_ns();
    (void)sl_store_tick(t->gateway.store, now_ns, is_idle);
    if (is_idle) /* What was seen to be dirty is written a while later. */
        (void)sl_store_tick(t->gateway.store, now_ns + SL_SECOND_NS, is_idle);
}

static bool
make_tenants(struct town *t)
{
    for (uint32_t i = 0; i < t->tenants; i++) {
        if (!make_tenant(t, i))
            return false;
        if (i % SYNC_EVERY != 0)
            continue;
        if (sl_store_sync(t->gateway.store) != SL_OK)
            return sl_bench_fail("the log could not be written");
        tick(t, false);
    }
    if (sl_store_sync(t->gateway.store) != SL_OK)
        return sl_bench_fail("the log could not be written");
    tick(t, true);
    return true;
}

static double
own_memory_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoull(line + 8, NULL, 10);
    }
    if (file != NULL)
        (void)fclose(file);
    return (double)kib;
}

/* ---- what it is like there ------------------------------------------------------------------ */

/* Microseconds of a call, key check and all, of `count` tenants in turn. */
static bool
time_calls(struct town *t, uint32_t count, double *ret_us)
{
    const struct sl_route *route = route_of(SL_GET, "/v1/queues");
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < CALLS; i++) {
        struct sl_identity who;
        struct sl_slice secret = sl_slice(t->secrets[i % count], SL_SECRET_SIZE);
        if (sl_keyring_check(t->gateway.keyring, secret, sl_time_wall_ms(), &who) != SL_OK)
            return sl_bench_fail("a key is not known");
        struct sl_call *call = run_call(t, route, &who, sl_slice_str("{}"));
        bool is_ok = !sl_call_has_failed(call);
        sl_call_destroy(&call);
        if (!is_ok)
            return false;
    }
    *ret_us = (double)(sl_time_mono_ns() - start_ns) / 1e3 / CALLS;
    return true;
}

static bool
run_latency(struct town *t)
{
    double one_us[ROUNDS], many_us[ROUNDS], ratios[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (!time_calls(t, 1, &one_us[i]) || !time_calls(t, ACTIVE, &many_us[i]))
            return false;
        ratios[i] = many_us[i] / one_us[i];
    }
    struct sl_bench_figure figures[] = {
        {"gateway.tenants.one_us", "us", SL_BENCH_NO_GOAL, 0, sl_bench_median(one_us, ROUNDS),
         "a call in the process, with its key, of one tenant"},
        {"gateway.tenants.many_us", "us", SL_BENCH_NO_GOAL, 0, sl_bench_median(many_us, ROUNDS),
         "of 1,000 in turn"},
        {"gateway.tenants.ratio", "x", SL_BENCH_AT_MOST, 1.2, sl_bench_median(ratios, ROUNDS),
         "of the two, round by round"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(t->bench, &figures[i]);
    return true;
}

static bool
run_memory(struct town *t)
{
    (void)malloc_trim(0);
    double before_kib = own_memory_kib();
    if (!make_tenants(t))
        return false;
    (void)malloc_trim(0);
    double each_kib = (own_memory_kib() - before_kib) / t->tenants;
    sl_bench_show(t->bench, &(struct sl_bench_figure){
                                "gateway.tenants.memory", "KiB", SL_BENCH_AT_MOST, 2, each_kib,
                                t->bench->is_quick ? "of an idle tenant with a key, of 5,000"
                                                   : "of an idle tenant with a key, of 100,000"});
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool
open_town(struct town *t)
{
    struct sl_gateway *g = &t->gateway;
    t->directory = sl_bench_directory_make(t->bench);
    if (t->directory == NULL)
        return false;
    struct sl_queue *queue = g->queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {.directory = t->directory,
                                       .projections = &projection,
                                       .projections_count = 1,
                                       .is_sync_off = true};
    enum sl_err err = sl_store_open(&options, &g->store);
    if (err != SL_OK)
        return sl_bench_fail("the store: %s", sl_err_text(err));
    g->data_directory = t->directory;
    g->indexes = sl_index_cache_create();
    g->keyring = sl_keyring_create();
    g->meter = sl_meter_create();
    g->limits = sl_limits_create();
    err = sl_gateway_bootstrap(g, sl_time_wall_ms());
    sl_random_seed_secret(&t->random);
    t->secrets = sl_alloc(ACTIVE * sizeof(*t->secrets));
    return err == SL_OK || sl_bench_fail("the store: %s", sl_err_text(err));
}

static void
close_town(struct town *t)
{
    struct sl_gateway *g = &t->gateway;
    sl_meter_destroy(&g->meter);
    sl_limits_destroy(&g->limits);
    sl_keyring_destroy(&g->keyring);
    sl_index_cache_destroy(&g->indexes);
    sl_store_close(&g->store);
    sl_queue_destroy(&g->queue);
    sl_bench_directory_remove(&t->directory);
    sl_free(t->secrets);
}

bool
sl_bench_door_tenants(const struct sl_bench *bench)
{
    struct town t = {.bench = bench, .tenants = bench->is_quick ? TENANTS_FEW : TENANTS};
    bool is_ok = open_town(&t) && run_memory(&t) && run_latency(&t);
    close_town(&t);
    return is_ok;
}
