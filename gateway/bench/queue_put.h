/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_put.h - durable puts in process, by the verbs that everybody else uses: a part of the
 * suite `queue`.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_PUT_H
#define SL_GATEWAY_BENCH_QUEUE_PUT_H

#include "gateway/bench.h"
#include "queue/queue.h"
#include "runtime/store.h"

bool sl_bench_queue_put(const struct sl_bench *bench, struct sl_store *store,
                        struct sl_queue *queue);

#endif
