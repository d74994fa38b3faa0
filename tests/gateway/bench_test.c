/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "gateway/bench.h"

static int
run(const char *a, const char *b)
{
    char *argv[] = {(char *)"bench", (char *)a, (char *)b, NULL};
    return sl_bench_main(b == NULL ? 2 : 3, argv);
}

Test(bench, median_is_the_middle_or_between_the_two_in_the_middle)
{
    double one[] = {7}, odd[] = {9, 1, 5}, even[] = {4, 1, 3, 100};
    cr_assert_eq(sl_bench_median(one, 1), 7);
    cr_assert_eq(sl_bench_median(odd, 3), 5);
    cr_assert_eq(sl_bench_median(even, 4), 3.5);
}

Test(bench, suites_that_do_not_exist_end_with_two, .init = cr_redirect_stderr)
{
    cr_assert_eq(run("nonsense", NULL), 2);
    cr_assert_eq(run("ingest", "--nonsense"), 2);
    cr_assert_eq(run("--quick", NULL), 2);
}

Test(bench, memory_and_missing_directories_are_no_disk, .init = cr_redirect_stderr)
{
    cr_assert_eq(run("ingest", "--data=/dev/shm"), 1);
    cr_assert_eq(run("ingest", "--data=/nowhere/at/all"), 1);
}

Test(bench, json_lines_carry_name_value_unit_and_target, .init = cr_redirect_stdout)
{
    struct sl_bench bench = {.is_json = true};
    sl_bench_show(
        &bench,
        &(struct sl_bench_figure){
            .name = "a.b", .unit = "ms", .goal = SL_BENCH_AT_MOST, .target = 5, .value = 1.25});
    sl_bench_show(&bench, &(struct sl_bench_figure){.name = "c", .unit = "1/s", .value = 12345.6});
    cr_assert_stdout_eq_str(
        "{\"name\":\"a.b\",\"value\":1.25,\"unit\":\"ms\",\"target\":\"<= 5\"}\n"
        "{\"name\":\"c\",\"value\":12346,\"unit\":\"1/s\",\"target\":null}\n");
}
