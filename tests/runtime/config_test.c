/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "tests/runtime/config_table.h"

static struct sl_config *
defaults(void)
{
    struct sl_config *config = NULL;
    char *error;
    cr_assert_eq(sl_config_load(table, SL_COUNT_OF(table), NULL, &config, &error), SL_OK);
    cr_assert_null(error);
    return config;
}

Test(config, gives_the_defaults_without_a_file)
{
    struct sl_config *config = defaults();
    cr_assert(sl_config_bool(config, KEY_BOOL));
    cr_assert_eq(sl_config_int(config, KEY_INT), 8080);
    cr_assert_eq(sl_config_size(config, KEY_SIZE), 64 * SL_MIB);
    cr_assert_eq(sl_config_duration_ns(config, KEY_DURATION), 5 * SL_SECOND_NS);
    cr_assert_str_eq(sl_config_string(config, KEY_STRING), "it's");
    cr_assert_eq(sl_config_float(config, KEY_FLOAT), 0.5);
    sl_config_destroy(&config);
}

Test(config, reads_a_file)
{
    char path[] = "/tmp/sluice-config-XXXXXX";
    static const char text[] = "# comment\nhttp: {enabled: false, port: 90}\nlog:\n  segment:\n"
                               "    size: 8Gi\n  delay: 250ms\nname: \"a b\"\nshare: 1e-1\n"
                               "log.free: -5\n";
    struct sl_config *config = NULL;
    char *error;
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    enum sl_err err = sl_config_load(table, SL_COUNT_OF(table), path, &config, &error);
    cr_assert_eq(err, SL_OK, "%s", error);
    cr_assert_not(sl_config_bool(config, KEY_BOOL));
    cr_assert_eq(sl_config_int(config, KEY_INT), 90);
    cr_assert_eq(sl_config_size(config, KEY_SIZE), 8 * SL_GIB);
    cr_assert_eq(sl_config_duration_ns(config, KEY_DURATION), 250 * SL_MILLI_NS);
    cr_assert_str_eq(sl_config_string(config, KEY_STRING), "a b");
    cr_assert_eq(sl_config_float(config, KEY_FLOAT), 0.1);
    cr_assert_eq(sl_config_int(config, KEY_FREE), -5);
    sl_config_destroy(&config);
    unlink(path);
    cr_assert_eq(sl_config_load(table, SL_COUNT_OF(table), path, &config, &error), SL_ENOTFOUND);
    cr_assert_null(config);
    cr_assert_not_null(strstr(error, path));
    sl_free(error);
}

static enum sl_err
parse(struct sl_config *config, const char *text, char **ret_error)
{
    return sl_config_parse(config, "f", sl_slice_str(text), ret_error);
}

