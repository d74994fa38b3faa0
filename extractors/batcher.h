/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher.h - what of all that waits in a replica makes the next batch: as much as fits into a
 * budget of work units, tenants in turn by the units that they use up.
 *
 *   add --> waiting --due: there is a batch full, or the oldest has waited for `delay_ns`--> take
 *              `--------------------------- remove ---------------------------------------> (gone)
 *
 * One entry that is larger than the budget goes alone. A tenant's entries keep their order.
 *
 * Threading: plain state, one owner; it reads no clock.
 */
#ifndef SL_EXTRACTORS_BATCHER_H
#define SL_EXTRACTORS_BATCHER_H

#include "runtime/base.h"

#define SL_BATCH_ITEMS_MAX     256u
#define SL_BATCH_UNITS_MAX     (UINT64_C(1) << 40) /* Of a batch and of an entry. */
#define SL_BATCH_DELAY_MAX_NS  (1000 * UINT64_C(1000000))
#define SL_BATCHER_WAITING_MAX 512u

struct sl_batch_plan {
    uint64_t units_max; /* Of a batch, at most SL_BATCH_UNITS_MAX; 0: that. */
    uint64_t delay_ns;  /* What waits for others waits no longer; SL_BATCH_DELAY_MAX_NS at most. */
    uint32_t items_max; /* Of a batch, at most SL_BATCH_ITEMS_MAX; 0: that. */
};

/* One that waits: a part of what the caller keeps of it. */
struct sl_batch_entry {
    struct sl_batch_entry *next; /* The batcher's. */
    uint64_t scope;              /* Whose turn it takes. */
    uint64_t units;              /* 1 to SL_BATCH_UNITS_MAX. */
    uint64_t arrived_ns;
};

struct sl_batcher;

/* The plan is within its limits. Never NULL. */
struct sl_batcher *sl_batcher_create(const struct sl_batch_plan *plan);
void sl_batcher_destroy(struct sl_batcher **batcher); /* Empty, or NULL inside. */

uint32_t sl_batcher_count(const struct sl_batcher *b);
bool sl_batcher_is_full(const struct sl_batcher *b); /* Nothing more may be added. */
/* The caller's entry, until it is taken or removed. The batcher is not full. */
void sl_batcher_add(struct sl_batcher *b, struct sl_batch_entry *entry);
/* From when on a batch may be taken: 0: at once; UINT64_MAX: nothing waits. */
uint64_t sl_batcher_due_ns(const struct sl_batcher *b);
/* Take the next batch, due or not, in the order of turns. Returns how many; 0: nothing waits. */
uint32_t sl_batcher_take(struct sl_batcher *b, struct sl_batch_entry *ret[SL_BATCH_ITEMS_MAX]);
/* Remove the first that `is` is true of; NULL: there is none. */
struct sl_batch_entry *
sl_batcher_remove(struct sl_batcher *b,
                  bool (*is)(const struct sl_batch_entry *entry, const void *arg), const void *arg);

#endif
