/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_held.h - segments of the log that projections read from. For the store's files only.
 */
#ifndef SL_RUNTIME_STORE_HELD_H
#define SL_RUNTIME_STORE_HELD_H

#include "runtime/buf.h"
#include "runtime/store.h"

struct sl_store_held {
    uint32_t *segments; /* Ordinals, in any order. */
    uint32_t count;
};

void sl_store_held_deinit(struct sl_store_held *held);
void sl_store_held_add(struct sl_store_held *held, uint32_t segment);
bool sl_store_held_has(const struct sl_store_held *held, uint32_t segment);
void sl_store_held_encode(const struct sl_store_held *held, struct sl_buf *out);
/* Add those that sl_store_held_encode has written. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_store_held_decode(struct sl_reader *r, struct sl_store_held *held);

/* Bytes of a segment that projections hold now, and the segments of which they hold some. */
uint64_t sl_store_held_bytes(const struct sl_store *store, uint32_t segment);
void sl_store_held_now(const struct sl_store *store, struct sl_store_held *ret_held);

/* Whether a snapshot on disk holds the segment; `arg` is the store (see sl_log_replay). */
bool sl_store_is_held(void *arg, uint32_t segment);
/* SL_ECORRUPT: the log has not all segments that snapshots hold. */
SL_MUST_CHECK enum sl_err sl_store_check_held(const struct sl_store *store);

#endif
