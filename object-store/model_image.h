/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_image.h - the bytes of a model's image, on the disk and in memory alike; for model.c and
 * those that write images only.
 *
 *   header | data, each item 64-byte aligned | entries | names, each with its NUL
 *
 * Data lies in the order in which it came, so that an image is written while its archive is read;
 * items that hold the same bytes share them. In the entries tensors come before files, both in
 * strcmp order of their names. Little endian, as everything sluice runs on.
 */
#ifndef SL_OBJECT_STORE_MODEL_IMAGE_H
#define SL_OBJECT_STORE_MODEL_IMAGE_H

#include <assert.h>

#include "object-store/tensor.h"
#include "runtime/base.h"
#include "runtime/hash.h"

#define SL_MODEL_IMAGE_MAGIC   UINT64_C(0x314c444d454c5553) /* "SULEMDL1" */
#define SL_MODEL_IMAGE_VERSION 2
#define SL_MODEL_PATH_SIZE_MAX SL_TENSOR_NAME_SIZE_MAX

enum sl_model_kind { SL_MODEL_TENSOR = 0, SL_MODEL_FILE = 1 };

struct sl_model_header {
    uint64_t magic;
    uint32_t version;
    uint32_t tensors_count;
    uint32_t files_count;
    uint32_t reserved;       /* 0 */
    uint64_t entries_offset; /* A multiple of 8; the data ends at or before it. */
    uint64_t names_offset;   /* Behind the last entry. */
    uint64_t names_size;     /* To the end of the image. */
    uint64_t total_size;
    uint64_t unused; /* 0 */
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
    uint8_t digest[SL_SHA256_SIZE]; /* Of its bytes; zeroes: not taken. */
};

static_assert(sizeof(struct sl_model_header) == 64, "the header is one cache line");
static_assert(sizeof(struct sl_model_entry) == 136, "the entry has no padding");

#endif
