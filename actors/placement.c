/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/placement.h"

#include "runtime/limits.h"

bool
sl_placement_has_room(const struct sl_candidate *node)
{
    return !node->is_closed && !node->is_link_full && node->in_flight < node->room &&
           node->bytes < SL_LIMIT_NODE_BYTES &&
           (node->in_flight < SL_PLACEMENT_LEAST || node->expected_ns < SL_PLACEMENT_AHEAD_NS);
}

enum sl_placement
sl_placement_judge(const struct sl_candidate *node, uint32_t class)
{
    if ((node->classes >> class & 1) == 0)
        return SL_PLACE_OTHER_GROUP;
    if (!sl_placement_is_home(node->taint, node->home))
        return SL_PLACE_OTHER_TAINT;
    if (node->is_unfit)
        return SL_PLACE_OTHER_LABELS;
    if (node->is_closed)
        return SL_PLACE_CLOSED;
    if (node->is_link_full)
        return SL_PLACE_LINK_FULL;
    return sl_placement_has_room(node) ? SL_PLACE_GOOD : SL_PLACE_FULL;
}

const char *
sl_placement_name(enum sl_placement placement)
{
    static const char *const names[] = {"good",      "other_group",  "closed",     "full",
                                        "link_full", "other_labels", "other_taint"};
    sl_assert((unsigned)placement < SL_COUNT_OF(names));
    return names[placement];
}

uint64_t
sl_placement_cost(const struct sl_candidate *node)
{
    return node->in_flight + (node->is_warm ? 0 : SL_PLACEMENT_COLD);
}

bool
sl_placement_prefers(const struct sl_candidate *first, const struct sl_candidate *other,
                     uint32_t class)
{
    return sl_placement_judge(other, class) == SL_PLACE_GOOD &&
           sl_placement_cost(other) < sl_placement_cost(first);
}
