/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huggingface_state.h - a Hugging Face directory while it is read. For huggingface*.c only.
 */
#ifndef SL_OBJECT_STORE_HUGGINGFACE_STATE_H
#define SL_OBJECT_STORE_HUGGINGFACE_STATE_H

#include "object-store/huggingface.h"
#include "runtime/json.h"

/* In messages: at most so much of what somebody wrote. */
#define SHOWN(s) (int)SL_MIN((s).size, (size_t)64), (s).size == 0 ? "" : (const char *)(s).data

struct sl_huggingface_read {
    const struct sl_huggingface_files *files;
    struct sl_huggingface *facts;
    struct sl_cause *cause;
    const char *path; /* Of the file we are in. */
    bool has_splade;  /* A module that pools over the vocabulary. */
};

typedef enum sl_err sl_huggingface_read_fn(struct sl_huggingface_read *h, struct sl_json root);

/* Hand a file's root, an object or `kind`, to `read`. SL_ENOTFOUND: there is no such file. */
SL_MUST_CHECK enum sl_err sl_huggingface_with(struct sl_huggingface_read *h, const char *path,
                                              enum sl_json_kind kind, sl_huggingface_read_fn *read);
/* A whole number of [low, high], where the member is present and not null. */
SL_MUST_CHECK enum sl_err sl_huggingface_number(const struct sl_huggingface_read *h,
                                                struct sl_json object, const char *name,
                                                const uint64_t range[2], uint64_t *value);
/* A name of letters, digits, '_', '-' and '.', where it is present and not null. */
SL_MUST_CHECK enum sl_err sl_huggingface_word(const struct sl_huggingface_read *h, struct sl_json v,
                                              const char *name,
                                              char word[SL_HUGGINGFACE_WORD_MAX + 1]);
/* A token's text: a string of at most SL_HUGGINGFACE_TOKEN_SIZE_MAX bytes. */
SL_MUST_CHECK enum sl_err sl_huggingface_token(const struct sl_huggingface_read *h,
                                               struct sl_json v, const char *what);

/* huggingface_tokenizer.c, huggingface_modules.c: all files about that. */
SL_MUST_CHECK enum sl_err sl_huggingface_read_tokenizer(struct sl_huggingface_read *h);
SL_MUST_CHECK enum sl_err sl_huggingface_read_modules(struct sl_huggingface_read *h);

#endif
