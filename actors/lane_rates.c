/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/lane_rates.h"

/* From 1 on, so that 0 is none. */
static uint64_t
span_of(uint64_t now_ns)
{
    return now_ns / SL_RATE_SPAN_NS + 1;
}

static struct sl_lane_rate *
lookup(const struct sl_lane_rates *r, struct sl_scope scope, enum sl_class class)
{
    for (uint32_t i = 0; i < SL_LANE_RATES; i++) {
        const struct sl_lane_rate *lane = &r->lanes[i];
        if (lane->span != 0 && lane->scope.id == scope.id && lane->class == (uint32_t) class)
            return (struct sl_lane_rate *)lane;
    }
    return NULL;
}

/* The place of whoever was idle for longest. */
static struct sl_lane_rate *
take_place(struct sl_lane_rates *r)
{
    struct sl_lane_rate *oldest = &r->lanes[0];
    for (uint32_t i = 1; i < SL_LANE_RATES; i++) {
        if (r->lanes[i].span < oldest->span)
            oldest = &r->lanes[i];
    }
    return oldest;
}

void
sl_lane_rates_count(struct sl_lane_rates *r, struct sl_scope scope, enum sl_class class,
                    uint64_t now_ns)
{
    uint64_t span = span_of(now_ns);
    struct sl_lane_rate *lane = lookup(r, scope, class);
    if (lane == NULL || span - lane->span >= SL_RATE_BUCKETS) {
        lane = lane == NULL ? take_place(r) : lane;
        *lane = (struct sl_lane_rate){
            .scope = scope, .class = (uint32_t) class, .first_ns = now_ns, .span = span};
    }
    for (; lane->span < span; lane->span++)
        lane->counts[(lane->span + 1) % SL_RATE_BUCKETS] = 0;
    lane->counts[span % SL_RATE_BUCKETS]++;
}

double
sl_lane_rates_per_s(const struct sl_lane_rates *r, struct sl_scope scope, enum sl_class class,
                    uint64_t now_ns)
{
    uint64_t span = span_of(now_ns), count = 0;
    const struct sl_lane_rate *lane = lookup(r, scope, class);
    if (lane == NULL || span - lane->span >= SL_RATE_BUCKETS)
        return 0;
    uint64_t least = span - SL_MIN(span - 1, (uint64_t)SL_RATE_BUCKETS - 1);
    for (uint64_t i = least; i <= lane->span; i++)
        count += lane->counts[i % SL_RATE_BUCKETS];
    uint64_t from_ns = SL_MAX(lane->first_ns, (least - 1) * SL_RATE_SPAN_NS);
    /* One that has just begun is no faster than a second can tell. */
    uint64_t over_ns = SL_MAX(now_ns - from_ns, SL_SECOND_NS);
    return (double)count * (double)SL_SECOND_NS / (double)over_ns;
}
