/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.h - one text from one thread to another that waits for it, for a bounded time. Both sides
 * have it; whoever is last frees it.
 */
#ifndef SL_RUNTIME_HANDOFF_H
#define SL_RUNTIME_HANDOFF_H

#include "runtime/buf.h"

struct sl_handoff;

struct sl_handoff *sl_handoff_create(void);
/* The giver's one call, after which the handoff is no longer its business. */
void sl_handoff_give(struct sl_handoff *h, struct sl_slice text);
/* The taker's one call: append the text, or return false when it did not come in time. */
bool sl_handoff_take(struct sl_handoff *h, uint64_t timeout_ns, struct sl_buf *out);

#endif
