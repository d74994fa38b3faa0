/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object/duplicate.h - objects of a bucket that have the same content: `skip_duplicates`.
 *
 * What an object with that wish contains is noted under its hash; a later one with the wish and the
 * same content is the first one. What was made without the wish is not noted, so that ingestion
 * does not pay for what nobody asked for. A note may be stale: the object it leads to is looked at.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_OBJECT_DUPLICATE_H
#define SL_GATEWAY_OBJECT_DUPLICATE_H

#include "gateway/object.h"

/* Make *object the one that is there already; false: there is none, and its content is noted under
 * the id it has. Without blobs it has no content, and is never a duplicate. */
bool sl_object_is_duplicate(struct sl_call *call, const char *bucket, struct sl_object *object);

#endif
