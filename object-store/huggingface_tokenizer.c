/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cuts text into tokens: tokenizer.json, or else the older files beside it. Counts and sizes
 * of tokens are bounded, and ids of the vocabulary are rows that the embeddings have (tokens that
 * were added may lie behind them: many are published so), so that who loads it need not fear the
 * table it makes of it. Whether it cuts as its author meant is not ours to know.
 */
#include <inttypes.h>

#include "object-store/huggingface_state.h"
#include "runtime/utf8.h"

#define WORD_CHARACTERS_MAX 65536
#define MODEL_MAX_LENGTH    (1u << 30) /* More stands for no limit: some write 1e30. */

/* ---- tokenizer.json ------------------------------------------------------------------------ */

static enum sl_err
check_count(const struct sl_huggingface_read *h, uint64_t count)
{
    uint64_t vocab_size = h->facts->sizes.vocab_size;
    if (count == 0)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: the vocabulary is empty", h->path);
    if (count > SL_HUGGINGFACE_TOKENS_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s has %" PRIu64 " tokens; at most %u are read",
                            h->path, count, SL_HUGGINGFACE_TOKENS_MAX);
    if (vocab_size != 0 && count > vocab_size)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s has %" PRIu64 " tokens, config.json a vocab_size of %" PRIu64,
                            h->path, count, vocab_size);
    return SL_OK;
}

/* An id is below `limit`; 0: below what can be at all. */
static enum sl_err
check_id(const struct sl_huggingface_read *h, struct sl_json v, uint64_t limit)
{
    uint64_t id;
    if (limit == 0)
        limit = 2 * SL_HUGGINGFACE_TOKENS_MAX;
    if (sl_json_u64(v, &id) == SL_OK && id < limit)
        return SL_OK;
    struct sl_slice raw = sl_json_raw(v);
    return sl_cause_set(h->cause, SL_EINVAL, "%s: a token's id is %.*s, not below %" PRIu64,
                        h->path, SHOWN(raw), limit);
}

/* {"token": id}, of all but Unigram. */
static enum sl_err
read_vocabulary(const struct sl_huggingface_read *h, struct sl_json model)
{
    struct sl_json vocab = sl_json_member(model, "vocab"),
                   unknown = sl_json_member(model, "unk_token");
    if (sl_json_kind(vocab) != SL_JSON_OBJECT)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: model.vocab is not an object", h->path);
    enum sl_err err = check_count(h, sl_json_count(vocab));
    for (struct sl_json_iter i = sl_json_iter(vocab); err == SL_OK && sl_json_next(&i);) {
        err = sl_huggingface_token(h, i.name, "a token");
        if (err == SL_OK)
            err = check_id(h, i.value, h->facts->sizes.vocab_size);
    }
    if (err == SL_OK && sl_json_has(unknown))
        err = sl_huggingface_token(h, unknown, "unk_token");
    h->facts->tokens_count = err == SL_OK ? sl_json_count(vocab) : 0;
    return err;
}

/* [["token", score]], its ids are places in the list. */
static enum sl_err
read_unigram(const struct sl_huggingface_read *h, struct sl_json model)
{
    struct sl_json vocab = sl_json_member(model, "vocab"),
                   unknown = sl_json_member(model, "unk_id");
    uint64_t id = 0;
    double score;
    if (sl_json_kind(vocab) != SL_JSON_ARRAY)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: model.vocab is not an array", h->path);
    uint32_t count = sl_json_count(vocab);
    enum sl_err err = check_count(h, count);
    for (struct sl_json_iter i = sl_json_iter(vocab); err == SL_OK && sl_json_next(&i);) {
        struct sl_json_iter pair = sl_json_iter(i.value);
        if (sl_json_kind(i.value) != SL_JSON_ARRAY || sl_json_count(i.value) != 2)
            return sl_cause_set(h->cause, SL_EINVAL, "%s: a piece is not [token, score]", h->path);
        (void)sl_json_next(&pair);
        err = sl_huggingface_token(h, pair.value, "a token");
        (void)sl_json_next(&pair);
        if (err == SL_OK && sl_json_f64(pair.value, &score) != SL_OK)
            err = sl_cause_set(h->cause, SL_EINVAL, "%s: a token's score is not a number", h->path);
    }
    if (err == SL_OK && sl_json_has(unknown) && (sl_json_u64(unknown, &id) != SL_OK || id >= count))
        err = sl_cause_set(h->cause, SL_EINVAL, "%s: unk_id is not the place of a token", h->path);
    h->facts->tokens_count = err == SL_OK ? count : 0;
    return err;
}

