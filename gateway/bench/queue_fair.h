/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_fair.h - whether tenants get their share, and what deciding that costs: a part of the
 * suite `queue`. The queue's own index decides; the tasks take virtual time on virtual workers, so
 * that the figures of fairness are the same on every machine. Costs are real time.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_FAIR_H
#define SL_GATEWAY_BENCH_QUEUE_FAIR_H

#include "gateway/bench.h"

bool sl_bench_queue_fair(const struct sl_bench *bench);

#endif
