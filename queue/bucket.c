/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/bucket.h"

typedef unsigned __int128 wide;

enum sl_err
sl_rate_check(const struct sl_rate *rate)
{
    if (rate->count == 0 || rate->burst == 0 || rate->period_ns == 0 ||
        rate->period_ns > SL_RATE_PERIOD_MAX_NS)
        return SL_EINVAL;
    return SL_OK;
}

void
sl_bucket_init(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns)
{
    *b = (struct sl_bucket){.at_ns = now_ns, .tokens = rate->burst};
}

static void
fill(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns)
{
    sl_assert(rate->count > 0 && rate->period_ns > 0);
    uint64_t elapsed_ns = now_ns > b->at_ns ? now_ns - b->at_ns : 0;
    b->at_ns = now_ns;
    if (b->tokens >= rate->burst || elapsed_ns == 0)
        return;
    wide flowed = (wide)elapsed_ns * rate->count + b->fraction;
    if (flowed >= (wide)(rate->burst - b->tokens) * rate->period_ns) {
        b->tokens = rate->burst;
        b->fraction = 0;
    } else {
        b->tokens += (uint32_t)(flowed / rate->period_ns);
        b->fraction = (uint64_t)(flowed % rate->period_ns);
    }
}

bool
sl_bucket_take(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns, uint32_t tokens)
{
    fill(b, rate, now_ns);
    if (tokens > b->tokens)
        return false;
    b->tokens -= tokens;
    return true;
}

void
sl_bucket_give(struct sl_bucket *b, const struct sl_rate *rate, uint64_t held_ns, uint32_t tokens)
{
    wide owed = (wide)tokens * rate->period_ns, flowed = (wide)held_ns * rate->count;
    if (flowed >= owed || b->tokens >= rate->burst)
        return;
    wide all = (wide)b->tokens * rate->period_ns + b->fraction + owed - flowed;
    bool is_full = all >= (wide)rate->burst * rate->period_ns;
    b->tokens = is_full ? rate->burst : (uint32_t)(all / rate->period_ns);
    b->fraction = is_full ? 0 : (uint64_t)(all % rate->period_ns);
}

uint64_t
sl_bucket_next_ns(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns, uint32_t tokens)
{
    fill(b, rate, now_ns);
    if (tokens <= b->tokens)
        return now_ns;
    if (tokens > rate->burst)
        return UINT64_MAX;
    wide lacking = (wide)(tokens - b->tokens) * rate->period_ns - b->fraction;
    wide wait_ns = (lacking + rate->count - 1) / rate->count;
    return wait_ns >= UINT64_MAX - now_ns ? UINT64_MAX : now_ns + (uint64_t)wait_ns;
}

void
sl_bucket_change(struct sl_bucket *b, const struct sl_rate *from, const struct sl_rate *to,
                 uint64_t now_ns)
{
    fill(b, from, now_ns);
    b->tokens = SL_MIN(b->tokens, to->burst);
    b->fraction = 0;
}
