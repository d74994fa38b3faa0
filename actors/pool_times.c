/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_times.h"

#include <assert.h>
#include <stdio.h>

#include "actors/cluster.h"

#define STEPS_A_DOUBLING 4u
#define STEPS_END        255 /* Where a list of steps ends, packed. */

static_assert(SL_TIMES_STEPS <= STEPS_END, "a step is told from the end");

/* In whole microseconds, up from what they are, so that none lies behind its step's end; above the
 * last step they are as that. */
static uint32_t
step_of(uint64_t ns)
{
    uint64_t us = SL_MAX(ns / 1000 + (ns % 1000 != 0), UINT64_C(1));
    uint32_t doubling = 63 - (uint32_t)__builtin_clzll(us);
    uint64_t rest = us - (UINT64_C(1) << doubling); /* Of the way to the next doubling. */
    uint32_t step = doubling * STEPS_A_DOUBLING +
                    (uint32_t)((doubling < 2 ? rest << (2 - doubling) : rest >> (doubling - 2)));
    return SL_MIN(step, SL_TIMES_STEPS - 1);
}

/* Where it ends. */
static uint64_t
step_end_ns(uint32_t step)
{
    uint32_t doubling = step / STEPS_A_DOUBLING, part = step % STEPS_A_DOUBLING;
    return (UINT64_C(1000) << doubling) * (STEPS_A_DOUBLING + part + 1) / STEPS_A_DOUBLING;
}

static void
add(struct sl_pool_times *t, enum sl_times_part part, uint64_t ns)
{
    t->sum_ns[part] += ns;
    t->steps[part][step_of(ns)]++;
}

void
sl_pool_times_add(struct sl_pool_times *t, const struct sl_item_times *item)
{
    uint64_t sent_ns = SL_MAX(item->sent_ns, item->queued_ns);
    uint64_t ended_ns = SL_MAX(item->ended_ns, sent_ns);
    uint64_t begun_ns = SL_MIN(SL_MAX(item->begun_ns, sent_ns), ended_ns);
    t->count++;
    add(t, SL_TIMES_WAIT, sent_ns - item->queued_ns);
    add(t, SL_TIMES_BATCH_WAIT, begun_ns - sent_ns);
    add(t, SL_TIMES_COMPUTE, ended_ns - begun_ns);
    add(t, SL_TIMES_TOTAL, ended_ns - item->queued_ns);
}

/* The count, the sums, and the steps that are not empty: where, and how many. */
void
sl_pool_times_pack(const struct sl_pool_times *t, struct sl_buf *out)
{
    sl_buf_append_u64(out, t->count);
    for (uint32_t part = 0; part < SL_TIMES_PARTS; part++) {
        sl_buf_append_u64(out, t->sum_ns[part]);
        for (uint32_t i = 0; i < SL_TIMES_STEPS; i++) {
            if (t->steps[part][i] == 0)
                continue;
            sl_buf_append_u8(out, (uint8_t)i);
            sl_buf_append_u32(out, t->steps[part][i]);
        }
        sl_buf_append_u8(out, STEPS_END);
    }
}

bool
sl_pool_times_merge(struct sl_pool_times *t, struct sl_slice packed)
{
    struct sl_reader in = sl_reader(packed);
    struct sl_pool_times sum = *t;
    sum.count += sl_read_u64(&in);
    for (uint32_t part = 0; part < SL_TIMES_PARTS; part++) {
        sum.sum_ns[part] += sl_read_u64(&in);
        for (uint8_t step; (step = sl_read_u8(&in)) != STEPS_END && !in.is_bad;) {
            if (step >= SL_TIMES_STEPS)
                return false;
            sum.steps[part][step] += sl_read_u32(&in);
        }
    }
    if (in.is_bad || in.at != in.end)
        return false;
    *t = sum;
    return true;
}

uint64_t
sl_pool_times_quantile_ns(const struct sl_pool_times *t, enum sl_times_part part, uint32_t permille)
{
    uint64_t total = 0, seen = 0;
    for (uint32_t i = 0; i < SL_TIMES_STEPS; i++)
        total += t->steps[part][i];
    uint64_t rank = (total * permille + 999) / 1000;
    for (uint32_t i = 0; i < SL_TIMES_STEPS && total > 0; i++) {
        seen += t->steps[part][i];
        if (seen >= SL_MAX(rank, UINT64_C(1)))
            return step_end_ns(i);
    }
    return 0;
}

static void
write_ms(struct sl_jsonw *w, const char *name, uint64_t ns)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%.3f", (double)ns / (double)SL_MILLI_NS);
    sl_jsonw_member_raw(w, name, sl_slice_str(text));
}

void
sl_pool_times_write(const struct sl_pool_times *t, struct sl_jsonw *w)
{
    static const char *const names[SL_TIMES_PARTS] = {"wait", "batch_wait", "compute", "total"};
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "count", t->count);
    for (uint32_t i = 0; i < SL_TIMES_PARTS; i++) {
        sl_jsonw_name(w, names[i]);
        sl_jsonw_object(w);
        write_ms(w, "sum_ms", t->sum_ns[i]);
        write_ms(w, "p50_ms", sl_pool_times_quantile_ns(t, (enum sl_times_part)i, 500));
        write_ms(w, "p95_ms", sl_pool_times_quantile_ns(t, (enum sl_times_part)i, 950));
        write_ms(w, "p99_ms", sl_pool_times_quantile_ns(t, (enum sl_times_part)i, 990));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* What `earlier` and `later` lie apart, by a clock of which either may not be known. */
static uint64_t
between(uint64_t earlier_ns, uint64_t later_ns)
{
    return earlier_ns == 0 || later_ns < earlier_ns ? 0 : later_ns - earlier_ns;
}

struct sl_item_phases
sl_item_phases_of(const struct sl_item_times *item)
{
    uint64_t begun_ns = SL_MIN(SL_MAX(item->begun_ns, item->sent_ns), item->ended_ns);
    return (struct sl_item_phases){.queued_ns = between(item->queued_ns, item->sent_ns),
                                   .batched_ns = between(item->sent_ns, begun_ns),
                                   .computed_ns = between(begun_ns, item->ended_ns)};
}
