/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_nodes.h - the dispatcher's nodes and the work it sends them: who has room, who is warm
 * for what, and so where a task goes (placement.h). Part of the dispatcher actor; no effects but
 * the extraction that a node must hear of before its first task.
 */
#ifndef SL_ACTORS_DISPATCH_NODES_H
#define SL_ACTORS_DISPATCH_NODES_H

#include "actors/cluster.h"
#include "actors/dispatch_flight.h"
#include "actors/dispatch_parking.h"
#include "actors/extraction.h"
#include "actors/lane_rates.h"
#include "actors/node_set.h"
#include "actors/placement.h"
#include "queue/look.h"
#include "runtime/json.h"
#include "runtime/store.h"

#define SL_DISPATCH_SPECS_MAX 64
#define SL_DISPATCH_WARM_MAX  8 /* Nodes that ran some work last: considered again. */

struct sl_dispatch_node {
    struct sl_node_slot slot;              /* First. */
    struct sl_dispatch_node *next, *prev;  /* The ring of those with room; NULL: it has none. */
    uint64_t room;                         /* Tasks. */
    struct sl_flight_list flights;         /* Under way there; SL_LIMIT_NODE_BYTES, and one more. */
    uint64_t classes;                      /* Bits of the tasks it takes. */
    uint64_t taint;                        /* Whose work alone it takes (home.h); 0: anybody's. */
    bool is_closed;                        /* It is to get no leases. */
    bool is_full;                          /* Its link took no more; until its next beat. */
    bool is_told_owed;                     /* It has not heard yet that it is closed. */
    uint64_t specs[SL_DISPATCH_SPECS_MAX]; /* Extractions it has been told of, a ring. */
    uint32_t specs_next;
    char *name; /* For people. */
    char *labels_text;
    struct sl_json_doc *labels; /* Of that text; NULL: none. */
};

/* A parsed extraction row. Rows of a deleted collection fall out as others come. */
struct sl_dispatch_spec {
    struct sl_scope scope;
    struct sl_slice collection, row;
    struct sl_json_doc *doc;
    uint64_t number; /* Hash of what the node is told: equal numbers, equal work. */
    uint64_t tenant; /* Whose alone its replicas are; 0: anybody's. */
    uint64_t home;   /* Whose nodes alone it is for (home.h), as of the last look-up. */
    char *model;
    struct sl_json asked; /* Labels that its nodes must have; NONE: none. */
    uint64_t used;
    uint32_t warm[SL_DISPATCH_WARM_MAX]; /* Nodes told of it last, a ring; they may be gone. */
    uint32_t warm_next;
};

/* A ring for each set of classes; behind them those of nodes with a taint. */
#define SL_DISPATCH_RINGS (1u << SL_CLASS_COUNT)

struct sl_dispatch_nodes {
    struct sl_node_set set;
    struct sl_dispatch_node *turns[2 * SL_DISPATCH_RINGS]; /* The head of each is next. */
    uint64_t under_way[2 * SL_DISPATCH_RINGS];             /* Tasks at the nodes of each. */
    struct sl_dispatch_spec specs[SL_DISPATCH_SPECS_MAX];
    uint64_t uses;
    struct sl_flights flights;
    struct sl_json_doc *asked; /* What extractors ask for (labels.h); NULL: nothing. */
    struct sl_parking parking;
    struct sl_lane_rates rates; /* Of tasks that ended. */
    uint32_t scan_next;         /* Where the next search for a node that fits begins. */
};

void sl_dispatch_nodes_deinit(struct sl_dispatch_nodes *nodes);
struct sl_dispatch_node *sl_dispatch_node(const struct sl_dispatch_nodes *nodes,
                                          uint64_t number); /* NULL: unknown. */
/* Told twice of one, nothing happens. */
void sl_dispatch_node_add(struct sl_dispatch_nodes *nodes, const struct sl_m_node_up *up);
void sl_dispatch_node_remove(struct sl_dispatch_nodes *nodes, struct sl_dispatch_node *n);
/* Join or leave the ring, as there is room or not: after each change of what decides that. */
void sl_dispatch_node_place(struct sl_dispatch_nodes *nodes, struct sl_dispatch_node *n);
/* A task is under way at a node, or not any more; it is placed. `like`: task, epoch, time, bytes.
 */
void sl_dispatch_fly(struct sl_dispatch_nodes *nodes, struct sl_dispatch_node *n,
                     const struct sl_flight *like);
/* The flight of a task under that very epoch; NULL: there is none. */
struct sl_flight *sl_dispatch_flight(const struct sl_dispatch_nodes *nodes, uint64_t task_id,
                                     uint64_t epoch);
void sl_dispatch_land(struct sl_dispatch_nodes *nodes, struct sl_flight *flight);

/* The extraction of a task; NULL: its collection is gone. Valid until the next call. */
struct sl_dispatch_spec *sl_dispatch_spec(struct sl_dispatch_nodes *nodes, struct sl_txn *txn,
                                          struct sl_scope scope, struct sl_slice collection);
/* Tell a node of work, once; or once more, after it has not heard of it. */
void sl_dispatch_tell(struct sl_ctx *ctx, struct sl_dispatch_node *n, struct sl_dispatch_spec *s);
void sl_dispatch_untell(struct sl_dispatch_node *n, uint64_t number);

/* The same of the task that a lease is of, whose payload was read. NULL also: nobody can read it.
 */
struct sl_dispatch_spec *sl_dispatch_spec_of(struct sl_dispatch_nodes *nodes, struct sl_txn *txn,
                                             const struct sl_lease *lease,
                                             struct sl_task_payload *ret_payload);
/* Where a task of a class goes that `turn` was to have. NULL: nowhere now, by its labels. */
struct sl_dispatch_node *sl_dispatch_choose(struct sl_dispatch_nodes *nodes,
                                            struct sl_dispatch_node *turn,
                                            const struct sl_dispatch_spec *s, uint32_t class);
struct sl_dispatch_asking {
    struct sl_dispatch_nodes *nodes;
    const struct sl_queue *queue;
    uint64_t now_ns;
};
/* Where a job's tasks may run, when, and why, as JSON for people. SL_ENOTFOUND: the queue knows no
 * such job. */
SL_MUST_CHECK enum sl_err sl_dispatch_explain(const struct sl_dispatch_asking *ask,
                                              struct sl_store *store, struct sl_slice job,
                                              struct sl_buf *out);

#endif
