/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head and gateways without sockets: their two actors, and a net between them that the test
 * turns. What the api actor and the fronts are sent is noted.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/api.h"
#include "gateway/edge.h"
#include "gateway/edges.h"
#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define GATEWAY    SL_NODE_WORKERS_FIRST
#define SILENCE_NS (5 * SL_SECOND_NS)
#define TIMEOUT_NS (60 * SL_SECOND_NS)

static struct net {
    struct sl_driver driver;
    struct sl_msg *oldest, **tail;
    uint64_t now_ns;
    struct sl_random random;
    bool is_cut;        /* Between the nodes. */
    void *edges, *edge; /* The actors' states. */
    struct sl_gateway head, gateway;
    struct sl_call *at_api[16]; /* Calls the api actor was given, and their count. */
    uint32_t at_api_count;
    struct sl_call *answered; /* The call that the front was given last. */
    uint32_t answers;
    uint32_t dropped_keys;  /* Messages of keys to lose. */
    uint32_t largest;       /* Of pieces. */
    struct sl_call *direct; /* The call that the gateway's own api actor was given last. */
    uint32_t directs;
    uint32_t joins;             /* Sent by the gateway. */
    uint32_t ups, losts, gates; /* Messages to the gateway's router; gateways the head knows of. */
    bool is_open;               /* As the router was told last. */
    bool has_drained, has_refused; /* As the gateway's ports heard. */
    uint32_t dropped_changes;      /* Messages of changes to lose. */
    uint64_t term, serial;         /* Of the last welcome; of the last call that was sent. */
    struct sl_edge_view view;
} net;

static void
send(struct sl_driver *d, struct sl_msg *msg)
{
    (void)d;
    msg->next = NULL;
    *net.tail = msg;
    net.tail = &msg->next;
}

static void
after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    (void)d, (void)who, (void)delay_ns, (void)token; /* The test gives timers itself. */
}

static struct sl_ctx
context(uint32_t node, uint32_t actor)
{
    return (struct sl_ctx){.self = {.node = node, .actor = actor},
                           .now_ns = net.now_ns,
                           .now_ms = net.now_ns / SL_MILLI_NS,
                           .random = &net.random,
                           .driver = &net.driver};
}

static void
give(uint32_t node, uint32_t actor, struct sl_msg *msg)
{
    struct sl_ctx ctx = context(node, actor);
    if (actor == SL_ACTOR_EDGES)
        sl_edges_class.handle(net.edges, &ctx, msg);
    else
        sl_edge_class.handle(net.edge, &ctx, msg);
}

static void
take(struct sl_msg *msg)
{
    bool crosses =
        msg->to.node != 0 && msg->to.node != SL_NODE_PORT && msg->to.node != msg->from.node;
    net.joins += msg->id == SL_M_edge_join;
    if (msg->id == SL_M_edge_welcome)
        net.term = SL_BODY(msg, edge_welcome)->term;
    if (msg->id == SL_M_edge_call)
        net.serial = SL_BODY(msg, edge_call)->serial;
    if (crosses && net.is_cut)
        return;
    if (msg->id == SL_M_edge_keys && net.dropped_keys > 0) {
        net.dropped_keys--;
        return;
    }
    if (msg->id == SL_M_edge_stale && net.dropped_changes > 0) {
        net.dropped_changes--;
        return;
    }
    if (msg->id == SL_M_edge_call || msg->id == SL_M_edge_reply)
        net.largest = (uint32_t)SL_MAX(SL_BODY(msg, edge_call)->piece.size, (size_t)net.largest);
    if (msg->to.node == SL_NODE_PORT && msg->to.actor != SL_PORT_FRONT) {
        net.has_drained = net.has_drained || msg->to.actor == SL_PORT_DRAIN;
        net.has_refused = net.has_refused || msg->to.actor == SL_PORT_NODE;
    } else if (msg->to.node == SL_NODE_PORT) {
        sl_call_destroy(&net.answered);
        net.answered = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call;
        net.answers++;
    } else if (msg->id == SL_M_api_call && msg->to.actor == SL_ACTOR_API &&
               msg->from.node == GATEWAY) {
        sl_call_destroy(&net.direct);
        net.direct = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_call)->call;
        net.directs++;
    } else if (msg->to.actor == SL_ACTOR_ROUTER) {
        net.ups += msg->id == SL_M_node_up;
        net.losts += msg->id == SL_M_node_lost;
        if (msg->id == SL_M_node_open)
            net.is_open = SL_BODY(msg, node_open)->is_open != 0;
    } else if (msg->to.actor == SL_ACTOR_HEAD) {
        net.gates += msg->id == SL_M_gate_up;
        net.gates -= msg->id == SL_M_gate_down;
    } else if (msg->id == SL_M_api_call && msg->to.actor == SL_ACTOR_API) {
        net.at_api[net.at_api_count++] = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_call)->call;
    } else {
        give(msg->to.node == 0 ? msg->from.node : msg->to.node, msg->to.actor, msg);
    }
}

