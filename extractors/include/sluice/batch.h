/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - how a plugin wants its batches: not by how many items they hold, but by what these
 * cost, in units of its own (tokens, pixels, seconds of sound). Part of extractor.h, whose rules on
 * growth, ownership and threading hold here.
 *
 *   create: state "at most 4096 units, an item costs 2 and one more for each 4 bytes"
 *   then:   items wait in the replica until there is a batch full of them, or delay_us are over
 *
 * A plugin that states nothing gets what is there, up to 256 items at a time. One that costs more
 * than the budget comes alone. Where more waits than fits, tenants take turns by the units they
 * use up. The operator's overrides (batching) go before what a plugin states.
 */
#ifndef SLUICE_BATCH_H
#define SLUICE_BATCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_batch_status {
    SLUICE_BATCH_OK = 0,
    SLUICE_BATCH_REFUSED = 1 /* What was stated is at fault: as if nothing were. */
};

#define SLUICE_BATCH_ITEMS_MAX    256
#define SLUICE_BATCH_UNITS_MAX    (UINT64_C(1) << 40)
#define SLUICE_BATCH_DELAY_US_MAX 1000000

struct sluice_item;

/*
 * What an item costs is units_per_item and one unit for each bytes_per_unit bytes of its inputs,
 * begun ones as whole, but no more than item_units_max; or what `cost` returns. It may be an
 * estimate, and is better too high than too low.
 */
struct sluice_batch {
    uint32_t size;
    uint32_t items_max;      /* Most items of a batch; 0: SLUICE_BATCH_ITEMS_MAX. */
    uint64_t units_max;      /* Most units of a batch; 0: any number. */
    uint64_t units_per_item; /* 0 only where bytes_per_unit or cost is not. */
    uint64_t bytes_per_unit; /* 0: bytes cost nothing. */
    uint64_t item_units_max; /* What is more is cut off, or worked on in parts; 0: any. */
    uint32_t delay_us;       /* What waits for others waits no longer; 0: nothing waits for any. */
    char unit[20];           /* What a unit is: "token". NUL-terminated, a-z and '_'; "": item. */
    /* What the item costs, 1 to SLUICE_BATCH_UNITS_MAX: one that is said to cost anything else
     * fails. NULL: as above. Called once for each, before the process call that it comes with and
     * never during one: be quick and pure. */
    uint64_t (*cost)(void *instance, const struct sluice_item *item);
};

/* "batch.v1" */
struct sluice_batch_v1 {
    uint32_t size;
    void *self;
    /* Within create, once. Returns an enum sluice_batch_status. What is passed is copied. */
    int (*state)(void *self, const struct sluice_batch *batch);
    /* Why it was refused, for people; "" if it was not. Lives as long as the service. */
    const char *(*why)(void *self);
};

#ifdef __cplusplus
}
#endif

#endif
