/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/bert_layout.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

#define VOCABULARY_MIN 5 /* [PAD] [UNK] [CLS] [SEP] [MASK] */

struct context {
    const struct sl_model *model;
    struct sl_bert_layout *layout;
    struct sl_cause *cause;
    const char *prefix; /* "" or "bert." */
};

/* ---- config.json --------------------------------------------------------------------------- */

struct number {
    const char *name;
    uint32_t *value;
    uint32_t min, max;
    uint32_t fallback; /* 0: the member must be there. */
};

static enum sl_err
read_number(struct context *c, struct sl_json config, const struct number *n)
{
    uint64_t value = n->fallback;
    struct sl_json v = sl_json_member(config, n->name);
    bool is_absent = !sl_json_has(v);
    if (is_absent && n->fallback == 0)
        return sl_cause_set(c->cause, SL_EINVAL, "config.json has no %s", n->name);
    if (!is_absent && sl_json_u64(v, &value) != SL_OK)
        return sl_cause_set(c->cause, SL_EINVAL, "config.json: %s is not a whole number", n->name);
    if (value < n->min || value > n->max)
        return sl_cause_set(c->cause, SL_EINVAL,
                            "config.json: %s is %" PRIu64 "; %" PRIu32 " to %" PRIu32 " is read",
                            n->name, value, n->min, n->max);
    *n->value = (uint32_t)value;
    return SL_OK;
}

static bool
is_bert(struct sl_json config)
{
    struct sl_json type = sl_json_member(config, "model_type");
    if (sl_json_has(type))
        return sl_json_is(type, "bert");
    struct sl_json_iter i = sl_json_iter(sl_json_member(config, "architectures"));
    while (sl_json_next(&i)) {
        struct sl_slice raw = sl_json_raw(i.value);
        if (raw.size > 5 && memcmp(raw.data, "\"Bert", 5) == 0)
            return true;
    }
    return false;
}

/* A text member must be `want` where it is present. */
static enum sl_err
want_text(struct context *c, struct sl_json config, const char *name, const char *want)
{
    struct sl_json v = sl_json_member(config, name);
    if (!sl_json_has(v) || sl_json_is(v, want))
        return SL_OK;
    struct sl_slice raw = sl_json_raw(v);
    return sl_cause_set(c->cause, SL_EUNAVAIL, "config.json: %s %.*s is not read here, only \"%s\"",
                        name, (int)SL_MIN(raw.size, 64u), (const char *)raw.data, want);
}

static enum sl_err
check_architecture(struct context *c, struct sl_json config)
{
    if (!is_bert(config)) {
        struct sl_slice raw = sl_json_raw(sl_json_member(config, "model_type"));
        return sl_cause_set(
            c->cause, SL_EUNAVAIL, "config.json: model_type %.*s is not read here, only \"bert\"",
            (int)SL_MIN(raw.size, 64u), raw.size == 0 ? "" : (const char *)raw.data);
    }
    enum sl_err err = want_text(c, config, "hidden_act", "gelu");
    if (err == SL_OK)
        err = want_text(c, config, "position_embedding_type", "absolute");
    return err;
}

static enum sl_err
read_epsilon(struct context *c, struct sl_json config)
{
    double epsilon = 1e-12;
    struct sl_json v = sl_json_member(config, "layer_norm_eps");
    if (sl_json_has(v) && sl_json_f64(v, &epsilon) != SL_OK)
        return sl_cause_set(c->cause, SL_EINVAL, "config.json: layer_norm_eps is not a number");
    if (!(epsilon >= 1e-15 && epsilon <= 0.1))
        return sl_cause_set(c->cause, SL_EINVAL, "config.json: layer_norm_eps is %g", epsilon);
    c->layout->shape.layer_norm_epsilon = (float)epsilon;
    return SL_OK;
}

