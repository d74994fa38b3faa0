/* SPDX-License-Identifier: Apache-2.0 */
/* pause_extractor v1 - takes 40 ms an item and no processor: what it costs is known beforehand. */
#include <time.h>

#include "plain_plugin.h"

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const struct timespec pause = {.tv_nsec = 40000000};
    struct sluice_output output = plain_output();
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        nanosleep(&pause, NULL);
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

PLAIN_PLUGIN("pause_extractor", "Takes its time.", process)
