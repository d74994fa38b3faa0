/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/recovery_jobs.h - the second half of the suite `recovery`: what a head with 100,000 jobs of
 * a task each and 10,000 actors takes, and how soon one with 1,000 actors leases again.
 */
#ifndef SL_GATEWAY_BENCH_RECOVERY_JOBS_H
#define SL_GATEWAY_BENCH_RECOVERY_JOBS_H

#include "gateway/bench.h"

bool sl_bench_recovery_jobs(const struct sl_bench *bench); /* False: it failed, as was said. */

#endif
