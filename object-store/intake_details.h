/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_details.h - what a model says of itself, as a JSON object for people: part of the model's
 * details in the API (docs/models-formats.md). Bounded, however large the model is.
 *
 * Threading: pure functions.
 */
#ifndef SL_OBJECT_STORE_INTAKE_DETAILS_H
#define SL_OBJECT_STORE_INTAKE_DETAILS_H

#include "object-store/huggingface.h"
#include "object-store/onnx.h"
#include "runtime/buf.h"

#define SL_DETAILS_SIZE_MAX (24 * SL_KIB)
#define SL_DETAILS_LIST_MAX 64 /* Of operators, inputs, outputs, labels: the first ones. */

/* Replace what `out` holds. */
void sl_details_of_onnx(const struct sl_onnx *onnx, struct sl_buf *out);
void sl_details_of_huggingface(const struct sl_huggingface *facts, struct sl_buf *out);

#endif
