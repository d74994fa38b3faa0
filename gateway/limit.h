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

struct sl_limit_lent { /* Of the rate, to others (loan.h). */
    uint64_t rate, burst;
};

struct sl_limit_state {
    uint64_t max[SL_LIMIT_COUNT]; /* 0: not limited. */
    uint32_t soft;                /* Bits of those that slow at first: sl_limit_hard. */
    uint64_t full_ns;             /* When all credits are there again. */
    uint64_t period_ns;           /* That the rate is for; 0: a second. */
    struct sl_limit_lent lent;    /* All of it. */
    uint32_t running;
    uint64_t day_ms, counted_ns; /* Which day `used` is about, and when it was counted. */
    bool is_counted;
    struct sl_limit_used used;
    uint64_t warned[SL_LIMIT_COUNT]; /* Whom warnings were for: limits.c. */
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
/* Clients name it in units of 10^9 of what the state has: a budget, or bytes. */
bool sl_limit_is_scaled(enum sl_limit limit);
/* Of calls under way, of a call's items, or of a day or month: the head alone looks at these. */
bool sl_limit_is_heads(enum sl_limit limit);
/* Of what is there (stock.h), not of what was asked for. */
bool sl_limit_is_stock(enum sl_limit limit);
/* Of a number, or its text as configurations have it: whole, unless it is scaled. SL_EINVAL: it is
 * none, or not above 0. */
SL_MUST_CHECK enum sl_err sl_limit_read(enum sl_limit limit, struct sl_json v, uint64_t *ret_max);

bool sl_limit_has_any(const struct sl_limit_state *s);
/* What was used has to be counted (again) before the next call is admitted. */
/* What was counted was so on another day. */
bool sl_limit_is_old(const struct sl_limit_state *s, struct sl_limit_clock now);
bool sl_limit_is_stale(const struct sl_limit_state *s, struct sl_limit_clock now);
void sl_limit_count(struct sl_limit_state *s, struct sl_limit_clock now,
                    const struct sl_limit_used *used);

struct sl_limit_verdict sl_limit_admit(struct sl_limit_state *s, struct sl_limit_clock now);
void sl_limit_release(struct sl_limit_state *s); /* Of one that was admitted. */

/* Requests a second, and credits at most, as they are set; what is lent is part of them. */
uint64_t sl_limit_rate(const struct sl_limit_state *s);
uint64_t sl_limit_burst(const struct sl_limit_state *s);
/* Give away a part of both, and of the credits that are there as large a part: how many. */
uint64_t sl_limit_lend(struct sl_limit_state *s, const struct sl_limit_lent *part, uint64_t now_ns);
/* It is back, and nothing of its credits is. */
void sl_limit_unlend(struct sl_limit_state *s, const struct sl_limit_lent *part, uint64_t now_ns);
/* Its rate or burst may be others than it had: what was used of that still is, and a larger burst
 * brings only what it is larger by. */
void sl_limit_renew(struct sl_limit_state *s, const struct sl_limit_state *had, uint64_t now_ns);
/* Let so many credits be missing now. */
void sl_limit_owe(struct sl_limit_state *s, uint64_t credits, uint64_t now_ns);

/* Where calls are refused: at the limit, or at half as much again where it is soft. From the limit
 * up to there each call takes two credits of the rate. */
uint64_t sl_limit_hard(const struct sl_limit_state *s, enum sl_limit limit);
/* Of a day or month, which may be soft. */
bool sl_limit_is_of_ledger(enum sl_limit limit);

/* How much of a limit is used; nothing changes. */
struct sl_limit_verdict sl_limit_look(const struct sl_limit_state *s, enum sl_limit limit,
                                      struct sl_limit_clock now);
/* The limit of a day or month of which the largest part is used, if that is 80 % or more. */
enum sl_limit sl_limit_near(const struct sl_limit_state *s, struct sl_limit_clock now,
                            unsigned *ret_percent);

#endif
