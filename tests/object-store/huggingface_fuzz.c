/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a directory, in the order below, with a NUL between them; an empty one is absent.
 */
#include "object-store/huggingface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = {"config.json",
                                    "tokenizer.json",
                                    "modules.json",
                                    "1_Pooling/config.json",
                                    "2_Dense/config.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "vocab.txt",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "generation_config.json",
                                    "modeling.py"};

static bool
lookup(void *arg, const char *path, struct sl_slice *ret_text)
{
    struct sl_slice left = *(struct sl_slice *)arg;
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        const uint8_t *end = left.size == 0 ? NULL : memchr(left.data, 0, left.size);
        size_t size = end == NULL ? left.size : (size_t)(end - left.data);
        if (strcmp(path, paths[i]) == 0) {
            *ret_text = sl_slice(left.data, size);
            return size > 0;
        }
        size_t step = SL_MIN(size + 1, left.size);
        left = sl_slice(left.data + step, left.size - step);
    }
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice input = sl_slice(data, size);
    struct sl_huggingface_files files = {
        .lookup = lookup, .arg = &input, .paths = paths, .paths_count = SL_COUNT_OF(paths)};
    struct sl_huggingface facts = {0};
    struct sl_cause cause = {0};
    enum sl_err err = sl_huggingface_check(&files, &facts, &cause);
    if (err != SL_OK) {
        sl_assert(err == SL_EINVAL || err == SL_EUNAVAIL || err == SL_ETOOBIG);
        sl_assert(cause.text[0] != '\0' && facts.labels == NULL);
        return 0;
    }
    const struct sl_huggingface_sizes *s = &facts.sizes;
    sl_assert(s->heads_count == 0 || s->head_size != 0 || s->hidden_size % s->heads_count == 0);
    sl_assert(facts.tokens_count <= SL_HUGGINGFACE_TOKENS_MAX);
    sl_assert(s->vocab_size == 0 || facts.tokens_count <= s->vocab_size);
    sl_assert(facts.labels_count <= SL_HUGGINGFACE_LABELS_MAX && facts.scripts_count == 1);
    for (uint32_t i = 0; facts.labels != NULL && i < facts.labels_count; i++)
        sl_assert(facts.labels[i] != NULL);
    sl_assert(facts.pooling < 64 && facts.embedding_size <= 6 << 20);
    sl_assert(sl_huggingface_task_name(facts.task)[0] != '?');
    sl_assert(sl_huggingface_tokenizer_name(facts.tokenizer)[0] != '?');
    sl_huggingface_deinit(&facts);
    return 0;
}
