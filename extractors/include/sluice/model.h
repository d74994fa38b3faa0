/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - models as a plugin sees them, and the service that gives it the one it was started for.
 * Part of extractor.h, whose rules on growth, ownership and threading hold here.
 */
#ifndef SLUICE_MODEL_H
#define SLUICE_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_dtype {
    SLUICE_DTYPE_F32 = 1,
    SLUICE_DTYPE_F16 = 2,
    SLUICE_DTYPE_BF16 = 3,
    SLUICE_DTYPE_F64 = 4,
    SLUICE_DTYPE_I64 = 5,
    SLUICE_DTYPE_I32 = 6,
    SLUICE_DTYPE_I16 = 7,
    SLUICE_DTYPE_I8 = 8,
    SLUICE_DTYPE_U8 = 9,
    SLUICE_DTYPE_BOOL = 10,
    SLUICE_DTYPE_U16 = 11,
    SLUICE_DTYPE_U32 = 12,
    SLUICE_DTYPE_U64 = 13,
    SLUICE_DTYPE_C64 = 14, /* Two F32: real, imaginary. */
    SLUICE_DTYPE_F8_E4M3 = 15,
    SLUICE_DTYPE_F8_E5M2 = 16,
    SLUICE_DTYPE_F8_E8M0 = 17,
    SLUICE_DTYPE_F8_E4M3FNUZ = 18,
    SLUICE_DTYPE_F8_E5M2FNUZ = 19,
    SLUICE_DTYPE_F6_E2M3 = 20, /* Packed: four elements in three bytes. */
    SLUICE_DTYPE_F6_E3M2 = 21,
    SLUICE_DTYPE_F4 = 22 /* Packed: two elements in a byte. */
};

#define SLUICE_TENSOR_RANK_MAX 8

/* A tensor of the model mapped for this replica. Row-major, 64-byte aligned, read-only, shared
 * with every replica of the machine; `name` and `data` live until destroy returns. */
struct sluice_tensor {
    uint32_t size;
    uint32_t dtype; /* enum sluice_dtype; a plugin refuses what it does not know. */
    uint32_t rank;
    uint64_t shape[SLUICE_TENSOR_RANK_MAX];
    const char *name; /* NUL-terminated, as in its file; "2_Dense/x" of a module in a directory. */
    const void *data;
    uint64_t data_bytes;
    /* Bits of an element, and bytes from one to the next along each dimension, as arrays elsewhere
     * are described. Strides are 0 where elements are packed, where there are none, and beyond
     * `rank`. */
    uint32_t element_bits;
    uint32_t reserved; /* 0 */
    int64_t strides[SLUICE_TENSOR_RANK_MAX];
};

/* A small file that came with the model (vocabulary, configuration). Same lifetime. */
struct sluice_model_file {
    uint32_t size;
    const char *name; /* Path below what wraps the archive, NUL-terminated. */
    const void *data;
    uint64_t data_bytes;
};

/* "model.v1": the model this replica was started for; absent when it was started for none.
 * Lookups return 0 and fill *ret (set ret->size first), or -1 when there is no such thing. */
struct sluice_model_v1 {
    uint32_t size;
    void *self;
    const char *name;       /* Index name of the model's vectors, e.g. "all_minilm_l6_v2". */
    const char *identifier; /* The model's id, e.g. "minilm_1_0_0". */
    uint32_t tensor_count;
    uint32_t file_count;
    int (*tensor_at)(void *self, uint32_t index, struct sluice_tensor *ret);
    int (*tensor)(void *self, const char *name, struct sluice_tensor *ret);
    int (*file_at)(void *self, uint32_t index, struct sluice_model_file *ret);
    int (*file)(void *self, const char *name, struct sluice_model_file *ret);
    /* The sealed memory file that holds all this, for a plugin that maps or registers it itself.
     * Borrowed, read-only; its layout is not part of this contract. */
    int descriptor;
};

#ifdef __cplusplus
}
#endif

#endif
