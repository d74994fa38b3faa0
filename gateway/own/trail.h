/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own/trail.h - calls that wait for a queue's next event wait under a name of their own, apart from
 * those that wait for its jobs.
 */
#ifndef SL_GATEWAY_OWN_TRAIL_H
#define SL_GATEWAY_OWN_TRAIL_H

#include "queue/lane_settings.h"

static inline uint64_t
sl_own_trail_wait(uint64_t lane)
{
    return ~lane;
}

#endif
