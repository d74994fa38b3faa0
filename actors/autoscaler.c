/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/autoscaler.h"

#include <math.h>

#include "actors/step_mean.h"
#include "actors/step_window.h"
#include "runtime/alloc.h"

#define AUTOSCALER_MAGIC 0x61757363u
#define SECOND           UINT64_C(1000000000)

/* A raw need of 3.0000000001 is one of 3: means are sums of many areas. */
#define SLACK 1e-9

/* After a step that factors or rates made smaller than the need, the next one. */
#define PACE_NS (SECOND / 10)

/*
 * The number at work under a load that does not change is spread (Poisson) by the square root of
 * its mean, and by less over a window in which many come and go. How many of these spreads a burst
 * is over what the replicas are for, and a mean is counted lower by: that is looked at often, and
 * must not be chance.
 */
#define BURST_CHANCE 5.0
#define MEAN_CHANCE  3.0

/* Of which arrivals are counted, at least. */
#define RATE_NS SECOND

struct sl_autoscaler {
    uint32_t magic;
    uint32_t replicas;
    struct sl_scale_settings settings;
    struct sl_step_mean stable, burst;
    struct sl_step_mean running;           /* Over look_back, as: */
    struct sl_step_mean answered, arrived; /* counts, whose means say how fast they grow. */
    struct sl_step_window up, down, zero;  /* Of what was desired. */
    uint64_t panic_until_ns;               /* 0: there is none. */
};

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

/* ---- life ------------------------------------------------------------------------------- */

static void
check(const struct sl_autoscaler *a)
{
    sl_assert(a != NULL);
    sl_assert(a->magic == AUTOSCALER_MAGIC);
}

static uint32_t
clamp(const struct sl_scale_settings *s, uint32_t replicas)
{
    return SL_MIN(SL_MAX(replicas, s->min_replicas), s->max_replicas);
}

static void
init_means(struct sl_autoscaler *a, uint64_t now_ns, double demand)
{
    uint64_t look_back_ns = SL_MAX(a->settings.look_back_ns, RATE_NS);
    sl_step_mean_init(&a->stable, a->settings.look_back_ns, now_ns, demand);
    sl_step_mean_init(&a->burst, a->settings.panic_ns, now_ns, demand);
    sl_step_mean_init(&a->running, look_back_ns, now_ns, 0);
    sl_step_mean_init(&a->answered, look_back_ns, now_ns, a->answered.value);
    sl_step_mean_init(&a->arrived, SL_MAX(a->settings.panic_ns, RATE_NS), now_ns, a->arrived.value);
}

static void
init_windows(struct sl_autoscaler *a)
{
    const struct sl_scale_settings *s = &a->settings;
    sl_step_window_init(&a->up, true, s->up_delay_ns, a->replicas);
    sl_step_window_init(&a->down, false, s->down_delay_ns, a->replicas);
    sl_step_window_init(&a->zero, false, s->zero_delay_ns, a->replicas);
}

static void
deinit_windows(struct sl_autoscaler *a)
{
    sl_step_window_deinit(&a->up);
    sl_step_window_deinit(&a->down);
    sl_step_window_deinit(&a->zero);
}

struct sl_autoscaler *
sl_autoscaler_create(const struct sl_scale_settings *settings, uint64_t now_ns)
{
    sl_assert(sl_scale_settings_check(settings) == NULL);
    struct sl_autoscaler *a = sl_zalloc(sizeof(*a));
    a->magic = AUTOSCALER_MAGIC;
    a->settings = *settings;
    a->replicas = clamp(settings, settings->initial_replicas);
    init_means(a, now_ns, 0);
    init_windows(a);
    return a;
}

void
sl_autoscaler_destroy(struct sl_autoscaler **autoscaler)
{
    struct sl_autoscaler *a = *autoscaler;
    if (a == NULL)
        return;
    check(a);
    deinit_windows(a);
    a->magic = 0;
    sl_free(a);
    *autoscaler = NULL;
}

void
sl_autoscaler_set(struct sl_autoscaler *a, uint64_t now_ns, uint32_t replicas)
{
    check(a);
    (void)now_ns;
    a->replicas = SL_MIN(replicas, (uint32_t)SL_SCALE_REPLICAS_MAX);
    deinit_windows(a); /* The delays count from here. */
    init_windows(a);
}

void
sl_autoscaler_configure(struct sl_autoscaler *a, const struct sl_scale_settings *settings,
                        uint64_t now_ns)
{
    check(a);
    sl_assert(sl_scale_settings_check(settings) == NULL);
    bool is_other = settings->look_back_ns != a->settings.look_back_ns ||
                    settings->panic_ns != a->settings.panic_ns;
    a->settings = *settings;
    if (is_other)
        init_means(a, now_ns, a->stable.value);
    sl_autoscaler_set(a, now_ns, clamp(settings, a->replicas));
}

