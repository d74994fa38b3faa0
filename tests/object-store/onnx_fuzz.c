/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/onnx.h"
#include "runtime/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXTERNAL_SIZE 64

static volatile uint32_t sink; /* So that the reads are not optimised away. */

static bool
file_size(void *arg, const char *name, uint64_t *ret_size)
{
    (void)arg;
    sl_assert(name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, "..") != 0);
    *ret_size = EXTERNAL_SIZE;
    return name[0] != 'x';
}

static void
check_weight(const struct sl_weights *weights, const struct sl_weight *w, struct sl_slice file)
{
    uint64_t bytes = 0;
    sl_assert(w->name[0] != '\0' && strlen(w->name) <= SL_TENSOR_NAME_SIZE_MAX);
    sl_assert(sl_tensor_size(w->dtype, w->dims_count, w->shape, &bytes) == SL_OK);
    sl_assert(bytes == w->span_bytes && w->file <= weights->files_count);
    if (w->inline_data != NULL) {
        sink = sl_crc32c(sink, w->inline_data, w->span_bytes);
        return;
    }
    uint64_t all = w->file == 0 ? file.size : EXTERNAL_SIZE;
    sl_assert(w->offset <= all && w->span_bytes <= all - w->offset);
    if (w->file == 0)
        sink = sl_crc32c(sink, file.data + w->offset, w->span_bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_onnx onnx = {0};
    struct sl_cause cause = {0};
    struct sl_slice file = sl_slice(data, size);
    enum sl_err err = sl_onnx_parse(file, (struct sl_onnx_files){.size = file_size}, &onnx, &cause);
    if (err != SL_OK) {
        sl_assert(err == SL_EINVAL || err == SL_EUNAVAIL || err == SL_ETOOBIG);
        sl_assert(cause.text[0] != '\0' && onnx.weights.items == NULL);
        return 0;
    }
    for (uint32_t i = 0; i < onnx.weights.count; i++)
        check_weight(&onnx.weights, &onnx.weights.items[i], file);
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < onnx.ops_count; i++)
        nodes += onnx.ops[i].count;
    sl_assert(nodes == onnx.nodes_count && onnx.opsets_count > 0);
    sl_onnx_deinit(&onnx);
    return 0;
}
