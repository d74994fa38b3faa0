/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - the actor that knows the nodes: it has them started, hears their heartbeats, and tells
 * the dispatcher and the router when one comes or goes. Each start of a node has a new number, so
 * that whatever an old one still sends is told apart.
 *
 *     child:   STARTING --join--> ALIVE --exit, silence--> (gone; another is started after a pause)
 *     worker:             join--> ALIVE --silence, leave, another of its name--> (gone)
 *
 *     of a group, by demand: STARTING --join--> ALIVE --drain, exit, silence--> (gone)
 *
 * Children are forked by the head's spawner; workers are started by somebody else and choose a
 * number at random. One that was given up and still speaks is told that it is unknown: its leases
 * are void, and it joins again like a new one. So does every worker after a restart of the head.
 */
#ifndef SL_ACTORS_HEAD_H
#define SL_ACTORS_HEAD_H

#include "actors/cluster.h"
#include "runtime/json.h"

#define SL_NODES_MAX       16384 /* Known at a time. A node costs some hundred bytes and a beat. */

#define SL_NODE_SILENCE_NS (15 * SL_SECOND_NS) /* Of a worker, before it is given up. */

struct sl_head_options {
    uint32_t nodes;        /* How many local nodes to keep running. */
    const char *node_text; /* JSON for node children, without its closing brace: "node" is added. */
    const char *groups;    /* Of workers that may join (node_groups.h), checked. NULL: all. */
    uint64_t silence_ns;   /* 0: SL_NODE_SILENCE_NS. */
    uint32_t gpus;         /* Of this machine, for nodes of groups that it starts. */
    const char *extractors; /* The configuration of replicas (scale_book.h), checked. NULL: none. */
    uint32_t replicas_max;  /* What it leaves out of each. */
    /* A JSON object, borrowed: of each extractor that is known the index that its shared replicas
     * make vectors for, "" for none, null where each tenant has replicas of its own. NULL: {}. */
    const char *indexes;
    uint64_t idle_ns;
    bool has_journal; /* The api actor is there, and told what happens to nodes and groups. */
    uint64_t pid; /* Of its process, where it keeps models' files (model_keep.h). 0: it does not. */
};

extern const struct sl_actor_class sl_head_class; /* Its argument: struct sl_head_options. */

/* For the status page: appends a JSON array of nodes. */
void sl_head_status(const void *head, struct sl_buf *out);
/*
 * Members of a JSON array that `w` has open, from the node after the number `after` on (0: the
 * first), at most `limit` and, after the first, SL_HEAD_PAGE_BYTES. Brief ones have how many
 * replicas there are and which of them crash, instead of what nodes tell of each. *ret_next: the
 * last one's number where there are more, else 0.
 */
#define SL_HEAD_PAGE_BYTES (3 * SL_MIB / 2)
struct sl_head_ask {
    uint32_t after, limit;
    size_t bytes_max; /* 0: SL_HEAD_PAGE_BYTES. */
    bool is_brief;
    bool has_no_replicas; /* Only what their pools decided. */
};
void sl_head_write_nodes(const void *head, const struct sl_head_ask *ask, struct sl_jsonw *w,
                         uint32_t *ret_next);
uint32_t sl_head_nodes(const void *head); /* How many there are, whatever their state. */
/* The next node from *at on, which 0 begins; false: there is none. Until the head's next message.
 */
struct sl_head_node {
    const char *group, *state;
    const char *objects, *images; /* JSON objects as it told them; NULL: it did not. */
};
bool sl_head_node_next(const void *head, uint32_t *at, struct sl_head_node *ret_node);
/* Appends a JSON array of the groups: their limits, and whether they have their workers. */
void sl_head_groups(const void *head, struct sl_buf *out);
/* The same of what happened to nodes and groups since the start (cluster_log.h), for tests. */
void sl_head_events(const void *head, struct sl_buf *out);
struct sl_head_sums { /* Of nodes that are there. */
    uint64_t alive, draining, starting, cpus, gpus, memory_bytes, in_flight, room;
    uint64_t lost; /* That were given up, since the head began. */
};
void sl_head_sum(const void *head, struct sl_head_sums *ret_sums);
/* What the nodes' replicas serve (served.h): until the head's next message. */
struct sl_served;
const struct sl_served *sl_head_served(const void *head);
bool sl_head_has_node(const void *head);
/* Nodes that are there, and the replicas that they have told of. */
void sl_head_sizes(const void *head, uint32_t *ret_nodes, uint32_t *ret_replicas);

#endif
