/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/nearest.h"
#include "runtime/quantity.h"
#include "runtime/yaml.h"

static struct sl_yaml_node *
read_good(const char *text)
{
    struct sl_yaml_node *root = NULL;
    uint32_t line = 0;
    char *why = NULL;
    enum sl_err err = sl_yaml_read(sl_slice_str(text), &root, &line, &why);
    cr_assert_eq(err, SL_OK, "line %u: %s", line, why);
    return root;
}

static void
refuse(const char *text, uint32_t at, const char *part)
{
    struct sl_yaml_node *root = NULL;
    uint32_t line = 0;
    char *why = NULL;
    cr_assert_neq(sl_yaml_read(sl_slice_str(text), &root, &line, &why), SL_OK, "%s", text);
    cr_expect_eq(line, at, "%s: line %u", text, line);
    cr_expect_not_null(strstr(why, part), "%s", why);
    cr_expect_null(root);
    sl_free(why);
}

Test(yaml, is_a_tree_whose_nodes_know_their_lines)
{
    struct sl_yaml_node *root = read_good("a: 1\n"
                                          "# c\n"
                                          "b:\n"
                                          "  - x\n"
                                          "  - 'y'\n"
                                          "c: {d: {e: }}\n");
    cr_assert_eq(root->kind, SL_YAML_MAP);
    cr_expect_eq(root->count, 3);
    const struct sl_yaml_node *a = root->first, *b = a->next, *c = b->next;
    cr_expect_str_eq(a->text, "1");
    cr_expect_eq(a->line, 1);
    cr_expect_eq(b->kind, SL_YAML_LIST);
    cr_expect_eq(b->line, 3);
    cr_expect_eq(b->count, 2);
    cr_expect_eq(b->first->next->line, 5);
    cr_expect(b->first->next->is_quoted);
    cr_expect_not(b->first->is_quoted);
    cr_expect_str_eq(c->first->first->name, "e");
    cr_expect_str_eq(c->first->first->text, "");
    cr_expect_null(c->next);
    sl_yaml_destroy(&root);
    cr_expect_null(read_good(""));
    cr_expect_null(read_good("# nothing\n"));
    cr_expect_null(read_good("---\n"));
}

Test(yaml, refuses_what_no_file_needs_and_says_where)
{
    refuse("a: &x 1\nb: *x\n", 2, "alias");
    refuse("a: !!binary abcd\n", 1, "tag");
    refuse("a: 1\n---\nb: 2\n", 2, "document");
    refuse("a: 1\nb: 2\na: 3\n", 3, "first in line 1");
    refuse("a: [1\n", 2, "");
    refuse("\"a\\0b\": 1\n", 1, "NUL");
    refuse("? [a]\n: b\n", 1, "key");
    refuse("a:\n  b: 1\n c: 2\n", 3, "");
    refuse("\"a\\eb\": 1\n", 1, "control");
    refuse("a: \xff\n", 1, "");
}

Test(yaml, has_limits)
{
    struct sl_buf text = {0};
    for (int i = 0; i < 40; i++)
        sl_buf_append_str(&text, "[");
    refuse(sl_buf_text(&text), 1, "deeply");
    sl_buf_clear(&text);
    for (int i = 0; i < 9000; i++)
        sl_buf_append_str(&text, "- a\n");
    refuse(sl_buf_text(&text), 4096, "more than");
    sl_buf_clear(&text);
    sl_buf_append_str(&text, "a: ");
    for (int i = 0; i < 300 * 1024; i++)
        sl_buf_append_u8(&text, 'x');
    refuse(sl_buf_text(&text), 1, "256 KiB");
    sl_buf_clear(&text);
    for (int i = 0; i < 200; i++)
        sl_buf_append_u8(&text, 'x');
    sl_buf_append_str(&text, ": 1\n");
    refuse(sl_buf_text(&text), 1, "128");
    sl_buf_deinit(&text);
}

Test(quantity, is_read_as_kubernetes_writes_it)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"48Gi", 48 * 0x1p30}, {"500m", 0.5},           {"0", 0},     {"1.5", 1.5},
                {".5Mi", 0x1p19},      {"2e3", 2000},           {"1E", 1e18}, {"1E2", 100},
                {"3k", 3000},          {"128974848", 128974848}};
    double value;
    for (size_t i = 0; i < SL_COUNT_OF(good); i++) {
        cr_assert(sl_quantity_read(good[i].text, &value), "%s", good[i].text);
        cr_expect_float_eq(value, good[i].value, 1e-6, "%s", good[i].text);
    }
    static const char *const bad[] = {"",      "-1", "+1",   " 1",  "1 ",  "48GiB", "48gi", "Gi",
                                      "1.2.3", ".",  "0x10", "inf", "nan", "1e",    "9E",   "1e99"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_expect_not(sl_quantity_read(bad[i], &value), "%s", bad[i]);
}

Test(nearest, counts_what_to_change)
{
    struct sl_slice min = sl_slice_str("minReplicas");
    cr_expect_eq(sl_text_distance(min, min), 0);
    cr_expect_eq(sl_text_distance(min, sl_slice_str("minReplica")), 1);
    cr_expect_eq(sl_text_distance(min, sl_slice_str("maxReplicas")), 2);
    cr_expect_eq(sl_text_distance(sl_slice_str(""), sl_slice_str("abc")), 3);
    cr_expect(sl_is_near(min, sl_slice_str("min_replicas"), 2));
    cr_expect_not(sl_is_near(min, sl_slice_str("spot"), 10));
}
