/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/simulate_verb.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli.h"

static void
quiet(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
}

TestSuite(simulate_verb, .init = quiet);

static int
run(const char *option, const char *value)
{
    char *argv[] = {(char *)"simulate", (char *)option, (char *)value, NULL};
    return sl_simulate_main(value == NULL ? 2 : 3, argv);
}

Test(simulate_verb, runs_the_seeds_it_is_given_and_counts_them)
{
    cr_assert_eq(run("--seeds", "3..4"), SL_EXIT_OK);
    fflush(stdout);
    char text[1024] = "";
    FILE *out = cr_get_redirected_stdout();
    size_t size = fread(text, 1, sizeof(text) - 1, out);
    text[size] = '\0';
    cr_assert_not_null(strstr(text, "\n2 seeds run, 0 failed; "), "%s", text);
}

Test(simulate_verb, refuses_what_it_cannot_read)
{
    static const char *const bad[][2] = {
        {"--seeds", NULL},
        {"--seeds", ""},
        {"--seeds", "4..3"},
        {"--seeds", "1..x"},
        {"--seeds", "1.."},
        {"--seeds", "1...2"},
        {"--seeds", "0..99999999999"},
        {"--seeds", "99999999999999999999999"},
        {"--faults", "rain"},
        {"--faults", "head,"},
        {"--minutes", "0"},
        {"--minutes", "-1"},
        {"--minutes", "5m"},
        {"--minutes", "99999"},
        {"--speed", "1"},
        {"3", NULL},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_assert_eq(run(bad[i][0], bad[i][1]), SL_EXIT_USAGE, "%s %s", bad[i][0],
                     bad[i][1] == NULL ? "" : bad[i][1]);
    cr_assert_eq(run("--help", NULL), SL_EXIT_OK);
}
