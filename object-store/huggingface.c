/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/huggingface.h"

#include <inttypes.h>
#include <stdio.h>

#include "object-store/huggingface_state.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"

#define JSON_VALUES_MAX   (8u << 20) /* Values and names of one file, at 20 bytes of memory each. */
#define ARCHITECTURES_MAX 16u
#define LABEL_SIZE_MAX    512
#define UNSAID_LABELS     2u /* Of a classifier that lists none: so it is defined. */

/* ---- what all readers of files share -------------------------------------------------------- */

/* At least as many as there are values and names, by one look at the text. */
static uint64_t
count_values(struct sl_slice text)
{
    uint64_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        count += c == ',' || c == ':' || c == '[' || c == '{';
    }
    return count;
}

enum sl_err
sl_huggingface_with(struct sl_huggingface_read *h, const char *path, enum sl_json_kind kind,
                    sl_huggingface_read_fn *read)
{
    struct sl_slice text;
    if (!h->files->lookup(h->files->arg, path, &text))
        return SL_ENOTFOUND;
    uint64_t size_max = strcmp(path, "tokenizer.json") == 0 ? SL_HUGGINGFACE_TOKENIZER_SIZE_MAX
                                                            : SL_HUGGINGFACE_CONFIG_SIZE_MAX;
    if (text.size > size_max)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s has %zu bytes; at most %" PRIu64 " are read",
                            path, text.size, size_max);
    if (count_values(text) > JSON_VALUES_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s has over %u values", path, JSON_VALUES_MAX);
    struct sl_json_doc *doc = NULL;
    struct sl_json_error bad = {0};
    if (sl_json_parse(text, &doc, &bad) != SL_OK)
        return sl_cause_set(h->cause, SL_EINVAL, "%s is not JSON: line %" PRIu32 ": %s", path,
                            bad.line, bad.what);
    enum sl_err err;
    if (sl_json_kind(sl_json_root(doc)) != kind) {
        err = sl_cause_set(h->cause, SL_EINVAL, "%s is not %s", path,
                           kind == SL_JSON_ARRAY ? "an array" : "an object");
    } else {
        h->path = path;
        err = read(h, sl_json_root(doc));
    }
    sl_json_destroy(&doc);
    return err;
}

enum sl_err
sl_huggingface_number(const struct sl_huggingface_read *h, struct sl_json object, const char *name,
                      const uint64_t range[2], uint64_t *value)
{
    struct sl_json v = sl_json_member(object, name);
    uint64_t found;
    if (!sl_json_has(v))
        return SL_OK;
    if (sl_json_u64(v, &found) != SL_OK || found < range[0] || found > range[1]) {
        struct sl_slice raw = sl_json_raw(v);
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: %s is %.*s, not a whole number of %" PRIu64 " to %" PRIu64,
                            h->path, name, SHOWN(raw), range[0], range[1]);
    }
    *value = found;
    return SL_OK;
}

enum sl_err
sl_huggingface_word(const struct sl_huggingface_read *h, struct sl_json v, const char *name,
                    char word[SL_HUGGINGFACE_WORD_MAX + 1])
{
    static const char also[] = "_-.";
    if (!sl_json_has(v))
        return SL_OK;
    struct sl_slice raw = sl_json_raw(v);
    bool is_good = sl_json_kind(v) == SL_JSON_STRING && raw.size > 2 &&
                   raw.size - 2 <= SL_HUGGINGFACE_WORD_MAX;
    /* An escape has a backslash, which no word has. */
    for (size_t i = 1; is_good && i + 1 < raw.size; i++) {
        uint8_t c = raw.data[i];
        is_good = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                  (c != '\0' && strchr(also, c) != NULL);
    }
    if (!is_good)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: %s is %.*s, not a name", h->path, name,
                            SHOWN(raw));
    memcpy(word, raw.data + 1, raw.size - 2);
    word[raw.size - 2] = '\0';
    return SL_OK;
}

enum sl_err
sl_huggingface_token(const struct sl_huggingface_read *h, struct sl_json v, const char *what)
{
    if (sl_json_kind(v) != SL_JSON_STRING)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: %s is not a string", h->path, what);
    /* Of the text as it is written, which is never shorter than what it means. */
    size_t size = sl_json_raw(v).size - 2;
    if (size > SL_HUGGINGFACE_TOKEN_SIZE_MAX)
        return sl_cause_set(h->cause, SL_ETOOBIG, "%s: %s has %zu bytes; at most %d are read",
                            h->path, what, size, SL_HUGGINGFACE_TOKEN_SIZE_MAX);
    return SL_OK;
}

