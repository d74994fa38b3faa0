/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/scrape.h - what a scrape of /metrics costs the store's thread with a thousand tenants: part
 * of the suite `gateway`. False: it failed, and has said why.
 *
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_BENCH_SCRAPE_H
#define SL_GATEWAY_BENCH_SCRAPE_H

#include "gateway/bench.h"

bool sl_bench_scrape(const struct sl_bench *bench);

#endif
