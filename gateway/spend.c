/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/spend.h"

#include "actors/ledger.h"
#include "gateway/meter.h"

#define STATUS_429 "429"
#define HOUR_MS    UINT64_C(3600000)
#define DAY_MS     (24 * HOUR_MS)

struct counting {
    struct sl_limit_used used;
    uint64_t day_ms, rows;
};

static void
see(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    struct counting *c = arg;
    struct sl_limit_used *u = &c->used;
    bool is_refused = sl_slice_is(e->dimensions[SL_LEDGER_BY_status], STATUS_429);
    c->rows++;
    u->cost_this_month_nano = sl_ledger_plus(u->cost_this_month_nano, e->cost_nano);
    if (e->resource == SL_LEDGER_tokens)
        u->tokens_this_month = sl_ledger_plus(u->tokens_this_month, e->amount);
    if (at_ms < c->day_ms)
        return;
    u->cost_today_nano = sl_ledger_plus(u->cost_today_nano, e->cost_nano);
    if (e->resource == SL_LEDGER_requests && !is_refused)
        u->requests_today = sl_ledger_plus(u->requests_today, e->amount);
}

static void
walk(const struct sl_spend_source *source, uint64_t from_ms, uint64_t to_ms, struct counting *c)
{
    struct sl_ledger_place place = {0};
    struct sl_ledger_walk w = {.scope = source->scope,
                               .from_ms = from_ms,
                               .to_ms = to_ms,
                               .rows_max = UINT32_MAX,
                               .seen = see,
                               .arg = c};
    if (from_ms < to_ms)
        (void)sl_ledger_walk(source->txn, &w, &place);
    sl_buf_deinit(&place.after);
}

struct sl_limit_used
sl_spend_count(struct sl_spend *s, const struct sl_spend_source *source, uint64_t wall_ms)
{
    uint64_t day_ms = sl_ledger_begin(SL_LEDGER_DAY, wall_ms);
    uint64_t month_ms = sl_ledger_begin(SL_LEDGER_MONTH, wall_ms);
    /* The last hour may still get what began in it. */
    uint64_t over_ms = sl_ledger_begin(SL_LEDGER_HOUR, wall_ms) - HOUR_MS;
    if (s->until_ms == 0 || s->day_ms != day_ms || wall_ms < s->seen_ms)
        *s = (struct sl_spend){.day_ms = day_ms, .until_ms = month_ms, .rows = s->rows};
    struct counting c = {.used = s->kept, .day_ms = day_ms};
    if (over_ms > s->until_ms) {
        walk(source, s->until_ms, over_ms, &c);
        s->until_ms = over_ms;
        s->kept = c.used;
    }
    walk(source, s->until_ms, day_ms + DAY_MS, &c);
    if (source->meter != NULL)
        sl_meter_walk(source->meter, source->scope, wall_ms, see, &c);
    s->seen_ms = wall_ms;
    s->rows += c.rows;
    return c.used;
}
