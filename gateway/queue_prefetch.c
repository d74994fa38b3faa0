/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/queue_prefetch.h"

#define ROUNDS 2u /* That are bridged: a round trip varies, and its measure lags behind. */

void
sl_prefetch_init(struct sl_prefetch *p, const struct sl_prefetch_options *options)
{
    *p = (struct sl_prefetch){.options = *options};
    struct sl_prefetch_options *o = &p->options;
    o->slots = SL_MIN(SL_MAX(o->slots, 1u), SL_PREFETCH_MAX);
    o->max = o->max == 0 ? SL_PREFETCH_USUAL : SL_MIN(o->max, SL_PREFETCH_MAX);
    o->max = SL_MAX(o->max, o->slots);
    o->hold_ns =
        o->hold_ns == 0 ? SL_PREFETCH_HOLD_NS : SL_MIN(o->hold_ns, SL_PREFETCH_HOLD_MAX_NS);
}

void
sl_prefetch_leased(struct sl_prefetch *p, uint64_t now_ns, uint32_t count)
{
    if (p->held == 0)
        p->since_ns = now_ns;
    p->asked -= SL_MIN(count, p->asked); /* More may come than was asked for: of a want before. */
    p->held += SL_MIN(count, UINT32_MAX - p->held);
}

/* How many slots were at work since the last end. */
static uint64_t
busy(const struct sl_prefetch *p)
{
    return SL_MIN(p->held, p->options.slots);
}

void
sl_prefetch_ended(struct sl_prefetch *p, uint64_t now_ns, uint32_t count, uint64_t served_ns)
{
    if (count == 0)
        return;
    uint64_t since_ns = now_ns - SL_MIN(p->since_ns, now_ns), sample_ns = served_ns / count;
    if (served_ns == 0)
        sample_ns = since_ns * busy(p) / count;
    sample_ns = SL_MAX(sample_ns, UINT64_C(1));
    if (p->service_ns == 0)
        p->service_ns = sample_ns;
    else if (sample_ns > p->service_ns) /* Sooner than back: to take too many holds up others. */
        p->service_ns += (sample_ns - p->service_ns) / 4;
    else
        p->service_ns -= (p->service_ns - sample_ns) / 8;
    p->since_ns = now_ns;
    sl_prefetch_released(p, count);
}

void
sl_prefetch_released(struct sl_prefetch *p, uint32_t count)
{
    p->held -= SL_MIN(count, p->held);
}

/* The least of the last ones: others have waited for something else. */
void
sl_prefetch_round(struct sl_prefetch *p, uint64_t round_ns)
{
    uint64_t most_ns = p->round_ns + p->round_ns / 8 + 1;
    p->round_ns = p->round_ns == 0 ? SL_MAX(round_ns, UINT64_C(1)) : SL_MIN(round_ns, most_ns);
}

void
sl_prefetch_reset(struct sl_prefetch *p)
{
    p->held = p->asked = 0;
}

uint32_t
sl_prefetch_target(const struct sl_prefetch *p, uint64_t now_ns)
{
    const struct sl_prefetch_options *o = &p->options;
    if (p->service_ns == 0)
        return o->slots;
    uint64_t waits_ns = p->held == 0 ? 0 : (now_ns - SL_MIN(p->since_ns, now_ns)) * busy(p);
    uint64_t service_ns = SL_MAX(p->service_ns, waits_ns);
    uint64_t round_ns = SL_MIN(p->round_ns, SL_PREFETCH_HOLD_MAX_NS);
    uint64_t ahead = (ROUNDS * o->slots * round_ns + service_ns - 1) / service_ns;
    ahead = SL_MIN(ahead, o->slots * o->hold_ns / service_ns);
    return (uint32_t)SL_MIN(o->slots + ahead, (uint64_t)o->max);
}

uint32_t
sl_prefetch_ask(struct sl_prefetch *p, uint64_t now_ns)
{
    uint32_t target = sl_prefetch_target(p, now_ns);
    uint64_t has = (uint64_t)p->held + p->asked;
    uint32_t more = has >= target ? 0 : target - (uint32_t)has;
    p->asked += more;
    return more;
}

uint32_t
sl_prefetch_surplus(const struct sl_prefetch *p, uint64_t now_ns)
{
    uint32_t target = sl_prefetch_target(p, now_ns);
    return p->held > target ? p->held - target : 0;
}
