/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - what a tenant has used: records that are only ever added, in the transaction of what
 * they are about, so that a crash loses or doubles neither; and their sums by hour, day and month,
 * into which they are folded. All numbers are whole: amounts of a resource's unit, and billionths
 * of the currency.
 *
 *     effect --> record --> hour --> day (after 31 days) --> month (after 400)
 *
 * A fold moves rows in one transaction, so that the sum over all levels is the sum of the records
 * that were ever put, at every moment. It goes by the rows' own time: a clock that is set back puts
 * what it records into the hour it shows then, and nothing is lost.
 *
 * Rows lie in SL_TABLE_LEDGER of the tenant's scope. Key: level (1 byte), its time in ms (8, big
 * endian), then of a record its number (8), of a sum the key of an entry. Value: of a record its
 * entries, of a sum amount and cost (8 bytes each).
 *
 * Threading: plain data; the store's thread where there is a transaction.
 */
#ifndef SL_ACTORS_LEDGER_H
#define SL_ACTORS_LEDGER_H

#include "actors/ledger_sums.h"
#include "runtime/store.h"

enum sl_ledger_resource {
#define RESOURCE(id, name, unit, nano, purpose) SL_LEDGER_##name = (id),
#include "actors/ledger.def"
    SL_LEDGER_RESOURCE_END
};

enum sl_ledger_dimension {
#define DIMENSION(name, purpose) SL_LEDGER_BY_##name,
#include "actors/ledger.def"
    SL_LEDGER_DIMENSIONS
};

#define SL_LEDGER_TEXT_MAX 60 /* Of a dimension; what is longer is cut. */
/* Of an entry's key: resource, then each dimension with its size. */
#define SL_LEDGER_KEY_MAX (1 + SL_LEDGER_DIMENSIONS * (1 + SL_LEDGER_TEXT_MAX))

struct sl_ledger_info {
    const char *name, *unit;
    uint64_t nano; /* Of one unit. */
};
/* NULL: there is no such resource (any more). */
const struct sl_ledger_info *sl_ledger_info(unsigned resource);
/* 0: there is none. */
unsigned sl_ledger_resource_of(struct sl_slice name);
const char *sl_ledger_dimension_name(enum sl_ledger_dimension dimension);
/* What so much costs. */
uint64_t sl_ledger_cost(enum sl_ledger_resource resource, uint64_t amount);

/* ---- entries ------------------------------------------------------------------------------- */

struct sl_ledger_entry {
    uint8_t resource; /* On disk there may be some that are not known. */
    uint64_t amount, cost_nano;
    struct sl_slice dimensions[SL_LEDGER_DIMENSIONS]; /* Empty: none. */
};

/* What entries are summed by. Returns its size. */
size_t sl_ledger_key(const struct sl_ledger_entry *e, uint8_t ret_key[static SL_LEDGER_KEY_MAX]);
/* The rest of `e` is zeroed. Slices borrow from `key`. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_ledger_key_read(struct sl_slice key, struct sl_ledger_entry *ret_e);

/* Append one to the entries of a record. */
void sl_ledger_write(struct sl_buf *entries, const struct sl_ledger_entry *e);
/* Append one whose key is known, as sl_ledger_key made it. */
void sl_ledger_write_sum(struct sl_buf *entries, struct sl_slice key, uint64_t amount,
                         uint64_t cost_nano);
/*
 * Add an entry to a record that these functions made (or an empty one): to the one of its key, or
 * behind the others. Then all of some entries. SL_ECORRUPT: they are none, and nothing has changed.
 */
void sl_ledger_add(struct sl_buf *record, const struct sl_ledger_entry *e);
SL_MUST_CHECK enum sl_err sl_ledger_merge(struct sl_buf *record, struct sl_slice entries);
/* Add all entries of a record to `sums`, by their keys. SL_ECORRUPT: it added none. */
SL_MUST_CHECK enum sl_err sl_ledger_sum_record(struct sl_slice entries,
                                               struct sl_ledger_sums *sums);

/* ---- rows ---------------------------------------------------------------------------------- */

enum sl_ledger_level { SL_LEDGER_RECORD = 1, SL_LEDGER_HOUR, SL_LEDGER_DAY, SL_LEDGER_MONTH };

/* When the hour, day or month (UTC) of a time begins. Of a record: the time itself. */
uint64_t sl_ledger_begin(enum sl_ledger_level level, uint64_t at_ms);

struct sl_ledger_id { /* Of a record. One of the same id is the same: it takes the other's place. */
    uint64_t at_ms, number;
};
/* Nothing where there are no entries. */
void sl_ledger_put(struct sl_txn *txn, struct sl_scope scope, struct sl_ledger_id id,
                   struct sl_slice entries);

/*
 * Fold rows of one scope that are due, up to `rows_max`: one transaction for each level. True in
 * *ret_is_more: there may be more. A row that cannot be read is left where it is, and skipped.
 * The commit's errors: that level is as it was.
 */
struct sl_ledger_fold {
    struct sl_store *store;
    struct sl_scope scope;
    uint64_t now_ms;
    uint32_t rows_max;
};
SL_MUST_CHECK enum sl_err sl_ledger_fold(const struct sl_ledger_fold *f, bool *ret_is_more);

/*
 * Add up rows of [from_ms, to_ms), in turns: up to `rows_max` from where `place` (zeroed at first)
 * stands. `seen` gets the time of the row and its entry. True: all were seen. Nothing may be folded
 * between two turns. A sum of a longer time counts by when that begins.
 */
struct sl_ledger_walk {
    struct sl_scope scope;
    uint64_t from_ms, to_ms;
    uint32_t rows_max;
    void (*seen)(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e);
    void *arg;
};
struct sl_ledger_place {
    unsigned level; /* 0: at the start. */
    struct sl_buf after;
};
bool sl_ledger_walk(struct sl_txn *txn, const struct sl_ledger_walk *w,
                    struct sl_ledger_place *place);

#endif
