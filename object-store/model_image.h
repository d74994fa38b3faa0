/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_image.h - the bytes of a model's memory file; for model.c and model_build.c only.
 *
 *   header | entries | names, each with its NUL | padding | data, each 64-byte aligned, in entry
 * order
 *
 * Tensors come before files, both in strcmp order of their names.
 */
#ifndef SL_OBJECT_STORE_MODEL_IMAGE_H
#define SL_OBJECT_STORE_MODEL_IMAGE_H

#include <assert.h>

#include "object-store/model.h"

#define SL_MODEL_IMAGE_MAGIC   UINT64_C(0x314c444d454c5553) /* "SULEMDL1" */
#define SL_MODEL_IMAGE_VERSION 1
#define SL_MODEL_PATH_SIZE_MAX SL_TENSOR_NAME_SIZE_MAX

enum sl_model_kind { SL_MODEL_TENSOR = 0, SL_MODEL_FILE = 1 };

struct sl_model_header {
    uint64_t magic;
    uint32_t version;
    uint32_t tensors_count;
    uint32_t files_count;
    uint32_t reserved; /* 0 */
    uint64_t names_offset;
    uint64_t names_size;
    uint64_t total_size;
    uint64_t unused[2]; /* 0 */
};

struct sl_model_entry {
    uint32_t kind;
    uint32_t dtype;
    uint32_t dims_count;
    uint32_t name_size;   /* Without its NUL. */
    uint64_t name_offset; /* From names_offset. */
    uint64_t offset;      /* From the start of the image. */
    uint64_t size_bytes;
    uint64_t shape[SL_TENSOR_DIMS_MAX];
};

static_assert(sizeof(struct sl_model_header) == 64, "the header is one cache line");
static_assert(sizeof(struct sl_model_entry) == 104, "the entry has no padding");

#endif
