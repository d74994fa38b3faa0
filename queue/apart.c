/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/apart.h"

#include "queue/lane.h"
#include "runtime/alloc.h"

/* Where the scope is among those, or would be: they are in order. */
static uint32_t
place_of(const struct sl_queue *q, uint64_t scope)
{
    uint32_t from = 0, to = q->apart_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (q->apart[middle] < scope)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool
sl_queue_is_apart(const struct sl_queue *q, struct sl_scope scope)
{
    sl_queue_assert(q);
    uint32_t at = place_of(q, scope.id);
    return at < q->apart_count && q->apart[at] == scope.id;
}

void
sl_queue_set_apart(struct sl_queue *q, struct sl_scope scope, bool is_apart)
{
    uint32_t at = place_of(q, scope.id);
    if (sl_queue_is_apart(q, scope) == is_apart)
        return;
    if (is_apart) {
        q->apart = sl_realloc(q->apart, (q->apart_count + 1) * sizeof(q->apart[0]));
        memmove(&q->apart[at + 1], &q->apart[at], (q->apart_count - at) * sizeof(q->apart[0]));
        q->apart[at] = scope.id;
        q->apart_count++;
    } else {
        q->apart_count--;
        memmove(&q->apart[at], &q->apart[at + 1], (q->apart_count - at) * sizeof(q->apart[0]));
    }
    for (uint32_t class = 0; class < SL_CLASS_COUNT; class ++) {
        struct sl_lane *lane =
            sl_lane_lookup(q, (struct sl_lane_key){.scope = scope, .class = (enum sl_class) class});
        if (lane == NULL)
            continue;
        lane->is_apart = is_apart;
        sl_lane_settle(q, lane);
    }
}
