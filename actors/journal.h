/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - what happened, for people: events of the cluster and of its tenants, rows that are
 * written in the transaction of what they tell of. An event of a tenant is there twice, among all
 * and in the tenant's scope, which goes with the tenant.
 *
 *     add --> kept --(SL_JOURNAL_MAX newer ones, or SL_JOURNAL_KEEP_MS)--> gone; `cut` is after it
 *
 * Numbers rise over all events and over restarts, also when the clock is set back; the upper bits
 * are the time. So whoever comes again with the number of the last one that it has seen misses
 * nothing, and hears nothing twice.
 *
 * To tell of something, in the transaction that does it (in a handler: call->txn, call->now_ms):
 *
 *     sl_journal_add(call->txn, call->now_ms, &(struct sl_journal_event){
 *         .kind = SL_JOURNAL_quota_exceeded, .scope = call->who.scope,
 *         .tenant_id = call->who.tenant_id, .subject = "max_storage_bytes",
 *         .message = "80 % of the storage is used", .quiet_ms = 3600000});
 *
 * Texts are shown to the operator and outlast the tenant among all events: ids, numbers and words
 * of ours, nothing that a tenant has written. Whoever follows is woken by the commit.
 *
 * Threading: the store's thread.
 */
#ifndef SL_ACTORS_JOURNAL_H
#define SL_ACTORS_JOURNAL_H

#include "runtime/buf.h"
#include "runtime/store.h"

#define SL_JOURNAL_MAX         10000 /* Events of all. */
#define SL_JOURNAL_TENANT_MAX  1000  /* Of a tenant, where the tenant sees them. */
#define SL_JOURNAL_KEEP_MS     (7 * UINT64_C(86400000))
#define SL_JOURNAL_MESSAGE_MAX 400 /* Bytes; what is longer is cut. */
#define SL_JOURNAL_SUBJECT_MAX 128
#define SL_JOURNAL_ID_SIZE     21 /* "evt_", 16 hex digits, NUL. */

enum sl_journal_kind {
#define KIND(name, severity, word) SL_JOURNAL_##name,
#define WORD(word, kind)
#include "actors/journal.def"
    SL_JOURNAL_KIND_COUNT
};

enum sl_severity { SL_SEVERITY_USUAL, SL_SEVERITY_INFO, SL_SEVERITY_WARNING, SL_SEVERITY_CRITICAL };

struct sl_journal_event {
    enum sl_journal_kind kind;
    enum sl_severity severity; /* 0: the kind's usual one. */
    struct sl_scope scope;     /* Of the tenant that it is about; 0: it is the cluster's. */
    const char *tenant_id;     /* NULL: as the scope's row says. What is NULL below is "". */
    const char *node_id, *group;
    const char *subject;        /* The id of what it is about. */
    const char *message;        /* A sentence. */
    const char *word;           /* Another name than the kind's; NULL: that. */
    struct sl_slice attributes; /* A JSON object; empty: {}. */
    uint64_t
        quiet_ms; /* Nothing is added where one of the kind and subject is younger. 0: always. */
};

/* Stage an event. False: it was told lately (quiet_ms), nothing was staged. */
bool sl_journal_add(struct sl_txn *txn, uint64_t now_ms, const struct sl_journal_event *event);

/* The kind of one of its names, as "node_joined" or "node-joined"; COUNT: of none. */
enum sl_journal_kind sl_journal_kind_find(struct sl_slice name);
const char *sl_journal_kind_name(enum sl_journal_kind kind);
const char *sl_severity_name(enum sl_severity severity);

/* ---- reading --------------------------------------------------------------------------------- */
/* The events of a scope are rows of SL_TABLE_EVENT; 0 has those of all. */
struct sl_journal_row {
    uint64_t sequence;
    uint64_t scope; /* Of the tenant; 0: none. */
    struct sl_slice kind, severity, subject;
    struct sl_slice json; /* The event as the API shows it. */
};

struct sl_slice sl_journal_prefix(void); /* Of the keys, which sort by number. */
struct sl_slice sl_journal_key(struct sl_buf *out, uint64_t sequence); /* Borrows from `out`. */
/* False: it is no event. Borrows from both. */
bool sl_journal_read(struct sl_slice key, struct sl_slice value, struct sl_journal_row *ret_row);
/* The number of the newest event of all; 0: there was none yet. */
uint64_t sl_journal_last(struct sl_txn *txn);
/* The number of the newest of those of a scope that are gone; 0: none is. */
uint64_t sl_journal_cut(struct sl_txn *txn, struct sl_scope scope);
/* The smallest number that an event of that time may have. */
uint64_t sl_journal_at(uint64_t time_ms);
uint64_t sl_journal_time_ms(uint64_t sequence);

void sl_journal_id(uint64_t sequence, char ret_id[static SL_JOURNAL_ID_SIZE]);
bool sl_journal_id_parse(struct sl_slice id, uint64_t *ret_sequence);

#endif
