/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/model_face.h"

#include <assert.h>

#include "sluice/extractor.h"

#define FACE_MAGIC 0x4d464143u

static const struct sl_model_face *
of(void *self)
{
    const struct sl_model_face *f = self;
    sl_assert(f != NULL && f->magic == FACE_MAGIC);
    return f;
}

static uint32_t
dtype_of(enum sl_dtype dtype)
{
    static const uint32_t known[SL_DTYPE_COUNT] = {
        [SL_DTYPE_F32] = SLUICE_DTYPE_F32,
        [SL_DTYPE_F16] = SLUICE_DTYPE_F16,
        [SL_DTYPE_BF16] = SLUICE_DTYPE_BF16,
        [SL_DTYPE_I64] = SLUICE_DTYPE_I64,
        [SL_DTYPE_I32] = SLUICE_DTYPE_I32,
        [SL_DTYPE_I16] = SLUICE_DTYPE_I16,
        [SL_DTYPE_I8] = SLUICE_DTYPE_I8,
        [SL_DTYPE_U8] = SLUICE_DTYPE_U8,
        [SL_DTYPE_BOOL] = SLUICE_DTYPE_BOOL,
        [SL_DTYPE_F64] = SLUICE_DTYPE_F64,
        [SL_DTYPE_U16] = SLUICE_DTYPE_U16,
        [SL_DTYPE_U32] = SLUICE_DTYPE_U32,
        [SL_DTYPE_U64] = SLUICE_DTYPE_U64,
        [SL_DTYPE_C64] = SLUICE_DTYPE_C64,
        [SL_DTYPE_F8_E4M3] = SLUICE_DTYPE_F8_E4M3,
        [SL_DTYPE_F8_E5M2] = SLUICE_DTYPE_F8_E5M2,
        [SL_DTYPE_F8_E8M0] = SLUICE_DTYPE_F8_E8M0,
        [SL_DTYPE_F8_E4M3FNUZ] = SLUICE_DTYPE_F8_E4M3FNUZ,
        [SL_DTYPE_F8_E5M2FNUZ] = SLUICE_DTYPE_F8_E5M2FNUZ,
        [SL_DTYPE_F6_E2M3] = SLUICE_DTYPE_F6_E2M3,
        [SL_DTYPE_F6_E3M2] = SLUICE_DTYPE_F6_E3M2,
        [SL_DTYPE_F4] = SLUICE_DTYPE_F4,
    };
    return known[dtype];
}

/* Row-major. That the whole fits in 60 bits was checked when it was mapped. */
static void
give_strides(const struct sl_tensor *tensor, struct sluice_tensor *ret)
{
    uint32_t bits = sl_dtype_bits(tensor->dtype);
    int64_t stride = tensor->size_bytes == 0 || bits % 8 != 0 ? 0 : bits / 8;
    ret->element_bits = bits;
    ret->reserved = 0;
    for (uint32_t i = SLUICE_TENSOR_RANK_MAX; i-- > 0;) {
        ret->strides[i] = i < tensor->dims_count ? stride : 0;
        if (i < tensor->dims_count && stride != 0)
            stride *= (int64_t)tensor->shape[i];
    }
}

static int
give_tensor(const struct sl_tensor *tensor, struct sluice_tensor *ret)
{
    static_assert(SL_TENSOR_DIMS_MAX <= SLUICE_TENSOR_RANK_MAX, "every tensor fits");
    if (!SLUICE_HAS(ret, data_bytes))
        return -1;
    ret->dtype = dtype_of(tensor->dtype);
    ret->rank = tensor->dims_count;
    for (uint32_t i = 0; i < SLUICE_TENSOR_RANK_MAX; i++)
        ret->shape[i] = i < tensor->dims_count ? tensor->shape[i] : 0;
    ret->name = tensor->name;
    ret->data = tensor->data;
    ret->data_bytes = tensor->size_bytes;
    if (SLUICE_HAS(ret, strides))
        give_strides(tensor, ret);
    return 0;
}

static int
give_file(const char *path, struct sl_slice file, struct sluice_model_file *ret)
{
    if (!SLUICE_HAS(ret, data_bytes))
        return -1;
    ret->name = path;
    ret->data = file.data;
    ret->data_bytes = file.size;
    return 0;
}

static int
tensor_at(void *self, uint32_t index, struct sluice_tensor *ret)
{
    const struct sl_model_face *f = of(self);
    struct sl_tensor tensor;
    if (index >= sl_model_tensors_count(f->model))
        return -1;
    sl_model_tensor_at(f->model, index, &tensor);
    return give_tensor(&tensor, ret);
}

static int
tensor_named(void *self, const char *name, struct sluice_tensor *ret)
{
    const struct sl_model_face *f = of(self);
    struct sl_tensor tensor;
    if (!sl_model_tensor_lookup(f->model, name, &tensor))
        return -1;
    return give_tensor(&tensor, ret);
}

static int
file_at(void *self, uint32_t index, struct sluice_model_file *ret)
{
    const struct sl_model_face *f = of(self);
    const char *path = NULL;
    struct sl_slice file;
    if (index >= sl_model_files_count(f->model))
        return -1;
    sl_model_file_at(f->model, index, &path, &file);
    return give_file(path, file, ret);
}

static int
file_named(void *self, const char *name, struct sluice_model_file *ret)
{
    const struct sl_model_face *f = of(self);
    uint32_t count = sl_model_files_count(f->model);
    for (uint32_t i = 0; i < count; i++) { /* By index: the name we give must outlive theirs. */
        const char *path = NULL;
        struct sl_slice file;
        sl_model_file_at(f->model, i, &path, &file);
        if (strcmp(path, name) == 0)
            return give_file(path, file, ret);
    }
    return -1;
}

/* ---- life ---------------------------------------------------------------------------------- */

enum sl_err
sl_model_face_open(struct sl_model_face *f, int fd, const struct sl_model_names *names,
                   struct sl_cause *ret_cause)
{
    struct sl_model *model = NULL;
    enum sl_err err = sl_model_attach(fd, &model, ret_cause);
    if (err != SL_OK)
        return err;
    *f = (struct sl_model_face){.magic = FACE_MAGIC, .model = model};
    f->face = (struct sluice_model_v1){
        .size = sizeof(f->face),
        .self = f,
        .name = names->name == NULL ? "" : names->name,
        .identifier = names->id == NULL ? "" : names->id,
        .tensor_count = sl_model_tensors_count(model),
        .file_count = sl_model_files_count(model),
        .tensor_at = tensor_at,
        .tensor = tensor_named,
        .file_at = file_at,
        .file = file_named,
        .descriptor = fd,
    };
    return SL_OK;
}

void
sl_model_face_close(struct sl_model_face *f)
{
    (void)of(f);
    sl_model_destroy(&f->model);
    *f = (struct sl_model_face){0};
}
