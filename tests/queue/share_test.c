/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/share.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

/* Lanes that workers serve, in simulated time. */
#define WORKERS 2
#define LANES   1000

struct worker {
    uint32_t lane; /* SL_NONE: free. */
    uint64_t start_ns, end_ns, charged_ns;
};

struct tenant {
    uint64_t cost_ns; /* Of each of its jobs. */
    uint64_t jobs;    /* Waiting. */
    uint64_t served_ns;
    uint64_t arrivals_ns[64]; /* Of a light one's waiting jobs: a ring. */
    uint64_t first, last;
};

static struct sl_share *share;
static struct sl_random source;
static struct tenant tenants[LANES];
static struct worker workers[WORKERS];
static uint64_t now_ns;

static void
setup(void)
{
    share = sl_share_create();
    sl_random_seed(&source, 5);
    for (int i = 0; i < WORKERS; i++)
        workers[i].lane = SL_NONE;
}

static void
teardown(void)
{
    sl_share_destroy(&share);
    cr_assert_null(share);
}

TestSuite(share, .init = setup, .fini = teardown);

static void
open_lane(uint32_t lane, uint32_t weight)
{
    cr_assert_eq(sl_share_open(share, lane, weight), SL_OK);
}

static void
submit(uint32_t lane, uint64_t jobs)
{
    tenants[lane].jobs += jobs;
    sl_share_join(share, lane);
}

/* Hand out work; returns how long the job waited, of a lane that remembers arrivals. */
static bool
start_one(struct worker *w, uint64_t *ret_wait_ns)
{
    uint32_t lane = sl_share_next(share);
    if (lane == SL_NONE)
        return false;
    struct tenant *t = &tenants[lane];
    *w = (struct worker){.lane = lane, .start_ns = now_ns, .end_ns = now_ns + t->cost_ns};
    w->charged_ns = sl_share_grant(share, lane);
    if (--t->jobs == 0)
        sl_share_leave(share, lane);
    *ret_wait_ns = UINT64_MAX;
    if (t->first != t->last)
        *ret_wait_ns = now_ns - t->arrivals_ns[t->first++ % SL_COUNT_OF(t->arrivals_ns)];
    return true;
}

static void
end_one(struct worker *w)
{
    tenants[w->lane].served_ns += w->end_ns - w->start_ns;
    sl_share_settle(share, w->lane, w->charged_ns, w->end_ns - w->start_ns);
    w->lane = SL_NONE;
}

static struct worker *
next_to_end(void)
{
    struct worker *next = NULL;
    for (int i = 0; i < WORKERS; i++) {
        if (workers[i].lane != SL_NONE && (next == NULL || workers[i].end_ns < next->end_ns))
            next = &workers[i];
    }
    return next;
}

/* Serve lanes that never run dry; what is under way at the end counts as far as it has come. */
static void
serve_until(uint64_t end_ns)
{
    uint64_t wait_ns;
    for (;;) {
        for (int i = 0; i < WORKERS; i++) {
            if (workers[i].lane == SL_NONE)
                cr_assert(start_one(&workers[i], &wait_ns));
        }
        struct worker *w = next_to_end();
        if (w->end_ns > end_ns)
            break;
        now_ns = w->end_ns;
        end_one(w);
    }
    for (int i = 0; i < WORKERS; i++)
        tenants[workers[i].lane].served_ns += end_ns - workers[i].start_ns;
}

static double
jain(uint32_t count)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (double)tenants[i].served_ns;
        squares += (double)tenants[i].served_ns * (double)tenants[i].served_ns;
    }
    return sum * sum / (squares * count);
}

Test(share, gives_equals_the_same_time_even_if_their_jobs_cost_100_times_as_much)
{
    for (uint32_t i = 0; i < 20; i++) {
        open_lane(i, 1);
        tenants[i].cost_ns = (i % 2 == 0 ? 1 : 100) * SL_MILLI_NS;
        submit(i, 1000000);
    }
    serve_until(10 * SL_SECOND_NS);
    cr_assert_geq(jain(20), 0.98, "Jain index %f", jain(20));
}

