/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/lane.h"

#include "queue/apart.h"
#include "queue/lease.h"
#include "queue/options.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define HANDLED_NS (50 * SL_MICRO_NS) /* About what a lease costs that comes to nothing. */

static uint64_t
hash_key(struct sl_lane_key key)
{
    return sl_table_mix(sl_table_mix(key.scope.id) ^ (key.hash << 2 | key.class));
}

struct sl_lane *
sl_lane_lookup(const struct sl_queue *q, struct sl_lane_key key)
{
    struct sl_table_link *link = sl_table_find(&q->lanes_by_key, hash_key(key));
    for (; link != NULL; link = sl_table_next(link)) {
        struct sl_lane *lane = SL_CONTAINER(link, struct sl_lane, link);
        if (lane->scope.id == key.scope.id && lane->class == key.class && lane->hash == key.hash)
            return lane;
    }
    return NULL;
}

static struct sl_share *
share_of(const struct sl_queue *q, const struct sl_lane *lane)
{
    return lane->class < SL_CLASS_COUNT ? q->shares[lane->class] : NULL;
}

static void
open_share(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_share *share = share_of(q, lane);
    if (share != NULL &&
        sl_share_open(share, lane->number, SL_MAX(lane->settings.weight, 1u)) != SL_OK)
        (void)SL_BUG(true); /* Weights are checked before. */
}

static uint32_t
free_number(struct sl_queue *q)
{
    if (q->lanes_free > 0)
        return q->lane_numbers_free[--q->lanes_free];
    if (q->lanes_count == q->lanes_capacity) {
        q->lanes_capacity = SL_MAX(q->lanes_capacity * 2, (uint32_t)16);
        q->lanes = sl_realloc(q->lanes, q->lanes_capacity * sizeof(struct sl_lane *));
        q->lane_numbers_free =
            sl_realloc(q->lane_numbers_free, q->lanes_capacity * sizeof(uint32_t));
    }
    return q->lanes_count++;
}

static struct sl_lane *
make(struct sl_queue *q, struct sl_lane_key key, struct sl_slice name)
{
    struct sl_lane *lane = sl_zalloc(sizeof(*lane));
    lane->scope = key.scope;
    lane->class = key.class;
    lane->hash = key.hash;
    lane->name = name.size == 0 ? NULL : sl_strndup(name.data, name.size);
    lane->number = free_number(q);
    lane->is_apart = key.class < SL_CLASS_COUNT && sl_queue_is_apart(q, key.scope);
    for (int i = 0; i < SL_PRIORITIES; i++) {
        sl_list_init(&lane->ready[i]);
        lane->returned[i] = SL_NONE;
    }
    sl_list_init(&lane->failed);
    q->lanes[lane->number] = lane;
    return lane;
}

struct sl_lane *
sl_lane_add(struct sl_queue *q, struct sl_lane_key key, struct sl_slice name)
{
    struct sl_lane *lane = sl_lane_lookup(q, key);
    if (lane != NULL)
        return lane;
    lane = make(q, key, name);
    sl_table_insert(&q->lanes_by_key, &lane->link, hash_key(key));
    open_share(q, lane);
    return lane;
}

static void
link_dropped(struct sl_queue *q, struct sl_lane *lane)
{
    lane->settings = (struct sl_lane_settings){.mode = SL_LANE_CLOSED};
    lane->is_set = false;
    lane->is_dropped = true;
    lane->dropped_next = q->dropped;
    q->dropped = lane;
}

struct sl_lane *
sl_lane_add_dropped(struct sl_queue *q, struct sl_lane_key key, struct sl_slice name)
{
    struct sl_lane *lane = make(q, key, name);
    link_dropped(q, lane);
    return lane;
}

void
sl_lane_free(struct sl_lane *lane)
{
    if (lane == NULL)
        return;
    sl_free(lane->name);
    sl_free(lane->trail);
    sl_free(lane);
}

