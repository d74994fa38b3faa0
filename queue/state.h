/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the states of a task and the changes between them, from the table in state.def.
 */
#ifndef SL_QUEUE_STATE_H
#define SL_QUEUE_STATE_H

#include "runtime/base.h"

#define SL_IN(name) (UINT32_C(1) << SL_STATE_##name)

enum sl_state {
#define SL_STATE(name, text, has_ended) SL_STATE_##name,
#define SL_CHANGE(name, text, from_states, to_states)
#include "queue/state.def"
#undef SL_STATE
#undef SL_CHANGE
    SL_STATE_COUNT
};

enum sl_change {
#define SL_STATE(name, text, has_ended)
#define SL_CHANGE(name, text, from_states, to_states) SL_CHANGE_##name,
#include "queue/state.def"
#undef SL_STATE
#undef SL_CHANGE
    SL_CHANGE_COUNT
};

const char *sl_state_name(enum sl_state state);    /* "queued" */
const char *sl_change_name(enum sl_change change); /* "lease" */
bool sl_state_has_ended(enum sl_state state);
/* The state with that name; SL_STATE_COUNT: there is none. */
enum sl_state sl_state_parse(struct sl_slice name);
/* Whether an event of the log made it: leases and time leave what events gave a task as it is. */
static inline bool
sl_change_is_durable(enum sl_change change)
{
    const uint32_t others = UINT32_C(1) << SL_CHANGE_RIPEN | UINT32_C(1) << SL_CHANGE_LEASE |
                            UINT32_C(1) << SL_CHANGE_RELEASE | UINT32_C(1) << SL_CHANGE_LAPSE |
                            UINT32_C(1) << SL_CHANGE_BLOCK | UINT32_C(1) << SL_CHANGE_UNBLOCK;
    return (others >> change & 1) == 0;
}
bool sl_change_is_allowed(enum sl_change change, enum sl_state from, enum sl_state to);

#endif
