/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/group_scaler.h"

#include <inttypes.h>

#include "runtime/alloc.h"

void
sl_scaler_init(struct sl_scaler *s, const struct sl_scaler_options *options)
{
    sl_assert(options->min <= options->max && options->node.places > 0);
    *s = (struct sl_scaler){.options = *options, .surplus_since_ns = UINT64_MAX};
}

void
sl_scaler_reset(struct sl_scaler *s, const struct sl_scaler_options *options)
{
    s->options = *options;
    s->surplus_since_ns = UINT64_MAX; /* What was too many was so by other limits. */
    sl_scaler_unset(s);
}

void
sl_scaler_deinit(struct sl_scaler *s)
{
    sl_free(s->nodes);
    *s = (struct sl_scaler){0};
}

static struct sl_scaler_node *
lookup(const struct sl_scaler *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->nodes[i].number == number)
            return &s->nodes[i];
    }
    return NULL;
}

static uint64_t
count_in(const struct sl_scaler *s, enum sl_scaler_state state)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        count += s->nodes[i].state == state;
    return count;
}

static bool
is_touched(const struct sl_scaler *s, uint64_t now_ns)
{
    return now_ns < s->calls_until_ns ||
           (s->touched_ns != 0 && now_ns - s->touched_ns < s->options.idle_ns);
}

/* Before the limits. */
static uint64_t
needed(const struct sl_scaler *s, uint64_t now_ns)
{
    return SL_MAX(s->needed, (uint64_t)is_touched(s, now_ns));
}

static uint64_t
wanted(const struct sl_scaler *s, uint64_t now_ns)
{
    if (s->is_manual)
        return s->manual;
    return SL_MIN(SL_MAX(needed(s, now_ns), s->options.min), s->options.max);
}

/* ---- what happened ------------------------------------------------------------------------- */

void
sl_scaler_demand(struct sl_scaler *s, const struct sl_pack_kind *kinds, uint32_t count)
{
    s->tasks = 0;
    for (uint32_t i = 0; i < count; i++)
        s->tasks += kinds[i].count;
    s->needed = sl_pack(&s->options.node, kinds, count, &s->unfit);
}

void
sl_scaler_calls(struct sl_scaler *s, uint64_t until_ns, uint64_t now_ns)
{
    s->touched_ns = SL_MAX(now_ns, UINT64_C(1));
    s->calls_until_ns = until_ns;
}

enum sl_err
sl_scaler_set(struct sl_scaler *s, uint64_t replicas)
{
    if (replicas > s->options.max)
        return SL_EINVAL;
    s->is_manual = true;
    s->manual = replicas;
    s->failures = 0; /* Who asks by hand has perhaps mended what was wrong. */
    s->pause_until_ns = 0;
    return SL_OK;
}

void
sl_scaler_unset(struct sl_scaler *s)
{
    s->is_manual = false;
    s->manual = 0;
}

static struct sl_scaler_node *
add(struct sl_scaler *s, uint32_t number, uint64_t now_ns)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
        s->nodes = sl_realloc(s->nodes, s->capacity * sizeof(s->nodes[0]));
    }
    struct sl_scaler_node *n = &s->nodes[s->count++];
    *n = (struct sl_scaler_node){.number = number, .since_ns = now_ns, .idle_since_ns = now_ns};
    return n;
}

static void
drop(struct sl_scaler *s, struct sl_scaler_node *n)
{
    *n = s->nodes[--s->count];
}

void
sl_scaler_started(struct sl_scaler *s, uint32_t number, uint64_t now_ns)
{
    if (lookup(s, number) == NULL)
        add(s, number, now_ns)->is_ours = true;
}

void
sl_scaler_joined(struct sl_scaler *s, uint32_t number, uint64_t now_ns)
{
    struct sl_scaler_node *n = lookup(s, number);
    if (n == NULL)
        n = add(s, number, now_ns);
    if (n->state != SL_SCALER_STARTING)
        return;
    if (n->is_ours) {
        uint64_t took_ns = now_ns - n->since_ns;
        s->start_ns = s->start_ns == 0 ? took_ns : (3 * s->start_ns + took_ns) / 4;
    }
    n->state = SL_SCALER_READY;
    n->since_ns = n->idle_since_ns = now_ns;
}

void
sl_scaler_busy(struct sl_scaler *s, uint32_t number, struct sl_scaler_load load, uint64_t now_ns)
{
    uint64_t busy = load.tasks + load.calls;
    struct sl_scaler_node *n = lookup(s, number);
    if (n == NULL)
        return;
    if (n->state == SL_SCALER_READY && now_ns - n->since_ns >= SL_SCALER_PROVEN_NS)
        s->failures = 0; /* It lives. */
    if (busy > 0 || n->busy > 0)
        n->idle_since_ns = now_ns;
    n->busy = busy;
    n->calls = load.calls;
}

static void
fail(struct sl_scaler *s, uint64_t now_ns)
{
    uint64_t pause_ns = SL_SCALER_PAUSE_FIRST_NS << SL_MIN(s->failures, UINT32_C(20));
    s->failures++;
    s->pause_until_ns = now_ns + SL_MIN(pause_ns, SL_SCALER_PAUSE_MAX_NS);
}

