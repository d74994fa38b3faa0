/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/huggingface.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/buf.h"

#define FILES_MAX 12

/* A directory: paths and texts. The files that most tests have come first. */
struct directory {
    const char *paths[FILES_MAX];
    const char *texts[FILES_MAX];
    uint32_t count;
};

static struct sl_cause cause;

static const char bert[] = "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\","
                           "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,"
                           "\"intermediate_size\":16,\"vocab_size\":9,"
                           "\"max_position_embeddings\":16,\"type_vocab_size\":2}";

static bool
lookup(void *arg, const char *path, struct sl_slice *ret_text)
{
    const struct directory *d = arg;
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->texts[i] != NULL && strcmp(d->paths[i], path) == 0) {
            *ret_text = sl_slice_str(d->texts[i]);
            return true;
        }
    }
    return false;
}

static void
add(struct directory *d, const char *path, const char *text)
{
    cr_assert(d->count < FILES_MAX);
    d->paths[d->count] = path;
    d->texts[d->count++] = text;
}

static enum sl_err
check(struct directory *d, struct sl_huggingface *ret_facts)
{
    struct sl_huggingface_files files = {
        .lookup = lookup, .arg = d, .paths = d->paths, .paths_count = d->count};
    memset(&cause, 0, sizeof(cause));
    return sl_huggingface_check(&files, ret_facts, &cause);
}

/* config.json and one more file, which is refused; `path` NULL: config.json itself. */
static void
refused(const char *config, const char *path, const char *text, enum sl_err want, const char *says)
{
    struct directory d = {0};
    struct sl_huggingface facts = {0};
    add(&d, "config.json", config);
    if (path != NULL)
        add(&d, path, text);
    enum sl_err err = check(&d, &facts);
    cr_expect_eq(err, want, "'%s': %s, not %s", says, sl_err_name(err), sl_err_name(want));
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(facts.labels);
    sl_huggingface_deinit(&facts);
}

static void
config_refused(const char *config, const char *says)
{
    refused(config, NULL, NULL, SL_EINVAL, says);
}

static void
taken(const char *config, struct sl_huggingface *ret_facts)
{
    struct directory d = {0};
    add(&d, "config.json", config);
    cr_assert_eq(check(&d, ret_facts), SL_OK, "%s", cause.text);
}

/* ---- good directories ---------------------------------------------------------------------- */

#define MODULE(type, path)                                                                         \
    "{\"idx\":0,\"name\":\"0\",\"path\":\"" path                                                   \
    "\",\"type\":\"sentence_transformers.models." type "\"}"

Test(huggingface, tells_sizes_tokenizer_pooling_and_task)
{
    struct directory d = {0};
    struct sl_huggingface f = {0};
    add(&d, "config.json", bert);
    add(&d, "tokenizer.json",
        "{\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\"}],\"model\":{\"type\":\"WordPiece\","
        "\"unk_token\":\"a\",\"vocab\":{\"[PAD]\":0,\"a\":1,\"##b\":2}}}");
    add(&d, "modules.json",
        "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") "," MODULE(
            "Dense", "2_Dense") "," MODULE("Normalize", "3_Normalize") "]");
    add(&d, "1_Pooling/config.json",
        "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":true,"
        "\"pooling_mode_mean_tokens\":true}");
    add(&d, "2_Dense/config.json", "{\"in_features\":16,\"out_features\":4}");
    add(&d, "tokenizer_config.json",
        "{\"do_lower_case\":true,\"model_max_length\":1000000000000000019884624838656}");
    add(&d, "sentence_bert_config.json", "{\"max_seq_length\":12}");
    add(&d, "config_sentence_transformers.json", "{\"prompts\":{\"query\":\"query: \"}}");
    add(&d, "special_tokens_map.json",
        "{\"pad_token\":{\"content\":\"[PAD]\"},"
        "\"additional_special_tokens\":[\"<a>\"]}");
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert_str_eq(f.model_type, "bert");
    cr_assert_str_eq(f.architecture, "BertModel");
    cr_assert_eq(f.sizes.hidden_size, 8);
    cr_assert_eq(f.sizes.layers_count, 2);
    cr_assert_eq(f.sizes.types_count, 2);
    cr_assert_eq(f.tokenizer, SL_HUGGINGFACE_WORDPIECE);
    cr_assert_eq(f.tokens_count, 3);
    cr_assert_eq(f.added_count, 1);
    cr_assert_eq(f.pooling, SL_HUGGINGFACE_POOL_CLS | SL_HUGGINGFACE_POOL_MEAN);
    cr_assert(f.is_normalized && f.is_lower_case && f.has_modules);
    cr_assert_eq(f.dense_count, 1);
    cr_assert_eq(f.embedding_size, 4);
    cr_assert_eq(f.input_tokens_max, 12);
    cr_assert_eq(f.prompts_count, 1);
    cr_assert_eq(f.task, SL_HUGGINGFACE_EMBEDDING);
    cr_assert_not(f.asks_for_code);
    sl_huggingface_deinit(&f);
}

