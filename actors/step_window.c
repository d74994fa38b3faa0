/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/step_window.h"

#include "runtime/alloc.h"

static struct sl_step *
step_at(const struct sl_step_window *w, uint32_t index)
{
    return &w->steps[(w->first + index) % w->capacity];
}

void
sl_step_window_init(struct sl_step_window *w, bool is_least, uint64_t window_ns, uint32_t value)
{
    *w = (struct sl_step_window){.is_least = is_least,
                                 .window_ns = window_ns,
                                 .steps = sl_alloc(8 * sizeof(struct sl_step)),
                                 .count = 1,
                                 .capacity = 8};
    w->steps[0] = (struct sl_step){.value = value, .until_ns = UINT64_MAX};
}

void
sl_step_window_deinit(struct sl_step_window *w)
{
    sl_free(w->steps);
    *w = (struct sl_step_window){0};
}

static void
grow(struct sl_step_window *w)
{
    struct sl_step *steps = sl_alloc(2 * (size_t)w->capacity * sizeof(*steps));
    for (uint32_t i = 0; i < w->count; i++)
        steps[i] = *step_at(w, i);
    sl_free(w->steps);
    w->steps = steps;
    w->first = 0;
    w->capacity *= 2;
}

/* Steps that ended before the window; the one in force never does. */
static void
expire(struct sl_step_window *w, uint64_t now_ns)
{
    while (w->count > 1) {
        uint64_t until_ns = step_at(w, 0)->until_ns;
        if (now_ns - SL_MIN(until_ns, now_ns) < w->window_ns)
            break;
        w->first = (w->first + 1) % w->capacity;
        w->count--;
    }
}

void
sl_step_window_push(struct sl_step_window *w, uint64_t now_ns, uint32_t value)
{
    struct sl_step *last = step_at(w, w->count - 1);
    if (last->value == value)
        return;
    last->until_ns = now_ns;
    expire(w, now_ns);
    while (w->count > 0) {
        last = step_at(w, w->count - 1);
        bool is_beaten = w->is_least ? last->value >= value : last->value <= value;
        if (!is_beaten && now_ns - last->until_ns < w->window_ns)
            break;
        w->count--;
    }
    if (w->count == w->capacity)
        grow(w);
    w->count++;
    *step_at(w, w->count - 1) = (struct sl_step){.value = value, .until_ns = UINT64_MAX};
}

uint32_t
sl_step_window_extreme(struct sl_step_window *w, uint64_t now_ns, uint64_t *ret_next_ns)
{
    expire(w, now_ns);
    const struct sl_step *first = step_at(w, 0);
    if (ret_next_ns != NULL)
        *ret_next_ns = w->count == 1 ? UINT64_MAX : first->until_ns + w->window_ns;
    return first->value;
}