/* ---- config.json --------------------------------------------------------------------------- */

/* The first of the names that is there. What is a list for each layer or stage is left open. */
static enum sl_err
read_size(const struct sl_huggingface_read *h, struct sl_json config, const char *const names[4],
          const uint64_t range[2], uint64_t *value)
{
    for (uint32_t i = 0; i < 4 && names[i] != NULL; i++) {
        struct sl_json v = sl_json_member(config, names[i]);
        int64_t open = 0;
        if (!sl_json_has(v))
            continue;
        if (sl_json_kind(v) == SL_JSON_ARRAY || (sl_json_i64(v, &open) == SL_OK && open == -1))
            return SL_OK;
        return sl_huggingface_number(h, config, names[i], range, value);
    }
    return SL_OK;
}

static enum sl_err
read_sizes(const struct sl_huggingface_read *h, struct sl_json config)
{
    struct sl_huggingface_sizes *s = &h->facts->sizes;
    const struct {
        const char *names[4];
        uint64_t range[2];
        uint64_t *value;
    } sizes[] = {
        {{"vocab_size"}, {1, 1 << 24}, &s->vocab_size},
        {{"hidden_size", "d_model", "n_embd", "dim"}, {1, 1 << 20}, &s->hidden_size},
        {{"num_hidden_layers", "num_layers", "n_layer", "n_layers"}, {1, 4096}, &s->layers_count},
        {{"num_attention_heads", "num_heads", "n_head", "n_heads"}, {1, 4096}, &s->heads_count},
        {{"num_key_value_heads"}, {1, 4096}, &s->key_value_heads_count},
        {{"head_dim", "d_kv"}, {1, 1 << 16}, &s->head_size},
        {{"intermediate_size", "d_ff", "n_inner", "hidden_dim"},
         {1, 1 << 24},
         &s->intermediate_size},
        {{"max_position_embeddings", "n_positions", "n_ctx"}, {1, 1 << 30}, &s->positions_count},
        {{"type_vocab_size"}, {0, 1 << 16}, &s->types_count},
    };
    enum sl_err err = SL_OK;
    for (size_t i = 0; i < SL_COUNT_OF(sizes) && err == SL_OK; i++)
        err = read_size(h, config, sizes[i].names, sizes[i].range, sizes[i].value);
    return err;
}

static enum sl_err
check_sizes(const struct sl_huggingface_read *h, struct sl_json config)
{
    const struct sl_huggingface_sizes *s = &h->facts->sizes;
    uint64_t pad = 0;
    if (s->hidden_size != 0 && s->heads_count != 0 && s->head_size == 0 &&
        s->hidden_size % s->heads_count != 0)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: a hidden size of %" PRIu64 " is not divisible by %" PRIu64
                            " attention heads",
                            h->path, s->hidden_size, s->heads_count);
    if (s->heads_count != 0 && s->key_value_heads_count != 0 &&
        s->heads_count % s->key_value_heads_count != 0)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: %" PRIu64 " attention heads are not divisible by %" PRIu64
                            " of keys and values",
                            h->path, s->heads_count, s->key_value_heads_count);
    /* -1 and null are what some write for none. */
    struct sl_json v = sl_json_member(config, "pad_token_id");
    if (s->vocab_size != 0 && sl_json_u64(v, &pad) == SL_OK && pad >= s->vocab_size)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: pad_token_id %" PRIu64 " is not below vocab_size %" PRIu64,
                            h->path, pad, s->vocab_size);
    return SL_OK;
}

static enum sl_err
read_architectures(const struct sl_huggingface_read *h, struct sl_json config)
{
    struct sl_json v = sl_json_member(config, "architectures");
    enum sl_err err = sl_huggingface_word(h, sl_json_member(config, "model_type"), "model_type",
                                          h->facts->model_type);
    if (err != SL_OK || !sl_json_has(v))
        return err;
    if (sl_json_kind(v) != SL_JSON_ARRAY || sl_json_count(v) > ARCHITECTURES_MAX)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: architectures is not a list of up to %u",
                            h->path, ARCHITECTURES_MAX);
    char other[SL_HUGGINGFACE_WORD_MAX + 1];
    for (struct sl_json_iter i = sl_json_iter(v); err == SL_OK && sl_json_next(&i);) {
        char *word = h->facts->architecture[0] == '\0' ? h->facts->architecture : other;
        err = sl_json_kind(i.value) == SL_JSON_STRING
                  ? sl_huggingface_word(h, i.value, "architectures", word)
                  : sl_cause_set(h->cause, SL_EINVAL, "%s: architectures has no string", h->path);
    }
    return err;
}

