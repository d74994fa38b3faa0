/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spend.h - what a tenant has used of a day and a month, read from its ledger in steps: hours that
 * are over are added up once and kept, later ones are read each time. So a count costs what the
 * tenant did in the last hour or two, however long its month is.
 *
 *     |----- kept: hours that are over -----|-- read each time --| now
 *     month begins                          `kept until'
 *
 * Nothing is recorded into hours before the last any more, unless the wall clock is set back: then,
 * and when a day begins, all is counted anew.
 *
 * Threading: the store's thread. In place: zero it.
 */
#ifndef SL_GATEWAY_SPEND_H
#define SL_GATEWAY_SPEND_H

#include "gateway/limit.h"
#include "runtime/store.h"

struct sl_meter;

struct sl_spend {
    struct sl_limit_used kept;
    uint64_t day_ms, until_ms, seen_ms; /* Of which day; what is kept; when it was counted last. */
    uint64_t rows;                      /* That were looked at, ever. */
};

/* As it is now, what is not recorded yet (meter; NULL: there is none) included. */
struct sl_spend_source {
    struct sl_txn *txn;
    const struct sl_meter *meter;
    struct sl_scope scope;
};
struct sl_limit_used sl_spend_count(struct sl_spend *s, const struct sl_spend_source *source,
                                    uint64_t wall_ms);

#endif
