/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring whose other end writes any bytes anywhere at any time: each step of the input is an order
 * (its first byte) to lie about a word, to write into the bytes, to read or to write. What is read
 * lies within a record's limit, and an end that was told SL_ECORRUPT goes on all the same: here it
 * may, since nothing it does may leave the memory.
 */
#include "runtime/ring.h"

#define CAPACITY   256u
#define RECORD_MAX 100u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
number(const uint8_t *data, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, data, SL_MIN(size, sizeof(value)));
    return value;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(SL_RING_LINE) uint8_t memory[sizeof(struct sl_ring_shared) + CAPACITY];
    struct sl_ring_shared *shared = (struct sl_ring_shared *)(void *)memory;
    struct sl_ring reader, writer;
    uint8_t got[RECORD_MAX];
    memset(memory, 0, sizeof(memory));
    sl_ring_init(&reader, memory, CAPACITY, RECORD_MAX);
    sl_ring_init(&writer, memory, CAPACITY, RECORD_MAX);
    for (size_t at = 0; at < size; at++) {
        const uint8_t *rest = data + at + 1;
        size_t left = size - at - 1, got_size = 0;
        enum sl_err err = SL_OK;
        switch (data[at] % 8) {
        case 0:
            atomic_store(&shared->tail, number(rest, left));
            break;
        case 1:
            atomic_fetch_add(&shared->tail, number(rest, SL_MIN(left, (size_t)1)));
            break;
        case 2:
            atomic_store(&shared->head, number(rest, left));
            break;
        case 3:
            memcpy(shared->bytes + data[at] % CAPACITY, rest,
                   SL_MIN(left, (size_t)(CAPACITY - data[at] % CAPACITY)));
            break;
        case 4:
            err = sl_ring_write(&writer, sl_slice(rest, SL_MIN(left, (size_t)data[at])));
            sl_assert(err != SL_OK || SL_MIN(left, (size_t)data[at]) <= RECORD_MAX);
            break;
        case 5:
            (void)sl_ring_doze(&reader);
            (void)sl_ring_wakes(&writer);
            break;
        default:
            err = sl_ring_read(&reader, got, &got_size);
            sl_assert(got_size <= RECORD_MAX);
            sl_assert(err == SL_OK || err == SL_ENOTFOUND || err == SL_ECORRUPT);
        }
        sl_assert(writer.at - writer.other <= CAPACITY && reader.other - reader.at <= CAPACITY);
    }
    return 0;
}
