/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each part of the door costs a call, in this process and without HTTP. Keys are asked as the
 * front asks. Limits and the ledger are told by difference: the same calls run with and without
 * them, in turn, on a store whose log is not synced, for that is the processor's time alone. The
 * ledger's share has all that it does later as well: records, folds.
 */
#include <stdio.h>

#include "actors/rows.h"
#include "gateway/bench/directory.h"
#include "gateway/bench/door.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define ROUNDS     11u
#define ROUNDS_FEW 5u
#define KEYS       10000u
#define CHECKS     100000u
#define CALLS      20000u
#define SYNC_CALLS 64u
#define TICK_CALLS 5000u /* A tick is due about once a second. */
#define TICKS_MAX  1000u
#define TENANT     "bench"

struct bed {
    struct sl_gateway gateway;
    struct sl_identity who;
    char *directory;
    char (*secrets)[SL_SECRET_SIZE + 1];
    uint64_t now_ms;
    uint32_t rounds;
};

/* ---- keys ---------------------------------------------------------------------------------- */

static void
make_keys(struct bed *b)
{
    b->secrets = sl_alloc(KEYS * sizeof(*b->secrets));
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t digest[SL_SHA256_SIZE];
        sl_secret_mint(b->secrets[i]);
        sl_sha256(sl_slice_str(b->secrets[i]), digest);
        sl_keyring_put(b->gateway.keyring, digest, &b->who, 0);
    }
    struct sl_slice first = sl_slice_str(b->secrets[0]);
    sl_sha256(first, b->who.digest);
}

/* Nanoseconds of a check; `good`: how many were let in. */
static double
time_checks(struct bed *b, uint32_t *good)
{
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < CHECKS; i++) {
        struct sl_identity who;
        struct sl_slice secret = sl_slice(b->secrets[i % KEYS], SL_SECRET_SIZE);
        *good += sl_keyring_check(b->gateway.keyring, secret, b->now_ms, &who) == SL_OK;
    }
    return (double)(sl_time_mono_ns() - start_ns) / CHECKS;
}

/* In each the first character after the prefix is another one. */
static void
spoil_keys(struct bed *b)
{
    for (uint32_t i = 0; i < KEYS; i++)
        b->secrets[i][3] = b->secrets[i][3] == 'a' ? 'b' : 'a';
}

static bool
run_keys(const struct sl_bench *bench, struct bed *b)
{
    double ns[ROUNDS], bad_ns[ROUNDS];
    uint32_t good = 0, bad = 0;
    for (uint32_t i = 0; i < b->rounds; i++)
        ns[i] = time_checks(b, &good);
    spoil_keys(b);
    for (uint32_t i = 0; i < b->rounds; i++)
        bad_ns[i] = time_checks(b, &bad);
    if (good != b->rounds * CHECKS || bad != 0)
        return sl_bench_fail("%u of %u keys were let in, and %u malformed ones", good,
                             b->rounds * CHECKS, bad);
    sl_bench_show(bench,
                  &(struct sl_bench_figure){"gateway.key.check", "ns", SL_BENCH_AT_MOST, 600,
                                            sl_bench_median(ns, b->rounds), "10,000 keys in turn"});
    sl_bench_show(bench,
                  &(struct sl_bench_figure){"gateway.key.malformed", "ns", SL_BENCH_AT_MOST, 200,
                                            sl_bench_median(bad_ns, b->rounds), "one typo"});
    return true;
}

/* ---- calls --------------------------------------------------------------------------------- */

static void
do_nothing(struct sl_call *call)
{
    sl_buf_append_str(&call->reply, "{}");
}

static void
put_row(struct sl_call *call)
{
    static const uint8_t key[] = {0, 0, 0, 1};
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_SYSTEM, sl_slice(key, sizeof(key)),
               sl_slice_str("a row that each call puts anew"));
    sl_buf_append_str(&call->reply, "{}");
}

static const struct sl_route reads = {.path = "/v1/bench",
                                      .name = "bench_read",
                                      .permission = SL_PERMIT_READ,
                                      .success = 200,
                                      .handler = do_nothing,
                                      .summary = "nothing"};
static const struct sl_route writes = {.method = SL_POST,
                                       .path = "/v1/bench",
                                       .name = "bench_write",
                                       .permission = SL_PERMIT_WRITE,
                                       .success = 200,
                                       .handler = put_row,
                                       .summary = "one row"};

static bool
run_call(struct bed *b, const struct sl_route *route)
{
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->gateway = &b->gateway;
    call->who = b->who;
    call->now_ms = b->now_ms;
    call->now_ns = sl_time_mono_ns();
    sl_runner_run(&b->gateway, call);
    sl_limits_answered(call);
    sl_meter_answered(call);
    bool is_ok = !sl_call_has_failed(call);
    if (!is_ok)
        (void)sl_bench_fail("a call was refused: %s", sl_call_failure(call));
    sl_call_destroy(&call);
    return is_ok;
}

