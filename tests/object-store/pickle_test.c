/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/pickle.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "tests/object-store/torch_file.h"

static const struct sl_pickle_symbol symbols[] = {
    {"m.Dict", SL_PICKLE_MAKES_DICT, 1},  {"m.call", SL_PICKLE_MAKES_CALL, 2},
    {"m.same", SL_PICKLE_MAKES_FIRST, 3}, {"m.name", SL_PICKLE_MAKES_NOTHING, 4},
    {"own.*", SL_PICKLE_MAKES_OBJECT, 5},
};

static struct sl_cause cause;

/* Behind PROTO 2. A copy of its own, which is as long as the pickle lives. */
static struct sl_pickle *
parse(const void *body, size_t size, enum sl_err *ret_err)
{
    static uint8_t *bytes;
    struct sl_pickle *p = NULL;
    struct sl_buf all = {0};
    torch_pickle_begin(&all);
    sl_buf_append(&all, body, size);
    sl_free(bytes);
    bytes = sl_memdup(all.data, all.size);
    cause = (struct sl_cause){0};
    *ret_err =
        sl_pickle_parse(sl_slice(bytes, all.size), symbols, SL_COUNT_OF(symbols), &p, &cause);
    cr_expect_eq(p == NULL, *ret_err != SL_OK);
    sl_buf_deinit(&all);
    return p;
}

static struct sl_pickle *
good(const void *body, size_t size)
{
    enum sl_err err = SL_OK;
    struct sl_pickle *p = parse(body, size, &err);
    cr_assert_eq(err, SL_OK, "%s", cause.text);
    return p;
}
#define GOOD(text) good("" text, sizeof(text) - 1)

static void
refused(const void *body, size_t size, enum sl_err want, const char *says)
{
    enum sl_err err = SL_OK;
    (void)parse(body, size, &err);
    cr_expect_eq(err, want, "%s: %s", sl_err_name(err), cause.text);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
}
#define REFUSED(text, want, says) refused("" text, sizeof(text) - 1, want, says)

static int64_t
number(const char *body, size_t size)
{
    int64_t n = 0;
    struct sl_pickle *p = good(body, size);
    cr_expect(sl_pickle_int(p, sl_pickle_root(p), &n));
    sl_pickle_destroy(&p);
    return n;
}
#define NUMBER(text) number("" text, sizeof(text) - 1)

