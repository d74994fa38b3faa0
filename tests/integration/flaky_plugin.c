/* SPDX-License-Identifier: Apache-2.0 */
/* flaky_extractor v1 - works, or fails transiently while the file BROKEN exists. */
#include <sys/stat.h>

#include "plain_plugin.h"

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const struct sluice_error broken = {.size = sizeof(broken),
                                               .kind = SLUICE_ERROR_TRANSIENT,
                                               .code = "broken",
                                               .message = "it is broken"};
    struct sluice_output output = plain_output();
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        struct stat file;
        int is_broken = stat(BROKEN, &file) == 0;
        if (!is_broken)
            sink->emit(sink, i, &output);
        sink->finish(sink, i, is_broken ? &broken : NULL);
    }
    return 0;
}

PLAIN_PLUGIN("flaky_extractor", "Fails while it is told to.", process)
