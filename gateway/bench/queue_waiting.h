/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_waiting.h - what tasks cost that wait: a part of the suite `queue`.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_WAITING_H
#define SL_GATEWAY_BENCH_QUEUE_WAITING_H

#include "gateway/bench.h"

/* Bytes each, and seconds until a queue read back from its snapshot hands out the first. */
bool sl_bench_queue_waiting(const struct sl_bench *bench);

#endif
