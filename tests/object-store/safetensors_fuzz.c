/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_weights table = {0};
    struct sl_cause cause;
    if (sl_safetensors_parse(sl_slice(data, size), size, &table, &cause) != SL_OK)
        return 0;
    uint64_t at = table.count == 0 ? size : table.items[0].offset;
    for (uint32_t i = 0; i < table.count; i++) {
        sl_assert(table.items[i].offset == at);
        at += table.items[i].span_bytes;
    }
    sl_assert(at == size);
    sl_weights_deinit(&table);
    return 0;
}
