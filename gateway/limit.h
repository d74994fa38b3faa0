/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.h - how much a tenant, or one key, may ask for: plain state, for which the caller tells the
 * time. A call that is refused changes nothing, so that it makes no later call wait longer.
 *
 *     admit --> (under way) --> release
 *        `----> which limit refuses, and when it will not
 *
 * Rates go by a clock that is never set back. Days and months are those that the wall clock shows:
 * where they differ from what was counted, be it because it was set back, the caller counts anew
 * (is_stale) and says what was used in them (sl_limit_count).
 *
 * Threading: the owner's.
 */
#ifndef SL_GATEWAY_LIMIT_H
#define SL_GATEWAY_LIMIT_H

#include "runtime/base.h"
#include "runtime/json.h"

enum sl_limit {
#define LIMIT(name, kind) SL_LIMIT_##name,
#include "gateway/limit.def"
    SL_LIMIT_COUNT,
    SL_LIMIT_NONE = SL_LIMIT_COUNT
};

struct sl_limit_used { /* As the ledger has it. */
    uint64_t requests_today, tokens_this_month;
    uint64_t cost_today_nano, cost_this_month_nano;
};

struct sl_limit_state {
    uint64_t max[SL_LIMIT_COUNT]; /* 0: not limited. Costs in billionths. */
    uint64_t full_ns;             /* When all credits are there again. */
    uint64_t period_ns;           /* That the rate is for; 0: a second. */
    uint32_t running;
    uint64_t day_ms, counted_ns; /* Which day `used` is about, and when it was counted. */
    bool is_counted;
    struct sl_limit_used used;
};

struct sl_limit_verdict {
    enum sl_limit limit; /* That refuses; SL_LIMIT_NONE: admitted. */
    uint64_t used, max;
    uint32_t retry_after_s; /* 1 to 30; 0: not before reset_ms. */
    uint64_t reset_ms;      /* By the wall clock; 0: soon. */
};

struct sl_limit_clock {
    uint64_t mono_ns, wall_ms;
};

const char *sl_limit_name(enum sl_limit limit);
/* SL_LIMIT_NONE: there is none. */
enum sl_limit sl_limit_of(struct sl_slice name);
bool sl_limit_is_cost(enum sl_limit limit);
/* Of a number, or its text as configurations have it: whole, or a budget in the currency, of which
 * the state has billionths. SL_EINVAL: it is none, or not above 0. */
SL_MUST_CHECK enum sl_err sl_limit_read(enum sl_limit limit, struct sl_json v, uint64_t *ret_max);

bool sl_limit_has_any(const struct sl_limit_state *s);
/* What was used has to be counted (again) before the next call is admitted. */
bool sl_limit_is_stale(const struct sl_limit_state *s, struct sl_limit_clock now);
void sl_limit_count(struct sl_limit_state *s, struct sl_limit_clock now,
                    const struct sl_limit_used *used);

struct sl_limit_verdict sl_limit_admit(struct sl_limit_state *s, struct sl_limit_clock now);
void sl_limit_release(struct sl_limit_state *s); /* Of one that was admitted. */

/* How much of a limit is used; nothing changes. */
struct sl_limit_verdict sl_limit_look(const struct sl_limit_state *s, enum sl_limit limit,
                                      struct sl_limit_clock now);
/* The limit of a day or month of which the largest part is used, if that is 80 % or more. */
enum sl_limit sl_limit_near(const struct sl_limit_state *s, struct sl_limit_clock now,
                            unsigned *ret_percent);

#endif
