/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_rule.h"

#include <inttypes.h>
#include <math.h>

#include "runtime/alloc.h"

#define SECOND 1e9

/* A raw need of 3.0000000001 is one of 3: means are sums of many areas. */
#define SLACK 1e-9

/*
 * The number at work under a load that does not change is spread (Poisson) by the square root of
 * its mean, and by less over a window in which many come and go. How many of these spreads a burst
 * is over what the replicas are for, and a mean is counted lower by: that is looked at often, and
 * must not be chance.
 */
#define BURST_CHANCE 5.0
#define MEAN_CHANCE  3.0

static const struct {
    const char *name, *text;
} reasons[SL_SCALE_REASONS] = {
    [SL_SCALE_STEADY] = {"steady", "the replicas there are fit the demand"},
    [SL_SCALE_FROM_ZERO] = {"from_zero", "work came and there was no replica"},
    [SL_SCALE_UP] = {"up", "the demand was over the target for upscale_delay_s"},
    [SL_SCALE_PANIC] = {"panic", "the demand of the panic window is far over the target"},
    [SL_SCALE_UP_SOON] = {"up_soon", "the demand is over the target, not yet for upscale_delay_s"},
    [SL_SCALE_DOWN] = {"down", "fewer replicas were enough for downscale_delay_s"},
    [SL_SCALE_DOWN_SOON] = {"down_soon", "fewer replicas are enough, not yet for the whole delay"},
    [SL_SCALE_TO_ZERO] = {"to_zero", "there was no work for downscale_to_zero_delay_s"},
    [SL_SCALE_AT_MIN] = {"at_min", "fewer replicas would do, but min_replicas wants these"},
    [SL_SCALE_AT_MAX] = {"at_max", "more replicas are needed, but max_replicas allows no more"},
    [SL_SCALE_NO_ROOM] = {"no_room", "more replicas are needed, but no node has a place for them"},
};

const char *
sl_scale_reason_name(enum sl_scale_reason reason)
{
    return reasons[reason].name;
}

const char *
sl_scale_reason_text(enum sl_scale_reason reason)
{
    return reasons[reason].text;
}

/* ---- the rule ------------------------------------------------------------------------------ */

static uint32_t
whole(double replicas)
{
    double up = ceil(replicas - SLACK);
    return up <= 0 ? 0 : (uint32_t)fmin(up, SL_SCALE_REPLICAS_MAX);
}

uint32_t
sl_scale_need(const struct sl_scale_settings *s, double demand)
{
    return whole(demand / s->target_ongoing);
}

/* How far chance spreads the mean of a demand over a window. Of work whose length is not known
 * nothing is known. */
static double
spread(double demand, double service_s, uint64_t window_ns)
{
    double window_s = (double)window_ns / SECOND;
    return sqrt(demand * (service_s < 0 || window_ns == 0 ? 1 : fmin(1, 2 * service_s / window_s)));
}

/* What of the mean is more than chance: never less by more than one replica is for. */
static double
sure(const struct sl_scale_settings *s, double mean, double service_s, uint64_t window_ns)
{
    if (window_ns == 0 || service_s < 0)
        return mean;
    return mean - fmin(MEAN_CHANCE * spread(mean, service_s, window_ns), s->target_ongoing);
}

bool
sl_scale_is_burst(const struct sl_scale_settings *s, const struct sl_scale_facts *f)
{
    double fits = SL_MAX(f->has, 1u) * s->target_ongoing;
    return s->panic_threshold > 0 && f->burst >= s->panic_threshold * fits - SLACK &&
           f->burst >= fits + BURST_CHANCE * spread(fits, f->service_s, s->panic_ns);
}

static bool
is_urgent(const struct sl_scale_facts *f)
{
    return f->is_panic || f->has == 0;
}

/* Replicas for the demand: as the mean wants it, and one more at once when now wants more; in a
 * burst as it wants it. */
