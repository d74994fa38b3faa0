/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/run_queue.h"

static int entries[SL_RUN_QUEUE_SIZE * 4];

Test(run_queue, is_first_in_first_out_and_wraps)
{
    static struct sl_run_queue q;
    uint32_t in = 0, out = 0;
    cr_assert_null(sl_run_queue_pop(&q));
    while (out < SL_COUNT_OF(entries)) {
        for (int i = 0; i < 3 && in < SL_COUNT_OF(entries); i++)
            cr_assert(sl_run_queue_push(&q, &entries[in++]));
        for (int i = 0; i < 3 && out < in; i++)
            cr_assert_eq(sl_run_queue_pop(&q), &entries[out++]);
    }
    cr_assert_null(sl_run_queue_pop(&q));
}

Test(run_queue, refuses_what_it_has_no_room_for)
{
    static struct sl_run_queue q;
    for (uint32_t i = 0; i < SL_RUN_QUEUE_SIZE; i++)
        cr_assert(sl_run_queue_push(&q, &entries[i]));
    cr_assert_not(sl_run_queue_push(&q, &entries[0]));
    cr_assert_eq(sl_run_queue_pop(&q), &entries[0]);
    cr_assert(sl_run_queue_push(&q, &entries[SL_RUN_QUEUE_SIZE]));
}

Test(run_queue, a_thief_gets_the_older_half)
{
    static struct sl_run_queue from, to;
    for (uint32_t i = 0; i < 5; i++)
        sl_run_queue_push(&from, &entries[i]);
    cr_assert_eq(sl_run_queue_steal(&to, &from), &entries[0]);
    cr_assert_eq(sl_run_queue_count(&to), 2);
    cr_assert_eq(sl_run_queue_pop(&to), &entries[1]);
    cr_assert_eq(sl_run_queue_pop(&to), &entries[2]);
    cr_assert_eq(sl_run_queue_count(&from), 2);
    cr_assert_eq(sl_run_queue_pop(&from), &entries[3]);
}

Test(run_queue, a_thief_gets_the_last_one_and_nothing_from_an_empty_one)
{
    static struct sl_run_queue from, to;
    sl_run_queue_push(&from, &entries[0]);
    cr_assert_eq(sl_run_queue_steal(&to, &from), &entries[0]);
    cr_assert_eq(sl_run_queue_count(&to), 0);
    cr_assert_null(sl_run_queue_steal(&to, &from));
}
