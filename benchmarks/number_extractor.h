/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number_extractor.h - the frame of a benchmark's plugin that gives one number for every text:
 * what differs is how it comes to it.
 */
#ifndef SL_BENCHMARKS_NUMBER_EXTRACTOR_H
#define SL_BENCHMARKS_NUMBER_EXTRACTOR_H

#include <stddef.h>

#include "sluice/extractor.h"

/* Of item `i`, which is then done. */
static inline void
number_give(const struct sluice_sink *sink, uint32_t i, const char *index, const float *number)
{
    struct sluice_vector vector = {
        .size = sizeof(vector), .dimensions = 1, .index = index, .values = number};
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = "{}",
                                   .fields_bytes = 2,
                                   .vectors = &vector};
    sink->emit(sink, i, &output);
    sink->finish(sink, i, NULL);
}

/* The plugin "NAME_extractor" v1 whose index is NAME (a literal), by its `create`, `destroy` and
   `process`. */
#define NUMBER_EXTRACTOR(text_name, what)                                                          \
    static const char *describe(void)                                                              \
    {                                                                                              \
        return "{\"input_schema\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":"    \
               "\"string\"}}},\"indexes\":[{\"name\":\"" text_name "\",\"dimensions\":1}]}";       \
    }                                                                                              \
    SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *sluice_extractor_entry(void)            \
    {                                                                                              \
        static const struct sluice_extractor extractor = {.size = sizeof(extractor),               \
                                                          .abi = SLUICE_EXTRACTOR_ABI,             \
                                                          .name = text_name "_extractor",          \
                                                          .version = "v1",                         \
                                                          .description = what,                     \
                                                          .flags = SLUICE_EXTRACTOR_HAS_VECTORS,   \
                                                          .create = create,                        \
                                                          .destroy = destroy,                      \
                                                          .process = process,                      \
                                                          .describe = describe};                   \
        return &extractor;                                                                         \
    }

#endif
