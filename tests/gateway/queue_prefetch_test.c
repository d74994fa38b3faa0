/* SPDX-License-Identifier: Apache-2.0 */
/* A worker in virtual time: its slots, what it holds, and what is on its way to it and back. */
#include "gateway/queue_prefetch.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

enum { WAY_MAX = 4096, SLOTS_MAX = 16 };

struct worker {
    struct sl_prefetch prefetch;
    struct sl_random random;
    uint64_t now_ns, round_ns, service_ns, idle_ns; /* idle: of all slots, once one has worked. */
    uint64_t slots[SLOTS_MAX];                      /* When each is done; 0: it is idle. */
    uint64_t ways[WAY_MAX];                         /* When each lease that was asked for comes. */
    uint32_t ways_count, waiting, ended, held_most;
};

static void
ask(struct worker *w)
{
    uint32_t more = sl_prefetch_ask(&w->prefetch, w->now_ns);
    cr_assert_leq(w->ways_count + more, WAY_MAX);
    for (uint32_t i = 0; i < more; i++)
        w->ways[w->ways_count++] = w->now_ns + w->round_ns;
}

static void
arrive(struct worker *w)
{
    uint32_t came = 0;
    while (came < w->ways_count && w->ways[came] <= w->now_ns)
        came++;
    if (came == 0)
        return;
    w->ways_count -= came;
    memmove(w->ways, w->ways + came, w->ways_count * sizeof(w->ways[0]));
    w->waiting += came;
    sl_prefetch_leased(&w->prefetch, w->now_ns, came);
    w->held_most = SL_MAX(w->held_most, w->prefetch.held);
}

/* Within a tenth, as tasks are. */
static uint64_t
takes(struct worker *w)
{
    uint64_t tenth = w->service_ns / 10 + 1;
    return w->service_ns - tenth / 2 + sl_random_below(&w->random, tenth);
}

static void
run(struct worker *w, uint64_t for_ns)
{
    uint64_t end_ns = w->now_ns + for_ns;
    uint32_t slots = w->prefetch.options.slots;
    while (w->now_ns < end_ns) {
        uint64_t next_ns = w->ways_count > 0 ? w->ways[0] : UINT64_MAX;
        for (uint32_t i = 0; i < slots; i++) {
            if (w->slots[i] != 0 && w->slots[i] <= w->now_ns) {
                w->slots[i] = 0;
                w->ended++;
                sl_prefetch_round(&w->prefetch, w->round_ns);
                sl_prefetch_ended(&w->prefetch, w->now_ns, 1, 0);
                ask(w);
            }
        }
        arrive(w);
        for (uint32_t i = 0; i < slots; i++) {
            if (w->slots[i] == 0 && w->waiting > 0) {
                w->waiting--;
                w->slots[i] = w->now_ns + takes(w);
            }
            if (w->slots[i] != 0)
                next_ns = SL_MIN(next_ns, w->slots[i]);
        }
        if (w->ways_count > 0)
            next_ns = SL_MIN(next_ns, w->ways[0]);
        next_ns = SL_MIN(SL_MAX(next_ns, w->now_ns + 1), end_ns);
        for (uint32_t i = 0; i < slots; i++)
            w->idle_ns += w->slots[i] == 0 ? next_ns - w->now_ns : 0;
        w->now_ns = next_ns;
    }
}

static struct worker *
start(struct sl_prefetch_options options, uint64_t round_ns, uint64_t service_ns)
{
    static struct worker w;
    w = (struct worker){.now_ns = 1, .round_ns = round_ns, .service_ns = service_ns};
    sl_random_seed(&w.random, 1);
    sl_prefetch_init(&w.prefetch, &options);
    ask(&w);
    return &w;
}

static double
idle_of(struct worker *w, uint64_t for_ns)
{
    w->idle_ns = 0;
    run(w, for_ns);
    return (double)w->idle_ns / (double)for_ns / w->prefetch.options.slots;
}

Test(queue_prefetch, keeps_each_slot_busy_with_short_tasks_over_a_long_way)
{
    static const uint64_t services[] = {20 * SL_MICRO_NS, SL_MILLI_NS, 30 * SL_MILLI_NS};
    static const uint64_t rounds[] = {100 * SL_MICRO_NS, SL_MILLI_NS, 20 * SL_MILLI_NS};
    static const uint32_t slots[] = {1, 4, 16};
    for (int i = 0; i < 27; i++) {
        struct sl_prefetch_options options = {.slots = slots[i % 3]};
        struct worker *w = start(options, rounds[i / 3 % 3], services[i / 9]);
        if (services[i / 9] == 20 * SL_MICRO_NS && rounds[i / 3 % 3] == 20 * SL_MILLI_NS)
            continue; /* More on their way than the test has room for. */
        run(w, 50 * (w->round_ns + w->service_ns)); /* It learns. */
        cr_assert_lt(idle_of(w, 200 * (w->round_ns + w->service_ns)), 0.02,
                     "slots %u, round %zu us, service %zu us", slots[i % 3],
                     (size_t)(w->round_ns / 1000), (size_t)(w->service_ns / 1000));
    }
}

