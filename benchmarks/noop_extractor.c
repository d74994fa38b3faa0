/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noop_extractor v1 - a vector of one number for every text, whatever it says: what `sluice bench
 * serve` measures the way to a replica and back with.
 */
#include <stddef.h>

#include "sluice/extractor.h"

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    (void)host, (void)config, (void)ret_error;
    *ret_instance = NULL;
    return 0;
}

static void
destroy(void *instance)
{
    (void)instance;
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const float values[] = {1};
    struct sluice_vector vector = {
        .size = sizeof(vector), .dimensions = 1, .index = "noop", .values = values};
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = "{}",
                                   .fields_bytes = 2,
                                   .vectors = &vector};
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

static const char *
describe(void)
{
    return "{\"input_schema\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":"
           "\"string\"}}},\"indexes\":[{\"name\":\"noop\",\"dimensions\":1}]}";
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "noop_extractor",
                                                      .version = "v1",
                                                      .description = "Does nothing.",
                                                      .flags = SLUICE_EXTRACTOR_HAS_VECTORS,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process,
                                                      .describe = describe};
    return &extractor;
}
