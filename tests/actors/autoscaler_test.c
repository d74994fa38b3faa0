/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/autoscaler.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define SECOND UINT64_C(1000000000)
#define ROOM   UINT32_MAX

static struct sl_scale_settings settings;
static struct sl_autoscaler *a;
static uint64_t now_ns;

static void
setup(void)
{
    settings = sl_scale_settings_default();
    settings.max_replicas = 10;
    settings.look_back_ns = settings.panic_ns = 0;
    now_ns = SECOND;
}

static void
finish(void)
{
    sl_autoscaler_destroy(&a);
}

TestSuite(autoscaler, .init = setup, .fini = finish);

static struct sl_scale_decision
decide(uint64_t after_ns, uint32_t waiting, uint32_t running)
{
    if (a == NULL)
        a = sl_autoscaler_create(&settings, now_ns);
    now_ns += after_ns;
    return sl_autoscaler_decide(
        a, &(struct sl_scale_input){
               .at_ns = now_ns, .waiting = waiting, .running = running, .room = ROOM});
}

/* The replicas after a demand has lasted so long, asked whenever the autoscaler wants it. */
static struct sl_scale_decision
last(uint64_t for_ns, uint32_t demand, uint32_t *ret_changes)
{
    struct sl_scale_decision d = decide(0, 0, demand);
    uint64_t end_ns = now_ns + for_ns;
    while (d.next_ns <= end_ns) {
        uint32_t before = d.replicas;
        cr_assert_gt(d.next_ns, now_ns, "it may not ask for a time that is now");
        d = decide(d.next_ns - now_ns, 0, demand);
        *ret_changes += d.replicas != before;
    }
    now_ns = end_ns;
    return d;
}

Test(autoscaler, starts_from_zero_without_a_delay)
{
    settings.up_delay_ns = 30 * SECOND;
    settings.look_back_ns = 30 * SECOND;
    struct sl_scale_decision d = decide(0, 0, 0);
    cr_assert_eq(d.replicas, 0);
    cr_assert_eq(d.reason, SL_SCALE_STEADY);
    d = decide(5 * SECOND, 1, 0);
    cr_assert_eq(d.replicas, 1);
    cr_assert_eq(d.reason, SL_SCALE_FROM_ZERO);
}

Test(autoscaler, follows_the_formula_up_at_once)
{
    cr_assert_eq(decide(0, 0, 2).replicas, 1);
    struct sl_scale_decision d = decide(SECOND, 1, 2);
    cr_assert_eq(d.replicas, 2, "3 over 2 each are 2 replicas");
    cr_assert_eq(decide(SECOND, 0, 4).replicas, 2);
    cr_assert_eq(decide(SECOND, 5, 4).replicas, 5);
    d = decide(SECOND, 100, 0);
    cr_assert_eq(d.replicas, 10);
    cr_assert_eq(decide(SECOND, 100, 0).reason, SL_SCALE_AT_MAX);
}

Test(autoscaler, goes_up_only_when_it_lasts)
{
    settings.up_delay_ns = 30 * SECOND;
    settings.min_replicas = 1;
    settings.panic_threshold = 0;
    uint32_t changes = 0;
    cr_assert_eq(last(29 * SECOND, 6, &changes).replicas, 1);
    cr_assert_eq(decide(0, 0, 2).reason, SL_SCALE_STEADY); /* One contrary moment. */
    cr_assert_eq(last(29 * SECOND, 6, &changes).reason, SL_SCALE_UP_SOON);
    cr_assert_eq(last(2 * SECOND, 6, &changes).replicas, 3);
    cr_assert_eq(changes, 1);
}

Test(autoscaler, goes_down_after_the_delay_and_to_zero_after_another)
{
    settings.down_delay_ns = 60 * SECOND;
    settings.zero_delay_ns = 300 * SECOND;
    settings.panic_threshold = 0;
    uint32_t changes = 0;
    cr_assert_eq(decide(0, 10, 0).replicas, 5);
    struct sl_scale_decision d = last(59 * SECOND, 0, &changes);
    cr_assert_eq(d.replicas, 5);
    cr_assert_eq(d.reason, SL_SCALE_DOWN_SOON);
    cr_assert_eq(d.next_ns, now_ns + SECOND);
    d = last(SECOND, 0, &changes);
    cr_assert_eq(d.replicas, 1);
    cr_assert_eq(d.reason, SL_SCALE_DOWN);
    cr_assert_eq(last(239 * SECOND, 0, &changes).replicas, 1);
    d = last(SECOND, 0, &changes);
    cr_assert_eq(d.replicas, 0);
    cr_assert_eq(d.reason, SL_SCALE_TO_ZERO);
    cr_assert_eq(d.next_ns, UINT64_MAX);
}

/* ray #59076: a minimum of zero was not taken, and nothing ever went to zero. */
Test(autoscaler, a_minimum_of_zero_is_taken)
{
    uint32_t changes = 0;
    cr_assert_eq(settings.min_replicas, 0);
    cr_assert_eq(decide(0, 1, 0).replicas, 1);
    cr_assert_eq(last(3600 * SECOND, 0, &changes).replicas, 0);
}

