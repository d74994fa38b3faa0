/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement.h - which node gets a task: the one where it costs least, counted in tasks.
 *
 *   cost = tasks under way at the node
 *        + SL_PLACEMENT_COLD, if the node has not run this work: a replica to start, a model to map
 *
 * Only nodes with all labels that the work asks for are considered (labels.h), and of those with a
 * taint only those of the tenant whose work is for them alone (home.h); where none of them has room
 * its tasks are parked, and whoever of them has room first gets them.
 *
 * So work stays where it is warm until others are idler by as much as a start costs. Considered
 * are the node whose turn it is among those with room, and the last that ran the same work: a
 * choice does not grow with the cluster. Pure.
 */
#ifndef SL_ACTORS_PLACEMENT_H
#define SL_ACTORS_PLACEMENT_H

#include "runtime/base.h"

#define SL_PLACEMENT_COLD 64

/*
 * A node is sent no more than it is expected to work on for so long, all its replicas together:
 * whoever comes next waits for what is under way. But so many tasks, that no replica is idle.
 */
#define SL_PLACEMENT_AHEAD_NS (4 * SL_SECOND_NS)
#define SL_PLACEMENT_LEAST    16

struct sl_candidate {
    uint64_t classes; /* Bits of the tasks it takes. */
    uint64_t room, in_flight;
    uint64_t bytes;       /* Of what is under way; SL_LIMIT_NODE_BYTES is as much as room. */
    uint64_t expected_ns; /* Of service, of the same: see SL_PLACEMENT_AHEAD_NS. */
    bool is_closed;       /* Cordoned, or leaving. */
    bool is_link_full;    /* Its link takes no more. */
    bool is_warm;         /* It has run this work. */
    bool is_unfit;        /* It lacks a label that this work asks for. */
    uint64_t taint,
        home; /* Whose work alone the node takes, whose nodes the work is for; 0: none. */
};

enum sl_placement {
    SL_PLACE_GOOD,
    SL_PLACE_OTHER_GROUP,
    SL_PLACE_CLOSED,
    SL_PLACE_FULL,
    SL_PLACE_LINK_FULL,
    SL_PLACE_OTHER_LABELS,
    SL_PLACE_OTHER_TAINT
};

/* Whether work may be at a node at all, for all that tenants' own nodes are to keep apart. */
static inline bool
sl_placement_is_home(uint64_t taint, uint64_t home)
{
    return taint == home;
}

/* Whether a node may have any task. */
bool sl_placement_has_room(const struct sl_candidate *node);

/* Whether a node may have a task of a class (enum sl_class), and if not, why. */
enum sl_placement sl_placement_judge(const struct sl_candidate *node, uint32_t class);
/* "good", "other_group"... */
const char *sl_placement_name(enum sl_placement placement);
uint64_t sl_placement_cost(const struct sl_candidate *node);
/* Whether `other` is to be preferred: it may have the task, and costs less. */
bool sl_placement_prefers(const struct sl_candidate *first, const struct sl_candidate *other,
                          uint32_t class);

#endif
