/* SPDX-License-Identifier: Apache-2.0 */
/* plain_plugin.h - a plugin without settings or state: all that differs is `process`. */
#ifndef SL_TESTS_INTEGRATION_PLAIN_PLUGIN_H
#define SL_TESTS_INTEGRATION_PLAIN_PLUGIN_H

#include "sluice/extractor.h"

static int
plain_create(const struct sluice_host *host, const struct sluice_config *config,
             void **ret_instance, struct sluice_error *ret_error)
{
    (void)host, (void)config, (void)ret_error;
    *ret_instance = NULL;
    return 0;
}

static void
plain_destroy(void *instance)
{
    (void)instance;
}

/* What each item gives. */
static inline struct sluice_output
plain_output(void)
{
    static const char fields[] = "{\"was\":\"processed\"}";
    return (struct sluice_output){
        .size = sizeof(struct sluice_output), .fields = fields, .fields_bytes = sizeof(fields) - 1};
}

/* The entry of a plugin: its name, what it does, and its `process`. */
#define PLAIN_PLUGIN(plugin_name, what, plugin_process)                                            \
    SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *sluice_extractor_entry(void)            \
    {                                                                                              \
        static const struct sluice_extractor extractor = {.size = sizeof(extractor),               \
                                                          .abi = SLUICE_EXTRACTOR_ABI,             \
                                                          .name = plugin_name,                     \
                                                          .version = "v1",                         \
                                                          .description = what,                     \
                                                          .create = plain_create,                  \
                                                          .destroy = plain_destroy,                \
                                                          .process = plugin_process};              \
        return &extractor;                                                                         \
    }

#endif
