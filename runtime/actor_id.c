/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/actor_id.h"

#include "runtime/alloc.h"

void
sl_actor_ids_deinit(struct sl_actor_ids *a)
{
    sl_free(a->ids);
    sl_free(a->behind);
    *a = (struct sl_actor_ids){0};
}

static void
grow(struct sl_actor_ids *a)
{
    a->capacity = SL_MAX(a->capacity * 2, 1024u);
    a->ids = sl_realloc(a->ids, a->capacity * sizeof(*a->ids));
    a->behind = sl_realloc(a->behind, a->capacity * sizeof(*a->behind));
}

enum sl_err
sl_actor_ids_take(struct sl_actor_ids *a, uint32_t slots_max, uint32_t *ret_id)
{
    uint32_t fresh_max = SL_MIN(slots_max, SL_ACTOR_SLOTS - SL_ACTOR_NAMES);
    bool is_fresh = a->count < fresh_max;
    if (!is_fresh && a->resting == 0)
        return SL_EFULL;
    if (a->resting > 0 && (!is_fresh || a->resting > SL_ACTOR_REST)) {
        *ret_id = a->ids[a->oldest];
        a->oldest = a->behind[a->oldest];
        a->resting--;
        return SL_OK;
    }
    if (a->count == a->capacity)
        grow(a);
    *ret_id = a->ids[a->count] = SL_ACTOR_NAMES + a->count;
    a->count++;
    return SL_OK;
}

void
sl_actor_ids_give(struct sl_actor_ids *a, uint32_t id)
{
    uint32_t at = sl_actor_slot(id) - SL_ACTOR_NAMES;
    sl_assert(at < a->count && a->ids[at] == id);
    a->ids[at] = id + SL_ACTOR_SLOTS; /* The generation is the upper bits: it wraps by itself. */
    if (a->resting++ == 0)
        a->oldest = at;
    else
        a->behind[a->newest] = at;
    a->newest = at;
}