/* The number that a name or a value is, below `count`. */
static bool
label_index(struct sl_json v, uint32_t count, uint32_t *ret_index)
{
    struct sl_slice raw = sl_json_raw(v);
    if (sl_json_kind(v) == SL_JSON_STRING)
        raw = sl_slice(raw.data + 1, raw.size - 2);
    uint32_t index = 0;
    if (raw.size == 0 || raw.size > 6 || (raw.size > 1 && raw.data[0] == '0'))
        return false;
    for (size_t i = 0; i < raw.size; i++) {
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return false;
        index = index * 10 + (uint32_t)(raw.data[i] - '0');
    }
    *ret_index = index;
    return index < count;
}

static enum sl_err
read_labels(const struct sl_huggingface_read *h, struct sl_json labels)
{
    struct sl_huggingface *facts = h->facts;
    uint32_t count = sl_json_count(labels), index;
    if (sl_json_kind(labels) != SL_JSON_OBJECT || count > SL_HUGGINGFACE_LABELS_MAX)
        return sl_cause_set(h->cause, SL_EINVAL, "%s: id2label is not an object of up to %u",
                            h->path, SL_HUGGINGFACE_LABELS_MAX);
    facts->labels_count = count;
    if (count == 0) /* As good as unsaid: what the architecture implies may be counted instead. */
        return SL_OK;
    facts->labels = sl_zalloc(sizeof(facts->labels[0]) * count);
    for (struct sl_json_iter i = sl_json_iter(labels); sl_json_next(&i);) {
        /* Each of 0 to count - 1 once, since names are unique and none has a leading zero. */
        if (!label_index(i.name, count, &index) || facts->labels[index] != NULL)
            return sl_cause_set(h->cause, SL_EINVAL, "%s: id2label does not count from 0 to %u",
                                h->path, count == 0 ? 0 : count - 1);
        struct sl_slice raw = sl_json_raw(i.value);
        /* Some write numbers, which are as good as names. */
        bool is_text = sl_json_kind(i.value) == SL_JSON_STRING;
        if (raw.size > LABEL_SIZE_MAX || (!is_text && sl_json_kind(i.value) != SL_JSON_NUMBER))
            return sl_cause_set(h->cause, SL_EINVAL, "%s: label %u is not a text of up to %d bytes",
                                h->path, index, LABEL_SIZE_MAX);
        facts->labels[index] = is_text ? sl_json_strdup(i.value) : sl_strndup(raw.data, raw.size);
        if (facts->labels[index] == NULL)
            return sl_cause_set(h->cause, SL_EINVAL, "%s: label %u has a NUL in it", h->path,
                                index);
    }
    return SL_OK;
}

static enum sl_err
check_labels(const struct sl_huggingface_read *h, struct sl_json config)
{
    static const uint64_t range[2] = {0, SL_HUGGINGFACE_LABELS_MAX};
    struct sl_json labels = sl_json_member(config, "id2label"),
                   back = sl_json_member(config, "label2id");
    uint64_t stated = UINT64_MAX;
    uint32_t index;
    enum sl_err err = sl_huggingface_number(h, config, "num_labels", range, &stated);
    if (err == SL_OK && sl_json_has(labels))
        err = read_labels(h, labels);
    if (err != SL_OK)
        return err;
    if (!sl_json_has(labels)) {
        h->facts->labels_count = stated == UINT64_MAX ? 0 : (uint32_t)stated;
        return SL_OK;
    }
    if (stated != UINT64_MAX && stated != h->facts->labels_count)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "%s: num_labels is %" PRIu64 ", id2label has %" PRIu32, h->path, stated,
                            h->facts->labels_count);
    for (struct sl_json_iter i = sl_json_iter(back); sl_json_next(&i);) {
        if (!label_index(i.value, h->facts->labels_count, &index))
            return sl_cause_set(h->cause, SL_EINVAL,
                                "%s: label2id names a label that is not in "
                                "id2label",
                                h->path);
    }
    return SL_OK;
}