static void
settle(void)
{
    while (net.oldest != NULL) {
        struct sl_msg *msg = net.oldest;
        net.oldest = msg->next;
        if (net.oldest == NULL)
            net.tail = &net.oldest;
        take(msg);
        sl_msg_destroy(&msg);
    }
}

static void
tick(uint64_t by_ns)
{
    net.now_ns += by_ns;
    struct sl_msg *msg = sl_msg_create(SL_M_timer, &(struct sl_m_timer){0});
    give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    settle();
}

static void
start_head(void)
{
    struct sl_ctx ctx = context(SL_NODE_HEAD, SL_ACTOR_EDGES);
    net.edges = sl_zalloc(sl_edges_class.state_size);
    sl_edges_class.init(net.edges, &ctx, &(struct sl_edges_options){&net.head, SILENCE_NS});
}

static void
stop_head(void)
{
    sl_edges_class.deinit(net.edges);
    sl_free(net.edges);
}

/* A session with the head has begun. */
static void
link_head(void)
{
    struct sl_msg *msg = sl_msg_create(SL_M_peer_up, &(struct sl_m_peer_up){.node = SL_NODE_HEAD});
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    settle();
}

static void
start_gateway(void)
{
    struct sl_ctx ctx = context(GATEWAY, SL_ACTOR_EDGE);
    net.edge = sl_zalloc(sl_edge_class.state_size);
    sl_edge_class.init(net.edge, &ctx,
                       &(struct sl_edge_options){.gateway = &net.gateway,
                                                 .name = "g1",
                                                 .view = &net.view,
                                                 .endpoint = "ipc:///g1",
                                                 .silence_ns = SILENCE_NS,
                                                 .timeout_ns = TIMEOUT_NS});
}

static void
stop_gateway(void)
{
    sl_edge_class.deinit(net.edge);
    sl_free(net.edge);
}

static void
setup(void)
{
    static const struct sl_driver_ops ops = {.send = send, .after = after};
    sl_protocol_register(&sl_protocol_relay);
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_cluster);
    net = (struct net){.driver = {&ops}, .now_ns = SL_SECOND_NS};
    net.tail = &net.oldest;
    sl_random_seed(&net.random, 1);
    net.head.keyring = sl_keyring_create();
    net.gateway.keyring = sl_keyring_create();
    sl_keyring_await(net.gateway.keyring);
    start_head();
    start_gateway();
    link_head();
    tick(0);
}

static void
teardown(void)
{
    for (uint32_t i = 0; i < net.at_api_count; i++)
        sl_call_destroy(&net.at_api[i]);
    sl_call_destroy(&net.answered);
    sl_call_destroy(&net.direct);
    stop_head();
    stop_gateway();
    sl_keyring_destroy(&net.head.keyring);
    sl_keyring_destroy(&net.gateway.keyring);
}

TestSuite(edge, .init = setup, .fini = teardown);

static void
put_key(const char *text, uint32_t permissions, bool is_operator)
{
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who = {.scope = {5}, .permissions = permissions, .is_operator = is_operator};
    (void)snprintf(who.tenant_id, sizeof(who.tenant_id), "acme");
    sl_sha256(sl_slice_str(text), digest);
    sl_keyring_put(net.head.keyring, digest, &who, 0);
}

static void
remove_key(const char *text)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(sl_slice_str(text), digest);
    sl_keyring_remove(net.head.keyring, digest);
}

