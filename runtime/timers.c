/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timers.h"

#include "runtime/alloc.h"

void
sl_timers_deinit(struct sl_timers *t)
{
    sl_free(t->heap);
    *t = (struct sl_timers){0};
}

static bool
is_before(const struct sl_timer *a, const struct sl_timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void
swap(struct sl_timer *a, struct sl_timer *b)
{
    struct sl_timer t = *a;
    *a = *b;
    *b = t;
}

void
sl_timers_add(struct sl_timers *t, const struct sl_timer *timer)
{
    if (t->count == t->capacity) {
        t->capacity = SL_MAX(t->capacity * 2, 16u);
        t->heap = sl_realloc(t->heap, t->capacity * sizeof(*t->heap));
    }
    uint32_t i = t->count++;
    t->heap[i] = *timer;
    t->heap[i].order = t->order_next++;
    for (; i > 0 && is_before(&t->heap[i], &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&t->heap[i], &t->heap[(i - 1) / 2]);
}

uint64_t
sl_timers_next_ns(const struct sl_timers *t)
{
    return t->count == 0 ? UINT64_MAX : t->heap[0].at_ns;
}

bool
sl_timers_pop(struct sl_timers *t, uint64_t now_ns, struct sl_timer *ret_timer)
{
    if (t->count == 0 || t->heap[0].at_ns > now_ns)
        return false;
    *ret_timer = t->heap[0];
    t->heap[0] = t->heap[--t->count];
    for (uint32_t i = 0;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < t->count; child++) {
            if (is_before(&t->heap[child], &t->heap[least]))
                least = child;
        }
        if (least == i)
            break;
        swap(&t->heap[i], &t->heap[least]);
        i = least;
    }
    return true;
}
