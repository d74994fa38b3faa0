/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share_load.h - a load for measuring what one decision between many lanes costs; the caller times
 * it.
 */
#ifndef SL_QUEUE_SHARE_LOAD_H
#define SL_QUEUE_SHARE_LOAD_H

#include "queue/share.h"

/* `lanes` lanes of different weights that all wait. Owned by the caller. */
struct sl_share *sl_share_load_create(uint32_t lanes);

/* Decide, grant and settle so often, with costs from 0.1 to 100 ms; returns a sum of the lanes. */
uint64_t sl_share_load_run(struct sl_share *s, uint64_t decisions);

#endif
