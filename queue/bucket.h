/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - a rate limit that is exact: a bucket of `burst` tokens into which `count` flow evenly
 * every `period_ns`. Over any time t it gives at most burst + count * t / period_ns, without
 * rounding: what is less than a token is kept as a fraction.
 *
 * The clock is the caller's. Where it jumps ahead, the bucket is full at most; where it jumps back,
 * nothing flows in for the jump, and the time from there on counts again.
 *
 * The rate is named with every call, so that many buckets may share one. Threading: one owner.
 */
#ifndef SL_QUEUE_BUCKET_H
#define SL_QUEUE_BUCKET_H

#include "runtime/base.h"

struct sl_rate {
    uint32_t count;     /* >= 1 */
    uint32_t burst;     /* >= 1; the most that one call can take. */
    uint64_t period_ns; /* 1 .. SL_RATE_PERIOD_MAX_NS */
};

#define SL_RATE_PERIOD_MAX_NS (366 * 86400 * SL_SECOND_NS)

struct sl_bucket {
    uint64_t at_ns;    /* What flowed in until then is counted. */
    uint64_t fraction; /* Of a token, in 1 / period_ns; 0 while full. */
    uint32_t tokens;   /* <= burst */
};

/* SL_EINVAL: a number out of its range. The other functions rely on a rate that passed. */
SL_MUST_CHECK enum sl_err sl_rate_check(const struct sl_rate *rate);

/* A full one. In place; there is nothing to free. */
void sl_bucket_init(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns);

/* Take so many tokens, if they are there; otherwise none. */
bool sl_bucket_take(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns,
                    uint32_t tokens);

/* Put back what was taken for nothing so long ago, but for what has flowed in since: that may have
 * been there for others. What does not fit is lost. */
void sl_bucket_give(struct sl_bucket *b, const struct sl_rate *rate, uint64_t held_ns,
                    uint32_t tokens);

/*
 * First nanosecond at which so many can be taken, if none are before: now_ns, or later.
 * UINT64_MAX: never, as the bucket is smaller, or the clock ends first.
 */
uint64_t sl_bucket_next_ns(struct sl_bucket *b, const struct sl_rate *rate, uint64_t now_ns,
                           uint32_t tokens);

/* Go on at another rate: whole tokens stay, as far as they fit, and the fraction is lost. */
void sl_bucket_change(struct sl_bucket *b, const struct sl_rate *from, const struct sl_rate *to,
                      uint64_t now_ns);

#endif
