/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge_net.h - a head and a gateway without sockets: their two actors, and a net between them that
 * the test turns. What the api actors, the front and the router are sent is noted.
 */
#ifndef SL_TESTS_GATEWAY_EDGE_NET_H
#define SL_TESTS_GATEWAY_EDGE_NET_H

#include "gateway/api.h"
#include "gateway/edge.h"
#include "gateway/edges.h"
#include "gateway/loan.h"

#define GATEWAY    SL_NODE_WORKERS_FIRST
#define WORKER     (GATEWAY + 1)
#define SILENCE_NS (5 * SL_SECOND_NS)
#define TIMEOUT_NS (60 * SL_SECOND_NS)
#define INFERENCE  "/v1/inference"

struct net {
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
    uint64_t taint;             /* Of the node that came up last. */
    uint32_t ups, losts, gates; /* Messages to the gateway's router; gateways the head knows of. */
    bool is_open;               /* As the router was told last. */
    bool has_drained, has_refused; /* As the gateway's ports heard. */
    uint32_t dropped_changes;      /* Messages of changes to lose. */
    uint64_t term, serial;         /* Of the last welcome; of the last call that was sent. */
    uint64_t asks, asked;          /* For loans; the number of the last. */
    uint32_t lost_reports, lost_notes, notes; /* Messages of use to lose; that came. */
    struct sl_edge_view view;
};
extern struct net net;

struct sl_ctx net_context(uint32_t node, uint32_t actor);
void net_give(uint32_t node, uint32_t actor, struct sl_msg *msg);
void net_settle(void);
void net_tick(uint64_t by_ns);
void net_start_head(void);
void net_stop_head(void);
void net_link_head(void);
void net_start_gateway(void);
void net_stop_gateway(void);
void net_setup(void);
void net_teardown(void);
void net_put_key(const char *text, uint32_t permissions, bool is_operator);
void net_remove_key(const char *text);
void net_tell_changes(void);
bool net_knows(const char *text);
void net_post(const char *key, const char *path, size_t body_bytes);
void net_finish(const char *text);
bool net_answered(const char *text);
void net_from_node(uint32_t node, uint32_t id, const void *body);
void net_hello(bool is_open);
void net_cut_off(uint32_t node);
void net_serve_once_by(enum sl_loan_rule rule);
void net_serve_once(void);
void net_touch(uint64_t scope);

#endif
