/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model/open.h - a model that a plugin opens by its id while it works (sluice/models.h): the call
 * that a node's agent makes of the api actor, run as a client's is. What is deployed is not written
 * again; what is not is deployed for it, as by the route and by its rules.
 *
 *   model_open --> found? the plan's? --> a load on the node that asks --> model_opened
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_MODEL_OPEN_H
#define SL_GATEWAY_MODEL_OPEN_H

#include "actors/cluster.h"
#include "gateway/call.h"

/* A call for a model_open, to be run as one that the front posted; never NULL. */
struct sl_call *sl_model_open_call(const struct sl_msg *msg);

/*
 * What to say when it has ended, with `call` borrowed as long as *ret_reply is. SL_ENOTFOUND: the
 * tenant has no such model there, or its plan has none. SL_EFULL: no memory, disk or GPU for it.
 * SL_ETIMEOUT, SL_EUNAVAIL, SL_EIO: it was not loaded.
 */
void sl_model_open_reply(const struct sl_call *call, struct sl_m_model_opened *ret_reply);

#endif
