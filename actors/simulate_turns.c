/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_turns.h"

#include <string.h>

#include "runtime/alloc.h"

#define UNKNOWN    INT64_MAX
#define ROUNDED_NS 8 /* A mean of what tasks took is that much above the most of them, at most. */

void
sl_turns_deinit(struct sl_turns *t)
{
    sl_free(t->lanes);
    sl_free(t->bounds);
    *t = (struct sl_turns){0};
}

void
sl_turns_forget(struct sl_turns *t)
{
    sl_turns_deinit(t);
}

static struct sl_turns_lane *
lane_of(struct sl_turns *t, uint32_t lane)
{
    sl_assert(lane < SL_TURNS_LANES_MAX);
    if (lane < t->count)
        return &t->lanes[lane];
    uint32_t count = lane + 1;
    t->lanes = sl_realloc(t->lanes, count * sizeof(t->lanes[0]));
    memset(t->lanes + t->count, 0, (count - t->count) * sizeof(t->lanes[0]));
    int64_t *bounds = sl_alloc((size_t)count * count * sizeof(bounds[0]));
    for (size_t i = 0; i < (size_t)count * count; i++)
        bounds[i] = UNKNOWN;
    for (uint32_t i = 0; i < t->count; i++)
        memcpy(bounds + (size_t)i * count, t->bounds + (size_t)i * t->count,
               t->count * sizeof(bounds[0]));
    sl_free(t->bounds);
    t->bounds = bounds;
    t->count = count;
    return &t->lanes[lane];
}

static int64_t *
bound(const struct sl_turns *t, uint32_t a, uint32_t b)
{
    return &t->bounds[(size_t)a * t->count + b];
}

/* Its next lane of the same class that waits; the number of lanes: there is none. */
static uint32_t
next_rival(const struct sl_turns *t, uint32_t lane, uint32_t from)
{
    while (from < t->count && (from == lane || t->lanes[from].waiting == 0))
        from += 4;
    return SL_MIN(from, t->count);
}

static int64_t
ahead_ns(const struct sl_turns_lane *a, const struct sl_turns_lane *b)
{
    return (int64_t)a->least_ns - (int64_t)b->most_ns;
}

/*
 * b, which never had anything, began no later than who was served last; a may be behind that by as
 * much as was expected too much of it, at any time before.
 */
static void
begin_pair(struct sl_turns *t, uint32_t a, uint32_t b)
{
    const struct sl_turns_lane *first = &t->lanes[a], *second = &t->lanes[b];
    if (!second->was_leased)
        *bound(t, a, b) = ahead_ns(first, second) + (int64_t)(first->under_ns + first->peak_ns);
}

void
sl_turns_wait(struct sl_turns *t, uint32_t lane, uint64_t tasks)
{
    struct sl_turns_lane *l = lane_of(t, lane);
    bool has_begun = l->waiting == 0 && tasks > 0;
    l->waiting += tasks;
    for (uint32_t i = next_rival(t, lane, lane % 4); has_begun && i < t->count;
         i = next_rival(t, lane, i + 4)) {
        begin_pair(t, lane, i);
        begin_pair(t, i, lane);
    }
}

static void
stop_waiting(struct sl_turns *t, uint32_t lane)
{
    for (uint32_t i = lane % 4; i < t->count; i += 4)
        *bound(t, lane, i) = *bound(t, i, lane) = UNKNOWN;
    t->lanes[lane].is_measured = false;
}

/* What can be expected of its next task, at most. Once it had nothing it may have been forgotten.
 */
static uint64_t
expected_ns(const struct sl_turns *t, uint32_t lane)
{
    const struct sl_turns_lane *l = &t->lanes[lane];
    uint64_t most_ns = l->longest_ns;
    if (!l->is_measured)
        most_ns = SL_MAX(SL_MAX(most_ns, t->longest_ns[lane % 4]), SL_TURNS_FIRST_NS);
    return most_ns + ROUNDED_NS + SL_MICRO_NS;
}

bool
sl_turns_lease(struct sl_turns *t, uint32_t lane, bool is_fresh, uint64_t *ret_charge_ns,
               struct sl_turns_fault *ret_fault)
{
    struct sl_turns_lane *l = lane_of(t, lane);
    bool is_turn = true;
    for (uint32_t i = next_rival(t, lane, lane % 4); i < t->count; i = next_rival(t, lane, i + 4)) {
        const struct sl_turns_lane *other = &t->lanes[i];
        int64_t most = *bound(t, lane, i), is = ahead_ns(l, other) - (int64_t)other->under_ns;
        if (most != UNKNOWN && is > most + (int64_t)SL_TURNS_SLACK_NS) {
            *ret_fault = (struct sl_turns_fault){lane, i, (uint64_t)(is - most)};
            is_turn = false;
        }
        if (l->waiting > 0)
            *bound(t, i, lane) =
                SL_MIN(*bound(t, i, lane), ahead_ns(other, l) + (int64_t)other->under_ns);
    }
    *ret_charge_ns = expected_ns(t, lane);
    l->was_leased = true;
    l->under_ns += *ret_charge_ns;
    l->peak_ns = SL_MAX(l->peak_ns, l->under_ns);
    sl_assert(!is_fresh || l->waiting > 0);
    l->waiting -= is_fresh;
    if (l->waiting == 0)
        stop_waiting(t, lane);
    return is_turn;
}

void
sl_turns_end(struct sl_turns *t, uint32_t lane, uint64_t charge_ns, uint64_t served_ns)
{
    struct sl_turns_lane *l = lane_of(t, lane);
    l->under_ns -= charge_ns;
    if (served_ns == 0) {
        l->most_ns += charge_ns;
        return;
    }
    l->least_ns += served_ns;
    l->most_ns += served_ns;
    l->longest_ns = SL_MAX(l->longest_ns, served_ns);
    l->is_measured = l->is_measured || l->waiting > 0;
    uint64_t *longest_ns = &t->longest_ns[lane % 4];
    *longest_ns = SL_MAX(*longest_ns, served_ns);
}

void
sl_turns_back(struct sl_turns *t, uint32_t lane, uint64_t charge_ns)
{
    struct sl_turns_lane *l = lane_of(t, lane);
    l->under_ns -= charge_ns;
    l->most_ns += SL_TURNS_BACK_NS;
}
