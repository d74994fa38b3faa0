/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/bench/directory.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/random.h"
#include "runtime/time.h"

enum { HIDDEN = 384, WIDE = 1536, LAYERS = 6, VOCABULARY = 30522, POSITIONS = 512, TYPES = 2 };

struct tensor {
    char name[80];
    uint32_t rows, columns; /* columns 0: one dimension. */
};

struct model {
    struct tensor tensors[5 + LAYERS * 16];
    uint32_t count;
};

static void
add(struct model *m, const char *name, uint32_t rows, uint32_t columns)
{
    sl_assert(m->count < SL_COUNT_OF(m->tensors));
    struct tensor *t = &m->tensors[m->count++];
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->rows = rows;
    t->columns = columns;
}

static void
add_layer(struct model *m, uint32_t layer)
{
    static const struct {
        const char *name;
        uint32_t rows, columns;
    } parts[] = {{"attention.self.query", HIDDEN, HIDDEN},
                 {"attention.self.key", HIDDEN, HIDDEN},
                 {"attention.self.value", HIDDEN, HIDDEN},
                 {"attention.output.dense", HIDDEN, HIDDEN},
                 {"attention.output.LayerNorm", HIDDEN, 0},
                 {"intermediate.dense", WIDE, HIDDEN},
                 {"output.dense", HIDDEN, WIDE},
                 {"output.LayerNorm", HIDDEN, 0}};
    char name[80];
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        (void)snprintf(name, sizeof(name), "encoder.layer.%u.%s.weight", layer, parts[i].name);
        add(m, name, parts[i].rows, parts[i].columns);
        (void)snprintf(name, sizeof(name), "encoder.layer.%u.%s.bias", layer, parts[i].name);
        add(m, name, parts[i].rows, 0);
    }
}

static void
list_tensors(struct model *m)
{
    add(m, "embeddings.word_embeddings.weight", VOCABULARY, HIDDEN);
    add(m, "embeddings.position_embeddings.weight", POSITIONS, HIDDEN);
    add(m, "embeddings.token_type_embeddings.weight", TYPES, HIDDEN);
    add(m, "embeddings.LayerNorm.weight", HIDDEN, 0);
    add(m, "embeddings.LayerNorm.bias", HIDDEN, 0);
    for (uint32_t i = 0; i < LAYERS; i++)
        add_layer(m, i);
}

/* One tensor a layer, each as large as the other. */
static void
list_layers(struct model *m, const struct sl_bench_weights *weights)
{
    char name[80];
    for (uint32_t i = 0; i < weights->tensors_count; i++) {
        (void)snprintf(name, sizeof(name), "layer.%u.weight", i);
        add(m, name, weights->rows, weights->columns);
    }
}

static uint64_t
values_count(const struct tensor *t)
{
    return (uint64_t)t->rows * SL_MAX(t->columns, 1u);
}

static void
write_header(const struct model *m, FILE *file)
{
    struct sl_buf header = {0};
    uint64_t at = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct tensor *t = &m->tensors[i];
        uint64_t end = at + values_count(t) * sizeof(float);
        sl_buf_printf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u", i == 0 ? "{" : ",",
                      t->name, t->rows);
        if (t->columns > 0)
            sl_buf_printf(&header, ",%u", t->columns);
        sl_buf_printf(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                      (unsigned long long)end);
        at = end;
    }
    sl_buf_append_str(&header, "}");
    while (header.size % 8 != 0)
        sl_buf_append_u8(&header, ' ');
    uint64_t size = header.size;
    (void)fwrite(&size, sizeof(size), 1, file);
    (void)fwrite(header.data, 1, header.size, file);
    sl_buf_deinit(&header);
}

/* Small values around 0, or around 1 for the scale of a norm: activations stay in bounds. */
static void
write_values(const struct tensor *t, struct sl_random *random, FILE *file)
{
    bool is_scale = strstr(t->name, "LayerNorm.weight") != NULL;
    float values[HIDDEN];
    for (uint64_t left = values_count(t); left > 0;) {
        uint64_t count = SL_MIN(left, (uint64_t)HIDDEN);
        for (uint64_t i = 0; i < count; i++)
            values[i] = (float)(sl_random_u64(random) >> 40) * (0.1f / (1 << 24)) - 0.05f +
                        (is_scale ? 1.0f : 0.0f);
        (void)fwrite(values, sizeof(float), count, file);
        left -= count;
    }
}