/* ---- turns --------------------------------------------------------------------------------- */

struct sl_lane *
sl_lane_turn(const struct sl_queue *q, enum sl_class class)
{
    sl_assert(class < SL_CLASS_COUNT);
    uint32_t number = sl_share_next(q->shares[class]);
    return number == SL_NONE ? NULL : q->lanes[number];
}

/* ---- rates --------------------------------------------------------------------------------- */

static bool
has_rate(const struct sl_lane *lane)
{
    return lane->settings.rate > 0 && lane->settings.rate_period_ms > 0;
}

static struct sl_rate
rate_of(const struct sl_lane *lane)
{
    return (struct sl_rate){.count = lane->settings.rate,
                            .burst = SL_MAX(lane->settings.burst, 1u),
                            .period_ns = lane->settings.rate_period_ms * SL_MILLI_NS};
}

static void
unthrottle(struct sl_queue *q, struct sl_lane *lane)
{
    if (!lane->is_throttled)
        return;
    sl_heap_remove(&q->throttled, lane->throttled);
    lane->is_throttled = false;
}

void
sl_lane_begin(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_rate rate = rate_of(lane);
    unthrottle(q, lane);
    if (has_rate(lane))
        sl_bucket_init(&lane->bucket, &rate, q->now_ns);
}

static void
throttle_until(struct sl_queue *q, struct sl_lane *lane, uint64_t next_ns)
{
    lane->is_throttled = true;
    sl_heap_push(&q->throttled, (struct sl_heap_entry){.key = next_ns,
                                                       .order = lane->number,
                                                       .position = &lane->throttled});
}

/* Out of turns until there is a token. */
static void
throttle(struct sl_queue *q, struct sl_lane *lane, uint64_t now_ns)
{
    struct sl_rate rate = rate_of(lane);
    uint64_t next_ns = has_rate(lane) ? sl_bucket_next_ns(&lane->bucket, &rate, now_ns, 1) : now_ns;
    if (next_ns > now_ns)
        throttle_until(q, lane, next_ns);
}

void
sl_lane_step_aside(struct sl_queue *q, struct sl_lane *lane)
{
    if (!lane->is_throttled)
        throttle_until(q, lane, q->now_ns + 1); /* Not again by the same reading of the clock. */
    sl_lane_settle(q, lane);
}

void
sl_lane_wake(struct sl_queue *q, uint64_t now_ns)
{
    while (q->throttled.count > 0 && q->throttled.entries[0].key <= now_ns) {
        struct sl_lane *lane =
            SL_CONTAINER(q->throttled.entries[0].position, struct sl_lane, throttled);
        unthrottle(q, lane);
        throttle(q, lane, now_ns); /* A clock that jumped may have promised too much. */
        sl_lane_settle(q, lane);
    }
    if (q->has_limits)
        sl_options_tick(q, now_ns);
}

void
sl_lane_grant(struct sl_queue *q, struct sl_lane *lane, struct sl_held *held)
{
    struct sl_share *share = share_of(q, lane);
    struct sl_rate rate = rate_of(lane);
    if (share != NULL)
        held->charged_ns = sl_share_grant(share, lane->number);
    if (!has_rate(lane))
        return;
    (void)SL_BUG(!sl_bucket_take(&lane->bucket, &rate, held->since_ns, 1));
    throttle(q, lane, held->since_ns);
}

void
sl_lane_pay(struct sl_queue *q, struct sl_lane *lane, const struct sl_held *held)
{
    struct sl_share *share = share_of(q, lane);
    if (share == NULL)
        return;
    /* Of one whose time nobody told, as of a lapsed one, what was expected is the best guess: it
     * may have waited at its holder for longer than it ran. */
    if (!held->is_served)
        return;
    if (held->served_ns > 0) {
        sl_share_settle(share, lane->number, held->charged_ns, held->served_ns);
        return;
    }
    /* Not for nothing: a lane whose tasks all come back, or end before they run, would have the
     * turn until it has none left. */
    sl_share_refund(share, lane->number, held->charged_ns);
    sl_share_charge(share, lane->number, HANDLED_NS);
}

