/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind the transformer in a sentence-transformers directory: modules.json lists the
 * modules, each with a folder of its own.
 */
#include <inttypes.h>
#include <stdio.h>

#include "object-store/huggingface_state.h"
#include "runtime/buf.h"

#define MODULE_PATH_MAX 64
#define OWN_PACKAGE     "sentence_transformers."
#define DIMENSION_MAX   (1 << 20)
#define PROMPTS_MAX     1024
#define PROMPT_SIZE_MAX (64 * SL_KIB)

static const uint64_t dimension_range[2] = {1, DIMENSION_MAX};

/* ---- pooling ------------------------------------------------------------------------------- */

static const struct {
    const char *flag; /* An older file says true or false for each, */
    const char *name; /* a newer one names one. */
    uint32_t bit;
} poolings[] = {
    {"pooling_mode_cls_token", "cls", SL_HUGGINGFACE_POOL_CLS},
    {"pooling_mode_max_tokens", "max", SL_HUGGINGFACE_POOL_MAX},
    {"pooling_mode_mean_tokens", "mean", SL_HUGGINGFACE_POOL_MEAN},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", SL_HUGGINGFACE_POOL_MEAN_SQRT},
    {"pooling_mode_weightedmean_tokens", "weightedmean", SL_HUGGINGFACE_POOL_WEIGHTED},
    {"pooling_mode_lasttoken", "lasttoken", SL_HUGGINGFACE_POOL_LAST},
};

static enum sl_err
read_pooling_mode(const struct sl_huggingface_read *h, struct sl_json root, uint32_t *pooling)
{
    struct sl_json mode = sl_json_member(root, "pooling_mode");
    for (size_t i = 0; i < SL_COUNT_OF(poolings); i++) {
        struct sl_json flag = sl_json_member(root, poolings[i].flag);
        if (sl_json_has(flag) && sl_json_kind(flag) != SL_JSON_BOOL)
            return sl_cause_set(h->cause, SL_EINVAL, "%s: %s is neither true nor false", h->path,
                                poolings[i].flag);
        if (sl_json_bool(flag, false) || sl_json_is(mode, poolings[i].name))
            *pooling |= poolings[i].bit;
    }
    if (*pooling != 0)
        return SL_OK;
    if (sl_json_has(mode)) {
        struct sl_slice raw = sl_json_raw(mode);
        return sl_cause_set(h->cause, SL_EUNAVAIL, "%s: pooling_mode %.*s is not read here",
                            h->path, SHOWN(raw));
    }
    return sl_cause_set(h->cause, SL_EINVAL, "%s: no pooling is chosen", h->path);
}

static enum sl_err
read_pooling(struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_huggingface *facts = h->facts;
    uint64_t dimension = facts->embedding_size;
    enum sl_err err = read_pooling_mode(h, root, &facts->pooling);
    if (err == SL_OK)
        err =
            sl_huggingface_number(h, root, "word_embedding_dimension", dimension_range, &dimension);
    /* The newer files' name for it. */
    if (err == SL_OK)
        err = sl_huggingface_number(h, root, "embedding_dimension", dimension_range, &dimension);
    if (err != SL_OK)
        return err;
    if (facts->embedding_size != 0 && dimension != facts->embedding_size)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: word_embedding_dimension is %" PRIu64
                            ", the model's hidden size %" PRIu64,
                            h->path, dimension, facts->embedding_size);
    facts->embedding_size = dimension * (uint64_t)__builtin_popcount(facts->pooling);
    return SL_OK;
}

/* ---- the others ---------------------------------------------------------------------------- */

static enum sl_err
read_dense(struct sl_huggingface_read *h, struct sl_json root)
{
    uint64_t in = 0, out = 0;
    enum sl_err err = sl_huggingface_number(h, root, "in_features", dimension_range, &in);
    if (err == SL_OK)
        err = sl_huggingface_number(h, root, "out_features", dimension_range, &out);
    char ignored[SL_HUGGINGFACE_WORD_MAX + 1];
    if (err == SL_OK)
        err = sl_huggingface_word(h, sl_json_member(root, "activation_function"),
                                  "activation_function", ignored);
    if (err != SL_OK)
        return err;
    if (in == 0 || out == 0)
        return sl_cause_set(h->cause, SL_EINVAL, "%s has no in_features or no out_features",
                            h->path);
    if (h->facts->embedding_size != 0 && in != h->facts->embedding_size)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: in_features is %" PRIu64 ", what comes in has %" PRIu64
                            " dimensions",
                            h->path, in, h->facts->embedding_size);
    h->facts->embedding_size = out;
    h->facts->dense_count++;
    return SL_OK;
}

/* Folders only: "1_Pooling", and "" for the directory itself. */
static bool
is_folder(struct sl_slice path)
{
    if (path.size > MODULE_PATH_MAX || (path.size > 0 && path.data[0] == '.'))
        return false;
    for (size_t i = 0; i < path.size; i++) {
        uint8_t c = path.data[i];
        if (c < 0x20 || c == '/' || c == '\\' || c == 0x7f)
            return false;
    }
    return true;
}

static enum sl_err
with_config(struct sl_huggingface_read *h, struct sl_slice folder, const char *type,
            sl_huggingface_read_fn *read)
{
    char path[MODULE_PATH_MAX + 16];
    const char *outer = h->path;
    (void)snprintf(path, sizeof(path), "%.*s%sconfig.json", SHOWN(folder),
                   folder.size == 0 ? "" : "/");
    enum sl_err err =
        folder.size == 0 ? SL_ENOTFOUND : sl_huggingface_with(h, path, SL_JSON_OBJECT, read);
    h->path = outer;
    if (err != SL_ENOTFOUND)
        return err;
    return sl_cause_set(h->cause, SL_EINVAL, "modules.json lists a %s, but there is no %s", type,
                        path);
}

