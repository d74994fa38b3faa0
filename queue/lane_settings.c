/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/lane_settings.h"

#include <ctype.h>

#define WEIGHT_MAX 1000u

/* FNV-1a: it is in the log, so it must stay as it is. */
uint64_t
sl_lane_hash(struct sl_slice name)
{
    const uint8_t *bytes = name.data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash == 0 ? 1 : hash;
}

bool
sl_lane_name_is_valid(struct sl_slice name)
{
    const uint8_t *bytes = name.data;
    if (name.size == 0 || name.size > SL_LANE_NAME_MAX || bytes[0] == '.')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (!isalnum(bytes[i]) && memchr("-_.", bytes[i], 3) == NULL)
            return false;
    }
    return true;
}

const char *
sl_lane_mode_name(enum sl_lane_mode mode)
{
    static const char *const names[] = {"open", "paused", "draining", "closed", "stopping"};
    sl_assert(mode < SL_COUNT_OF(names));
    return names[mode];
}

bool
sl_lane_settings_are_valid(const struct sl_lane_settings *s)
{
    return s->mode <= SL_LANE_STOPPING && s->weight <= WEIGHT_MAX;
}

void
sl_lane_settings_encode(const struct sl_lane_settings *s, struct sl_buf *out)
{
    sl_buf_append_u8(out, (uint8_t)s->mode);
    sl_buf_append_u32(out, s->weight);
    sl_buf_append_u32(out, s->aging_ms);
    sl_buf_append_u32(out, s->running_max);
    sl_buf_append_u64(out, s->depth_max);
    sl_buf_append_u32(out, s->rate);
    sl_buf_append_u32(out, s->rate_period_ms);
    sl_buf_append_u32(out, s->burst);
    sl_buf_append_u64(out, s->dead_retain_ms);
    sl_buf_append_u32(out, s->dead_max);
}

bool
sl_lane_settings_decode(struct sl_reader *r, struct sl_lane_settings *ret_settings)
{
    struct sl_lane_settings s;
    s.mode = (enum sl_lane_mode)sl_read_u8(r);
    s.weight = sl_read_u32(r);
    s.aging_ms = sl_read_u32(r);
    s.running_max = sl_read_u32(r);
    s.depth_max = sl_read_u64(r);
    s.rate = sl_read_u32(r);
    s.rate_period_ms = sl_read_u32(r);
    s.burst = sl_read_u32(r);
    s.dead_retain_ms = sl_read_u64(r);
    s.dead_max = sl_read_u32(r);
    if (r->is_bad || !sl_lane_settings_are_valid(&s))
        return false;
    *ret_settings = s;
    return true;
}
