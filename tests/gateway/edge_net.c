/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/edge_net.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

struct net net;

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

struct sl_ctx
net_context(uint32_t node, uint32_t actor)
{
    return (struct sl_ctx){.self = {.node = node, .actor = actor},
                           .now_ns = net.now_ns,
                           .now_ms = net.now_ns / SL_MILLI_NS,
                           .random = &net.random,
                           .driver = &net.driver};
}

void
net_give(uint32_t node, uint32_t actor, struct sl_msg *msg)
{
    struct sl_ctx ctx = net_context(node, actor);
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
    if (msg->id == SL_M_edge_loan_ask) {
        net.asks++;
        net.asked = SL_BODY(msg, edge_loan_ask)->number;
    }
    if (crosses && net.is_cut)
        return;
    net.notes += msg->id == SL_M_edge_noted;
    if ((msg->id == SL_M_edge_used && net.lost_reports > 0) ||
        (msg->id == SL_M_edge_noted && net.lost_notes > 0))
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
        if (msg->id == SL_M_node_up)
            net.taint = SL_BODY(msg, node_up)->taint;
        if (msg->id == SL_M_node_open)
            net.is_open = SL_BODY(msg, node_open)->is_open != 0;
    } else if (msg->to.actor == SL_ACTOR_HEAD) {
        net.gates += msg->id == SL_M_gate_up;
        net.gates -= msg->id == SL_M_gate_down;
    } else if (msg->id == SL_M_api_call && msg->to.actor == SL_ACTOR_API) {
        net.at_api[net.at_api_count++] = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_call)->call;
    } else {
        net_give(msg->to.node == 0 ? msg->from.node : msg->to.node, msg->to.actor, msg);
    }
}

void
net_settle(void)
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

void
net_tick(uint64_t by_ns)
{
    net.now_ns += by_ns;
    struct sl_msg *msg = sl_msg_create(SL_M_timer, &(struct sl_m_timer){0});
    net_give(SL_NODE_HEAD, SL_ACTOR_EDGES, msg);
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    net_settle();
}

void
net_start_head(void)
{
    struct sl_ctx ctx = net_context(SL_NODE_HEAD, SL_ACTOR_EDGES);
    net.edges = sl_zalloc(sl_edges_class.state_size);
    sl_edges_class.init(net.edges, &ctx, &(struct sl_edges_options){&net.head, SILENCE_NS});
}

void
net_stop_head(void)
{
    sl_edges_class.deinit(net.edges);
    sl_free(net.edges);
}

/* A session with the head has begun. */
void
net_link_head(void)
{
    struct sl_msg *msg = sl_msg_create(SL_M_peer_up, &(struct sl_m_peer_up){.node = SL_NODE_HEAD});
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    net_settle();
}

void
net_start_gateway(void)
{
    struct sl_ctx ctx = net_context(GATEWAY, SL_ACTOR_EDGE);
    net.edge = sl_zalloc(sl_edge_class.state_size);
    sl_edge_class.init(net.edge, &ctx,
                       &(struct sl_edge_options){.gateway = &net.gateway,
                                                 .name = "g1",
                                                 .view = &net.view,
                                                 .endpoint = "ipc:///g1",
                                                 .silence_ns = SILENCE_NS,
                                                 .timeout_ns = TIMEOUT_NS});
}

void
net_stop_gateway(void)
{
    sl_edge_class.deinit(net.edge);
    sl_free(net.edge);
}

void
net_setup(void)
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
    net_start_head();
    net_start_gateway();
    net_link_head();
    net_tick(0);
}

void
net_teardown(void)
{
    for (uint32_t i = 0; i < net.at_api_count; i++)
        sl_call_destroy(&net.at_api[i]);
    sl_call_destroy(&net.answered);
    sl_call_destroy(&net.direct);
    net_stop_head();
    net_stop_gateway();
    sl_keyring_destroy(&net.head.keyring);
    sl_keyring_destroy(&net.gateway.keyring);
}

void
net_put_key(const char *text, uint32_t permissions, bool is_operator)
{
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who = {.scope = {5}, .permissions = permissions, .is_operator = is_operator};
    (void)snprintf(who.tenant_id, sizeof(who.tenant_id), "acme");
    sl_sha256(sl_slice_str(text), digest);
    sl_keyring_put(net.head.keyring, digest, &who, 0);
}

void
net_remove_key(const char *text)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(sl_slice_str(text), digest);
    sl_keyring_remove(net.head.keyring, digest);
}

/* As the api actor does after a commit that changed keys. */
void
net_tell_changes(void)
{
    struct sl_ctx ctx = net_context(SL_NODE_HEAD, SL_ACTOR_API);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &(struct sl_m_api_changed){0});
    net_settle();
}

bool
net_knows(const char *text)
{
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who;
    sl_sha256(sl_slice_str(text), digest);
    return sl_keyring_find(net.gateway.keyring, digest, 1, &who) == SL_OK;
}

/* A call as the gateway's front posts it; the key is believed there. */
void
net_post(const char *key, const char *path, size_t body_bytes)
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
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    net_settle();
}

/* The api actor's answer to the call it was given first. */
void
net_finish(const char *text)
{
    cr_assert_gt(net.at_api_count, 0);
    struct sl_call *call = net.at_api[0];
    memmove(net.at_api, net.at_api + 1, --net.at_api_count * sizeof(net.at_api[0]));
    sl_buf_append_str(&call->reply, text);
    struct sl_ctx ctx = net_context(SL_NODE_HEAD, SL_ACTOR_API);
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_reply,
            &(struct sl_m_api_reply){.call = (uint64_t)(uintptr_t)call});
    net_settle();
}

bool
net_answered(const char *text)
{
    return net.answered != NULL &&
           memmem(net.answered->reply.data, net.answered->reply.size, text, strlen(text)) != NULL;
}

void
net_from_node(uint32_t node, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = sl_at(node, SL_ACTOR_AGENT);
    net_give(GATEWAY, SL_ACTOR_EDGE, msg);
    sl_msg_destroy(&msg);
    net_settle();
}

void
net_hello(bool is_open)
{
    struct sl_m_node_hello m = {.node = WORKER, .is_open = is_open, .taint = 5};
    net_from_node(WORKER, SL_M_node_hello, &m);
}

void
net_cut_off(uint32_t node)
{
    net_from_node(0, SL_M_peer_down, &(struct sl_m_peer_down){.node = node});
}

/* Served by the head once, which says what it resolved to, and by which rule. */
void
net_serve_once_by(enum sl_loan_rule rule)
{
    net_put_key("k1", 7 << 1, false);
    net_hello(true);
    net_post("k1", INFERENCE, 1);
    cr_assert_eq(net.at_api_count, 1, "the first is the head's");
    net.at_api[0]->resolved =
        (struct sl_resolved){sl_slice_str("{}"), sl_slice_str("models/1"), rule};
    net_finish("{}");
}

void
net_serve_once(void)
{
    net_serve_once_by(SL_LOAN_FREE);
}

/* As the api actor does after a commit that touched a scope. */
void
net_touch(uint64_t scope)
{
    struct sl_ctx ctx = net_context(SL_NODE_HEAD, SL_ACTOR_API);
    struct sl_m_api_changed m = {.is_touched = true, .scope = scope};
    sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &m);
    net_settle();
}
