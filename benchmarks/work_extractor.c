/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_extractor v1 - each text takes 5 ms, in which it uses no processor, and its vector is one
 * number that tells the instance: what `sluice bench scale` sees a second replica by.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "sluice/extractor.h"

#define WORK_NS 5000000

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    float *number = malloc(sizeof(*number));
    struct timespec now;
    (void)host, (void)config, (void)ret_error;
    if (number == NULL)
        return -1;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    /* Microseconds, as far as a float tells them apart. */
    *number = (float)(((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000) % (1u << 22));
    *ret_instance = number;
    return 0;
}

static void
destroy(void *instance)
{
    free(instance);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const struct timespec work = {.tv_nsec = WORK_NS};
    struct sluice_vector vector = {
        .size = sizeof(vector), .dimensions = 1, .index = "work", .values = instance};
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = "{}",
                                   .fields_bytes = 2,
                                   .vectors = &vector};
    (void)items;
    for (uint32_t i = 0; i < count; i++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &work, NULL);
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

static const char *
describe(void)
{
    return "{\"input_schema\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":"
           "\"string\"}}},\"indexes\":[{\"name\":\"work\",\"dimensions\":1}]}";
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "work_extractor",
                                                      .version = "v1",
                                                      .description = "Takes its time.",
                                                      .flags = SLUICE_EXTRACTOR_HAS_VECTORS,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process,
                                                      .describe = describe};
    return &extractor;
}
