/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: memory that a passing test loses. Criterion alone reports success. */
#include <criterion/criterion.h>
#include <stdlib.h>

static void *volatile lost;

Test(planted, leaks_yet_passes)
{
    lost = malloc(4321);
    cr_assert_not_null(lost);
    lost = NULL;
}
