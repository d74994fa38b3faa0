/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - all that a tenant has, as one .tar (docs/tenants.md has the format): rows as lines of
 * JSON, blobs and models as they are. It is a blob, so its name is its SHA-256.
 *
 *   create --> step, step, ... --> done
 *       `------------------------> destroy: nothing is left
 *
 * A step brings about a quarter of a MiB, so that others may run between them. Nothing of it is
 * durable before the last: whoever is killed begins anew.
 *
 * Threading: the store's thread; a step writes to the disk.
 */
#ifndef SL_GATEWAY_EXPORT_H
#define SL_GATEWAY_EXPORT_H

#include "gateway/gateway.h"
#include "object-store/blob.h"

struct sl_export;

/* The tenant's ids as its row has them. SL_EIO: blobs cannot be stored, or models not be listed;
 * SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_export_create(struct sl_gateway *g, const struct sl_identity *tenant,
                                           uint64_t now_ms, struct sl_export **ret_export);
/* What a row names and is not there is left out; what cannot be read is an error. It is final.
 * *ret_is_done: *ret_blob is there, durably. */
SL_MUST_CHECK enum sl_err sl_export_step(struct sl_export *e, struct sl_txn *txn, bool *ret_is_done,
                                         struct sl_blob *ret_blob);
void sl_export_destroy(struct sl_export **e);                           /* NULL inside is fine. */
bool sl_export_is_of(const struct sl_export *e, struct sl_scope scope); /* NULL: of nobody. */
const char *sl_export_tenant_id(const struct sl_export *e);

/* Call `then` with each place of 64 hex digits in a row: the blobs that it names. */
void sl_blobs_named(struct sl_slice row, void (*then)(void *arg, const uint8_t *id), void *arg);

#endif