Test(autoscaler, a_minimum_of_two_is_kept)
{
    uint32_t changes = 0;
    settings.min_replicas = 2;
    struct sl_scale_decision d = last(3600 * SECOND, 0, &changes);
    cr_assert_eq(d.replicas, 2);
    cr_assert_eq(d.reason, SL_SCALE_AT_MIN);
    cr_assert_eq(changes, 0);
}

/* ray PR 61731: its own decisions fed back into its input, and it went to the maximum with no
 * traffic at all. */
Test(autoscaler, nothing_is_started_without_traffic)
{
    static const double factors[] = {0.1, 1, 10};
    for (uint32_t i = 0; i < SL_COUNT_OF(factors); i++) {
        settings = sl_scale_settings_default();
        settings.max_replicas = 10;
        settings.min_replicas = i;
        settings.up_factor = factors[i];
        uint32_t changes = 0;
        cr_assert_eq(last(3600 * SECOND, 0, &changes).replicas, i);
        cr_assert_eq(changes, 0);
        sl_autoscaler_destroy(&a);
    }
}

/* ray #24793: what waits was not counted, so that a target of 1 with one call at a time never went
 * up. */
Test(autoscaler, what_waits_is_counted)
{
    settings.target_ongoing = 1;
    cr_assert_eq(decide(0, 0, 1).replicas, 1);
    cr_assert_eq(decide(SECOND, 3, 1).replicas, 4);
    sl_autoscaler_destroy(&a);
    settings.look_back_ns = 30 * SECOND; /* One more at once, before the mean has heard of it. */
    cr_assert_eq(decide(0, 0, 1).replicas, 1);
    cr_assert_eq(decide(SECOND, 1, 1).replicas, 2);
}

/* ray #63279: up and down again, for ever, under a load that did not change. */
Test(autoscaler, does_not_oscillate_under_a_constant_load)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sl_random random;
        settings = sl_scale_settings_default();
        settings.max_replicas = 100;
        settings.look_back_ns = 30 * SECOND;
        sl_random_seed(&random, seed);
        uint32_t mean = (uint32_t)(1 + 2 * sl_random_below(&random, 20)), changes = 0;
        (void)last(60 * SECOND, mean, &changes);
        changes = 0;
        for (uint64_t i = 0; i < 600 * 20; i++) { /* 10 minutes; a tenth more or less. */
            uint32_t noise = (uint32_t)sl_random_below(&random, mean / 5 + 1);
            uint32_t before = decide(0, 0, mean).replicas;
            changes += decide(SECOND / 20, 0, mean - mean / 10 + noise).replicas != before;
        }
        cr_assert_leq(changes, 1, "seed %lu: %u changes", (unsigned long)seed, changes);
        sl_autoscaler_destroy(&a);
    }
}

Test(autoscaler, a_burst_is_met_at_once_and_outlived)
{
    settings.look_back_ns = 60 * SECOND;
    settings.min_replicas = 2;
    settings.down_delay_ns = 0;
    uint32_t changes = 0;
    cr_assert_eq(last(60 * SECOND, 4, &changes).replicas, 2);
    struct sl_scale_decision d = decide(0, 3, 4);
    cr_assert_eq(d.replicas, 3, "not twice what they are for: one more, and the mean decides");
    cr_assert_eq(decide(0, 11, 4).replicas, 3, "it may be chance");
    d = decide(0, 13, 6);
    cr_assert(d.facts.is_panic);
    cr_assert_eq(d.reason, SL_SCALE_PANIC);
    cr_assert_eq(d.replicas, 10);
    d = decide(SECOND, 0, 4);
    cr_assert_eq(d.replicas, 10, "not down while a burst was just there");
    cr_assert_eq(last(61 * SECOND, 4, &changes).replicas, 2);
}

Test(autoscaler, goes_a_part_of_the_way_and_no_faster_than_its_rate)
{
    settings.up_factor = 0.5;
    cr_assert_eq(decide(0, 0, 1).replicas, 1);
    cr_assert_eq(decide(SECOND, 16, 0).replicas, 5, "half the way from 1 to 8, rounded up");
    settings.up_factor = 1;
    settings.up_rate = 1.5;
    settings.panic_threshold = 0;
    sl_autoscaler_configure(a, &settings, now_ns);
    cr_assert_eq(decide(SECOND, 100, 0).replicas, 8);
    settings.down_factor = 0.01;
    settings.down_delay_ns = SECOND;
    sl_autoscaler_configure(a, &settings, now_ns);
    uint32_t changes = 0;
    cr_assert_eq(last(600 * SECOND, 2, &changes).replicas, 1, "a small factor ends some day");
}

