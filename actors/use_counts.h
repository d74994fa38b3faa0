/* SPDX-License-Identifier: Apache-2.0 */
/*
 * use_counts.h - what tenants have used and how their jobs ended since the process started: what
 * metrics are made of. The ledger (ledger.h) is what is charged; this is in memory alone, and may
 * have what a commit that failed would have charged.
 *
 * Bounded: after SL_USE_COUNTS_MAX different ones, new ones are counted as no tenant's, and their
 * labels as "other". One takes about 120 bytes.
 *
 * Threading: the store's thread.
 */
#ifndef SL_ACTORS_USE_COUNTS_H
#define SL_ACTORS_USE_COUNTS_H

#include "actors/ledger.h"

#define SL_USE_COUNTS_MAX 65536u
#define SL_USE_LABELS     2u
#define SL_USE_LABEL_MAX  64u /* Bytes; what is longer is cut. */

enum sl_use_kind {
    SL_USE_LEDGER, /* Of a resource, by its name: the amount and what it cost. */
    SL_USE_TOKENS, /* That a model was sent, by its name. */
    SL_USE_JOBS,   /* That ended, by type and outcome. */
    SL_USE_CHECKS  /* Of the isolation of tenants, by check and result. */
};

struct sl_use {
    enum sl_use_kind kind;
    struct sl_scope scope;                 /* 0: of too many. */
    struct sl_slice labels[SL_USE_LABELS]; /* Empty: none. */
};

struct sl_use_counts;

struct sl_use_counts *sl_use_counts_create(void);
void sl_use_counts_destroy(struct sl_use_counts **counts); /* NULL inside is fine. */

/* `counts` NULL: nobody asks, and nothing is counted; likewise below. */
void sl_use_count(struct sl_use_counts *counts, const struct sl_use *use, uint64_t amount,
                  uint64_t cost_nano);
void sl_use_count_entry(struct sl_use_counts *counts, struct sl_scope scope,
                        const struct sl_ledger_entry *e);
/* All entries of a record; nothing of one that cannot be read. */
void sl_use_count_record(struct sl_use_counts *counts, struct sl_scope scope,
                         struct sl_slice entries);

/* The next from *at on, which 0 begins; false: there is none. Borrowed until the next count. */
bool sl_use_next(const struct sl_use_counts *counts, uint32_t *at, struct sl_use *ret_use,
                 const struct sl_ledger_sum **ret_sum);

#endif
