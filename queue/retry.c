/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/retry.h"

#define VERSION              1
#define ATTEMPTS_MAX_DEFAULT 3
#define ATTEMPTS_MAX_FOURTH  25
#define BASE_MS_DEFAULT      200
#define CAP_MS_DEFAULT       60000
#define AFTER_CAP_MS_DEFAULT 3600000
#define FOURTH_STEPS_MAX     1000 /* Its fourth power in seconds is past any cap. */

static uint32_t
attempts_max(const struct sl_retry_policy *p)
{
    if (p->attempts_max != 0)
        return p->attempts_max;
    if (p->retry_for_ms != 0)
        return UINT32_MAX;
    return p->kind == SL_RETRY_FOURTH ? ATTEMPTS_MAX_FOURTH : ATTEMPTS_MAX_DEFAULT;
}

static uint64_t
base_ms(const struct sl_retry_policy *p)
{
    return p->base_ms == 0 ? BASE_MS_DEFAULT : p->base_ms;
}

static uint64_t
cap_ms(const struct sl_retry_policy *p)
{
    if (p->cap_ms != 0)
        return p->cap_ms;
    return p->kind == SL_RETRY_FOURTH ? UINT32_MAX : SL_MAX(CAP_MS_DEFAULT, base_ms(p));
}

static bool
is_class_valid(const char *class)
{
    size_t size = strnlen(class, SL_RETRY_CLASS_SIZE_MAX + 1);
    if (size == 0 || size > SL_RETRY_CLASS_SIZE_MAX)
        return false;
    for (size_t i = size; i <= SL_RETRY_CLASS_SIZE_MAX; i++) {
        if (class[i] != '\0')
            return false;
    }
    return true;
}

enum sl_err
sl_retry_check(const struct sl_retry_policy *policy)
{
    if (policy->kind >= SL_RETRY_KIND_COUNT || policy->classes_count > SL_RETRY_CLASSES_MAX)
        return SL_EINVAL;
    if (policy->kind == SL_RETRY_EXPONENTIAL && base_ms(policy) > cap_ms(policy))
        return SL_EINVAL;
    for (uint32_t i = 0; i < policy->classes_count; i++) {
        if (!is_class_valid(policy->classes[i]))
            return SL_EINVAL;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(policy->classes[i], policy->classes[j]) == 0)
                return SL_EINVAL;
        }
    }
    return SL_OK;
}

static uint64_t
pause_ms(const struct sl_retry_policy *p, uint16_t attempts, struct sl_random *random)
{
    uint64_t steps = (uint64_t)attempts - 1, most_ms;
    switch (p->kind) {
    case SL_RETRY_FIXED:
        return base_ms(p);
    case SL_RETRY_FOURTH:
        steps = SL_MIN(steps, FOURTH_STEPS_MAX);
        most_ms = (steps * steps * steps * steps + 15) * 1000;
        return SL_MIN(most_ms + sl_random_below(random, 10000 * (steps + 1)), cap_ms(p));
    default:
        /* Both fit in 32 bits, so 31 doublings are past any cap and shift nothing out. */
        most_ms = SL_MIN(base_ms(p) << SL_MIN(steps, 31), cap_ms(p));
        return sl_random_below(random, most_ms + 1);
    }
}

uint64_t
sl_retry_delay_ms(const struct sl_retry_policy *policy, uint16_t attempts, struct sl_random *random)
{
    sl_assert(attempts >= 1);
    if (attempts >= attempts_max(policy))
        return UINT64_MAX;
    return pause_ms(policy, attempts, random);
}

static bool
is_final(const struct sl_retry_policy *p, struct sl_slice class)
{
    for (uint32_t i = 0; i < p->classes_count; i++) {
        if (sl_slice_is(class, p->classes[i]))
            return true;
    }
    return false;
}