Test(pickle, reads_numbers)
{
    cr_expect_eq(NUMBER("K\xff."), 255);
    cr_expect_eq(NUMBER("M\xff\xff."), 65535);
    cr_expect_eq(NUMBER("J\xff\xff\xff\xff."), -1);
    cr_expect_eq(NUMBER("J\xff\xff\xff\x7f."), INT32_MAX);
    cr_expect_eq(NUMBER("\x8a\x00."), 0);
    cr_expect_eq(NUMBER("\x8a\x01\xff."), -1);
    cr_expect_eq(NUMBER("\x8a\x02\x00\x80."), -32768);
    cr_expect_eq(NUMBER("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), INT64_MAX);
    struct sl_pickle *p = GOOD("\x8a\x09\0\0\0\0\0\0\0\0\1.");
    cr_expect_eq(sl_pickle_kind(p, sl_pickle_root(p)), SL_PICKLE_LONG);
    sl_pickle_destroy(&p);
}

Test(pickle, reads_containers_in_their_order)
{
    /* {"a": (None, True, 1.0), "b": [1, 2, 3]} in several pieces */
    struct sl_pickle *p = GOOD("}q\0X\1\0\0\0aN\x88G\0\0\0\0\0\0\0\0\x87s"
                               "(X\1\0\0\0b](K\1K\2eK\3au.");
    uint32_t v = sl_pickle_root(p), key = 0, value = 0, member = 0;
    cr_assert_eq(sl_pickle_kind(p, v), SL_PICKLE_DICT);
    cr_assert_eq(sl_pickle_count(p, v), 4);
    struct sl_pickle_iter i = sl_pickle_iter(p, v);
    cr_assert(sl_pickle_next(p, &i, &key) && sl_pickle_next(p, &i, &value));
    cr_expect(sl_slice_is(sl_pickle_text(p, key), "a"));
    cr_assert_eq(sl_pickle_count(p, value), 3);
    cr_expect_eq(sl_pickle_kind(p, sl_pickle_item(p, value, 0)), SL_PICKLE_NONE);
    cr_expect(sl_pickle_is_true(p, sl_pickle_item(p, value, 1)));
    cr_expect_eq(sl_pickle_kind(p, sl_pickle_item(p, value, 2)), SL_PICKLE_FLOAT);
    cr_assert(sl_pickle_next(p, &i, &key) && sl_pickle_next(p, &i, &value));
    cr_assert_eq(sl_pickle_count(p, value), 3);
    struct sl_pickle_iter list = sl_pickle_iter(p, value);
    for (int64_t want = 1, n = 0; sl_pickle_next(p, &list, &member); want++) {
        cr_expect(sl_pickle_int(p, member, &n));
        cr_expect_eq(n, want);
    }
    cr_expect_not(sl_pickle_next(p, &i, &key));
    sl_pickle_destroy(&p);
}

Test(pickle, constructs_only_what_its_table_says)
{
    struct sl_pickle *p = GOOD("cm\nDict\n)R}X\1\0\0\0xK\1sb.");
    cr_expect_eq(sl_pickle_kind(p, sl_pickle_root(p)), SL_PICKLE_DICT);
    cr_expect_eq(sl_pickle_count(p, sl_pickle_root(p)), 0, "attributes are no members");
    sl_pickle_destroy(&p);
    p = GOOD("cm\nDict\n}K\1K\2s\x85R.");
    cr_expect_eq(sl_pickle_count(p, sl_pickle_root(p)), 2);
    sl_pickle_destroy(&p);
    p = GOOD("cm\ncall\nK\1\x85R.");
    cr_expect_eq(sl_pickle_symbol(p, sl_pickle_root(p))->tag, 2);
    cr_expect_eq(sl_pickle_count(p, sl_pickle_root(p)), 1);
    sl_pickle_destroy(&p);
    p = GOOD("cown.a.b\nC\n)\x81}b.");
    uint32_t state = 0;
    cr_expect_eq(sl_pickle_kind(p, sl_pickle_root(p)), SL_PICKLE_OBJECT);
    cr_expect(sl_pickle_inner(p, sl_pickle_root(p), &state));
    cr_expect_eq(sl_pickle_kind(p, state), SL_PICKLE_DICT);
    sl_pickle_destroy(&p);
    REFUSED("cm\nname\n)R.", SL_EDENIED, "'m.name'");
    REFUSED("cm\nDict\nK\1\x85R.", SL_EDENIED, "'m.Dict'");
    REFUSED("cm\nDict\nK\1\x85\x81.", SL_EDENIED, "'m.Dict'");
    REFUSED("cm\ncall\n)\x81.", SL_EDENIED, "'m.call'");
    REFUSED("cm\nsame\nK\1\x85R.", SL_EDENIED, "'m.same'");
    REFUSED("cown\nC\n)R.", SL_EDENIED, "'own.C'");
    REFUSED("cown\nC\nK\1\x85\x81.", SL_EDENIED, "'own.C'");
    REFUSED("K\1)R.", SL_EINVAL, "no global");
    REFUSED("K\1)\x81.", SL_EINVAL, "no class");
    REFUSED("cm\ncall\n]R.", SL_EINVAL, "no tuple");
    REFUSED("}}b.", SL_EDENIED, "BUILD");
    REFUSED("]}b.", SL_EDENIED, "BUILD");
    REFUSED("cm\ncall\n)R}b.", SL_EDENIED, "BUILD");
    REFUSED("cown\nC\n)\x81}b}b.", SL_EDENIED, "BUILD");
    REFUSED("cm\nDict\n)RNb.", SL_EDENIED, "BUILD");
}

Test(pickle, refuses_every_global_that_is_not_in_its_table_by_name)
{
    REFUSED("cos\nsystem\nX\4\0\0\0ls /\x85R.", SL_EDENIED, "'os.system'");
    REFUSED("cposix\nsystem\n)R.", SL_EDENIED, "'posix.system'");
    REFUSED("cnt\nsystem\n)R.", SL_EDENIED, "'nt.system'");
    REFUSED("csys\nexit\n)R.", SL_EDENIED, "'sys.exit'");
    REFUSED("cbuiltins\neval\n)R.", SL_EDENIED, "'builtins.eval'");
    REFUSED("cm\nDic\n.", SL_EDENIED, "'m.Dic'");
    REFUSED("cm\nDicts\n.", SL_EDENIED, "'m.Dicts'");
    REFUSED("cm\nDict\0x\n.", SL_EDENIED, "'m.Dict?x'");
    REFUSED("cow\nn\n.", SL_EDENIED, "'ow.n'");
    REFUSED("c\n\n.", SL_EINVAL, "global");
    REFUSED("cm\n", SL_EINVAL, "global");
    struct sl_buf long_name = {0};
    sl_buf_append_str(&long_name, "cm\n");
    for (int i = 0; i < 600; i++)
        sl_buf_append_u8(&long_name, 'x');
    sl_buf_append_str(&long_name, "\n.");
    refused(long_name.data, long_name.size, SL_EINVAL, "too long");
    sl_buf_deinit(&long_name);
}

Test(pickle, refuses_every_opcode_that_is_not_read)
{
    static const uint8_t read[] = "(.JKMNQRUXabc}ehj]qrst)uG\x81\x85\x86\x87\x88\x89\x8a\x8f";
    for (int code = 0; code < 256; code++) {
        if (code != 0 && memchr(read, code, sizeof(read) - 1) != NULL)
            continue;
        uint8_t body[2] = {(uint8_t)code, '.'};
        refused(body, 2, SL_EDENIED, "opcode");
    }
    REFUSED("\x93.", SL_EDENIED, "STACK_GLOBAL");
    REFUSED("\x80\2.", SL_EDENIED, "opcode 0x80");
    struct sl_pickle *p = NULL;
    cr_expect_eq(sl_pickle_parse(sl_slice("\x80\4N.", 4), NULL, 0, &p, &cause), SL_EINVAL);
    cr_expect(strstr(cause.text, "protocol") != NULL);
    cr_expect_eq(sl_pickle_parse(sl_slice("N.", 2), NULL, 0, &p, &cause), SL_EINVAL);
    cr_expect_eq(sl_pickle_parse(sl_slice(NULL, 0), NULL, 0, &p, &cause), SL_EINVAL);
}

Test(pickle, cve_2026_24747_setitem_on_something_that_is_no_dict)
{
    REFUSED("]K\1K\2s.", SL_EINVAL, "no dict");
    REFUSED("](K\1K\2u.", SL_EINVAL, "no dict");
    REFUSED("K\1K\2K\3s.", SL_EINVAL, "no dict");
    REFUSED("cm\ncall\n)RK\1K\2s.", SL_EINVAL, "no dict");
    REFUSED("cown\nC\n)\x81K\1K\2s.", SL_EINVAL, "no dict");
    REFUSED("K\1QK\1K\2s.", SL_EINVAL, "no dict");
    REFUSED("}K\1a.", SL_EINVAL, "no list");
    REFUSED(")(K\1e.", SL_EINVAL, "no list");
    REFUSED("}(K\1u.", SL_EINVAL, "without its value");
}

Test(pickle, takes_nothing_from_below_a_mark_or_from_an_empty_stack)
{
    REFUSED("K\1(K\2\x86t.", SL_EINVAL, "not there");
    REFUSED("](K\1a.", SL_EINVAL, "without a container");
    REFUSED("}(K\1s.", SL_EINVAL, "not there");
    REFUSED("cm\ncall\n()R.", SL_EINVAL, "call without");
    REFUSED("R.", SL_EINVAL, "call without");
    REFUSED("\x81.", SL_EINVAL, "without a class");
    REFUSED("b.", SL_EINVAL, "without its object");
    REFUSED("Q.", SL_EINVAL, "without a name");
    REFUSED("t.", SL_EINVAL, "without MARK");
    REFUSED("e.", SL_EINVAL, "without MARK");
    REFUSED("u.", SL_EINVAL, "without MARK");
    REFUSED("(u.", SL_EINVAL, "without a container");
    REFUSED("q\0.", SL_EINVAL, "keeps a value");
    REFUSED("h\0.", SL_EINVAL, "not kept");
    REFUSED("Nq\1h\0.", SL_EINVAL, "not kept");
    REFUSED(".", SL_EINVAL, "one value");
    REFUSED("NN.", SL_EINVAL, "one value");
    REFUSED("N(.", SL_EINVAL, "one value");
    REFUSED("N.N", SL_EINVAL, "follows");
}

Test(pickle, memo_and_stack_blow_up_end_at_their_limits)
{
    REFUSED("Nr\xff\xff\xff\xff.", SL_EINVAL, "values kept");
    REFUSED("Nr\0\0\x10\0.", SL_EINVAL, "values kept");
    size_t size = 4 * SL_PICKLE_VALUES_MAX;
    uint8_t *body = sl_alloc(size);
    memset(body, 'N', size); /* Costs no value, so only the stack fills. */
    refused(body, size, SL_EINVAL, "on its stack");
    memset(body, '}', size);
    refused(body, size, SL_EINVAL, "on its stack");
    memset(body, '(', size);
    refused(body, size, SL_EINVAL, "within each other");
    for (size_t i = 0; i < size; i += 2) /* ]a: each list in the one before, which is then gone. */
        memcpy(body + i, i == 0 ? "])" : ")a", 2);
    refused(body, size, SL_EINVAL, "");
    for (size_t i = 0; i < size; i += 2)
        memcpy(body + i, i == 0 ? "]]" : "Na", 2);
    refused(body, size, SL_EINVAL, "values");
    sl_free(body);
    body = sl_zalloc(SL_PICKLE_SIZE_MAX);
    refused(body, SL_PICKLE_SIZE_MAX, SL_EINVAL, "at most 64 MiB");
    sl_free(body);
}

Test(pickle, deep_nesting_costs_no_stack)
{
    /* A million lists, each in the next: [[[[...]]]]. Each takes two values. */
    size_t depth = SL_PICKLE_STACK_MAX - 8, size = 2 * depth;
    uint8_t *body = sl_alloc(size);
    memset(body, ']', depth);
    memset(body + depth, 'a', depth - 1);
    body[size - 1] = '.';
    struct sl_pickle *p = good(body, size);
    cr_expect_eq(sl_pickle_count(p, sl_pickle_root(p)), 1);
    sl_pickle_destroy(&p);
    sl_free(body);
}

Test(pickle, refuses_every_cut_of_a_good_one)
{
    static const char body[] = "}q\0(X\1\0\0\0acm\ncall\n(K\1J\0\0\0\0M\0\1\x8a\1\1tRr\1\0\0\0"
                               "X\1\0\0\0bj\1\0\0\0X\1\0\0\0cU\2xyX\1\0\0\0dG\0\0\0\0\0\0\0\0u.";
    struct sl_pickle *p = good(body, sizeof(body) - 1);
    sl_pickle_destroy(&p);
    for (size_t size = 0; size < sizeof(body) - 1; size++) {
        enum sl_err err = SL_OK;
        p = parse(body, size, &err);
        cr_expect_eq(err, SL_EINVAL, "cut at %zu", size);
    }
}
