/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_health.h - what is wrong, and for how long: extractors that do not come to work on a node,
 * and groups that cannot have the nodes that their work needs. That a group has as many nodes as it
 * may, or as somebody has set, is no fault. Part of the head actor.
 */
#ifndef SL_ACTORS_HEAD_HEALTH_H
#define SL_ACTORS_HEAD_HEALTH_H

#include "actors/node_groups.h"
#include "actors/pool.h"
#include "runtime/json.h"

struct head;

/* Of one node: pools that crash. */
struct sl_head_sick {
    char *extractor;
    uint64_t since_ns;
};

struct sl_head_sicks {
    struct sl_head_sick *items; /* None as a rule. */
    uint32_t count;
};

/* The node's word on its pools, a JSON array: who was sick before is so since then. */
void sl_head_sicks_take(struct sl_head_sicks *sicks, struct sl_json pools, uint64_t now_ns);
void sl_head_sicks_deinit(struct sl_head_sicks *sicks);

/* After each message: since when groups are in trouble. */
void sl_head_health_look(struct head *h, uint64_t now_ns);
/*
 * Append a JSON object: "nodes", how many are there; "extractors" and "groups", arrays of what is
 * wrong: name, "seconds" since when, and for groups "reason", for extractors on how many nodes.
 */
void sl_head_health(const struct head *h, uint64_t now_ns, struct sl_buf *out);

#endif
