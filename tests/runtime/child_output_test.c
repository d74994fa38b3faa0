/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/child_output.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/report.h"

static struct sl_child_output output;
static int in_fd, read_fd; /* What the child prints to, and what standard error is. */

static void
setup(void)
{
    int ends[2];
    cr_assert(sl_child_output_open(&output, &in_fd));
    cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    output.to_fd = ends[1];
    read_fd = ends[0];
    sl_report_level_set(SL_REPORT_ERROR);
}

TestSuite(child_output, .init = setup, .timeout = 60);

static uint64_t
read_all(void)
{
    static char data[65536];
    uint64_t sum = 0;
    for (ssize_t n; (n = read(read_fd, data, sizeof(data))) > 0;)
        sum += (uint64_t)n;
    return sum;
}

/* Print, and have it passed on and read at once. */
static uint64_t
print(uint64_t bytes, uint64_t now_ns)
{
    static char data[32768];
    uint64_t sum = 0;
    memset(data, 'x', sizeof(data));
    for (uint64_t left = bytes; left > 0;) {
        size_t size = (size_t)SL_MIN(left, (uint64_t)sizeof(data));
        cr_assert_eq(write(in_fd, data, size), (ssize_t)size);
        cr_assert(sl_child_output_take(&output, now_ns));
        sum += read_all();
        left -= size;
    }
    return sum;
}

Test(child_output, passes_on_what_is_within_the_budget)
{
    cr_assert_eq(print(SL_CHILD_OUTPUT_BURST, 1), SL_CHILD_OUTPUT_BURST);
    cr_assert_eq(output.dropped, 0);
}

Test(child_output, drops_and_counts_what_is_over_it)
{
    uint64_t passed = print(SL_MIB, 1);
    cr_assert_geq(passed, SL_CHILD_OUTPUT_BURST);
    cr_assert_leq(passed, SL_CHILD_OUTPUT_BURST + 1); /* The newline before the report. */
    cr_assert_eq(output.passed + output.dropped, SL_MIB);
}

Test(child_output, has_some_more_with_time)
{
    (void)print(SL_MIB, SL_SECOND_NS);
    uint64_t newline = 1; /* Where a line was cut. */
    cr_assert_eq(print(SL_MIB, 3 * SL_SECOND_NS), 2 * SL_CHILD_OUTPUT_SECOND + newline);
    cr_assert_eq(print(SL_MIB, 1000 * SL_SECOND_NS), SL_CHILD_OUTPUT_BURST + newline);
}

Test(child_output, never_waits_for_who_does_not_read)
{
    char data[4096] = "";
    while (write(output.to_fd, data, sizeof(data)) > 0) /* Standard error is full. */
        ;
    cr_assert_eq(write(in_fd, data, sizeof(data)), (ssize_t)sizeof(data));
    cr_assert(sl_child_output_take(&output, 1));
    cr_assert_eq(output.dropped, sizeof(data));
}

Test(child_output, takes_what_is_left_when_the_child_is_gone)
{
    cr_assert_eq(write(in_fd, "last words\n", 11), 11);
    close(in_fd);
    sl_child_output_close(&output, 1);
    cr_assert_eq(output.fd, -1);
    cr_assert_eq(read_all(), 11);
    cr_assert_not(sl_child_output_take(&output, 2));
}

Test(child_output, what_a_terminal_would_obey_is_no_longer_there)
{
    static const char printed[] = "a\x1b[2J\tb\r\xc2\x9b\xc3\xa4\n";
    char got[64] = "";
    cr_assert_eq(write(in_fd, printed, sizeof(printed) - 1), (ssize_t)sizeof(printed) - 1);
    cr_assert(sl_child_output_take(&output, 1));
    cr_assert_eq(read(read_fd, got, sizeof(got) - 1), (ssize_t)sizeof(printed) - 1);
    cr_assert_str_eq(got, "a?[2J\tb??\x9b\xc3\xa4\n");
}
