/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limit.h"

#include <stdlib.h>

#include "actors/ledger.h"
#include "runtime/alloc.h"

#define NANO           1e9
#define SCALED_MAX     1e9  /* As clients name it. */
#define WHOLE_MAX      1e15 /* Exact in what JSON has. */
#define DAY_MS         UINT64_C(86400000)
#define MONTH_MS       (32 * DAY_MS) /* From a month's first into the next. */
#define FRESH_NS       SL_SECOND_NS  /* What tasks use is seen so late at most. */
#define RETRY_S_MAX    30u
#define RATE_MAX       UINT64_C(1000000)
#define NEAR_PERCENT   80u
#define RUNNING_WAIT_S 1u

enum kind {
    KIND_RATE,
    KIND_RUNNING,
    KIND_SIZE,
    KIND_STOCK,
    KIND_BYTES,
    KIND_REQUESTS, /* This one and the next are counted by the ledger. */
    KIND_TOKENS,
    KIND_COST
};

static const struct {
    const char *name;
    enum kind kind;
} limits[SL_LIMIT_COUNT] = {
#define LIMIT(name, kind) {#name, KIND_##kind},
#include "gateway/limit.def"
};

const char *
sl_limit_name(enum sl_limit limit)
{
    sl_assert((unsigned)limit < SL_LIMIT_COUNT);
    return limits[limit].name;
}

enum sl_limit
sl_limit_of(struct sl_slice name)
{
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (sl_slice_is(name, limits[i].name))
            return (enum sl_limit)i;
    }
    return SL_LIMIT_NONE;
}

bool
sl_limit_is_scaled(enum sl_limit limit)
{
    return (unsigned)limit < SL_LIMIT_COUNT &&
           (limits[limit].kind == KIND_COST || limits[limit].kind == KIND_BYTES);
}

bool
sl_limit_is_heads(enum sl_limit limit)
{
    return (unsigned)limit < SL_LIMIT_COUNT &&
           (limits[limit].kind == KIND_RUNNING || limits[limit].kind == KIND_SIZE ||
            limits[limit].kind >= KIND_REQUESTS);
}

bool
sl_limit_is_stock(enum sl_limit limit)
{
    return (unsigned)limit < SL_LIMIT_COUNT &&
           (limits[limit].kind == KIND_STOCK || limits[limit].kind == KIND_BYTES);
}

enum sl_err
sl_limit_read(enum sl_limit limit, struct sl_json v, uint64_t *ret_max)
{
    double number = 0;
    char *text = sl_json_kind(v) == SL_JSON_STRING ? sl_json_strdup(v) : NULL, *end = NULL;
    bool is_number = text == NULL && sl_json_f64(v, &number) == SL_OK;
    if (text != NULL) {
        number = strtod(text, &end);
        is_number = end != text && *end == '\0';
        sl_free(text);
    }
    double max = sl_limit_is_scaled(limit) ? SCALED_MAX : WHOLE_MAX;
    if (!is_number || !(number > 0) || number > max)
        return SL_EINVAL;
    uint64_t whole = (uint64_t)(sl_limit_is_scaled(limit) ? number * NANO + 0.5 : number);
    if (whole == 0)
        return SL_EINVAL;
    if (!sl_limit_is_scaled(limit) && (double)whole != number)
        return SL_EINVAL;
    *ret_max = whole;
    return SL_OK;
}

bool
sl_limit_has_any(const struct sl_limit_state *s)
{
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] != 0)
            return true;
    }
    return false;
}

/* ---- what was used ------------------------------------------------------------------------- */

static bool
has_counted(const struct sl_limit_state *s)
{
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] != 0 && limits[i].kind >= KIND_REQUESTS)
            return true;
    }
    return false;
}

bool
sl_limit_is_old(const struct sl_limit_state *s, struct sl_limit_clock now)
{
    return has_counted(s) &&
           (!s->is_counted || s->day_ms != sl_ledger_begin(SL_LEDGER_DAY, now.wall_ms));
}

bool
sl_limit_is_stale(const struct sl_limit_state *s, struct sl_limit_clock now)
{
    return sl_limit_is_old(s, now) || (has_counted(s) && now.mono_ns - s->counted_ns > FRESH_NS);
}

void
sl_limit_count(struct sl_limit_state *s, struct sl_limit_clock now,
               const struct sl_limit_used *used)
{
    uint64_t day_ms = sl_ledger_begin(SL_LEDGER_DAY, now.wall_ms);
    uint64_t had = s->is_counted && s->day_ms == day_ms ? s->used.requests_today : 0;
    s->used = *used;
    /* Those under way are in no ledger yet. */
    s->used.requests_today = SL_MAX(had, used->requests_today + s->running);
    s->day_ms = day_ms;
    s->counted_ns = now.mono_ns;
    s->is_counted = true;
}

