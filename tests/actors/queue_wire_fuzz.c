/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the bytes, reading ends; and what was read is written as it was. */
#include "actors/queue_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice bytes = sl_slice(data, size);
    struct sl_reader r = sl_reader(bytes);
    struct sl_put_item put;
    struct sl_end_item end;
    struct sl_lease lease;
    struct sl_put_result result;
    struct sl_buf out = {0};
    while (sl_wire_put_read(&r, &put))
        sl_wire_put(&out, &put); /* Options of zero are left out: not the same bytes. */
    sl_buf_clear(&out);
    r = sl_reader(bytes);
    while (sl_wire_lease_read(&r, &lease))
        ;
    r = sl_reader(bytes);
    if (sl_wire_end_read(&r, &end)) {
        sl_wire_end(&out, &end);
        sl_assert(out.size == (size_t)(r.at - data) && memcmp(out.data, data, out.size) == 0);
    }
    r = sl_reader(bytes);
    while (sl_wire_result_read(&r, &result))
        sl_assert(result.err <= SL_EBUG && result.state < SL_STATE_COUNT);
    sl_buf_deinit(&out);
    return 0;
}
