/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/bert_layout.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/object-store/tiny_model.h"

static char directory[64];
static struct sl_cause cause;

static void
setup(void)
{
    cr_assert_not_null(tiny_directory_make(directory));
}

static void
teardown(void)
{
    tiny_directory_remove(directory);
}

TestSuite(bert_layout, .init = setup, .fini = teardown);

static struct sl_model *
attach(void)
{
    struct sl_model *model = NULL;
    int fd = -1, dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(sl_model_build(dir, NULL, &fd, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(sl_model_attach(fd, &model, &cause), SL_OK, "%s", cause.text);
    (void)close(fd);
    (void)close(dir);
    return model;
}

static enum sl_err
check_written(struct sl_bert_shape *ret_shape)
{
    struct sl_model *model = attach();
    enum sl_err err = sl_model_check_bert(model, ret_shape, &cause);
    sl_model_destroy(&model);
    return err;
}

static enum sl_err
check_model(const struct tiny_model_options *options, struct sl_bert_shape *ret_shape)
{
    cr_assert_eq(tiny_model_write(directory, options), 0);
    return check_written(ret_shape);
}

static void
replace(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

static void
refused(enum sl_err want, const char *says)
{
    struct sl_bert_shape shape;
    enum sl_err err = check_written(&shape);
    cr_expect_eq(err, want, "%s, not %s", sl_err_name(err), sl_err_name(want));
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
}

Test(bert_layout, reads_the_numbers_of_a_sentence_model)
{
    struct sl_bert_shape s = {0};
    cr_assert_eq(check_model(NULL, &s), SL_OK, "%s", cause.text);
    cr_assert_eq(s.hidden_size, 32);
    cr_assert_eq(s.layers_count, 2);
    cr_assert_eq(s.heads_count, 4);
    cr_assert_eq(s.intermediate_size, 64);
    cr_assert_eq(s.vocab_size, 128);
    cr_assert_eq(s.positions_count, 64);
    cr_assert_eq(s.types_count, 2);
    cr_assert_eq(s.tokens_count_max, 32);
    cr_assert_eq(s.layer_norm_epsilon, 1e-12f);
    cr_assert_eq(s.pooling, SL_POOLING_MEAN);
    cr_assert(s.is_normalized);
    cr_assert(s.is_lower_case);
    cr_assert_not(s.has_half);
}

Test(bert_layout, takes_a_bare_model_for_a_mean_pooled_one)
{
    struct sl_bert_shape s = {0};
    cr_assert_eq(check_model(&(struct tiny_model_options){.is_bare = true}, &s), SL_OK, "%s",
                 cause.text);
    cr_assert_eq(s.pooling, SL_POOLING_MEAN);
    cr_assert_eq(s.tokens_count_max, 64);
    cr_assert_not(s.is_normalized);
}

Test(bert_layout, reads_prefix_cls_pooling_and_half_precision)
{
    struct sl_bert_shape s = {0};
    struct tiny_model_options o = {.has_prefix = true, .is_cls = true, .is_half = true};
    cr_assert_eq(check_model(&o, &s), SL_OK, "%s", cause.text);
    cr_assert_eq(s.pooling, SL_POOLING_CLS);
    cr_assert(s.has_half);
}

Test(bert_layout, hands_out_every_tensor_of_every_layer)
{
    cr_assert_eq(tiny_model_write(directory, &(struct tiny_model_options){.layers_count = 3}), 0);
    struct sl_model *model = attach();
    struct sl_bert_layout *l = NULL;
    cr_assert_eq(sl_bert_layout_create(model, &l, &cause), SL_OK, "%s", cause.text);
    cr_assert_str_eq(l->word_embeddings.name, "embeddings.word_embeddings.weight");
    cr_assert_str_eq(l->layers[2].output_norm.bias.name, "encoder.layer.2.output.LayerNorm.bias");
    cr_assert_str_eq(l->layers[1].query.weight.name, "encoder.layer.1.attention.self.query.weight");
    for (uint32_t i = 0; i < 3; i++) {
        const struct sl_bert_pair *pairs = &l->layers[i].query;
        for (size_t p = 0; p < sizeof(l->layers[i]) / sizeof(*pairs); p++) {
            cr_assert_not_null(pairs[p].weight.data);
            cr_assert_not_null(pairs[p].bias.data);
        }
    }
    cr_assert_eq(memcmp(l->vocabulary.data, "[PAD]", 5), 0);
    sl_bert_layout_destroy(&l);
    cr_assert_null(l);
    sl_model_destroy(&model);
}

Test(bert_layout, refuses_a_tensor_that_disagrees_with_the_config)
{
    static const char *const names[] = {
        "embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias",
        "encoder.layer.1.intermediate.dense.weight", "encoder.layer.0.output.dense.bias"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        cr_assert_eq(
            tiny_model_write(directory, &(struct tiny_model_options){.bend_tensor = names[i]}), 0);
        refused(SL_EINVAL, names[i]);
        cr_expect(strstr(cause.text, "expects shape [") != NULL, "%s", cause.text);
        cr_assert_eq(
            tiny_model_write(directory, &(struct tiny_model_options){.skip_tensor = names[i]}), 0);
        refused(SL_EINVAL, names[i]);
        cr_expect(strstr(cause.text, "missing") != NULL, "%s", cause.text);
    }
}

Test(bert_layout, names_expected_and_found_shape)
{
    struct tiny_model_options o = {.bend_tensor = "embeddings.word_embeddings.weight"};
    cr_assert_eq(tiny_model_write(directory, &o), 0);
    refused(SL_EINVAL, "[128, 32], the file has [129, 32]");
}

Test(bert_layout, refuses_configs_outside_its_range)
{
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    replace("config.json", "{\"model_type\":\"gpt2\"}");
    refused(SL_EUNAVAIL, "gpt2");
    replace("config.json", "{}");
    refused(SL_EUNAVAIL, "model_type");
    replace("config.json", "{\"model_type\":\"bert\"}");
    refused(SL_EINVAL, "hidden_size");
    replace("config.json", "{\"model_type\":\"bert\",\"hidden_size\":0}");
    refused(SL_EINVAL, "hidden_size is 0");
    replace("config.json", "{\"model_type\":\"bert\",\"hidden_size\":\"32\"}");
    refused(SL_EINVAL, "hidden_size");
    replace("config.json", "{\"model_type\":\"bert\",\"hidden_act\":\"relu\"}");
    refused(SL_EUNAVAIL, "relu");
    replace("config.json", "not json");
    refused(SL_EINVAL, "not JSON");
    replace("config.json", "{\"model_type\":\"bert\",\"hidden_size\":33,\"num_hidden_layers\":1,"
                           "\"num_attention_heads\":2,\"intermediate_size\":8,\"vocab_size\":9,"
                           "\"max_position_embeddings\":9}");
    refused(SL_EINVAL, "divisible");
}

Test(bert_layout, refuses_pooling_and_modules_it_cannot_run)
{
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    replace("1_Pooling/config.json", "{\"pooling_mode_max_tokens\":true}");
    refused(SL_EUNAVAIL, "pooling_mode_max_tokens");
    replace("1_Pooling/config.json",
            "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true}");
    refused(SL_EUNAVAIL, "exactly one");
    replace("1_Pooling/config.json", "{}");
    replace("modules.json", "[{\"type\":\"sentence_transformers.models.Dense\"}]");
    refused(SL_EUNAVAIL, "Dense");
    replace("modules.json", "[{}]");
    refused(SL_EINVAL, "type");
    replace("modules.json", "[]");
    replace("sentence_bert_config.json", "{\"max_seq_length\":1}");
    refused(SL_EINVAL, "max_seq_length");
}

Test(bert_layout, refuses_a_vocabulary_larger_than_its_embeddings)
{
    char text[1024] = "";
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    for (int i = 0; i < 129; i++)
        strcat(text, "w\n");
    replace("vocab.txt", text);
    refused(SL_EINVAL, "129 words");
    text[256] = '\0';
    text[255] = 'w'; /* The last line need not end. */
    struct sl_bert_shape s;
    replace("vocab.txt", text);
    cr_assert_eq(check_written(&s), SL_OK, "%s", cause.text);
}

Test(bert_layout, counts_tokenizer_json_when_there_is_no_vocabulary)
{
    char path[128];
    struct sl_bert_shape s;
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/vocab.txt", directory);
    cr_assert_eq(unlink(path), 0);
    refused(SL_EINVAL, "neither");
    replace("tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0,\"b\":1}}}");
    refused(SL_EINVAL, "2 words");
    replace("tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"e\":4}}}");
    cr_assert_eq(check_written(&s), SL_OK, "%s", cause.text);
}
