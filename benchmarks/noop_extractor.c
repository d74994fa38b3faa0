/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noop_extractor v1 - a vector of one number for every text, whatever it says: what `sluice bench
 * serve` measures the way to a replica and back with.
 */
#include "number_extractor.h"

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
    static const float number = 1;
    (void)instance, (void)items;
    for (uint32_t i = 0; i < count; i++)
        number_give(sink, i, "noop", &number);
    return 0;
}

NUMBER_EXTRACTOR("noop", "Does nothing.")