static bool
close_file(FILE *file)
{
    bool is_ok = ferror(file) == 0;
    return fclose(file) == 0 && is_ok;
}

static FILE *
create_file(const char *directory, const char *name)
{
    char *path = sl_format("%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    sl_free(path);
    return file;
}

static bool
write_text(const char *directory, const char *name, const char *text)
{
    FILE *file = create_file(directory, name);
    if (file == NULL)
        return false;
    (void)fputs(text, file);
    return close_file(file);
}

static bool
write_vocabulary(const char *directory)
{
    FILE *file = create_file(directory, "vocab.txt");
    if (file == NULL)
        return false;
    (void)fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", file);
    for (uint32_t i = 5; i < VOCABULARY; i++)
        (void)fprintf(file, "word%u\n", i);
    return close_file(file);
}

static bool
write_weights(const char *directory, const struct model *m)
{
    struct sl_random random;
    FILE *file = create_file(directory, "model.safetensors");
    if (file == NULL)
        return false;
    sl_random_seed(&random, 6);
    write_header(m, file);
    for (uint32_t i = 0; i < m->count; i++)
        write_values(&m->tensors[i], &random, file);
    return close_file(file);
}

bool
sl_bench_weights_write(const struct sl_bench_weights *weights, const char *directory)
{
    struct model m = {0};
    list_layers(&m, weights);
    return write_weights(directory, &m) ||
           sl_bench_fail("weights cannot be written to %s", directory);
}

static bool
write_pooling(const char *directory)
{
    char text[96], *path = sl_format("%s/1_Pooling", directory);
    (void)snprintf(text, sizeof(text),
                   "{\"word_embedding_dimension\":%d,\"pooling_mode_mean_tokens\":true}", HIDDEN);
    bool is_ok = mkdir(path, 0700) == 0 && write_text(path, "config.json", text);
    sl_free(path);
    return is_ok;
}

bool
sl_bench_model_write(const char *directory)
{
    char config[512];
    struct model m = {0};
    list_tensors(&m);
    (void)snprintf(config, sizeof(config),
                   "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"hidden_size\":%d,"
                   "\"num_hidden_layers\":%d,\"num_attention_heads\":12,\"intermediate_size\":%d,"
                   "\"vocab_size\":%d,\"max_position_embeddings\":%d,\"type_vocab_size\":%d,"
                   "\"layer_norm_eps\":1e-12,\"hidden_act\":\"gelu\"}",
                   HIDDEN, LAYERS, WIDE, VOCABULARY, POSITIONS, TYPES);
    return (write_text(directory, "config.json", config) &&
            write_text(directory, "modules.json",
                       "[{\"type\":\"sentence_transformers.models.Transformer\"},"
                       "{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"1_Pooling\"},"
                       "{\"type\":\"sentence_transformers.models.Normalize\"}]") &&
            write_pooling(directory) && write_vocabulary(directory) &&
            write_weights(directory, &m)) ||
           sl_bench_fail("the model cannot be written below %s", directory);
}

int
sl_bench_model_deploy(const char *directory, double *ret_build_ms)
{
    struct sl_cause cause = {0};
    int fd = -1, at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t start_ns = sl_time_mono_ns();
    if (at < 0)
        (void)sl_bench_fail("%s cannot be opened", directory);
    else if (sl_model_build(at, NULL, &fd, &cause) != SL_OK)
        (void)sl_bench_fail("build: %s", cause.text);
    *ret_build_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    if (at >= 0)
        (void)close(at);
    return fd;
}

int
sl_bench_model_build(const struct sl_bench *bench, double *ret_build_ms)
{
    char *directory = sl_bench_directory_make(bench);
    int fd = -1;
    if (directory == NULL)
        return -1;
    if (sl_bench_model_write(directory))
        fd = sl_bench_model_deploy(directory, ret_build_ms);
    sl_bench_directory_remove(&directory);
    return fd;
}
