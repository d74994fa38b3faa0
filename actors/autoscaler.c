/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/autoscaler.h"

#include <math.h>

#include "actors/step_mean.h"
#include "actors/step_window.h"
#include "runtime/alloc.h"

#define AUTOSCALER_MAGIC 0x61757363u
#define SECOND           UINT64_C(1000000000)

/* After a step that factors or rates made smaller than the need, the next one. */
#define PACE_NS        (SECOND / 10)
#define PANIC_LEAST_NS SL_SECOND_NS

/* Of which arrivals are counted, at least. */
#define RATE_NS SECOND

struct sl_autoscaler {
    uint32_t magic;
    uint32_t replicas;
    struct sl_scale_settings settings;
    struct sl_step_mean stable, burst;
    struct sl_step_mean running;           /* Over look_back, as: */
    struct sl_step_mean answered, arrived; /* counts, whose means say how fast they grow. */
    struct sl_step_window up, down;        /* Of what was desired. */
    struct sl_step_window zero;            /* Of whether there was any work. */
    uint64_t panic_until_ns;               /* 0: there is none. */
};

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
    sl_step_window_init(&a->zero, false, s->zero_delay_ns, a->replicas > 0);
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

const struct sl_scale_settings *
sl_autoscaler_settings(const struct sl_autoscaler *a)
{
    check(a);
    return &a->settings;
}

/* ---- deciding ------------------------------------------------------------------------------ */

/* How fast a count grows, per second: its mean lies behind by half its window of that. */
static double
growth(struct sl_step_mean *count, uint64_t now_ns)
{
    uint64_t unused_ns, known_ns = SL_MIN(now_ns - count->start_ns, count->window_ns);
    double mean = sl_step_mean_get(count, now_ns, &unused_ns);
    return known_ns == 0 ? 0 : 2 * (count->value - mean) * (double)SECOND / (double)known_ns;
}

/* By Little's law: what runs, over what is answered a second, is how long one runs. Of the arrivals
 * no more count than are sure. */
static void
look(struct sl_autoscaler *a, const struct sl_scale_input *input, struct sl_scale_facts *f)
{
    uint64_t unused_ns, now_ns = input->at_ns;
    sl_step_mean_push(&a->running, now_ns, input->running);
    sl_step_mean_push(&a->answered, now_ns, (double)input->answered);
    sl_step_mean_push(&a->arrived, now_ns, (double)input->arrived);
    double answers = growth(&a->answered, now_ns), arrivals = growth(&a->arrived, now_ns);
    f->service_s = f->offered = -1;
    if (answers <= 0)
        return;
    f->service_s = sl_step_mean_get(&a->running, now_ns, &unused_ns) / answers;
    double window_s = (double)a->arrived.window_ns / (double)SECOND;
    f->offered = fmax(arrivals - sqrt(arrivals / window_s), 0) * f->service_s;
}

/* A burst stays on until there was none for look_back, and nothing goes down meanwhile. Without a
 * look_back for a moment: that it is over is looked for then, not all the time that it lasts. */
static bool
is_panic(struct sl_autoscaler *a, const struct sl_scale_facts *f)
{
    if (sl_scale_is_burst(&a->settings, f))
        a->panic_until_ns = f->at_ns + SL_MAX(a->settings.look_back_ns, PANIC_LEAST_NS) + 1;
    if (a->panic_until_ns <= f->at_ns)
        a->panic_until_ns = 0;
    return a->panic_until_ns != 0;
}

struct sl_scale_decision
sl_autoscaler_decide(struct sl_autoscaler *a, const struct sl_scale_input *input)
{
    check(a);
    const struct sl_scale_settings *s = &a->settings;
    uint64_t now_ns = input->at_ns, next_ns[5];
    double demand = (double)input->waiting + input->running;
    struct sl_scale_facts f = {.at_ns = now_ns,
                               .waiting = input->waiting,
                               .running = input->running,
                               .has = a->replicas,
                               .room = input->room};
    sl_step_mean_push(&a->stable, now_ns, demand);
    sl_step_mean_push(&a->burst, now_ns, demand);
    f.stable = sl_step_mean_get(&a->stable, now_ns, &next_ns[0]);
    f.burst = sl_step_mean_get(&a->burst, now_ns, &next_ns[1]);
    look(a, input, &f);
    if (f.service_s < 0 || f.service_s * (double)SECOND >= (double)s->panic_ns)
        f.burst = demand; /* Those that come and go more slowly than the window need none. */
    f.is_panic = is_panic(a, &f);
    struct sl_scale_verdict v = sl_scale_desire(s, &f);
    sl_step_window_push(&a->up, now_ns, v.desired);
    sl_step_window_push(&a->down, now_ns, v.desired);
    sl_step_window_push(&a->zero, now_ns, demand > 0);
    f.up = sl_step_window_extreme(&a->up, now_ns, &next_ns[2]);
    f.down = sl_step_window_extreme(&a->down, now_ns, &next_ns[3]);
    f.zero = sl_step_window_extreme(&a->zero, now_ns, &next_ns[4]);
    sl_scale_settle(s, &f, &v);
    a->replicas = v.replicas;
    uint64_t at_ns = a->panic_until_ns == 0 ? UINT64_MAX : a->panic_until_ns;
    if (a->replicas != f.has && a->replicas != clamp(s, sl_scale_need(s, f.stable)))
        at_ns = SL_MIN(at_ns, now_ns + PACE_NS);
    for (uint32_t i = 0; i < SL_COUNT_OF(next_ns); i++)
        at_ns = SL_MIN(at_ns, next_ns[i]);
    return (struct sl_scale_decision){.replicas = v.replicas,
                                      .desired = v.desired,
                                      .reason = v.reason,
                                      .next_ns = at_ns,
                                      .facts = f,
                                      .verdict = v};
}
