/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - how far two names are apart, to tell who mistyped one what was probably meant.
 *
 * Threading: pure.
 */
#ifndef SL_RUNTIME_NEAREST_H
#define SL_RUNTIME_NEAREST_H

#include "runtime/base.h"

#define SL_NEAREST_SIZE_MAX 63u /* Of longer names so many bytes are looked at. */

/* Bytes to put in, take out or replace to make one of the other. */
uint32_t sl_text_distance(struct sl_slice a, struct sl_slice b);
/* Whether at such a distance one can be meant by the other. */
bool sl_is_near(struct sl_slice a, struct sl_slice b, uint32_t distance);

#endif
