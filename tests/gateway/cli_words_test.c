/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/words.h"
#include "runtime/alloc.h"

static void
expect_orders(const char *arguments, const char *text)
{
    struct sl_slice orders[SL_CLI_ORDERS_MAX];
    struct sl_buf all = {0};
    uint32_t count = sl_cli_orders(arguments, orders);
    for (uint32_t i = 0; i < count; i++)
        sl_buf_printf(&all, "%s%.*s", i == 0 ? "" : " ", SL_SLICE_FMT(orders[i]));
    cr_assert_str_eq(sl_buf_text(&all), text, "%s", arguments);
    sl_buf_deinit(&all);
}

Test(cli_words, orders_are_what_arguments_begin_with)
{
    expect_orders("", "");
    expect_orders("PATH...", "");
    expect_orders("create ID | list | verify ID", "create list verify");
    expect_orders("list |\n    get ID | list ID", "list get");
    expect_orders("rm JOB |\n  cancel, retry, rm --queue NAME", "rm cancel retry");
    expect_orders("inspect active, scheduled [NAME] | peek NAME", "inspect peek");
    expect_orders("status", "status");
}

/* What bash offers, typed so far: the last word is to be completed. Owned. */
static char *
complete(const char *typed)
{
    struct sl_buf script = {0}, answer = {0};
    cr_assert(sl_cli_completion("bash", &script));
    char path[] = "/tmp/sluice-complete-XXXXXX", line[256];
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    cr_assert_eq(fwrite(script.data, 1, script.size, file), script.size);
    cr_assert_gt(fprintf(file, "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n", typed),
                 0);
    cr_assert_gt(fprintf(file, "_sluice; echo \"${COMPREPLY[@]}\"\n"), 0);
    cr_assert_eq(fclose(file), 0);
    char *command = sl_format("bash --norc --noprofile -u %s 2>&1", path);
    FILE *shell = popen(command, "re");
    while (fgets(line, sizeof(line), shell) != NULL)
        sl_buf_append_str(&answer, line);
    cr_assert_eq(pclose(shell), 0, "%s", sl_buf_text(&answer));
    cr_assert_eq(remove(path), 0);
    sl_free(command);
    sl_buf_deinit(&script);
    char *text = sl_format("%s", sl_buf_text(&answer));
    sl_buf_deinit(&answer);
    return text;
}

static void
expect_completion(const char *typed, const char *offered)
{
    char *text = complete(typed);
    cr_assert_str_eq(text, offered, "%s: %s", typed, text);
    sl_free(text);
}

Test(cli_words, bash_completes_verbs_orders_and_options)
{
    expect_completion("sluice ten", "tenant\n");
    expect_completion("sluice tenant ver", "verify\n");
    expect_completion("sluice tenant --pl", "--plan\n");
    expect_completion("sluice tenant --key", "--key-file\n");
    expect_completion("sluice doctor --", "--help\n");
    expect_completion("sluice none x", "\n");
}

Test(cli_words, each_shell_is_told_of_each_verb)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct sl_cli_verb v;
    struct sl_buf manual = {0};
    sl_cli_manual(&manual);
    for (size_t i = 0; i < SL_COUNT_OF(shells); i++) {
        struct sl_buf out = {0};
        cr_assert(sl_cli_completion(shells[i], &out));
        for (uint32_t at = 0; sl_cli_verb_at(at, &v); at++) {
            char *heading = sl_format("\n.SS sluice %s", v.name);
            cr_assert_not_null(strstr(sl_buf_text(&out), v.name), "%s: %s", shells[i], v.name);
            cr_assert_not_null(strstr(sl_buf_text(&manual), heading), "%s", v.name);
            sl_free(heading);
        }
        sl_buf_deinit(&out);
    }
    struct sl_buf out = {0};
    cr_assert_not(sl_cli_completion("tcsh", &out));
    cr_assert_eq(out.size, 0);
    sl_buf_deinit(&manual);
}

/* A line that begins with a dot or a quote of its own would be an order to roff. */
Test(cli_words, each_line_of_the_manual_is_text_or_a_macro)
{
    static const char *const macros[] = {".TH ", ".SH ", ".SS ", ".TP"};
    struct sl_buf manual = {0};
    sl_cli_manual(&manual);
    for (const char *at = sl_buf_text(&manual); *at != '\0'; at += *at == '\n') {
        bool is_macro = false;
        for (size_t i = 0; i < SL_COUNT_OF(macros); i++)
            is_macro = is_macro || strncmp(at, macros[i], strlen(macros[i])) == 0;
        cr_assert(is_macro || (*at != '.' && *at != '\'' && *at != '\n'), "%.40s", at);
        at += strcspn(at, "\n");
    }
    sl_buf_deinit(&manual);
}
