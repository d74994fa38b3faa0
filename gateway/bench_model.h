/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_model.h - a model of MiniLM-L6's shape with seeded weights: as much arithmetic and as many
 * bytes as the real one, without a download. Its vectors mean nothing.
 *
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_BENCH_MODEL_H
#define SL_GATEWAY_BENCH_MODEL_H

#include "gateway/bench.h"

#define SL_BENCH_MODEL_NOTE "seeded weights of MiniLM-L6's shape"

/*
 * Write the model's files below --data, build the memory file from them and remove them. Returns
 * the descriptor, which the caller owns; -1: it failed, which has been said. *ret_build_ms is how
 * long sl_model_build took.
 */
SL_MUST_CHECK int sl_bench_model_build(const struct sl_bench *bench, double *ret_build_ms);

#endif
