/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_extractor v1 - each text takes 5 ms, in which it uses no processor, and its vector is one
 * number that tells the instance: what `sluice bench scale` sees a second replica by.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "number_extractor.h"

#define WORK_NS 5000000

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    float *number = malloc(sizeof(*number));
    struct timespec now;
    (void)host, (void)config, (void)ret_error;
    if (number == NULL)
        return -1;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    /* Microseconds, as far as a float tells them apart. */
    *number = (float)(((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000) % (1u << 22));
    *ret_instance = number;
    return 0;
}

static void
destroy(void *instance)
{
    free(instance);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    static const struct timespec work = {.tv_nsec = WORK_NS};
    (void)items;
    for (uint32_t i = 0; i < count; i++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &work, NULL);
        number_give(sink, i, "work", instance);
    }
    return 0;
}

NUMBER_EXTRACTOR("work", "Takes its time.")
