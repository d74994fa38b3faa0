/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/wants.h"

#include "runtime/alloc.h"

/* ---- lanes --------------------------------------------------------------------------------- */

static uint64_t
lane_hash(struct sl_queue_name queue)
{
    return sl_table_mix(sl_lane_hash(queue.name) ^ sl_table_mix(queue.scope.id));
}

struct sl_queue_name
sl_wants_name(const struct sl_wants_lane *lane)
{
    return (struct sl_queue_name){.scope = lane->scope,
                                  .name = sl_slice(lane->name, lane->name_size)};
}

struct sl_wants_lane *
sl_wants_lane(const struct sl_wants *w, struct sl_queue_name queue)
{
    struct sl_table_link *link = sl_table_find(&w->lanes, lane_hash(queue));
    for (; link != NULL; link = sl_table_next(link)) {
        struct sl_wants_lane *lane = SL_CONTAINER(link, struct sl_wants_lane, link);
        if (lane->scope.id == queue.scope.id &&
            sl_slice_equal(sl_wants_name(lane).name, queue.name))
            return lane;
    }
    return NULL;
}

static struct sl_wants_lane *
lane_add(struct sl_wants *w, struct sl_queue_name queue)
{
    struct sl_wants_lane *lane = sl_zalloc(sizeof(*lane));
    sl_assert(queue.name.size <= sizeof(lane->name));
    lane->scope = queue.scope;
    lane->name_size = queue.name.size;
    memcpy(lane->name, queue.name.data, queue.name.size);
    lane->next = w->first;
    if (w->first != NULL)
        w->first->prev = lane;
    w->first = lane;
    sl_table_insert(&w->lanes, &lane->link, lane_hash(queue));
    return lane;
}

void
sl_wants_mark(struct sl_wants *w, struct sl_wants_lane *lane)
{
    if (lane->is_marked)
        return;
    lane->is_marked = true;
    lane->marked_next = NULL;
    lane->marked_prev = w->marked_last;
    *(w->marked_last == NULL ? &w->marked_first : &w->marked_last->marked_next) = lane;
    w->marked_last = lane;
}

static void
unmark(struct sl_wants *w, struct sl_wants_lane *lane)
{
    if (!lane->is_marked)
        return;
    lane->is_marked = false;
    *(lane->marked_prev == NULL ? &w->marked_first : &lane->marked_prev->marked_next) =
        lane->marked_next;
    *(lane->marked_next == NULL ? &w->marked_last : &lane->marked_next->marked_prev) =
        lane->marked_prev;
}

void
sl_wants_mark_all(struct sl_wants *w)
{
    for (struct sl_wants_lane *lane = w->first; lane != NULL; lane = lane->next)
        sl_wants_mark(w, lane);
}

struct sl_wants_lane *
sl_wants_marked(struct sl_wants *w)
{
    struct sl_wants_lane *lane = w->marked_first;
    if (lane != NULL)
        unmark(w, lane);
    return lane;
}

static void
lane_remove(struct sl_wants *w, struct sl_wants_lane *lane)
{
    unmark(w, lane);
    *(lane->prev == NULL ? &w->first : &lane->prev->next) = lane->next;
    if (lane->next != NULL)
        lane->next->prev = lane->prev;
    sl_table_remove(&w->lanes, &lane->link);
    sl_free(lane);
}

/* ---- wants --------------------------------------------------------------------------------- */

static void
ring_join(struct sl_want *want)
{
    struct sl_wants_lane *lane = want->lane;
    want->prev = lane->last == NULL ? want : lane->last;
    want->next = lane->last == NULL ? want : lane->last->next;
    want->prev->next = want->next->prev = want;
    lane->last = want;
    lane->hungry++;
}

static void
ring_leave(struct sl_want *want)
{
    struct sl_wants_lane *lane = want->lane;
    want->prev->next = want->next;
    want->next->prev = want->prev;
    if (lane->last == want)
        lane->last = want->prev == want ? NULL : want->prev;
    want->next = want->prev = NULL;
    lane->hungry--;
}

void
sl_wants_credit(struct sl_want *want, uint32_t credit)
{
    want->credit = credit;
    if (credit > 0 && want->next == NULL)
        ring_join(want);
    else if (credit == 0 && want->next != NULL)
        ring_leave(want);
}

struct sl_want *
sl_wants_turn(const struct sl_wants_lane *lane)
{
    return lane->last == NULL ? NULL : lane->last->next;
}

void
sl_wants_serve(struct sl_want *want, uint32_t count)
{
    sl_assert(count <= want->credit);
    want->lane->last = want;
    sl_wants_credit(want, want->credit - count);
}

static struct sl_want *
lookup(const struct sl_wants *w, const struct sl_wants_lane *lane, struct sl_addr who)
{
    struct sl_table_link *link = sl_table_find(&w->nodes, sl_table_mix(who.node));
    for (; link != NULL; link = sl_table_next(link)) {
        struct sl_want *want = SL_CONTAINER(link, struct sl_want, link);
        if (want->lane == lane && want->who.node == who.node && want->who.actor == who.actor)
            return want;
    }
    return NULL;
}

static struct sl_want *
add(struct sl_wants *w, struct sl_wants_lane *lane, struct sl_addr who)
{
    struct sl_want *want = sl_zalloc(sizeof(*want));
    want->who = who;
    want->lane = lane;
    lane->count++;
    sl_table_insert(&w->nodes, &want->link, sl_table_mix(who.node));
    w->count++;
    return want;
}

static void
drop(struct sl_wants *w, struct sl_want *want)
{
    struct sl_wants_lane *lane = want->lane;
    sl_wants_credit(want, 0);
    sl_table_remove(&w->nodes, &want->link);
    sl_free(want);
    w->count--;
    if (--lane->count == 0)
        lane_remove(w, lane);
}

struct sl_want *
sl_wants_of(struct sl_wants *w, struct sl_queue_name queue, struct sl_addr who)
{
    struct sl_wants_lane *lane = sl_wants_lane(w, queue);
    struct sl_want *want = lane == NULL ? NULL : lookup(w, lane, who);
    if (want != NULL || w->count == w->count_max)
        return want;
    return add(w, lane == NULL ? lane_add(w, queue) : lane, who);
}

void
sl_wants_remove(struct sl_wants *w, struct sl_queue_name queue, struct sl_addr who)
{
    struct sl_wants_lane *lane = sl_wants_lane(w, queue);
    struct sl_want *want = lane == NULL ? NULL : lookup(w, lane, who);
    if (want != NULL)
        drop(w, want);
}

void
sl_wants_forget(struct sl_wants *w, uint32_t node)
{
    struct sl_table_link *link = sl_table_find(&w->nodes, sl_table_mix(node));
    while (link != NULL) {
        struct sl_want *want = SL_CONTAINER(link, struct sl_want, link);
        link = sl_table_next(link);
        if (want->who.node == node)
            drop(w, want);
    }
}

void
sl_wants_deinit(struct sl_wants *w)
{
    while (w->count > 0) { /* The table becomes another now and then. */
        for (size_t i = 0; i < w->nodes.capacity && w->count > 0; i++) {
            if (w->nodes.buckets[i] != NULL)
                drop(w, SL_CONTAINER(w->nodes.buckets[i], struct sl_want, link));
        }
    }
    sl_table_deinit(&w->lanes);
    sl_table_deinit(&w->nodes);
}