/* ---- the rate ------------------------------------------------------------------------------ */

uint64_t
sl_limit_rate(const struct sl_limit_state *s)
{
    return SL_MIN(s->max[SL_LIMIT_max_requests_per_second], RATE_MAX);
}

uint64_t
sl_limit_burst(const struct sl_limit_state *s)
{
    uint64_t credits = s->max[SL_LIMIT_burst_credits];
    return SL_MIN(credits == 0 ? s->max[SL_LIMIT_max_requests_per_second] : credits, RATE_MAX);
}

static uint64_t
less(uint64_t whole, uint64_t lent)
{
    return whole > lent ? whole - lent : 0;
}

/* Without what is lent. Where all is (the limit was lowered meanwhile), there is nothing. */
static uint64_t
burst(const struct sl_limit_state *s)
{
    return s->lent.rate >= sl_limit_rate(s) ? 0 : less(sl_limit_burst(s), s->lent.burst);
}

/* Rounded up: a rate that does not divide a second is never above what it says. */
static uint64_t
interval_ns(const struct sl_limit_state *s)
{
    uint64_t rate = SL_MAX(less(sl_limit_rate(s), s->lent.rate), UINT64_C(1));
    return ((s->period_ns == 0 ? SL_SECOND_NS : s->period_ns) + rate - 1) / rate;
}

/* Credits that are there now. */
static uint64_t
credits(const struct sl_limit_state *s, uint64_t now_ns)
{
    uint64_t owed_ns = s->full_ns > now_ns ? s->full_ns - now_ns : 0;
    uint64_t owed = (owed_ns + interval_ns(s) - 1) / interval_ns(s);
    return owed >= burst(s) ? 0 : burst(s) - owed;
}

void
sl_limit_owe(struct sl_limit_state *s, uint64_t count, uint64_t now_ns)
{
    s->full_ns = now_ns + count * interval_ns(s);
}

uint64_t
sl_limit_lend(struct sl_limit_state *s, const struct sl_limit_lent *part, uint64_t now_ns)
{
    uint64_t there = credits(s, now_ns), room = burst(s);
    uint64_t given = room == 0 ? 0 : there * SL_MIN(part->burst, room) / room;
    s->lent.rate += part->rate;
    s->lent.burst += part->burst;
    sl_limit_owe(s, less(burst(s), there - given), now_ns);
    return given;
}

void
sl_limit_unlend(struct sl_limit_state *s, const struct sl_limit_lent *part, uint64_t now_ns)
{
    uint64_t owed_ns = s->full_ns > now_ns ? s->full_ns - now_ns : 0, before_ns = interval_ns(s);
    s->lent.rate = less(s->lent.rate, part->rate);
    s->lent.burst = less(s->lent.burst, part->burst);
    /* What was missing still is, and so is the part; rounded so that there are never more. */
    __uint128_t missing_ns = ((__uint128_t)owed_ns * interval_ns(s) + before_ns - 1) / before_ns;
    s->full_ns = now_ns + (uint64_t)missing_ns + part->burst * interval_ns(s);
}

void
sl_limit_renew(struct sl_limit_state *s, const struct sl_limit_state *had, uint64_t now_ns)
{
    if (sl_limit_rate(s) == sl_limit_rate(had) && sl_limit_burst(s) == sl_limit_burst(had))
        return;
    uint64_t missing = burst(had) - credits(had, now_ns);
    uint64_t smaller_by = less(burst(had), burst(s));
    sl_limit_owe(s, SL_MIN(less(missing, smaller_by), burst(s)), now_ns);
}

static uint32_t
seconds_up(uint64_t ns)
{
    uint64_t s = (ns + SL_SECOND_NS - 1) / SL_SECOND_NS;
    return (uint32_t)SL_MIN(SL_MAX(s, UINT64_C(1)), (uint64_t)RETRY_S_MAX);
}

uint64_t
sl_limit_hard(const struct sl_limit_state *s, enum sl_limit limit)
{
    bool is_soft = (s->soft & 1u << limit) != 0;
    return is_soft ? s->max[limit] + s->max[limit] / 2 : s->max[limit];
}

bool
sl_limit_is_of_ledger(enum sl_limit limit)
{
    return (unsigned)limit < SL_LIMIT_COUNT && limits[limit].kind >= KIND_REQUESTS;
}

