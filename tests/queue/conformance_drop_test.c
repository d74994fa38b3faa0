/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a queue that is removed, and of what is in it, whatever backend keeps it. */
#include "tests/queue/conformance.h"

static enum sl_err
drop(struct world *w, bool is_forced)
{
    return w->backend->ops->drop(w->backend, w->queue, is_forced);
}

static bool
has_queue(struct world *w)
{
    struct sl_queue_depth found;
    return w->backend->ops->depth(w->backend, w->queue, &found) == SL_OK;
}

/* Jobs of any queue of the tenant that can be seen. */
static uint32_t
seen(struct world *w)
{
    struct sl_task_scan scan = {.scope = w->queue.scope, .class = SL_CLASS_OWN};
    struct sl_task_info found;
    bool is_end = false;
    uint32_t count = 0;
    while (!is_end)
        count += w->backend->ops->scan(w->backend, &scan, 100, &found, &is_end);
    return count;
}

CONFORMS(one_with_unfinished_jobs_is_removed_by_force_alone)
{
    set(w, (struct sl_lane_settings){.running_max = 3});
    uint64_t held = add(w, "held"), waits = add(w, "waits");
    uint64_t kept = add(w, "kept", .priority = 9, .retain_ms = 100000);
    struct sl_lease ended = lease(w), got = lease(w);
    cr_assert_eq(ended.task_id, kept);
    cr_assert_eq(got.task_id, held);
    cr_assert_eq(finish(w, ended, DONE), SL_OK);
    uint64_t sum = digest(w);
    cr_assert_eq(drop(w, false), SL_EBUSY);
    cr_assert_eq(digest(w), sum);
    cr_assert_eq(drop(w, true), SL_OK);
    cr_assert_not(has_queue(w));
    cr_assert_eq(drop(w, true), SL_ENOTFOUND);
    cr_assert_not(is_there(w, held) || is_there(w, waits) || is_there(w, kept));
    cr_assert_eq(seen(w), 0);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    cr_assert_eq(w->backend->ops->extend(w->backend, w->queue.scope, held, got.epoch, 1),
                 SL_ESTALE);
    cr_assert_eq(order(w, waits, SL_ORDER_CANCEL, NULL), SL_ENOTFOUND);
}

CONFORMS(one_whose_jobs_have_all_ended_is_removed_with_them)
{
    uint64_t dead = add(w, "dead"), kept = add(w, "kept", .retain_ms = 100000);
    cr_assert_eq(order(w, dead, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(finish(w, lease(w), DONE), SL_OK);
    cr_assert_eq(drop(w, false), SL_OK);
    cr_assert_not(has_queue(w) || is_there(w, dead) || is_there(w, kept));
    tick_all(w);
    set(w, (struct sl_lane_settings){0});
    cr_assert_eq(drop(w, false), SL_OK, "one that has nothing");
    restart(w);
    cr_assert_not(has_queue(w));
}

CONFORMS(its_name_is_free_at_once_and_the_old_epochs_are_refused)
{
    uint64_t old = add(w, "old");
    add(w, "old, too");
    struct sl_lease got = lease(w);
    cr_assert_eq(drop(w, true), SL_OK);
    set(w, (struct sl_lane_settings){.depth_max = 1});
    uint64_t fresh = add(w, "fresh");
    cr_assert_neq(fresh, old);
    cr_assert_eq(seen(w), 1);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    expect_lease(w, "fresh");
    cr_assert_eq(lease(w).task_id, 0);
    tick_all(w);
    restart(w);
    cr_assert_eq(seen(w), 1);
    expect_lease(w, "fresh");
    cr_assert_eq(depth(w).settings.depth_max, 1);
}

CONFORMS(its_keys_and_limits_are_free_before_and_after_its_jobs_are_purged)
{
    struct sl_put_item items[] = {
        {.key = {.name = sl_slice_str("a"), .mode = SL_DEDUP_UNTIL_DONE}},
        {.key = {.name = sl_slice_str("b"), .mode = SL_DEDUP_TTL, .window_ms = 1000000}},
        {.limits = {{.name = sl_slice_str("c"), .limit = 1, .policy = SL_KEY_CANCEL_NEWEST}},
         .limits_count = 1}};
    uint64_t old[3];
    for (int i = 0; i < 3; i++)
        old[i] = add_well(w, items[i]);
    cr_assert_eq(lease(w).task_id, old[0]);
    cr_assert_eq(drop(w, true), SL_OK);
    set(w, (struct sl_lane_settings){0});
    uint64_t first = add_well(w, items[0]);
    cr_assert_neq(first, old[0]);
    tick_all(w);
    restart(w);
    cr_assert_eq(add_well(w, items[0]), first, "it is the new job's now");
    for (int i = 1; i < 3; i++)
        cr_assert_neq(add_well(w, items[i]), old[i]);
    cr_assert_eq(put_item(w, items[2]).err, SL_EBUSY);
    cr_assert_eq(seen(w), 3);
}

/* More than one turn purges; its process is killed after each, and what is left is in a snapshot
 * every other time. */
CONFORMS(a_large_one_goes_in_steps_over_any_number_of_crashes)
{
    enum { JOBS = 10000, BATCH = 1000 };
    static struct sl_put_item items[BATCH];
    static struct sl_put_result results[BATCH];
    for (int i = 0; i < BATCH; i++)
        items[i] = (struct sl_put_item){.payload = sl_slice_str("payload"),
                                        .delay_ms = i % 3 == 0 ? 1000 : 0};
    for (int i = 0; i < JOBS; i += BATCH)
        cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, items, BATCH, results),
                     SL_OK);
    cr_assert_eq(seen(w), JOBS);
    cr_assert_eq(drop(w, true), SL_OK);
    set(w, (struct sl_lane_settings){0});
    uint64_t fresh = add(w, "fresh");
    restart(w);
    int turns = 0;
    while (tick(w) <= w->now.now_ns) {
        cr_assert_lt(++turns, 100);
        cr_assert_eq(seen(w), 1);
        if (turns % 2 == 1)
            cr_assert_eq(sl_store_checkpoint(w->stand.store), SL_OK);
        uint64_t sum = digest(w);
        restart(w);
        cr_assert_eq(digest(w), sum);
    }
    cr_assert_geq(turns, 3);
    cr_assert(is_there(w, fresh));
    uint64_t sum = digest(w);
    restart(w);
    cr_assert_eq(digest(w), sum);
    cr_assert_eq(order(w, fresh, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(order(w, fresh, SL_ORDER_FORGET, NULL), SL_OK);
    cr_assert_eq(drop(w, false), SL_OK);
}
