/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/list.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_buf memory = {0}, again = {0};
    struct sl_slice key, sort;
    if (sl_cursor_decode(sl_slice(data, size), &memory, &key, &sort) == SL_OK)
        sl_cursor_encode(key, sort, &again);
    sl_buf_deinit(&memory);
    sl_buf_deinit(&again);
    return 0;
}
