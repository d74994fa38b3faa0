/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/call_table.h"
#include "runtime/random.h"

Test(call_table, expires_in_order_of_deadlines_and_not_before_them)
{
    struct sl_call_table t = {0};
    struct sl_call call;
    for (uint64_t i = 0; i < 20; i++)
        cr_assert_eq(
            sl_call_table_add(&t, &(struct sl_call){.deadline_ns = (i * 7) % 20 + 1, .request = i}),
            SL_OK);
    cr_assert_not(sl_call_table_expire(&t, 0, &call));
    for (uint64_t i = 1; i <= 20; i++) {
        cr_assert_eq(sl_call_table_next_ns(&t), i);
        cr_assert(sl_call_table_expire(&t, i, &call));
        cr_assert_eq(call.deadline_ns, i);
        cr_assert_eq((call.request * 7) % 20 + 1, i);
    }
    cr_assert_eq(sl_call_table_next_ns(&t), UINT64_MAX);
    sl_call_table_deinit(&t);
}

Test(call_table, has_a_bound)
{
    struct sl_call_table t = {0};
    for (uint64_t i = 0; i < SL_CALLS_MAX; i++)
        cr_assert_eq(sl_call_table_add(&t, &(struct sl_call){.request = i}), SL_OK);
    cr_assert_eq(sl_call_table_add(&t, &(struct sl_call){.request = SL_CALLS_MAX}), SL_EFULL);
    sl_call_table_deinit(&t);
}

/* Against an array that is searched from end to end. */
Test(call_table, finds_and_removes_what_a_plain_list_does)
{
    enum { MOST = 300 };
    struct sl_call_table t = {0};
    struct sl_call list[MOST], call;
    uint32_t count = 0;
    uint64_t request = 0, now_ns = 0;
    struct sl_random random;
    sl_random_seed(&random, 11);
    for (int round = 0; round < 20000; round++) {
        uint64_t what = sl_random_below(&random, 5);
        if (what < 2 && count < MOST) {
            /* Numbers as calls have them: the lower half is always the same. */
            list[count] = (struct sl_call){.deadline_ns = now_ns + sl_random_below(&random, 100),
                                           .request = ++request << 32 | 77};
            cr_assert_eq(sl_call_table_add(&t, &list[count++]), SL_OK);
        } else if (what < 4 && count > 0) {
            uint32_t at = (uint32_t)sl_random_below(&random, count);
            cr_assert(sl_call_table_remove(&t, list[at].request));
            cr_assert_not(sl_call_table_remove(&t, list[at].request));
            list[at] = list[--count];
        } else {
            now_ns += 3;
            while (sl_call_table_expire(&t, now_ns, &call)) {
                uint32_t at = 0;
                while (at < count && list[at].request != call.request)
                    at++;
                cr_assert_lt(at, count);
                list[at] = list[--count];
            }
            for (uint32_t i = 0; i < count; i++)
                cr_assert_gt(list[i].deadline_ns, now_ns);
        }
        cr_assert_eq(t.count, count);
    }
    sl_call_table_deinit(&t);
}
