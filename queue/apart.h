/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apart.h - tenants whose tasks are handed out to nobody but who asks for theirs: their queues of
 * the groups' classes take no part in turns, so that they hold up nobody and nobody takes them.
 *
 * Like leases this is not durable: who leases says it anew after a start.
 * Threading: the queue's owner.
 */
#ifndef SL_QUEUE_APART_H
#define SL_QUEUE_APART_H

#include "queue/queue.h"

/* From now on, also of queues that are not there yet. Saying it twice does nothing. */
void sl_queue_set_apart(struct sl_queue *q, struct sl_scope scope, bool is_apart);
bool sl_queue_is_apart(const struct sl_queue *q, struct sl_scope scope);

#endif
