/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_extractor v1 - does with models of its namespace what its input says, and tells how it went:
 *
 *   OPEN id tensor   open it, read the tensor, close it
 *   HOLD id tensor   the same, but leave it open for those below
 *   READ tensor      of the model that is held
 *   DROP             close it, and once more
 *   MANY id          open it until that fails, and close them all
 *
 * Built by model_open_test.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/extractor.h"

enum { WORDS = 3, WORD = 400, OPENS = 64 };

static const struct sluice_models_v1 *models;
static const struct sluice_model_v1 *held;

/* What is said of an item. */
struct said {
    int status, again;
    unsigned count;
    double sum;
    struct sluice_tensor tensor;
    char id[64];
};

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    (void)config, (void)ret_error;
    *ret_instance = NULL;
    models = host->service(host, "models.v1");
    return models == NULL ? -1 : 0;
}

static void
destroy(void *instance)
{
    (void)instance;
}

/* By strides, as one who knows nothing else of it would go. */
static void
read_tensor(const struct sluice_model_v1 *model, const char *name, struct said *s)
{
    s->tensor = (struct sluice_tensor){.size = sizeof(s->tensor)};
    snprintf(s->id, sizeof(s->id), "%s", model->identifier);
    if (model->tensor(model->self, name, &s->tensor) != 0 || s->tensor.dtype != SLUICE_DTYPE_F32 ||
        s->tensor.rank != 2 || s->tensor.element_bits != 32) {
        s->status = -1;
        return;
    }
    const char *base = s->tensor.data;
    for (uint64_t i = 0; i < s->tensor.shape[0]; i++) {
        for (uint64_t j = 0; j < s->tensor.shape[1]; j++) {
            float value;
            memcpy(&value,
                   base + (int64_t)i * s->tensor.strides[0] + (int64_t)j * s->tensor.strides[1],
                   sizeof(value));
            s->sum += (double)value;
        }
    }
}

static void
open_and_read(const char *id, const char *tensor, int is_held, struct said *s)
{
    const struct sluice_model_v1 *model = NULL;
    s->status = models->open(models->self, id, &model);
    if (s->status != SLUICE_MODEL_OK)
        return;
    read_tensor(model, tensor, s);
    if (is_held)
        held = model;
    else
        s->again = models->close(models->self, model);
}

static void
open_many(const char *id, struct said *s)
{
    const struct sluice_model_v1 *open[OPENS];
    while (s->count < OPENS &&
           (s->status = models->open(models->self, id, &open[s->count])) == SLUICE_MODEL_OK)
        s->count++;
    for (unsigned i = 0; i < s->count; i++)
        s->again += models->close(models->self, open[i]);
}

static void
run(const char *line, size_t size, char *ret_fields, size_t fields_size)
{
    char words[WORDS][WORD] = {""}, *text = strndup(line, size), *rest = text;
    struct said s = {0};
    for (int i = 0; i < WORDS && rest != NULL; i++)
        snprintf(words[i], WORD, "%s", strsep(&rest, " "));
    free(text);
    if (strcmp(words[0], "OPEN") == 0 || strcmp(words[0], "HOLD") == 0) {
        open_and_read(words[1], words[2], words[0][0] == 'H', &s);
    } else if (strcmp(words[0], "READ") == 0 && held != NULL) {
        read_tensor(held, words[1], &s);
    } else if (strcmp(words[0], "DROP") == 0 && held != NULL) {
        s.status = models->close(models->self, held);
        s.again = models->close(models->self, held);
        held = NULL;
    } else if (strcmp(words[0], "MANY") == 0) {
        open_many(words[1], &s);
    } else {
        s.status = -1;
    }
    snprintf(ret_fields, fields_size,
             "{\"pid\":%d,\"status\":%d,\"again\":%d,\"count\":%u,\"sum\":%.3f,\"id\":\"%s\","
             "\"strides\":[%lld,%lld],\"why\":\"%s\"}",
             (int)getpid(), s.status, s.again, s.count, s.sum, s.id, (long long)s.tensor.strides[0],
             (long long)s.tensor.strides[1], models->why(models->self));
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_item *item = SLUICE_AT(struct sluice_item, items, i);
        char fields[1024];
        run(item->inputs->data, item->inputs->data_bytes, fields, sizeof(fields));
        struct sluice_output output = {
            .size = sizeof(output), .fields = fields, .fields_bytes = strlen(fields)};
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "open_extractor",
                                                      .version = "v1",
                                                      .description = "Opens models.",
                                                      .flags = SLUICE_EXTRACTOR_NEEDS_MODELS,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process};
    return &extractor;
}