/* ---- ready tasks --------------------------------------------------------------------------- */

static bool
hands_out(const struct sl_lane *lane)
{
    const struct sl_lane_settings *s = &lane->settings;
    return lane->priorities != 0 && !lane->is_throttled && sl_lane_mode_gives(s->mode) &&
           (s->running_max == 0 || lane->count[SL_STATE_RUNNING] < s->running_max);
}

void
sl_lane_ready_add(struct sl_queue *q, struct sl_lane *lane, uint32_t slot, bool has_returned)
{
    uint32_t priority = sl_task_at(q, slot)->priority;
    struct sl_list *list = &lane->ready[priority];
    if (has_returned) {
        sl_list_insert(list, sl_task_items(q), lane->returned[priority], slot);
        lane->returned[priority] = slot;
    } else {
        sl_list_push_back(list, sl_task_items(q), slot);
    }
    lane->priorities |= UINT32_C(1) << priority;
    q->ready[lane->class]++;
}

void
sl_lane_ready_remove(struct sl_queue *q, struct sl_lane *lane, uint32_t slot)
{
    uint32_t priority = sl_task_at(q, slot)->priority;
    struct sl_list *list = &lane->ready[priority];
    if (lane->returned[priority] == slot)
        lane->returned[priority] = sl_link(sl_task_items(q), slot)->prev;
    sl_list_remove(list, sl_task_items(q), slot);
    if (sl_list_is_empty(list))
        lane->priorities &= ~(UINT32_C(1) << priority);
    if (lane->priorities == 0 && share_of(q, lane) != NULL)
        sl_share_leave(share_of(q, lane), lane->number);
    q->ready[lane->class]--;
}

/* Since when it has been ready. */
static uint64_t
ready_ms(const struct sl_task *task)
{
    return SL_MAX((uint64_t)task->created_ms, task->time_ms);
}

uint32_t
sl_lane_next(const struct sl_queue *q, const struct sl_lane *lane, uint64_t now_ms)
{
    if (!hands_out(lane))
        return SL_NONE;
    uint32_t top = 31 - (uint32_t)__builtin_clz(lane->priorities);
    uint32_t aging_ms = lane->settings.aging_ms;
    if (aging_ms == 0 || lane->priorities == UINT32_C(1) << top)
        return lane->ready[top].first;
    /* The first of each list has waited longest; of equals the one of higher priority goes. */
    uint64_t best = 0;
    for (uint32_t left = lane->priorities; left != 0; left &= left - 1) {
        uint32_t priority = (uint32_t)__builtin_ctz(left);
        uint64_t since_ms = ready_ms(sl_task_at(q, lane->ready[priority].first));
        uint64_t waited_ms = now_ms > since_ms ? now_ms - since_ms : 0;
        if (priority + waited_ms / aging_ms >= best) {
            best = priority + waited_ms / aging_ms;
            top = priority;
        }
    }
    return lane->ready[top].first;
}

/* ---- failed tasks -------------------------------------------------------------------------- */

uint64_t
sl_lane_failed_over(const struct sl_lane *lane)
{
    uint64_t count = lane->count[SL_STATE_DEAD] + lane->count[SL_STATE_QUARANTINED] +
                     lane->count[SL_STATE_CANCELED] + lane->count[SL_STATE_EXPIRED];
    uint32_t max = lane->settings.dead_max;
    return max != 0 && count > max ? count - max : 0;
}

uint64_t
sl_lane_failed_due_ms(const struct sl_queue *q, const struct sl_lane *lane, uint32_t slot)
{
    uint64_t due_ms, retain_ms = lane->settings.dead_retain_ms;
    if (retain_ms == 0 || __builtin_add_overflow(sl_task_at(q, slot)->time_ms, retain_ms, &due_ms))
        return UINT64_MAX;
    return due_ms;
}

