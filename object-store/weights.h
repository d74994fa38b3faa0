/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights.h - the tensors of a file of weights and where their bytes lie: what every format's
 * reader makes, and all that is known of the format once it has been read.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_WEIGHTS_H
#define SL_OBJECT_STORE_WEIGHTS_H

#include "object-store/tensor.h"
#include "runtime/base.h"

#define SL_WEIGHTS_COUNT_MAX 65536

/*
 * A tensor, checked: its elements, as strides place them, lie within [offset, offset + span_bytes)
 * of the bytes that it names, and those within their file.
 */
struct sl_weight {
    char *name; /* Owned by the table. */
    enum sl_dtype dtype;
    uint32_t dims_count;
    uint64_t shape[SL_TENSOR_DIMS_MAX];
    /* In elements, row-major unless the file says otherwise. Meaningless for packed elements, which
     * are always row-major. */
    uint64_t strides[SL_TENSOR_DIMS_MAX];
    uint32_t file;        /* 0: the file that was read; i: files[i - 1]. */
    uint8_t *inline_data; /* Owned; span_bytes of it, instead of a file's. NULL: in the file. */
    uint64_t offset;      /* In that file, of the first element. */
    uint64_t span_bytes;
};

struct sl_weights {
    struct sl_weight *items; /* In the order of the file, by offset or as it lists them. */
    uint32_t count;
    char **files; /* Others that it refers to: names in its own directory, without a '/'. */
    uint32_t files_count;
};

void sl_weights_deinit(struct sl_weights *weights); /* Zeroed is fine. */

/* Fill in row-major strides for shape and dims_count. No overflow: sl_tensor_size said SL_OK. */
void sl_weight_strides_fill(struct sl_weight *weight);
/* Whether its elements lie one after the other, first to last. Empty ones and scalars do. */
bool sl_weight_is_row_major(const struct sl_weight *weight);

#endif
