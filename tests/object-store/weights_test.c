/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/weights.h"

#include <criterion/criterion.h>

Test(weights, row_major_is_what_fill_makes_and_nothing_else)
{
    struct sl_weight w = {.dims_count = 3, .shape = {2, 3, 4}};
    sl_weight_strides_fill(&w);
    cr_assert_eq(w.strides[0], 12);
    cr_assert_eq(w.strides[1], 4);
    cr_assert_eq(w.strides[2], 1);
    cr_assert(sl_weight_is_row_major(&w));
    w.strides[0] = 4;
    w.strides[1] = 8;
    cr_assert_not(sl_weight_is_row_major(&w));
}

Test(weights, where_one_element_lies_any_stride_is_row_major)
{
    struct sl_weight w = {.dims_count = 3, .shape = {2, 1, 4}, .strides = {4, 77, 1}};
    cr_assert(sl_weight_is_row_major(&w));
}

Test(weights, an_empty_or_scalar_tensor_is_row_major)
{
    struct sl_weight w = {.dims_count = 2, .shape = {0, 5}, .strides = {9, 9}};
    cr_assert(sl_weight_is_row_major(&w));
    cr_assert(sl_weight_is_row_major(&(struct sl_weight){0}));
}

Test(weights, a_shape_whose_product_does_not_fit_is_filled_without_overflow)
{
    struct sl_weight w = {.dims_count = 3, .shape = {0, UINT64_MAX, UINT64_MAX}};
    sl_weight_strides_fill(&w);
    cr_assert_eq(w.strides[2], 1);
    cr_assert(sl_weight_is_row_major(&w));
}