/* As the api actor does after a commit that changed keys. */
static void
tell_changes(void)
{
    struct sl_ctx ctx = context(SL_NODE_HEAD, SL_ACTOR_API);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &(struct sl_m_api_changed){0});
    settle();
}

static bool
knows(const char *text)
{
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who;
    sl_sha256(sl_slice_str(text), digest);
    return sl_keyring_find(net.gateway.keyring, digest, 1, &who) == SL_OK;
}

/* A call as the gateway's front posts it; the key is believed there. */
static void
post(const char *key, const char *path, size_t body_bytes)
{
    struct sl_call *call = sl_call_create();
    call->path = sl_call_copy(call, sl_slice_str(path));
    cr_assert_eq(sl_route_match(SL_POST, call->path, &call->route, call->params), SL_OK);
    (void)snprintf(call->who.tenant_id, sizeof(call->who.tenant_id), "acme");
    call->who.permissions = ~0u;
    call->who.scope.id = 5;
    sl_sha256(sl_slice_str(key), call->who.digest);
    sl_buf_append_str(&call->body_buf, "{\"a\":\"");
    for (size_t i = 0; i < body_bytes; i++)
        sl_buf_append_u8(&call->body_buf, 'x');
    sl_buf_append_str(&call->body_buf, "\"}");
    struct sl_msg *msg =
        sl_msg_create(SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    settle();
}

/* The api actor's answer to the call it was given first. */
static void
finish(const char *text)
{
    cr_assert_gt(net.at_api_count, 0);
    struct sl_call *call = net.at_api[0];
    memmove(net.at_api, net.at_api + 1, --net.at_api_count * sizeof(net.at_api[0]));
    sl_buf_append_str(&call->reply, text);
    struct sl_ctx ctx = context(SL_NODE_HEAD, SL_ACTOR_API);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_reply,
            &(struct sl_m_api_reply){.call = (uint64_t)(uintptr_t)call});
    settle();
}

static bool
answered(const char *text)
{
    return net.answered != NULL &&
           memmem(net.answered->reply.data, net.answered->reply.size, text, strlen(text)) != NULL;
}

static void
from_node(uint32_t node, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = sl_at(node, SL_ACTOR_AGENT);
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    settle();
}

#define OBJECTS "/v1/buckets/b/objects"

Test(edge, a_gateway_that_joins_has_all_keys_and_hears_of_each_change)
{
    cr_assert(sl_keyring_is_filled(net.gateway.keyring), "even if there are none");
    put_key("k1", 7, false);
    tell_changes();
    cr_assert(knows("k1"));
    remove_key("k1");
    tell_changes();
    cr_assert_not(knows("k1"));
}

Test(edge, a_change_that_was_missed_has_all_keys_sent_again)
{
    put_key("k1", 7, false);
    net.dropped_keys = 1;
    tell_changes();
    cr_assert_not(knows("k1"));
    put_key("k2", 7, false);
    tell_changes();
    cr_assert(knows("k1") && knows("k2"));
}

Test(edge, a_call_is_run_by_the_head_and_answered_once)
{
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 1);
    cr_assert_eq(net.at_api[0]->who.scope.id, 5, "the scope is what the head says");
    cr_assert_eq(net.at_api[0]->who.permissions, 7 << 1);
    cr_assert(sl_json_is(sl_json_member(net.at_api[0]->body, "a"), "xxx"));
    finish("{\"done\":1}");
    cr_assert_eq(net.answers, 1);
    cr_assert(answered("\"done\":1"));
    cr_assert_eq(net.answered->status, 200);
}

Test(edge, large_calls_and_replies_go_in_pieces)
{
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 9 * SL_MIB);
    cr_assert_eq(net.at_api_count, 1);
    cr_assert_eq(net.at_api[0]->body_text.size, 9 * SL_MIB + 8);
    char *text = sl_zalloc(5 * SL_MIB + 1);
    memset(text, 'y', 5 * SL_MIB);
    finish(text);
    cr_assert_eq(net.answered->reply.size, 5 * SL_MIB);
    cr_assert_leq(net.largest, SL_EDGE_PIECE_BYTES);
    sl_free(text);
}

Test(edge, a_revoked_key_is_refused_by_the_head_whatever_the_gateway_believes)
{
    put_key("k1", 7 << 1, false);
    tell_changes();
    remove_key("k1");
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 401);
}

