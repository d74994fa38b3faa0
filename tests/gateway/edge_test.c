/* SPDX-License-Identifier: Apache-2.0 */
/* A head and its gateways: keys, calls, membership. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "tests/gateway/edge_net.h"

TestSuite(edge, .init = net_setup, .fini = net_teardown);

#define OBJECTS "/v1/buckets/b/objects"

Test(edge, a_gateway_that_joins_has_all_keys_and_hears_of_each_change)
{
    cr_assert(sl_keyring_is_filled(net.gateway.keyring), "even if there are none");
    net_put_key("k1", 7, false);
    net_tell_changes();
    cr_assert(net_knows("k1"));
    net_remove_key("k1");
    net_tell_changes();
    cr_assert_not(net_knows("k1"));
}

Test(edge, a_change_that_was_missed_has_all_keys_sent_again)
{
    net_put_key("k1", 7, false);
    net.dropped_keys = 1;
    net_tell_changes();
    cr_assert_not(net_knows("k1"));
    net_put_key("k2", 7, false);
    net_tell_changes();
    cr_assert(net_knows("k1") && net_knows("k2"));
}

Test(edge, a_call_is_run_by_the_head_and_answered_once)
{
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 1);
    cr_assert_eq(net.at_api[0]->who.scope.id, 5, "the scope is what the head says");
    cr_assert_eq(net.at_api[0]->who.permissions, 7 << 1);
    cr_assert(sl_json_is(sl_json_member(net.at_api[0]->body, "a"), "xxx"));
    net_finish("{\"done\":1}");
    cr_assert_eq(net.answers, 1);
    cr_assert(net_answered("\"done\":1"));
    cr_assert_eq(net.answered->status, 200);
}

Test(edge, large_calls_and_replies_go_in_pieces)
{
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 9 * SL_MIB);
    cr_assert_eq(net.at_api_count, 1);
    cr_assert_eq(net.at_api[0]->body_text.size, 9 * SL_MIB + 8);
    char *text = sl_zalloc(5 * SL_MIB + 1);
    memset(text, 'y', 5 * SL_MIB);
    net_finish(text);
    cr_assert_eq(net.answered->reply.size, 5 * SL_MIB);
    cr_assert_leq(net.largest, SL_EDGE_PIECE_BYTES);
    sl_free(text);
}

Test(edge, a_revoked_key_is_refused_by_the_head_whatever_the_gateway_believes)
{
    net_put_key("k1", 7 << 1, false);
    net_tell_changes();
    net_remove_key("k1");
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 401);
}

Test(edge, a_key_without_the_permission_is_refused_by_the_head)
{
    net_put_key("k1", SL_PERMIT_BIT(SL_PERMIT_READ), false);
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 403);
}

Test(edge, a_call_under_way_when_the_head_begins_anew_is_answered_and_not_run_again)
{
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 1);
    net_stop_head();
    net_start_head();
    net_tick(SL_EDGE_BEAT_NS); /* The beat has a term that the new head does not know. */
    cr_assert_eq(net.answers, 1);
    cr_assert_eq(net.answered->status, 503);
    cr_assert(net_answered("head_lost"));
    cr_assert_eq(net.at_api_count, 1, "the new head was given nothing");
    net_finish("{\"late\":1}");
    cr_assert_eq(net.answers, 1, "an answer of the former term is dropped");
    net_post("k1", OBJECTS, 3);
    net_finish("{\"new\":1}");
    cr_assert(net_answered("\"new\":1"));
}

Test(edge, a_silent_head_is_away_until_it_is_heard_again)
{
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    net.is_cut = true;
    for (uint32_t i = 0; i < 9; i++)
        net_tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.answers, 0, "not yet");
    net_tick(SL_EDGE_BEAT_NS);
    cr_assert(net_answered("head_lost"));
    net_post("k1", OBJECTS, 3);
    cr_assert(net_answered("head_away"));
    cr_assert_eq(net.answers, 2);
    net.is_cut = false;
    net_tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.at_api_count, 1, "what was refused is not run later");
    net_post("k1", OBJECTS, 3);
    net_finish("{\"first\":1}");
    cr_assert_not(net_answered("\"first\":1"), "its caller was answered before");
    net_finish("{\"second\":1}");
    cr_assert(net_answered("\"second\":1"));
    struct sl_edge_counts counts;
    sl_edge_counts(net.edge, &counts);
    cr_assert_eq(counts.lost, 1);
    cr_assert_eq(counts.refused, 1);
    cr_assert_eq(counts.pending, 0);
}

