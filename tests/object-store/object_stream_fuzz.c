/* SPDX-License-Identifier: Apache-2.0 */
/* A stream as a hostile process writes it: places and words of its head, taken from between. */
#include "object-store/object_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A byte of place, eight of what is written there; then what is there is taken, or forgotten. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_object_stream s;
    struct sl_slice there;
    if (s.memory.base == NULL)
        sl_assert(sl_object_stream_create(&s) == SL_OK);
    memset(s.memory.base, 0, 512);
    s.at = 0;
    for (; size >= 9; data += 9, size -= 9) {
        memcpy(s.memory.base + (data[0] & 63) * 8u, data + 1, 8);
        uint64_t sum = 0;
        while (sl_object_stream_look(&s, 4096 + (uint64_t)data[0] * 40000, &there) == SL_OK) {
            sl_assert(there.size >= 1 && there.data >= s.memory.base);
            sl_assert(there.data + there.size <= s.memory.base + s.memory.size_bytes);
            sl_object_stream_pass(&s, there.size);
            sum += there.size;
            sl_assert(sum <= SL_OBJECT_STREAM_BYTES); /* No more than it holds. */
        }
        if (data[0] >= 240)
            sl_object_stream_restart(&s);
    }
    return 0;
}
