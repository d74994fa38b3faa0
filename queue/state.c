/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/state.h"

#include "runtime/base.h"

static const struct {
    const char *name;
    bool has_ended;
} states[] = {
#define SL_STATE(name, text, has_ended) {text, has_ended},
#define SL_CHANGE(name, text, from_states, to_states)
#include "queue/state.def"
#undef SL_STATE
#undef SL_CHANGE
};

static const struct {
    const char *name;
    uint32_t from, to;
} changes[] = {
#define SL_STATE(name, text, has_ended)
#define SL_CHANGE(name, text, from_states, to_states) {text, from_states, to_states},
#include "queue/state.def"
#undef SL_STATE
#undef SL_CHANGE
};

const char *
sl_state_name(enum sl_state state)
{
    sl_assert(state < SL_STATE_COUNT);
    return states[state].name;
}

const char *
sl_change_name(enum sl_change change)
{
    sl_assert(change < SL_CHANGE_COUNT);
    return changes[change].name;
}

bool
sl_state_has_ended(enum sl_state state)
{
    sl_assert(state < SL_STATE_COUNT);
    return states[state].has_ended;
}

enum sl_state
sl_state_parse(struct sl_slice name)
{
    for (uint32_t i = 0; i < SL_STATE_COUNT; i++) {
        if (sl_slice_is(name, states[i].name))
            return (enum sl_state)i;
    }
    return SL_STATE_COUNT;
}

bool
sl_change_is_allowed(enum sl_change change, enum sl_state from, enum sl_state to)
{
    sl_assert(change < SL_CHANGE_COUNT);
    return (changes[change].from >> from & 1) != 0 && (changes[change].to >> to & 1) != 0;
}
