/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/call_table.h"

#include "runtime/alloc.h"

void
sl_call_table_deinit(struct sl_call_table *t)
{
    sl_free(t->heap);
    sl_free(t->places);
    *t = (struct sl_call_table){0};
}

/* ---- the hash table: open addressing, at most half full ------------------------------------ */

static uint32_t
mask(const struct sl_call_table *t)
{
    return t->capacity * 2 - 1;
}

static uint32_t
home(const struct sl_call_table *t, uint64_t request)
{
    return (uint32_t)((request * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask(t);
}

static void
place_add(struct sl_call_table *t, uint32_t index)
{
    uint32_t at = home(t, t->heap[index].request);
    while (t->places[at] != 0)
        at = (at + 1) & mask(t);
    t->places[at] = index + 1;
    t->heap[index].place = at;
}

/* Close the gap: what follows moves up unless that would put it before its home. */
static void
place_remove(struct sl_call_table *t, uint32_t gap)
{
    for (uint32_t at = (gap + 1) & mask(t); t->places[at] != 0; at = (at + 1) & mask(t)) {
        struct sl_call *call = &t->heap[t->places[at] - 1];
        uint32_t wanted = home(t, call->request);
        if (((at - wanted) & mask(t)) < ((at - gap) & mask(t)))
            continue;
        t->places[gap] = t->places[at];
        call->place = gap;
        gap = at;
    }
    t->places[gap] = 0;
}

static void
grow(struct sl_call_table *t)
{
    t->capacity = SL_MAX(t->capacity * 2, 8u);
    t->heap = sl_realloc(t->heap, t->capacity * sizeof(*t->heap));
    sl_free(t->places);
    t->places = sl_zalloc((size_t)t->capacity * 2 * sizeof(*t->places));
    for (uint32_t i = 0; i < t->count; i++)
        place_add(t, i);
}

/* ---- the heap ------------------------------------------------------------------------------ */

static void
swap(struct sl_call_table *t, uint32_t a, uint32_t b)
{
    struct sl_call call = t->heap[a];
    t->heap[a] = t->heap[b];
    t->heap[b] = call;
    t->places[t->heap[a].place] = a + 1;
    t->places[t->heap[b].place] = b + 1;
}

static bool
is_before(const struct sl_call_table *t, uint32_t a, uint32_t b)
{
    return t->heap[a].deadline_ns < t->heap[b].deadline_ns;
}

static void
move_up(struct sl_call_table *t, uint32_t i)
{
    for (; i > 0 && is_before(t, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(t, i, (i - 1) / 2);
}

static void
move_down(struct sl_call_table *t, uint32_t i)
{
    for (;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < t->count; child++) {
            if (is_before(t, child, least))
                least = child;
        }
        if (least == i)
            return;
        swap(t, i, least);
        i = least;
    }
}

static void
remove_at(struct sl_call_table *t, uint32_t i)
{
    uint32_t last = t->count - 1;
    if (i != last)
        swap(t, i, last);
    place_remove(t, t->heap[last].place);
    t->count = last;
    if (i == last)
        return;
    move_up(t, i);
    move_down(t, i);
}

/* ---- calls --------------------------------------------------------------------------------- */

enum sl_err
sl_call_table_add(struct sl_call_table *t, const struct sl_call *call)
{
    if (t->count >= SL_CALLS_MAX)
        return SL_EFULL;
    if (t->count == t->capacity)
        grow(t);
    t->heap[t->count] = *call;
    place_add(t, t->count);
    move_up(t, t->count++);
    return SL_OK;
}

bool
sl_call_table_remove(struct sl_call_table *t, uint64_t request)
{
    if (t->count == 0)
        return false;
    for (uint32_t at = home(t, request); t->places[at] != 0; at = (at + 1) & mask(t)) {
        uint32_t index = t->places[at] - 1;
        if (t->heap[index].request == request) {
            remove_at(t, index);
            return true;
        }
    }
    return false;
}

bool
sl_call_table_expire(struct sl_call_table *t, uint64_t now_ns, struct sl_call *ret_call)
{
    if (t->count == 0 || t->heap[0].deadline_ns > now_ns)
        return false;
    *ret_call = t->heap[0];
    remove_at(t, 0);
    return true;
}

uint64_t
sl_call_table_next_ns(const struct sl_call_table *t)
{
    return t->count == 0 ? UINT64_MAX : t->heap[0].deadline_ns;
}
