/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/rows.h"

#include <criterion/criterion.h>

Test(rows, a_key_joins_its_parts_with_a_nul_and_gives_them_back)
{
    struct sl_buf buf = {0};
    struct sl_slice key = sl_key(&buf, 3, "ns_1", "", "bkt_2");
    cr_assert(sl_slice_equal(key, sl_slice("ns_1\0\0bkt_2", 11)));
    cr_assert(sl_slice_is(sl_key_part(key, 0), "ns_1"));
    cr_assert_eq(sl_key_part(key, 1).size, 0);
    cr_assert(sl_slice_is(sl_key_part(key, 2), "bkt_2"));
    cr_assert_eq(sl_key_part(key, 3).size, 0);
    cr_assert_eq(sl_key_part(sl_slice(NULL, 0), 0).size, 0);
    sl_buf_deinit(&buf);
}

Test(rows, a_prefix_of_parts_matches_no_longer_name)
{
    struct sl_buf a = {0}, b = {0};
    struct sl_slice prefix = sl_key_prefix(&a, 1, "bkt_1");
    struct sl_slice key = sl_key(&b, 2, "bkt_12", "obj");
    cr_assert_neq(memcmp(prefix.data, key.data, prefix.size), 0);
    key = sl_key(&b, 2, "bkt_1", "obj");
    cr_assert_eq(memcmp(prefix.data, key.data, prefix.size), 0);
    cr_assert_eq(sl_key_prefix(&a, 0).size, 0);
    sl_buf_deinit(&a);
    sl_buf_deinit(&b);
}
