/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hook_plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/hash.h"

#define STATUS_GONE 410

static uint64_t
pause_max_ms(const struct sl_hook_policy *p, uint32_t attempts)
{
    uint64_t pause = p->base_ms;
    for (uint32_t i = 1; i < attempts && pause < p->cap_ms; i++)
        pause *= 4;
    return SL_MIN(pause, p->cap_ms);
}

static void
end(const struct sl_hook_policy *p, enum sl_delivery_state state, uint64_t now_ms,
    struct sl_delivery *d)
{
    d->state = state;
    d->ended_ms = now_ms;
    d->due_ms = now_ms + p->keep_ms;
}

void
sl_hook_plan(const struct sl_hook_policy *p, const struct sl_hook_outcome *o, uint64_t now_ms,
             struct sl_random *random, struct sl_delivery *d)
{
    sl_assert(d->state == SL_DELIVERY_PENDING);
    d->attempts++;
    d->status = o->status;
    d->error = o->error;
    if (o->status >= 200 && o->status < 300) {
        d->error = (struct sl_slice){0};
        end(p, SL_DELIVERY_DELIVERED, now_ms, d);
    } else if (o->status == STATUS_GONE || d->attempts >= p->attempts_max) {
        end(p, SL_DELIVERY_DEAD, now_ms, d);
    } else {
        uint64_t asked = SL_MIN(o->retry_after_ms, p->cap_ms);
        uint64_t pause = sl_random_below(random, pause_max_ms(p, d->attempts) + 1);
        d->due_ms = now_ms + SL_MAX(asked, pause);
    }
}

void
sl_hook_plan_dead(const struct sl_hook_policy *p, const char *error, uint64_t now_ms,
                  struct sl_delivery *d)
{
    d->error = sl_slice_str(error);
    end(p, SL_DELIVERY_DEAD, now_ms, d);
}

void
sl_hook_sign(struct sl_slice secret, uint64_t now_ms, struct sl_slice body,
             char ret_signature[static SL_HOOK_SIGNATURE_SIZE])
{
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1];
    struct sl_buf text = {0};
    sl_buf_printf(&text, "%" PRIu64 ".", now_ms / 1000);
    sl_buf_append_slice(&text, body);
    sl_hmac_sha256(secret, sl_buf_slice(&text), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    (void)snprintf(ret_signature, SL_HOOK_SIGNATURE_SIZE, "t=%" PRIu64 ",v1=%s", now_ms / 1000,
                   hex);
    sl_buf_deinit(&text);
}