static enum sl_err
read_config(struct context *c, struct sl_json config)
{
    struct sl_bert_shape *s = &c->layout->shape;
    const struct number numbers[] = {
        {"hidden_size", &s->hidden_size, 1, 16384, 0},
        {"num_hidden_layers", &s->layers_count, 1, SL_BERT_LAYERS_MAX, 0},
        {"num_attention_heads", &s->heads_count, 1, 256, 0},
        {"intermediate_size", &s->intermediate_size, 1, 65536, 0},
        {"vocab_size", &s->vocab_size, VOCABULARY_MIN, 2000000, 0},
        {"max_position_embeddings", &s->positions_count, 3, 131072, 0},
        {"type_vocab_size", &s->types_count, 1, 64, 2},
    };
    enum sl_err err = check_architecture(c, config);
    for (size_t i = 0; i < SL_COUNT_OF(numbers) && err == SL_OK; i++)
        err = read_number(c, config, &numbers[i]);
    if (err == SL_OK)
        err = read_epsilon(c, config);
    if (err == SL_OK && s->hidden_size % s->heads_count != 0)
        err = sl_cause_set(c->cause, SL_EINVAL,
                           "config.json: hidden_size %" PRIu32
                           " is not divisible by num_attention_heads %" PRIu32,
                           s->hidden_size, s->heads_count);
    return err;
}

/* ---- the files beside it ------------------------------------------------------------------- */

typedef enum sl_err (*read_fn)(struct context *c, struct sl_json root);

/* Parse a side file and hand its root to `read`, if it is there. SL_ENOTFOUND: it is not. */
static enum sl_err
with_file(struct context *c, const char *path, read_fn read)
{
    struct sl_slice text;
    if (!sl_model_file_lookup(c->model, path, &text))
        return SL_ENOTFOUND;
    struct sl_json_doc *doc = NULL;
    struct sl_json_error bad = {0};
    if (sl_json_parse(text, &doc, &bad) != SL_OK)
        return sl_cause_set(c->cause, SL_EINVAL, "%s is not JSON: line %" PRIu32 ": %s", path,
                            bad.line, bad.what == NULL ? "too big" : bad.what);
    enum sl_err err = read(c, sl_json_root(doc));
    sl_json_destroy(&doc);
    return err;
}

static enum sl_err
read_pooling(struct context *c, struct sl_json root)
{
    static const char *const others[] = {
        "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};
    bool is_cls = sl_json_bool(sl_json_member(root, "pooling_mode_cls_token"), false);
    bool is_mean = sl_json_bool(sl_json_member(root, "pooling_mode_mean_tokens"), !is_cls);
    for (size_t i = 0; i < SL_COUNT_OF(others); i++) {
        if (sl_json_bool(sl_json_member(root, others[i]), false))
            return sl_cause_set(c->cause, SL_EUNAVAIL,
                                "1_Pooling/config.json: %s is not read here, only cls or mean",
                                others[i]);
    }
    if (is_cls == is_mean)
        return sl_cause_set(c->cause, SL_EUNAVAIL,
                            "1_Pooling/config.json: exactly one of cls and mean is read here");
    c->layout->shape.pooling = is_cls ? SL_POOLING_CLS : SL_POOLING_MEAN;
    return SL_OK;
}

static enum sl_err
read_modules(struct context *c, struct sl_json root)
{
    struct sl_buf scratch = {0};
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(root); err == SL_OK && sl_json_next(&i);) {
        struct sl_slice type;
        sl_buf_clear(&scratch);
        if (sl_json_text(sl_json_member(i.value, "type"), &scratch, &type) != SL_OK) {
            err = sl_cause_set(c->cause, SL_EINVAL, "modules.json: a module without a type");
            break;
        }
        const uint8_t *dot = memrchr(type.data, '.', type.size);
        if (dot != NULL)
            type = sl_slice(dot + 1, (size_t)(type.data + type.size - dot - 1));
        if (sl_slice_is(type, "Normalize"))
            c->layout->shape.is_normalized = true;
        else if (!sl_slice_is(type, "Transformer") && !sl_slice_is(type, "Pooling"))
            err = sl_cause_set(c->cause, SL_EUNAVAIL,
                               "modules.json: module %.*s is not read here, only Transformer, "
                               "Pooling and Normalize",
                               (int)SL_MIN(type.size, 64u), (const char *)type.data);
    }
    sl_buf_deinit(&scratch);
    return err;
}

static enum sl_err
read_sentence(struct context *c, struct sl_json root)
{
    struct sl_bert_shape *s = &c->layout->shape;
    struct sl_json v = sl_json_member(root, "max_seq_length");
    uint64_t count = s->positions_count;
    if (sl_json_has(v) && (sl_json_u64(v, &count) != SL_OK || count < 3))
        return sl_cause_set(c->cause, SL_EINVAL,
                            "sentence_bert_config.json: max_seq_length is not a number over 2");
    s->tokens_count_max = (uint32_t)SL_MIN(count, s->positions_count);
    return SL_OK;
}