Test(edge, a_key_without_the_permission_is_refused_by_the_head)
{
    put_key("k1", SL_PERMIT_BIT(SL_PERMIT_READ), false);
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 403);
}

Test(edge, a_call_under_way_when_the_head_begins_anew_is_answered_and_not_run_again)
{
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 1);
    stop_head();
    start_head();
    tick(SL_EDGE_BEAT_NS); /* The beat has a term that the new head does not know. */
    cr_assert_eq(net.answers, 1);
    cr_assert_eq(net.answered->status, 503);
    cr_assert(answered("head_lost"));
    cr_assert_eq(net.at_api_count, 1, "the new head was given nothing");
    finish("{\"late\":1}");
    cr_assert_eq(net.answers, 1, "an answer of the former term is dropped");
    post("k1", OBJECTS, 3);
    finish("{\"new\":1}");
    cr_assert(answered("\"new\":1"));
}

Test(edge, a_silent_head_is_away_until_it_is_heard_again)
{
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    net.is_cut = true;
    for (uint32_t i = 0; i < 9; i++)
        tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.answers, 0, "not yet");
    tick(SL_EDGE_BEAT_NS);
    cr_assert(answered("head_lost"));
    post("k1", OBJECTS, 3);
    cr_assert(answered("head_away"));
    cr_assert_eq(net.answers, 2);
    net.is_cut = false;
    tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.at_api_count, 1, "what was refused is not run later");
    post("k1", OBJECTS, 3);
    finish("{\"first\":1}");
    cr_assert_not(answered("\"first\":1"), "its caller was answered before");
    finish("{\"second\":1}");
    cr_assert(answered("\"second\":1"));
    struct sl_edge_counts counts;
    sl_edge_counts(net.edge, &counts);
    cr_assert_eq(counts.lost, 1);
    cr_assert_eq(counts.refused, 1);
    cr_assert_eq(counts.pending, 0);
}

Test(edge, a_call_that_is_never_answered_is_given_up)
{
    struct sl_edge_counts counts;
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    for (uint64_t ns = 0; ns < TIMEOUT_NS; ns += SL_SECOND_NS)
        tick(SL_SECOND_NS);
    cr_assert_eq(net.answers, 1);
    cr_assert(answered("head_late"));
    sl_edge_counts(net.edge, &counts);
    cr_assert_eq(counts.late, 1);
    finish("{\"late\":1}");
    cr_assert_eq(net.answers, 1);
}

Test(edge, a_gateway_that_is_gone_is_forgotten_and_its_replies_are_dropped)
{
    struct sl_buf status = {0};
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    stop_gateway();
    start_gateway(); /* Another process of the same number. */
    settle();
    finish("{\"done\":1}");
    cr_assert_eq(net.answers, 0);
    net.is_cut = true;
    for (uint32_t i = 0; i < 11; i++)
        tick(SL_EDGE_BEAT_NS);
    sl_edges_status(net.edges, &status);
    cr_assert_str_eq(sl_buf_text(&status), "[]");
    sl_buf_deinit(&status);
}

Test(edge, a_head_that_drains_takes_no_more_calls)
{
    put_key("k1", 7 << 1, false);
    struct sl_msg *msg = sl_msg_create(SL_M_drain, &(struct sl_m_drain){0});
    give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    sl_msg_destroy(&msg);
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.answered->status, 503);
}

/* ---- changes that all are to know ----------------------------------------------------------- */

/* A call that has changed keys ends: `origin` says whose it is. */
static struct sl_call *
end_change(void)
{
    struct sl_call *call = sl_call_create();
    struct sl_ctx ctx = context(SL_NODE_HEAD, SL_ACTOR_API);
    struct sl_m_api_changed m = {.call = (uint64_t)(uintptr_t)call};
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &m);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_reply,
            &(struct sl_m_api_reply){.call = (uint64_t)(uintptr_t)call});
    settle();
    return call;
}

Test(edge, the_reply_to_a_change_comes_when_all_gateways_know)
{
    put_key("k1", 7, false);
    const struct sl_call *call = end_change();
    cr_assert(knows("k1"));
    cr_assert_eq(net.answered, call, "the one gateway said so");
}

