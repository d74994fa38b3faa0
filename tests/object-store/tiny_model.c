/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/object-store/tiny_model.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TENSORS_MAX 512

struct tensor {
    char name[96];
    uint32_t rows, columns; /* columns 0: one dimension. */
    float base;             /* Values are base + [-spread, spread]. */
    float spread;
};

struct tiny {
    struct tiny_model_options o;
    const char *directory;
    struct tensor tensors[TENSORS_MAX];
    uint32_t count;
    uint64_t random;
};

static const char *const words[] = {"the",   "of",    "and",  "to",   "in",  "is",    "it",
                                    "cat",   "dog",   "sat",  "mat",  "on",  "hello", "world",
                                    "water", "boot",  "hik",  "size", "red", "blue",  "fast",
                                    "slow",  "##ing", "##ed", "##er"};

static FILE *
create(const struct tiny *t, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", t->directory, name);
    return fopen(path, "wb");
}

static int
write_text(const struct tiny *t, const char *name, const char *text)
{
    FILE *f = create(t, name);
    if (f == NULL)
        return -1;
    int rc = fputs(text, f) < 0 ? -1 : 0;
    return fclose(f) != 0 ? -1 : rc;
}

static int
write_config(const struct tiny *t)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "{\"architectures\": [\"BertModel\"], \"model_type\": \"bert\",\n"
                   " \"hidden_size\": %u, \"num_hidden_layers\": %u, \"num_attention_heads\": %u,\n"
                   " \"intermediate_size\": %u, \"vocab_size\": %u,\n"
                   " \"max_position_embeddings\": %u, \"type_vocab_size\": 2,\n"
                   " \"layer_norm_eps\": 1e-12, \"hidden_act\": \"gelu\"}\n",
                   t->o.hidden_size, t->o.layers_count, t->o.heads_count, t->o.intermediate_size,
                   t->o.vocab_size, t->o.positions_count);
    return write_text(t, "config.json", text);
}

static int
write_sentence_files(const struct tiny *t)
{
    char path[512], text[512];
    (void)snprintf(path, sizeof(path), "%s/1_Pooling", t->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -1;
    (void)snprintf(text, sizeof(text),
                   "{\"word_embedding_dimension\": %u, \"pooling_mode_cls_token\": %s,\n"
                   " \"pooling_mode_mean_tokens\": %s, \"pooling_mode_max_tokens\": false}\n",
                   t->o.hidden_size, t->o.is_cls ? "true" : "false",
                   t->o.is_cls ? "false" : "true");
    if (write_text(t, "1_Pooling/config.json", text) != 0)
        return -1;
    if (write_text(t, "modules.json",
                   "[{\"idx\": 0, \"name\": \"0\", \"path\": \"\",\n"
                   "  \"type\": \"sentence_transformers.models.Transformer\"},\n"
                   " {\"idx\": 1, \"name\": \"1\", \"path\": \"1_Pooling\",\n"
                   "  \"type\": \"sentence_transformers.models.Pooling\"},\n"
                   " {\"idx\": 2, \"name\": \"2\", \"path\": \"2_Normalize\",\n"
                   "  \"type\": \"sentence_transformers.models.Normalize\"}]\n") != 0)
        return -1;
    (void)snprintf(text, sizeof(text), "{\"max_seq_length\": %u, \"do_lower_case\": false}\n",
                   t->o.positions_count / 2);
    if (write_text(t, "sentence_bert_config.json", text) != 0)
        return -1;
    return write_text(t, "tokenizer_config.json",
                      "{\"do_lower_case\": true, \"tokenizer_class\": \"BertTokenizer\"}\n");
}

static int
write_vocabulary(const struct tiny *t)
{
    FILE *f = create(t, "vocab.txt");
    if (f == NULL)
        return -1;
    uint32_t n = 5;
    (void)fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", f);
    for (int c = 'a'; c <= 'z'; c++, n += 2)
        (void)fprintf(f, "%c\n##%c\n", c, c);
    for (int c = '0'; c <= '9'; c++, n++)
        (void)fprintf(f, "%c\n", c);
    for (const char *p = ".,!?-'"; *p != '\0'; p++, n++)
        (void)fprintf(f, "%c\n", *p);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && n < t->o.vocab_size; i++, n++)
        (void)fprintf(f, "%s\n", words[i]);
    for (; n < t->o.vocab_size; n++)
        (void)fprintf(f, "word%u\n", n);
    return fclose(f);
}

