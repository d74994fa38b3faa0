/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue_scrub.h - what LMDB leaves in its file of rows that were deleted. Only for
 * catalogue_lmdb.c.
 *
 * Threading: the environment's; nobody writes meanwhile.
 */
#ifndef SL_RUNTIME_CATALOGUE_SCRUB_H
#define SL_RUNTIME_CATALOGUE_SCRUB_H

#include <lmdb.h>

#include "runtime/base.h"

/* See sl_catalogue_scrub. No transaction is open, and the last one is durable, its meta page too.
 */
SL_MUST_CHECK enum sl_err sl_lmdb_scrub(MDB_env *env, MDB_dbi dbi, uint64_t *page,
                                        uint64_t pages_max);

#endif