void
sl_lane_dying_settle(struct sl_queue *q, struct sl_lane *lane)
{
    uint64_t due_ms = UINT64_MAX;
    if (sl_lane_failed_over(lane) > 0)
        due_ms = 0;
    else if (!sl_list_is_empty(&lane->failed))
        due_ms = sl_lane_failed_due_ms(q, lane, lane->failed.first);
    if (lane->is_dying && due_ms == UINT64_MAX)
        sl_heap_remove(&q->dying, lane->dying);
    else if (lane->is_dying)
        sl_heap_rekey(&q->dying, lane->dying, due_ms);
    else if (due_ms != UINT64_MAX)
        sl_heap_push(
            &q->dying,
            (struct sl_heap_entry){.key = due_ms, .order = lane->number, .position = &lane->dying});
    lane->is_dying = due_ms != UINT64_MAX;
}

void
sl_lane_stop(struct sl_queue *q, struct sl_lane *lane)
{
    if (lane->settings.mode != SL_LANE_STOPPING || sl_lane_unfinished(lane) > 0)
        return;
    lane->settings.mode = SL_LANE_CLOSED;
    sl_trail_lane(q, lane);
}

/* ---- coming and going ---------------------------------------------------------------------- */

static void
unlink_dropped(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_lane **at = &q->dropped;
    while (*at != lane)
        at = &(*at)->dropped_next;
    *at = lane->dropped_next;
}

static void
remove_lane(struct sl_queue *q, struct sl_lane *lane)
{
    unthrottle(q, lane);
    if (lane->is_dying)
        sl_heap_remove(&q->dying, lane->dying);
    if (share_of(q, lane) != NULL)
        sl_share_close(share_of(q, lane), lane->number);
    if (lane->is_dropped)
        unlink_dropped(q, lane);
    else
        sl_table_remove(&q->lanes_by_key, &lane->link);
    sl_trail_remove(q, lane);
    q->lanes[lane->number] = NULL;
    q->lane_numbers_free[q->lanes_free++] = lane->number;
    sl_lane_free(lane);
}

void
sl_lane_settle(struct sl_queue *q, struct sl_lane *lane)
{
    struct sl_share *share = share_of(q, lane);
    if (share != NULL && hands_out(lane) && !lane->is_apart)
        sl_share_join(share, lane->number);
    else if (share != NULL)
        sl_share_leave(share, lane->number);
    if (!lane->is_set && sl_lane_tasks(lane) == 0)
        remove_lane(q, lane);
}

void
sl_lane_drop(struct sl_queue *q, struct sl_lane *lane)
{
    sl_assert(lane->class == SL_CLASS_OWN && !lane->is_dropped);
    sl_table_remove(&q->lanes_by_key, &lane->link);
    sl_trail_remove(q, lane);
    link_dropped(q, lane);
    unthrottle(q, lane);
    sl_lane_dying_settle(q, lane);
    if (lane->count[SL_STATE_RUNNING] > 0)
        sl_held_void(q, lane->number);
    sl_lane_settle(q, lane);
}

void
sl_lane_settings_set(struct sl_queue *q, struct sl_lane *lane,
                     const struct sl_lane_settings *settings)
{
    const struct sl_lane_settings *old = &lane->settings;
    /* Another mode or weight must not fill the bucket. */
    bool is_same_rate = lane->is_set && old->rate == settings->rate &&
                        old->burst == settings->burst &&
                        old->rate_period_ms == settings->rate_period_ms;
    lane->is_set = true;
    lane->settings = *settings;
    open_share(q, lane);
    if (!is_same_rate)
        sl_lane_begin(q, lane);
    sl_lane_dying_settle(q, lane);
    sl_lane_settle(q, lane);
}