Test(edge, a_call_that_is_never_answered_is_given_up)
{
    struct sl_edge_counts counts;
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    for (uint64_t ns = 0; ns < TIMEOUT_NS; ns += SL_SECOND_NS)
        net_tick(SL_SECOND_NS);
    cr_assert_eq(net.answers, 1);
    cr_assert(net_answered("head_late"));
    sl_edge_counts(net.edge, &counts);
    cr_assert_eq(counts.late, 1);
    net_finish("{\"late\":1}");
    cr_assert_eq(net.answers, 1);
}

Test(edge, a_gateway_that_is_gone_is_forgotten_and_its_replies_are_dropped)
{
    struct sl_buf status = {0};
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    net_stop_gateway();
    net_start_gateway(); /* Another process of the same number. */
    net_settle();
    net_finish("{\"done\":1}");
    cr_assert_eq(net.answers, 0);
    net.is_cut = true;
    for (uint32_t i = 0; i < 11; i++)
        net_tick(SL_EDGE_BEAT_NS);
    sl_edges_status(net.edges, &status);
    cr_assert_str_eq(sl_buf_text(&status), "[]");
    sl_buf_deinit(&status);
}

Test(edge, a_head_that_drains_takes_no_more_calls)
{
    net_put_key("k1", 7 << 1, false);
    struct sl_msg *msg = sl_msg_create(SL_M_drain, &(struct sl_m_drain){0});
    net_give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    sl_msg_destroy(&msg);
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 503);
}

/* ---- changes that all are to know ----------------------------------------------------------- */

/* A call that has changed keys ends: `origin` says whose it is. */
static struct sl_call *
end_change(void)
{
    struct sl_call *call = sl_call_create();
    struct sl_ctx ctx = net_context(SL_NODE_HEAD, SL_ACTOR_API);
    struct sl_m_api_changed m = {.call = (uint64_t)(uintptr_t)call};
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &m);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_reply,
            &(struct sl_m_api_reply){.call = (uint64_t)(uintptr_t)call});
    net_settle();
    return call;
}

Test(edge, the_reply_to_a_change_comes_when_all_gateways_know)
{
    net_put_key("k1", 7, false);
    const struct sl_call *call = end_change();
    cr_assert(net_knows("k1"));
    cr_assert_eq(net.answered, call, "the one gateway said so");
}

Test(edge, the_reply_to_a_change_waits_a_second_for_a_gateway_that_is_silent)
{
    net.is_cut = true;
    const struct sl_call *call = end_change();
    cr_assert_eq(net.answers, 0);
    net_tick(SL_SECOND_NS / 2);
    cr_assert_eq(net.answers, 0);
    net_tick(SL_SECOND_NS / 2);
    cr_assert_eq(net.answered, call);
}

Test(edge, the_reply_to_a_change_does_not_wait_for_a_gateway_that_has_left)
{
    net.is_cut = true;
    const struct sl_call *call = end_change();
    net.is_cut = false;
    net_from_node(0, SL_M_drain, &(struct sl_m_drain){0});
    cr_assert_eq(net.answered, call);
    cr_assert(net.has_drained);
}

/* ---- calls that need no head --------------------------------------------------------------- */

Test(edge, the_head_is_told_of_gateways_that_listen)
{
    cr_assert_eq(net.gates, 1);
    net.is_cut = true;
    for (uint32_t i = 0; i < 11; i++)
        net_tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.gates, 0);
}

