/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a stream, in the same mapping, each on a thread: what is taken is what was written,
 * and who waits is woken. */
#include <pthread.h>
#include <stdio.h>

#include "object-store/object_stream.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TOTAL (64 * SL_MIB)

static void *
write_all(void *arg)
{
    struct sl_object_stream s = *(struct sl_object_stream *)arg;
    uint8_t *part = sl_alloc(SL_OBJECT_STREAM_PART);
    for (uint64_t written = 0; written < TOTAL;) {
        size_t size = 0;
        bool is_wanted;
        memset(part, (int)(written / SL_OBJECT_STREAM_PART % 251), SL_OBJECT_STREAM_PART);
        while (sl_object_stream_write(&s, sl_slice(part, SL_OBJECT_STREAM_PART), &size,
                                      &is_wanted) == SL_EBUSY)
            sl_object_stream_wait(&s, 20 * SL_SECOND_NS);
        sl_assert(size == SL_OBJECT_STREAM_PART);
        written += size;
    }
    sl_free(part);
    return NULL;
}

int
main(void)
{
    struct sl_object_stream s;
    pthread_t writer;
    sl_assert(sl_object_stream_create(&s) == SL_OK);
    struct sl_object_stream theirs = s;
    uint64_t start_ns = sl_time_mono_ns();
    sl_assert(pthread_create(&writer, NULL, write_all, &theirs) == 0);
    for (uint64_t taken = 0; taken < TOTAL;) {
        struct sl_slice bytes;
        if (sl_object_stream_look(&s, SL_OBJECT_STREAM_PART, &bytes) != SL_OK)
            continue;
        for (size_t i = 0; i < bytes.size; i += 64)
            sl_assert(bytes.data[i] == (taken + i) / SL_OBJECT_STREAM_PART % 251);
        sl_object_stream_pass(&s, bytes.size);
        taken += bytes.size;
    }
    sl_assert(pthread_join(writer, NULL) == 0);
    sl_assert(sl_time_mono_ns() - start_ns < 15 * SL_SECOND_NS); /* Nobody slept to the end. */
    sl_object_stream_deinit(&s);
    puts("ok");
    return 0;
}
