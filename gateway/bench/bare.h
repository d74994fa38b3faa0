/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bare.h - the bare disk as a yardstick: writes into a file that was filled with zeroes, each
 * followed by fdatasync. What a log of recycled segments pays at least.
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_BENCH_BARE_H
#define SL_GATEWAY_BENCH_BARE_H

#include "runtime/base.h"

#define SL_BENCH_BARE_MAX 512 /* Bytes of a write. */

struct sl_bench_bare {
    int fd;
    uint64_t at;
};

/* In a directory that is there. False: it cannot be made, which has been said. */
bool sl_bench_bare_open(const char *directory, struct sl_bench_bare *ret_bare);
bool sl_bench_bare_write(struct sl_bench_bare *bare, size_t size);
void sl_bench_bare_close(struct sl_bench_bare *bare); /* fd -1 is fine. */
/* The median time of `count` such writes; 0: one failed. */
double sl_bench_bare_us(struct sl_bench_bare *bare, size_t size, uint32_t count);

#endif
