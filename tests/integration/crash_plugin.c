/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_plugin.c - stands in for passthrough_extractor: it dies of SIGSEGV on an input that says
 * CRASH, and finishes every other. Built and configured by crash_test.py, also under another name.
 */
#include <signal.h>
#include <string.h>

#include "sluice/extractor.h"

#ifndef PLUGIN_NAME
#define PLUGIN_NAME "passthrough_extractor"
#endif

static int instance_of_nothing;

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    (void)host;
    (void)config;
    (void)ret_error;
    *ret_instance = &instance_of_nothing;
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
    (void)ret_error;
    return 0;
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const char fields[] = "{\"was\":\"processed\"}";

    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_item *item = SLUICE_AT(struct sluice_item, items, i);
        struct sluice_output output = {
            .size = sizeof(output), .fields = fields, .fields_bytes = sizeof(fields) - 1};

        if (memmem(item->inputs->data, item->inputs->data_bytes, "CRASH", 5) != NULL)
            raise(SIGSEGV);
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {
        .size = sizeof(extractor),
        .abi = SLUICE_EXTRACTOR_ABI,
        .name = PLUGIN_NAME,
        .version = "v1",
        .description = "Dies on request.",
        .create = create,
        .destroy = destroy,
        .health = health,
        .process = process,
    };
    return &extractor;
}
