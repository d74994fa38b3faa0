/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns are start-time fair queueing: each lane has the virtual time at which its oldest entry
 * starts, the lane with the least is next, and what it takes moves its own start on by the units
 * taken. A lane that had nothing starts where the others are: waiting earns nothing. But not before
 * it has made up for what it took: or who keeps a single large entry waiting would have each second
 * turn. So the start of a lane that empties is kept until the others are there.
 */
#include "extractors/batcher.h"

#include "runtime/alloc.h"

#define BATCHER_MAGIC 0x42544348u
#define GONE_MAX      64u /* Beyond it, that with the least to make up for is forgotten. */

struct lane {
    uint64_t scope, start;
    struct sl_batch_entry *oldest, *newest;
};

struct sl_batcher {
    uint32_t magic;
    struct sl_batch_plan plan;
    uint32_t count, lanes_count, gone_count;
    uint64_t units;                            /* Of all that waits. */
    uint64_t now;                              /* Virtual: the start of what was taken last. */
    struct lane lanes[SL_BATCHER_WAITING_MAX]; /* [0, lanes_count) hold some, in no order. */
    struct {
        uint64_t scope, start;
    } gone[GONE_MAX]; /* Of lanes that emptied; no scope twice, and none that has a lane. */
};

static void
check(const struct sl_batcher *b)
{
    sl_assert(b != NULL);
    sl_assert(b->magic == BATCHER_MAGIC);
}

struct sl_batcher *
sl_batcher_create(const struct sl_batch_plan *plan)
{
    sl_assert(plan->units_max <= SL_BATCH_UNITS_MAX && plan->items_max <= SL_BATCH_ITEMS_MAX);
    sl_assert(plan->delay_ns <= SL_BATCH_DELAY_MAX_NS);
    struct sl_batcher *b = sl_zalloc(sizeof(*b));
    b->magic = BATCHER_MAGIC;
    b->plan = *plan;
    if (plan->units_max == 0)
        b->plan.units_max = SL_BATCH_UNITS_MAX;
    if (plan->items_max == 0)
        b->plan.items_max = SL_BATCH_ITEMS_MAX;
    return b;
}

void
sl_batcher_destroy(struct sl_batcher **batcher)
{
    struct sl_batcher *b = *batcher;
    *batcher = NULL;
    if (b == NULL)
        return;
    check(b);
    sl_assert(b->count == 0);
    b->magic = 0;
    sl_free(b);
}

uint32_t
sl_batcher_count(const struct sl_batcher *b)
{
    check(b);
    return b->count;
}

bool
sl_batcher_is_full(const struct sl_batcher *b)
{
    check(b);
    return b->count == SL_BATCHER_WAITING_MAX;
}

static void
forget(struct sl_batcher *b, uint32_t i)
{
    b->gone[i] = b->gone[--b->gone_count];
}

static void
keep_start(struct sl_batcher *b, const struct lane *lane)
{
    uint32_t least = 0;
    for (uint32_t i = b->gone_count; i-- > 0;) {
        if (b->gone[i].start <= b->now)
            forget(b, i);
    }
    for (uint32_t i = 1; i < b->gone_count; i++)
        least = b->gone[i].start < b->gone[least].start ? i : least;
    if (lane->start <= b->now || (b->gone_count == GONE_MAX && lane->start <= b->gone[least].start))
        return;
    if (b->gone_count == GONE_MAX)
        forget(b, least);
    b->gone[b->gone_count].scope = lane->scope;
    b->gone[b->gone_count++].start = lane->start;
}

static uint64_t
start_of(struct sl_batcher *b, uint64_t scope)
{
    for (uint32_t i = 0; i < b->gone_count; i++) {
        uint64_t start = b->gone[i].start;
        if (b->gone[i].scope != scope)
            continue;
        forget(b, i);
        return SL_MAX(start, b->now);
    }
    return b->now;
}

