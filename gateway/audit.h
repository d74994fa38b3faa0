/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - who did what in an organization: an append-only log, an event for each call that
 * changed something (audit.def), written in that call's transaction. So there is no effect without
 * its event, and no event without its effect.
 *
 *   event n:  {"audit_id", "sequence": n, ..., "previous": SHA-256 of event n - 1's text}
 *
 * Each event holds the digest of the one before it, as stored: one that was changed, left out or
 * put in later is found by whoever walks the chain (sl_api_verify_audit), and a whole chain made
 * anew by whoever wrote the digest of its newest event down.
 *
 * Reads are there as well where the organization asks for it. What a client sent is there without
 * what is secret (`changes`), at most SL_AUDIT_CHANGES_MAX bytes of it.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_AUDIT_H
#define SL_GATEWAY_AUDIT_H

#include "gateway/call.h"
#include "runtime/hash.h"

#define SL_AUDIT_CHANGES_MAX (4 * SL_KIB)
#define SL_AUDIT_DIGEST_SIZE (2 * SL_SHA256_SIZE) /* In hex digits. */

struct sl_audited { /* A row of audit.def. */
    const char *operation, *type, *action;
    const char *member; /* Of the reply. */
    bool is_read;
};

/* Of an operation; NULL: it is not audited. */
const struct sl_audited *sl_audited_find(const char *operation);

/*
 * Stage the event of a call that is about to be committed, once a call: it has succeeded, or failed
 * and keeps what it staged. Nothing where it is not audited.
 */
void sl_audit_note(struct sl_call *call, bool is_success);
/* The same of a call that succeeds and has no reply yet. `id` is what it is about, and what was
 * sent is left out: the event outlasts whom it is about. */
void sl_audit_note_of(struct sl_call *call, const char *id);
/* The same for what nobody called for: a namespace whose time is over. */
void sl_audit_note_system(struct sl_call *call, const struct sl_audited *what, const char *id);

/* ---- the log as rows ------------------------------------------------------------------------ */
/* Keys sort the newest first. */
struct sl_slice sl_audit_key(struct sl_buf *out, uint64_t sequence);
struct sl_slice sl_audit_prefix(void);
/* The hex digest that the event after this one has. */
void sl_audit_digest(struct sl_slice event, char ret_hex[static SL_AUDIT_DIGEST_SIZE + 1]);

bool sl_audit_reads(struct sl_call *call); /* Whether reads are noted. */
void sl_audit_set_reads(struct sl_call *call, bool is_on);

#endif
