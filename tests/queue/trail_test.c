/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in a queue, told in order and once, over restarts and as far as it is kept. */
#include "queue/trail.h"

#include <stdio.h>

#include "runtime/alloc.h"
#include "tests/queue/conformance.h"

static uint64_t
lane_of(struct world *w)
{
    return sl_lane_hash(w->queue.name);
}

static struct sl_trail_walk
walk(struct world *w, struct sl_trail_id after)
{
    struct sl_trail_walk found;
    cr_assert_eq(sl_trail_walk_begin(w->stand.q, w->queue.scope, lane_of(w), after, &found), SL_OK);
    return found;
}

/* All behind an id in short: "put@1 lease@1.1 done@2"; with "gap>N " before. Of a number behind a
 * durable one only what this run counted. */
static const char *
told(struct world *w, struct sl_trail_id after)
{
    static char text[4096];
    struct sl_trail_walk found = walk(w, after);
    struct sl_trail_event e;
    size_t at = 0;
    text[0] = '\0';
    if (found.has_gap)
        at += (size_t)snprintf(text, sizeof(text), "gap>%d ", (int)found.at.seq);
    while (sl_trail_walk_next(&found, &e)) {
        const char *name = e.kind == SL_TRAIL_TASK    ? sl_change_name(e.change)
                           : e.kind == SL_TRAIL_QUEUE ? sl_lane_mode_name(e.mode)
                                                      : "restart";
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s@%d", name, (int)e.id.seq);
        if (e.id.sub > 0)
            at += (size_t)snprintf(text + at, sizeof(text) - at, ".%d", (int)(e.id.sub & 0xffffff));
        at += (size_t)snprintf(text + at, sizeof(text) - at, " ");
    }
    return text;
}

static const struct sl_trail_id start;

static struct sl_trail_id
last_of(struct world *w)
{
    struct sl_trail_walk found = walk(w, start);
    struct sl_trail_event e = {.id = found.at};
    while (sl_trail_walk_next(&found, &e))
        continue;
    return e.id;
}

CONFORMS(tells_each_change_with_its_job_epoch_and_reason)
{
    uint64_t id = add(w, "x");
    struct sl_lease got = lease(w);
    pass(w, 7);
    cr_assert_eq(finish(w, got, FAILED, .bytes = sl_slice_str("no such table"), .after_ms = 5),
                 SL_OK);
    cr_assert_str_eq(told(w, start), "open@1 put@2 lease@2.1 retry@3 ");
    struct sl_trail_walk found = walk(w, (struct sl_trail_id){2, 0});
    struct sl_trail_event e;
    cr_assert(sl_trail_walk_next(&found, &e));
    cr_assert(e.kind == SL_TRAIL_TASK && e.change == SL_CHANGE_LEASE);
    cr_assert(e.task_id == id && e.epoch == got.epoch && e.state == SL_STATE_RUNNING);
    cr_assert(sl_trail_walk_next(&found, &e));
    cr_assert_eq(e.state, SL_STATE_SCHEDULED);
    cr_assert_eq(e.epoch, got.epoch);
    cr_assert_eq(e.at_ms, w->now.now_ms);
    cr_assert(sl_slice_is(e.reason, "error: no such table"), "%.*s", SL_SLICE_FMT(e.reason));
    cr_assert_not(sl_trail_walk_next(&found, &e));
    pass(w, 5);
    cr_assert_eq(order(w, id, SL_ORDER_CANCEL, NULL), SL_OK);
    found = walk(w, (struct sl_trail_id){3, 0});
    cr_assert(sl_trail_walk_next(&found, &e));
    cr_assert_eq(e.reason.size, 0, "it was another's");
}