/* ---- verdicts ------------------------------------------------------------------------------ */

static uint64_t
used_of(const struct sl_limit_state *s, enum sl_limit limit)
{
    switch (limits[limit].kind) {
    case KIND_RUNNING:
        return s->running;
    case KIND_REQUESTS:
        return s->used.requests_today;
    case KIND_TOKENS:
        return s->used.tokens_this_month;
    case KIND_COST:
        return limit == SL_LIMIT_daily_budget ? s->used.cost_today_nano
                                              : s->used.cost_this_month_nano;
    case KIND_RATE:
    case KIND_SIZE:
    case KIND_STOCK:
    case KIND_BYTES:
        break;
    }
    return 0;
}

static uint64_t
reset_of(enum sl_limit limit, uint64_t wall_ms)
{
    if (limit == SL_LIMIT_max_requests_per_day || limit == SL_LIMIT_daily_budget)
        return sl_ledger_begin(SL_LEDGER_DAY, wall_ms) + DAY_MS;
    if (limits[limit].kind >= KIND_REQUESTS)
        return sl_ledger_begin(SL_LEDGER_MONTH,
                               sl_ledger_begin(SL_LEDGER_MONTH, wall_ms) + MONTH_MS);
    return 0;
}

struct sl_limit_verdict
sl_limit_look(const struct sl_limit_state *s, enum sl_limit limit, struct sl_limit_clock now)
{
    struct sl_limit_verdict v = {.limit = limit, .max = s->max[limit]};
    if (v.max == 0) {
        v.used = limits[limit].kind == KIND_RUNNING ? s->running : 0;
        return v;
    }
    v.reset_ms = reset_of(limit, now.wall_ms);
    v.used = used_of(s, limit);
    if (limits[limit].kind == KIND_RATE && s->max[SL_LIMIT_max_requests_per_second] != 0)
        v.used = SL_MIN(less(sl_limit_burst(s), credits(s, now.mono_ns)), v.max);
    return v;
}

enum sl_limit
sl_limit_near(const struct sl_limit_state *s, struct sl_limit_clock now, unsigned *ret_percent)
{
    enum sl_limit nearest = SL_LIMIT_NONE;
    double most = NEAR_PERCENT;
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] == 0 || limits[i].kind < KIND_REQUESTS)
            continue;
        struct sl_limit_verdict v = sl_limit_look(s, (enum sl_limit)i, now);
        double percent = 100.0 * (double)v.used / (double)v.max;
        if (percent < most)
            continue;
        most = percent;
        nearest = (enum sl_limit)i;
    }
    *ret_percent = (unsigned)SL_MIN(most, 1000.0);
    return nearest;
}

struct sl_limit_verdict
sl_limit_admit(struct sl_limit_state *s, struct sl_limit_clock now)
{
    uint64_t rate = s->max[SL_LIMIT_max_requests_per_second];
    struct sl_limit_verdict v = {.limit = SL_LIMIT_NONE};
    bool is_slow = false;
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        bool is_seen = limits[i].kind == KIND_RUNNING || limits[i].kind >= KIND_REQUESTS;
        uint64_t used = used_of(s, (enum sl_limit)i);
        if (s->max[i] == 0 || !is_seen || used < s->max[i])
            continue;
        is_slow = true;
        if (used < sl_limit_hard(s, (enum sl_limit)i))
            continue;
        v = sl_limit_look(s, (enum sl_limit)i, now);
        v.max = sl_limit_hard(s, (enum sl_limit)i);
        v.retry_after_s = limits[i].kind == KIND_RUNNING ? RUNNING_WAIT_S : 0;
        return v;
    }
    if (rate != 0 && credits(s, now.mono_ns) == 0) {
        uint64_t there_ns = burst(s) == 0 || s->full_ns < now.mono_ns
                                ? now.mono_ns
                                : s->full_ns - (burst(s) - 1) * interval_ns(s);
        return (struct sl_limit_verdict){.limit = SL_LIMIT_max_requests_per_second,
                                         .used = rate,
                                         .max = rate,
                                         .retry_after_s = seconds_up(there_ns - now.mono_ns)};
    }
    if (rate != 0)
        s->full_ns = SL_MAX(s->full_ns, now.mono_ns) + (is_slow ? 2 : 1) * interval_ns(s);
    s->running++;
    s->used.requests_today++;
    return v;
}

void
sl_limit_release(struct sl_limit_state *s)
{
    sl_assert(s->running > 0);
    s->running--;
}