static bool
tick(struct bed *b)
{
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; i < TICKS_MAX && err == SL_OK; i++) {
        err = sl_meter_tick(&b->gateway, b->now_ms);
        if (sl_meter_due_ns(&b->gateway) == UINT64_MAX)
            return err == SL_OK;
    }
    return sl_bench_fail("the ledger does not come to rest: %s", sl_err_text(err));
}

/* Nanoseconds of a call, with what is done once for many. */
static bool
time_calls(struct bed *b, const struct sl_route *route, double *ret_ns)
{
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < CALLS; i++) {
        if (!run_call(b, route) || ((i + 1) % TICK_CALLS == 0 && !tick(b)))
            return false;
        if ((i + 1) % SYNC_CALLS == 0 && sl_store_sync(b->gateway.store) != SL_OK)
            return sl_bench_fail("the log could not be written");
    }
    *ret_ns = (double)(sl_time_mono_ns() - start_ns) / CALLS;
    b->now_ms += 1000;
    return true;
}

struct difference {
    const char *name;
    double target_ns;
    const struct sl_route *route;
    bool is_limits; /* Else the ledger. */
    const char *note;
};

/* With and without, in turn: the median of the differences. */
static bool
run_difference(const struct sl_bench *bench, struct bed *b, const struct difference *d)
{
    double more_ns[ROUNDS], with_ns, without_ns;
    struct sl_limits *limits = b->gateway.limits;
    struct sl_meter *meter = b->gateway.meter;
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < b->rounds; i++) {
        b->gateway.limits = d->is_limits ? limits : NULL;
        b->gateway.meter = d->is_limits ? NULL : meter;
        is_ok = time_calls(b, d->route, &with_ns);
        b->gateway.limits = NULL;
        b->gateway.meter = NULL;
        is_ok = is_ok && time_calls(b, d->route, &without_ns);
        more_ns[i] = with_ns - without_ns;
    }
    b->gateway.limits = limits;
    b->gateway.meter = meter;
    if (!is_ok)
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){d->name, "ns", SL_BENCH_AT_MOST, d->target_ns,
                                                   sl_bench_median(more_ns, b->rounds), d->note});
    return true;
}

static bool
run_calls(const struct sl_bench *bench, struct bed *b)
{
    static const struct difference differences[] = {
        {"gateway.limits", 300, &reads, true, "a call of a tenant with all limits"},
        {"gateway.ledger.read", 500, &reads, false, "a call that commits nothing"},
        {"gateway.ledger.write", 500, &writes, false, "a call that commits a row"}};
    for (size_t i = 0; i < SL_COUNT_OF(differences); i++) {
        if (!run_difference(bench, b, &differences[i]))
            return false;
    }
    return true;
}

/* ---- the bed ------------------------------------------------------------------------------- */

/* All limits, and none that is reached. */
static bool
make_tenant(struct bed *b)
{
    static const char row[] =
        "{\"tenant_id\":\"" TENANT "\",\"limits\":{\"max_requests_per_second\":1000000,"
        "\"burst_credits\":1000000,\"max_concurrent_requests\":1000,"
        "\"max_requests_per_day\":1000000000000,\"max_tokens_per_month\":1000000000000,"
        "\"daily_budget\":1000000000,\"monthly_budget\":1000000000}}";
    struct sl_txn *txn = sl_store_begin(b->gateway.store);
    sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(TENANT), sl_slice_str(row));
    enum sl_err err = sl_txn_commit(&txn);
    return err == SL_OK || sl_bench_fail("the tenant: %s", sl_err_text(err));
}

static bool
open_bed(const struct sl_bench *bench, struct bed *b)
{
    *b = (struct bed){
        .now_ms = sl_time_wall_ms(),
        .rounds = bench->is_quick ? ROUNDS_FEW : ROUNDS,
        .who = {.scope = {7},
                .permissions = SL_PERMIT_BIT(SL_PERMIT_READ) | SL_PERMIT_BIT(SL_PERMIT_WRITE),
                .tenant_id = TENANT,
                .key_id = "key_0123456789abcdef"},
        .directory = sl_bench_directory_make(bench)};
    if (b->directory == NULL)
        return false;
    struct sl_store_options options = {.directory = b->directory, .is_sync_off = true};
    enum sl_err err = sl_store_open(&options, &b->gateway.store);
    if (err != SL_OK)
        return sl_bench_fail("the store: %s", sl_err_text(err));
    b->gateway.keyring = sl_keyring_create();
    b->gateway.meter = sl_meter_create();
    b->gateway.limits = sl_limits_create();
    make_keys(b);
    return make_tenant(b);
}

static void
close_bed(struct bed *b)
{
    sl_meter_destroy(&b->gateway.meter);
    sl_limits_destroy(&b->gateway.limits);
    sl_keyring_destroy(&b->gateway.keyring);
    sl_store_close(&b->gateway.store);
    sl_bench_directory_remove(&b->directory);
    sl_free(b->secrets);
}

bool
sl_bench_door_costs(const struct sl_bench *bench)
{
    struct bed b;
    bool is_ok = open_bed(bench, &b) && run_keys(bench, &b) && run_calls(bench, &b);
    close_bed(&b);
    return is_ok;
}
