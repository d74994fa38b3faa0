/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: a write one byte past the end. */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(planted, writes_past_the_end)
{
    volatile char *bytes = malloc(8);
    volatile size_t end = 8;

    bytes[end] = 1;
    free((void *)bytes);
}
