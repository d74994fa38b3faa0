/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/router.h"

#include <inttypes.h>

#include "runtime/report.h"
#include "tests/actors/recorder.h"

#define SPEC "{\"extractor\":\"echo\",\"params\":{}}"

static struct recorder r;

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_router_class, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), NULL);
}

static void
finish(void)
{
    recorder_stop(&r);
}

TestSuite(router, .init = setup, .fini = finish, .timeout = 60);

static void
say(struct sl_addr from, uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    struct sl_ctx ctx = recorder_ctx(&r);
    msg->from = from;
    msg->to = r.self;
    msg->request = request;
    r.class->handle(r.actor, &ctx, msg);
    sl_msg_destroy(&msg);
}

static struct sl_addr
api(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_API);
}

static void
node_up(uint32_t node)
{
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), 0, SL_M_node_up, &(struct sl_m_node_up){.node = node});
}

static void
node_open(uint32_t node, bool is_open)
{
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), 0, SL_M_node_open,
        &(struct sl_m_node_open){.node = node, .is_open = is_open});
}

struct ask {
    uint64_t request, timeout_ns, sticky, scope, home;
    const char *spec; /* NULL: SPEC. */
};

static void
embed(struct ask a)
{
    struct sl_m_embed m = {.spec = sl_slice_str(a.spec == NULL ? SPEC : a.spec),
                           .inputs = sl_slice_str("in"),
                           .scope = a.scope,
                           .timeout_ns = a.timeout_ns,
                           .sticky = a.sticky,
                           .home = a.home};
    say(api(), a.request, SL_M_embed, &m);
}

struct run {
    uint64_t serial, timeout_ns;
    uint32_t node; /* 0: none was sent. */
    bool is_alone;
};

static struct run
taken(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_embed_run);
    struct run run = {0};
    if (msg != NULL)
        run = (struct run){msg->request, SL_BODY(msg, embed_run)->timeout_ns, msg->to.node,
                           SL_BODY(msg, embed_run)->alone != 0};
    sl_msg_destroy(&msg);
    return run;
}

static void
answer(struct run run, enum sl_err err)
{
    say(sl_at(run.node, SL_ACTOR_AGENT), run.serial, SL_M_embedded,
        &(struct sl_m_embedded){.err = err});
}

/* The error of the oldest answer; SL_ERR_COUNT: there is none. */
static enum sl_err
answered(uint64_t request)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_embedded);
    enum sl_err err = SL_ERR_COUNT;
    if (msg != NULL) {
        cr_assert_eq(msg->request, request);
        cr_assert_eq(msg->to.actor, SL_ACTOR_API);
        err = (enum sl_err)SL_BODY(msg, embedded)->err;
    }
    sl_msg_destroy(&msg);
    return err;
}

static struct sl_router_counts
counts(void)
{
    struct sl_router_counts c;
    sl_router_counts(r.actor, &c);
    return c;
}

/* ---- which node ---------------------------------------------------------------------------- */

Test(router, of_two_nodes_the_one_with_fewer_calls_gets_the_next)
{
    node_up(2);
    node_up(3);
    uint32_t ongoing[4] = {0};
    for (uint64_t i = 1; i <= 100; i++) {
        embed((struct ask){.request = i});
        struct run run = taken();
        ongoing[run.node]++;
        cr_assert_leq(ongoing[2] > ongoing[3] ? ongoing[2] - ongoing[3] : ongoing[3] - ongoing[2],
                      1);
    }
}

static void
tainted_up(uint32_t node, uint64_t taint)
{
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), 0, SL_M_node_up,
        &(struct sl_m_node_up){.node = node, .taint = taint});
}

Test(router, a_tenants_own_nodes_get_its_calls_and_it_gets_no_others)
{
    for (uint32_t node = 2; node <= 4; node++)
        node_up(node);
    for (uint32_t node = 5; node <= 7; node++)
        tainted_up(node, node < 7 ? 1 : 2);
    for (uint64_t i = 1; i <= 300; i++) {
        uint64_t home = i % 3;
        embed((struct ask){.request = i, .home = home, .sticky = i % 2 == 0 ? i : 0});
        uint32_t node = taken().node, first = home == 0 ? 2 : home == 1 ? 5 : 7;
        uint32_t last = home == 0 ? 4 : home == 1 ? 6 : 7;
        cr_expect(node >= first && node <= last, "node %u, home %zu", node, (size_t)home);
    }
}

