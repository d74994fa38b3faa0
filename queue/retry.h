/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h - when a failed task is tried again: exponential with full jitter and a cap.
 */
#ifndef SL_QUEUE_RETRY_H
#define SL_QUEUE_RETRY_H

#include "runtime/base.h"
#include "runtime/random.h"

struct sl_retry_policy {
    uint16_t attempts_max; /* Runs in all, the first included. 0: 3. */
    uint32_t base_ms;      /* 0: 200. */
    uint32_t cap_ms;       /* 0: 60000. */
};

/* Milliseconds to wait after `attempts` failed runs (>= 1); UINT64_MAX: give up. */
uint64_t sl_retry_delay_ms(const struct sl_retry_policy *policy, uint16_t attempts,
                           struct sl_random *random);

#endif
