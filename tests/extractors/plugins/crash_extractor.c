/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_extractor v1 - does what no extractor should, when the input `text` asks for it. Only for
 * tests: replicas must survive, or be replaced, whatever a plugin does.
 *
 * BAD_ABI, BAD_NAME: built as plugins that must not load.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sluice/extractor.h"

#ifndef BAD_ABI
#define BAD_ABI SLUICE_EXTRACTOR_ABI
#endif
#ifndef BAD_NAME
#define BAD_NAME "crash_extractor"
#endif

#define SLOW_STEPS 1000 /* Of 10 ms; cut short when cancelled. */

static struct {
    const struct sluice_cancelled_v1 *cancelled;
    const struct sluice_log_v1 *log;
    const struct sluice_memory_v1 *memory;
    int is_sick;
} self;

static uint64_t
cost(void *instance, const struct sluice_item *item)
{
    (void)instance;
    uint64_t size = item->inputs->data_bytes;
    return size == 4 && memcmp(item->inputs->data, "FREE", 4) == 0   ? 0
           : size == 4 && memcmp(item->inputs->data, "DEAR", 4) == 0 ? UINT64_MAX
                                                                     : size;
}

/* As the parameters ask. -1: it was refused. */
static int
state_batches(const struct sluice_host *host, const char *params)
{
    const struct sluice_batch_v1 *batches = host->service(host, "batch.v1");
    struct sluice_batch batch = {.size = sizeof(batch), .units_max = 10, .unit = "byte"};
    if (strstr(params, "BUDGET") == NULL)
        return 0;
    if (strstr(params, "NONSENSE") == NULL)
        batch.cost = cost; /* Else nothing costs anything. */
    if (strstr(params, "DELAY") != NULL)
        batch.delay_us = 50000;
    return batches->state(batches->self, &batch) == SLUICE_BATCH_OK ? 0 : -1;
}

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    self.cancelled = host->service(host, "cancelled.v1");
    self.log = host->service(host, "log.v1");
    self.memory = host->service(host, "memory.v1");
    *ret_instance = &self;
    char params[256];
    snprintf(params, sizeof(params), "%.*s", (int)config->params_bytes, config->params);
    if (state_batches(host, params) != 0) {
        const struct sluice_batch_v1 *batches = host->service(host, "batch.v1");
        ret_error->kind = SLUICE_ERROR_PERMANENT;
        snprintf(ret_error->code, sizeof(ret_error->code), "no_batches");
        snprintf(ret_error->message, sizeof(ret_error->message), "%.200s",
                 batches->why(batches->self));
        return -1;
    }
    if (host->service(host, "no-such-service.v1") != NULL ||
        memmem(config->params, config->params_bytes, "REFUSE", 6) != NULL) {
        ret_error->kind = SLUICE_ERROR_PERMANENT;
        memset(ret_error->code, 'x', sizeof(ret_error->code)); /* And no NUL. */
        return -1;
    }
    return 0;
}

static void
destroy(void *instance)
{
    (void)instance;
}

static int
health(void *instance, struct sluice_error *ret_error)
{
    (void)instance;
    if (!self.is_sick)
        return 0;
    snprintf(ret_error->code, sizeof(ret_error->code), "sick");
    return -1;
}

static int
emit(const struct sluice_sink *sink, uint32_t item, const char *fields, float value)
{
    float values[2] = {value, 1};
    struct sluice_vector vector = {
        .size = sizeof(vector), .dimensions = 2, .index = "crash", .values = values};
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = fields,
                                   .fields_bytes = strlen(fields),
                                   .vectors = &vector};
    return sink->emit(sink, item, &output);
}