/* "a b", or ["a", "b"]. */
static enum sl_err
check_merge(const struct sl_huggingface_read *h, struct sl_json merge)
{
    enum sl_err err = SL_OK;
    if (sl_json_kind(merge) != SL_JSON_ARRAY)
        return sl_huggingface_token(h, merge, "a merge");
    if (sl_json_count(merge) != 2)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: a merge is not of two tokens", h->path);
    for (struct sl_json_iter i = sl_json_iter(merge); err == SL_OK && sl_json_next(&i);)
        err = sl_huggingface_token(h, i.value, "a merge");
    return err;
}

static enum sl_err
read_merges(const struct sl_huggingface_read *h, struct sl_json model)
{
    struct sl_json merges = sl_json_member(model, "merges");
    if (sl_json_kind(merges) != SL_JSON_ARRAY)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: model.merges is not an array", h->path);
    if (sl_json_count(merges) > SL_HUGGINGFACE_MERGES_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s has %u merges; at most %u are read", h->path,
                            sl_json_count(merges), SL_HUGGINGFACE_MERGES_MAX);
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(merges); err == SL_OK && sl_json_next(&i);)
        err = check_merge(h, i.value);
    h->facts->merges_count = err == SL_OK ? sl_json_count(merges) : 0;
    return err;
}

static enum sl_huggingface_tokenizer
kind_of(struct sl_json model)
{
    static const struct {
        const char *type;
        enum sl_huggingface_tokenizer kind;
    } kinds[] = {{"WordPiece", SL_HUGGINGFACE_WORDPIECE},
                 {"Unigram", SL_HUGGINGFACE_UNIGRAM},
                 {"BPE", SL_HUGGINGFACE_BPE},
                 {"WordLevel", SL_HUGGINGFACE_WORDLEVEL}};
    struct sl_json type = sl_json_member(model, "type");
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (sl_json_is(type, kinds[i].type))
            return kinds[i].kind;
    }
    if (sl_json_has(type))
        return SL_HUGGINGFACE_TOKENIZER_NONE;
    /* Older files do not say. */
    if (sl_json_kind(sl_json_member(model, "vocab")) == SL_JSON_ARRAY)
        return SL_HUGGINGFACE_UNIGRAM;
    if (sl_json_has(sl_json_member(model, "merges")))
        return SL_HUGGINGFACE_BPE;
    return SL_HUGGINGFACE_WORDPIECE;
}

static enum sl_err
read_added(const struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_json added = sl_json_member(root, "added_tokens");
    if (!sl_json_has(added))
        return SL_OK;
    if (sl_json_kind(added) != SL_JSON_ARRAY || sl_json_count(added) > SL_HUGGINGFACE_ADDED_MAX)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: added_tokens is not a list of up to %u",
                            h->path, SL_HUGGINGFACE_ADDED_MAX);
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(added); err == SL_OK && sl_json_next(&i);) {
        err = check_id(h, sl_json_member(i.value, "id"), 0);
        if (err == SL_OK)
            err = sl_huggingface_token(h, sl_json_member(i.value, "content"), "an added token");
    }
    h->facts->added_count = err == SL_OK ? sl_json_count(added) : 0;
    return err;
}

static enum sl_err
read_tokenizer(struct sl_huggingface_read *h, struct sl_json root)
{
    static const uint64_t range[2] = {1, WORD_CHARACTERS_MAX};
    struct sl_json model = sl_json_member(root, "model");
    uint64_t ignored;
    if (sl_json_kind(model) != SL_JSON_OBJECT)
        return sl_cause_set(h->cause, SL_EINVAL, "%s has no model", h->path);
    h->facts->tokenizer = kind_of(model);
    if (h->facts->tokenizer == SL_HUGGINGFACE_TOKENIZER_NONE) {
        struct sl_slice raw = sl_json_raw(sl_json_member(model, "type"));
        return sl_cause_set(h->cause, SL_EUNAVAIL,
                            "%s: a model of type %.*s is not read here, only WordPiece, Unigram, "
                            "BPE and WordLevel",
                            h->path, SHOWN(raw));
    }
    enum sl_err err = h->facts->tokenizer == SL_HUGGINGFACE_UNIGRAM ? read_unigram(h, model)
                                                                    : read_vocabulary(h, model);
    if (err == SL_OK && h->facts->tokenizer == SL_HUGGINGFACE_BPE)
        err = read_merges(h, model);
    if (err == SL_OK)
        err = sl_huggingface_number(h, model, "max_input_chars_per_word", range, &ignored);
    return err != SL_OK ? err : read_added(h, root);
}

/* ---- the files beside it ------------------------------------------------------------------- */

