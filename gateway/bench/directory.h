/* SPDX-License-Identifier: Apache-2.0 */
/* bench/directory.h - a directory of a benchmark's own, below --data. Threading: one owner. */
#ifndef SL_GATEWAY_BENCH_DIRECTORY_H
#define SL_GATEWAY_BENCH_DIRECTORY_H

#include "gateway/bench.h"

/* Owned: sl_bench_directory_remove. NULL: it cannot be made, which has been said. */
char *sl_bench_directory_make(const struct sl_bench *bench);
/* Remove all of it and free the path. NULL inside is fine. */
void sl_bench_directory_remove(char **directory);

#endif
