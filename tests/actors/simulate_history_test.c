/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_history.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MINUTE_NS (60 * SL_SECOND_NS)

static char failure[256];

/* Whether a history passes; `failure` tells why not. A rest after it, if it ends with none. */
static bool
passes(const struct sl_history_event *events, size_t count)
{
    struct sl_history h = {0};
    struct sl_history_event rest = {.what = SL_HISTORY_REST, .at_ns = events[count - 1].at_ns};
    failure[0] = '\0';
    for (size_t i = 0; i < count; i++)
        sl_history_add(&h, &events[i]);
    sl_history_add(&h, &rest);
    bool is_ok = sl_history_check(&h, failure, sizeof(failure));
    sl_history_deinit(&h);
    return is_ok;
}

#define E(WHAT, ...) ((struct sl_history_event){.what = SL_HISTORY_##WHAT, __VA_ARGS__})
#define PASSES(...)                                                                                \
    passes((struct sl_history_event[]){__VA_ARGS__},                                               \
           sizeof((struct sl_history_event[]){__VA_ARGS__}) / sizeof(struct sl_history_event))
#define FAILS_WITH(text, ...)                                                                      \
    do {                                                                                           \
        cr_assert_not(PASSES(__VA_ARGS__));                                                        \
        cr_assert_not_null(strstr(failure, text), "%s", failure);                                  \
    } while (0)

#define SUBMIT E(SUBMIT, .value = 2, .node = 1, .tenant = 4)
#define ACK    E(ACK, .job = 0)
#define LEASE  E(LEASE, .value = 10, .node = 2, .tenant = 4)
#define TAKEN  E(TAKEN, .value = 10)
#define ENDED  E(ENDED, .job = 0)

Test(simulate_history, takes_a_job_that_goes_in_and_comes_out_once)
{
    cr_assert(PASSES(SUBMIT, ACK, LEASE, TAKEN, E(DURABLE), ENDED), "%s", failure);
}

Test(simulate_history, finds_what_is_lost)
{
    FAILS_WITH("lost: job 0", SUBMIT, ACK, LEASE, TAKEN);
    cr_assert(PASSES(SUBMIT, ACK, E(CANCEL, .job = 0)), "%s", failure);
    cr_assert(PASSES(SUBMIT), "%s", failure); /* Nobody was told that it was taken. */
}

Test(simulate_history, finds_an_end_that_counts_twice)
{
    FAILS_WITH("duplicated", SUBMIT, LEASE, TAKEN, E(LEASE, .value = 11, .node = 2, .tenant = 4),
               E(TAKEN, .value = 11));
    /* A part is no end; and what was taken before a crash may be lost with it. */
    cr_assert(PASSES(SUBMIT, LEASE, E(PART, .value = 10),
                     E(LEASE, .value = 11, .node = 2, .tenant = 4), E(TAKEN, .value = 11)),
              "%s", failure);
    cr_assert(PASSES(SUBMIT, LEASE, TAKEN, E(DEATH), E(LEASE, .value = 11, .node = 2, .tenant = 4),
                     E(TAKEN, .value = 11)),
              "%s", failure);
}

Test(simulate_history, finds_what_comes_back_from_the_dead)
{
    FAILS_WITH("resurrected", SUBMIT, LEASE, TAKEN, E(DURABLE), E(DEATH),
               E(LEASE, .value = 11, .node = 2, .tenant = 4));
    FAILS_WITH("resurrected", SUBMIT, ACK, E(CANCEL, .job = 0), LEASE);
}

Test(simulate_history, finds_a_task_with_two_holders_until_its_lease_is_over)
{
    struct sl_history_event second = E(LEASE, .value = 11, .node = 3, .tenant = 4);
    second.at_ns = SL_HISTORY_LEASE_NS - 1;
    FAILS_WITH("doubly placed", SUBMIT, LEASE, second);
    cr_assert(PASSES(SUBMIT, LEASE, E(GONE, .node = 2), second), "%s", failure);
    cr_assert(PASSES(SUBMIT, LEASE, E(DEATH), second), "%s", failure);
    FAILS_WITH("doubly placed", SUBMIT, LEASE, E(GONE, .node = 3), second);
    second.at_ns = SL_HISTORY_LEASE_NS;
    cr_assert(PASSES(SUBMIT, LEASE, second), "%s", failure);
    FAILS_WITH("doubly placed", SUBMIT, LEASE, E(BEAT, .node = 2, .at_ns = 1), second);
    /* A beat that comes after it is over, as behind a cut, does not bring it back. */
    struct sl_history_event late = E(BEAT, .node = 2, .at_ns = SL_HISTORY_LEASE_NS);
    second.at_ns = SL_HISTORY_LEASE_NS + 1;
    cr_assert(PASSES(SUBMIT, LEASE, late, second), "%s", failure);
}

