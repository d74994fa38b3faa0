/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - what handlers tell webhooks, in the call's transaction.
 */
#ifndef SL_GATEWAY_EVENT_H
#define SL_GATEWAY_EVENT_H

#include "gateway/call.h"

/* {"<noun>_id": id} and, where `parent` is not NULL, {"<parent_noun>_id": parent}. */
struct sl_call_event {
    const char *type, *noun, *id;
    const char *parent_noun, *parent; /* NULL: none */
    const char *namespace_id;         /* NULL: the call's. */
};
void sl_call_tell(struct sl_call *call, const struct sl_call_event *event);
/* Objects that were made at once: their ids, one a line. */
void sl_call_tell_objects(struct sl_call *call, const char *bucket, struct sl_slice ids);

#endif
