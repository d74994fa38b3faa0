/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/key.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

static struct sl_keys *keys;
static struct sl_random source;

static void
setup(void)
{
    keys = sl_keys_create();
    sl_random_seed(&source, 31);
}

static void
teardown(void)
{
    sl_keys_destroy(&keys);
    cr_assert_null(keys);
}

TestSuite(key, .init = setup, .fini = teardown);

static uint32_t
join(uint32_t task, struct sl_key_spec spec)
{
    return sl_keys_join(keys, task, &spec, 1, 0);
}

static uint32_t
running(uint64_t hash)
{
    struct sl_key_info info = {0};
    (void)sl_keys_lookup(keys, 0, hash, &info);
    return info.running;
}

Test(key, lets_as_many_run_as_its_limit_and_wakes_the_first_that_waits)
{
    struct sl_key_spec spec = {.hash = 7, .limit = 2};
    uint32_t claims[4];
    for (uint32_t i = 0; i < 4; i++) {
        claims[i] = join(i, spec);
        cr_assert_eq(sl_keys_acquire(keys, claims[i], 0), i < 2);
    }
    cr_assert_eq(sl_keys_woken(keys), SL_NONE);
    sl_keys_leave(keys, claims[0], 0);
    cr_assert_eq(sl_keys_woken(keys), 2);
    cr_assert_eq(sl_keys_woken(keys), SL_NONE);
    cr_assert(sl_keys_acquire(keys, claims[2], 0));
    sl_keys_release(keys, claims[1], 0, true); /* To be tried again. */
    cr_assert_eq(sl_keys_woken(keys), 3);
    cr_assert(sl_keys_acquire(keys, claims[3], 0));
    cr_assert_not(sl_keys_acquire(keys, claims[1], 0));
    cr_assert_eq(running(7), 2);
}

Test(key, keeps_scopes_apart_and_forgets_keys_that_nobody_names)
{
    struct sl_key_spec spec = {.hash = 7, .limit = 1};
    uint32_t first = join(1, spec);
    spec.scope = 9;
    uint32_t second = join(2, spec);
    cr_assert(sl_keys_acquire(keys, first, 0));
    cr_assert(sl_keys_acquire(keys, second, 0));
    cr_assert_eq(sl_keys_count(keys), 2);
    sl_keys_leave(keys, first, 0);
    sl_keys_leave(keys, second, 0);
    cr_assert_eq(sl_keys_count(keys), 0);
}

Test(key, holds_no_key_while_it_waits_at_another)
{
    struct sl_key_spec both[] = {{.hash = 1, .limit = 1}, {.hash = 2, .limit = 1}};
    uint32_t holder = join(1, both[1]);
    uint32_t waiter = sl_keys_join(keys, 2, both, 2, 0);
    uint32_t other = join(3, both[0]);
    cr_assert(sl_keys_acquire(keys, holder, 0));
    cr_assert_not(sl_keys_acquire(keys, waiter, 0));
    cr_assert(sl_keys_acquire(keys, other, 0));
    sl_keys_leave(keys, holder, 0);
    cr_assert_eq(sl_keys_woken(keys), 2);
    cr_assert_not(sl_keys_acquire(keys, waiter, 0)); /* Now the first key is taken. */
    sl_keys_leave(keys, other, 0);
    cr_assert_eq(sl_keys_woken(keys), 2);
    cr_assert(sl_keys_acquire(keys, waiter, 0));
}

