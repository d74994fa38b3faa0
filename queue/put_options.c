/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/put_options.h"

void
sl_put_limits_encode(const struct sl_key_spec *limits, uint32_t count, struct sl_buf *out)
{
    sl_buf_append_u8(out, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_append_u64(out, limits[i].hash);
        sl_buf_append_u32(out, limits[i].limit);
        sl_buf_append_u8(out, (uint8_t)limits[i].policy);
        sl_buf_append_u32(out, limits[i].rate.count);
        sl_buf_append_u32(out, limits[i].rate.burst);
        sl_buf_append_u64(out, limits[i].rate.period_ns);
    }
}

uint32_t
sl_put_limits_decode(struct sl_reader *r, struct sl_scope scope, struct sl_key_spec *ret_limits)
{
    uint32_t count = sl_read_u8(r);
    if (count > SL_KEYS_PER_TASK_MAX)
        r->is_bad = true;
    for (uint32_t i = 0; i < count && !r->is_bad; i++) {
        struct sl_key_spec *s = &ret_limits[i];
        *s = (struct sl_key_spec){.scope = scope.id, .hash = sl_read_u64(r)};
        s->limit = sl_read_u32(r);
        s->policy = (enum sl_key_policy)sl_read_u8(r);
        s->rate.count = sl_read_u32(r);
        s->rate.burst = sl_read_u32(r);
        s->rate.period_ns = sl_read_u64(r);
    }
    if (count > 0 && !r->is_bad && sl_keys_check(ret_limits, count) != SL_OK)
        r->is_bad = true;
    return r->is_bad ? 0 : count;
}

void
sl_put_options_encode(const struct sl_task_put *p, struct sl_buf *out)
{
    if ((p->expires_ms | p->retain_ms | p->policy.size | p->limits_count | p->key.mode) == 0) {
        sl_buf_append_u8(out, 0);
        return;
    }
    bool has_usual = p->expires_ms != 0 || p->retain_ms != 0 || p->policy.size > 0;
    bool has_key = p->key.mode != SL_DEDUP_NONE, has_limits = p->limits_count > 0;
    sl_buf_append_u8(out, (uint8_t)((has_usual ? SL_PUT_USUAL : 0) | (has_key ? SL_PUT_KEY : 0) |
                                    (has_limits ? SL_PUT_LIMITS : 0)));
    if (has_usual) {
        sl_buf_append_u64(out, p->expires_ms);
        sl_buf_append_u64(out, p->retain_ms);
        sl_buf_append_block(out, p->policy);
    }
    if (has_key) {
        sl_buf_append_u64(out, p->key.key.hash[0]);
        sl_buf_append_u64(out, p->key.key.hash[1]);
        sl_buf_append_u8(out, (uint8_t)p->key.mode);
        sl_buf_append_u64(out, p->key.until_ms);
    }
    if (has_limits)
        sl_put_limits_encode(p->limits, p->limits_count, out);
}

static void
read_key(struct sl_reader *r, struct sl_scope scope, struct sl_dedup_entry *ret_key)
{
    *ret_key = (struct sl_dedup_entry){.key = {.scope = scope.id}};
    ret_key->key.hash[0] = sl_read_u64(r);
    ret_key->key.hash[1] = sl_read_u64(r);
    ret_key->mode = (enum sl_dedup_mode)sl_read_u8(r);
    ret_key->until_ms = sl_read_u64(r);
}

bool
sl_put_options_decode(struct sl_reader *r, struct sl_scope scope, struct sl_put_options *ret)
{
    ret->groups = sl_read_u8(r);
    if (ret->groups == 0)
        return true;
    *ret = (struct sl_put_options){.groups = ret->groups};
    if ((ret->groups & ~(SL_PUT_USUAL | SL_PUT_KEY | SL_PUT_LIMITS)) != 0)
        return false;
    if ((ret->groups & SL_PUT_USUAL) != 0) {
        ret->expires_ms = sl_read_u64(r);
        ret->retain_ms = sl_read_u64(r);
        ret->policy = sl_read_block(r);
    }
    if ((ret->groups & SL_PUT_KEY) != 0)
        read_key(r, scope, &ret->key);
    if ((ret->groups & SL_PUT_LIMITS) != 0)
        ret->limits_count = sl_put_limits_decode(r, scope, ret->limits);
    return !r->is_bad && ret->policy.size <= SL_QUEUE_POLICY_MAX;
}