static double
raw_of(const struct sl_scale_settings *s, const struct sl_scale_facts *f, double mean)
{
    double demand = (double)f->waiting + f->running, burst;
    double low = mean / s->target_ongoing, high = fmax(whole(low), 1) + 1;
    double raw = fmax(fmin(demand / s->target_ongoing, high), low);
    if (!is_urgent(f))
        return raw;
    burst = sure(s, f->burst, f->service_s, s->panic_ns);
    burst = f->offered < 0 ? burst : fmin(burst, f->offered);
    return fmax(raw, burst / s->target_ongoing);
}

/* The part of the way that factors and rates allow. */
static uint32_t
pace(const struct sl_scale_settings *s, uint32_t replicas, double raw)
{
    double has = replicas, factor = raw > has ? s->up_factor : s->down_factor;
    if (replicas == 0)
        return raw > 0 ? SL_MAX(whole(raw * s->up_factor), 1u) : 0;
    uint32_t desired = whole(has + factor * (raw - has));
    if (whole(raw) < replicas && desired == replicas)
        desired--; /* A small factor must not keep what is not needed for ever. */
    uint32_t most = whole(has * s->up_rate), fewest = (uint32_t)(has / s->down_rate);
    return SL_MIN(SL_MAX(desired, fewest), most);
}

static uint32_t
clamp(const struct sl_scale_settings *s, uint32_t replicas)
{
    return SL_MIN(SL_MAX(replicas, s->min_replicas), s->max_replicas);
}

struct sl_scale_verdict
sl_scale_desire(const struct sl_scale_settings *s, const struct sl_scale_facts *f)
{
    struct sl_scale_verdict v = {.replicas = f->has};
    /* With a delay the delay tells chance from a change. */
    v.sure = s->up_delay_ns > 0 ? f->stable : sure(s, f->stable, f->service_s, s->look_back_ns);
    v.wanted = pace(s, f->has, raw_of(s, f, v.sure));
    if (f->has == 0 && f->waiting == 0 && f->running == 0)
        v.wanted = 0; /* What has gone by needs nothing started. */
    if (f->is_panic)
        v.wanted = SL_MAX(v.wanted, f->has);
    v.desired = SL_MIN(clamp(s, v.wanted), SL_MAX(f->room, s->min_replicas));
    return v;
}

static enum sl_scale_reason
reason_of(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
          const struct sl_scale_verdict *v)
{
    if (v->replicas > f->has)
        return f->has == 0 ? SL_SCALE_FROM_ZERO : f->is_panic ? SL_SCALE_PANIC : SL_SCALE_UP;
    if (v->replicas < f->has)
        return v->replicas == 0 ? SL_SCALE_TO_ZERO : SL_SCALE_DOWN;
    if (v->wanted > v->desired)
        return v->desired < s->max_replicas ? SL_SCALE_NO_ROOM : SL_SCALE_AT_MAX;
    if (v->desired > f->has)
        return SL_SCALE_UP_SOON;
    if (v->desired < f->has)
        return SL_SCALE_DOWN_SOON;
    return v->wanted < f->has ? SL_SCALE_AT_MIN : SL_SCALE_STEADY;
}

void
sl_scale_settle(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
                struct sl_scale_verdict *v)
{
    /* The last one has a delay of its own, of no work at all. */
    bool is_over = f->zero == 0 && f->has <= 1 && !f->is_panic;
    uint32_t down = is_over ? 0 : SL_MAX(f->down, 1u);
    v->replicas = f->has;
    if (is_urgent(f) && v->desired > f->has)
        v->replicas = v->desired;
    else if (f->up > f->has)
        v->replicas = f->up;
    else if (down < f->has)
        v->replicas = down;
    v->replicas = clamp(s, v->replicas);
    v->reason = reason_of(s, f, v);
}

/* ---- written down -------------------------------------------------------------------------- */