static enum sl_err
read_tokenizer_config(struct context *c, struct sl_json root)
{
    c->layout->shape.is_lower_case = sl_json_bool(sl_json_member(root, "do_lower_case"), true);
    return SL_OK;
}

static enum sl_err
read_side_files(struct context *c)
{
    static const struct {
        const char *path;
        read_fn read;
    } files[] = {{"1_Pooling/config.json", read_pooling},
                 {"modules.json", read_modules},
                 {"sentence_bert_config.json", read_sentence},
                 {"tokenizer_config.json", read_tokenizer_config}};
    /* What a plain transformer without these files is taken for. */
    c->layout->shape.pooling = SL_POOLING_MEAN;
    c->layout->shape.is_lower_case = true;
    c->layout->shape.tokens_count_max = c->layout->shape.positions_count;
    for (size_t i = 0; i < SL_COUNT_OF(files); i++) {
        enum sl_err err = with_file(c, files[i].path, files[i].read);
        if (err != SL_OK && err != SL_ENOTFOUND)
            return err;
    }
    return SL_OK;
}

/* ---- vocabulary ---------------------------------------------------------------------------- */

static enum sl_err
check_words(struct context *c, const char *path, uint64_t count)
{
    if (count < VOCABULARY_MIN || count > c->layout->shape.vocab_size)
        return sl_cause_set(c->cause, SL_EINVAL,
                            "%s has %" PRIu64 " words, config.json a vocab_size of %" PRIu32, path,
                            count, c->layout->shape.vocab_size);
    return SL_OK;
}

static enum sl_err
read_tokenizer(struct context *c, struct sl_json root)
{
    struct sl_json vocab = sl_json_member(sl_json_member(root, "model"), "vocab");
    if (sl_json_kind(vocab) != SL_JSON_OBJECT)
        return sl_cause_set(c->cause, SL_EINVAL, "tokenizer.json has no model.vocab");
    return check_words(c, "tokenizer.json", sl_json_count(vocab));
}

