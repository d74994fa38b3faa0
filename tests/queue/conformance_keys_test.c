/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of idempotency keys and concurrency keys, whatever backend keeps the tasks. */
#include <stdio.h>

#include "tests/queue/conformance.h"

static struct sl_put_item
keyed(const char *name, enum sl_dedup_mode mode, int64_t window_ms)
{
    return (struct sl_put_item){
        .payload = sl_slice_str("first"),
        .key = {.name = sl_slice_str(name), .mode = mode, .window_ms = window_ms}};
}

static struct sl_put_item
limited(const char *text, const char *name, int64_t limit, enum sl_key_policy policy)
{
    return (struct sl_put_item){
        .payload = sl_slice_str(text),
        .limits = {{.name = sl_slice_str(name), .limit = limit, .policy = policy}},
        .limits_count = 1};
}

/* ---- idempotency ---------------------------------------------------------------------------- */

CONFORMS(answers_a_key_that_is_held_with_its_task_and_state)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_UNTIL_DONE, 0);
    struct sl_put_result first = put_item(w, item), again = put_item(w, item);
    cr_assert(first.err == SL_OK && !first.is_existing);
    cr_assert(again.err == SL_OK && again.is_existing && !again.is_replaced);
    cr_assert_eq(again.task_id, first.task_id);
    cr_assert_eq(again.state, SL_STATE_QUEUED);
    restart(w);
    struct sl_lease got = lease(w);
    again = put_item(w, item);
    cr_assert_eq(again.task_id, first.task_id);
    cr_assert_eq(again.state, SL_STATE_RUNNING);
    cr_assert_eq(lease(w).task_id, 0, "there is one");
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    again = put_item(w, item);
    cr_assert_not(again.is_existing);
    cr_assert_neq(again.task_id, first.task_id);
}

CONFORMS(frees_a_key_until_start_once_its_task_runs)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_UNTIL_START, 0);
    uint64_t first = add_well(w, item);
    cr_assert_eq(put_item(w, item).task_id, first);
    cr_assert_eq(lease(w).task_id, first);
    struct sl_put_result second = put_item(w, item);
    cr_assert(second.err == SL_OK && !second.is_existing);
    cr_assert_eq(put_item(w, item).task_id, second.task_id);
}

CONFORMS(holds_a_key_for_its_time_whatever_becomes_of_its_task)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_TTL, 1000);
    uint64_t first = add_well(w, item);
    cr_assert_eq(finish(w, lease(w), DONE), SL_OK);
    pass(w, 999);
    tick_all(w);
    restart(w);
    struct sl_put_result again = put_item(w, item);
    cr_assert(again.err == SL_OK && again.is_existing);
    cr_assert_eq(again.task_id, first);
    cr_assert_eq(again.state, SL_STATE_NONE, "it is forgotten, and its key holds");
    pass(w, 1);
    again = put_item(w, item);
    cr_assert(again.err == SL_OK && !again.is_existing);
}

CONFORMS(debounces_to_the_last_of_a_burst_up_to_its_limit)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_DEBOUNCE, 100);
    item.key.max_ms = 250;
    uint64_t first = add_well(w, item);
    for (int i = 0; i < 3; i++) {
        pass(w, 80);
        cr_assert_eq(lease(w).task_id, 0);
        item.payload = sl_slice_str("last");
        struct sl_put_result again = put_item(w, item);
        cr_assert(again.err == SL_OK && again.is_existing && again.is_replaced);
        cr_assert_eq(again.task_id, first);
    }
    restart(w);
    pass(w, 9);
    cr_assert_eq(lease(w).task_id, 0);
    pass(w, 1);
    expect_lease(w, "last");
}

CONFORMS(throttles_to_the_first_of_a_window)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_THROTTLE, 100);
    uint64_t first = add_well(w, item);
    cr_assert_eq(finish(w, lease(w), DONE), SL_OK);
    pass(w, 99);
    struct sl_put_result again = put_item(w, item);
    cr_assert(again.is_existing && again.task_id == first);
    pass(w, 1);
    cr_assert_not(put_item(w, item).is_existing);
}

/* asynq: the key was taken before the rest was looked at, and stayed so. */
CONFORMS(takes_no_key_for_a_task_that_it_refuses)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_TTL, 1000000);
    set(w, (struct sl_lane_settings){.depth_max = 1});
    add(w, "in the way");
    cr_assert_eq(put_item(w, item).err, SL_EFULL);
    item.priority = 10;
    cr_assert_eq(put_item(w, item).err, SL_EINVAL);
    item.priority = 0;
    cr_assert_eq(finish(w, lease(w), DONE), SL_OK);
    struct sl_put_result result = put_item(w, item);
    cr_assert(result.err == SL_OK && !result.is_existing);
    result = put_item(w, item); /* And it is answered though the queue is full again. */
    cr_assert(result.err == SL_OK && result.is_existing);
}

CONFORMS(refuses_keys_that_are_none_and_changes_nothing)
{
    static char name[SL_SUBMIT_NAME_MAX + 1];
    memset(name, 'n', sizeof(name));
    struct sl_put_item items[6] = {
        keyed("", SL_DEDUP_TTL, 5),        keyed("k", SL_DEDUP_TTL, 0),
        keyed("k", SL_DEDUP_DEBOUNCE, -1), keyed("k", SL_DEDUP_MODE_COUNT, 5),
        limited("x", "", 1, SL_KEY_QUEUE), limited("x", "k", -1, SL_KEY_QUEUE)};
    struct sl_put_item long_name = keyed("", SL_DEDUP_TTL, 5);
    uint64_t before = digest(w);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(put_item(w, items[i]).err, SL_EINVAL, "%d", i);
    long_name.key.name = sl_slice(name, sizeof(name));
    cr_assert_eq(put_item(w, long_name).err, SL_EINVAL);
    cr_assert_eq(digest(w), before);
    long_name.key.name.size--;
    cr_assert_eq(put_item(w, long_name).err, SL_OK);
}

