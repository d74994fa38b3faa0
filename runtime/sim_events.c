/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_events.h"

#include "runtime/alloc.h"

#define BLOCK 256 /* Events allocated at a time. */
#define WAYS  4   /* Children of a heap's node: fewer levels, and side by side in a cache line. */

void
sl_sim_events_deinit(struct sl_sim_events *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        sl_msg_destroy(&e->heap[i].event->msg);
    for (uint32_t i = 0; i < e->blocks_count; i++)
        sl_free(e->blocks[i]);
    sl_free(e->blocks);
    sl_free(e->heap);
    *e = (struct sl_sim_events){0};
}

static struct sl_sim_event *
take_free(struct sl_sim_events *e)
{
    if (e->free == NULL) {
        struct sl_sim_event *block = sl_alloc(BLOCK * sizeof(*block));
        e->blocks = sl_realloc(e->blocks, (e->blocks_count + 1) * sizeof(e->blocks[0]));
        e->blocks[e->blocks_count++] = block;
        for (uint32_t i = 0; i < BLOCK; i++)
            sl_sim_events_release(e, &block[i]);
    }
    struct sl_sim_event *event = e->free;
    e->free = event->arg;
    return event;
}

void
sl_sim_events_release(struct sl_sim_events *e, struct sl_sim_event *event)
{
    event->arg = e->free;
    e->free = event;
}

static bool
is_before(const struct sl_sim_due *a, const struct sl_sim_due *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void
sl_sim_events_again(struct sl_sim_events *e, uint64_t at_ns, struct sl_sim_event *event)
{
    struct sl_sim_due due = {.at_ns = at_ns, .order = e->order_next++, .event = event};
    if (e->count == e->capacity) {
        e->capacity = SL_MAX(e->capacity * 2, UINT32_C(64));
        e->heap = sl_realloc(e->heap, e->capacity * sizeof(e->heap[0]));
    }
    uint32_t at = e->count++;
    for (; at > 0 && is_before(&due, &e->heap[(at - 1) / WAYS]); at = (at - 1) / WAYS)
        e->heap[at] = e->heap[(at - 1) / WAYS];
    e->heap[at] = due;
}

void
sl_sim_events_add(struct sl_sim_events *e, uint64_t at_ns, const struct sl_sim_event *event)
{
    struct sl_sim_event *copy = take_free(e);
    *copy = *event;
    sl_sim_events_again(e, at_ns, copy);
}

struct sl_sim_event *
sl_sim_events_pop(struct sl_sim_events *e, uint64_t *ret_at_ns)
{
    if (e->count == 0)
        return NULL;
    struct sl_sim_due first = e->heap[0], last = e->heap[--e->count];
    uint32_t at = 0;
    for (uint32_t child; (child = at * WAYS + 1) < e->count;) {
        uint32_t least = child, end = SL_MIN(child + WAYS, e->count);
        for (uint32_t i = child + 1; i < end; i++) {
            if (is_before(&e->heap[i], &e->heap[least]))
                least = i;
        }
        if (!is_before(&e->heap[least], &last))
            break;
        e->heap[at] = e->heap[least];
        at = least;
    }
    e->heap[at] = last;
    *ret_at_ns = first.at_ns;
    return first.event;
}