static void
write_sentence(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
               const struct sl_scale_verdict *v, struct sl_jsonw *w)
{
    double delay_s = (double)(v->desired >= f->has ? (is_urgent(f) ? 0 : s->up_delay_ns)
                              : v->desired == 0    ? s->zero_delay_ns
                                                   : s->down_delay_ns) /
                     SECOND;
    char *text = sl_format("%u ongoing (%.4g on average) / target %.4g = %u over %.4g s; min %u, "
                           "max %u: %u, was %u, as %s",
                           f->waiting + f->running, f->stable, s->target_ongoing, v->wanted,
                           delay_s, s->min_replicas, s->max_replicas, v->replicas, f->has,
                           sl_scale_reason_text(v->reason));
    sl_jsonw_member_str(w, "why", text);
    sl_free(text);
}

void
sl_scale_decision_write(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
                        const struct sl_scale_verdict *v, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "at_ns", f->at_ns);
    sl_jsonw_member_u64(w, "waiting", f->waiting);
    sl_jsonw_member_u64(w, "running", f->running);
    sl_jsonw_member_u64(w, "has", f->has);
    sl_jsonw_member_u64(w, "room", f->room);
    sl_jsonw_member_f64(w, "stable", f->stable);
    sl_jsonw_member_f64(w, "burst", f->burst);
    sl_jsonw_member_f64(w, "service_s", f->service_s);
    sl_jsonw_member_f64(w, "offered", f->offered);
    sl_jsonw_member_bool(w, "panic", f->is_panic);
    sl_jsonw_member_u64(w, "up", f->up);
    sl_jsonw_member_u64(w, "down", f->down);
    sl_jsonw_member_u64(w, "zero", f->zero);
    sl_jsonw_member_u64(w, "desired", v->desired);
    sl_jsonw_member_u64(w, "replicas", v->replicas);
    sl_jsonw_member_str(w, "reason", sl_scale_reason_name(v->reason));
    write_sentence(s, f, v, w);
    sl_jsonw_end(w);
}

static bool
read_count(struct sl_json decision, const char *name, uint32_t *ret_count)
{
    uint64_t value;
    bool is_good =
        sl_json_u64(sl_json_member(decision, name), &value) == SL_OK && value <= UINT32_MAX;
    if (is_good)
        *ret_count = (uint32_t)value;
    return is_good;
}

enum sl_err
sl_scale_decision_replay(const struct sl_scale_settings *s, struct sl_json decision,
                         bool *ret_is_same)
{
    struct sl_scale_facts f = {0};
    uint32_t desired = 0, replicas = 0;
    const struct {
        const char *name;
        uint32_t *to;
    } counts[] = {{"waiting", &f.waiting}, {"running", &f.running}, {"has", &f.has},
                  {"room", &f.room},       {"up", &f.up},           {"down", &f.down},
                  {"zero", &f.zero},       {"desired", &desired},   {"replicas", &replicas}};
    const struct {
        const char *name;
        double *to;
    } reals[] = {{"stable", &f.stable},
                 {"burst", &f.burst},
                 {"service_s", &f.service_s},
                 {"offered", &f.offered}};
    bool is_good = true;
    for (size_t i = 0; i < SL_COUNT_OF(counts); i++)
        is_good = is_good && read_count(decision, counts[i].name, counts[i].to);
    for (size_t i = 0; i < SL_COUNT_OF(reals); i++)
        is_good =
            is_good && sl_json_f64(sl_json_member(decision, reals[i].name), reals[i].to) == SL_OK;
    if (!is_good)
        return SL_EINVAL;
    f.is_panic = sl_json_bool(sl_json_member(decision, "panic"), false);
    struct sl_scale_verdict v = sl_scale_desire(s, &f);
    sl_scale_settle(s, &f, &v);
    *ret_is_same = v.desired == desired && v.replicas == replicas &&
                   sl_json_is(sl_json_member(decision, "reason"), sl_scale_reason_name(v.reason));
    return SL_OK;
}
