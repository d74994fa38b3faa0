/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_remote.h - the queue across processes: a sluice, and this process as its producer and
 * its worker (bench/queue_load.h); a part of the suite `queue`.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_REMOTE_H
#define SL_GATEWAY_BENCH_QUEUE_REMOTE_H

#include "gateway/bench.h"

bool sl_bench_queue_remote(const struct sl_bench *bench);

#endif
