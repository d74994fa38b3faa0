/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/share_load.h"

struct sl_share *
sl_share_load_create(uint32_t lanes)
{
    struct sl_share *s = sl_share_create();
    for (uint32_t i = 0; i < lanes; i++) {
        enum sl_err err = sl_share_open(s, i, 1 + i % 7);
        sl_assert(err == SL_OK);
        sl_share_join(s, i);
    }
    return s;
}

uint64_t
sl_share_load_run(struct sl_share *s, uint64_t decisions)
{
    uint64_t sum = 0, dice = 1;
    for (uint64_t i = 0; i < decisions; i++) {
        uint32_t lane = sl_share_next(s);
        uint64_t charged_ns = sl_share_grant(s, lane);
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t cost_ns = 100 * SL_MICRO_NS + (dice >> 40) % 100 * SL_MILLI_NS;
        sl_share_settle(s, lane, charged_ns, cost_ns);
        sum += lane;
    }
    return sum;
}