Test(share, gives_time_by_weight)
{
    for (uint32_t i = 0; i < 4; i++) {
        open_lane(i, i + 1);
        tenants[i].cost_ns = (4 - i) * 3 * SL_MILLI_NS;
        submit(i, 1000000);
    }
    serve_until(10 * SL_SECOND_NS);
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t fair_ns = WORKERS * 10 * SL_SECOND_NS * (i + 1) / 10;
        cr_assert_leq(llabs((long long)(tenants[i].served_ns - fair_ns)),
                      (long long)(50 * SL_MILLI_NS));
    }
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Lane 0 may have a million jobs; the others submit at random, in all 7 of 10 of what can be done.
 * Returns the light ones' p99 wait. */
static uint64_t
light_wait_p99(bool is_noisy)
{
    enum { COUNT = 40000 };
    uint64_t *waits = sl_alloc(COUNT * sizeof(*waits)), count = 0;
    for (uint32_t i = 0; i < LANES; i++) {
        open_lane(i, 1);
        tenants[i] = (struct tenant){.cost_ns = SL_MILLI_NS};
    }
    if (is_noisy)
        submit(0, 1000000);
    uint64_t arrival_ns = 0, wait_ns;
    while (count < COUNT) {
        struct worker *w = next_to_end();
        if (w != NULL && w->end_ns <= arrival_ns) {
            now_ns = w->end_ns;
            end_one(w);
        } else {
            now_ns = arrival_ns;
            uint32_t lane = 1 + (uint32_t)sl_random_below(&source, LANES - 1);
            struct tenant *t = &tenants[lane];
            cr_assert_lt(t->last - t->first, SL_COUNT_OF(t->arrivals_ns));
            t->arrivals_ns[t->last++ % SL_COUNT_OF(t->arrivals_ns)] = now_ns;
            submit(lane, 1);
            arrival_ns += sl_random_below(&source, 2 * SL_MILLI_NS * 10 / (7 * WORKERS));
        }
        for (int i = 0; i < WORKERS; i++) {
            if (workers[i].lane == SL_NONE && start_one(&workers[i], &wait_ns) &&
                wait_ns != UINT64_MAX && count < COUNT)
                waits[count++] = wait_ns;
        }
    }
    qsort(waits, COUNT, sizeof(*waits), compare);
    uint64_t p99_ns = waits[COUNT - COUNT / 100];
    sl_free(waits);
    return p99_ns;
}

Test(share, lets_999_light_tenants_wait_at_most_twice_as_long_beside_one_with_a_million_jobs)
{
    uint64_t solo_ns = light_wait_p99(false);
    teardown();
    setup();
    now_ns = 0;
    uint64_t beside_ns = light_wait_p99(true);
    cr_assert_gt(solo_ns, 0);
    cr_assert_leq(beside_ns, 2 * solo_ns, "%lu and %lu", beside_ns, solo_ns);
    cr_assert_gt(tenants[0].served_ns, SL_SECOND_NS); /* What is left over is not idle. */
}

Test(share, lets_idleness_earn_nothing)
{
    open_lane(0, 1);
    open_lane(1, 1);
    sl_share_join(share, 1);
    sl_share_join(share, 0);
    sl_share_settle(share, 0, 0, SL_MILLI_NS);
    sl_share_settle(share, 1, 0, SL_MILLI_NS);
    sl_share_leave(share, 1);
    for (int i = 0; i < 1000; i++)
        (void)sl_share_grant(share, 0);
    sl_share_join(share, 1);
    int grants_of_1 = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t lane = sl_share_next(share);
        (void)sl_share_grant(share, lane);
        grants_of_1 += lane == 1;
    }
    cr_assert_leq(abs(grants_of_1 - 50), 2);
}

Test(share, counts_what_still_runs_once_it_is_charged)
{
    for (uint32_t i = 0; i < 2; i++) {
        open_lane(i, 1);
        sl_share_settle(share, i, 0, SL_MILLI_NS);
        sl_share_join(share, i);
    }
    (void)sl_share_grant(share, 0);
    sl_share_charge(share, 0, 99 * SL_MILLI_NS);
    uint32_t grants_of_1 = 0;
    while (sl_share_next(share) == 1) {
        (void)sl_share_grant(share, 1);
        grants_of_1++;
    }
    cr_assert_leq(abs((int)grants_of_1 - 100), 2);
}

