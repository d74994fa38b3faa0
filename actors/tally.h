/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.h - how many of each key there are, of a bounded number in all: what a queue looks at to
 * hold one tenant or one extractor to its share. A table of fixed size; nothing is allocated.
 *
 * Threading: one owner.
 */
#ifndef SL_ACTORS_TALLY_H
#define SL_ACTORS_TALLY_H

#include "runtime/base.h"

#define SL_TALLY_MAX   4096u              /* All that may be counted at a time. */
#define SL_TALLY_SLOTS (2 * SL_TALLY_MAX) /* Half empty, so that a look is short. */

/* In place: zero it. */
struct sl_tally {
    struct {
        uint64_t key;
        uint32_t count; /* 0: the slot is free. */
    } slots[SL_TALLY_SLOTS];
    uint32_t total;
};

/* One more of `key`; total must be below SL_TALLY_MAX. */
void sl_tally_add(struct sl_tally *t, uint64_t key);
/* One less of a key that was added. */
void sl_tally_remove(struct sl_tally *t, uint64_t key);
uint32_t sl_tally_count(const struct sl_tally *t, uint64_t key);

#endif