Test(autoscaler, says_that_there_is_no_room)
{
    (void)decide(0, 0, 0);
    struct sl_scale_input input = {.at_ns = now_ns, .waiting = 20, .room = 3};
    struct sl_scale_decision d = sl_autoscaler_decide(a, &input);
    cr_assert_eq(d.replicas, 3);
    d = sl_autoscaler_decide(a, &input);
    cr_assert_eq(d.reason, SL_SCALE_NO_ROOM);
    input.room = ROOM;
    cr_assert_eq(sl_autoscaler_decide(a, &input).replicas, 10);
}

Test(autoscaler, refuses_settings_that_make_no_sense)
{
    struct sl_scale_settings good = settings;
    cr_assert_null(sl_scale_settings_check(&good));
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        settings = good;                                                                           \
        settings.member = value;                                                                   \
        cr_expect_not_null(sl_scale_settings_check(&settings), #member);                           \
    } while (0)
    REFUSED(max_replicas, 0);
    REFUSED(max_replicas, 1001);
    REFUSED(min_replicas, 11);
    REFUSED(initial_replicas, 11);
    REFUSED(target_ongoing, 0);
    REFUSED(target_ongoing, 0.0 / 0.0);
    REFUSED(up_factor, -1);
    REFUSED(down_rate, 1);
    REFUSED(panic_threshold, -1);
    REFUSED(panic_ns, 1);
#undef REFUSED
    for (uint32_t i = 0; i < SL_SCALE_REASONS; i++) {
        cr_assert_not_null(sl_scale_reason_name((enum sl_scale_reason)i));
        cr_assert_not_null(sl_scale_reason_text((enum sl_scale_reason)i));
    }
}

/* Twelve tasks for one replica that is for two: six, at once. */
Test(autoscaler, a_first_burst_is_met_in_full_at_once)
{
    settings = sl_scale_settings_default();
    settings.max_replicas = 10;
    cr_assert_eq(decide(0, 1, 0).replicas, 1);
    cr_assert_eq(decide(0, 3, 0).replicas, 2, "over the target: one more, on the event itself");
    struct sl_scale_decision d = decide(SECOND / 1000, 10, 2);
    cr_assert_eq(d.replicas, 3, "the mean is behind, and this may be chance");
    d = decide(SECOND / 1000, 22, 2);
    cr_assert_eq(d.replicas, 10);
    cr_assert_eq(d.reason, SL_SCALE_PANIC);
}

/* Whatever comes: within the bounds; the same again for the same inputs; and it says when it wants
 * to be asked, so that who asks no sooner misses nothing. */
/* It used to want to be asked a nanosecond later, for as long as the burst lasted. */
Test(autoscaler, rests_during_a_burst_without_a_look_back)
{
    settings.max_replicas = 2; /* So the burst goes on. */
    struct sl_scale_decision d = decide(0, 100, 0);
    uint64_t end_ns = now_ns + 20 * SECOND;
    uint32_t asked = 0;
    while (d.next_ns <= end_ns && asked < 1000) {
        d = decide(d.next_ns - now_ns, 100, 2);
        asked++;
    }
    cr_assert_lt(asked, 1000, "asked %u times in 20 s", asked);
    cr_assert_eq(d.replicas, 2);
}

Test(autoscaler, keeps_its_bounds_and_repeats_itself)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sl_random random;
        sl_random_seed(&random, seed);
        settings = sl_scale_settings_default();
        settings.max_replicas = (uint32_t)(1 + sl_random_below(&random, 20));
        settings.min_replicas = (uint32_t)sl_random_below(&random, settings.max_replicas + 1);
        settings.up_delay_ns = sl_random_below(&random, 5) * SECOND;
        settings.down_delay_ns = sl_random_below(&random, 50) * SECOND;
        settings.zero_delay_ns = sl_random_below(&random, 50) * SECOND;
        settings.look_back_ns = sl_random_below(&random, 10) * SECOND;
        settings.panic_ns = settings.look_back_ns / 10;
        struct sl_autoscaler *twin = sl_autoscaler_create(&settings, now_ns);
        a = sl_autoscaler_create(&settings, now_ns);
        for (uint32_t i = 0; i < 300; i++) {
            now_ns += sl_random_below(&random, 3 * SECOND);
            struct sl_scale_input input = {
                .at_ns = now_ns,
                .waiting = (uint32_t)sl_random_below(&random, 1 + 20 * (i / 50 % 2)),
                .running = (uint32_t)sl_random_below(&random, 5),
                .room = (uint32_t)sl_random_below(&random, 30)};
            struct sl_scale_decision d = sl_autoscaler_decide(a, &input);
            struct sl_scale_decision again = sl_autoscaler_decide(twin, &input);
            cr_assert_geq(d.replicas, settings.min_replicas);
            cr_assert_leq(d.replicas, settings.max_replicas);
            cr_assert_eq(d.replicas, again.replicas);
            cr_assert_eq(d.next_ns, again.next_ns);
            cr_assert(d.facts.stable == again.facts.stable && d.facts.burst == again.facts.burst);
            cr_assert_gt(d.next_ns, now_ns);
        }
        sl_autoscaler_destroy(&a);
        sl_autoscaler_destroy(&twin);
    }
}