Test(huggingface, knows_the_names_that_other_families_have_for_sizes)
{
    struct sl_huggingface f = {0};
    taken("{\"n_embd\":8,\"n_layer\":3,\"n_head\":2,\"n_inner\":null,\"n_positions\":64}", &f);
    cr_assert_eq(f.sizes.hidden_size, 8);
    cr_assert_eq(f.sizes.layers_count, 3);
    cr_assert_eq(f.sizes.intermediate_size, 0);
    cr_assert_eq(f.sizes.positions_count, 64);
    sl_huggingface_deinit(&f);
    taken("{\"dim\":8,\"n_layers\":3,\"n_heads\":2,\"hidden_dim\":32}", &f);
    cr_assert_eq(f.sizes.intermediate_size, 32);
    sl_huggingface_deinit(&f);
    taken("{\"text_config\":{\"hidden_size\":8,\"num_attention_heads\":2}}", &f);
    cr_assert_eq(f.sizes.heads_count, 2);
    sl_huggingface_deinit(&f);
    taken("{\"hidden_size\":8,\"num_attention_heads\":3,\"head_dim\":4,"
          "\"max_position_embeddings\":-1,\"num_hidden_layers\":[1,2]}",
          &f);
    cr_assert_eq(f.sizes.layers_count, 0);
    sl_huggingface_deinit(&f);
}

Test(huggingface, derives_the_task_from_the_architecture_and_its_labels)
{
    static const struct {
        const char *config;
        enum sl_huggingface_task task;
        uint32_t labels;
    } cases[] = {
        {"{\"architectures\":[\"BertForMaskedLM\"]}", SL_HUGGINGFACE_EMBEDDING, 0},
        {"{\"architectures\":[\"BertForSequenceClassification\"]}", SL_HUGGINGFACE_CLASSIFICATION,
         2},
        {"{\"architectures\":[\"BertForSequenceClassification\"],\"num_labels\":1}",
         SL_HUGGINGFACE_RERANKING, 1},
        {"{\"architectures\":[\"XLMRobertaForSequenceClassification\"],"
         "\"id2label\":{\"0\":\"LABEL_0\"}}",
         SL_HUGGINGFACE_RERANKING, 1},
        {"{\"architectures\":[\"BertForTokenClassification\"],"
         "\"id2label\":{\"1\":\"b\",\"0\":\"a\",\"2\":\"c\"},\"label2id\":{\"b\":1}}",
         SL_HUGGINGFACE_CLASSIFICATION, 3},
        {"{\"architectures\":[\"LlamaForCausalLM\"]}", SL_HUGGINGFACE_GENERATION, 0},
        {"{\"architectures\":[\"T5ForConditionalGeneration\"]}", SL_HUGGINGFACE_GENERATION, 0},
        {"{\"architectures\":null}", SL_HUGGINGFACE_EMBEDDING, 0},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sl_huggingface f = {0};
        taken(cases[i].config, &f);
        cr_expect_eq(f.task, cases[i].task, "%s: %s", cases[i].config,
                     sl_huggingface_task_name(f.task));
        cr_expect_eq(f.labels_count, cases[i].labels);
        if (cases[i].labels == 3)
            cr_expect_str_eq(f.labels[1], "b");
        sl_huggingface_deinit(&f);
    }
    struct directory d = {0};
    struct sl_huggingface f = {0};
    add(&d, "config.json", "{\"architectures\":[\"BertForMaskedLM\"]}");
    add(&d, "modules.json", "[" MODULE("SpladePooling", "1_SpladePooling") "]");
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert_eq(f.task, SL_HUGGINGFACE_SPARSE);
    sl_huggingface_deinit(&f);
    d.texts[0] = "{\"architectures\":[\"Qwen3ForCausalLM\"]}";
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert_eq(f.task, SL_HUGGINGFACE_EMBEDDING);
    sl_huggingface_deinit(&f);
}

