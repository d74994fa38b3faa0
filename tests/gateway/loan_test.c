/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head and its gateways share a tenant's rate by loans: whatever happens to them, and to what
 * they say to each other, no stretch of time sees more calls than burst and rate allow.
 */
#include <criterion/criterion.h>

#include "gateway/loan.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

#define GATEWAYS  4u
#define CALLS_MAX 60000u
#define ON_WAY    16u

struct gateway {
    struct sl_loans_held held;
    uint64_t ahead_ns; /* Its clock began elsewhere than the head's. */
};

struct grant { /* On its way to a gateway. */
    uint32_t to;
    struct sl_loan loan;
    uint64_t asked_ns, due_ns; /* due: by the true clock; 0: free. */
};

struct world {
    struct sl_random random;
    uint64_t now_ns;
    bool is_head_there;
    struct sl_limit_state head;
    struct sl_loans loans;
    struct gateway gateways[GATEWAYS];
    struct grant on_way[ON_WAY];
    uint64_t *calls, count, direct; /* When each was let through; how many by gateways. */
};

static uint64_t
chance(struct world *w, uint64_t below)
{
    return sl_random_below(&w->random, below);
}

static uint64_t
clock_of(const struct world *w, uint32_t g)
{
    return w->now_ns + w->gateways[g].ahead_ns;
}

static void
note(struct world *w, bool is_direct)
{
    if (w->count < CALLS_MAX)
        w->calls[w->count++] = w->now_ns;
    w->direct += is_direct;
}

static void
ask(struct world *w, uint32_t g)
{
    struct sl_loan loan;
    if (!sl_loans_ask(&w->gateways[g].held, clock_of(w, g)) || !w->is_head_there ||
        chance(w, 8) == 0) /* The question is lost. */
        return;
    if (sl_loans_grant(&w->loans, &w->head, w->now_ns, &loan) != SL_OK || chance(w, 8) == 0)
        return; /* The answer is lost: the head has lent it all the same. */
    for (uint32_t i = 0; i < ON_WAY; i++) {
        if (w->on_way[i].due_ns != 0)
            continue;
        uint64_t late_ns =
            chance(w, 10) == 0 ? chance(w, 2 * SL_LOAN_LIFE_NS) : chance(w, 20 * SL_MILLI_NS);
        w->on_way[i] = (struct grant){g, loan, clock_of(w, g), w->now_ns + late_ns + 1};
        return;
    }
}

static void
bring(struct world *w)
{
    for (uint32_t i = 0; i < ON_WAY; i++) {
        struct grant *m = &w->on_way[i];
        if (m->due_ns == 0 || w->now_ns < m->due_ns)
            continue;
        (void)sl_loans_take(&w->gateways[m->to].held, &m->loan, m->asked_ns, clock_of(w, m->to));
        m->due_ns = 0;
    }
}

/* At a gateway, or where it has none left at the head. */
static void
call(struct world *w, uint32_t g)
{
    struct sl_limit_clock now = {.mono_ns = w->now_ns};
    ask(w, g);
    if (sl_loans_admit(&w->gateways[g].held, clock_of(w, g))) {
        note(w, true);
        return;
    }
    if (!w->is_head_there)
        return;
    sl_loans_settle(&w->loans, &w->head, w->now_ns);
    if (sl_limit_admit(&w->head, now).limit != SL_LIMIT_NONE)
        return;
    sl_limit_release(&w->head);
    note(w, false);
}

/* A gateway dies and another takes its place, whose clock shows something else. What was on its
 * way to it is not for its successor: that is of another membership. */
static void
kill_gateway(struct world *w, uint32_t g)
{
    w->gateways[g] = (struct gateway){.ahead_ns = chance(w, 60 * SL_SECOND_NS)};
    for (uint32_t i = 0; i < ON_WAY; i++) {
        if (w->on_way[i].to == g)
            w->on_way[i].due_ns = 0;
    }
}

