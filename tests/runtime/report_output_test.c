/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/report_output.h"
#include "runtime/report_tap.h"
#include "runtime/time.h"

static struct sl_report_tap *tap;
static struct sl_report_output output;
static char seen[1024];

static void
setup(void)
{
    tap = sl_report_tap_create();
    cr_assert_not_null(tap);
    sl_report_output_init(&output, &(struct sl_report_source){.role = "replica", .pid = 7});
}

static void
teardown(void)
{
    sl_report_tap_destroy(&tap);
}

TestSuite(report_output, .init = setup, .fini = teardown, .timeout = 60);

static void
take(void *arg, const struct sl_report_entry *e)
{
    (void)arg;
    size_t size = strlen(seen);
    (void)snprintf(seen + size, sizeof(seen) - size, "%.40s|", e->texts[SL_REPORT_message]);
}

/* The last lines, once one has come that ends them. */
static struct sl_report_walk
lines(void)
{
    struct sl_report_wanted last = {.limit = 1, .texts = {[SL_REPORT_event] = "end"}};
    struct sl_report_walk walk;
    uint64_t from = sl_report_tap_newest(tap);
    sl_report_info("end", "n=1");
    last.is_forward = true;
    last.from = from;
    do {
        sl_report_tap_find(tap, &last, take, NULL, &walk);
        sl_time_sleep_ns(SL_MILLI_NS);
    } while (walk.count == 0);
    seen[0] = '\0';
    const struct sl_report_wanted all = {.limit = 100000, .texts = {[SL_REPORT_role] = "replica"}};
    sl_report_tap_find(tap, &all, take, NULL, &walk);
    return walk;
}

static void
print(const char *text, uint64_t now_ns)
{
    sl_report_output_take(&output, sl_slice_str(text), now_ns);
}

Test(report_output, tells_whole_lines_and_the_last_one_at_the_end)
{
    print("one\ntw", 1);
    print("o\n\nthree", 1);
    (void)lines();
    cr_expect_str_eq(seen, "two|one|");
    sl_report_output_end(&output, 1);
    (void)lines();
    cr_expect_str_eq(seen, "three|two|one|");
}

Test(report_output, a_line_that_is_too_long_is_cut)
{
    for (int i = 0; i < 5000; i++)
        print("x", 1);
    print("\nshort\n", 1);
    cr_expect_eq(lines().count, 2);
}

Test(report_output, tells_so_much_and_counts_what_is_over_it)
{
    for (int i = 0; i < 5000; i++)
        print("x\n", 1);
    uint32_t count = lines().count;
    cr_expect_leq(count, SL_REPORT_OUTPUT_BURST / 129);
    print("y\n", 1 + 10 * SL_SECOND_NS);
    (void)lines();
    cr_expect_eq(strncmp(seen, "y|lines-left-out lines=", 23), 0, "%.60s", seen);
}

Test(report_output, without_a_tap_nothing_is_told)
{
    sl_report_tap_destroy(&tap);
    print("x\n", 1);
    sl_report_output_end(&output, 1);
}