Test(huggingface, tells_each_kind_of_tokenizer)
{
    static const struct {
        const char *path, *text;
        enum sl_huggingface_tokenizer kind;
        uint32_t tokens, merges;
    } cases[] = {
        {"tokenizer.json",
         "{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",-1.5],[\"b\",0]]}}",
         SL_HUGGINGFACE_UNIGRAM, 2, 0},
        {"tokenizer.json", "{\"model\":{\"vocab\":[[\"a\",-1.5]]}}", SL_HUGGINGFACE_UNIGRAM, 1, 0},
        {"tokenizer.json",
         "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\",[\"a\",\"b\"]]}}",
         SL_HUGGINGFACE_BPE, 1, 2},
        {"tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", SL_HUGGINGFACE_BPE, 1,
         0},
        {"tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0}}}", SL_HUGGINGFACE_WORDPIECE, 1, 0},
        {"tokenizer.json", "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}",
         SL_HUGGINGFACE_WORDLEVEL, 1, 0},
        {"vocab.txt", "a\nb\nc", SL_HUGGINGFACE_WORDPIECE, 3, 0},
        {"spiece.model", NULL, SL_HUGGINGFACE_SENTENCEPIECE, 0, 0},
        {"modeling.py", NULL, SL_HUGGINGFACE_TOKENIZER_NONE, 0, 0},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct directory d = {0};
        struct sl_huggingface f = {0};
        add(&d, "config.json", bert);
        add(&d, cases[i].path, cases[i].text);
        cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
        cr_expect_eq(f.tokenizer, cases[i].kind, "%zu: %s", i,
                     sl_huggingface_tokenizer_name(f.tokenizer));
        cr_expect_eq(f.tokens_count, cases[i].tokens);
        cr_expect_eq(f.merges_count, cases[i].merges);
        sl_huggingface_deinit(&f);
    }
}

Test(huggingface, records_code_as_ignored_and_runs_none)
{
    struct directory d = {0};
    struct sl_huggingface f = {0};
    add(&d, "config.json", "{\"auto_map\":{\"AutoModel\":\"modeling_own.OwnModel\"}}");
    add(&d, "modeling_own.py", "raise SystemExit");
    add(&d, "sub/other.py", NULL);
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert(f.asks_for_code);
    cr_assert_eq(f.scripts_count, 2);
    sl_huggingface_deinit(&f);
    d = (struct directory){0};
    add(&d, "config.json", bert);
    add(&d, "modules.json", "[{\"path\":\"\",\"type\":\"custom_st.Transformer\"}]");
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert(f.asks_for_code);
    sl_huggingface_deinit(&f);
    d = (struct directory){0};
    add(&d, "config.json", bert);
    add(&d, "tokenizer_config.json", "{\"auto_map\":{\"AutoTokenizer\":[null,\"a.B\"]}}");
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert(f.asks_for_code);
    sl_huggingface_deinit(&f);
}

/* ---- config.json --------------------------------------------------------------------------- */

Test(huggingface, refuses_a_config_that_is_missing_no_json_or_no_object)
{
    struct directory d = {0};
    struct sl_huggingface f = {0};
    cr_assert_eq(check(&d, &f), SL_EINVAL);
    cr_assert(strstr(cause.text, "no config.json"));
    config_refused("", "not JSON");
    config_refused("{\"a\":", "not JSON");
    config_refused("[]", "not an object");
    config_refused("{\"a\":\"\xff\"}", "UTF-8");
}

