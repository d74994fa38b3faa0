/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.h - what calls use, on its way into the tenant's ledger (actors/ledger.h). What a call
 * commits is recorded in the call's own transaction. What commits nothing, reads and refusals, is
 * added up in memory and recorded about once a second: a crash in between loses that second, in
 * the tenant's favour, and can double nothing.
 *
 *     handler --> effect --> commit: stage (with the call itself, if that was its last commit)
 *                    `-----> answered: count what was not staged --> tick: one record a tenant
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_METER_H
#define SL_GATEWAY_METER_H

#include "actors/ledger.h"
#include "gateway/call.h"

#define SL_METER_FOLDS_MAX 1024u
#define SL_METER_OPEN_MAX  256u

/*
 * A tenant's record that its commits write anew, each with what it has used added, until the record
 * is folded: so many commits cost one row and one fold. What it holds is on its way to the disk.
 */
struct sl_meter_open {
    struct sl_scope scope; /* 0: none is open. */
    struct sl_ledger_id id;
    struct sl_buf entries;
};

struct sl_meter {
    struct sl_ledger_sums cells; /* By scope (8 bytes) and an entry's key; not recorded yet. */
    struct sl_buf key, entries;  /* For whoever needs them for a moment. */
    uint64_t number;             /* Of the last record: random at first. */
    struct sl_meter_open
        open[SL_METER_OPEN_MAX]; /* By scope; one that is taken is left as it is. */
    uint32_t opened;             /* Of them. */
    uint32_t readers;            /* Reports under way: nothing is folded meanwhile. */
    uint32_t folds;
    struct sl_scope fold[SL_METER_FOLDS_MAX]; /* Whose rows are to be folded. */
};

struct sl_meter *sl_meter_create(void);
void sl_meter_destroy(struct sl_meter **meter); /* NULL inside is fine. */

/* The call has used so much, if it is answered; of a collection, or "". Nothing where no meter is.
 */
void sl_meter_use(struct sl_call *call, enum sl_ledger_resource resource, uint64_t amount,
                  const char *collection);
/* Its transaction is about to be committed; `is_last`: and then it is answered. Adds to it only
 * where something else is staged. */
void sl_meter_stage(struct sl_call *call, bool is_last);
/* That commit failed, after which the call has failed as well. */
void sl_meter_unstage(struct sl_call *call);
/* It is answered, as its status says. */
void sl_meter_answered(struct sl_call *call);

/* What a tenant's calls have used and no record has yet, as if it were of `at_ms`. */
void sl_meter_walk(const struct sl_meter *meter, struct sl_scope scope, uint64_t at_ms,
                   void (*seen)(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e),
                   void *arg);

/*
 * What a gateway's calls have used goes to its head in reports, each taken once: `take` moves what
 * was added up, of some tenants, into one (false: nothing was), and `put` stages it as records at
 * the head. SL_ECORRUPT: it is none, and nothing is staged; what is of no tenant (any more) is left
 * out.
 */
bool sl_meter_take(struct sl_meter *meter, struct sl_buf *report);
SL_MUST_CHECK enum sl_err sl_meter_put(struct sl_gateway *g, struct sl_txn *txn,
                                       struct sl_slice report, uint64_t now_ms);

/* When sl_meter_tick is due, in ns from now; UINT64_MAX: not before the next call is answered. */
uint64_t sl_meter_due_ns(const struct sl_gateway *g);
/* Record what was added up, and fold some rows of a tenant that was active. An error: nothing is
 * lost, it is due again. */
SL_MUST_CHECK enum sl_err sl_meter_tick(struct sl_gateway *g, uint64_t now_ms);

#endif