CONFORMS(keeps_the_keys_of_tenants_apart)
{
    struct sl_put_item item = keyed("k", SL_DEDUP_UNTIL_DONE, 0);
    struct sl_queue_name other = {{2}, w->queue.name};
    uint64_t first = add_well(w, item);
    w->queue = other;
    set(w, (struct sl_lane_settings){0});
    struct sl_put_result result = put_item(w, item);
    cr_assert(result.err == SL_OK && !result.is_existing);
    cr_assert_neq(result.task_id, first);
}

/* oban: two submits at once, and both went in. */
CONFORMS(makes_a_thousand_tasks_of_a_hundred_thousand_puts_of_a_thousand_keys)
{
    enum { KEYS = 1000, ROUNDS = 25, CALL = 4 };
    static uint64_t ids[KEYS];
    memset(ids, 0, sizeof(ids));
    for (int i = 0; i < KEYS * ROUNDS; i++) {
        char names[CALL][16];
        struct sl_put_item items[CALL];
        struct sl_put_result results[CALL];
        for (int k = 0; k < CALL; k++) {
            snprintf(names[k], sizeof(names[k]), "key-%d", (i * 7 + k * 331) % KEYS);
            items[k] = keyed(names[k], SL_DEDUP_UNTIL_DONE, 0);
        }
        cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, items, CALL, results),
                     SL_OK);
        for (int k = 0; k < CALL; k++) {
            uint64_t *id = &ids[(i * 7 + k * 331) % KEYS];
            cr_assert_eq(results[k].err, SL_OK);
            cr_assert_eq(results[k].is_existing, *id != 0);
            cr_assert(*id == 0 || *id == results[k].task_id);
            *id = results[k].task_id;
        }
    }
    cr_assert_eq(depth(w).ready, KEYS);
    restart(w);
    cr_assert_eq(depth(w).ready, KEYS);
    cr_assert_eq(put_item(w, keyed("key-5", SL_DEDUP_UNTIL_DONE, 0)).task_id, ids[5]);
}

/* ---- concurrency ---------------------------------------------------------------------------- */

CONFORMS(runs_no_more_tasks_of_a_key_than_its_limit_also_after_a_restart)
{
    for (int i = 0; i < 5; i++)
        add_well(w, limited("of the key", "k", 2, SL_KEY_QUEUE));
    uint64_t free_one = add(w, "of no key");
    for (int round = 0; round < 2; round++) {
        struct sl_lease got[8];
        cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 8}, got), 3);
        cr_assert_eq(got[2].task_id, free_one, "it is not in its way");
        cr_assert_eq(finish(w, got[2], RELEASED), SL_OK);
        restart(w);
    }
    for (int i = 0; i < 5; i++) {
        struct sl_lease got = lease(w);
        cr_assert(sl_slice_is(got.payload, "of the key"), "%d", i);
        cr_assert_eq(finish(w, got, DONE), SL_OK);
    }
    cr_assert_eq(lease(w).task_id, free_one);
}

CONFORMS(refuses_the_newest_or_takes_the_place_of_others_as_its_key_says)
{
    uint64_t runs = add_well(w, limited("a", "k", 1, SL_KEY_CANCEL_NEWEST));
    cr_assert_eq(put_item(w, limited("b", "k", 1, SL_KEY_CANCEL_NEWEST)).err, SL_EBUSY);
    struct sl_lease got = lease(w);
    cr_assert_eq(got.task_id, runs);
    uint64_t waits = add_well(w, limited("c", "k", 1, SL_KEY_REPLACE_QUEUED));
    uint64_t newer = add_well(w, limited("d", "k", 1, SL_KEY_REPLACE_QUEUED));
    cr_assert_eq(info(w, waits).state, SL_STATE_CANCELED);
    cr_assert_eq(info(w, runs).state, SL_STATE_RUNNING);
    uint64_t last = add_well(w, limited("e", "k", 1, SL_KEY_CANCEL_IN_PROGRESS));
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE, "it was cancelled");
    cr_assert_eq(info(w, runs).state, SL_STATE_CANCELED);
    uint64_t seen = lease(w).task_id;
    cr_assert(seen == last || seen == newer);
    cr_assert_eq(lease(w).task_id, 0, "one at a time");
}

CONFORMS(begins_no_more_tasks_of_a_key_than_its_rate)
{
    struct sl_put_item item = limited("x", "k", 0, SL_KEY_QUEUE);
    item.limits[0].rate = (struct sl_rate){.count = 1, .burst = 1, .period_ns = 100 * SL_MILLI_NS};
    for (int i = 0; i < 3; i++)
        add_well(w, item);
    for (int i = 0; i < 3; i++) {
        cr_assert_neq(lease(w).task_id, 0, "%d", i);
        pass(w, 99);
        tick_all(w);
        cr_assert_eq(lease(w).task_id, 0);
        cr_assert(i == 2 || tick(w) <= w->now.now_ns + SL_MILLI_NS);
        pass(w, 1);
        tick_all(w);
    }
}
