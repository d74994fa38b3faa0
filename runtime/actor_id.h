/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor_id.h - which numbers actors get. A number is a slot (21 bits) and the slot's generation (11
 * bits), so that the address of an actor that ended is told from its successor's. Slots below 1024
 * are names: their generation is always 0, and who takes the number takes over the name.
 *
 * A slot rests until SL_ACTOR_REST others have ended after it. So an address is mistaken for
 * another's only if somebody keeps it while 2048 x SL_ACTOR_REST (33 million) actors come and go.
 *
 * Threading: one owner. Plain state: it knows nothing of actors.
 */
#ifndef SL_RUNTIME_ACTOR_ID_H
#define SL_RUNTIME_ACTOR_ID_H

#include "runtime/base.h"

#define SL_ACTOR_SLOT_BITS 21
#define SL_ACTOR_SLOTS     (UINT32_C(1) << SL_ACTOR_SLOT_BITS)
#define SL_ACTOR_NAMES     UINT32_C(1024)
#define SL_ACTOR_REST      UINT32_C(16384)

static inline uint32_t
sl_actor_slot(uint32_t id)
{
    return id & (SL_ACTOR_SLOTS - 1);
}

struct sl_actor_ids {
    uint32_t *ids;    /* Of each slot from SL_ACTOR_NAMES: the id it gets next, or has. */
    uint32_t *behind; /* Of each that rests: the next to be used. */
    uint32_t count, capacity;
    uint32_t oldest, newest, resting; /* Slots that rest, first in, first out. */
};

void sl_actor_ids_deinit(struct sl_actor_ids *a);
/* A number no live actor has, at most `slots_max` slots being in use. SL_EFULL: there is none. */
SL_MUST_CHECK enum sl_err sl_actor_ids_take(struct sl_actor_ids *a, uint32_t slots_max,
                                            uint32_t *ret_id);
/* Its actor has ended. Numbers below SL_ACTOR_NAMES are not taken and not given. */
void sl_actor_ids_give(struct sl_actor_ids *a, uint32_t id);

#endif