void
sl_scaler_gone(struct sl_scaler *s, uint32_t number, uint64_t now_ns)
{
    struct sl_scaler_node *n = lookup(s, number);
    if (n == NULL)
        return;
    bool is_young = n->state == SL_SCALER_STARTING || now_ns - n->since_ns < SL_SCALER_PROVEN_NS;
    if (n->is_ours && n->state != SL_SCALER_DRAINING && is_young)
        fail(s, now_ns);
    drop(s, n);
}

/* ---- what is to be done -------------------------------------------------------------------- */

static uint64_t
overdue_ns(const struct sl_scaler *s, const struct sl_scaler_node *n)
{
    if (!n->is_ours || n->state == SL_SCALER_READY)
        return UINT64_MAX;
    return n->since_ns + (n->state == SL_SCALER_STARTING ? SL_SCALER_JOIN_NS : s->options.drain_ns);
}

static bool
kill_overdue(struct sl_scaler *s, uint64_t now_ns, struct sl_scaler_order *ret_order)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_scaler_node *n = &s->nodes[i];
        if (now_ns < overdue_ns(s, n))
            continue;
        *ret_order = (struct sl_scaler_order){SL_SCALER_KILL, n->number};
        if (n->state == SL_SCALER_STARTING)
            fail(s, now_ns);
        drop(s, n);
        return true;
    }
    return false;
}

/* Whether `a` is to go rather than `b`: it is not there yet, or has no call and `b` has, or does
 * less, or nothing for longer. */
static bool
goes_before(const struct sl_scaler_node *a, const struct sl_scaler_node *b)
{
    if (a->state != b->state)
        return a->state == SL_SCALER_STARTING;
    if ((a->calls == 0) != (b->calls == 0))
        return a->calls == 0;
    if (a->busy != b->busy)
        return a->busy < b->busy;
    return a->idle_since_ns < b->idle_since_ns;
}

/* The first of ours to go; NULL: those that are there are somebody else's. */
static struct sl_scaler_node *
least_missed(const struct sl_scaler *s)
{
    struct sl_scaler_node *least = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_scaler_node *n = &s->nodes[i];
        if (n->is_ours && n->state != SL_SCALER_DRAINING &&
            (least == NULL || goes_before(n, least)))
            least = n;
    }
    return least;
}

static void
stop(struct sl_scaler *s, struct sl_scaler_node *n, uint64_t now_ns,
     struct sl_scaler_order *ret_order)
{
    bool is_there = n->state == SL_SCALER_READY;
    *ret_order = (struct sl_scaler_order){is_there ? SL_SCALER_DRAIN : SL_SCALER_KILL, n->number};
    if (is_there) {
        n->state = SL_SCALER_DRAINING;
        n->since_ns = now_ns;
    } else {
        drop(s, n);
    }
}

/*
 * `live` are more than are wanted: whether one may go. By hand at once, and what is above the
 * limit, else when the idle delay is over and not all of them were needed at its busiest moment;
 * then another delay begins.
 */
static bool
may_stop(struct sl_scaler *s, uint64_t live, uint64_t want, uint64_t now_ns)
{
    if (s->is_manual || live > s->options.max) /* The limit was lowered. */
        return true;
    if (s->surplus_since_ns == UINT64_MAX) {
        s->surplus_since_ns = now_ns;
        s->peak = want;
    }
    s->peak = SL_MAX(s->peak, want);
    if (now_ns - s->surplus_since_ns < s->options.idle_ns)
        return false;
    if (s->peak < live)
        return true;
    s->surplus_since_ns = now_ns;
    s->peak = want;
    return s->options.idle_ns == 0;
}

bool
sl_scaler_next(struct sl_scaler *s, uint64_t now_ns, struct sl_scaler_order *ret_order)
{
    if (kill_overdue(s, now_ns, ret_order))
        return true;
    uint64_t want = wanted(s, now_ns);
    uint64_t draining = count_in(s, SL_SCALER_DRAINING), live = s->count - draining;
    struct sl_scaler_node *least = live > want ? least_missed(s) : NULL;
    if (least != NULL && least->calls > 0 && !s->is_manual && live <= s->options.max)
        least = NULL; /* So have all of them: the delay begins when the first has none. */
    if (least == NULL || s->is_manual)
        s->surplus_since_ns = UINT64_MAX;
    if (live < want) {
        /* One that drains is there still, so that max is never passed. */
        if (s->options.no_hardware != NULL || now_ns < s->pause_until_ns ||
            live + draining >= s->options.max)
            return false;
        *ret_order = (struct sl_scaler_order){.what = SL_SCALER_START};
        return true;
    }
    if (least == NULL || !may_stop(s, live, want, now_ns))
        return false;
    stop(s, least, now_ns, ret_order);
    return true;
}

