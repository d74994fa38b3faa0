/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models.h - rows of SL_TABLE_MODEL, found by id. A row is the Model object as clients see it, and
 * "directory", where its files lie.
 */
#ifndef SL_GATEWAY_MODELS_H
#define SL_GATEWAY_MODELS_H

#include "gateway/call.h"
#include "gateway/resource.h"
#include "runtime/time.h"

#define SL_MODELS_PER_NAMESPACE_MAX 50

/* False: there is none; the call does not fail. */
bool sl_model_find(struct sl_call *call, const char *namespace_id, struct sl_slice id,
                   struct sl_resource *ret_model);

#endif