/* What is left of retry_for_ms. A clock that went back takes nothing away. */
static uint64_t
left_ms(const struct sl_retry_policy *p, const struct sl_retry_failure *f)
{
    if (p->retry_for_ms == 0)
        return UINT64_MAX;
    uint64_t first_ms = f->first_failed_ms == 0 ? f->now_ms : f->first_failed_ms;
    uint64_t elapsed_ms = f->now_ms > first_ms ? f->now_ms - first_ms : 0;
    return elapsed_ms >= p->retry_for_ms ? 0 : p->retry_for_ms - elapsed_ms;
}

enum sl_retry_verdict
sl_retry_decide(const struct sl_retry_policy *policy, const struct sl_retry_failure *failure,
                struct sl_random *random, uint64_t *ret_delay_ms)
{
    sl_assert(failure->attempts >= 1);
    if (is_final(policy, failure->class))
        return SL_RETRY_FINAL;
    if (failure->attempts >= attempts_max(policy))
        return SL_RETRY_SPENT;
    uint64_t left = left_ms(policy, failure);
    if (left == 0)
        return SL_RETRY_LATE;

    uint64_t delay_ms;
    if (failure->after_ms != 0) {
        uint64_t most_ms = policy->after_cap_ms == 0 ? AFTER_CAP_MS_DEFAULT : policy->after_cap_ms;
        delay_ms = SL_MIN(failure->after_ms, most_ms);
        if (delay_ms >= left)
            return SL_RETRY_LATE;
    } else {
        delay_ms = SL_MIN(pause_ms(policy, failure->attempts, random), left - 1);
    }
    *ret_delay_ms = delay_ms;
    return SL_RETRY_AGAIN;
}

void
sl_retry_encode(const struct sl_retry_policy *policy, struct sl_buf *out)
{
    sl_assert(sl_retry_check(policy) == SL_OK);
    sl_buf_append_u8(out, VERSION);
    sl_buf_append_u8(out, policy->kind);
    sl_buf_append_u8(out, (uint8_t)(policy->attempts_max & 0xff));
    sl_buf_append_u8(out, (uint8_t)(policy->attempts_max >> 8));
    sl_buf_append_u32(out, policy->base_ms);
    sl_buf_append_u32(out, policy->cap_ms);
    sl_buf_append_u32(out, policy->after_cap_ms);
    sl_buf_append_u64(out, policy->retry_for_ms);
    sl_buf_append_u8(out, policy->classes_count);
    for (uint32_t i = 0; i < policy->classes_count; i++) {
        struct sl_slice class = sl_slice_str(policy->classes[i]);
        sl_buf_append_u8(out, (uint8_t) class.size);
        sl_buf_append_slice(out, class);
    }
}

static void
read_classes(struct sl_reader *r, struct sl_retry_policy *p)
{
    p->classes_count = sl_read_u8(r);
    if (p->classes_count > SL_RETRY_CLASSES_MAX)
        r->is_bad = true;
    for (uint32_t i = 0; i < p->classes_count && !r->is_bad; i++) {
        struct sl_slice class = sl_read_bytes(r, sl_read_u8(r));
        if (r->is_bad || class.size > SL_RETRY_CLASS_SIZE_MAX || class.size == 0 ||
            memchr(class.data, '\0', class.size) != NULL)
            r->is_bad = true;
        else
            memcpy(p->classes[i], class.data, class.size);
    }
}

enum sl_err
sl_retry_decode(struct sl_slice bytes, struct sl_retry_policy *ret_policy)
{
    struct sl_reader r = sl_reader(bytes);
    struct sl_retry_policy p = {0};
    uint8_t version = sl_read_u8(&r);
    if (!r.is_bad && version != VERSION)
        return SL_EVERSION;
    p.kind = sl_read_u8(&r);
    p.attempts_max = sl_read_u8(&r);
    p.attempts_max |= (uint16_t)(sl_read_u8(&r) << 8);
    p.base_ms = sl_read_u32(&r);
    p.cap_ms = sl_read_u32(&r);
    p.after_cap_ms = sl_read_u32(&r);
    p.retry_for_ms = sl_read_u64(&r);
    read_classes(&r, &p);
    if (!sl_reader_is_done(&r) || sl_retry_check(&p) != SL_OK)
        return SL_ECORRUPT;
    *ret_policy = p;
    return SL_OK;
}
