/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_parking.h"

#include "actors/labels.h"
#include "actors/placement.h"
#include "runtime/alloc.h"

#define CAPACITY_FIRST 64

void
sl_parking_deinit(struct sl_parking *p)
{
    for (uint32_t i = 0; i < p->lots_count; i++)
        sl_free(p->lots[i].parked);
    sl_free(p->lots);
    *p = (struct sl_parking){0};
}

static struct sl_parked *
slot_of(const struct sl_parking_lot *lot, uint32_t i)
{
    return &lot->parked[(lot->first + i) & (lot->capacity - 1)];
}

static struct sl_parking_lot *
lot_of(struct sl_parking *p, const struct sl_parking_need *need)
{
    for (uint32_t i = 0; i < p->lots_count; i++) {
        const struct sl_parking_need *lot = &p->lots[i].need;
        if (lot->asked.doc == need->asked.doc && lot->asked.token == need->asked.token &&
            lot->class == need->class && lot->home == need->home)
            return &p->lots[i];
    }
    p->lots = sl_realloc(p->lots, (p->lots_count + 1) * sizeof(p->lots[0]));
    p->lots[p->lots_count] = (struct sl_parking_lot){.need = *need};
    return &p->lots[p->lots_count++];
}

static void
grow(struct sl_parking_lot *lot)
{
    uint32_t capacity = lot->capacity == 0 ? CAPACITY_FIRST : 2 * lot->capacity;
    struct sl_parked *parked = sl_alloc(capacity * sizeof(parked[0]));
    for (uint32_t i = 0; i < lot->count; i++)
        parked[i] = *slot_of(lot, i);
    sl_free(lot->parked);
    lot->parked = parked;
    lot->first = 0;
    lot->capacity = capacity;
}

bool
sl_parking_add(struct sl_parking *p, const struct sl_parking_need *need, struct sl_parked task)
{
    if (p->count == SL_PARKED_MAX)
        return false;
    struct sl_parking_lot *lot = lot_of(p, need);
    if (lot->count == lot->capacity)
        grow(lot);
    *slot_of(lot, lot->count++) = task;
    p->count++;
    return true;
}

bool
sl_parking_take(struct sl_parking *p, const struct sl_parking_offer *offer,
                struct sl_parked *ret_task)
{
    for (uint32_t i = 0; i < p->lots_count; i++) {
        struct sl_parking_lot *lot = &p->lots[i];
        if (lot->count == 0 || (offer->classes >> lot->need.class & 1) == 0 ||
            !sl_placement_is_home(offer->taint, lot->need.home) ||
            !sl_labels_fit(lot->need.asked, offer->has))
            continue;
        *ret_task = *slot_of(lot, 0);
        lot->first = (lot->first + 1) & (lot->capacity - 1);
        lot->count--;
        p->count--;
        return true;
    }
    return false;
}

void
sl_parking_sweep(struct sl_parking *p, bool (*is_live)(void *arg, struct sl_parked task), void *arg)
{
    p->count = 0;
    for (uint32_t i = 0; i < p->lots_count; i++) {
        struct sl_parking_lot *lot = &p->lots[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < lot->count; k++) {
            struct sl_parked task = *slot_of(lot, k);
            if (is_live(arg, task))
                *slot_of(lot, kept++) = task;
        }
        lot->count = kept;
        p->count += kept;
    }
}