Test(edge, the_reply_to_a_change_waits_a_second_for_a_gateway_that_is_silent)
{
    net.is_cut = true;
    const struct sl_call *call = end_change();
    cr_assert_eq(net.answers, 0);
    tick(SL_SECOND_NS / 2);
    cr_assert_eq(net.answers, 0);
    tick(SL_SECOND_NS / 2);
    cr_assert_eq(net.answered, call);
}

Test(edge, the_reply_to_a_change_does_not_wait_for_a_gateway_that_has_left)
{
    net.is_cut = true;
    const struct sl_call *call = end_change();
    net.is_cut = false;
    from_node(0, SL_M_drain, &(struct sl_m_drain){0});
    cr_assert_eq(net.answered, call);
    cr_assert(net.has_drained);
}

/* ---- calls that need no head --------------------------------------------------------------- */

#define INFERENCE "/v1/inference"
#define WORKER    (GATEWAY + 1)

static void
hello(bool is_open)
{
    struct sl_m_node_hello m = {.node = WORKER, .is_open = is_open};
    from_node(WORKER, SL_M_node_hello, &m);
}

static void
cut_off(uint32_t node)
{
    from_node(0, SL_M_peer_down, &(struct sl_m_peer_down){.node = node});
}

/* Served by the head once, which says what it resolved to. */
static void
serve_once(void)
{
    put_key("k1", 7 << 1, false);
    hello(true);
    post("k1", INFERENCE, 1);
    cr_assert_eq(net.at_api_count, 1, "the first is the head's");
    net.at_api[0]->resolved = (struct sl_resolved){sl_slice_str("{}"), sl_slice_str("models/1")};
    finish("{}");
}

/* As the api actor does after a commit that touched a scope. */
static void
touch(uint64_t scope)
{
    struct sl_ctx ctx = context(SL_NODE_HEAD, SL_ACTOR_API);
    struct sl_m_api_changed m = {.is_touched = true, .scope = scope};
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &m);
    settle();
}

Test(edge, the_head_is_told_of_gateways_that_listen)
{
    cr_assert_eq(net.gates, 1);
    net.is_cut = true;
    for (uint32_t i = 0; i < 11; i++)
        tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.gates, 0);
}

Test(edge, what_was_resolved_once_runs_here)
{
    serve_once();
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.at_api_count, 0);
    cr_assert_eq(net.directs, 1);
    cr_assert(sl_slice_is(net.direct->resolved.extraction, "{}"));
    cr_assert(sl_slice_is(net.direct->resolved.model, "models/1"));
}

Test(edge, without_a_worker_of_its_own_a_gateway_asks_the_head)
{
    serve_once();
    cut_off(WORKER);
    cr_assert_eq(net.losts, 1);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 0);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, what_may_have_changed_is_asked_for_again)
{
    serve_once();
    touch(4);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "another scope's change is none");
    touch(5);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, what_changed_while_a_call_ran_is_not_kept)
{
    put_key("k1", 7 << 1, false);
    hello(true);
    post("k1", INFERENCE, 1);
    net.at_api[0]->resolved = (struct sl_resolved){sl_slice_str("{}"), sl_slice_str("models/1")};
    touch(5);
    finish("{}");
    cr_assert_eq(net.answered->status, 200);
    post("k1", INFERENCE, 1);
    cr_assert_eq(net.directs, 0);
}

Test(edge, a_head_that_is_away_is_done_without_and_then_asked_again)
{
    serve_once();
    cut_off(SL_NODE_HEAD);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    post("k1", OBJECTS, 2);
    cr_assert(answered("head_away"));
    link_head(); /* It joins again. */
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "it may have changed meanwhile");
    cr_assert_eq(net.at_api_count, 1);
    cut_off(SL_NODE_HEAD);
    cr_assert_eq(net.directs, 2, "what waited for the head is done here");
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 3, "what is doubted is better than nothing");
}

Test(edge, a_change_that_was_lost_puts_all_in_doubt)
{
    serve_once();
    net.dropped_changes = 1;
    touch(5);
    touch(4);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 0, "the first may have been of its scope");
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, a_change_that_was_lost_is_known_by_the_next_beat)
{
    serve_once();
    net.dropped_changes = 1;
    touch(5);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1, "nobody can know");
    tick(SL_EDGE_BEAT_NS);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    cr_assert_eq(net.at_api_count, 1);
}