static struct lane *
lane_of(struct sl_batcher *b, uint64_t scope)
{
    for (uint32_t i = 0; i < b->lanes_count; i++) {
        if (b->lanes[i].scope == scope)
            return &b->lanes[i];
    }
    struct lane *lane = &b->lanes[b->lanes_count++];
    *lane = (struct lane){.scope = scope, .start = start_of(b, scope)};
    return lane;
}

void
sl_batcher_add(struct sl_batcher *b, struct sl_batch_entry *entry)
{
    check(b);
    sl_assert(b->count < SL_BATCHER_WAITING_MAX);
    sl_assert(entry->units >= 1 && entry->units <= SL_BATCH_UNITS_MAX);
    struct lane *lane = lane_of(b, entry->scope);
    entry->next = NULL;
    if (lane->oldest == NULL)
        lane->oldest = entry;
    else
        lane->newest->next = entry;
    lane->newest = entry;
    b->units += entry->units;
    b->count++;
}

uint64_t
sl_batcher_due_ns(const struct sl_batcher *b)
{
    check(b);
    if (b->count == 0)
        return UINT64_MAX;
    if (b->plan.delay_ns == 0 || b->count >= b->plan.items_max || b->units >= b->plan.units_max)
        return 0;
    uint64_t arrived_ns = UINT64_MAX;
    for (uint32_t i = 0; i < b->lanes_count; i++)
        arrived_ns = SL_MIN(arrived_ns, b->lanes[i].oldest->arrived_ns);
    return arrived_ns + b->plan.delay_ns;
}

/* Of those that start at the same time the one that came first. */
static struct lane *
next_lane(struct sl_batcher *b)
{
    struct lane *next = &b->lanes[0];
    for (uint32_t i = 1; i < b->lanes_count; i++) {
        struct lane *lane = &b->lanes[i];
        if (lane->start < next->start ||
            (lane->start == next->start && lane->oldest->arrived_ns < next->oldest->arrived_ns))
            next = lane;
    }
    return next;
}

/* Take an entry out of its lane; `before` is the one before it, NULL: it is the oldest. */
static void
unlink_entry(struct sl_batcher *b, struct lane *lane, struct sl_batch_entry *before)
{
    struct sl_batch_entry *entry = before == NULL ? lane->oldest : before->next;
    if (before == NULL)
        lane->oldest = entry->next;
    else
        before->next = entry->next;
    if (lane->newest == entry)
        lane->newest = before;
    entry->next = NULL;
    b->units -= entry->units;
    b->count--;
    if (lane->oldest == NULL) {
        keep_start(b, lane);
        *lane = b->lanes[--b->lanes_count]; /* Order means nothing, so fill the hole. */
    }
}

uint32_t
sl_batcher_take(struct sl_batcher *b, struct sl_batch_entry *ret[SL_BATCH_ITEMS_MAX])
{
    check(b);
    uint32_t count = 0;
    uint64_t units = 0;
    while (b->count > 0 && count < b->plan.items_max) {
        struct lane *lane = next_lane(b);
        struct sl_batch_entry *entry = lane->oldest;
        if (count > 0 && units + entry->units > b->plan.units_max)
            break; /* Its turn stays: the next batch begins with it. */
        units += entry->units;
        b->now = lane->start;
        lane->start += entry->units;
        unlink_entry(b, lane, NULL);
        ret[count++] = entry;
    }
    sl_assert(count <= 1 || units <= b->plan.units_max);
    return count;
}

struct sl_batch_entry *
sl_batcher_remove(struct sl_batcher *b,
                  bool (*is)(const struct sl_batch_entry *entry, const void *arg), const void *arg)
{
    check(b);
    for (uint32_t i = 0; i < b->lanes_count; i++) {
        struct sl_batch_entry *before = NULL, *entry = b->lanes[i].oldest;
        for (; entry != NULL; before = entry, entry = entry->next) {
            if (!is(entry, arg))
                continue;
            unlink_entry(b, &b->lanes[i], before);
            return entry;
        }
    }
    return NULL;
}
