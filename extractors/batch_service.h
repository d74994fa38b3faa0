/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_service.h - the service "batch.v1" (sluice/batch.h): what a plugin states of its batches,
 * checked, and what an item costs by that.
 *
 * Threading: the host's.
 */
#ifndef SL_EXTRACTORS_BATCH_SERVICE_H
#define SL_EXTRACTORS_BATCH_SERVICE_H

#include "extractors/batcher.h"
#include "object-store/cause.h"
#include "sluice/extractor.h"

struct sl_batch_service {
    struct sluice_batch_v1 face;
    bool is_open;               /* Within create. */
    bool is_stated;             /* And good. */
    struct sluice_batch stated; /* Else an item costs 1, and there is no budget. */
    struct sl_cause why;
};

/* What the operator says instead of the plugin; a member that is 0 says nothing. */
struct sl_batch_override {
    uint64_t units_max;
    uint64_t delay_ns;
    uint32_t items_max;
    bool has_delay; /* Or delay_ns is 0: none. */
};

/* In place; it must not move, and holds nothing to free. */
void sl_batch_service_init(struct sl_batch_service *s);
/* What holds: what was stated, and what the override says in its stead, bounded. */
struct sl_batch_plan sl_batch_service_plan(const struct sl_batch_service *s,
                                           const struct sl_batch_override *override);
/*
 * What `item` costs the plugin with this instance, 1 to SLUICE_BATCH_UNITS_MAX. SL_EINVAL: it says
 * something else; the cause says what.
 */
SL_MUST_CHECK
enum sl_err sl_batch_service_cost(const struct sl_batch_service *s, void *instance,
                                  const struct sluice_item *item, uint64_t *ret_units,
                                  struct sl_cause *ret_cause);

#endif
