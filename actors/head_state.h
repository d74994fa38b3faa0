/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_state.h - what the head knows, for actors/head.c, which changes it, and head_status.c, which
 * tells it. Threading: of the head actor.
 */
#ifndef SL_ACTORS_HEAD_STATE_H
#define SL_ACTORS_HEAD_STATE_H

#include "actors/head.h"
#include "actors/head_gates.h"
#include "actors/head_health.h"
#include "actors/head_scaling.h"
#include "actors/model_keep.h"
#include "actors/node_facts.h"
#include "actors/node_groups.h"
#include "actors/node_set.h"
#include "actors/served.h"

enum node_state { NODE_STARTING, NODE_ALIVE };

struct node {
    struct sl_node_slot slot; /* First. */
    enum node_state state;
    uint64_t pid;
    uint64_t heard_ns, started_ms;
    uint64_t room, in_flight, calls;
    char *replicas;                /* JSON array, as the last beat told. */
    char *scaling;                 /* As it told last. */
    struct sl_head_sicks sicks;    /* Of that. */
    struct sl_served_node *served; /* What these told, taken in. */
    char *objects;                 /* JSON object, or NULL. */
    char *images;                  /* The same. */
    char *name; /* Of a worker that joined from elsewhere; NULL: a child of our spawner. */
    struct sl_node_facts facts;
    uint64_t taint;   /* The number of facts.taint (home.h). */
    bool is_cordoned; /* By an operator: it keeps what it has, and gets no more. */
    bool is_leaving;  /* It drains, and goes when it is empty. */
    bool is_scaled;   /* Its group's scaler had it started. */
};

struct head {
    struct sl_head_options options;
    struct sl_head_gates gates;
    char *node_text;
    char *extractors; /* What options.extractors is since it was configured anew; NULL: never. */
    struct sl_node_groups groups;
    struct sl_head_scaling scaling;
    struct sl_model_keep models;
    bool is_below_min[SL_NODE_GROUPS_COUNT];
    uint64_t trouble_since_ns[SL_NODE_GROUPS_COUNT]; /* 0: a group is in none. */
    uint32_t joined;                                 /* Workers, since the start. */
    struct sl_node_set nodes;
    struct sl_served *served;
    uint64_t lost;     /* Nodes that did not leave, since the start. */
    uint32_t children; /* Of them: kept running by us, of no group. */
    uint32_t number_next;
    uint64_t pause_ns;
};

static inline struct node *
node_at(const struct head *h, uint32_t i)
{
    return (struct node *)h->nodes.slots[i];
}

static inline const char *
group_of(const struct node *n)
{
    return n->facts.group[0] == '\0' ? "any" : n->facts.group;
}

/* Whose scaler hears of it: a node of one tenant alone is none of those that a group needs. */
static inline const char *
scaled_group_of(const struct node *n)
{
    return n->taint == 0 ? n->facts.group : "";
}

/* Nodes of a group, but one of that name (empty: all). */
uint64_t sl_head_count(const struct head *h, const char *group, struct sl_slice but);

#endif
