/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_shrink.h"

#include "runtime/alloc.h"

struct search {
    const struct sl_shrink_options *options;
    struct sl_shrink *best;
    uint32_t *trial;
};

static bool
is_over(const struct search *s)
{
    const struct sl_shrink_options *o = s->options;
    return s->best->runs >= o->runs_max || (o->is_over != NULL && o->is_over(o->arg));
}

/* Whether the run still fails with all but [from, to) of the best list. */
static bool
fails_without(struct search *s, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->best->count; i++) {
        if (i < from || i >= to)
            s->trial[count++] = s->best->only[i];
    }
    struct sl_simulate_options run = *s->options->run;
    struct sl_simulate_result result;
    run.only = s->trial;
    run.only_count = count;
    sl_simulate(&run, &result);
    sl_simulate_result_deinit(&result);
    s->best->runs++;
    if (result.is_ok)
        return false;
    memcpy(s->best->only, s->trial, count * sizeof(s->trial[0]));
    s->best->count = count;
    return true;
}

/* One round over all parts; false: none could be left out. */
static bool
leave_out(struct search *s, uint32_t parts)
{
    bool is_less = false;
    uint32_t size = (s->best->count + parts - 1) / parts;
    for (uint32_t from = 0; from < s->best->count && !is_over(s);) {
        if (fails_without(s, from, from + size))
            is_less = true;
        else
            from += size;
    }
    return is_less;
}

void
sl_simulate_shrink(const struct sl_shrink_options *options, struct sl_shrink *ret_shrink)
{
    const struct sl_simulate_options *run = options->run;
    uint32_t count = run->only != NULL ? run->only_count : (uint32_t)options->faults_planned;
    *ret_shrink = (struct sl_shrink){.count = count};
    ret_shrink->only = sl_alloc((count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++)
        ret_shrink->only[i] = run->only != NULL ? run->only[i] : i;
    struct search s = {.options = options, .best = ret_shrink};
    s.trial = sl_alloc((count + 1) * sizeof(uint32_t));
    uint32_t parts = 1; /* First without any. */
    while (ret_shrink->count > 0 && !is_over(&s)) {
        bool is_less = leave_out(&s, SL_MIN(parts, ret_shrink->count));
        if (!is_less && parts >= ret_shrink->count)
            break;
        parts = is_less ? SL_MAX(parts / 2, UINT32_C(2)) : parts * 2;
    }
    sl_free(s.trial);
}

void
sl_shrink_deinit(struct sl_shrink *shrink)
{
    sl_free(shrink->only);
    *shrink = (struct sl_shrink){0};
}
