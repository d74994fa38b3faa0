/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large_pool.h - memory of large objects that are gone, for the next ones of the same tenant. Only
 * the store can write such a file (SL_SHARED_OURS). To fill pages that were touched before takes a
 * tenth of the time that fresh ones do.
 *
 *   object --give, once no process holds it--> here --take--> the tenant's next object
 *                                               |  shed (others need the room), cool (nobody wants
 *                                               `-----> given back to the machine         it)
 *
 * Plain state; one owner.
 */
#ifndef SL_OBJECT_STORE_LARGE_POOL_H
#define SL_OBJECT_STORE_LARGE_POOL_H

#include "object-store/shared_memory.h"

#define SL_LARGE_POOL_FILES 64u /* Of all tenants. */
#define SL_LARGE_POOL_COOL  10u /* Calls of cool that a file stays for. */
#define SL_LARGE_POOL_WASTE 4u  /* A file is taken for an object of at least 3 / 4 of its size. */

struct sl_large_pool;

struct sl_large_pool *sl_large_pool_create(void);
void sl_large_pool_destroy(struct sl_large_pool **pool); /* NULL inside is fine. */

/* Takes `file` over. Where there are as many as may be, the oldest goes. */
void sl_large_pool_give(struct sl_large_pool *p, uint64_t tenant, struct sl_shared *file);
/* The smallest of the tenant's that `size_bytes` fit in. False: there is none near that size. */
bool sl_large_pool_take(struct sl_large_pool *p, uint64_t tenant, uint64_t size_bytes,
                        struct sl_shared *ret_file);
/* Give the oldest back until there are at most `bytes` of all, or of a tenant. */
void sl_large_pool_shed(struct sl_large_pool *p, uint64_t bytes);
void sl_large_pool_shed_tenant(struct sl_large_pool *p, uint64_t tenant, uint64_t bytes);
/* Now and then, evenly: what nobody has taken for SL_LARGE_POOL_COOL calls is given back. */
void sl_large_pool_cool(struct sl_large_pool *p);

uint64_t sl_large_pool_bytes(const struct sl_large_pool *p);
uint64_t sl_large_pool_tenant_bytes(const struct sl_large_pool *p, uint64_t tenant);

#endif