static void
add(struct tiny *t, const char *name, uint32_t rows, uint32_t columns)
{
    if (t->o.skip_tensor != NULL && strcmp(name, t->o.skip_tensor) == 0)
        return;
    struct tensor *tensor = &t->tensors[t->count++];
    (void)snprintf(tensor->name, sizeof(tensor->name), "%s%s", t->o.has_prefix ? "bert." : "",
                   name);
    bool is_bent = t->o.bend_tensor != NULL && strcmp(name, t->o.bend_tensor) == 0;
    tensor->rows = rows + (is_bent ? 1 : 0);
    tensor->columns = columns;
    bool is_norm_weight = strstr(name, "LayerNorm.weight") != NULL;
    tensor->base = is_norm_weight ? 1.0f : 0.0f;
    tensor->spread = is_norm_weight ? 0.1f : 0.25f;
}

static void
add_pair(struct tiny *t, const char *name, uint32_t rows, uint32_t columns)
{
    char full[96];
    (void)snprintf(full, sizeof(full), "%s.weight", name);
    add(t, full, rows, columns);
    (void)snprintf(full, sizeof(full), "%s.bias", name);
    add(t, full, rows, 0);
}

static void
add_all(struct tiny *t)
{
    uint32_t h = t->o.hidden_size, m = t->o.intermediate_size;
    add(t, "embeddings.word_embeddings.weight", t->o.vocab_size, h);
    add(t, "embeddings.position_embeddings.weight", t->o.positions_count, h);
    add(t, "embeddings.token_type_embeddings.weight", 2, h);
    add_pair(t, "embeddings.LayerNorm", h, 0);
    for (uint32_t i = 0; i < t->o.layers_count && t->count + 16 < TENSORS_MAX; i++) {
        static const struct {
            const char *name;
            int kind; /* 0: hidden x hidden, 1: up, 2: down, 3: norm */
        } parts[] = {{"attention.self.query", 0},
                     {"attention.self.key", 0},
                     {"attention.self.value", 0},
                     {"attention.output.dense", 0},
                     {"attention.output.LayerNorm", 3},
                     {"intermediate.dense", 1},
                     {"output.dense", 2},
                     {"output.LayerNorm", 3}};
        for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
            char name[80];
            (void)snprintf(name, sizeof(name), "encoder.layer.%u.%s", i, parts[p].name);
            int kind = parts[p].kind;
            add_pair(t, name, kind == 1 ? m : h, kind == 3 ? 0 : kind == 2 ? m : h);
        }
    }
}

