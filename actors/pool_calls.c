/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_calls.h"

#define QUANTUM  (16 * SL_KIB)  /* Some thirty short texts. */
#define WORK_MAX (256 * SL_KIB) /* What an item counts for at most, so that turns stay few. */

void
sl_calls_init(struct sl_calls *c)
{
    *c = (struct sl_calls){0};
    for (uint32_t i = 0; i < SL_CALL_LANES; i++)
        sl_items_init(&c->lanes[i]);
}

static uint32_t
lane_of(uint64_t scope)
{
    return (uint32_t)((scope * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % SL_CALL_LANES;
}

void
sl_calls_push(struct sl_calls *c, struct sl_item *item, uint64_t scope)
{
    sl_items_push(&c->lanes[lane_of(scope)], item);
    c->count++;
}

static uint64_t
work_of(const struct sl_item *item)
{
    return SL_MIN(item->work, (uint64_t)WORK_MAX);
}

/* Give turns until a lane has credit for its oldest: at most WORK_MAX / QUANTUM rounds. */
const struct sl_item *
sl_calls_next(struct sl_calls *c)
{
    if (c->count == 0)
        return NULL;
    for (;;) {
        const struct sl_item *oldest = c->lanes[c->at].oldest;
        if (oldest != NULL && c->credit[c->at] >= work_of(oldest))
            return oldest;
        if (oldest == NULL)
            c->credit[c->at] = 0;
        c->at = (c->at + 1) % SL_CALL_LANES;
        if (c->lanes[c->at].oldest != NULL)
            c->credit[c->at] += QUANTUM;
    }
}

struct sl_item *
sl_calls_pop(struct sl_calls *c)
{
    const struct sl_item *next = sl_calls_next(c);
    if (next == NULL)
        return NULL;
    c->credit[c->at] -= work_of(next);
    c->count--;
    return sl_items_pop(&c->lanes[c->at]);
}

struct sl_item *
sl_calls_take(struct sl_calls *c, bool (*is)(const struct sl_item *item, const void *arg),
              const void *arg)
{
    for (uint32_t i = 0; c->count > 0 && i < SL_CALL_LANES; i++) {
        for (struct sl_item *item = c->lanes[i].oldest; item != NULL; item = item->next) {
            if (!is(item, arg))
                continue;
            c->count--;
            return sl_items_take(&c->lanes[i], item->serial);
        }
    }
    return NULL;
}
