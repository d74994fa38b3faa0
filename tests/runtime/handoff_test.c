/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "runtime/handoff.h"

Test(handoff, gives_the_text_that_was_there_before_the_wait)
{
    struct sl_handoff *h = sl_handoff_create();
    struct sl_buf out = {0};
    sl_buf_append_str(&out, "before ");
    sl_handoff_give(h, sl_slice_str("text"));
    cr_assert(sl_handoff_take(h, 0, &out));
    cr_assert(sl_slice_is(sl_buf_slice(&out), "before text"));
    sl_buf_deinit(&out);
}

Test(handoff, returns_when_nothing_came_and_the_late_giver_frees)
{
    struct sl_handoff *h = sl_handoff_create();
    struct sl_buf out = {0};
    cr_assert_not(sl_handoff_take(h, SL_MILLI_NS, &out));
    cr_assert_eq(out.size, 0);
    sl_handoff_give(h, sl_slice_str("too late")); /* Freed here: a leak fails the sanitizer run. */
}

static void *
give(void *h)
{
    sl_handoff_give(h, sl_slice_str("x"));
    return NULL;
}

Test(handoff, crosses_threads_whoever_is_first, .timeout = 30)
{
    for (int round = 0; round < 500; round++) {
        struct sl_handoff *h = sl_handoff_create();
        struct sl_buf out = {0};
        pthread_t giver;
        cr_assert_eq(pthread_create(&giver, NULL, give, h), 0);
        /* Of every second one the taker gives up at about the moment the text comes. */
        uint64_t timeout_ns = round % 2 == 0 ? 30 * SL_SECOND_NS : 20 * SL_MICRO_NS;
        bool is_given = sl_handoff_take(h, timeout_ns, &out);
        cr_assert(is_given || round % 2 == 1);
        cr_assert_eq(out.size, is_given ? 1 : 0);
        pthread_join(giver, NULL);
        sl_buf_deinit(&out);
    }
}