Test(share, takes_turns_as_before_when_a_grant_is_taken_back)
{
    open_lane(0, 1);
    open_lane(1, 1);
    sl_share_join(share, 0);
    sl_share_join(share, 1);
    uint64_t mean_ns = sl_share_estimate_ns(share, 0);
    uint64_t charged_ns = sl_share_grant(share, 0);
    cr_assert_eq(sl_share_next(share), 1);
    (void)sl_share_grant(share, 1);
    sl_share_refund(share, 0, charged_ns);
    cr_assert_eq(sl_share_next(share), 0);
    cr_assert_eq(sl_share_estimate_ns(share, 0), mean_ns);
}

Test(share, takes_turns_among_lanes_whose_tasks_take_no_time)
{
    for (uint32_t i = 0; i < 10; i++) {
        open_lane(i, SL_SHARE_WEIGHT_MAX);
        sl_share_join(share, i);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t lane = sl_share_next(share);
        cr_assert_eq(lane, i % 10);
        sl_share_settle(share, lane, sl_share_grant(share, lane), 0);
    }
}

Test(share, refuses_weights_that_are_none)
{
    cr_assert_eq(sl_share_open(share, 3, 0), SL_EINVAL);
    cr_assert_eq(sl_share_open(share, 3, SL_SHARE_WEIGHT_MAX + 1), SL_EINVAL);
    open_lane(3, 7);
    cr_assert_eq(sl_share_open(share, 3, 0), SL_EINVAL);
    sl_share_join(share, 3);
    cr_assert_eq(sl_share_next(share), 3);
    sl_share_close(share, 3);
    cr_assert_eq(sl_share_next(share), SL_NONE);
}

/* A lane whose costs are as large as they can be wraps no pass, in any number of them. */
Test(share, stays_fair_after_centuries_of_service)
{
    for (uint32_t i = 0; i < 3; i++) {
        open_lane(i, 1);
        sl_share_settle(share, i, 0, SL_SHARE_COST_MAX_NS);
        sl_share_join(share, i);
    }
    uint32_t grants[3] = {0};
    for (uint32_t i = 0; i < 30000; i++) {
        uint32_t lane = sl_share_next(share);
        sl_share_settle(share, lane, sl_share_grant(share, lane), UINT64_MAX);
        grants[lane]++;
    }
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_leq(abs((int)grants[i] - 10000), 4);
}

/* Through random calls the lane that is next has waited longest among those with the least. */
Test(share, agrees_with_a_scan_through_random_calls)
{
    enum { COUNT = 50 };
    uint64_t pass[COUNT] = {0}, now = 0;
    bool is_waiting[COUNT] = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        open_lane(i, 1);
        sl_share_settle(share, i, 0, 0);
    }
    for (int op = 0; op < 50000; op++) {
        uint32_t lane = (uint32_t)sl_random_below(&source, COUNT);
        uint64_t cost_ns = sl_random_below(&source, 1000);
        if (sl_random_below(&source, 3) == 0) {
            sl_share_charge(share, lane, cost_ns);
            pass[lane] += SL_MAX(cost_ns * 64, 1);
        } else if (is_waiting[lane]) {
            sl_share_leave(share, lane);
            is_waiting[lane] = false;
        } else {
            sl_share_join(share, lane);
            is_waiting[lane] = true;
            pass[lane] = SL_MAX(pass[lane], now);
        }
        uint32_t next = sl_share_next(share);
        uint64_t least = UINT64_MAX;
        for (uint32_t i = 0; i < COUNT; i++)
            least = is_waiting[i] ? SL_MIN(least, pass[i]) : least;
        cr_assert_eq(next == SL_NONE, least == UINT64_MAX);
        if (next == SL_NONE)
            continue;
        cr_assert(is_waiting[next]);
        cr_assert_eq(pass[next], least);
        if (op % 4 == 0) {
            now = SL_MAX(now, pass[next]);
            pass[next] += sl_share_grant(share, next) * 64;
        }
    }
}
