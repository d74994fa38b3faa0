/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own/lines.h - what the runs of a job say: the last SL_QUEUE_LINES_MAX bytes, whole lines, kept as
 * long as the job is. They are durable with the reply to who sent them.
 */
#ifndef SL_GATEWAY_OWN_LINES_H
#define SL_GATEWAY_OWN_LINES_H

#include "gateway/own/queue.h"

/*
 * Stage what a live lease says behind what was said before, and tell those who follow the job.
 * Nothing is kept of it when the disk is full, or of a job that is gone. Two of one job in a
 * transaction: the last counts.
 */
void sl_own_lines_say(struct sl_call *call, struct sl_txn *txn, uint64_t task_id,
                      struct sl_json text);

#endif
