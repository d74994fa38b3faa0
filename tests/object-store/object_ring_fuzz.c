/* SPDX-License-Identifier: Apache-2.0 */
/* A ring as a hostile process writes it: places and words, taken from between. */
#include "object-store/object_ring.h"

#include "runtime/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Three bytes of place, eight of what is written there; then what is there is taken. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_object_ring ring;
    struct sl_object_handed handed;
    struct sl_buf scratch = {0};
    if (ring.memory.base == NULL)
        sl_assert(sl_object_ring_create(&ring) == SL_OK);
    memset(ring.memory.base, 0, ring.memory.size_bytes);
    ring.at = 0;
    for (; size >= 11; data += 11, size -= 11) {
        uint64_t place = ((uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16) * 8;
        memcpy(ring.memory.base + place % ring.memory.size_bytes, data + 3, 8);
        for (uint32_t i = 0;; i++) {
            enum sl_err err = sl_object_ring_take(&ring, &scratch, &handed);
            if (err != SL_OK)
                break;
            sl_assert(handed.bytes.size >= 1 && handed.bytes.size <= SL_OBJECT_RING_BYTES_MAX);
            sl_assert(sl_object_id_is_sound(&handed.id) && handed.id.tenant == 0);
            sl_assert(i < SL_OBJECT_RING_BYTES / 64); /* No more than it holds. */
        }
    }
    sl_buf_deinit(&scratch);
    return 0;
}