uint64_t
sl_scaler_wake_ns(const struct sl_scaler *s, uint64_t now_ns)
{
    uint64_t live = s->count - count_in(s, SL_SCALER_DRAINING), wake_ns = UINT64_MAX;
    for (uint32_t i = 0; i < s->count; i++)
        wake_ns = SL_MIN(wake_ns, overdue_ns(s, &s->nodes[i]));
    if (live < wanted(s, now_ns) && s->options.no_hardware == NULL && now_ns < s->pause_until_ns)
        wake_ns = SL_MIN(wake_ns, s->pause_until_ns);
    if (s->surplus_since_ns != UINT64_MAX)
        wake_ns = SL_MIN(wake_ns, s->surplus_since_ns + s->options.idle_ns);
    if (is_touched(s, now_ns))
        wake_ns = SL_MIN(wake_ns, SL_MAX(s->touched_ns + s->options.idle_ns, s->calls_until_ns));
    return wake_ns;
}

/* ---- what is told -------------------------------------------------------------------------- */

static enum sl_scaler_condition
condition(const struct sl_scaler *s, uint64_t live, uint64_t ready, uint64_t now_ns)
{
    uint64_t want = wanted(s, now_ns), need = needed(s, now_ns);
    if (s->options.no_hardware != NULL && (live < want || need > live))
        return SL_SCALER_NO_HARDWARE;
    if (s->unfit > 0)
        return SL_SCALER_NO_HARDWARE;
    if (live < want && now_ns < s->pause_until_ns)
        return SL_SCALER_BACK_OFF;
    if (s->is_manual && s->manual < need)
        return SL_SCALER_BY_HAND;
    if (need > s->options.max)
        return SL_SCALER_LIMIT;
    if (ready < want)
        return SL_SCALER_IS_STARTING;
    return want == 0 && s->count == 0 ? SL_SCALER_AT_ZERO : SL_SCALER_OK;
}

struct sl_scaler_view
sl_scaler_view(const struct sl_scaler *s, uint64_t now_ns)
{
    struct sl_scaler_view v = {.wanted = wanted(s, now_ns),
                               .ready = count_in(s, SL_SCALER_READY),
                               .starting = count_in(s, SL_SCALER_STARTING),
                               .draining = count_in(s, SL_SCALER_DRAINING),
                               .start_ms = UINT64_MAX};
    v.condition = condition(s, v.ready + v.starting, v.ready, now_ns);
    uint64_t from_ns = now_ns;
    if (s->start_ns == 0 || s->options.no_hardware != NULL || v.wanted <= v.ready)
        return v;
    if (v.condition == SL_SCALER_BACK_OFF)
        from_ns = s->pause_until_ns;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->nodes[i].state == SL_SCALER_STARTING)
            from_ns = SL_MIN(from_ns, s->nodes[i].since_ns);
    }
    uint64_t there_ns = SL_MAX(from_ns + s->start_ns, now_ns);
    v.start_ms = (there_ns - now_ns + SL_MILLI_NS - 1) / SL_MILLI_NS;
    return v;
}

const char *
sl_scaler_condition_name(enum sl_scaler_condition what)
{
    static const char *const names[] = {"ok",          "at_zero",  "starting", "limit",
                                        "no_hardware", "back_off", "by_hand"};
    sl_assert((unsigned)what < SL_COUNT_OF(names));
    return names[what];
}

static const char *
plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void
sl_scaler_reason(const struct sl_scaler *s, uint64_t now_ns, struct sl_buf *out)
{
    struct sl_scaler_view v = sl_scaler_view(s, now_ns);
    uint64_t need = needed(s, now_ns);
    switch (v.condition) {
    case SL_SCALER_OK:
        break;
    case SL_SCALER_AT_ZERO:
        sl_buf_append_str(out, "at zero: there is no work, and the first task starts a node");
        break;
    case SL_SCALER_IS_STARTING:
        sl_buf_printf(out, "%" PRIu64 " of %" PRIu64 " nodes are there, the others are starting",
                      v.ready, v.wanted);
        break;
    case SL_SCALER_LIMIT:
        sl_buf_printf(out,
                      "no capacity: %" PRIu64 " task%s need %" PRIu64 " node%s, limit %" PRIu64
                      " reached",
                      s->tasks, plural(s->tasks), need, plural(need), s->options.max);
        break;
    case SL_SCALER_NO_HARDWARE:
        if (s->options.no_hardware != NULL)
            sl_buf_printf(out, "no such hardware: %s", s->options.no_hardware);
        else
            sl_buf_printf(out,
                          "no such hardware: %" PRIu64 " task%s need more than a node of the group "
                          "%s has",
                          s->unfit, plural(s->unfit), s->options.group);
        break;
    case SL_SCALER_BACK_OFF:
        sl_buf_printf(
            out, "the last %" PRIu32 " start%s failed: the next is tried in %" PRIu64 " ms",
            s->failures, plural(s->failures), (s->pause_until_ns - now_ns) / SL_MILLI_NS + 1);
        break;
    case SL_SCALER_BY_HAND:
        sl_buf_printf(out,
                      "set to %" PRIu64 " by hand, until the next apply or restart: %" PRIu64
                      " task%s need %" PRIu64 " node%s",
                      s->manual, s->tasks, plural(s->tasks), need, plural(need));
        break;
    }
}
