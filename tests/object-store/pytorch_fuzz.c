/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole file, when it begins like an archive; otherwise the pickle of a sound archive, which has
 * storages 0 to 3 of 64 bytes and what TorchScript adds, so that all symbols are known.
 */
#include "object-store/pytorch.h"

#include "runtime/buf.h"
#include "tests/object-store/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct sl_weight *w, uint64_t file_size)
{
    uint64_t size = sl_dtype_bits(w->dtype) / 8, last = 0;
    sl_assert(w->name != NULL && w->name[0] != '\0');
    sl_assert(w->offset <= file_size && w->span_bytes <= file_size - w->offset);
    sl_assert(size > 0);
    for (uint32_t i = 0; i < w->dims_count; i++) {
        if (w->shape[i] == 0) {
            sl_assert(w->span_bytes == 0);
            return;
        }
        last += (w->shape[i] - 1) * w->strides[i];
    }
    sl_assert((last + 1) * size == w->span_bytes);
}

static void
parse(struct sl_slice file)
{
    struct sl_weights weights = {0};
    struct sl_cause cause = {0};
    if (sl_pytorch_parse(file, &weights, &cause) != SL_OK) {
        sl_assert(cause.text[0] != '\0');
        return;
    }
    for (uint32_t i = 0; i < weights.count; i++)
        check(&weights.items[i], file.size);
    sl_weights_deinit(&weights);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zeroes[64];
    if (size >= 2 && memcmp(data, "PK", 2) == 0) {
        parse(sl_slice(data, size));
        return 0;
    }
    const struct torch_entry entries[] = {
        {.name = "m/data.pkl", .data = data, .size = size},
        {.name = "m/constants.pkl", .data = "\x80\2).", .size = 4},
        {.name = "m/version", .data = "3\n", .size = 2},
        {.name = "m/data/0", .data = zeroes, .size = sizeof(zeroes)},
        {.name = "m/data/1", .data = zeroes, .size = sizeof(zeroes)},
        {.name = "m/data/2", .data = zeroes, .size = sizeof(zeroes)},
        {.name = "m/data/3", .data = zeroes, .size = sizeof(zeroes)}};
    struct sl_buf file = {0};
    torch_archive_append(&file, entries, SL_COUNT_OF(entries), NULL);
    parse(sl_buf_slice(&file));
    sl_buf_deinit(&file);
    return 0;
}