static enum sl_err
read_vocabulary_text(struct sl_huggingface_read *h)
{
    struct sl_slice text;
    h->path = "vocab.txt";
    if (!h->files->lookup(h->files->arg, h->path, &text))
        return SL_ENOTFOUND;
    if (text.size > SL_HUGGINGFACE_TOKENIZER_SIZE_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s has %zu bytes; at most %" PRIu64 " are read",
                            h->path, text.size, SL_HUGGINGFACE_TOKENIZER_SIZE_MAX);
    if (!sl_utf8_is_valid(text) || (text.size > 0 && memchr(text.data, 0, text.size) != NULL))
        return sl_cause_set(h->cause, SL_EINVAL, "%s is not UTF-8, or has a NUL", h->path);
    uint64_t lines = 0;
    for (size_t at = 0; at < text.size; lines++) {
        const uint8_t *start = text.data + at, *end = memchr(start, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - start);
        if (size > SL_HUGGINGFACE_TOKEN_SIZE_MAX)
            return sl_cause_set(h->cause, SL_ETOOBIG,
                                "%s: a token has %zu bytes; at most %d are read", h->path, size,
                                SL_HUGGINGFACE_TOKEN_SIZE_MAX);
        at += size + 1;
    }
    enum sl_err err = check_count(h, lines);
    if (err == SL_OK && h->facts->tokenizer == SL_HUGGINGFACE_TOKENIZER_NONE) {
        h->facts->tokenizer = SL_HUGGINGFACE_WORDPIECE;
        h->facts->tokens_count = (uint32_t)lines;
    }
    return err;
}

static enum sl_err
read_tokenizer_config(struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_huggingface *facts = h->facts;
    char ignored[SL_HUGGINGFACE_WORD_MAX + 1];
    double length = 0;
    facts->asks_for_code |= sl_json_has(sl_json_member(root, "auto_map"));
    facts->is_lower_case = sl_json_bool(sl_json_member(root, "do_lower_case"), false);
    enum sl_err err =
        sl_huggingface_word(h, sl_json_member(root, "tokenizer_class"), "tokenizer_class", ignored);
    struct sl_json v = sl_json_member(root, "model_max_length");
    if (err != SL_OK || !sl_json_has(v))
        return err;
    if (sl_json_f64(v, &length) != SL_OK || length < 1)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: model_max_length is not a positive number",
                            h->path);
    if (length < MODEL_MAX_LENGTH)
        facts->input_tokens_max = (uint32_t)length;
    return SL_OK;
}

/* A string, or {"content": string}. */
static enum sl_err
check_special(const struct sl_huggingface_read *h, struct sl_json v)
{
    if (sl_json_kind(v) == SL_JSON_OBJECT)
        v = sl_json_member(v, "content");
    return sl_huggingface_token(h, v, "a special token");
}

static enum sl_err
read_special_tokens(struct sl_huggingface_read *h, struct sl_json root)
{
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(root); err == SL_OK && sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_ARRAY) {
            err = sl_json_has(i.value) ? check_special(h, i.value) : SL_OK;
            continue;
        }
        for (struct sl_json_iter j = sl_json_iter(i.value); err == SL_OK && sl_json_next(&j);)
            err = check_special(h, j.value);
    }
    return err;
}

static bool
has_path(const struct sl_huggingface_read *h, const char *path)
{
    for (uint32_t i = 0; i < h->files->paths_count; i++) {
        if (strcmp(h->files->paths[i], path) == 0)
            return true;
    }
    return false;
}

/* What older directories have instead of the files above. */
static void
look_for_others(struct sl_huggingface_read *h)
{
    static const char *const pieces[] = {"sentencepiece.bpe.model", "spiece.model",
                                         "tokenizer.model"};
    for (size_t i = 0; i < SL_COUNT_OF(pieces); i++) {
        if (has_path(h, pieces[i]))
            h->facts->tokenizer = SL_HUGGINGFACE_SENTENCEPIECE;
    }
    if (has_path(h, "vocab.json") && has_path(h, "merges.txt"))
        h->facts->tokenizer = SL_HUGGINGFACE_BPE;
}

enum sl_err
sl_huggingface_read_tokenizer(struct sl_huggingface_read *h)
{
    enum sl_err err = sl_huggingface_with(h, "tokenizer.json", SL_JSON_OBJECT, read_tokenizer);
    if (err == SL_OK || err == SL_ENOTFOUND)
        err = read_vocabulary_text(h);
    if (err == SL_OK || err == SL_ENOTFOUND)
        err =
            sl_huggingface_with(h, "tokenizer_config.json", SL_JSON_OBJECT, read_tokenizer_config);
    if (err == SL_OK || err == SL_ENOTFOUND)
        err =
            sl_huggingface_with(h, "special_tokens_map.json", SL_JSON_OBJECT, read_special_tokens);
    if (h->facts->tokenizer == SL_HUGGINGFACE_TOKENIZER_NONE)
        look_for_others(h);
    return err == SL_ENOTFOUND ? SL_OK : err;
}