Test(config, keeps_a_mapping_of_the_users_own_names)
{
    struct sl_config *config = defaults();
    char *error;
    cr_assert_str_eq(sl_config_string(config, KEY_MAP), "");
    cr_assert_eq(
        parse(config, "http:\n  groups:\n    cpu: {min: 1, max: '2'}\n    \"a.b\":\n", &error),
        SL_OK, "%s", error);
    cr_assert_str_eq(sl_config_string(config, KEY_MAP),
                     "{\"cpu\":{\"min\":\"1\",\"max\":\"2\"},\"a.b\":\"\"}");
    struct sl_buf text = {0};
    sl_config_print(config, &text);
    cr_assert_eq(parse(config, sl_buf_text(&text), &error), SL_OK, "%s", error);
    cr_assert_not_null(strstr(sl_config_string(config, KEY_MAP), "\"a.b\":\"\""));
    sl_buf_deinit(&text);
    cr_assert_eq(parse(config, "http.groups: cpu gpu", &error), SL_OK, "%s", error);
    cr_assert_str_eq(sl_config_string(config, KEY_MAP), "cpu gpu");
    static const char *const bad[][2] = {
        {"http.groups: {a: 1, a: 2}", "f:1: key http.groups.a: given twice"},
        {"http.groups: {a: {b: [1]}}", "f:1: key http.groups.a.b: a list"},
        {"http.groups: {[a]: 1}", "expected a key"},
        {"http.groups: {'': 1}", "empty"},
        {"\nhttp.groups: '{no'", "did not find expected"},
        {"http.groups: '{a: b} c'", "did not find expected"},
        {"http.groups: '{a: b}\n\n --- c'", "f:"},
        {"http.groups: '{a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}}'", "too deeply"},
        {"http.groups: '{a: [b]}'", "f:1: key http.groups.a: a list"},
        {"http.groups: {a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}}", "too deeply"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_assert_eq(parse(config, bad[i][0], &error), SL_EINVAL, "%s", bad[i][0]);
        cr_expect_not_null(strstr(error, bad[i][1]), "%s", error);
        sl_free(error);
    }
    sl_config_destroy(&config);
}

Test(config, names_line_and_key_of_every_error)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"http:\n  prt: 1\n", "f:2: key http.prt: no such key"},
        {"htp:\n  port: 1\n", "f:1: key htp: no such key"},
        {"http:\n  port: yes\n", "f:2: key http.port: expected a whole number, got \"yes\""},
        {"http:\n  port: \"80\"\n", "f:2: key http.port: a quoted text where none is expected"},
        {"http.port: 0", "f:1: key http.port: the value \"0\" is not between 1 and 65535"},
        {"http.port: 99999999999999999999",
         "f:1: key http.port: expected a whole number, got \"99999999999999999999\""},
        {"http.enabled: yes", "f:1: key http.enabled: expected true or false, got \"yes\""},
        {"log.segment.size: 1KiB",
         "f:1: key log.segment.size: the value \"1KiB\" is not between 4KiB and 1TiB"},
        {"log.segment.size: 64Mib",
         "f:1: key log.segment.size: expected a size such as 64MiB, got \"64Mib\""},
        {"log.segment.size: -1",
         "f:1: key log.segment.size: expected a size such as 64MiB, got \"-1\""},
        {"log.segment.size: 9999999999TiB",
         "f:1: key log.segment.size: expected a size such as 64MiB, got \"9999999999TiB\""},
        {"log.delay: 5", "f:1: key log.delay: expected a duration such as 250ms or 5s, got \"5\""},
        {"log.delay: 2d", "f:1: key log.delay: the value \"2d\" is not between 0 and 1d"},
        {"share: inf", "f:1: key share: expected a number, got \"inf\""},
        {"name: ''", "f:1: key name: the length of \"\" is not between 1 and 40"},
        {"name: a\nname: b\n", "f:2: key name: given twice"},
        {"log:\n  delay: 1s\nlog.delay: 2s\n", "f:3: key log.delay: given twice"},
        {"log:\n  delay: 1s\nlog:\n  free: 2\n", "f:3: key log: given twice"},
        {"log: 5", "f:1: key log: expected keys, got a value"},
        {"name:\n  a: 1\n", "f:1: key name: expected a value, got keys"},
        {"name: [a]", "f:1: key name: a list, which no key takes"},
        {"- a", "f:1: expected keys"},
        {"name: a\n---\nname: b\n", "f:2: more than one document"},
        {"name: &x a\nshare: *x\n", "f:2: an alias, which is not supported"},
        {"? [a]\n: 1\n", "f:1: expected a key"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sl_config *config = defaults();
        char *error;
        cr_assert_eq(sl_config_parse(config, "f", sl_slice_str(cases[i].text), &error), SL_EINVAL,
                     "%s", cases[i].text);
        cr_assert_str_eq(error, cases[i].error, "%s", error);
        sl_free(error);
        sl_config_destroy(&config);
    }
    static const char *const broken[] = {"a: b: c", "\t- x", "name: \"a", "{", "name: \xff"};
    for (size_t i = 0; i < SL_COUNT_OF(broken); i++) {
        struct sl_config *config = defaults();
        char *error;
        cr_assert_eq(sl_config_parse(config, "f", sl_slice_str(broken[i]), &error), SL_EINVAL);
        cr_assert_eq(strncmp(error, "f:", 2), 0, "%s", error);
        sl_free(error);
        sl_config_destroy(&config);
    }
}

Test(config, accepts_empty_texts_and_empty_sections)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n", "http:\nlog:\n  segment:\n"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_config *config = defaults();
        char *error;
        cr_assert_eq(sl_config_parse(config, "f", sl_slice_str(texts[i]), &error), SL_OK, "%s",
                     texts[i]);
        sl_config_destroy(&config);
    }
}

Test(config, sets_one_key)
{
    struct sl_config *config = defaults();
    char *error;
    cr_assert_eq(sl_config_set(config, "http.port", "81", &error), SL_OK);
    cr_assert_eq(sl_config_set(config, "http.port", "0", &error), SL_EINVAL);
    cr_assert_str_eq(error, "key http.port: the value \"0\" is not between 1 and 65535");
    sl_free(error);
    cr_assert_eq(sl_config_set(config, "http", "0", &error), SL_ENOTFOUND);
    sl_free(error);
    cr_assert_eq(sl_config_int(config, KEY_INT), 81);
    sl_config_destroy(&config);
}

