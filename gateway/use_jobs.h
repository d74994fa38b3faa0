/* SPDX-License-Identifier: Apache-2.0 */
/*
 * use_jobs.h - counts jobs as they end (actors/use_counts.h): those of batches and other things
 * that the gateway submitted by the type of their task, one for each tier; those of own queues as
 * type "own".
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_USE_JOBS_H
#define SL_GATEWAY_USE_JOBS_H

#include "queue/queue.h"
#include "runtime/base.h"

struct sl_gateway;

/* The job's last row is stored. `id` is what a peer sent: one that is none is not counted. */
void sl_use_job_ended(const struct sl_gateway *g, struct sl_scope scope, struct sl_slice id);
/* Something happened to a task of an own queue. */
void sl_use_own_changed(const struct sl_gateway *g, const struct sl_queue_change *change);

#endif
