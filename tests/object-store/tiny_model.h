/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny_model.h - writes a small seeded BERT-like model (Hugging Face layout) into a directory, for
 * tests: config.json, modules.json, 1_Pooling/config.json, sentence_bert_config.json,
 * tokenizer_config.json, vocab.txt and model.safetensors. Same options, same bytes, on any machine.
 */
#ifndef SL_TESTS_TINY_MODEL_H
#define SL_TESTS_TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct tiny_model_options { /* Zero = default. */
    uint64_t seed;
    uint32_t hidden_size;       /* 32 */
    uint32_t layers_count;      /* 2 */
    uint32_t heads_count;       /* 4 */
    uint32_t intermediate_size; /* 64 */
    uint32_t vocab_size;        /* 128, at least 100 */
    uint32_t positions_count;   /* 64 */
    bool has_prefix;            /* Names start with "bert.". */
    bool is_half;               /* F16 instead of F32. */
    bool is_cls;                /* CLS pooling instead of mean. */
    bool is_bare;               /* Only config.json, vocab.txt and model.safetensors. */
    const char *skip_tensor;    /* Left out. Named without prefix, as bend_tensor. */
    const char *bend_tensor;    /* Its first dimension is one too long. */
    uint32_t shards_count;      /* 2 and more: shards and model.safetensors.index.json. */
};

/* Write it into an existing directory. 0, or -1 with errno set. */
int tiny_model_write(const char *directory, const struct tiny_model_options *options);

/* Make an empty directory under the system's temporary one; the template's X's are filled in. */
char *tiny_directory_make(char path[static 64]);
void tiny_directory_remove(const char *path); /* With everything in it. */

#endif
