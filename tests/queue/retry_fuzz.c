/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that claim to be a retry policy. One that is read writes the same bytes, and decides within
 * its limits.
 */
#include <stdlib.h>

#include "queue/retry.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_retry_policy policy;
    if (sl_retry_decode(sl_slice(data, size), &policy) != SL_OK)
        return 0;
    struct sl_buf out = {0};
    sl_retry_encode(&policy, &out);
    if (!sl_slice_equal(sl_buf_slice(&out), sl_slice(data, size)))
        abort();
    sl_buf_deinit(&out);

    struct sl_random random;
    sl_random_seed(&random, size);
    for (uint32_t attempts = 1; attempts < UINT16_MAX; attempts = attempts * 3 + 1) {
        struct sl_retry_failure failure = {.attempts = (uint16_t)attempts,
                                           .first_failed_ms = 1,
                                           .now_ms = attempts * UINT64_C(1000)};
        uint64_t delay_ms = UINT64_MAX;
        if (sl_retry_decide(&policy, &failure, &random, &delay_ms) == SL_RETRY_AGAIN &&
            delay_ms > UINT32_MAX)
            abort();
    }
    return 0;
}