static enum sl_err
read_config(struct sl_huggingface_read *h, struct sl_json root)
{
    struct sl_json text = sl_json_member(root, "text_config");
    enum sl_err err = read_architectures(h, root);
    if (err == SL_OK)
        err = read_sizes(h, root);
    /* Models of texts and images have their sizes one level further in. */
    if (err == SL_OK && h->facts->sizes.hidden_size == 0 && sl_json_kind(text) == SL_JSON_OBJECT)
        err = read_sizes(h, text);
    if (err == SL_OK)
        err = check_sizes(h, root);
    if (err == SL_OK)
        err = check_labels(h, root);
    h->facts->asks_for_code |= sl_json_has(sl_json_member(root, "auto_map")) ||
                               sl_json_has(sl_json_member(root, "custom_pipelines"));
    return err;
}

/* Nothing of it is used, but it is the file that makes a model generate. */
static enum sl_err
read_nothing(struct sl_huggingface_read *h, struct sl_json root)
{
    (void)h;
    (void)root;
    return SL_OK;
}

/* ---- task ---------------------------------------------------------------------------------- */

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void
derive_task(struct sl_huggingface_read *h)
{
    static const char *const writers[] = {"CausalLM", "LMHeadModel", "ConditionalGeneration"};
    struct sl_huggingface *facts = h->facts;
    const char *name = facts->architecture;
    facts->task = SL_HUGGINGFACE_EMBEDDING;
    if (ends_with(name, "Classification")) {
        if (facts->labels_count == 0)
            facts->labels_count = UNSAID_LABELS;
        facts->task =
            facts->labels_count == 1 ? SL_HUGGINGFACE_RERANKING : SL_HUGGINGFACE_CLASSIFICATION;
    } else if (h->has_splade && ends_with(name, "MaskedLM")) {
        facts->task = SL_HUGGINGFACE_SPARSE;
    }
    /* One that has modules embeds, whatever it was trained as. */
    for (size_t i = 0; i < SL_COUNT_OF(writers) && !facts->has_modules; i++) {
        if (ends_with(name, writers[i]))
            facts->task = SL_HUGGINGFACE_GENERATION;
    }
}

/* ---- public -------------------------------------------------------------------------------- */

static enum sl_err
read_all(struct sl_huggingface_read *h)
{
    enum sl_err err = sl_huggingface_with(h, "config.json", SL_JSON_OBJECT, read_config);
    if (err == SL_ENOTFOUND)
        return sl_cause_set(h->cause, SL_EINVAL,
                            "there is no config.json: pack the model's directory as it was saved");
    if (err == SL_OK)
        err = sl_huggingface_read_tokenizer(h);
    if (err == SL_OK)
        err = sl_huggingface_read_modules(h);
    if (err == SL_OK) {
        err = sl_huggingface_with(h, "generation_config.json", SL_JSON_OBJECT, read_nothing);
        err = err == SL_ENOTFOUND ? SL_OK : err;
    }
    for (uint32_t i = 0; i < h->files->paths_count; i++)
        h->facts->scripts_count += ends_with(h->files->paths[i], ".py");
    derive_task(h);
    return err;
}

enum sl_err
sl_huggingface_check(const struct sl_huggingface_files *files, struct sl_huggingface *ret_facts,
                     struct sl_cause *ret_cause)
{
    sl_assert(files != NULL && files->lookup != NULL);
    sl_assert(ret_facts != NULL);
    struct sl_huggingface *facts = sl_zalloc(sizeof(*facts));
    struct sl_huggingface_read h = {
        .files = files, .facts = facts, .cause = ret_cause, .path = "config.json"};
    enum sl_err err = read_all(&h);
    if (err == SL_OK)
        *ret_facts = *facts;
    else
        sl_huggingface_deinit(facts);
    sl_free(facts);
    return err;
}

void
sl_huggingface_deinit(struct sl_huggingface *facts)
{
    sl_assert(facts != NULL);
    for (uint32_t i = 0; facts->labels != NULL && i < facts->labels_count; i++)
        sl_free(facts->labels[i]);
    sl_free(facts->labels);
    *facts = (struct sl_huggingface){0};
}

const char *
sl_huggingface_tokenizer_name(enum sl_huggingface_tokenizer kind)
{
    static const char *const names[] = {"none", "WordPiece", "Unigram",
                                        "BPE",  "WordLevel", "SentencePiece"};
    return (unsigned)kind < SL_COUNT_OF(names) ? names[kind] : "?";
}

const char *
sl_huggingface_task_name(enum sl_huggingface_task task)
{
    static const char *const names[] = {"embedding", "sparse embedding", "reranking",
                                        "classification", "generation"};
    return (unsigned)task < SL_COUNT_OF(names) ? names[task] : "?";
}
