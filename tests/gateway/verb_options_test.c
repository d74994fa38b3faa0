/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/verb_options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "gateway/cli.h"
#include "runtime/alloc.h"

#define TAKEN_MAX 8

static const struct sl_config_key keys[] = {
    {"color", SL_CONFIG_STRING, "green", 0, 16, "", "what it looks like"},
    {"count", SL_CONFIG_INT, "0", 0, 9, "", "how many"},
};

static struct {
    uint32_t keys[TAKEN_MAX], count, refused; /* Refused: this key and those above. */
} taken;

static int
take(void *arg, uint32_t key, const char *value)
{
    (void)arg, (void)value;
    taken.keys[taken.count++] = key;
    return key >= taken.refused ? 7 : 0;
}

static const struct sl_verb verb = {.name = "probe",
                                    .help = "usage: sluice probe",
                                    .keys = keys,
                                    .keys_count = 2,
                                    .extra = "tag",
                                    .extra_help = "as often as wanted",
                                    .take = take};
static struct sl_config *config;

static int
read_words(int count, char **words)
{
    sl_config_destroy(&config);
    return sl_verb_read(&verb, count, words, &config, NULL);
}

#define READ(...)                                                                                  \
    read_words((int)SL_COUNT_OF(((char *[]){"probe", __VA_ARGS__})),                               \
               (char *[]){"probe", __VA_ARGS__, NULL})

static void
setup(void)
{
    taken.refused = UINT32_MAX;
    cr_redirect_stderr();
    cr_redirect_stdout();
}

static void
teardown(void)
{
    sl_config_destroy(&config);
}

TestSuite(verb_options, .init = setup, .fini = teardown);

Test(verb_options, sets_keys_and_hands_each_option_on_in_order)
{
    cr_assert_eq(READ("--tag", "a", "--count=3", "--color", "red", "--tag=b"), 0);
    cr_assert_str_eq(sl_config_string(config, 0), "red");
    cr_assert_eq(sl_config_int(config, 1), 3);
    cr_assert_arr_eq(taken.keys, ((uint32_t[]){2, 1, 0, 2}), 4 * sizeof(uint32_t));
    cr_assert_eq(READ("--count=1"), 0);
    cr_assert_str_eq(sl_config_string(config, 0), "green", "the default");
}

Test(verb_options, refuses_what_is_no_option_or_has_a_bad_value)
{
    cr_assert_eq(READ("--size", "3"), SL_EXIT_USAGE + 1);
    cr_assert_eq(READ("--count"), SL_EXIT_USAGE + 1);
    cr_assert_eq(READ("--count", "ten"), SL_EXIT_USAGE + 1);
    cr_assert_eq(READ("--count", "10"), SL_EXIT_USAGE + 1);
    cr_assert_eq(READ("word"), SL_EXIT_USAGE + 1);
    cr_assert_eq(taken.count, 0);
    taken.refused = 1;
    cr_assert_eq(READ("--count", "4", "--color", "red"), 7, "what the verb says");
    cr_assert_eq(taken.count, 1);
}

Test(verb_options, prints_help_with_each_option_and_ends_well)
{
    cr_assert_eq(READ("--help"), SL_EXIT_OK + 1);
    fflush(stdout);
    cr_assert_stdout_eq_str("usage: sluice probe\n"
                            "  --color          what it looks like (green)\n"
                            "  --count          how many\n"
                            "  --tag            as often as wanted\n"
                            "  --help           print this\n");
}

Test(verb_options, wants_of_a_head_elsewhere_what_joining_takes)
{
    struct sl_verb_head head = {.endpoint = "ipc:///run/head", .data = "/data"};
    cr_assert_eq(sl_verb_check_head("probe", &head), 0);
    head.data = "";
    cr_assert_eq(sl_verb_check_head("probe", &head), SL_EXIT_USAGE + 1);
    head = (struct sl_verb_head){.endpoint = "tcp://h:1", .data = "/data", .cert = "mine"};
    cr_assert_eq(sl_verb_check_head("probe", &head), SL_EXIT_USAGE + 1);
    head.head_cert = "its";
    cr_assert_eq(sl_verb_check_head("probe", &head), 0);
    head.endpoint = NULL;
    cr_assert_eq(sl_verb_check_head("probe", &head), SL_EXIT_USAGE + 1);
}

Test(verb_options, names_itself_as_told_or_by_its_host)
{
    char *name = NULL;
    cr_assert_eq(sl_verb_name("probe", "n-1", &name), 0);
    cr_assert_str_eq(name, "n-1");
    sl_free(name);
    cr_assert_eq(sl_verb_name("probe", "", &name), 0);
    cr_assert_not_null(strchr(name, '-'));
    sl_free(name);
    cr_assert_eq(sl_verb_name("probe", "a name", &name), SL_EXIT_USAGE + 1);
    sl_free(name);
}
