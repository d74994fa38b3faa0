/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/wordpiece.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

struct golden {
    bool is_lower_case;
    size_t size;
    const char *text;
    uint32_t count;
    uint32_t ids[104];
};

#include "golden/wordpiece.inc"

static struct sl_wordpiece *
tokenizer(bool is_lower_case)
{
    struct sl_wordpiece *t = NULL;
    cr_assert_eq(sl_wordpiece_create(sl_slice_str(golden_vocabulary), 1000, is_lower_case, &t),
                 SL_OK);
    return t;
}

Test(wordpiece, agrees_with_the_reference_tokenizer)
{
    struct sl_wordpiece *both[2] = {tokenizer(false), tokenizer(true)};
    for (size_t i = 0; i < SL_COUNT_OF(golden_cases); i++) {
        const struct golden *g = &golden_cases[i];
        uint32_t ids[128];
        uint32_t count =
            sl_wordpiece_encode(both[g->is_lower_case], sl_slice(g->text, g->size), ids, 128);
        cr_expect_eq(count, g->count, "case %zu: '%s': %u, not %u", i, g->text, count, g->count);
        for (uint32_t k = 0; k < SL_MIN(count, g->count); k++)
            cr_expect_eq(ids[k], g->ids[k], "case %zu: '%s': id %u is %u, not %u", i, g->text, k,
                         ids[k], g->ids[k]);
    }
    sl_wordpiece_destroy(&both[0]);
    sl_wordpiece_destroy(&both[1]);
}

Test(wordpiece, cuts_a_long_text_and_still_ends_it)
{
    struct sl_wordpiece *t = tokenizer(true);
    uint32_t all[64], ids[64];
    struct sl_slice text = sl_slice_str("the quick unaffable the quick");
    uint32_t count = sl_wordpiece_encode(t, text, all, 64);
    for (uint32_t max = SL_WORDPIECE_TOKENS_MIN; max < count; max++) {
        cr_assert_eq(sl_wordpiece_encode(t, text, ids, max), max);
        cr_assert_arr_eq(ids, all, (max - 1) * sizeof(ids[0]));
        cr_assert_eq(ids[max - 1], all[count - 1]);
    }
    sl_wordpiece_destroy(&t);
}

Test(wordpiece, special_tokens_in_a_text_are_text)
{
    struct sl_wordpiece *t = tokenizer(true);
    uint32_t ids[16];
    cr_expect_gt(sl_wordpiece_encode(t, sl_slice_str("[SEP]"), ids, 16), 3);
    sl_wordpiece_destroy(&t);
}

Test(wordpiece, takes_any_bytes)
{
    struct sl_wordpiece *t = tokenizer(true);
    struct sl_random random;
    sl_random_seed(&random, 5);
    for (int round = 0; round < 2000; round++) {
        uint8_t text[300];
        uint32_t ids[32];
        size_t size = sl_random_below(&random, sizeof(text));
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t)sl_random_u64(&random);
        uint32_t count = sl_wordpiece_encode(t, sl_slice(text, size), ids, 32);
        cr_assert(count >= 2 && count <= 32);
    }
    sl_wordpiece_destroy(&t);
}

Test(wordpiece, refuses_a_vocabulary_that_does_not_fit)
{
    struct sl_wordpiece *t = NULL;
    cr_expect_eq(sl_wordpiece_create(sl_slice_str("[UNK]\n[CLS]\n"), 10, true, &t), SL_EINVAL);
    cr_expect_eq(sl_wordpiece_create(sl_slice_str(""), 10, true, &t), SL_EINVAL);
    cr_expect_eq(sl_wordpiece_create(sl_slice_str("[UNK]\n[CLS]\n[SEP]\na\n"), 3, true, &t),
                 SL_EINVAL);
    cr_expect_null(t);
    cr_expect_eq(sl_wordpiece_create(sl_slice_str("[UNK]\r\n[CLS]\r\n[SEP]\na"), 4, true, &t),
                 SL_OK);
    sl_wordpiece_destroy(&t);
}

Test(wordpiece, reads_the_vocabulary_of_a_tokenizer_json)
{
    struct sl_buf vocabulary = {0};
    const char *json = "{\"model\":{\"type\":\"WordPiece\",\"vocab\":"
                       "{\"[SEP]\":2,\"[UNK]\":0,\"[CLS]\":1,\"\\u00e9\":3}}}";
    cr_assert_eq(sl_wordpiece_vocabulary(sl_slice_str(json), &vocabulary), SL_OK);
    cr_expect_str_eq(sl_buf_text(&vocabulary), "[UNK]\n[CLS]\n[SEP]\n\xC3\xA9\n");
    sl_buf_deinit(&vocabulary);
    static const char *const bad[] = {
        "",
        "{}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":1}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0,\"b\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\\nb\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":[1]}}"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_expect_eq(sl_wordpiece_vocabulary(sl_slice_str(bad[i]), &vocabulary), SL_EINVAL);
        sl_buf_deinit(&vocabulary);
    }
}
