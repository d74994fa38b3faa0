/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: a signed overflow, which has no defined result. */
#include <criterion/criterion.h>
#include <limits.h>

Test(planted, overflows_a_signed_number)
{
    volatile int number = INT_MAX;

    number = number + 1;
    cr_assert(number != 0);
}
