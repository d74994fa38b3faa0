/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/retry.h"

#define ATTEMPTS_MAX_DEFAULT 3
#define BASE_MS_DEFAULT      200
#define CAP_MS_DEFAULT       60000

uint64_t
sl_retry_delay_ms(const struct sl_retry_policy *policy, uint16_t attempts, struct sl_random *random)
{
    sl_assert(attempts >= 1);
    uint32_t attempts_max = policy->attempts_max == 0 ? ATTEMPTS_MAX_DEFAULT : policy->attempts_max;
    uint64_t base_ms = policy->base_ms == 0 ? BASE_MS_DEFAULT : policy->base_ms;
    uint64_t cap_ms = policy->cap_ms == 0 ? CAP_MS_DEFAULT : policy->cap_ms;
    if (attempts >= attempts_max)
        return UINT64_MAX;

    /* Both fit in 32 bits, so 32 doublings are past any cap and shift nothing out. */
    uint64_t limit_ms = SL_MIN(base_ms << SL_MIN(attempts - 1, 31), cap_ms);
    return sl_random_below(random, limit_ms + 1);
}