/* ---- deciding ------------------------------------------------------------------------------ */

/* Replicas for so much demand. */
static double
raw_need(const struct sl_autoscaler *a, double demand)
{
    return demand / a->settings.target_ongoing;
}

static uint32_t
whole(double replicas)
{
    double up = ceil(replicas - SLACK);
    return up <= 0 ? 0 : (uint32_t)fmin(up, SL_SCALE_REPLICAS_MAX);
}

/* How fast a count grows, per second: its mean lies behind by half its window of that. */
static double
growth(struct sl_step_mean *count, uint64_t now_ns)
{
    uint64_t unused_ns, known_ns = SL_MIN(now_ns - count->start_ns, count->window_ns);
    double mean = sl_step_mean_get(count, now_ns, &unused_ns);
    return known_ns == 0 ? 0 : 2 * (count->value - mean) * (double)SECOND / (double)known_ns;
}

/* What is known of the work itself. */
struct load {
    double service_s; /* How long one runs; below 0: not known yet. */
    double offered;   /* How many would run at a time; below 0 as well. */
};

/* By Little's law: what runs, over what is answered a second, is how long one runs. Of the arrivals
 * no more count than are sure. */
static struct load
look(struct sl_autoscaler *a, const struct sl_scale_input *input)
{
    uint64_t unused_ns, now_ns = input->at_ns;
    sl_step_mean_push(&a->running, now_ns, input->running);
    sl_step_mean_push(&a->answered, now_ns, (double)input->answered);
    sl_step_mean_push(&a->arrived, now_ns, (double)input->arrived);
    double answers = growth(&a->answered, now_ns), arrivals = growth(&a->arrived, now_ns);
    if (answers <= 0)
        return (struct load){.service_s = -1, .offered = -1};
    double service_s = sl_step_mean_get(&a->running, now_ns, &unused_ns) / answers;
    double window_s = (double)a->arrived.window_ns / (double)SECOND;
    arrivals -= sqrt(arrivals / window_s);
    return (struct load){.service_s = service_s, .offered = fmax(arrivals, 0) * service_s};
}

/* How far chance spreads the mean of a demand over a window. Of work whose length is not known
 * nothing is known. */
static double
spread(double demand, double service_s, uint64_t window_ns)
{
    double window_s = (double)window_ns / (double)SECOND;
    return sqrt(demand * (service_s < 0 || window_ns == 0 ? 1 : fmin(1, 2 * service_s / window_s)));
}

/* What of the mean is more than chance: never less by more than one replica is for. */
static double
sure(const struct sl_autoscaler *a, double mean, double service_s, uint64_t window_ns)
{
    if (window_ns == 0 || service_s < 0)
        return mean;
    return mean -
           fmin(MEAN_CHANCE * spread(mean, service_s, window_ns), a->settings.target_ongoing);
}

/* Whether a burst is on: it stays so until there was none for look_back, and nothing goes down
 * meanwhile. */
static bool
is_panic(struct sl_autoscaler *a, uint64_t now_ns, double burst, double service_s)
{
    const struct sl_scale_settings *s = &a->settings;
    double fits = SL_MAX(a->replicas, 1u) * s->target_ongoing;
    if (s->panic_threshold > 0 && burst >= s->panic_threshold * fits - SLACK &&
        burst >= fits + BURST_CHANCE * spread(fits, service_s, s->panic_ns))
        a->panic_until_ns = now_ns + s->look_back_ns + 1;
    if (a->panic_until_ns <= now_ns)
        a->panic_until_ns = 0;
    return a->panic_until_ns != 0;
}

/* Replicas for the demand: as the mean wants it, and one more at once when now wants more. */
static double
raw_of(const struct sl_autoscaler *a, double demand, double mean)
{
    double low = raw_need(a, mean), high = fmax(whole(low), 1) + 1;
    return fmax(fmin(raw_need(a, demand), high), low);
}

/* What the need wants now: factors and rates; the bounds come later. */
static uint32_t
desire(const struct sl_autoscaler *a, double raw)
{
    const struct sl_scale_settings *s = &a->settings;
    double has = a->replicas;
    if (a->replicas == 0)
        return raw > 0 ? SL_MAX(whole(raw * s->up_factor), 1u) : 0;
    double factor = raw > has ? s->up_factor : s->down_factor;
    uint32_t desired = whole(has + factor * (raw - has));
    if (whole(raw) < a->replicas && desired == a->replicas)
        desired--; /* A small factor must not keep what is not needed for ever. */
    uint32_t most = whole(has * s->up_rate), fewest = (uint32_t)(has / s->down_rate);
    return SL_MIN(SL_MAX(desired, fewest), most);
}