Test(huggingface, refuses_duplicate_keys_in_a_config)
{
    config_refused("{\"hidden_size\":8,\"hidden_size\":16}", "duplicate");
    config_refused("{\"hidden_size\":8,\"hidden\\u005fsize\":16}", "duplicate");
    refused(bert, "tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0,\"a\":1}}}", SL_EINVAL,
            "duplicate");
}

Test(huggingface, refuses_deep_json)
{
    struct sl_buf text = {0};
    sl_buf_append_str(&text, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        sl_buf_append_u8(&text, '[');
    config_refused(sl_buf_text(&text), "nested too deeply");
    sl_buf_deinit(&text);
}

Test(huggingface, refuses_files_that_are_too_large_or_have_too_many_values)
{
    struct sl_buf text = {0};
    sl_buf_append_str(&text, "{\"a\":\"");
    for (uint64_t i = 0; i < SL_HUGGINGFACE_CONFIG_SIZE_MAX; i++)
        sl_buf_append_u8(&text, 'a');
    sl_buf_append_str(&text, "\"}");
    refused(sl_buf_text(&text), NULL, NULL, SL_ETOOBIG, "at most 4194304 are read");
    sl_buf_clear(&text);
    sl_buf_append_str(&text, "{\"model\":[0");
    for (uint64_t i = 0; i < 9 << 20; i++)
        sl_buf_append_str(&text, ",0");
    sl_buf_append_str(&text, "]}");
    refused(bert, "tokenizer.json", sl_buf_text(&text), SL_ETOOBIG, "values");
    sl_buf_deinit(&text);
}

Test(huggingface, refuses_sizes_that_are_no_numbers_or_out_of_range)
{
    config_refused("{\"hidden_size\":0}", "hidden_size is 0");
    config_refused("{\"hidden_size\":-8}", "hidden_size is -8");
    config_refused("{\"hidden_size\":8.0}", "hidden_size is 8.0");
    config_refused("{\"hidden_size\":\"8\"}", "hidden_size is \"8\"");
    config_refused("{\"hidden_size\":{}}", "hidden_size");
    config_refused("{\"hidden_size\":18446744073709551616}", "hidden_size");
    config_refused("{\"vocab_size\":99999999999}", "vocab_size");
    config_refused("{\"num_hidden_layers\":5000}", "num_hidden_layers");
    config_refused("{\"text_config\":{\"hidden_size\":-8}}", "hidden_size is -8");
}

Test(huggingface, refuses_sizes_that_contradict_each_other)
{
    config_refused("{\"hidden_size\":10,\"num_attention_heads\":3}", "not divisible by 3");
    config_refused("{\"num_attention_heads\":8,\"num_key_value_heads\":3}", "keys and values");
    config_refused("{\"vocab_size\":9,\"pad_token_id\":9}", "pad_token_id 9");
}

Test(huggingface, refuses_names_that_are_no_names)
{
    config_refused("{\"model_type\":\"../../bert\"}", "model_type");
    config_refused("{\"model_type\":7}", "model_type");
    config_refused("{\"model_type\":\"\"}", "model_type");
    config_refused("{\"architectures\":\"BertModel\"}", "architectures");
    config_refused("{\"architectures\":[null]}", "architectures");
    config_refused("{\"architectures\":[\"Bert Model\\n\"]}", "architectures");
}

Test(huggingface, refuses_labels_that_do_not_count_from_0)
{
    config_refused("{\"id2label\":{\"0\":\"a\",\"2\":\"b\"}}", "does not count");
    config_refused("{\"id2label\":{\"0\":\"a\",\"01\":\"b\"}}", "does not count");
    config_refused("{\"id2label\":{\"-1\":\"a\"}}", "does not count");
    config_refused("{\"id2label\":{\"\":\"a\"}}", "does not count");
    config_refused("{\"id2label\":{\"0\":{}}}", "label 0");
    config_refused("{\"id2label\":{\"0\":\"a\\u0000\"}}", "NUL");
    config_refused("{\"id2label\":[\"a\"]}", "id2label");
    config_refused("{\"id2label\":{\"0\":\"a\"},\"num_labels\":2}", "num_labels is 2");
    config_refused("{\"id2label\":{\"0\":\"a\"},\"label2id\":{\"a\":1}}", "label2id");
    config_refused("{\"num_labels\":4000000000}", "num_labels");
}

/* ---- tokenizers ---------------------------------------------------------------------------- */

static void
tokenizer_refused(const char *text, enum sl_err want, const char *says)
{
    refused(bert, "tokenizer.json", text, want, says);
}

Test(huggingface, refuses_tokenizers_that_are_malformed)
{
    tokenizer_refused("{}", SL_EINVAL, "no model");
    tokenizer_refused("{\"model\":{\"type\":\"Magic\"}}", SL_EUNAVAIL, "\"Magic\"");
    tokenizer_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":[]}}", SL_EINVAL, "not an object");
    tokenizer_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", SL_EINVAL, "merges");
    tokenizer_refused("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", SL_EINVAL, "empty");
    tokenizer_refused("{\"model\":{\"vocab\":{\"a\":9}}}", SL_EINVAL, "id is 9");
    tokenizer_refused("{\"model\":{\"vocab\":{\"a\":-1}}}", SL_EINVAL, "id is -1");
    tokenizer_refused("{\"model\":{\"vocab\":{\"a\":\"0\"}}}", SL_EINVAL, "id is \"0\"");
    tokenizer_refused("{\"model\":{\"vocab\":[[\"a\"]]}}", SL_EINVAL, "[token, score]");
    tokenizer_refused("{\"model\":{\"vocab\":[[\"a\",\"b\"]]}}", SL_EINVAL, "score");
    tokenizer_refused("{\"model\":{\"vocab\":[[1,2]]}}", SL_EINVAL, "not a string");
    tokenizer_refused("{\"model\":{\"vocab\":[[\"a\",0]],\"unk_id\":1}}", SL_EINVAL, "unk_id");
    tokenizer_refused("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", SL_EINVAL,
                      "two tokens");
    tokenizer_refused("{\"model\":{\"vocab\":{\"a\":0},\"max_input_chars_per_word\":0}}", SL_EINVAL,
                      "max_input_chars_per_word");
    tokenizer_refused("{\"added_tokens\":[{\"id\":0}],\"model\":{\"vocab\":{\"a\":0}}}", SL_EINVAL,
                      "added token");
    tokenizer_refused("{\"added_tokens\":[{\"id\":99999999,\"content\":\"a\"}],"
                      "\"model\":{\"vocab\":{\"a\":0}}}",
                      SL_EINVAL, "id is 99999999");
}