Test(queue_prefetch, holds_no_more_than_it_needs_for_that)
{
    struct worker *w =
        start((struct sl_prefetch_options){.slots = 4}, SL_MILLI_NS, 10 * SL_MILLI_NS);
    run(w, SL_SECOND_NS);
    cr_assert_leq(w->held_most, 6, "%u", w->held_most);
    w = start((struct sl_prefetch_options){.slots = 1}, SL_MILLI_NS, 100 * SL_MICRO_NS);
    run(w, SL_SECOND_NS);
    cr_assert_leq(w->held_most, 30, "%u", w->held_most);
}

Test(queue_prefetch, takes_no_long_task_ahead)
{
    struct worker *w =
        start((struct sl_prefetch_options){.slots = 4}, 50 * SL_MILLI_NS, 10 * SL_SECOND_NS);
    run(w, 200 * SL_SECOND_NS);
    cr_assert_eq(w->held_most, 4);
    w = start((struct sl_prefetch_options){.slots = 1, .hold_ns = UINT64_MAX}, 50 * SL_MILLI_NS,
              5 * SL_SECOND_NS);
    run(w, 200 * SL_SECOND_NS);
    cr_assert_eq(w->held_most, 1, "4 s are the most, whatever is asked for");
}

Test(queue_prefetch, never_holds_more_than_is_worked_off_in_its_time)
{
    for (uint64_t service_ns = 10 * SL_MICRO_NS; service_ns < 20 * SL_SECOND_NS; service_ns *= 3) {
        struct sl_prefetch p;
        sl_prefetch_init(&p, &(struct sl_prefetch_options){.slots = 8});
        sl_prefetch_leased(&p, 0, 8);
        sl_prefetch_round(&p, 3600 * SL_SECOND_NS);
        sl_prefetch_ended(&p, service_ns, 8, 8 * service_ns);
        uint64_t ahead = sl_prefetch_target(&p, service_ns) - 8;
        cr_assert_leq(ahead * service_ns / 8, SL_PREFETCH_HOLD_NS);
        cr_assert_leq(ahead + 8, SL_PREFETCH_MAX);
    }
}

Test(queue_prefetch, gives_back_what_lies_behind_a_task_that_takes_long)
{
    struct worker *w =
        start((struct sl_prefetch_options){.slots = 1}, 2 * SL_MILLI_NS, 100 * SL_MICRO_NS);
    run(w, SL_SECOND_NS);
    uint32_t held = w->prefetch.held;
    cr_assert_gt(held, 10);
    cr_assert_leq(sl_prefetch_surplus(&w->prefetch, w->now_ns), 1);
    uint64_t later_ns = w->now_ns + 5 * SL_SECOND_NS; /* Nothing has ended since. */
    cr_assert_eq(sl_prefetch_target(&w->prefetch, later_ns), 1);
    cr_assert_eq(sl_prefetch_surplus(&w->prefetch, later_ns), held - 1);
    cr_assert_eq(sl_prefetch_ask(&w->prefetch, later_ns), 0);
    w->service_ns = 3 * SL_SECOND_NS;
    run(w, 200 * SL_SECOND_NS);
    w->held_most = 0;
    run(w, 100 * SL_SECOND_NS);
    cr_assert_leq(w->held_most, 1, "what was taken ahead has ended, and no more is");
}

Test(queue_prefetch, asks_for_the_slots_before_it_knows_and_anew_after_a_loss)
{
    struct sl_prefetch p;
    sl_prefetch_init(&p, &(struct sl_prefetch_options){.slots = 3});
    cr_assert_eq(sl_prefetch_ask(&p, 0), 3);
    cr_assert_eq(sl_prefetch_ask(&p, 0), 0, "they are on their way");
    sl_prefetch_leased(&p, 5, 2);
    cr_assert_eq(sl_prefetch_ask(&p, 5), 0);
    sl_prefetch_released(&p, 1);
    cr_assert_eq(sl_prefetch_ask(&p, 5), 1);
    sl_prefetch_reset(&p);
    cr_assert_eq(sl_prefetch_ask(&p, 9), 3);
    sl_prefetch_leased(&p, 9, 100); /* More than it asked for. */
    cr_assert_eq(sl_prefetch_ask(&p, 9), 0);
    cr_assert_eq(sl_prefetch_surplus(&p, 9), 97);
    sl_prefetch_ended(&p, 9, 200, 0); /* More than it has. */
    cr_assert_eq(p.held, 0);
}

Test(queue_prefetch, bounds_what_it_is_told)
{
    struct sl_prefetch p;
    sl_prefetch_init(&p, &(struct sl_prefetch_options){.slots = UINT32_MAX, .max = UINT32_MAX});
    cr_assert_eq(sl_prefetch_ask(&p, 0), SL_PREFETCH_MAX);
    sl_prefetch_leased(&p, 0, 1);
    sl_prefetch_ended(&p, UINT64_MAX, 1, UINT64_MAX);
    sl_prefetch_round(&p, UINT64_MAX);
    cr_assert_leq(sl_prefetch_target(&p, UINT64_MAX), SL_PREFETCH_MAX);
    sl_prefetch_init(&p, &(struct sl_prefetch_options){.max = 4});
    cr_assert_eq(p.options.slots, 1);
    sl_prefetch_leased(&p, 0, 1);
    sl_prefetch_round(&p, SL_SECOND_NS);
    sl_prefetch_ended(&p, 1, 1, 1); /* Tasks that take no time at all. */
    cr_assert_eq(sl_prefetch_target(&p, 1), 4);
    p.options.max = SL_PREFETCH_USUAL;
    cr_assert_eq(sl_prefetch_ask(&p, 1), SL_PREFETCH_USUAL);
}