static enum sl_err
read_module(struct sl_huggingface_read *h, struct sl_json module, struct sl_slice folder)
{
    char type[SL_HUGGINGFACE_WORD_MAX + 1] = "";
    enum sl_err err = sl_huggingface_word(h, sl_json_member(module, "type"), "type", type);
    if (err == SL_OK && type[0] == '\0')
        err = sl_cause_set(h->cause, SL_EINVAL, "%s: a module without a type", h->path);
    if (err != SL_OK)
        return err;
    if (strncmp(type, OWN_PACKAGE, strlen(OWN_PACKAGE)) != 0) {
        h->facts->asks_for_code = true; /* A class of somebody's own. */
        h->facts->embedding_size = 0;
        return SL_OK;
    }
    const char *dot = strrchr(type, '.');
    const char *name = dot + 1;
    if (strcmp(name, "Pooling") == 0)
        return with_config(h, folder, name, read_pooling);
    if (strcmp(name, "Dense") == 0)
        return with_config(h, folder, name, read_dense);
    if (strcmp(name, "Normalize") == 0)
        h->facts->is_normalized = true;
    else if (strcmp(name, "SpladePooling") == 0)
        h->has_splade = true;
    else if (strcmp(name, "Transformer") != 0 && strcmp(name, "Dropout") != 0 &&
             strcmp(name, "LayerNorm") != 0)
        h->facts->embedding_size = 0; /* What it makes of it is not known here. */
    return SL_OK;
}

static enum sl_err
read_modules(struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_buf scratch = {0};
    enum sl_err err = SL_OK;
    h->facts->has_modules = true;
    if (sl_json_count(root) > SL_HUGGINGFACE_MODULES_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s lists over %d modules", h->path,
                            SL_HUGGINGFACE_MODULES_MAX);
    for (struct sl_json_iter i = sl_json_iter(root); err == SL_OK && sl_json_next(&i);) {
        struct sl_slice folder = {0};
        struct sl_json path = sl_json_member(i.value, "path");
        sl_buf_clear(&scratch);
        if (sl_json_kind(i.value) != SL_JSON_OBJECT ||
            (sl_json_has(path) && sl_json_text(path, &scratch, &folder) != SL_OK) ||
            !is_folder(folder))
            err = sl_cause_set(h->cause, SL_EINVAL,
                               "%s: a module whose path is not the name of a folder in the "
                               "directory",
                               h->path);
        if (err == SL_OK)
            err = read_module(h, i.value, folder);
    }
    sl_buf_deinit(&scratch);
    return err;
}

/* ---- sentence_*_config.json and the prompts ------------------------------------------------- */

static enum sl_err
read_sentence(struct sl_huggingface_read *h, struct sl_json root)
{
    static const uint64_t range[2] = {1, 1 << 30};
    uint64_t count = h->facts->input_tokens_max;
    enum sl_err err = sl_huggingface_number(h, root, "max_seq_length", range, &count);
    if (err == SL_OK)
        h->facts->input_tokens_max = (uint32_t)count;
    return err;
}

static enum sl_err
read_prompts(struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_json prompts = sl_json_member(root, "prompts");
    if (!sl_json_has(prompts))
        return SL_OK;
    if (sl_json_kind(prompts) != SL_JSON_OBJECT || sl_json_count(prompts) > PROMPTS_MAX)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: prompts is not an object of up to %d",
                            h->path, PROMPTS_MAX);
    for (struct sl_json_iter i = sl_json_iter(prompts); sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_STRING || sl_json_raw(i.value).size > PROMPT_SIZE_MAX)
            return sl_cause_set(h->cause, SL_EINVAL, "%s: a prompt is not a text of up to 64 KiB",
                                h->path);
    }
    h->facts->prompts_count = sl_json_count(prompts);
    return SL_OK;
}

enum sl_err
sl_huggingface_read_modules(struct sl_huggingface_read *h)
{
    static const char *const sentences[] = {
        "sentence_bert_config.json",       "sentence_roberta_config.json",
        "sentence_distilbert_config.json", "sentence_camembert_config.json",
        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json"};
    struct sl_huggingface *facts = h->facts;
    facts->embedding_size = facts->sizes.hidden_size;
    enum sl_err err = sl_huggingface_with(h, "modules.json", SL_JSON_ARRAY, read_modules);
    /* Without the list, the one folder that it would name most often. */
    if (err == SL_ENOTFOUND)
        err = sl_huggingface_with(h, "1_Pooling/config.json", SL_JSON_OBJECT, read_pooling);
    for (size_t i = 0; i < SL_COUNT_OF(sentences) && (err == SL_OK || err == SL_ENOTFOUND); i++)
        err = sl_huggingface_with(h, sentences[i], SL_JSON_OBJECT, read_sentence);
    if (err == SL_OK || err == SL_ENOTFOUND)
        err = sl_huggingface_with(h, "config_sentence_transformers.json", SL_JSON_OBJECT,
                                  read_prompts);
    if (facts->sizes.positions_count != 0)
        facts->input_tokens_max =
            (uint32_t)SL_MIN(facts->input_tokens_max, facts->sizes.positions_count);
    return err == SL_ENOTFOUND ? SL_OK : err;
}
