/* SPDX-License-Identifier: Apache-2.0 */
/* flaky_extractor v1 - works, or fails transiently while the file BROKEN exists. */
#include <string.h>
#include <unistd.h>

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
    static const struct sluice_error broken = {.size = sizeof(broken),
                                               .kind = SLUICE_ERROR_TRANSIENT,
                                               .code = "broken",
                                               .message = "it is broken"};
    static const char fields[] = "{\"was\":\"processed\"}";
    struct sluice_output output = {
        .size = sizeof(output), .fields = fields, .fields_bytes = sizeof(fields) - 1};
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        int is_broken = access(BROKEN, F_OK) == 0;
        if (!is_broken)
            sink->emit(sink, i, &output);
        sink->finish(sink, i, is_broken ? &broken : NULL);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "flaky_extractor",
                                                      .version = "v1",
                                                      .description = "Fails while it is told to.",
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process};
    return &extractor;
}
