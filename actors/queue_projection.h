/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_projection.h - how a store keeps a queue.
 */
#ifndef SL_ACTORS_QUEUE_PROJECTION_H
#define SL_ACTORS_QUEUE_PROJECTION_H

#include "queue/queue.h"
#include "runtime/store.h"

/* The queue is borrowed for as long as the store is open. */
struct sl_projection sl_queue_projection(struct sl_queue *queue);

#endif