/* A woken claim that does not take the room leaves it to the next: in each way there is. */
Test(key, wakes_another_when_the_one_it_woke_does_not_run)
{
    struct sl_key_spec both[] = {{.hash = 1, .limit = 1}, {.hash = 2, .limit = 1}};
    uint32_t holder = join(1, both[0]), blocker = join(2, both[1]);
    uint32_t stuck = sl_keys_join(keys, 3, both, 2, 0);
    uint32_t cancelled = join(4, both[0]), gone = join(5, both[0]), declined = join(6, both[0]);
    uint32_t last = join(7, both[0]);
    cr_assert(sl_keys_acquire(keys, holder, 0));
    cr_assert(sl_keys_acquire(keys, blocker, 0));
    uint32_t waiters[] = {stuck, cancelled, gone, declined, last};
    for (size_t i = 0; i < SL_COUNT_OF(waiters); i++)
        cr_assert_not(sl_keys_acquire(keys, waiters[i], 0));

    sl_keys_leave(keys, holder, 0);
    cr_assert_eq(sl_keys_woken(keys), 3);
    cr_assert_not(sl_keys_acquire(keys, stuck, 0));
    sl_keys_leave(keys, cancelled, 0); /* Woken, and not taken yet. */
    cr_assert_eq(sl_keys_woken(keys), 5);
    sl_keys_leave(keys, gone, 0);
    cr_assert_eq(sl_keys_woken(keys), 6);
    sl_keys_decline(keys, declined, 0);
    cr_assert_eq(sl_keys_woken(keys), 7);
    cr_assert(sl_keys_acquire(keys, last, 0));
}

Test(key, begins_no_more_than_its_rate_allows_and_says_when_the_next_may)
{
    struct sl_key_spec spec = {.hash = 1, .rate = {.count = 1, .burst = 2, .period_ns = 100}};
    uint32_t claims[5];
    uint64_t now_ns = 1000;
    for (uint32_t i = 0; i < 5; i++) {
        claims[i] = sl_keys_join(keys, i, &spec, 1, now_ns);
        cr_assert_eq(sl_keys_acquire(keys, claims[i], now_ns), i < 2);
    }
    for (uint32_t i = 2; i < 5; i++) {
        cr_assert_eq(sl_keys_next_ns(keys), now_ns + 100);
        sl_keys_tick(keys, now_ns + 99);
        cr_assert_eq(sl_keys_woken(keys), SL_NONE);
        now_ns += 100;
        sl_keys_tick(keys, now_ns);
        cr_assert_eq(sl_keys_woken(keys), i);
        cr_assert_eq(sl_keys_woken(keys), SL_NONE);
        cr_assert(sl_keys_acquire(keys, claims[i], now_ns));
    }
    /* A key that comes back is no fresh one. */
    for (uint32_t i = 0; i < 5; i++)
        sl_keys_leave(keys, claims[i], now_ns);
    cr_assert_eq(sl_keys_count(keys), 1);
    uint32_t again = sl_keys_join(keys, 9, &spec, 1, now_ns);
    cr_assert_not(sl_keys_acquire(keys, again, now_ns));
    sl_keys_leave(keys, again, now_ns);
    sl_keys_tick(keys, now_ns + 199);
    cr_assert_eq(sl_keys_count(keys), 1);
    sl_keys_tick(keys, now_ns + 200);
    cr_assert_eq(sl_keys_count(keys), 0);
    cr_assert_eq(sl_keys_next_ns(keys), UINT64_MAX);
}

Test(key, gives_tokens_back_for_what_did_not_begin)
{
    struct sl_key_spec spec = {.hash = 1, .rate = {.count = 1, .burst = 1, .period_ns = 100}};
    uint32_t claim = join(1, spec);
    for (int i = 0; i < 3; i++) {
        cr_assert(sl_keys_acquire(keys, claim, 0));
        sl_keys_release(keys, claim, 0, false);
    }
    cr_assert(sl_keys_acquire(keys, claim, 0));
    sl_keys_release(keys, claim, 0, true);
    cr_assert_not(sl_keys_acquire(keys, claim, 0));
}

Test(key, wakes_those_that_a_higher_limit_has_room_for)
{
    uint32_t claims[5];
    for (uint32_t i = 0; i < 4; i++) {
        claims[i] = join(i, (struct sl_key_spec){.hash = 1, .limit = 1});
        cr_assert_eq(sl_keys_acquire(keys, claims[i], 0), i == 0);
    }
    claims[4] = join(4, (struct sl_key_spec){.hash = 1, .limit = 3});
    uint32_t count = 0, task;
    while ((task = sl_keys_woken(keys)) != SL_NONE)
        count += sl_keys_acquire(keys, claims[task], 0);
    cr_assert_eq(count, 2);
    cr_assert_eq(running(1), 3);
    (void)join(5, (struct sl_key_spec){.hash = 1, .limit = 1});
    sl_keys_leave(keys, claims[0], 0); /* A lower one ends nothing, and nothing new begins. */
    cr_assert_eq(sl_keys_woken(keys), SL_NONE);
    cr_assert_eq(running(1), 2);
}