Test(edge, what_was_resolved_once_runs_here)
{
    net_serve_once();
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.directs, 1);
    cr_expect_eq(net.taint, 5, "the router knows whose the worker is");
    cr_assert(sl_slice_is(net.direct->resolved.extraction, "{}"));
    cr_assert(sl_slice_is(net.direct->resolved.model, "models/1"));
}

Test(edge, without_a_worker_of_its_own_a_gateway_asks_the_head)
{
    net_serve_once();
    net_cut_off(WORKER);
    cr_assert_eq(net.losts, 1);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 0);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, what_may_have_changed_is_asked_for_again)
{
    net_serve_once();
    net_touch(4);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "another scope's change is none");
    net_touch(5);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, what_changed_while_a_call_ran_is_not_kept)
{
    net_put_key("k1", 7 << 1, false);
    net_hello(true);
    net_post("k1", INFERENCE, 1);
    net.at_api[0]->resolved =
        (struct sl_resolved){sl_slice_str("{}"), sl_slice_str("models/1"), SL_LOAN_FREE};
    net_touch(5);
    net_finish("{}");
    cr_assert_eq(net.answered->status, 200);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 0);
}

Test(edge, a_head_that_is_away_is_done_without_and_then_asked_again)
{
    net_serve_once();
    net_cut_off(SL_NODE_HEAD);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    net_post("k1", OBJECTS, 2);
    cr_assert(net_answered("head_away"));
    net_link_head(); /* It joins again. */
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "it may have changed meanwhile");
    cr_assert_eq(net.at_api_count, 1);
    net_cut_off(SL_NODE_HEAD);
    cr_assert_eq(net.directs, 2, "what waited for the head is done here");
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 3, "what is doubted is better than nothing");
}

Test(edge, a_change_that_was_lost_puts_all_in_doubt)
{
    net_serve_once();
    net.dropped_changes = 1;
    net_touch(5);
    net_touch(4);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 0, "the first may have been of its scope");
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, a_change_that_was_lost_is_known_by_the_next_beat)
{
    net_serve_once();
    net.dropped_changes = 1;
    net_touch(5);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "nobody can know");
    net_tick(SL_EDGE_BEAT_NS);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, a_change_of_another_membership_or_before_the_last_changes_nothing)
{
    struct sl_m_edge_stale m = {.term = 77, .scope = 5, .number = 9};
    net_touch(4);
    net_serve_once();
    net_from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    m.term = net.term;
    m.number = 1;
    net_from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    m.number = 2;
    net_from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    net_post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
}

Test(edge, a_call_that_no_link_takes_is_answered_at_once)
{
    net_put_key("k1", 7 << 1, false);
    net.is_cut = true;
    net_post("k1", OBJECTS, 3);
    cr_assert_eq(net.answers, 0);
    struct sl_msg *msg =
        sl_msg_create(SL_M_undelivered,
                      &(struct sl_m_undelivered){.message = SL_M_edge_call, .reason = SL_EFULL});
    msg->from = sl_at(SL_NODE_HEAD, SL_ACTOR_EDGES);
    msg->request = net.serial;
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    net_settle();
    cr_assert_eq(net.answers, 1);
    cr_assert_eq(net.answered->status, 503);
    cr_assert(net_answered("head_away"));
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    net_settle();
    cr_assert_eq(net.answers, 1, "said for each of its pieces");
    sl_msg_destroy(&msg);
}

Test(edge, a_gateway_that_no_link_reaches_joins_anew)
{
    net_put_key("k1", 7 << 1, false);
    net_post("k1", OBJECTS, 3);
    struct sl_msg *msg =
        sl_msg_create(SL_M_undelivered,
                      &(struct sl_m_undelivered){.message = SL_M_edge_reply, .reason = SL_EFULL});
    msg->from = sl_at(GATEWAY, SL_ACTOR_EDGE);
    net_give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    sl_msg_destroy(&msg);
    net_tick(SL_EDGE_BEAT_NS);
    cr_assert(net_answered("head_lost"));
    net_put_key("k2", 7, false);
    net_tell_changes();
    cr_assert(net_knows("k2"), "it is a member again");
}

