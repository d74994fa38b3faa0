/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/share.h"

#include "runtime/alloc.h"

/*
 * Start-time fair queueing over a heap with four children a node: a node's children are one cache
 * line. docs/decisions tells why this and not rounds of deficits.
 */
#define SHARE_MAGIC     UINT32_C(0x53484152)
#define CHILDREN        4
#define UNITS_PER_NS    64 /* Of a pass, at weight 1: a microsecond at weight 10,000 is still 6. */
#define AHEAD_MAX       (UINT64_C(1) << 61)
#define REBASE_AT       (UINT64_C(1) << 62)
#define MEAN_SHIFT      3 /* The last task makes an eighth of the mean. */
#define ESTIMATE_MIN_NS SL_MICRO_NS
#define ESTIMATE_NONE   (10 * SL_MILLI_NS) /* Before any task of any lane has ended. */

struct lane {
    uint64_t pass;
    uint64_t mean_ns;  /* 0: no task has ended. */
    uint32_t weight;   /* 0: closed. */
    uint32_t position; /* In the heap; SL_NONE: idle. */
};

struct entry {
    uint64_t pass;
    uint32_t order; /* Grows with each join and grant, and wraps. */
    uint32_t lane;
};

struct sl_share {
    uint32_t magic;
    uint32_t lanes_count, count, capacity;
    struct lane *lanes;
    struct entry *heap;
    uint64_t virtual_pass;
    uint64_t mean_ns; /* Of all lanes. */
    uint32_t order_last;
};

struct sl_share *
sl_share_create(void)
{
    struct sl_share *s = sl_zalloc(sizeof(*s));
    s->magic = SHARE_MAGIC;
    return s;
}

void
sl_share_destroy(struct sl_share **share)
{
    if (*share == NULL)
        return;
    sl_assert((*share)->magic == SHARE_MAGIC);
    sl_free((*share)->lanes);
    sl_free((*share)->heap);
    (*share)->magic = 0;
    sl_free(*share);
    *share = NULL;
}

static struct lane *
lookup(const struct sl_share *s, uint32_t lane)
{
    sl_assert(s->magic == SHARE_MAGIC);
    sl_assert(lane < s->lanes_count && s->lanes[lane].weight > 0);
    return &s->lanes[lane];
}

static inline bool
is_before(const struct entry *a, const struct entry *b)
{
    if (a->pass != b->pass)
        return a->pass < b->pass;
    return (int32_t)(a->order - b->order) < 0;
}

static inline void
put(struct sl_share *s, uint32_t at, struct entry e)
{
    s->heap[at] = e;
    s->lanes[e.lane].position = at;
}

static void
sift_up(struct sl_share *s, uint32_t at, struct entry e)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!is_before(&e, &s->heap[parent]))
            break;
        put(s, at, s->heap[parent]);
        at = parent;
    }
    put(s, at, e);
}

static void
sift_down(struct sl_share *s, uint32_t at, struct entry e)
{
    for (;;) {
        uint32_t first = at * CHILDREN + 1, least = first;
        if (first >= s->count)
            break;
        uint32_t end = SL_MIN(first + CHILDREN, s->count);
        for (uint32_t child = first + 1; child < end; child++) {
            if (is_before(&s->heap[child], &s->heap[least]))
                least = child;
        }
        if (!is_before(&s->heap[least], &e))
            break;
        put(s, at, s->heap[least]);
        at = least;
    }
    put(s, at, e);
}

/* Put an entry in the place of another, which is gone. */
static void
replace(struct sl_share *s, uint32_t at, struct entry e)
{
    if (at > 0 && is_before(&e, &s->heap[(at - 1) / CHILDREN]))
        sift_up(s, at, e);
    else
        sift_down(s, at, e);
}

static uint64_t
units(uint64_t cost_ns, uint32_t weight)
{
    /* At least one, so that even tasks that seem to cost nothing take turns. */
    uint64_t scaled = SL_MIN(cost_ns, SL_SHARE_COST_MAX_NS) * UNITS_PER_NS;
    return SL_MAX((scaled + weight - 1) / weight, 1);
}

/* Passes only grow. Once in weeks, take from all what even idle lanes would begin with. */
static void
rebase(struct sl_share *s)
{
    uint64_t base = s->virtual_pass;
    s->virtual_pass = 0;
    for (uint32_t i = 0; i < s->lanes_count; i++)
        s->lanes[i].pass -= SL_MIN(s->lanes[i].pass, base);
    for (uint32_t i = 0; i < s->count; i++)
        s->heap[i].pass = s->lanes[s->heap[i].lane].pass;
    /* Lanes behind the virtual time are level with it now: order them anew, none is lost. */
    for (uint32_t i = s->count; i-- > 0;)
        sift_down(s, i, s->heap[i]);
}

static void
set_pass(struct sl_share *s, struct lane *l, uint64_t pass)
{
    l->pass = SL_MIN(pass, s->virtual_pass + AHEAD_MAX);
    if (l->position == SL_NONE)
        return;
    struct entry e = s->heap[l->position];
    e.pass = l->pass;
    replace(s, l->position, e);
}