static void
run(struct world *w, uint64_t seed, uint64_t rate, uint64_t burst)
{
    *w = (struct world){.now_ns = 3600 * SL_SECOND_NS, .is_head_there = true, .calls = w->calls};
    w->head.max[SL_LIMIT_max_requests_per_second] = rate;
    w->head.max[SL_LIMIT_burst_credits] = burst;
    sl_random_seed(&w->random, seed);
    for (uint32_t g = 0; g < GATEWAYS; g++)
        kill_gateway(w, g);
    for (uint32_t step = 0; step < 20000; step++) {
        uint64_t what = chance(w, 1000);
        w->now_ns += what < 900   ? chance(w, 4 * SL_MILLI_NS)
                     : what < 995 ? chance(w, 200 * SL_MILLI_NS)
                                  : chance(w, 2 * SL_LOAN_LIFE_NS);
        bring(w);
        if (what == 998)
            kill_gateway(w, (uint32_t)chance(w, GATEWAYS));
        else if (what >= 990)
            w->is_head_there = !w->is_head_there;
        uint64_t calls = chance(w, 5);
        for (uint64_t i = 0; i < calls; i++)
            call(w, (uint32_t)chance(w, GATEWAYS));
    }
    sl_loans_deinit(&w->loans);
}

/* In [calls[from], calls[to]] there are no more than the burst and what the rate brings in it. For
 * all pairs at once: the least of (number - what the rate had brought) so far is what a window
 * could begin with. */
static void
expect_within(const struct world *w, uint64_t rate, uint64_t burst)
{
    double least = 0;
    for (uint64_t i = 0; i < w->count; i++) {
        double brought = (double)(w->calls[i] - w->calls[0]) / SL_SECOND_NS * (double)rate;
        double level = (double)i - brought;
        least = SL_MIN(least, level);
        cr_assert_leq(level + 1 - least, (double)burst + 1e-6, "the %lu. call at %f s",
                      (unsigned long)i, (double)(w->calls[i] - w->calls[0]) / SL_SECOND_NS);
    }
}

Test(loan, all_gateways_and_the_head_together_never_let_more_through)
{
    static const struct {
        uint64_t rate, burst;
    } limits[] = {{2, 2}, {3, 50}, {7, 13}, {100, 100}, {1000, 10}, {50, 1000}};
    struct world w = {.calls = sl_alloc(CALLS_MAX * sizeof(uint64_t))};
    uint64_t direct = 0;
    for (size_t i = 0; i < SL_COUNT_OF(limits); i++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            run(&w, seed, limits[i].rate, limits[i].burst);
            expect_within(&w, limits[i].rate, limits[i].burst);
            direct += w.direct;
        }
    }
    cr_expect_gt(direct, 1000, "gateways were to answer some: %lu", (unsigned long)direct);
    sl_free(w.calls);
}

Test(loan, who_is_limited_by_more_than_a_rate_is_the_heads_business)
{
    struct sl_limit_state s = {0};
    struct sl_loans loans = {0};
    struct sl_loan loan;
    cr_expect_eq(sl_loan_rule(&s), SL_LOAN_FREE);
    cr_expect_eq(sl_loans_grant(&loans, &s, 1, &loan), SL_EDENIED);
    s.max[SL_LIMIT_max_requests_per_second] = 10;
    s.max[SL_LIMIT_max_routes] = 10;
    cr_expect_eq(sl_loan_rule(&s), SL_LOAN_NEEDED);
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (!sl_limit_is_heads((enum sl_limit)i))
            continue;
        s.max[i] = 1;
        cr_expect_eq(sl_loan_rule(&s), SL_LOAN_NEVER, "%s", sl_limit_name((enum sl_limit)i));
        cr_expect_eq(sl_loans_grant(&loans, &s, 1, &loan), SL_EDENIED);
        s.max[i] = 0;
    }
    cr_expect_eq(loans.count, 0);
}