Test(huggingface, refuses_a_tokenizer_of_over_a_million_tokens)
{
    struct sl_buf text = {0};
    sl_buf_append_str(&text, "{\"model\":{\"vocab\":[[\"a\",0]");
    for (uint32_t i = 0; i < SL_HUGGINGFACE_TOKENS_MAX; i++)
        sl_buf_append_str(&text, ",[\"a\",0]");
    sl_buf_append_str(&text, "]}}");
    refused("{}", "tokenizer.json", sl_buf_text(&text), SL_ETOOBIG, "1048577 tokens");
    sl_buf_deinit(&text);
}

Test(huggingface, refuses_a_token_of_a_megabyte)
{
    struct sl_buf text = {0};
    char *token = malloc((1 << 20) + 1);
    memset(token, 'a', 1 << 20);
    token[1 << 20] = '\0';
    sl_buf_printf(&text, "{\"model\":{\"vocab\":{\"%s\":0}}}", token);
    tokenizer_refused(sl_buf_text(&text), SL_ETOOBIG, "1048576 bytes");
    sl_buf_clear(&text);
    sl_buf_printf(&text, "{\"pad_token\":\"%s\"}", token);
    refused(bert, "special_tokens_map.json", sl_buf_text(&text), SL_ETOOBIG, "1048576 bytes");
    refused(bert, "vocab.txt", token, SL_ETOOBIG, "1048576 bytes");
    sl_buf_deinit(&text);
    free(token);
}

Test(huggingface, refuses_more_tokens_than_the_embeddings_have_rows)
{
    refused("{\"vocab_size\":2}", "vocab.txt", "a\nb\nc\n", SL_EINVAL, "vocab_size of 2");
    refused("{\"vocab_size\":1}", "tokenizer.json", "{\"model\":{\"vocab\":[[\"a\",0],[\"b\",0]]}}",
            SL_EINVAL, "vocab_size of 1");
    refused(bert, "vocab.txt", "a\xff\n", SL_EINVAL, "UTF-8");
}