Test(key, refuses_the_newest)
{
    struct sl_key_spec spec = {.hash = 1, .limit = 2, .policy = SL_KEY_CANCEL_NEWEST};
    cr_assert_not(sl_keys_refuses(keys, &spec));
    uint32_t first = join(1, spec);
    cr_assert_not(sl_keys_refuses(keys, &spec));
    (void)join(2, spec);
    cr_assert(sl_keys_refuses(keys, &spec));
    sl_keys_doom(keys, first);
    cr_assert_not(sl_keys_refuses(keys, &spec));
}

Test(key, cancels_the_oldest_in_progress)
{
    struct sl_key_spec spec = {.hash = 1, .limit = 2, .policy = SL_KEY_CANCEL_IN_PROGRESS};
    uint32_t claims[4], tasks[8];
    for (uint32_t i = 0; i < 4; i++)
        claims[i] = join(i + 10, spec);
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 8), 3);
    cr_assert_eq(tasks[0], 10);
    cr_assert_eq(tasks[2], 12);
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 2), 2);
    for (uint32_t i = 0; i < 3; i++)
        sl_keys_doom(keys, claims[i]);
    sl_keys_doom(keys, claims[0]); /* Twice is once. */
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 8), 0);
    (void)join(20, spec);
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 8), 1);
    cr_assert_eq(tasks[0], 13);
}

Test(key, replaces_the_one_that_waits)
{
    struct sl_key_spec spec = {.hash = 1, .limit = 1, .policy = SL_KEY_REPLACE_QUEUED};
    uint32_t tasks[8];
    uint32_t first = join(1, spec);
    cr_assert(sl_keys_acquire(keys, first, 0));
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 8), 0);
    uint32_t second = join(2, spec);
    cr_assert_not(sl_keys_acquire(keys, second, 0));
    cr_assert_eq(sl_keys_victims(keys, &spec, tasks, 8), 1);
    cr_assert_eq(tasks[0], 2);
    sl_keys_leave(keys, second, 0);
    uint32_t third = join(3, spec);
    cr_assert_not(sl_keys_acquire(keys, third, 0));
    sl_keys_leave(keys, first, 0);
    cr_assert_eq(sl_keys_woken(keys), 3);
}

Test(key, refuses_what_are_no_keys)
{
    struct sl_key_spec specs[5] = {{.hash = 1}, {.hash = 2}, {.hash = 3}, {.hash = 4}, {.hash = 5}};
    cr_assert_eq(sl_keys_check(specs, 0), SL_EINVAL);
    cr_assert_eq(sl_keys_check(specs, 5), SL_EINVAL);
    cr_assert_eq(sl_keys_check(specs, 4), SL_OK);
    specs[3].hash = 1;
    cr_assert_eq(sl_keys_check(specs, 4), SL_EINVAL);
    specs[3].scope = 1;
    cr_assert_eq(sl_keys_check(specs, 4), SL_OK);
    specs[0].policy = SL_KEY_CANCEL_NEWEST; /* Of no limit. */
    cr_assert_eq(sl_keys_check(specs, 4), SL_EINVAL);
    specs[0] = (struct sl_key_spec){.policy = SL_KEY_POLICY_COUNT, .limit = 1};
    cr_assert_eq(sl_keys_check(specs, 1), SL_EINVAL);
    specs[0] = (struct sl_key_spec){.rate = {.count = 1}};
    cr_assert_eq(sl_keys_check(specs, 1), SL_EINVAL);
}

/* ---- random calls --------------------------------------------------------------------------- */

#define TASKS 300
#define KEYS  12

enum where { GONE, READY, RUNS, WAITS };

