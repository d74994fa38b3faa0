/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - the system's own actors: their addresses and messages.
 *
 *   node 1 (head):    head, dispatcher, router, api, hooks, edges, broker, locator, images
 *   node N (worker):  agent, images  node M (gateway):  edge, router, api
 */
#ifndef SL_ACTORS_CLUSTER_H
#define SL_ACTORS_CLUSTER_H

#include "runtime/actor.h"

#define SL_NODE_HEAD 1
/* Workers from elsewhere choose a number from here on, below the replicas' of a node. */
#define SL_NODE_WORKERS_FIRST  (UINT32_C(1) << 16)
#define SL_NODE_WORKERS_LAST   ((UINT32_C(1) << 30) - 1)
#define SL_NODE_REPLICAS_FIRST (UINT32_C(1) << 30)

enum sl_actor_number {
    SL_ACTOR_HEAD = 1,
    SL_ACTOR_DISPATCHER = 2,
    SL_ACTOR_ROUTER = 3,
    SL_ACTOR_API = 4,
    SL_ACTOR_HOOKS = 5,
    SL_ACTOR_EDGES = 6, /* The gateways that are processes of their own. */
    SL_ACTOR_IDLE = 7,  /* Starts some that do nothing, for measurements. */
    SL_ACTOR_BROKER = 8,
    SL_ACTOR_LOCATOR = 9,   /* Which node has which image. */
    SL_ACTOR_RECORDER = 10, /* Remembers the last three days, for charts. */
    SL_ACTOR_TRACER = 11,   /* Sends spans to a collector. */
    SL_ACTOR_AGENT = 16,
    SL_ACTOR_EDGE = 17,   /* In such a gateway. */
    SL_ACTOR_IMAGES = 18, /* Serves and fetches images; on the head, too. */
};

#define SL_PORT_DRAIN   3 /* Hears that the dispatcher drains; of a worker: that it may go. */
#define SL_PORT_NODE    4 /* Of a worker: hears that the head refuses it. */

#define SL_PORT_TRACES  7 /* What is traced and durable, for the tracer. */
#define SL_PORT_OBJECTS 6 /* Of a node: gives models to replicas' processes. */

#define SL_PORT_GATES   5  /* Of a node: hears of gateways to connect to. */
#define SL_GATES_MAX    32 /* Gateways that a node may connect to. */

enum sl_traced_outcome { SL_TRACED_DONE, SL_TRACED_PART, SL_TRACED_RETRY, SL_TRACED_DEAD };

/* RESTART is about a replica by its id: it finishes what it has and ends, and another is started
 * where one is wanted. */
enum sl_node_order { SL_NODE_CORDON = 1, SL_NODE_UNCORDON, SL_NODE_DRAIN, SL_NODE_RESTART };

/* What node_list asks for. */
enum sl_node_list { SL_NODE_LIST_NODES, SL_NODE_LIST_GROUPS, SL_NODE_LIST_HEALTH };

/* Kinds of children the spawner forks, in the order of its table. */
enum sl_child_kind_number { SL_CHILD_NODE, SL_CHILD_REPLICA, SL_CHILD_PROBE };

static inline struct sl_addr
sl_at(uint32_t node, uint32_t actor)
{
    return (struct sl_addr){.node = node, .actor = actor};
}

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "actors/cluster.def"
#undef MESSAGE
#undef F

enum sl_cluster_message {
    SL_CLUSTER_FIRST = (SL_PROTOCOL_CLUSTER << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "actors/cluster.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_cluster;

/*
 * Whether another node may send this to an actor of the head's. What its actors say to each other,
 * such as that a node is lost, they take from nobody else.
 */
bool sl_cluster_head_takes(const struct sl_msg *msg);
/*
 * Whether a node's agent takes this from another process: orders from the head alone, embeddings to
 * make from gateways as well, and from its replicas what they say of themselves.
 */
bool sl_cluster_node_takes(const struct sl_msg *msg);

/* UNSENT: it ran, and its end could not be told in full: again, uncounted. */
enum sl_failure_kind {
    SL_FAIL_TRANSIENT = 1,
    SL_FAIL_PERMANENT = 2,
    SL_FAIL_CRASH = 3,
    SL_FAIL_UNSENT = 4
};

/* A handler table's row: SL_ON(node_join, on_node_join). */
struct sl_on {
    uint32_t id;
    void (*handle)(void *self, struct sl_ctx *ctx, const struct sl_msg *msg);
};

/* Find and run the row for a message; false: the table has none, and it should. */
bool sl_dispatch(const struct sl_on *table, size_t count, void *self, struct sl_ctx *ctx,
                 const struct sl_msg *msg);

#endif