Test(edge, a_gateway_that_is_refused_joins_no_more_and_says_so)
{
    net_put_key("k1", 7 << 1, false);
    cr_assert(net.view.is_up && !net.view.is_refused);
    net_post("k1", OBJECTS, 3);
    net_from_node(SL_NODE_HEAD, SL_M_edge_refused,
                  &(struct sl_m_edge_refused){.why = sl_slice_str("for a test")});
    uint32_t before = net.joins;
    cr_assert(net_answered("head_lost"));
    cr_assert(net.has_refused && net.view.is_refused && !net.view.is_up);
    net_link_head();
    net_tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.joins, before);
    net_post("k1", OBJECTS, 3);
    cr_assert(net_answered("head_away"));
}

/* They would wait in the link, and be answered all at once when the head is back. */
Test(edge, while_the_head_is_away_joinings_do_not_pile_up)
{
    uint32_t before = net.joins;
    net_cut_off(SL_NODE_HEAD);
    for (uint32_t i = 0; i < 100; i++)
        net_tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.joins, before);
    net_link_head();
    cr_assert_eq(net.joins, before + 1);
}

Test(edge, a_worker_that_drains_is_cordoned_or_has_ended_gets_nothing)
{
    struct sl_m_node_open m = {.node = WORKER, .is_open = false};
    net_hello(true);
    cr_assert(net.ups == 1 && net.is_open);
    net_hello(false);
    cr_assert(net.ups == 1 && !net.is_open);
    net_hello(true);
    cr_assert(net.is_open);
    net_from_node(WORKER, SL_M_node_open, &m);
    cr_assert(net.is_open, "only the head says so");
    net_from_node(SL_NODE_HEAD, SL_M_node_open, &m);
    cr_assert_not(net.is_open);
    net_from_node(WORKER, SL_M_node_lost, &(struct sl_m_node_lost){.node = WORKER});
    cr_assert_eq(net.losts, 0, "only the head says so");
    net_from_node(SL_NODE_HEAD, SL_M_node_lost, &(struct sl_m_node_lost){.node = WORKER});
    cr_assert_eq(net.losts, 1);
}

/* ---- pieces -------------------------------------------------------------------------------- */

static enum sl_err
piece(struct sl_relay_parts *parts, uint64_t serial, uint64_t offset, uint64_t total)
{
    static const uint8_t bytes[8] = "abcdefgh";
    struct sl_relay_piece p = {serial, offset, total, sl_slice(bytes, 4)};
    return sl_relay_take(parts, &p, 100);
}

Test(edge, pieces_are_taken_in_order_and_of_one_call)
{
    struct sl_relay_parts parts = {0};
    cr_assert_eq(piece(&parts, 1, 0, 8), SL_EBUSY);
    cr_assert_eq(piece(&parts, 1, 4, 8), SL_OK);
    cr_assert(sl_slice_is(sl_buf_slice(&parts.text), "abcdabcd"));
    cr_assert_eq(piece(&parts, 2, 0, 8), SL_EBUSY);
    cr_assert_eq(piece(&parts, 3, 4, 8), SL_ECORRUPT, "of another call");
    cr_assert_eq(piece(&parts, 2, 4, 8), SL_ECORRUPT, "what was there is dropped");
    cr_assert_eq(piece(&parts, 4, 0, 12), SL_EBUSY);
    cr_assert_eq(piece(&parts, 4, 8, 12), SL_ECORRUPT, "one is missing");
    cr_assert_eq(piece(&parts, 5, 0, 3), SL_ECORRUPT, "longer than it says");
    cr_assert_eq(piece(&parts, 6, 0, 101), SL_ETOOBIG);
    cr_assert_eq(piece(&parts, 7, 0, 0), SL_ETOOBIG);
    cr_assert_eq(piece(&parts, 8, 0, 8), SL_EBUSY);
    cr_assert_eq(piece(&parts, 8, 4, 12), SL_ECORRUPT, "another total");
    sl_relay_parts_deinit(&parts);
}
