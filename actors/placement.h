/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement.h - which node gets a task: the one where it costs least, counted in tasks.
 *
 *   cost = tasks under way at the node
 *        + SL_PLACEMENT_COLD, if the node has not run this work: a replica to start, a model to map
 *
 * So work stays where it is warm until others are idler by as much as a start costs. Considered
 * are the node whose turn it is among those with room, and the last that ran the same work: a
 * choice does not grow with the cluster. Pure.
 */
#ifndef SL_ACTORS_PLACEMENT_H
#define SL_ACTORS_PLACEMENT_H

#include "runtime/base.h"

#define SL_PLACEMENT_COLD 64

struct sl_candidate {
    uint64_t classes; /* Bits of the tasks it takes. */
    uint64_t room, in_flight;
    bool is_closed; /* Cordoned, or leaving. */
    bool is_warm;   /* It has run this work. */
};

enum sl_placement { SL_PLACE_GOOD, SL_PLACE_OTHER_GROUP, SL_PLACE_CLOSED, SL_PLACE_FULL };

/* Whether a node may have a task of a class (enum sl_class), and if not, why. */
enum sl_placement sl_placement_judge(const struct sl_candidate *node, uint32_t class);
/* "good", "other_group"... */
const char *sl_placement_name(enum sl_placement placement);
uint64_t sl_placement_cost(const struct sl_candidate *node);
/* Whether `other` is to be preferred: it may have the task, and costs less. */
bool sl_placement_prefers(const struct sl_candidate *first, const struct sl_candidate *other,
                          uint32_t class);

#endif