Test(huggingface, refuses_settings_of_tokenizers_that_make_no_sense)
{
    refused(bert, "tokenizer_config.json", "{\"model_max_length\":0}", SL_EINVAL, "positive");
    refused(bert, "tokenizer_config.json", "{\"tokenizer_class\":[]}", SL_EINVAL, "class");
    refused(bert, "special_tokens_map.json", "{\"pad_token\":7}", SL_EINVAL, "special token");
    refused(bert, "special_tokens_map.json", "{\"pad_token\":[{}]}", SL_EINVAL, "special token");
    refused(bert, "generation_config.json", "[", SL_EINVAL, "generation_config.json");
}

/* ---- modules ------------------------------------------------------------------------------- */

Test(huggingface, refuses_modules_outside_of_the_directory)
{
    static const char *const paths[] = {"..", "../1_Pooling", "/etc", "a/b", "a\\\\b", ".", "\\n"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "[{\"path\":\"%s\",\"type\":\"sentence_transformers.models.Pooling\"}]",
                       paths[i]);
        refused(bert, "modules.json", text, SL_EINVAL, "the name of a folder");
    }
}

Test(huggingface, refuses_modules_that_are_malformed_or_without_their_files)
{
    refused(bert, "modules.json", "{}", SL_EINVAL, "not an array");
    refused(bert, "modules.json", "[7]", SL_EINVAL, "module");
    refused(bert, "modules.json", "[{\"path\":\"\"}]", SL_EINVAL, "without a type");
    refused(bert, "modules.json", "[" MODULE("Pooling", "1_Pooling") "]", SL_EINVAL,
            "there is no 1_Pooling/config.json");
    refused(bert, "modules.json", "[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]",
            SL_ETOOBIG, "over 16");
}

Test(huggingface, refuses_poolings_that_contradict_the_model)
{
    static const char path[] = "1_Pooling/config.json";
    refused(bert, path, "{\"word_embedding_dimension\":9,\"pooling_mode\":\"mean\"}", SL_EINVAL,
            "hidden size 8");
    refused(bert, path, "{\"pooling_mode_cls_token\":1}", SL_EINVAL, "neither true nor false");
    refused(bert, path, "{\"pooling_mode_cls_token\":false}", SL_EINVAL, "no pooling");
    refused(bert, path, "{\"pooling_mode\":\"best\"}", SL_EUNAVAIL, "\"best\"");
}

Test(huggingface, refuses_dense_modules_that_do_not_fit)
{
    struct directory d = {0};
    struct sl_huggingface f = {0};
    add(&d, "config.json", bert);
    add(&d, "modules.json", "[" MODULE("Dense", "2_Dense") "]");
    add(&d, "2_Dense/config.json", "{\"in_features\":9,\"out_features\":4}");
    cr_assert_eq(check(&d, &f), SL_EINVAL);
    cr_assert(strstr(cause.text, "in_features is 9"), "%s", cause.text);
    d.texts[2] = "{\"in_features\":8}";
    cr_assert_eq(check(&d, &f), SL_EINVAL);
    cr_assert(strstr(cause.text, "no out_features"), "%s", cause.text);
}

Test(huggingface, refuses_every_cut_of_a_good_config)
{
    char text[sizeof(bert)];
    for (size_t size = 0; size + 1 < sizeof(bert); size++) {
        memcpy(text, bert, size);
        text[size] = '\0';
        config_refused(text, "config.json is not JSON");
    }
}

/* The architecture implies two labels, and there is no list of them to be freed. */
Test(huggingface, an_empty_id2label_of_a_classifier)
{
    struct directory d = {0};
    struct sl_huggingface f = {0};
    add(&d, "config.json",
        "{\"architectures\":[\"BertForSequenceClassification\"],\"id2label\":{}}");
    cr_assert_eq(check(&d, &f), SL_OK, "%s", cause.text);
    cr_assert_null(f.labels);
    sl_huggingface_deinit(&f);
}
