/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_erase.h - have what was deleted leave a store's files.
 *
 * Threading: the store's owner.
 */
#ifndef SL_RUNTIME_STORE_ERASE_H
#define SL_RUNTIME_STORE_ERASE_H

#include "runtime/store.h"

/*
 * Have what was deleted until now, rows and what projections have let go of, leave the files: the
 * log moves on and its old segments are removed, then the catalogue's file is overwritten where
 * nothing is. By ticks, beside all else. Returns a ticket; after a start there are none.
 */
uint64_t sl_store_erase(struct sl_store *store);
bool sl_store_is_erased(const struct sl_store *store, uint64_t ticket);

#endif