CONFORMS(goes_on_behind_any_id_over_restarts)
{
    add(w, "x", .retain_ms = 1000000);
    struct sl_lease got = lease(w);
    cr_assert_str_eq(told(w, (struct sl_trail_id){2, 0}), "lease@2.1 ");
    struct sl_trail_id leased = last_of(w);
    restart(w);
    cr_assert_str_eq(told(w, start), "open@1 put@2 restart@2.0 ");
    cr_assert_str_eq(told(w, leased), "restart@2.0 ", "what it told last is not told again");
    got = lease(w);
    cr_assert_str_eq(told(w, leased), "restart@2.0 lease@2.1 ");
    leased = last_of(w);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    cr_assert_str_eq(told(w, leased), "done@3 ");
    restart(w);
    cr_assert_str_eq(told(w, leased), "done@3 restart@3.0 ");
    cr_assert_str_eq(told(w, (struct sl_trail_id){3, 0}), "restart@3.0 ");
    cr_assert_str_eq(told(w, last_of(w)), "");
    cr_assert_str_eq(told(w, (struct sl_trail_id){9, 0}), "gap>3 ", "there never was a 9th");
}

CONFORMS(tells_the_same_after_a_snapshot_and_without)
{
    static char before[4096];
    for (int i = 0; i < 5; i++)
        add(w, "x");
    cr_assert_eq(sl_store_checkpoint(w->stand.store), SL_OK);
    struct sl_lease got = lease(w);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    snprintf(before, sizeof(before), "%s", told(w, (struct sl_trail_id){6, 1}));
    cr_assert_str_eq(before, "done@7 ");
    restart(w);
    cr_assert_str_eq(told(w, start), "open@1 put@2 put@3 put@4 put@5 put@6 done@7 restart@7.0 ");
    got = lease(w);
    cr_assert_eq(sl_store_checkpoint(w->stand.store), SL_OK);
    restart(w);
    cr_assert_str_eq(told(w, (struct sl_trail_id){7, 0}), "restart@7.0 lease@7.1 restart@7.0 ");
}

CONFORMS(tells_of_a_gap_once_the_oldest_are_gone)
{
    enum { JOBS = 12000, BATCH = 2000 };
    static struct sl_put_item items[BATCH];
    static struct sl_put_result results[BATCH];
    struct sl_trail_event e;
    for (int i = 0; i < JOBS; i += BATCH)
        cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, items, BATCH, results),
                     SL_OK);
    for (int restarted = 0; restarted < 2; restarted++) {
        struct sl_trail_walk found = walk(w, (struct sl_trail_id){5, 0});
        cr_assert(found.has_gap);
        cr_assert(found.at.seq > 1000 && found.at.seq < 4000, "%d", (int)found.at.seq);
        uint64_t next = found.at.seq + 1;
        while (sl_trail_walk_next(&found, &e) && e.kind == SL_TRAIL_TASK)
            cr_assert_eq(e.id.seq, next++);
        cr_assert_eq(next, JOBS + 2);
        cr_assert_not(walk(w, start).has_gap, "who begins has missed nothing");
        cr_assert_not(walk(w, (struct sl_trail_id){8000, 0}).has_gap);
        found = walk(w, (struct sl_trail_id){8000, 0});
        cr_assert(sl_trail_walk_next(&found, &e));
        cr_assert_eq(e.id.seq, 8001);
        if (restarted == 0)
            restart(w);
    }
    cr_assert_leq(sl_queue_memory(w->stand.q), 4 << 20);
}

CONFORMS(goes_on_with_its_numbers_when_the_queue_is_made_again)
{
    add(w, "x");
    set(w, (struct sl_lane_settings){.mode = SL_LANE_STOPPING});
    cr_assert_eq(finish(w, lease(w), DONE), SL_OK);
    cr_assert_str_eq(told(w, start), "open@1 put@2 stopping@3 lease@3.1 done@4 closed@5 ");
    cr_assert_eq(w->backend->ops->drop(w->backend, w->queue, false), SL_OK);
    struct sl_trail_walk found;
    cr_assert_eq(sl_trail_walk_begin(w->stand.q, w->queue.scope, lane_of(w), start, &found),
                 SL_ENOTFOUND);
    cr_assert_eq(sl_store_checkpoint(w->stand.store), SL_OK);
    restart(w);
    set(w, (struct sl_lane_settings){0});
    cr_assert_str_eq(told(w, start), "open@6 ");
    cr_assert_str_eq(told(w, (struct sl_trail_id){4, 0}), "gap>5 open@6 ");
    cr_assert_str_eq(told(w, (struct sl_trail_id){5, 0}), "open@6 ");
}

