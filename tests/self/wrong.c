/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: a test that fails, one that crashes, and one that passes. */
#include <criterion/criterion.h>
#include <signal.h>

Test(planted, fails)
{
    cr_assert_eq(1, 2);
}

Test(planted, crashes)
{
    raise(SIGKILL);
}

Test(planted, holds)
{
    cr_assert_eq(1, 1);
}
