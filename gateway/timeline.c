/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/timeline.h"

#include <math.h>
#include <stdio.h>

#include "gateway/gateway.h"
#include "runtime/alloc.h"

#define STEPS_MAX 720u

enum kind { KIND_MEAN, KIND_MOST };

static const struct {
    const char *name, *unit;
    enum kind kind;
} series[] = {
#define SERIES(name, unit, kind, doc) {#name, unit, KIND_##kind},
#include "gateway/timeline.def"
};

static const struct {
    const char *name;
    uint32_t step_s, steps;
} spans[] = {{"1h", 10, 360}, {"12h", 60, 720}, {"72h", 600, 432}};

struct ring {
    uint64_t last; /* The number of the newest step, since 1970; 0: there is none. */
    uint32_t count[SL_TIMELINE_SERIES]; /* Of values in that step. */
    float values[STEPS_MAX][SL_TIMELINE_SERIES];
};

struct sl_timeline {
    struct ring rings[SL_TIMELINE_SPANS];
};

struct sl_timeline *
sl_timeline_create(void)
{
    return sl_zalloc(sizeof(struct sl_timeline));
}

void
sl_timeline_destroy(struct sl_timeline **timeline)
{
    sl_free(*timeline);
    *timeline = NULL;
}

static void
clear_step(float values[SL_TIMELINE_SERIES])
{
    for (uint32_t i = 0; i < SL_TIMELINE_SERIES; i++)
        values[i] = NAN;
}

/* Steps between the newest and this one are gaps. */
static void
advance(struct ring *r, uint32_t steps, uint64_t step)
{
    uint64_t first = r->last == 0 || step - r->last > steps ? step - steps + 1 : r->last + 1;
    for (uint64_t i = first; i <= step; i++)
        clear_step(r->values[i % steps]);
    memset(r->count, 0, sizeof(r->count));
    r->last = step;
}

static float
fold(enum kind kind, float had, uint32_t count, float value)
{
    if (count == 0)
        return value;
    return kind == KIND_MOST ? fmaxf(had, value)
                             : had + (value - had) / (float)(count + 1); /* The mean so far. */
}

void
sl_timeline_add(struct sl_timeline *timeline, uint64_t now_ms,
                const float values[static SL_TIMELINE_SERIES])
{
    for (uint32_t i = 0; i < SL_TIMELINE_SPANS; i++) {
        struct ring *r = &timeline->rings[i];
        uint64_t step = now_ms / 1000 / spans[i].step_s;
        if (step < spans[i].steps)
            continue;
        if (step + spans[i].steps < r->last)
            r->last = 0; /* All of it is cleared below. */
        if (step < r->last)
            continue;
        if (step > r->last)
            advance(r, spans[i].steps, step);
        float *at = r->values[step % spans[i].steps];
        for (uint32_t j = 0; j < SL_TIMELINE_SERIES; j++) {
            if (!isfinite(values[j]))
                continue;
            at[j] = fold(series[j].kind, at[j], r->count[j], values[j]);
            r->count[j]++;
        }
    }
}

enum sl_timeline_span
sl_timeline_span(struct sl_slice text)
{
    uint32_t i = 0;
    while (i < SL_TIMELINE_SPANS && !sl_slice_is(text, spans[i].name))
        i++;
    return (enum sl_timeline_span)i;
}

static void
write_value(struct sl_jsonw *w, float value)
{
    char text[32];
    if (isfinite(value))
        (void)snprintf(text, sizeof(text), "%.6g", (double)value);
    sl_jsonw_raw(w, sl_slice_str(isfinite(value) ? text : "null"));
}

void
sl_timeline_write(const struct sl_timeline *timeline, enum sl_timeline_span span,
                  struct sl_jsonw *w)
{
    sl_assert(span < SL_TIMELINE_SPANS);
    const struct ring *r = &timeline->rings[span];
    uint32_t steps = spans[span].steps;
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "step_s", spans[span].step_s);
    sl_jsonw_member_u64(w, "end", r->last == 0 ? 0 : (r->last + 1) * spans[span].step_s);
    sl_jsonw_name(w, "units");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < SL_TIMELINE_SERIES; i++)
        sl_jsonw_member_str(w, series[i].name, series[i].unit);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "series");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < SL_TIMELINE_SERIES; i++) {
        sl_jsonw_name(w, series[i].name);
        sl_jsonw_array(w);
        for (uint32_t j = 0; j < steps; j++)
            write_value(w, r->last == 0 ? NAN : r->values[(r->last + 1 + j) % steps][i]);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* ---- the route ----------------------------------------------------------------------------- */

sl_handler_fn sl_api_get_history;

void
sl_api_get_history(struct sl_call *call)
{
    struct sl_slice text = sl_call_query(call, "span");
    enum sl_timeline_span span = text.data == NULL ? SL_TIMELINE_1H : sl_timeline_span(text);
    if (span == SL_TIMELINE_SPANS)
        sl_call_invalid(call, "query.span", "value_error", "must be 1h, 12h or 72h");
    else if (call->gateway->timeline == NULL)
        sl_call_fail(call, SL_API_UNAVAILABLE, "no history is kept here");
    else
        sl_timeline_write(call->gateway->timeline, span, &call->out);
}