static enum sl_err
check_vocabulary(struct context *c)
{
    struct sl_bert_layout *l = c->layout;
    (void)sl_model_file_lookup(c->model, "tokenizer.json", &l->tokenizer);
    if (!sl_model_file_lookup(c->model, "vocab.txt", &l->vocabulary)) {
        enum sl_err err = with_file(c, "tokenizer.json", read_tokenizer);
        return err != SL_ENOTFOUND ? err
                                   : sl_cause_set(c->cause, SL_EINVAL,
                                                  "neither vocab.txt nor tokenizer.json is there");
    }
    uint64_t lines = 0;
    for (size_t i = 0; i < l->vocabulary.size; i++)
        lines += l->vocabulary.data[i] == '\n';
    if (l->vocabulary.size > 0 && l->vocabulary.data[l->vocabulary.size - 1] != '\n')
        lines++;
    return check_words(c, "vocab.txt", lines);
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* `columns` 0: one dimension. */
static enum sl_err
take(struct context *c, const char *name, uint64_t rows, uint64_t columns, struct sl_tensor *t)
{
    char full[160];
    (void)snprintf(full, sizeof(full), "%s%s", c->prefix, name);
    uint64_t want[2] = {rows, columns};
    uint32_t dims = columns == 0 ? 1 : 2;
    char wanted[64], found[200];
    (void)sl_tensor_shape_text(dims, want, wanted, sizeof(wanted));
    if (!sl_model_tensor_lookup(c->model, full, t))
        return sl_cause_set(c->cause, SL_EINVAL, "tensor '%s' %s is missing", full, wanted);
    if (t->dims_count != dims || memcmp(t->shape, want, dims * sizeof(want[0])) != 0)
        return sl_cause_set(
            c->cause, SL_EINVAL, "tensor '%s': config.json expects shape %s, the file has %s", full,
            wanted, sl_tensor_shape_text(t->dims_count, t->shape, found, sizeof(found)));
    if (t->dtype != SL_DTYPE_F32 && t->dtype != SL_DTYPE_F16 && t->dtype != SL_DTYPE_BF16)
        return sl_cause_set(c->cause, SL_EINVAL, "tensor '%s': dtype %s, not F32, F16 or BF16",
                            full, sl_dtype_name(t->dtype));
    if (t->dtype != SL_DTYPE_F32)
        c->layout->shape.has_half = true;
    return SL_OK;
}

static enum sl_err
take_pair(struct context *c, const char *name, uint64_t rows, uint64_t columns,
          struct sl_bert_pair *pair)
{
    char full[128];
    (void)snprintf(full, sizeof(full), "%s.weight", name);
    enum sl_err err = take(c, full, rows, columns, &pair->weight);
    if (err != SL_OK)
        return err;
    (void)snprintf(full, sizeof(full), "%s.bias", name);
    return take(c, full, rows, 0, &pair->bias);
}

static enum sl_err
take_layer(struct context *c, uint32_t index, struct sl_bert_layer *layer)
{
    uint32_t h = c->layout->shape.hidden_size, m = c->layout->shape.intermediate_size;
    const struct {
        const char *name;
        uint32_t rows, columns;
        struct sl_bert_pair *pair;
    } parts[] = {
        {"attention.self.query", h, h, &layer->query},
        {"attention.self.key", h, h, &layer->key},
        {"attention.self.value", h, h, &layer->value},
        {"attention.output.dense", h, h, &layer->attention_output},
        {"attention.output.LayerNorm", h, 0, &layer->attention_norm},
        {"intermediate.dense", m, h, &layer->intermediate},
        {"output.dense", h, m, &layer->output},
        {"output.LayerNorm", h, 0, &layer->output_norm},
    };
    enum sl_err err = SL_OK;
    for (size_t i = 0; i < SL_COUNT_OF(parts) && err == SL_OK; i++) {
        char name[96];
        (void)snprintf(name, sizeof(name), "encoder.layer.%" PRIu32 ".%s", index, parts[i].name);
        err = take_pair(c, name, parts[i].rows, parts[i].columns, parts[i].pair);
    }
    return err;
}

static enum sl_err
take_all(struct context *c)
{
    static const char words[] = "embeddings.word_embeddings.weight";
    struct sl_bert_layout *l = c->layout;
    struct sl_tensor ignored;
    c->prefix = sl_model_tensor_lookup(c->model, "bert.embeddings.word_embeddings.weight", &ignored)
                    ? "bert."
                    : "";
    uint32_t h = l->shape.hidden_size;
    enum sl_err err = take(c, words, l->shape.vocab_size, h, &l->word_embeddings);
    if (err == SL_OK)
        err = take(c, "embeddings.position_embeddings.weight", l->shape.positions_count, h,
                   &l->position_embeddings);
    if (err == SL_OK)
        err = take(c, "embeddings.token_type_embeddings.weight", l->shape.types_count, h,
                   &l->type_embeddings);
    if (err == SL_OK)
        err = take_pair(c, "embeddings.LayerNorm", h, 0, &l->embeddings_norm);
    l->layers = sl_zalloc(sizeof(*l->layers) * l->shape.layers_count);
    for (uint32_t i = 0; i < l->shape.layers_count && err == SL_OK; i++)
        err = take_layer(c, i, &l->layers[i]);
    return err;
}

/* ---- public -------------------------------------------------------------------------------- */

enum sl_err
sl_bert_layout_create(const struct sl_model *model, struct sl_bert_layout **ret_layout,
                      struct sl_cause *ret_cause)
{
    sl_assert(model != NULL);
    sl_assert(ret_layout != NULL);
    struct sl_bert_layout *layout = sl_zalloc(sizeof(*layout));
    struct context c = {.model = model, .layout = layout, .cause = ret_cause, .prefix = ""};
    enum sl_err err = with_file(&c, "config.json", read_config);
    if (err == SL_ENOTFOUND)
        err = sl_cause_set(ret_cause, SL_EINVAL, "the model has no config.json");
    if (err == SL_OK)
        err = read_side_files(&c);
    if (err == SL_OK)
        err = check_vocabulary(&c);
    if (err == SL_OK)
        err = take_all(&c);
    if (err != SL_OK) {
        sl_bert_layout_destroy(&layout);
        return err;
    }
    *ret_layout = layout;
    return SL_OK;
}

void
sl_bert_layout_destroy(struct sl_bert_layout **layout)
{
    sl_assert(layout != NULL);
    if (*layout == NULL)
        return;
    sl_free((*layout)->layers);
    sl_free(*layout);
    *layout = NULL;
}

enum sl_err
sl_model_check_bert(const struct sl_model *model, struct sl_bert_shape *ret_shape,
                    struct sl_cause *ret_cause)
{
    sl_assert(ret_shape != NULL);
    struct sl_bert_layout *layout = NULL;
    enum sl_err err = sl_bert_layout_create(model, &layout, ret_cause);
    if (err == SL_OK)
        *ret_shape = layout->shape;
    sl_bert_layout_destroy(&layout);
    return err;
}