Test(loan, gateways_have_half_together_and_the_head_the_rest_until_they_end)
{
    struct sl_limit_state s = {0};
    struct sl_loans loans = {0};
    struct sl_loan loan;
    uint64_t rate = 0, burst = 0, credits = 0, now_ns = SL_SECOND_NS;
    s.max[SL_LIMIT_max_requests_per_second] = 100;
    s.max[SL_LIMIT_burst_credits] = 40;
    while (sl_loans_grant(&loans, &s, now_ns, &loan) == SL_OK) {
        rate += loan.rate;
        burst += loan.burst;
        credits += loan.credits;
    }
    cr_expect(rate <= 50 && burst == 20 && credits <= 20, "%lu %lu %lu", (unsigned long)rate,
              (unsigned long)burst, (unsigned long)credits);
    struct sl_limit_clock now = {.mono_ns = now_ns};
    uint64_t own = 0;
    while (sl_limit_admit(&s, now).limit == SL_LIMIT_NONE)
        own++;
    cr_expect_eq(own + credits, 40);
    now_ns += SL_LOAN_LIFE_NS;
    sl_loans_settle(&loans, &s, now_ns);
    cr_expect_eq(loans.count, 0);
    cr_expect_eq(s.lent.rate + s.lent.burst, 0);
    now.mono_ns = now_ns + SL_SECOND_NS;
    for (own = 0; sl_limit_admit(&s, now).limit == SL_LIMIT_NONE; own++)
        ;
    cr_expect_eq(own, 40, "%lu", (unsigned long)own);
    sl_loans_deinit(&loans);
}

Test(loan, a_lowered_rate_waits_for_what_is_lent)
{
    struct sl_limit_state s = {0};
    struct sl_loans loans = {0};
    struct sl_loan loan;
    s.max[SL_LIMIT_max_requests_per_second] = 100;
    cr_assert_eq(sl_loans_grant(&loans, &s, SL_SECOND_NS, &loan), SL_OK);
    struct sl_limit_state had = s;
    s.max[SL_LIMIT_max_requests_per_second] = 10;
    sl_limit_renew(&s, &had, SL_SECOND_NS);
    struct sl_limit_clock now = {.mono_ns = 2 * SL_SECOND_NS};
    struct sl_limit_verdict v = sl_limit_admit(&s, now);
    cr_expect_eq(v.limit, SL_LIMIT_max_requests_per_second);
    cr_expect_geq(v.retry_after_s, 1);
    now.mono_ns += SL_LOAN_LIFE_NS + 10 * SL_SECOND_NS;
    sl_loans_settle(&loans, &s, now.mono_ns);
    now.mono_ns += 20 * SL_SECOND_NS;
    cr_expect_eq(sl_limit_admit(&s, now).limit, SL_LIMIT_NONE);
    sl_loans_deinit(&loans);
}

Test(loan, what_a_head_before_may_have_lent_is_kept_back)
{
    struct sl_limit_state s = {0};
    struct sl_loans loans = {0};
    struct sl_loan loan;
    struct sl_limit_clock now = {.mono_ns = SL_SECOND_NS};
    s.max[SL_LIMIT_max_requests_per_second] = 10;
    sl_loans_assume(&loans, &s, SL_SECOND_NS + SL_LOAN_LIFE_NS);
    cr_expect_eq(sl_loans_grant(&loans, &s, now.mono_ns, &loan), SL_EFULL);
    unsigned count = 0;
    while (sl_limit_admit(&s, now).limit == SL_LIMIT_NONE)
        count++;
    cr_expect_eq(count, 5);
    now.mono_ns += SL_LOAN_LIFE_NS;
    sl_loans_settle(&loans, &s, now.mono_ns);
    cr_expect_eq(sl_loans_grant(&loans, &s, now.mono_ns, &loan), SL_OK);
    sl_loans_deinit(&loans);
}
