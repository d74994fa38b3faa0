/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of queues, and what of them the operator holds against the tenant: a row of
 * SL_TABLE_HELD by the queue's name, a JSON array of names.
 */
#include <assert.h>

#include "actors/rows.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"

enum field {
    MODE,
    WEIGHT,
    AGING_MS,
    RUNNING_MAX,
    DEPTH_MAX,
    RATE,
    RATE_PERIOD_MS,
    BURST,
    DEAD_RETAIN_MS,
    DEAD_MAX,
    FIELD_COUNT
};

static const char *const names[FIELD_COUNT] = {
    [MODE] = "mode",
    [WEIGHT] = "weight",
    [AGING_MS] = "aging_ms",
    [RUNNING_MAX] = "running_max",
    [DEPTH_MAX] = "depth_max",
    [RATE] = "rate",
    [RATE_PERIOD_MS] = "rate_period_ms",
    [BURST] = "burst",
    [DEAD_RETAIN_MS] = "dead_retain_ms",
    [DEAD_MAX] = "dead_max",
};

static uint64_t
value_of(const struct sl_lane_settings *s, enum field field)
{
    const uint64_t values[FIELD_COUNT] = {
        [MODE] = s->mode,
        [WEIGHT] = s->weight,
        [AGING_MS] = s->aging_ms,
        [RUNNING_MAX] = s->running_max,
        [DEPTH_MAX] = s->depth_max,
        [RATE] = s->rate,
        [RATE_PERIOD_MS] = s->rate_period_ms,
        [BURST] = s->burst,
        [DEAD_RETAIN_MS] = s->dead_retain_ms,
        [DEAD_MAX] = s->dead_max,
    };
    return values[field];
}

static void
set(struct sl_lane_settings *s, enum field field, uint64_t value)
{
    uint32_t *const small[FIELD_COUNT] = {
        [WEIGHT] = &s->weight,
        [AGING_MS] = &s->aging_ms,
        [RUNNING_MAX] = &s->running_max,
        [RATE] = &s->rate,
        [RATE_PERIOD_MS] = &s->rate_period_ms,
        [BURST] = &s->burst,
        [DEAD_MAX] = &s->dead_max,
    };
    if (field == MODE)
        s->mode = (enum sl_lane_mode)value;
    else if (field == DEPTH_MAX)
        s->depth_max = value;
    else if (field == DEAD_RETAIN_MS)
        s->dead_retain_ms = value;
    else
        *small[field] = (uint32_t)value;
}

bool
sl_own_read_settings(struct sl_call *call, struct sl_json body, struct sl_lane_settings *settings,
                     uint32_t *ret_fields)
{
    struct sl_lane_settings s = *settings;
    uint32_t fields = 0;
    static_assert(SL_OWN_FIELD_MODE == 1u << MODE, "the header says so");
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        struct sl_json v = sl_json_member(body, names[i]);
        uint64_t value = 0;
        if (!sl_json_has(v))
            continue;
        for (uint64_t m = 0; i == MODE && m <= SL_LANE_STOPPING; m++)
            value = sl_json_is(v, sl_lane_mode_name((enum sl_lane_mode)m)) ? m : value;
        if (i != MODE && sl_json_u64(v, &value) != SL_OK)
            continue;
        set(&s, (enum field)i, value);
        fields |= UINT32_C(1) << i;
    }
    *ret_fields = fields;
    *settings = s;
    if ((s.rate == 0) == (s.rate_period_ms == 0))
        return true;
    sl_call_invalid(call, "body.rate", "value_error",
                    "rate and rate_period_ms are set together, or both are 0");
    return false;
}

/* ---- what is held -------------------------------------------------------------------------- */

static uint32_t
held_fields(struct sl_call *call, struct sl_scope scope, struct sl_slice name)
{
    struct sl_slice row;
    uint32_t fields = 0;
    struct sl_json list = {0};
    if (sl_txn_get(call->txn, scope, SL_TABLE_HELD, name, &row) == SL_OK)
        list = sl_call_parse(call, row);
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        for (unsigned f = 0; f < FIELD_COUNT; f++)
            fields |= (uint32_t)sl_json_is(i.value, names[f]) << f;
    }
    return fields;
}

static void
write_names(uint32_t fields, struct sl_jsonw *w)
{
    sl_jsonw_array(w);
    for (unsigned f = 0; f < FIELD_COUNT; f++) {
        if ((fields >> f & 1) != 0)
            sl_jsonw_str(w, names[f]);
    }
    sl_jsonw_end(w);
}

void
sl_own_write_held(struct sl_call *call, struct sl_scope scope, struct sl_slice name,
                  struct sl_jsonw *w)
{
    sl_jsonw_name(w, "held");
    write_names(held_fields(call, scope, name), w);
}

static void
note(struct sl_call *call, const struct sl_own_change *c, uint32_t held)
{
    struct sl_buf row = {0};
    struct sl_jsonw w;
    uint32_t fields = held;
    for (unsigned f = 0; f < FIELD_COUNT; f++) {
        uint32_t bit = UINT32_C(1) << f;
        if ((c->fields & bit) != 0)
            fields = value_of(c->to, (enum field)f) != 0 ? fields | bit : fields & ~bit;
    }
    if (fields == held)
        return;
    sl_jsonw_init(&w, &row);
    write_names(fields, &w);
    sl_jsonw_done(&w);
    if (fields == 0)
        sl_txn_del(call->txn, c->scope, SL_TABLE_HELD, c->name);
    else
        sl_txn_put(call->txn, c->scope, SL_TABLE_HELD, c->name, sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

bool
sl_own_may_drop(struct sl_call *call, struct sl_scope scope, struct sl_slice name)
{
    uint32_t held = held_fields(call, scope, name);
    if (held != 0 && !call->who.is_operator) {
        sl_call_fail(call, SL_API_FORBIDDEN, "the operator has set something of this queue");
        sl_call_detail(call, "reason", "held_by_operator");
        return false;
    }
    if (held != 0)
        sl_txn_del(call->txn, scope, SL_TABLE_HELD, name);
    return true;
}

bool
sl_own_may_change(struct sl_call *call, const struct sl_own_change *c)
{
    uint32_t held = held_fields(call, c->scope, c->name), refused = held & c->fields;
    if (call->who.is_operator) {
        note(call, c, held);
        return true;
    }
    for (unsigned f = 0; f < FIELD_COUNT; f++) {
        if ((refused >> f & 1) == 0)
            continue;
        sl_call_fail(call, SL_API_FORBIDDEN, "the operator has set the %s of this queue", names[f]);
        sl_call_detail(call, "reason", "held_by_operator");
        return false;
    }
    return true;
}
