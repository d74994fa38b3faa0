/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_delay.h - how punctual delayed tasks are, beside those that wait for longer: a part
 * of the suite `queue`.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_DELAY_H
#define SL_GATEWAY_BENCH_QUEUE_DELAY_H

#include "gateway/bench.h"
#include "queue/queue.h"

/*
 * Tasks of class BATCH, of which the queue has none, are due within five seconds by the clock; what
 * else it has may not be. `now_ms`: the wall's time as the queue knows it. `note` is shown.
 */
bool sl_bench_queue_delay(const struct sl_bench *bench, struct sl_queue *q, uint64_t now_ms,
                          const char *note);

#endif
