/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway answers without its head: within loans, and metered. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/meter.h"
#include "gateway/route.h"
#include "tests/gateway/edge_net.h"

TestSuite(edge_alone, .init = net_setup, .fini = net_teardown);

/* As the head lends it: what the gateway has asked for, and can answer so many calls with. */
static void
lend(uint64_t credits)
{
    struct sl_m_edge_loan m = {.term = net.term,
                               .scope = 5,
                               .number = net.asked,
                               .rate = 1,
                               .burst = credits,
                               .credits = credits};
    net_from_node(SL_NODE_HEAD, SL_M_edge_loan, &m);
}

Test(edge_alone, a_call_whose_rate_is_limited_runs_here_within_a_loan_and_else_at_the_head)
{
    net_serve_once_by(SL_LOAN_NEEDED);
    net_post("k1", INFERENCE, 1);
    cr_assert(net.directs == 0 && net.at_api_count == 1, "nothing is lent yet");
    cr_assert_eq(net.asks, 1);
    net_finish("{}");
    lend(2);
    for (int i = 0; i < 3; i++)
        net_post("k1", INFERENCE, 1);
    cr_assert(net.directs == 2 && net.at_api_count == 1, "the third is the head's");
    net_finish("{}");
    net_cut_off(SL_NODE_HEAD);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 2);
    cr_assert(net_answered("head_away"), "nobody else may say so");
    net.now_ns += SL_SECOND_NS;
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 3, "within its loan it goes on");
    net.now_ns += SL_LOAN_LIFE_NS;
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 3, "which has ended");
}

Test(edge_alone, what_was_not_asked_for_or_was_lent_under_other_limits_is_not_used)
{
    net_serve_once_by(SL_LOAN_NEEDED);
    net.asked = 77;
    lend(2);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 0);
    net_finish("{}");
    lend(2);
    net_touch(5);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 0, "its limits may have changed");
}

Test(edge_alone, what_the_head_alone_can_count_is_answered_by_it_alone)
{
    net_serve_once();
    net_cut_off(SL_NODE_HEAD);
    net_link_head();
    net_post("k1", INFERENCE, 1);
    net.at_api[0]->resolved =
        (struct sl_resolved){sl_slice_str("{}"), sl_slice_str("models/1"), SL_LOAN_NEVER};
    net_finish("{}");
    net_post("k1", INFERENCE, 1);
    cr_assert(net.directs == 0 && net.at_api_count == 1);
    net_finish("{}");
    net_cut_off(SL_NODE_HEAD);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 0, "not even by what was known before");
    cr_assert(net_answered("head_away"));
}

/* ---- what was used ------------------------------------------------------------------------- */

#define HERE   ((struct sl_scope){5})
#define NOW_MS UINT64_C(1772366400000)

static char directory[] = "/tmp/sluice-edge-XXXXXX";

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

static void
open_ledger(void)
{
    struct sl_identity tenant = {.scope = HERE};
    struct sl_store_options options = {
        .directory = directory, .is_sync_off = true, .map_size_bytes = 64 * SL_MIB};
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(sl_store_open(&options, &net.head.store), SL_OK);
    (void)snprintf(tenant.tenant_id, sizeof(tenant.tenant_id), "acme");
    sl_keyring_tenant_put(net.head.keyring, &tenant);
    net.head.meter = sl_meter_create();
    net.gateway.meter = sl_meter_create();
}

static void
close_ledger(void)
{
    sl_meter_destroy(&net.head.meter);
    sl_meter_destroy(&net.gateway.meter);
    sl_store_close(&net.head.store);
    (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A call that the gateway has answered by itself. */
static void
answer_here(uint16_t status)
{
    struct sl_call *call = sl_call_create();
    call->path = sl_call_copy(call, sl_slice_str(INFERENCE));
    cr_assert_eq(sl_route_match(SL_POST, call->path, &call->route, call->params), SL_OK);
    call->gateway = &net.gateway;
    call->who.scope = HERE;
    call->status = status;
    sl_meter_use(call, SL_LEDGER_embeddings, 2, "");
    sl_meter_answered(call);
    sl_call_destroy(&call);
}

static void
see(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    uint64_t *amounts = arg;
    (void)at_ms;
    amounts[e->resource] += e->amount;
}

static uint64_t
recorded(enum sl_ledger_resource resource)
{
    uint64_t amounts[SL_LEDGER_RESOURCE_END] = {0};
    struct sl_ledger_place place = {0};
    struct sl_ledger_walk walk = {
        .scope = HERE, .to_ms = UINT64_MAX, .rows_max = UINT32_MAX, .seen = see, .arg = amounts};
    struct sl_txn *txn = sl_store_begin(net.head.store);
    cr_assert(sl_ledger_walk(txn, &walk, &place));
    sl_txn_abort(&txn);
    sl_buf_deinit(&place.after);
    return amounts[resource];
}

Test(edge_alone, what_a_gateway_answered_is_recorded_once_whatever_is_lost_on_the_way)
{
    uint64_t answered_here = 0;
    struct sl_random random;
    open_ledger();
    sl_random_seed(&random, 9);
    for (int step = 0; step < 600; step++) {
        uint64_t what = sl_random_below(&random, 40);
        for (uint64_t n = sl_random_below(&random, 3); n > 0; n--, answered_here++)
            answer_here(200);
        net.lost_reports = what < 8 ? 1 : 0;
        net.lost_notes = what >= 8 && what < 16 ? 1 : 0;
        if (what == 16) {
            net_stop_head();
            net_start_head();
        }
        net_tick(SL_EDGE_BEAT_NS);
        cr_assert_leq(recorded(SL_LEDGER_requests), answered_here);
    }
    net.lost_reports = net.lost_notes = 0;
    for (int i = 0; i < 20; i++)
        net_tick(SL_EDGE_BEAT_NS);
    cr_expect_eq(recorded(SL_LEDGER_requests), answered_here);
    cr_expect_eq(recorded(SL_LEDGER_embeddings), 2 * answered_here);
    close_ledger();
}

Test(edge_alone, a_gateway_that_is_killed_takes_what_it_had_not_told_and_doubles_nothing)
{
    open_ledger();
    answer_here(200);
    answer_here(422);
    net.lost_notes = 1;
    net_tick(SL_EDGE_BEAT_NS); /* Recorded, and it does not know. */
    answer_here(200);
    net_stop_gateway();
    sl_meter_destroy(&net.gateway.meter);
    net.gateway.meter = sl_meter_create();
    net_start_gateway();
    net_settle();
    for (int i = 0; i < 6; i++)
        net_tick(SL_EDGE_BEAT_NS);
    cr_expect_eq(recorded(SL_LEDGER_requests), 2);
    cr_expect_eq(recorded(SL_LEDGER_embeddings), 2, "a refusal has used nothing else");
    answer_here(200);
    net_tick(SL_EDGE_BEAT_NS);
    cr_expect_eq(recorded(SL_LEDGER_requests), 3, "the first report of its next life is another");
    close_ledger();
}

Test(edge_alone, reports_that_are_none_change_nothing_and_are_not_asked_for_again)
{
    struct sl_m_edge_used m = {.number = 1, .report = sl_slice_str("no report")};
    open_ledger();
    m.term = net.term;
    struct sl_msg *msg = sl_msg_create(SL_M_edge_used, &m);
    msg->from = sl_at(GATEWAY, SL_ACTOR_EDGE);
    net_give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    sl_msg_destroy(&msg);
    net.notes = 0;
    net_settle();
    cr_expect_eq(net.notes, 1);
    cr_expect_eq(recorded(SL_LEDGER_requests), 0);
    close_ledger();
}