Test(simulate_history, finds_a_task_that_is_kept_though_no_link_took_it)
{
    struct sl_history_event two = E(SUBMIT, .value = 2, .node = 1, .tenant = 4);
    struct sl_history_event other = E(LEASE, .task = 1, .value = 11, .node = 3, .tenant = 4);
    struct sl_history_event again = E(LEASE, .value = 12, .node = 3, .tenant = 4);
    cr_assert(PASSES(two, LEASE, other, E(UNSENT, .value = 10), again), "%s", failure);
    FAILS_WITH("unsent: job 0 task 1", two, LEASE, E(UNSENT, .value = 10), other);
    struct sl_history_event next = E(LEASE, .job = 1, .value = 13, .node = 3, .tenant = 4);
    next.at_ns = SL_HISTORY_UNSENT_NS;
    cr_assert(PASSES(two, LEASE, E(UNSENT, .value = 10, .tenant = 4), next, again), "%s", failure);
    next.at_ns++;
    FAILS_WITH("job 0 task 0, which no link took", two, LEASE, E(UNSENT, .value = 10, .tenant = 4),
               next);
    /* More urgent work may have its turn for as long as there is some. */
    struct sl_history_event urgent = E(SUBMIT, .job = 1, .task = 1, .value = 1, .tenant = 4);
    cr_assert(PASSES(two, urgent, LEASE, E(UNSENT, .value = 10, .tenant = 4), next), "%s", failure);
    urgent.task = 0;
    FAILS_WITH("job 0 task 0, which no link took", two, urgent, LEASE,
               E(UNSENT, .value = 10, .tenant = 4), next);
    cr_assert(PASSES(two, LEASE, E(UNSENT, .value = 9), other), "%s", failure);
    cr_assert(PASSES(two, LEASE, E(UNSENT, .value = 10), E(DEATH), other), "%s", failure);
    again.value = 11;
    other.value = 12;
    cr_assert(PASSES(two, LEASE, E(UNSENT, .value = 10), again, other), "%s", failure);
}

Test(simulate_history, finds_an_end_under_a_void_lease)
{
    FAILS_WITH("stale", SUBMIT, LEASE, E(GONE, .node = 2), TAKEN);
    FAILS_WITH("stale", SUBMIT, LEASE, E(TAKEN, .value = 9));
    FAILS_WITH("comes after", SUBMIT, LEASE, E(GONE, .node = 2), LEASE);
}

/* Tenant 2 is leased a task and has had a second of service, then gets another; tenant 1 waits. */
Test(simulate_history, finds_a_tenant_that_is_served_out_of_its_turn)
{
    struct sl_history_event own = E(SUBMIT, .job = 1, .value = 3, .node = 1, .tenant = 8);
    struct sl_history_event dear = E(LEASE, .job = 1, .value = 20, .node = 2, .tenant = 8);
    struct sl_history_event taken = E(TAKEN, .job = 1, .value = 20, .at_ns = SL_SECOND_NS);
    struct sl_history_event next = E(LEASE, .job = 1, .task = 1, .value = 21, .tenant = 8);
    taken.served_ns = SL_SECOND_NS;
    FAILS_WITH("share: tenant 2", SUBMIT, own, LEASE, dear, taken, next);
    cr_assert(PASSES(own, dear, taken, next), "%s", failure);
    cr_assert(PASSES(SUBMIT, own, LEASE, dear, taken, E(DEATH), next), "%s", failure);
    /* While payloads may not be readable nobody knows whose tasks wait. */
    cr_assert(PASSES(SUBMIT, own, LEASE, dear, taken, E(UNREAD), next), "%s", failure);
    cr_assert(PASSES(E(UNREAD), E(BOOT), SUBMIT, own, LEASE, dear, taken, next), "%s", failure);
    FAILS_WITH("share: tenant 2", E(UNREAD), E(BOOT), E(BOOT), SUBMIT, own, LEASE, dear, taken,
               next);
    /* What came back was no service; and no end is of more than has passed since its lease. */
    cr_assert(PASSES(SUBMIT, own, LEASE, dear, E(GONE, .node = 2), next), "%s", failure);
    taken.at_ns = SL_MILLI_NS;
    cr_assert(PASSES(SUBMIT, own, LEASE, dear, taken, next), "%s", failure);
}

Test(simulate_history, finds_calls_without_their_one_answer_in_time)
{
    struct sl_history_event late = E(ANSWER, .value = 1, .at_ns = SL_HISTORY_ANSWER_NS + 1);
    FAILS_WITH("calls", E(CALL, .value = 1), late);
    FAILS_WITH("calls", E(CALL, .value = 1), E(ANSWER, .value = 1), E(ANSWER, .value = 1));
    FAILS_WITH("calls", E(ANSWER, .value = 1));
    FAILS_WITH("got no answer", E(CALL, .value = 1), E(BOOT, .at_ns = 1),
               E(CALL, .value = 2, .at_ns = 2), E(CANCEL, .job = 0, .at_ns = MINUTE_NS));
    cr_assert(PASSES(E(CALL, .value = 1), E(PAUSE, .value = SL_SECOND_NS), late), "%s", failure);
    cr_assert(PASSES(E(CALL, .value = 1), E(DEATH, .at_ns = MINUTE_NS)), "%s", failure);
}

Test(simulate_history, finds_that_nothing_came_to_rest)
{
    struct sl_history h = {0};
    struct sl_history_event events[] = {SUBMIT, ACK};
    for (size_t i = 0; i < SL_COUNT_OF(events); i++)
        sl_history_add(&h, &events[i]);
    cr_assert_not(sl_history_check(&h, failure, sizeof(failure)));
    cr_assert_str_eq(failure, "stuck: job 0 was acknowledged and has no end");
    sl_history_deinit(&h);
}

Test(simulate_history, takes_what_was_known_late_in_its_place)
{
    struct sl_history h = {0};
    struct sl_history_event events[] = {SUBMIT, LEASE,
                                        E(LEASE, .value = 11, .node = 3, .tenant = 4)};
    for (size_t i = 0; i < SL_COUNT_OF(events); i++)
        sl_history_add(&h, &events[i]);
    struct sl_history_event part = E(PART, .value = 10);
    sl_history_insert(&h, 2, &part);
    sl_history_add(&h, &E(REST));
    cr_assert(sl_history_check(&h, failure, sizeof(failure)), "%s", failure);
    sl_history_deinit(&h);
}
