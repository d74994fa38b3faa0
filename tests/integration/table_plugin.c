/* SPDX-License-Identifier: Apache-2.0 */
/* my_plugin v1 - cannot even be loaded where its table, the file TABLE, cannot be read. */
#include <fcntl.h>
#include <unistd.h>

#include "plain_plugin.h"

__attribute__((constructor)) static void
load_table(void)
{
    int fd = open(TABLE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        _exit(3);
    close(fd);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    struct sluice_output output = plain_output();
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

PLAIN_PLUGIN("my_plugin", "Needs its table.", process)