Test(router, a_call_for_a_tenants_own_nodes_waits_and_wants_no_other)
{
    node_up(2);
    recorder_forget(&r);
    embed((struct ask){.request = 1, .home = 5, .timeout_ns = SL_SECOND_NS});
    cr_expect_eq(taken().node, 0);
    cr_expect_eq(counts().parked, 1);
    cr_expect_eq(recorder_count(&r, SL_M_calls_wanted), 0, "none that comes by demand is its");
    tainted_up(3, 6);
    cr_expect_eq(taken().node, 0);
    embed((struct ask){.request = 2, .home = 5, .timeout_ns = 10 * SL_SECOND_NS});
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_expect_eq(answered(1), SL_ETIMEOUT);
    tainted_up(4, 5);
    cr_expect_eq(taken().node, 4);
}

Test(router, a_model_is_loaded_where_its_tenant_is_at_home)
{
    node_up(2);
    tainted_up(3, 5);
    for (uint64_t home = 0; home <= 5; home += 5) {
        struct sl_m_model_load m = {.directory = sl_slice_str("models/5/a"), .home = home};
        say(api(), 10 + home, SL_M_model_load, &m);
        struct sl_msg *msg = recorder_take(&r, SL_M_model_load);
        cr_assert_not_null(msg);
        cr_expect_eq(msg->to.node, home == 0 ? 2 : 3);
        sl_msg_destroy(&msg);
        m.node = home == 0 ? 3 : 2;
        say(api(), 20 + home, SL_M_model_load, &m);
        cr_expect_eq(recorder_count(&r, SL_M_model_load), 0, "not there, whoever says so");
    }
}

Test(router, among_many_nodes_none_has_many_more_than_another)
{
    uint32_t ongoing[40] = {0}, most = 0;
    for (uint32_t node = 2; node < 34; node++)
        node_up(node);
    for (uint64_t i = 1; i <= 960; i++) {
        embed((struct ask){.request = i});
        uint32_t now = ++ongoing[taken().node];
        most = SL_MAX(most, now);
        recorder_forget(&r);
    }
    cr_assert_leq(most, 34, "30 each is even; %u", most);
}

Test(router, a_closed_node_gets_calls_only_where_no_other_is)
{
    for (uint32_t node = 2; node <= 4; node++)
        node_up(node);
    node_open(2, false);
    node_open(3, false);
    for (uint64_t i = 1; i <= 50; i++) {
        embed((struct ask){.request = i, .sticky = i % 2 == 0 ? i : 0});
        cr_assert_eq(taken().node, 4);
    }
    node_open(4, false);
    embed((struct ask){.request = 51});
    cr_assert_neq(taken().node, 0);
}

Test(router, what_is_sticky_goes_to_one_node_and_moves_only_when_that_goes)
{
    uint32_t before[64], used[10] = {0};
    for (uint32_t node = 2; node <= 9; node++)
        node_up(node);
    for (uint64_t i = 0; i < 64; i++) {
        embed((struct ask){.request = 2 * i + 1, .sticky = i + 1});
        before[i] = taken().node;
        embed((struct ask){.request = 2 * i + 2, .sticky = i + 1});
        cr_assert_eq(taken().node, before[i]);
        used[before[i]]++;
    }
    node_open(9, false);
    cr_assert_gt(used[9], 0);
    for (uint64_t i = 0; i < 64; i++) {
        embed((struct ask){.request = 1000 + i, .sticky = i + 1});
        uint32_t node = taken().node;
        cr_assert(before[i] == 9 ? node != 9 : node == before[i]);
    }
}

/* ---- deadlines ----------------------------------------------------------------------------- */

