/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many descriptors this process has open: the same before and after what must leak none. A
 * number, not where the next one lands: whoever started the test may have left some of its own
 * open, with gaps between them.
 */
#pragma once

#include <criterion/criterion.h>
#include <dirent.h>

static inline uint32_t
descriptors_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint32_t count = 0;
    cr_assert_not_null(directory);
    while (readdir(directory) != NULL)
        count++;
    cr_assert_eq(closedir(directory), 0);
    return count;
}
