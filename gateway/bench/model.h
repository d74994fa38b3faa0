/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/model.h - models with seeded weights, without a download: one of MiniLM-L6's shape, with as
 * much arithmetic and as many bytes as the real one, whose vectors mean nothing; and plain weights
 * of any size.
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

/* Write its files, as a Hugging Face model has them. False: it failed, which has been said. */
bool sl_bench_model_write(const char *directory);

struct sl_bench_weights {
    uint32_t tensors_count, rows,
        columns; /* "layer.0.weight" and so on, F32; at most 64 of them. */
};
#define SL_BENCH_WEIGHTS_GIB                                                                       \
    ((struct sl_bench_weights){.tensors_count = 64, .rows = 1024, .columns = 4096})

/* Write DIRECTORY/model.safetensors. False: it failed, which has been said. */
bool sl_bench_weights_write(const struct sl_bench_weights *weights, const char *directory);
/* What sl_model_build makes of a directory, and how long it took. -1: it failed, as above. */
SL_MUST_CHECK int sl_bench_model_deploy(const char *directory, double *ret_build_ms);

#endif