Test(router, tells_the_node_how_long_is_waited_and_answers_at_the_deadline)
{
    node_up(2);
    embed((struct ask){.request = 1});
    cr_assert_eq(taken().timeout_ns, SL_ROUTER_DEADLINE_NS);
    embed((struct ask){.request = 2, .timeout_ns = 70 * SL_MILLI_NS});
    struct run run = taken();
    cr_assert_eq(run.timeout_ns, 70 * SL_MILLI_NS);
    recorder_wait(&r, 69 * SL_MILLI_NS);
    cr_assert_eq(answered(2), SL_ERR_COUNT);
    recorder_wait(&r, SL_MILLI_NS);
    cr_assert_eq(answered(2), SL_ETIMEOUT);
    answer(run, SL_OK);
    cr_assert_eq(answered(2), SL_ERR_COUNT, "it came too late");
    recorder_wait(&r, SL_ROUTER_DEADLINE_NS);
    cr_assert_eq(answered(1), SL_ETIMEOUT);
    cr_assert_eq(counts().overdue, 2);
    cr_assert_eq(counts().calls, 0);
    cr_assert_eq(r.timers_count, 0, "nothing is under way, so nothing is looked for");
}

Test(router, what_is_stated_is_held_to_a_limit)
{
    node_up(2);
    embed((struct ask){.request = 1, .timeout_ns = UINT64_MAX});
    cr_assert_eq(taken().timeout_ns, SL_ROUTER_TIMEOUT_MAX_NS);
}

Test(router, a_parked_call_waits_for_a_node_until_its_deadline_and_no_longer)
{
    embed((struct ask){.request = 1, .timeout_ns = SL_SECOND_NS});
    embed((struct ask){.request = 2});
    cr_assert_eq(counts().parked, 2);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_assert_eq(answered(1), SL_ETIMEOUT);
    node_up(2);
    struct run run = taken();
    cr_assert_eq(run.timeout_ns, SL_ROUTER_DEADLINE_NS - 2 * SL_SECOND_NS);
    answer(run, SL_OK);
    cr_assert_eq(answered(2), SL_OK);
    cr_assert_eq(counts().parked, 0);
}

/* ---- what the head is told ------------------------------------------------------------------ */

/* How many calls the head was told of last; UINT64_MAX: nothing since the last look. */
static uint64_t
told(void)
{
    uint64_t calls = UINT64_MAX;
    for (struct sl_msg *msg; (msg = recorder_take(&r, SL_M_calls_wanted)) != NULL;) {
        calls = SL_BODY(msg, calls_wanted)->calls;
        sl_msg_destroy(&msg);
    }
    return calls;
}

Test(router, tells_the_head_of_a_call_while_it_lasts_and_when_it_has_ended)
{
    node_up(2);
    embed((struct ask){.request = 1});
    struct run run = taken();
    cr_expect_eq(told(), 1);
    for (int i = 0; i < 5; i++) {
        recorder_wait(&r, SL_ROUTER_TELL_NS);
        cr_expect_eq(told(), 1, "it is under way yet");
    }
    answer(run, SL_OK);
    cr_expect_eq(told(), 0, "at once");
    recorder_wait(&r, 3 * SL_ROUTER_TELL_NS);
    cr_expect_eq(told(), UINT64_MAX);
    cr_expect_eq(r.timers_count, 1, "but that of the deadline");
}

Test(router, calls_one_after_the_other_are_told_of_now_and_then)
{
    uint32_t count = 0;
    node_up(2);
    for (uint64_t i = 1; i <= 1000; i++) { /* A tenth of a second. */
        embed((struct ask){.request = i});
        answer(taken(), SL_OK);
        count += told() != UINT64_MAX;
        recorder_forget_sent(&r);
        recorder_wait(&r, SL_MILLI_NS / 10);
    }
    cr_expect_leq(count, 25, "%u times", count);
    embed((struct ask){.request = 2000});
    recorder_wait(&r, 10 * SL_MILLI_NS);
    cr_expect_eq(told(), 1, "the last one is told of soon");
}

/* ---- limits -------------------------------------------------------------------------------- */

static void
fill(uint64_t first, uint32_t count, uint64_t scope, const char *spec)
{
    for (uint64_t i = 0; i < count; i++) {
        embed((struct ask){.request = first + i, .scope = scope, .spec = spec});
        cr_assert_eq(recorder_count(&r, SL_M_embedded), 0, "%" PRIu64, i);
        recorder_forget_sent(&r);
    }
}

Test(router, a_tenant_has_a_share_and_others_go_on)
{
    node_up(2);
    fill(1, SL_ROUTER_SCOPE_MAX, 7, NULL);
    embed((struct ask){.request = 5000, .scope = 7});
    cr_assert_eq(answered(5000), SL_EFULL);
    embed((struct ask){.request = 5001, .scope = 8});
    struct run run = taken();
    cr_assert_neq(run.node, 0);
    answer(run, SL_OK);
    cr_assert_eq(answered(5001), SL_OK);
    cr_assert_eq(counts().refused, 1);
}