Test(config, takes_a_text_in_braces_for_keys)
{
    struct sl_config *config = defaults();
    char *error;
    cr_assert_eq(sl_config_set(config, "http.groups", "{cpu: {min: 1}}", &error), SL_OK);
    cr_assert_str_eq(sl_config_string(config, KEY_MAP), "{\"cpu\":{\"min\":\"1\"}}");
    cr_assert_eq(sl_config_set(config, "http.groups", "{cpu: [1]}", &error), SL_EINVAL);
    cr_assert_not_null(strstr(error, "key http.groups.cpu: a list"), "%s", error);
    sl_free(error);
    cr_assert_eq(parse(config, "http.groups: '{\r\t\"a\\u0085b\":\r c}'", &error), SL_OK, "%s",
                 error);
    cr_assert_str_eq(sl_config_string(config, KEY_MAP), "{\"a\xc2\x85"
                                                        "b\":\"c\"}");
    sl_config_destroy(&config);
}

Test(config, prints_what_it_can_read_again_whatever_the_text)
{
    static const char *const names[] = {"two\nlines",         "\"\\'",        "\xc2\x85 b",
                                        "\xe2\x80\xa8",       "\xef\xbb\xbf", "\x7f\x1b[0m",
                                        "\xf0\x9f\x98\x80 ' "};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        struct sl_config *config = defaults(), *again = defaults();
        struct sl_buf text = {0};
        char *error;
        cr_assert_eq(sl_config_set(config, "name", names[i], &error), SL_OK);
        sl_config_print(config, &text);
        cr_assert_eq(sl_config_parse(again, "f", sl_buf_slice(&text), &error), SL_OK, "%s", error);
        cr_expect_str_eq(sl_config_string(again, KEY_STRING), names[i]);
        sl_buf_deinit(&text);
        sl_config_destroy(&config);
        sl_config_destroy(&again);
    }
    struct sl_config *config = defaults();
    char *error;
    cr_assert_eq(sl_config_set(config, "name", "\xff", &error), SL_EINVAL); /* No text at all. */
    sl_free(error);
    sl_config_destroy(&config);
}

Test(config, prints_what_it_can_read_again)
{
    struct sl_config *config = defaults(), *again = defaults();
    struct sl_buf first = {0}, second = {0};
    char *error;
    cr_assert_eq(sl_config_set(config, "name", "that's: #1", &error), SL_OK);
    cr_assert_eq(sl_config_set(config, "log.delay", "90s", &error), SL_OK);
    sl_config_print(config, &first);
    cr_assert_eq(sl_config_parse(again, "f", sl_buf_slice(&first), &error), SL_OK, "%s", error);
    sl_config_print(again, &second);
    cr_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
    const char *text = sl_buf_text(&first);
    cr_assert_not_null(strstr(text, "# Of one file.\n# Default: 64MiB; 4KiB to 1TiB\n"
                                    "log.segment.size: 64MiB\n"));
    cr_assert_not_null(strstr(text, "# Default: 0.5 (of the machine); 0 to 1\nshare: 0.5\n"));
    cr_assert_not_null(strstr(text, "log.delay: 90s\n"));
    cr_assert_not_null(strstr(text, "name: 'that''s: #1'\n"));
    sl_buf_deinit(&first);
    sl_buf_deinit(&second);
    sl_config_destroy(&config);
    sl_config_destroy(&again);
}

Test(config, is_told_as_a_table_for_the_reference)
{
    static const struct sl_config_key rows[] = {
        {"a.b", SL_CONFIG_SIZE, "64MiB", 4096, INT64_C(1) << 40, "", "One | two."},
        {"c", SL_CONFIG_STRING, "", 0, 40, "", "A text."},
        {"d", SL_CONFIG_INT, "3", 1, 9, "runs", "A number."},
        {"e", SL_CONFIG_BOOL, "true", 0, 0, "", "A switch."},
    };
    struct sl_buf out = {0};
    sl_config_reference(rows, SL_COUNT_OF(rows), "--", &out);
    cr_expect_str_eq(sl_buf_text(&out),
                     "| key | type | default | range | what it is |\n"
                     "| --- | --- | --- | --- | --- |\n"
                     "| `--a.b` | size | `64MiB` | 4KiB to 1TiB | One \\| two. |\n"
                     "| `--c` | text |  | up to 40 bytes | A text. |\n"
                     "| `--d` | whole number | `3` | 1 to 9 runs | A number. |\n"
                     "| `--e` | true or false | `true` |  | A switch. |\n");
    sl_buf_deinit(&out);
}