/* Trails that go on, and are dropped, while a snapshot is written have no part in it. */
Test(trail, a_snapshot_has_the_state_in_which_it_began)
{
    struct world w;
    struct sl_buf whole = {0}, slices = {0};
    world_begin(&w, &in_memory);
    for (int i = 0; i < 400; i++)
        add(&w, "payload");
    sl_queue_snapshot(w.stand.q, &whole);
    sl_queue_snapshot_begin(w.stand.q);
    for (bool is_more = true; is_more;) {
        is_more = sl_queue_snapshot_some(w.stand.q, &slices, 100);
        (void)lease(&w);
        if (slices.size > whole.size / 2 && w.backend->ops->drop(w.backend, w.queue, true) == SL_OK)
            set(&w, (struct sl_lane_settings){0});
    }
    struct sl_queue *other = sl_queue_create();
    cr_assert_eq(sl_queue_restore(other, sl_buf_slice(&slices)), SL_OK);
    struct sl_trail_walk found;
    struct sl_trail_event e = {0};
    cr_assert_eq(sl_trail_walk_begin(other, w.queue.scope, lane_of(&w), start, &found), SL_OK);
    uint64_t count = 0;
    while (sl_trail_walk_next(&found, &e))
        cr_assert_eq(e.id.seq, ++count);
    cr_assert_eq(count, 401);
    /* Turned bytes are found, or change what is told and nothing else. */
    for (size_t at = slices.size - 30; at < slices.size; at++) {
        struct sl_queue *third = sl_queue_create();
        slices.data[at] ^= 0x80;
        enum sl_err err = sl_queue_restore(third, sl_buf_slice(&slices));
        cr_assert(err == SL_OK || err == SL_ECORRUPT);
        slices.data[at] ^= 0x80;
        sl_queue_destroy(&third);
    }
    sl_queue_destroy(&other);
    sl_buf_deinit(&whole);
    sl_buf_deinit(&slices);
    world_end(&w);
}

/* What earlier builds wrote: without trails, and before those without queues that are removed. */
Test(trail, a_snapshot_of_an_earlier_build_opens_and_its_trails_begin_anew)
{
    enum {
        TRAIL_BYTES = 12 + 40 + 20 + 2 * 25
    }; /* Of all, of one, of its chunk, of two records. */
    struct world w;
    struct sl_buf bytes = {0};
    world_begin(&w, &in_memory);
    uint64_t id = add(&w, "payload");
    sl_queue_snapshot(w.stand.q, &bytes);
    bytes.size -= TRAIL_BYTES;
    for (uint8_t version = 3; version <= 5; version++) {
        struct sl_queue *other = sl_queue_create();
        struct sl_task_info found;
        struct sl_trail_walk none;
        struct sl_trail_event event;
        bytes.data[0] = version;
        enum sl_err err = sl_queue_restore(other, sl_buf_slice(&bytes));
        cr_assert_eq(err, version == 3 ? SL_ECORRUPT : SL_OK, "3 has no block of keys");
        if (err == SL_OK) {
            cr_assert_eq(sl_queue_task(other, w.queue.scope, id, &found), SL_OK);
            cr_assert_eq(sl_queue_digest(other), sl_queue_digest(w.stand.q));
            cr_assert_eq(sl_trail_walk_begin(other, w.queue.scope, lane_of(&w), start, &none),
                         SL_OK);
            cr_assert_not(sl_trail_walk_next(&none, &event));
        }
        sl_queue_destroy(&other);
    }
    sl_buf_deinit(&bytes);
    world_end(&w);
}