Test(router, an_extraction_has_a_share_and_others_go_on)
{
    node_up(2);
    for (uint64_t scope = 1; scope * SL_ROUTER_SCOPE_MAX <= SL_ROUTER_EXTRACTION_MAX; scope++)
        fill(scope * 10000, SL_ROUTER_SCOPE_MAX, scope, NULL);
    embed((struct ask){.request = 1, .scope = 99});
    cr_assert_eq(answered(1), SL_EFULL);
    embed((struct ask){.request = 2, .scope = 99, .spec = "{\"extractor\":\"other\"}"});
    cr_assert_neq(taken().node, 0);
}

Test(router, parks_only_so_many)
{
    fill(1, SL_ROUTER_PARKED_MAX / 2, 1, NULL);
    fill(10001, SL_ROUTER_PARKED_MAX / 2, 2, NULL);
    embed((struct ask){.request = 1, .scope = 3});
    cr_assert_eq(answered(1), SL_EFULL);
}

Test(router, what_has_ended_makes_room_again)
{
    node_up(2);
    for (uint64_t i = 1; i <= 3 * SL_ROUTER_CALLS_MAX; i++) {
        embed((struct ask){.request = i, .scope = 7});
        answer(taken(), SL_OK);
        cr_assert_eq(answered(i), SL_OK);
        recorder_forget_sent(&r);
    }
    cr_assert_eq(counts().calls, 0);
}

/* ---- cancelling ---------------------------------------------------------------------------- */

static void
cancel(uint64_t request)
{
    say(api(), request, SL_M_embed_cancel, &(struct sl_m_embed_cancel){0});
}

Test(router, who_hung_up_is_forgotten_and_its_node_told)
{
    node_up(2);
    embed((struct ask){.request = 1});
    struct run run = taken();
    cancel(99);
    cr_assert_eq(counts().cancelled, 0, "no such call");
    cancel(1);
    struct sl_msg *told = recorder_take(&r, SL_M_embed_cancel);
    cr_assert_not_null(told);
    cr_assert_eq(told->to.node, 2);
    cr_assert_eq(told->request, run.serial);
    sl_msg_destroy(&told);
    answer(run, SL_OK);
    recorder_wait(&r, SL_ROUTER_DEADLINE_NS);
    cr_assert_eq(recorder_count(&r, SL_M_embedded), 0, "nobody waits for it");
    cr_assert_eq(counts().cancelled, 1);
}

Test(router, a_parked_call_that_is_cancelled_goes_nowhere)
{
    embed((struct ask){.request = 1});
    cancel(1);
    node_up(2);
    cr_assert_eq(taken().node, 0);
    cr_assert_eq(counts().calls, 0);
    cr_assert_eq(counts().parked, 0);
}

/* ---- replicas that die ---------------------------------------------------------------------- */

Test(router, a_call_whose_replica_died_is_run_once_more_alone)
{
    node_up(2);
    embed((struct ask){.request = 1});
    struct run run = taken();
    cr_assert_not(run.is_alone);
    answer(run, SL_ECRASHED);
    cr_assert_eq(answered(1), SL_ERR_COUNT);
    run = taken();
    cr_assert_eq(run.node, 2);
    cr_assert(run.is_alone);
    answer(run, SL_ECRASHED);
    cr_assert_eq(answered(1), SL_ECRASHED);
    cr_assert_eq(counts().again, 1);
}

Test(router, calls_of_a_lost_node_go_to_another)
{
    node_up(2);
    for (uint64_t i = 1; i <= 10; i++) {
        embed((struct ask){.request = i});
        cr_assert_eq(taken().node, 2);
    }
    node_up(3);
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), 0, SL_M_node_lost, &(struct sl_m_node_lost){.node = 2});
    for (uint64_t i = 1; i <= 10; i++) {
        struct run run = taken();
        cr_assert_eq(run.node, 3);
        answer(run, SL_OK);
        cr_assert_eq(answered(i), SL_OK);
    }
    cr_assert_eq(counts().calls, 0);
}