/* splitmix64: the same stream everywhere. */
static float
uniform(struct tiny *t) /* [-1, 1) */
{
    uint64_t z = (t->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (float)(int32_t)(z >> 40) / (float)(1 << 23) - 1.0f;
}

/* Normal numbers only, cut instead of rounded: enough for what we write. */
static uint16_t
half(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    int exponent = (int)((bits >> 23) & 255) - 127 + 15;
    if (exponent <= 0)
        return (uint16_t)((bits >> 16) & 0x8000);
    return (uint16_t)(((bits >> 16) & 0x8000) | ((uint32_t)exponent << 10) | ((bits >> 13) & 1023));
}

static uint64_t
elements(const struct tensor *tensor)
{
    return (uint64_t)tensor->rows * (tensor->columns == 0 ? 1 : tensor->columns);
}

static void
write_values(struct tiny *t, const struct tensor *tensor, FILE *f)
{
    for (uint64_t i = 0; i < elements(tensor); i++) {
        float v = tensor->base + tensor->spread * uniform(t);
        uint16_t h = half(v);
        if (t->o.is_half)
            (void)fwrite(&h, sizeof(h), 1, f);
        else
            (void)fwrite(&v, sizeof(v), 1, f);
    }
}

/* Tensors [begin, end) as one file. */
static int
write_shard(struct tiny *t, const char *name, uint32_t begin, uint32_t end)
{
    char *header = malloc((size_t)(end - begin) * 256 + 64);
    if (header == NULL)
        return -1;
    size_t size = (size_t)sprintf(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    uint64_t offset = 0;
    for (uint32_t i = begin; i < end; i++) {
        const struct tensor *s = &t->tensors[i];
        char columns[16] = "";
        if (s->columns != 0)
            (void)snprintf(columns, sizeof(columns), ",%u", s->columns);
        uint64_t bytes = elements(s) * (t->o.is_half ? 2 : 4);
        size += (size_t)sprintf(header + size,
                                ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%u%s],"
                                "\"data_offsets\":[%llu,%llu]}",
                                s->name, t->o.is_half ? "F16" : "F32", s->rows, columns,
                                (unsigned long long)offset, (unsigned long long)(offset + bytes));
        offset += bytes;
    }
    header[size++] = '}';
    while (size % 8 != 0)
        header[size++] = ' ';
    FILE *f = create(t, name);
    if (f != NULL) {
        uint64_t wide = size;
        (void)fwrite(&wide, sizeof(wide), 1, f);
        (void)fwrite(header, 1, size, f);
        for (uint32_t i = begin; i < end; i++)
            write_values(t, &t->tensors[i], f);
    }
    free(header);
    return f == NULL || fclose(f) != 0 ? -1 : 0;
}

static int
write_shards(struct tiny *t)
{
    FILE *f = create(t, "model.safetensors.index.json");
    if (f == NULL)
        return -1;
    (void)fputs("{\"metadata\": {}, \"weight_map\": {", f);
    uint32_t n = t->o.shards_count;
    int rc = 0;
    for (uint32_t s = 0; s < n && rc == 0; s++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "model-%05u-of-%05u.safetensors", s + 1, n);
        uint32_t begin = t->count * s / n, end = t->count * (s + 1) / n;
        for (uint32_t i = begin; i < end; i++)
            (void)fprintf(f, "%s\n\"%s\": \"%s\"", i == 0 ? "" : ",", t->tensors[i].name, name);
        rc = write_shard(t, name, begin, end);
    }
    (void)fputs("}}\n", f);
    return fclose(f) != 0 ? -1 : rc;
}

static uint32_t
or_default(uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

int
tiny_model_write(const char *directory, const struct tiny_model_options *options)
{
    struct tiny *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -1;
    if (options != NULL)
        t->o = *options;
    t->directory = directory;
    t->random = t->o.seed;
    t->o.hidden_size = or_default(t->o.hidden_size, 32);
    t->o.layers_count = or_default(t->o.layers_count, 2);
    t->o.heads_count = or_default(t->o.heads_count, 4);
    t->o.intermediate_size = or_default(t->o.intermediate_size, 64);
    t->o.vocab_size = or_default(t->o.vocab_size, 128);
    t->o.positions_count = or_default(t->o.positions_count, 64);
    add_all(t);
    int rc = write_config(t);
    rc = rc != 0 ? rc : write_vocabulary(t);
    if (rc == 0 && !t->o.is_bare)
        rc = write_sentence_files(t);
    if (rc == 0 && t->o.shards_count > 1)
        rc = write_shards(t);
    else if (rc == 0)
        rc = write_shard(t, "model.safetensors", 0, t->count);
    free(t);
    return rc;
}

char *
tiny_directory_make(char path[static 64])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, 64, "%s/sluice-test-XXXXXX",
                   base != NULL && strlen(base) < 40 ? base : "/tmp");
    return mkdtemp(path);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void
tiny_directory_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