Test(edge, a_change_of_another_membership_or_before_the_last_changes_nothing)
{
    struct sl_m_edge_stale m = {.term = 77, .scope = 5, .number = 9};
    touch(4);
    serve_once();
    from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    m.term = net.term;
    m.number = 1;
    from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
    m.number = 2;
    from_node(SL_NODE_HEAD, SL_M_edge_stale, &m);
    post("k1", INFERENCE, 2);
    cr_assert_eq(net.directs, 1);
}

Test(edge, a_call_that_no_link_takes_is_answered_at_once)
{
    put_key("k1", 7 << 1, false);
    net.is_cut = true;
    post("k1", OBJECTS, 3);
    cr_assert_eq(net.answers, 0);
    struct sl_msg *msg =
        sl_msg_create(SL_M_undelivered,
                      &(struct sl_m_undelivered){.message = SL_M_edge_call, .reason = SL_EFULL});
    msg->from = sl_at(SL_NODE_HEAD, SL_ACTOR_EDGES);
    msg->request = net.serial;
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    settle();
    cr_assert_eq(net.answers, 1);
    cr_assert_eq(net.answered->status, 503);
    cr_assert(answered("head_away"));
    give(GATEWAY, SL_ACTOR_EDGE, msg);
    settle();
    cr_assert_eq(net.answers, 1, "said for each of its pieces");
    sl_msg_destroy(&msg);
}

Test(edge, a_gateway_that_no_link_reaches_joins_anew)
{
    put_key("k1", 7 << 1, false);
    post("k1", OBJECTS, 3);
    struct sl_msg *msg =
        sl_msg_create(SL_M_undelivered,
                      &(struct sl_m_undelivered){.message = SL_M_edge_reply, .reason = SL_EFULL});
    msg->from = sl_at(GATEWAY, SL_ACTOR_EDGE);
    give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    sl_msg_destroy(&msg);
    tick(SL_EDGE_BEAT_NS);
    cr_assert(answered("head_lost"));
    put_key("k2", 7, false);
    tell_changes();
    cr_assert(knows("k2"), "it is a member again");
}

Test(edge, a_gateway_that_is_refused_joins_no_more_and_says_so)
{
    put_key("k1", 7 << 1, false);
    cr_assert(net.view.is_up && !net.view.is_refused);
    post("k1", OBJECTS, 3);
    from_node(SL_NODE_HEAD, SL_M_edge_refused,
              &(struct sl_m_edge_refused){.why = sl_slice_str("for a test")});
    uint32_t before = net.joins;
    cr_assert(answered("head_lost"));
    cr_assert(net.has_refused && net.view.is_refused && !net.view.is_up);
    link_head();
    tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.joins, before);
    post("k1", OBJECTS, 3);
    cr_assert(answered("head_away"));
}

/* They would wait in the link, and be answered all at once when the head is back. */
Test(edge, while_the_head_is_away_joinings_do_not_pile_up)
{
    uint32_t before = net.joins;
    cut_off(SL_NODE_HEAD);
    for (uint32_t i = 0; i < 100; i++)
        tick(SL_EDGE_BEAT_NS);
    cr_assert_eq(net.joins, before);
    link_head();
    cr_assert_eq(net.joins, before + 1);
}

Test(edge, a_worker_that_drains_is_cordoned_or_has_ended_gets_nothing)
{
    struct sl_m_node_open m = {.node = WORKER, .is_open = false};
    hello(true);
    cr_assert(net.ups == 1 && net.is_open);
    hello(false);
    cr_assert(net.ups == 1 && !net.is_open);
    hello(true);
    cr_assert(net.is_open);
    from_node(WORKER, SL_M_node_open, &m);
    cr_assert(net.is_open, "only the head says so");
    from_node(SL_NODE_HEAD, SL_M_node_open, &m);
    cr_assert_not(net.is_open);
    from_node(WORKER, SL_M_node_lost, &(struct sl_m_node_lost){.node = WORKER});
    cr_assert_eq(net.losts, 0, "only the head says so");
    from_node(SL_NODE_HEAD, SL_M_node_lost, &(struct sl_m_node_lost){.node = WORKER});
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
