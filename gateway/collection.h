/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collection.h - what other resources ask about collections.
 */
#ifndef SL_GATEWAY_COLLECTION_H
#define SL_GATEWAY_COLLECTION_H

#include "gateway/resource.h"

/* Would every collection fed by the bucket still find its inputs? False: the call failed (422). */
bool sl_collection_mappings_hold(struct sl_call *call, const char *bucket, struct sl_json schema);

/*
 * The filter tree in `source_filters` of a source or a trigger: {"filters": tree}, as the public
 * API has it, or the tree itself. NONE: there is none.
 */
struct sl_json sl_collection_filters(struct sl_json object);

/* Is the collection fed by this bucket? */
bool sl_collection_is_fed_by(struct sl_json row, const char *bucket);
/* Is it fed by this collection? */
bool sl_collection_is_fed_by_collection(struct sl_json row, const char *collection);

#endif
