/* SPDX-License-Identifier: Apache-2.0 */
/* slow_extractor v1 - takes 20 ms an item, and notes in the file STARTS who began when. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
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
    static const char fields[] = "{\"was\":\"processed\"}";
    struct sluice_output output = {
        .size = sizeof(output), .fields = fields, .fields_bytes = sizeof(fields) - 1};
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++) {
        note_start();
        nanosleep(&pause, NULL);
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "slow_extractor",
                                                      .version = "v1",
                                                      .description = "Takes its time.",
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process};
    return &extractor;
}