/* Fewer, once it was so for the whole delay; the last one has a delay of its own. */
static uint32_t
lower(struct sl_autoscaler *a, uint64_t now_ns, uint64_t *ret_next_ns)
{
    uint64_t down_next_ns, zero_next_ns;
    uint32_t down = sl_step_window_extreme(&a->down, now_ns, &down_next_ns);
    uint32_t zero = sl_step_window_extreme(&a->zero, now_ns, &zero_next_ns);
    *ret_next_ns = SL_MIN(down_next_ns, zero_next_ns);
    if (zero == 0 && a->replicas <= 1)
        return 0;
    return SL_MAX(down, 1u);
}

static enum sl_scale_reason
reason_of(const struct sl_autoscaler *a, const struct sl_scale_decision *d, uint32_t before,
          uint32_t wanted)
{
    if (d->replicas > before)
        return before == 0 ? SL_SCALE_FROM_ZERO : d->is_panic ? SL_SCALE_PANIC : SL_SCALE_UP;
    if (d->replicas < before)
        return d->replicas == 0 ? SL_SCALE_TO_ZERO : SL_SCALE_DOWN;
    if (wanted > d->desired)
        return d->desired < a->settings.max_replicas ? SL_SCALE_NO_ROOM : SL_SCALE_AT_MAX;
    if (d->desired > before)
        return SL_SCALE_UP_SOON;
    if (d->desired < before)
        return SL_SCALE_DOWN_SOON;
    return wanted < before ? SL_SCALE_AT_MIN : SL_SCALE_STEADY;
}

struct sl_scale_decision
sl_autoscaler_decide(struct sl_autoscaler *a, const struct sl_scale_input *input)
{
    check(a);
    uint64_t now_ns = input->at_ns, next_ns[4];
    double demand = (double)input->waiting + input->running;
    sl_step_mean_push(&a->stable, now_ns, demand);
    sl_step_mean_push(&a->burst, now_ns, demand);
    struct sl_scale_decision d = {.stable = sl_step_mean_get(&a->stable, now_ns, &next_ns[0]),
                                  .burst = sl_step_mean_get(&a->burst, now_ns, &next_ns[1])};
    const struct sl_scale_settings *s = &a->settings;
    struct load load = look(a, input);
    if (load.service_s < 0 || load.service_s * (double)SECOND >= (double)s->panic_ns)
        d.burst = demand; /* Those that come and go more slowly than the window need none. */
    d.offered = load.offered;
    d.sure = s->up_delay_ns > 0 ? d.stable : sure(a, d.stable, load.service_s, s->look_back_ns);
    d.is_panic = is_panic(a, now_ns, d.burst, load.service_s);
    bool is_urgent = d.is_panic || a->replicas == 0;
    double burst = sure(a, d.burst, load.service_s, s->panic_ns);
    burst = d.offered < 0 ? burst : SL_MIN(burst, d.offered);
    double raw = raw_of(a, demand, d.sure);
    if (is_urgent)
        raw = fmax(raw, raw_need(a, burst));
    uint32_t wanted = desire(a, raw);
    if (a->replicas == 0 && demand == 0)
        wanted = 0; /* What has gone by needs nothing started. */
    if (d.is_panic)
        wanted = SL_MAX(wanted, a->replicas);
    uint32_t room = SL_MAX(input->room, a->settings.min_replicas);
    d.desired = SL_MIN(clamp(&a->settings, wanted), room);
    sl_step_window_push(&a->up, now_ns, d.desired);
    sl_step_window_push(&a->down, now_ns, d.desired);
    sl_step_window_push(&a->zero, now_ns, d.desired);

    uint32_t before = a->replicas;
    uint32_t up = sl_step_window_extreme(&a->up, now_ns, &next_ns[2]);
    uint32_t down = lower(a, now_ns, &next_ns[3]);
    if (is_urgent && d.desired > before)
        a->replicas = d.desired;
    else if (up > before)
        a->replicas = up;
    else if (down < before)
        a->replicas = down;
    d.replicas = a->replicas = clamp(&a->settings, a->replicas);
    d.reason = reason_of(a, &d, before, wanted);
    d.next_ns = a->panic_until_ns == 0 ? UINT64_MAX : a->panic_until_ns;
    if (a->replicas != before && a->replicas != clamp(&a->settings, whole(raw_need(a, d.stable))))
        d.next_ns = SL_MIN(d.next_ns, now_ns + PACE_NS);
    for (uint32_t i = 0; i < SL_COUNT_OF(next_ns); i++)
        d.next_ns = SL_MIN(d.next_ns, next_ns[i]);
    return d;
}
