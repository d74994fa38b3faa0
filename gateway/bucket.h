/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - what other resources ask about buckets and namespaces.
 */
#ifndef SL_GATEWAY_BUCKET_H
#define SL_GATEWAY_BUCKET_H

#include "gateway/resource.h"

/* The bucket of the path's first parameter in the call's namespace. False: 404. */
bool sl_bucket_find(struct sl_call *call, struct sl_resource *ret_bucket);
/* Stage the delete of a bucket and all in it but the records made from it. */
void sl_bucket_delete(struct sl_call *call, const struct sl_resource *bucket,
                      struct sl_purge *purge);
/* The same for a collection, its records, vectors and (after the commit) indexes. */
void sl_collection_delete(struct sl_call *call, const struct sl_resource *collection,
                          struct sl_purge *purge);

/* Rows of a kind in the call's namespace or another: ids, copied, at most `max`; how many. */
uint32_t sl_resource_ids(struct sl_call *call, const struct sl_resource_kind *kind,
                         const char *parent, const char **ret_ids, uint32_t max);

#endif
