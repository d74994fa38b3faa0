/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huggingface.h - what the small files of a Hugging Face directory say of a model: architecture,
 * sizes, tokenizer, pooling, task. What it is; whether it can be run here is another question
 * (bert_layout.h). Files that do not add up are refused, code that comes along is not looked at.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_HUGGINGFACE_H
#define SL_OBJECT_STORE_HUGGINGFACE_H

#include "object-store/cause.h"
#include "runtime/base.h"

#define SL_HUGGINGFACE_CONFIG_SIZE_MAX    (4 * SL_MIB)  /* Of each file but a tokenizer. */
#define SL_HUGGINGFACE_TOKENIZER_SIZE_MAX (64 * SL_MIB) /* tokenizer.json, vocab.txt */
#define SL_HUGGINGFACE_TOKENS_MAX         1048576u      /* Of a vocabulary. */
#define SL_HUGGINGFACE_MERGES_MAX         1048576u
#define SL_HUGGINGFACE_ADDED_MAX          65536u
#define SL_HUGGINGFACE_TOKEN_SIZE_MAX     4096 /* Bytes of one token. */
#define SL_HUGGINGFACE_LABELS_MAX         65536u
#define SL_HUGGINGFACE_MODULES_MAX        16
#define SL_HUGGINGFACE_WORD_MAX           127 /* Bytes of a class's or a type's name. */

/* A file of the directory by its path, "1_Pooling/config.json". False: there is none. */
typedef bool sl_huggingface_file_fn(void *arg, const char *path, struct sl_slice *ret_text);

struct sl_huggingface_files {
    sl_huggingface_file_fn *lookup; /* Texts live as long as the call. */
    void *arg;
    const char *const *paths; /* Of all files in it, weights and code included. */
    uint32_t paths_count;
};

enum sl_huggingface_tokenizer {
    SL_HUGGINGFACE_TOKENIZER_NONE,
    SL_HUGGINGFACE_WORDPIECE,
    SL_HUGGINGFACE_UNIGRAM,
    SL_HUGGINGFACE_BPE,
    SL_HUGGINGFACE_WORDLEVEL,
    SL_HUGGINGFACE_SENTENCEPIECE /* A file of its own format, which nobody looked into. */
};

enum { /* Poolings, as bits: what several make stands one after the other. */
       SL_HUGGINGFACE_POOL_CLS = 1,
       SL_HUGGINGFACE_POOL_MAX = 2,
       SL_HUGGINGFACE_POOL_MEAN = 4,
       SL_HUGGINGFACE_POOL_MEAN_SQRT = 8,
       SL_HUGGINGFACE_POOL_WEIGHTED = 16,
       SL_HUGGINGFACE_POOL_LAST = 32
};

enum sl_huggingface_task {
    SL_HUGGINGFACE_EMBEDDING,
    SL_HUGGINGFACE_SPARSE, /* A masked language model with pooling over its vocabulary. */
    SL_HUGGINGFACE_RERANKING,
    SL_HUGGINGFACE_CLASSIFICATION,
    SL_HUGGINGFACE_GENERATION
};

struct sl_huggingface_sizes { /* 0: it does not say. */
    uint64_t vocab_size;
    uint64_t hidden_size;
    uint64_t layers_count;
    uint64_t heads_count;
    uint64_t key_value_heads_count; /* Divides heads_count. */
    uint64_t head_size;
    uint64_t intermediate_size;
    uint64_t positions_count;
    uint64_t types_count;
};

struct sl_huggingface {
    char model_type[SL_HUGGINGFACE_WORD_MAX + 1];   /* "bert"; "" where absent, as below. */
    char architecture[SL_HUGGINGFACE_WORD_MAX + 1]; /* "BertModel", the first one. */
    struct sl_huggingface_sizes sizes;
    enum sl_huggingface_tokenizer tokenizer;
    uint32_t tokens_count, merges_count, added_count;
    uint32_t input_tokens_max; /* Of one input; 0: it does not say. */
    bool is_lower_case;
    bool has_modules; /* A sentence-transformers directory. */
    uint32_t pooling; /* Bits; 0: no pooling stated. */
    bool is_normalized;
    uint32_t dense_count;    /* Dense modules behind the pooling. */
    uint64_t embedding_size; /* Behind all modules; 0: it does not say. */
    uint32_t prompts_count;
    enum sl_huggingface_task task;
    char **labels; /* NULL where they are only counted. Owned. */
    uint32_t labels_count;
    bool asks_for_code;     /* auto_map or modules of its own: ignored. */
    uint32_t scripts_count; /* *.py: ignored. */
};

/*
 * Read the directory's files. SL_EINVAL: one of them is malformed or they contradict each other,
 * SL_ETOOBIG: over a limit above; the cause names the file. On success deinit *ret_facts.
 */
SL_MUST_CHECK
enum sl_err sl_huggingface_check(const struct sl_huggingface_files *files,
                                 struct sl_huggingface *ret_facts, struct sl_cause *ret_cause);
void sl_huggingface_deinit(struct sl_huggingface *facts); /* Zeroed is fine. */

const char *sl_huggingface_tokenizer_name(enum sl_huggingface_tokenizer kind); /* "WordPiece" */
const char *sl_huggingface_task_name(enum sl_huggingface_task task);           /* "embedding" */

#endif
