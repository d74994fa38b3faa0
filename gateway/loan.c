/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loan.h"

#include "runtime/alloc.h"

#define ROOM_MIN     4u
#define ASK_NS       (100 * SL_MILLI_NS) /* Between two questions. */
#define ASK_AHEAD_NS (SL_LOAN_LIFE_NS / 2)

enum sl_loan_rule
sl_loan_rule(const struct sl_limit_state *s)
{
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] != 0 && sl_limit_is_heads((enum sl_limit)i))
            return SL_LOAN_NEVER;
    }
    return s->max[SL_LIMIT_max_requests_per_second] == 0 ? SL_LOAN_FREE : SL_LOAN_NEEDED;
}

/* ---- the head's ---------------------------------------------------------------------------- */

void
sl_loans_deinit(struct sl_loans *loans)
{
    sl_free(loans->items);
    *loans = (struct sl_loans){0};
}

void
sl_loans_settle(struct sl_loans *loans, struct sl_limit_state *s, uint64_t now_ns)
{
    for (uint32_t i = loans->count; i-- > 0;) {
        const struct sl_loan *l = &loans->items[i];
        if (now_ns < l->end_ns)
            continue;
        sl_limit_unlend(s, &(struct sl_limit_lent){l->rate, l->burst}, now_ns);
        loans->items[i] = loans->items[--loans->count];
    }
}

static void
add(struct sl_loans *loans, const struct sl_loan *loan)
{
    if (loans->count == loans->room) {
        loans->room = SL_MAX(2 * loans->room, ROOM_MIN);
        loans->items = sl_realloc(loans->items, loans->room * sizeof(*loans->items));
    }
    loans->items[loans->count++] = *loan;
}

/* Of a half what is left, and of that the half, rounded up. */
static uint64_t
part_of(uint64_t whole, uint64_t lent)
{
    uint64_t left = whole / 2 > lent ? whole / 2 - lent : 0;
    return left - left / 2;
}

enum sl_err
sl_loans_grant(struct sl_loans *loans, struct sl_limit_state *s, uint64_t now_ns,
               struct sl_loan *ret_loan)
{
    if (sl_loan_rule(s) != SL_LOAN_NEEDED)
        return SL_EDENIED;
    sl_loans_settle(loans, s, now_ns);
    struct sl_limit_lent part = {part_of(sl_limit_rate(s), s->lent.rate),
                                 part_of(sl_limit_burst(s), s->lent.burst)};
    if (part.rate == 0 || part.burst == 0)
        return SL_EFULL;
    struct sl_loan loan = {
        .rate = part.rate, .burst = part.burst, .end_ns = now_ns + SL_LOAN_LIFE_NS};
    loan.credits = sl_limit_lend(s, &part, now_ns);
    add(loans, &loan);
    *ret_loan = loan;
    return SL_OK;
}

void
sl_loans_assume(struct sl_loans *loans, struct sl_limit_state *s, uint64_t end_ns)
{
    struct sl_limit_lent all = {sl_limit_rate(s) / 2, sl_limit_burst(s) / 2};
    if (sl_loan_rule(s) != SL_LOAN_NEEDED || all.rate == 0 || all.burst == 0)
        return;
    struct sl_loan loan = {.rate = all.rate, .burst = all.burst, .end_ns = end_ns};
    (void)sl_limit_lend(s, &all, 0);
    add(loans, &loan);
}

/* ---- a gateway's --------------------------------------------------------------------------- */

bool
sl_loans_take(struct sl_loans_held *held, const struct sl_loan *loan, uint64_t asked_ns,
              uint64_t now_ns)
{
    uint64_t end_ns = asked_ns + SL_LOAN_LIFE_NS;
    if (now_ns >= end_ns || loan->rate == 0 || loan->burst == 0)
        return false;
    for (uint32_t i = 0; i < SL_LOANS_HELD; i++) {
        if (now_ns < held->ends_ns[i])
            continue;
        held->states[i] = (struct sl_limit_state){0};
        held->states[i].max[SL_LIMIT_max_requests_per_second] = loan->rate;
        held->states[i].max[SL_LIMIT_burst_credits] = loan->burst;
        sl_limit_owe(&held->states[i], loan->burst - SL_MIN(loan->credits, loan->burst), now_ns);
        held->ends_ns[i] = end_ns;
        return true;
    }
    return false;
}

bool
sl_loans_admit(struct sl_loans_held *held, uint64_t now_ns)
{
    struct sl_limit_clock now = {.mono_ns = now_ns};
    for (uint32_t i = 0; i < SL_LOANS_HELD; i++) {
        struct sl_limit_state *s = &held->states[i];
        if (now_ns >= held->ends_ns[i] || sl_limit_admit(s, now).limit != SL_LIMIT_NONE)
            continue;
        sl_limit_release(s); /* It has a rate alone. */
        return true;
    }
    return false;
}

bool
sl_loans_ask(struct sl_loans_held *held, uint64_t now_ns)
{
    if (held->is_asked && now_ns - held->asked_ns < ASK_NS)
        return false;
    for (uint32_t i = 0; i < SL_LOANS_HELD; i++) {
        if (held->ends_ns[i] > now_ns + ASK_AHEAD_NS)
            return false;
    }
    held->is_asked = true;
    held->asked_ns = now_ns;
    return true;
}