enum sl_err
sl_share_open(struct sl_share *s, uint32_t lane, uint32_t weight)
{
    sl_assert(s->magic == SHARE_MAGIC);
    sl_assert(lane < SL_NONE);
    if (weight == 0 || weight > SL_SHARE_WEIGHT_MAX)
        return SL_EINVAL;
    if (lane >= s->lanes_count) {
        uint32_t count = (uint32_t)SL_MIN((uint64_t)lane + lane / 2 + 16, SL_NONE);
        s->lanes = sl_realloc(s->lanes, count * sizeof(*s->lanes));
        for (uint32_t i = s->lanes_count; i < count; i++)
            s->lanes[i] = (struct lane){.position = SL_NONE};
        s->lanes_count = count;
    }
    s->lanes[lane].weight = weight;
    return SL_OK;
}

void
sl_share_close(struct sl_share *s, uint32_t lane)
{
    sl_share_leave(s, lane);
    s->lanes[lane] = (struct lane){.position = SL_NONE};
}

void
sl_share_join(struct sl_share *s, uint32_t lane)
{
    struct lane *l = lookup(s, lane);
    if (l->position != SL_NONE)
        return;
    if (s->count == s->capacity) {
        s->capacity = SL_MAX(s->capacity * 2, UINT32_C(16));
        s->heap = sl_realloc(s->heap, s->capacity * sizeof(*s->heap));
    }
    l->pass = SL_MAX(l->pass, s->virtual_pass);
    sift_up(s, s->count++, (struct entry){l->pass, ++s->order_last, lane});
}

void
sl_share_leave(struct sl_share *s, uint32_t lane)
{
    struct lane *l = lookup(s, lane);
    if (l->position == SL_NONE)
        return;
    uint32_t hole = l->position;
    l->position = SL_NONE;
    s->count--;
    if (hole < s->count)
        replace(s, hole, s->heap[s->count]);
}

uint32_t
sl_share_next(const struct sl_share *s)
{
    sl_assert(s->magic == SHARE_MAGIC);
    return s->count == 0 ? SL_NONE : s->heap[0].lane;
}

uint64_t
sl_share_estimate_ns(const struct sl_share *s, uint32_t lane)
{
    const struct lane *l = lookup(s, lane);
    uint64_t ns = l->mean_ns != 0 ? l->mean_ns : s->mean_ns != 0 ? s->mean_ns : ESTIMATE_NONE;
    return SL_MAX(ns, ESTIMATE_MIN_NS);
}

uint64_t
sl_share_grant(struct sl_share *s, uint32_t lane)
{
    struct lane *l = lookup(s, lane);
    uint64_t cost_ns = sl_share_estimate_ns(s, lane);
    s->virtual_pass = SL_MAX(s->virtual_pass, l->pass);
    if (s->virtual_pass >= REBASE_AT)
        rebase(s);
    if (l->position != SL_NONE)
        s->heap[l->position].order = ++s->order_last;
    set_pass(s, l, l->pass + units(cost_ns, l->weight));
    return cost_ns;
}

void
sl_share_charge(struct sl_share *s, uint32_t lane, uint64_t cost_ns)
{
    struct lane *l = lookup(s, lane);
    set_pass(s, l, l->pass + units(cost_ns, l->weight));
}

static void
take_back(struct sl_share *s, struct lane *l, uint64_t charged_ns, uint64_t actual)
{
    uint64_t charged = units(charged_ns, l->weight);
    uint64_t pass = l->pass + actual;
    set_pass(s, l, pass - SL_MIN(pass, charged));
}

/* A mean that follows, but not one slow task alone: an eighth of each. */
static uint64_t
follow(uint64_t mean_ns, uint64_t sample_ns)
{
    sample_ns = SL_MAX(SL_MIN(sample_ns, SL_SHARE_COST_MAX_NS), 1);
    if (mean_ns == 0)
        return sample_ns;
    return SL_MAX(mean_ns - (mean_ns >> MEAN_SHIFT) + (sample_ns >> MEAN_SHIFT), 1);
}

void
sl_share_settle(struct sl_share *s, uint32_t lane, uint64_t charged_ns, uint64_t actual_ns)
{
    struct lane *l = lookup(s, lane);
    take_back(s, l, charged_ns, units(actual_ns, l->weight));
    l->mean_ns = follow(l->mean_ns, actual_ns);
    s->mean_ns = follow(s->mean_ns, actual_ns);
}

void
sl_share_refund(struct sl_share *s, uint32_t lane, uint64_t charged_ns)
{
    take_back(s, lookup(s, lane), charged_ns, 0);
}

uint32_t
sl_share_waiting_count(const struct sl_share *s)
{
    sl_assert(s->magic == SHARE_MAGIC);
    return s->count;
}

uint32_t
sl_share_waiting(const struct sl_share *s, uint32_t i)
{
    sl_assert(s->magic == SHARE_MAGIC);
    sl_assert(i < s->count);
    return s->heap[i].lane;
}
