/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/transfer.h - an image from one node to another over loopback tcp, beside libzmq's own
 * messages of the size of a chunk. Of the suite `model`.
 * Threading: one thread, and no other may run: the serving processes are forked.
 */
#ifndef SL_GATEWAY_BENCH_TRANSFER_H
#define SL_GATEWAY_BENCH_TRANSFER_H

#include "gateway/bench.h"

/* False: it failed, and has said why. */
bool sl_bench_transfer(const struct sl_bench *bench);

#endif