static void
be_slow(void)
{
    for (int i = 0; i < SLOW_STEPS && !self.cancelled->is_cancelled(self.cancelled->self); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void
tell(const char *directory, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    if (file != NULL)
        fclose(file);
}

static void
wait_for(const char *directory, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    while (access(path, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Ask whether the batch is cancelled once, and when: by files. Without a sandbox. */
static void
ask_once(const char *directory)
{
    tell(directory, "begun");
    wait_for(directory, "ask");
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* It is not asked all the time. */
    (void)self.cancelled->is_cancelled(self.cancelled->self);
    tell(directory, "asked");
    wait_for(directory, "go");
}

/* True when the item is to be finished as usual. */
static int
obey(const char *text, uint32_t item, const struct sluice_sink *sink)
{
    if (strstr(text, "CRASH") != NULL)
        raise(SIGSEGV);
    if (strstr(text, "SLOW") != NULL)
        be_slow();
    if (strncmp(text, "ASK ", 4) == 0)
        ask_once(text + 4);
    if (strstr(text, "HOLDS") != NULL) {
        self.memory->report(self.memory->self, SLUICE_MEMORY_HOST, 5);
        self.memory->report(self.memory->self, SLUICE_MEMORY_HOST, 1111);
        self.memory->report(self.memory->self, SLUICE_MEMORY_DEVICE, 2222);
        return self.memory->report(self.memory->self, -1, 5) == -1 &&
               self.memory->report(self.memory->self, SLUICE_MEMORY_DEVICE + 1, 5) == -1;
    }
    if (strstr(text, "SICK") != NULL)
        self.is_sick = 1;
    if (strstr(text, "LOG") != NULL)
        self.log->write(self.log->self, SLUICE_LOG_WARN, "crash", "line\nbreak");
    if (strstr(text, "NAN") != NULL)
        return emit(sink, item, "{}", NAN) == 0;
    if (strstr(text, "BROKEN") != NULL)
        return emit(sink, item, "{\"a\":", 1) == 0;
    if (strstr(text, "ARRAY") != NULL)
        return emit(sink, item, "[]", 1) == 0;
    if (strstr(text, "FLOOD") != NULL) {
        while (emit(sink, item, "{}", 1) == 0)
            ;
        return 0;
    }
    if (strstr(text, "PAUSE EMPTY") != NULL)
        return sink->pause(sink, item, "x", 1) == 0;
    if (strstr(text, "PAUSE NOWHERE") != NULL)
        return emit(sink, item, "{}", 1) != 0 || sink->pause(sink, item, NULL, 0) == 0;
    if (strstr(text, "PAUSE FAR") != NULL)
        return emit(sink, item, "{}", 1) != 0 ||
               sink->pause(sink, item, text, SLUICE_RESUME_BYTES_MAX + 1) == 0;
    if (strstr(text, "ELSEWHERE") != NULL) {
        emit(sink, item + 1000, "{}", 1);
        sink->finish(sink, item + 1000, NULL);
    }
    return strstr(text, "FORGET") == NULL;
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_item *item = SLUICE_AT(struct sluice_item, items, i);
        char text[256];
        size_t size = item->inputs->data_bytes < 255 ? (size_t)item->inputs->data_bytes : 255;
        memcpy(text, item->inputs->data, size);
        text[size] = '\0';
        if (strstr(text, "GIVE UP") != NULL)
            return -1;
        if (!obey(text, i, sink))
            continue;
        struct sluice_error error = {.size = sizeof(error), .kind = SLUICE_ERROR_TRANSIENT};
        snprintf(error.code, sizeof(error.code), "flaky");
        snprintf(error.message, sizeof(error.message), "try \xFF again\n");
        emit(sink, i, "{\"ok\":true}", 0.5f);
        sink->finish(sink, i, strstr(text, "FLAKY") != NULL ? &error : NULL);
        if (strstr(text, "TWICE") != NULL)
            sink->finish(sink, i, &error);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {
        .size = sizeof(extractor),
        .abi = BAD_ABI,
        .name = BAD_NAME,
        .version = "v1",
        .description = "Misbehaves on request.",
        .flags = SLUICE_EXTRACTOR_HAS_VECTORS,
        .create = create,
        .destroy = destroy,
        .health = health,
        .process = process,
    };
    return &extractor;
}
