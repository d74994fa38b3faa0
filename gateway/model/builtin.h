/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model/builtin.h - the models of the public catalogue that nobody uploads: listed, with why they
 * are not available here where they are not. Threading: handlers'.
 */
#ifndef SL_GATEWAY_MODEL_BUILTIN_H
#define SL_GATEWAY_MODEL_BUILTIN_H

#include "gateway/call.h"

uint32_t sl_model_builtin_count(void);

/* Built-in model `index` as a row: what a stored one has, and available, unavailable_reason. */
struct sl_json sl_model_builtin_row(struct sl_call *call, uint32_t index);

/* The index of an id; the count: it is none. */
uint32_t sl_model_builtin_find(struct sl_slice id);

/* Where the name is of one that is not available: fail the call with 422 and why. */
bool sl_model_builtin_refuse(struct sl_call *call, struct sl_slice name);

#endif