struct task {
    enum where where;
    uint32_t claim, keys_count, keys[SL_KEYS_PER_TASK_MAX];
};

static struct task tasks[TASKS];
static uint32_t runs[KEYS]; /* By the model. */
static uint64_t now_ns;

static struct sl_key_spec
spec_of(uint32_t key)
{
    struct sl_key_spec spec = {.hash = key, .limit = 1 + key % 3};
    if (key % 4 == 3)
        spec.rate = (struct sl_rate){.count = 1 + key % 2, .burst = 1 + key % 5, .period_ns = 50};
    return spec;
}

static void
join_some(struct task *t)
{
    struct sl_key_spec specs[SL_KEYS_PER_TASK_MAX];
    t->keys_count = 1 + (uint32_t)sl_random_below(&source, SL_KEYS_PER_TASK_MAX);
    uint32_t first = (uint32_t)sl_random_below(&source, KEYS);
    for (uint32_t i = 0; i < t->keys_count; i++) {
        t->keys[i] = (first + i * 5) % KEYS;
        specs[i] = spec_of(t->keys[i]);
    }
    t->claim = sl_keys_join(keys, (uint32_t)(t - tasks), specs, t->keys_count, now_ns);
    t->where = READY;
}

static void
count_run(const struct task *t)
{
    for (uint32_t i = 0; i < t->keys_count; i++) {
        uint32_t key = t->keys[i];
        runs[key]++;
        cr_assert_leq(runs[key], spec_of(key).limit);
        cr_assert_eq(runs[key], running(key));
    }
}

static void
try_task(struct task *t)
{
    t->where = sl_keys_acquire(keys, t->claim, now_ns) ? RUNS : WAITS;
    if (t->where == RUNS)
        count_run(t);
}

static void
end_task(struct task *t, bool is_again)
{
    bool did_run = t->where == RUNS;
    if (did_run && is_again)
        sl_keys_release(keys, t->claim, now_ns, sl_random_below(&source, 2) == 0);
    else
        sl_keys_leave(keys, t->claim, now_ns);
    if (did_run) {
        for (uint32_t i = 0; i < t->keys_count; i++)
            runs[t->keys[i]]--;
    }
    t->where = did_run && is_again ? READY : GONE;
}

static void
take_woken(void)
{
    uint32_t task;
    sl_keys_tick(keys, now_ns);
    while ((task = sl_keys_woken(keys)) != SL_NONE) {
        cr_assert_eq(tasks[task].where, WAITS);
        tasks[task].where = READY;
    }
}

Test(key, is_never_over_a_limit_and_forgets_nobody_through_random_calls)
{
    for (int op = 0; op < 200000; op++) {
        struct task *t = &tasks[sl_random_below(&source, TASKS)];
        uint64_t dice = sl_random_below(&source, 20);
        if (t->where == GONE)
            join_some(t);
        else if (t->where == READY && dice == 0)
            sl_keys_decline(keys, t->claim, now_ns);
        else if (t->where == READY && dice > 1)
            try_task(t);
        else if (t->where == RUNS || dice == 1)
            end_task(t, dice > 15);
        now_ns += sl_random_below(&source, 3);
        if (dice % 3 == 0)
            take_woken();
    }
    /* No more come: all of them run and end, and nobody waits for what nobody tells. */
    for (uint32_t left = TASKS; left > 0;) {
        left = 0;
        bool is_progress = false;
        take_woken();
        for (struct task *t = tasks; t < tasks + TASKS; t++) {
            if (t->where == READY)
                try_task(t);
            is_progress |= t->where == RUNS;
            if (t->where == RUNS)
                end_task(t, false);
            left += t->where != GONE;
        }
        if (left > 0 && !is_progress) {
            cr_assert_lt(sl_keys_next_ns(keys), UINT64_MAX);
            now_ns = SL_MAX(now_ns, sl_keys_next_ns(keys));
        }
    }
    for (uint32_t i = 0; i < KEYS; i++)
        cr_assert_eq(runs[i], 0);
    sl_keys_tick(keys, now_ns + SL_SECOND_NS);
    cr_assert_eq(sl_keys_count(keys), 0);
}
