/* SPDX-License-Identifier: Apache-2.0 */
/* slow_extractor v1 - takes 20 ms an item, and notes in the file STARTS who began when. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "plain_plugin.h"

static void
note_start(void)
{
    char line[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int size = snprintf(line, sizeof(line), "%d %lld.%09ld\n", (int)getpid(), (long long)now.tv_sec,
                        now.tv_nsec);
    int fd = open(STARTS, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0)
        return;
    if (write(fd, line, (size_t)size) != size)
        perror(STARTS);
    close(fd);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    struct sluice_output output = plain_output();
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        note_start();
        nanosleep(&pause, NULL);
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

PLAIN_PLUGIN("slow_extractor", "Takes its time.", process)
