/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/bulk_copy.h"

#if defined(__x86_64__) /* Each has SSE2. */
#include <emmintrin.h>

#define LINE  64u
#define FEW   (64 * SL_KIB) /* Less is copied before it would be past the caches. */
#define WORDS (LINE / sizeof(__m128i))

void
sl_bulk_copy(void *to, const void *from, size_t size)
{
    uint8_t *at = to;
    const uint8_t *source = from;
    if (size < FEW) {
        memcpy(to, from, size);
        return;
    }
    size_t before = -(uintptr_t)at % LINE;
    memcpy(at, source, before);
    at += before;
    source += before;
    size -= before;
    for (; size >= LINE; at += LINE, source += LINE, size -= LINE) {
        __m128i words[WORDS];
        for (size_t i = 0; i < WORDS; i++)
            words[i] = _mm_loadu_si128((const __m128i *)(const void *)source + i);
        for (size_t i = 0; i < WORDS; i++)
            _mm_stream_si128((__m128i *)(void *)at + i, words[i]);
    }
    _mm_sfence(); /* Such stores are in no order with others until then. */
    memcpy(at, source, size);
}

#else

void
sl_bulk_copy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

#endif
