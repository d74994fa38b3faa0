/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served_state.h - what served.c keeps and served_write.c tells. Threading: of the head actor.
 */
#ifndef SL_ACTORS_SERVED_STATE_H
#define SL_ACTORS_SERVED_STATE_H

#include <assert.h>

#include "actors/served.h"

enum { SERVED_STARTING, SERVED_WARMING, SERVED_READY, SERVED_DRAINING, SERVED_STATES };
static_assert(SERVED_STATES == SL_SERVED_STATES, "as they are told");

struct served_decision {
    uint64_t at_ms, at_ns; /* at_ns: by the node's clock. */
    uint32_t node, from, to, waiting, running;
    char reason[24];
    char text[200];
};

struct served_share;

struct served_entry {
    char name[SL_SERVED_NAME_MAX + 1];
    uint64_t tenant;
    struct served_share *shares; /* By the nodes that have some; a list. */
    bool is_known;               /* It stays without any. */
    bool is_disabled;
    bool has_settings;
    uint32_t min_replicas, max_replicas;
    double target_ongoing, down_delay_s;
    struct served_decision *decisions; /* A ring, or NULL. */
    uint64_t decisions_count;          /* Ever. */
};

/* Of a node's pools of one entry, all together. */
struct served_share {
    struct served_entry *entry;
    struct served_share *next, *prev;
    struct sl_served_node *node;
    bool is_measured; /* By the beat that is being taken. */
    /* Of its beat. */
    uint64_t counts[SERVED_STATES];
    uint64_t ongoing, waiting, items;
    uint64_t memory[SL_SERVED_MEMORIES];
    bool has_memory; /* One of its replicas tells of it. */
    uint64_t answered, failed, cold_ms;
    uint64_t items_of[SL_SERVED_KINDS];
    double sum_ms[SL_SERVED_KINDS][SL_SERVED_PHASES];
    double p50_ms, p95_ms, p99_ms;
    /* Of its pools' last word. */
    uint64_t wanted, changes, stopped, crashed;
    uint64_t told_ns, newest_ns; /* Of the word before; with this one. */
    bool is_crashed, is_at_limit, has_pool;
};

struct served_replica {
    uint32_t number;
    uint8_t state;
    uint16_t share; /* Of the node's. */
    bool is_background;
    uint64_t pid, ongoing, done, started_ms, resident_bytes, device_bytes;
};

struct sl_served_node {
    uint32_t number;
    struct served_share *shares[SL_SERVED_SHARES];
    uint32_t shares_count, replicas_count;
    struct served_replica *replicas; /* By number. */
};

struct sl_served {
    struct served_entry **entries; /* By name, then by tenant. */
    uint32_t entries_count, entries_capacity;
    struct sl_served_node **nodes; /* By number. */
    uint32_t nodes_count, nodes_capacity;
    uint64_t left_out;
};

/* Where one is, or would be. */
uint32_t served_place(const struct sl_served *s, struct sl_slice name, uint64_t tenant,
                      bool *ret_is_there);
uint32_t served_node_place(const struct sl_served *s, uint32_t number);

#endif
