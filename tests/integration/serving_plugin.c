/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving_plugin.c - notes every text that it embeds in RUNS, a line each; one that begins with
 * HOLD it ends only once the file RELEASE is there. At LIE it writes into the channel by which the
 * server calls it, once, and hangs. Built by serving_test.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plain_plugin.h"

static void
note(const struct sluice_input *text)
{
    char line[128];
    size_t size = text->data_bytes < sizeof(line) - 1 ? text->data_bytes : sizeof(line) - 1;
    int fd = open(RUNS, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    memcpy(line, text->data, size);
    line[size++] = '\n';
    if (fd >= 0 && write(fd, line, size) == (ssize_t)size)
        (void)fsync(fd);
    if (fd >= 0)
        (void)close(fd);
}

/* That more has been written than there is room for: in each of its rings, where their counts are.
 */
static void
lie(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    int marker = open(RELEASE ".lied", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (maps == NULL || marker < 0)
        return; /* It has, in another process. */
    (void)close(marker);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from, to;
        if (strstr(line, "sluice-channel") == NULL || sscanf(line, "%lx-%lx", &from, &to) != 2)
            continue;
        memset((void *)from, 0xee, to - from);
        for (;;)
            (void)pause();
    }
    (void)fclose(maps);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const float values[] = {1};
    static const struct timespec pause = {.tv_nsec = 5000000};
    struct sluice_vector vector = {
        .size = sizeof(vector), .dimensions = 1, .index = "serving", .values = values};
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = "{}",
                                   .fields_bytes = 2,
                                   .vectors = &vector};
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_input *text = SLUICE_AT(struct sluice_item, items, i)->inputs;
        note(text);
        if (text->data_bytes >= 3 && memcmp(text->data, "LIE", 3) == 0)
            lie();
        if (text->data_bytes >= 4 && memcmp(text->data, "HOLD", 4) == 0) {
            while (access(RELEASE, F_OK) != 0)
                nanosleep(&pause, NULL);
        }
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

static const char *
describe(void)
{
    return "{\"input_schema\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":"
           "\"string\"}}},\"indexes\":[{\"name\":\"serving\",\"dimensions\":1}]}";
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "serving_extractor",
                                                      .version = "v1",
                                                      .description = "Notes what it embeds.",
                                                      .flags = SLUICE_EXTRACTOR_HAS_VECTORS,
                                                      .create = plain_create,
                                                      .destroy = plain_destroy,
                                                      .process = process,
                                                      .describe = describe};
    return &extractor;
}
