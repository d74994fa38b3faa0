/* SPDX-License-Identifier: Apache-2.0 */
/* What producers and workers may rely on, whatever backend keeps their tasks. */
#include <stdio.h>
#include <string.h>

#include "queue/retry.h"
#include "tests/queue/conformance.h"

/* ---- producers ------------------------------------------------------------------------------ */

CONFORMS(gives_each_item_of_a_put_a_result_of_its_own)
{
    static uint8_t large[SL_QUEUE_PAYLOAD_MAX + 1];
    struct sl_put_result results[8];
    struct sl_put_item items[8] = {
        {.payload = sl_slice_str("first")},
        {.priority = SL_QUEUE_PRIORITY_MAX + 1},
        {.payload = sl_slice(large, sizeof(large))},
        {.delay_ms = SL_TIME_MAX_MS + 1},
        {.policy = sl_slice_str("no policy")},
        {.payload = sl_slice(large, SL_QUEUE_PAYLOAD_MAX)},
        {.delay_ms = 50},
        {.expires_ms = UINT64_MAX},
    };
    enum sl_err errs[8] = {SL_OK,     SL_EINVAL, SL_ETOOBIG, SL_EINVAL,
                           SL_EINVAL, SL_OK,     SL_OK,      SL_EINVAL};
    cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, items, 8, results), SL_OK);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(results[i].err, errs[i], "%d: %s", i, sl_err_name(results[i].err));
    cr_assert(results[0].task_id < results[5].task_id && results[5].task_id < results[6].task_id);
    cr_assert_eq(results[0].state, SL_STATE_QUEUED);
    cr_assert_eq(results[6].state, SL_STATE_SCHEDULED);
    cr_assert_eq(depth(w).ready, 2);
    cr_assert_eq(depth(w).delayed, 1);
    expect_lease(w, "first");
    cr_assert_eq(lease(w).payload.size, SL_QUEUE_PAYLOAD_MAX);
}

CONFORMS(refuses_a_put_that_is_none_and_changes_nothing)
{
    struct sl_put_result result;
    struct sl_put_item item = {.payload = sl_slice_str("x")};
    struct sl_queue_name other = {{2}, w->queue.name}, none = {{1}, sl_slice_str("none")},
                         bad = {{1}, sl_slice_str("no name!")}, empty = {{1}, {0}};
    uint64_t before = digest(w);
    const struct sl_backend_ops *ops = w->backend->ops;
    cr_assert_eq(ops->put(w->backend, w->now, other, &item, 1, &result), SL_ENOTFOUND);
    cr_assert_eq(ops->put(w->backend, w->now, none, &item, 1, &result), SL_ENOTFOUND);
    cr_assert_eq(ops->put(w->backend, w->now, bad, &item, 1, &result), SL_ENOTFOUND);
    cr_assert_eq(ops->put(w->backend, w->now, empty, &item, 1, &result), SL_ENOTFOUND);
    cr_assert_eq(ops->put(w->backend, w->now, w->queue, &item, 0, &result), SL_EINVAL);
    cr_assert_eq(ops->put(w->backend, w->now, w->queue, &item, SL_PUT_ITEMS_MAX + 1, &result),
                 SL_EINVAL);
    cr_assert_eq(digest(w), before);
    cr_assert_eq(lease(w).task_id, 0);
}

CONFORMS(takes_as_many_as_its_queue_may_hold)
{
    struct sl_put_result results[5];
    struct sl_put_item items[5] = {{.delay_ms = 5}, {0}, {0}, {0}, {0}};
    set(w, (struct sl_lane_settings){.depth_max = 3});
    cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, items, 5, results), SL_OK);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(results[i].err, i < 3 ? SL_OK : SL_EFULL, "%d", i);
    struct sl_lease got = lease(w);
    cr_assert_eq(put_item(w, items[0]).err, SL_EFULL, "what runs counts");
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    cr_assert_eq(put_item(w, items[0]).err, SL_OK);
    cr_assert_eq(put_item(w, items[0]).err, SL_EFULL);
}

CONFORMS(hands_out_by_priority_and_then_as_they_came)
{
    for (int i = 0; i < 30; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%d.%02d", i % 3, i / 3);
        add(w, text, .priority = (uint8_t)(i % 3 * 4));
    }
    for (int priority = 2; priority >= 0; priority--)
        for (int i = 0; i < 10; i++) {
            char text[32];
            snprintf(text, sizeof(text), "%d.%02d", priority, i);
            expect_lease(w, text);
        }
    cr_assert_eq(lease(w).task_id, 0);
}

CONFORMS(raises_what_waits_by_a_priority_for_each_wait_that_is_set)
{
    set(w, (struct sl_lane_settings){.aging_ms = 100});
    add(w, "low", .priority = 1);
    pass(w, 199);
    add(w, "high", .priority = 3);
    expect_lease(w, "high");
    add(w, "high again", .priority = 3);
    pass(w, 101);
    add(w, "high and new", .priority = 3);
    expect_lease(w, "high again");
    expect_lease(w, "low");
    expect_lease(w, "high and new");
}

CONFORMS(holds_a_delayed_task_to_the_millisecond)
{
    uint64_t late = add(w, "late", .delay_ms = 1000), soon = add(w, "soon", .delay_ms = 500);
    uint64_t far = add(w, "in a century", .delay_ms = UINT64_C(3155760000000));
    cr_assert_eq(info(w, late).state, SL_STATE_SCHEDULED);
    cr_assert_eq(info(w, late).time_ms, w->now.now_ms + 1000);
    cr_assert_eq(depth(w).delayed, 3);
    cr_assert_eq(depth(w).leased, 0);
    pass(w, 499);
    cr_assert_eq(lease(w).task_id, 0);
    cr_assert_leq(tick(w), w->now.now_ns + SL_MILLI_NS, "it wants to be called in time");
    pass(w, 1);
    cr_assert_eq(lease(w).task_id, soon);
    pass(w, 499);
    cr_assert_eq(lease(w).task_id, 0);
    pass(w, 1);
    cr_assert_eq(lease(w).task_id, late);
    pass(w, UINT64_C(3155760000000) - 1001);
    restart(w); /* What ran is ready again. */
    cr_assert_neq(lease(w).task_id, far);
    pass(w, 1);
    cr_assert_neq(lease(w).task_id, far);
    cr_assert_eq(lease(w).task_id, far);
}

/* ---- leases --------------------------------------------------------------------------------- */

CONFORMS(leases_as_many_as_are_asked_for_by_count_and_by_bytes)
{
    struct sl_lease got[8];
    for (int i = 0; i < 7; i++)
        add(w, "0123456789");
    add(w, "");
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 3}, got), 3);
    for (int i = 0; i < 3; i++)
        cr_assert(sl_slice_is(got[i].payload, "0123456789"));
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 8, .bytes_max = 25}, got),
                 2, "a third would be too much");
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 8, .bytes_max = 1}, got),
                 1, "the first counts as within");
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1}, got), 0);
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 8}, got), 2);
    cr_assert_eq(got[1].payload.size, 0);
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 8}, got), 0);
    cr_assert_eq(depth(w).leased, 8);
}

CONFORMS(keeps_to_the_order_when_a_lease_is_cut_by_bytes)
{
    struct sl_lease got[4];
    add(w, "0123456789", .priority = 1);
    add(w, "large: 0123456789", .priority = 1);
    add(w, "small");
    struct sl_lease_ask ask = {.holder = 1, .max = 4, .bytes_max = 20};
    cr_assert_eq(lease_some(w, ask, got), 1);
    cr_assert_eq(lease_some(w, ask, got), 1);
    cr_assert(sl_slice_is(got[0].payload, "large: 0123456789"));
    cr_assert_eq(got[0].attempts + got[0].crashes + got[0].snoozes, 0);
    expect_lease(w, "small");
}

CONFORMS(leases_nothing_of_a_queue_that_is_not_there)
{
    struct sl_lease got;
    uint32_t count = 7;
    struct sl_lease_ask ask = {.holder = 1, .max = 1, .duration_ns = 1};
    struct sl_queue_name other = {{2}, w->queue.name};
    add(w, "x");
    cr_assert_eq(w->backend->ops->lease(w->backend, w->now, other, &ask, &w->bytes, &got, &count),
                 SL_ENOTFOUND);
    cr_assert_eq(count, 0);
}

CONFORMS(takes_an_end_only_from_who_has_the_lease)
{
    uint64_t id = add(w, "x");
    struct sl_lease got = lease(w), wrong = got;
    uint64_t before = digest(w);
    wrong.epoch++;
    cr_assert_eq(finish(w, wrong, DONE), SL_ESTALE);
    wrong.epoch = 0;
    cr_assert_eq(finish(w, wrong, FAILED), SL_ESTALE);
    wrong = got;
    wrong.task_id++;
    cr_assert_eq(finish(w, wrong, DONE), SL_ESTALE);
    wrong.task_id = 0;
    cr_assert_eq(finish(w, wrong, DONE), SL_ESTALE);
    struct sl_end_item item = {.task_id = id, .epoch = got.epoch};
    enum sl_err result;
    cr_assert_eq(w->backend->ops->end(w->backend, w->now, (struct sl_scope){2}, &item, 1, &result),
                 SL_OK);
    cr_assert_eq(result, SL_ESTALE, "it is another tenant's");
    cr_assert_eq(digest(w), before);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    cr_assert_not(is_there(w, id));
}

CONFORMS(gives_each_end_of_a_call_a_result_of_its_own)
{
    enum sl_err results[6];
    struct sl_lease got[4];
    for (int i = 0; i < 4; i++)
        add(w, "x");
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 4}, got), 4);
    struct sl_end_item items[6] = {
        {.task_id = got[0].task_id, .epoch = got[0].epoch},
        {.task_id = got[0].task_id, .epoch = got[0].epoch},     /* Twice. */
        {.task_id = got[1].task_id, .epoch = got[1].epoch - 1}, /* First an older one... */
        {.task_id = got[1].task_id, .epoch = got[1].epoch},     /* ...then its own. */
        {.task_id = got[2].task_id, .epoch = got[2].epoch, .kind = (enum sl_end_kind)77},
        {.task_id = got[3].task_id, .epoch = got[3].epoch, .kind = SL_END_RELEASED},
    };
    enum sl_err errs[6] = {SL_OK, SL_ESTALE, SL_ESTALE, SL_OK, SL_EINVAL, SL_OK};
    cr_assert_eq(w->backend->ops->end(w->backend, w->now, w->queue.scope, items, 6, results),
                 SL_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(results[i], errs[i], "%d: %s", i, sl_err_name(results[i]));
    cr_assert_eq(depth(w).leased, 1);
    cr_assert_eq(depth(w).ready, 1);
}

CONFORMS(lets_the_next_lease_see_what_an_end_has_freed)
{
    set(w, (struct sl_lane_settings){.running_max = 1});
    add(w, "a");
    add(w, "b");
    struct sl_lease got = lease(w);
    cr_assert_eq(lease(w).task_id, 0);
    cr_assert_eq(finish(w, got, DONE, .served_ns = 1000), SL_OK);
    expect_lease(w, "b");
}

CONFORMS(takes_a_lease_back_at_its_deadline_and_not_before)
{
    uint64_t id = add(w, "a");
    add(w, "b");
    struct sl_lease got = lease(w);
    cr_assert_eq(got.deadline_ns, w->now.now_ns + 10 * SL_SECOND_NS);
    cr_assert_leq(tick(w), got.deadline_ns);
    pass(w, 9999);
    tick_all(w);
    cr_assert_eq(info(w, id).state, SL_STATE_RUNNING);
    pass(w, 1);
    tick_all(w);
    cr_assert_eq(info(w, id).state, SL_STATE_QUEUED);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    expect_lease(w, "b"); /* Behind it: it may be what its worker died of. */
    struct sl_lease again = lease_by(w, 2);
    cr_assert_eq(again.task_id, id);
    cr_assert_neq(again.epoch, got.epoch);
    cr_assert_eq(again.attempts + again.snoozes, 0);
    cr_assert_eq(again.crashes, 1, "a lease that was lost");
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    cr_assert_eq(finish(w, again, DONE), SL_OK);
}

CONFORMS(counts_what_a_lost_worker_held_as_crashed_and_sets_poison_apart)
{
    uint64_t id = add(w, "a");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(lease_by(w, 5).crashes, i);
        cr_assert_eq(w->backend->ops->lose(w->backend, w->now, &(struct sl_loss){.holder = 4}), 0,
                     "another worker");
        cr_assert_eq(w->backend->ops->lose(w->backend, w->now, &(struct sl_loss){.holder = 5}), 1);
    }
    cr_assert_eq(info(w, id).state, SL_STATE_QUARANTINED);
    cr_assert_eq(info(w, id).attempts, 0);
    cr_assert_eq(order(w, id, SL_ORDER_REDRIVE, NULL), SL_OK);
    cr_assert_eq(lease_by(w, 5).crashes, 0);
}

CONFORMS(extends_one_lease_or_all_of_a_holder_and_shortens_none)
{
    uint64_t a = add(w, "a"), b = add(w, "b"), c = add(w, "c");
    struct sl_lease one = lease_by(w, 1), two = lease_by(w, 2);
    lease_by(w, 3);
    const struct sl_backend_ops *ops = w->backend->ops;
    uint64_t until_ns = w->now.now_ns + 20 * SL_SECOND_NS;
    cr_assert_eq(ops->extend(w->backend, w->queue.scope, a, one.epoch + 9, until_ns), SL_ESTALE);
    cr_assert_eq(ops->extend(w->backend, (struct sl_scope){2}, a, one.epoch, until_ns), SL_ESTALE);
    cr_assert_eq(ops->extend(w->backend, w->queue.scope, a, one.epoch, until_ns), SL_OK);
    cr_assert_eq(ops->extend(w->backend, w->queue.scope, a, one.epoch, 1), SL_OK);
    ops->extend_holder(w->backend, 2, until_ns);
    ops->extend_holder(w->backend, 2, 1);
    ops->extend_holder(w->backend, 77, until_ns);
    pass(w, 19999);
    tick_all(w);
    cr_assert_eq(info(w, a).state, SL_STATE_RUNNING);
    cr_assert_eq(info(w, b).state, SL_STATE_RUNNING);
    cr_assert_eq(info(w, c).state, SL_STATE_QUEUED);
    pass(w, 1);
    tick_all(w);
    cr_assert_eq(info(w, a).state, SL_STATE_QUEUED);
    cr_assert_eq(finish(w, two, DONE), SL_ESTALE);
}

CONFORMS(gives_back_uncounted_and_to_the_front_what_did_not_begin)
{
    uint64_t ids[4] = {add(w, "a"), add(w, "b"), add(w, "c"), add(w, "d")};
    struct sl_lease got = lease_by(w, 1);
    cr_assert_eq(finish(w, got, RELEASED), SL_OK);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    for (int i = 0; i < 3; i++)
        lease_by(w, 2);
    cr_assert_eq(w->backend->ops->release_holder(w->backend, 1), 0);
    cr_assert_eq(w->backend->ops->release_holder(w->backend, 2), 3);
    for (int i = 0; i < 4; i++) {
        got = lease_by(w, 3);
        cr_assert_eq(got.task_id, ids[i]);
        cr_assert_eq(got.attempts + got.crashes + got.snoozes, 0);
    }
}

/* ---- ends ----------------------------------------------------------------------------------- */

CONFORMS(refuses_a_result_that_is_too_large_and_keeps_the_lease)
{
    static uint8_t large[SL_QUEUE_PAYLOAD_MAX + 1];
    add(w, "x", .retain_ms = 5);
    struct sl_lease got = lease(w);
    uint64_t before = digest(w);
    cr_assert_eq(finish(w, got, DONE, .bytes = sl_slice(large, sizeof(large))), SL_ETOOBIG);
    cr_assert_eq(digest(w), before);
    cr_assert_eq(finish(w, got, DONE, .bytes = sl_slice(large, SL_QUEUE_PAYLOAD_MAX)), SL_OK);
}

CONFORMS(counts_failures_crashes_and_snoozes_apart)
{
    uint64_t id = add(w, "x");
    cr_assert_eq(finish(w, lease(w), FAILED, .bytes = sl_slice_str("no")), SL_OK);
    pass(w, 3600000);
    cr_assert_eq(finish(w, lease(w), CRASHED, .bytes = sl_slice_str("no")), SL_OK);
    pass(w, 3600000);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(finish(w, lease(w), SNOOZED, .after_ms = 100), SL_OK);
        cr_assert_eq(lease(w).task_id, 0);
        pass(w, 100);
    }
    for (int i = 0; i < 2; i++) {
        struct sl_lease got = lease(w);
        cr_assert_eq(got.task_id, id);
        cr_assert_eq(got.attempts, 1);
        cr_assert_eq(got.crashes, 1);
        cr_assert_eq(got.snoozes, 3);
        restart(w);
    }
}

CONFORMS(keeps_the_beginning_of_a_reason_that_is_too_long)
{
    char text[5000];
    memset(text, 'x', sizeof(text));
    uint64_t id = add(w, "x");
    cr_assert_eq(finish(w, lease(w), FAILED, .bytes = sl_slice(text, sizeof(text))), SL_OK);
    cr_assert_neq(info(w, id).state, SL_STATE_RUNNING, "it has ended all the same");
    cr_assert_eq(info(w, id).attempts, 1);
    cr_assert_geq(info(w, id).why.size, SL_QUEUE_ERROR_MAX / 2);
    cr_assert_leq(info(w, id).why.size, SL_QUEUE_ERROR_MAX);
}

static struct sl_slice
policy(struct sl_buf *out, struct sl_retry_policy p)
{
    sl_buf_clear(out);
    sl_retry_encode(&p, out);
    return sl_buf_slice(out);
}

CONFORMS(tries_again_by_the_policy_of_the_task_until_it_is_dead)
{
    struct sl_buf buf = {0};
    struct sl_retry_policy p = {
        .kind = SL_RETRY_FIXED, .attempts_max = 3, .base_ms = 100, .classes_count = 1};
    strcpy(p.classes[0], "Fatal");
    uint64_t id = add(w, "x", .policy = policy(&buf, p));
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(finish(w, lease(w), FAILED, .bytes = sl_slice_str("because")), SL_OK);
        cr_assert_eq(info(w, id).attempts, i == 3 ? info(w, id).attempts : i);
        pass(w, 99);
        cr_assert_eq(lease(w).task_id, 0);
        pass(w, 1);
    }
    cr_assert_eq(info(w, id).state, SL_STATE_DEAD);
    cr_assert_eq(lease(w).task_id, 0);
    restart(w);
    sl_buf_clear(&w->bytes);
    cr_assert_eq(w->backend->ops->read(w->backend, w->queue.scope, id, SL_TASK_WHY, &w->bytes),
                 SL_OK);
    cr_assert_not_null(memmem(w->bytes.data, w->bytes.size, "because", 7));
    cr_assert(reads(w, id, SL_TASK_PAYLOAD, "x"));

    id = add(w, "y", .policy = policy(&buf, p));
    cr_assert_eq(finish(w, lease(w), FAILED, .class = sl_slice_str("Fatal")), SL_OK);
    cr_assert_eq(info(w, id).state, SL_STATE_DEAD, "such are not tried again");

    id = add(w, "z", .policy = policy(&buf, p));
    cr_assert_eq(finish(w, lease(w), FAILED, .after_ms = 5000), SL_OK);
    pass(w, 4999);
    cr_assert_eq(lease(w).task_id, 0);
    pass(w, 1);
    cr_assert_eq(lease(w).task_id, id, "as long as it asked for");
    sl_buf_deinit(&buf);
}

CONFORMS(quarantines_what_kills_three_processes_and_leaves_its_attempts)
{
    uint64_t id = add(w, "poison");
    for (int i = 1; i <= 3; i++) {
        struct sl_lease got = lease(w);
        cr_assert_eq(got.task_id, id, "%d", i);
        cr_assert_eq(got.crashes, i - 1);
        cr_assert_eq(got.attempts, 0);
        cr_assert_eq(finish(w, got, CRASHED, .bytes = sl_slice_str("last words")), SL_OK);
        pass(w, 3600000);
    }
    cr_assert_eq(info(w, id).state, SL_STATE_QUARANTINED);
    cr_assert_eq(lease(w).task_id, 0);
    sl_buf_clear(&w->bytes);
    cr_assert_eq(w->backend->ops->read(w->backend, w->queue.scope, id, SL_TASK_WHY, &w->bytes),
                 SL_OK);
    cr_assert_not_null(memmem(w->bytes.data, w->bytes.size, "last words", 10));
    cr_assert_eq(order(w, id, SL_ORDER_REDRIVE, NULL), SL_OK);
    cr_assert_eq(lease(w).crashes, 0);
}

CONFORMS(refuses_a_snooze_beyond_all_times)
{
    add(w, "x");
    struct sl_lease got = lease(w);
    uint64_t before = digest(w);
    cr_assert_eq(finish(w, got, SNOOZED, .after_ms = SL_TIME_MAX_MS + 1), SL_EINVAL);
    cr_assert_eq(digest(w), before);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
}

CONFORMS(lets_what_nobody_began_expire_at_its_time)
{
    uint64_t waits = add(w, "waits", .expires_ms = 100);
    uint64_t begun = add(w, "begun", .expires_ms = 100, .priority = 5);
    uint64_t delayed = add(w, "delayed", .expires_ms = 100, .delay_ms = 99);
    struct sl_put_item never = {.expires_ms = 100, .delay_ms = 100};
    cr_assert_eq(put_item(w, never).err, SL_EINVAL, "it would be over before it could begin");
    struct sl_lease held = lease(w);
    cr_assert_eq(held.task_id, begun);
    pass(w, 99);
    tick_all(w);
    cr_assert_eq(info(w, waits).state, SL_STATE_QUEUED);
    cr_assert_leq(tick(w), w->now.now_ns + SL_MILLI_NS);
    pass(w, 1);
    tick_all(w);
    cr_assert_eq(info(w, waits).state, SL_STATE_EXPIRED);
    cr_assert_eq(info(w, delayed).state, SL_STATE_EXPIRED);
    cr_assert_eq(info(w, begun).state, SL_STATE_RUNNING);
    cr_assert_eq(finish(w, held, DONE), SL_OK);
    pass(w, 200);
    cr_assert_eq(lease(w).task_id, 0);
}

CONFORMS(keeps_a_result_as_long_as_was_asked_for)
{
    uint64_t gone = add(w, "gone"), kept = add(w, "kept", .retain_ms = 1000);
    cr_assert_eq(finish(w, lease(w), DONE, .bytes = sl_slice_str("of nobody")), SL_OK);
    cr_assert_eq(finish(w, lease(w), DONE, .bytes = sl_slice_str("a result")), SL_OK);
    cr_assert_not(is_there(w, gone));
    cr_assert_eq(info(w, kept).state, SL_STATE_SUCCEEDED);
    restart(w);
    cr_assert(reads(w, kept, SL_TASK_RESULT, "a result"));
    sl_buf_clear(&w->bytes);
    cr_assert_eq(
        w->backend->ops->read(w->backend, w->queue.scope, kept, SL_TASK_PAYLOAD, &w->bytes),
        SL_ENOTFOUND);
    cr_assert_eq(
        w->backend->ops->read(w->backend, (struct sl_scope){2}, kept, SL_TASK_RESULT, &w->bytes),
        SL_ENOTFOUND);
    cr_assert_eq(w->bytes.size, 0);
    pass(w, 999);
    tick_all(w);
    cr_assert(is_there(w, kept));
    cr_assert_leq(tick(w), w->now.now_ns + SL_MILLI_NS);
    pass(w, 1);
    tick_all(w);
    cr_assert_not(is_there(w, kept));
}

CONFORMS(forgets_the_dead_after_their_time_and_beyond_their_number_the_oldest_first)
{
    uint64_t ids[4];
    struct sl_lane_settings settings = {.dead_retain_ms = 1000, .dead_max = 3};
    struct sl_buf buf = {0};
    struct sl_retry_policy once = {.attempts_max = 1};
    set(w, settings);
    for (int i = 0; i < 4; i++) {
        ids[i] = add(w, "x", .policy = policy(&buf, once));
        cr_assert_eq(finish(w, lease(w), FAILED), SL_OK);
        pass(w, 100);
        tick_all(w);
    }
    cr_assert_not(is_there(w, ids[0]));
    cr_assert_eq(depth(w).count[SL_STATE_DEAD], 3);
    restart(w);
    pass(w, 700 - 1); /* The second died 300 ms ago. */
    tick_all(w);
    cr_assert(is_there(w, ids[1]));
    pass(w, 1);
    tick_all(w);
    cr_assert_not(is_there(w, ids[1]));
    cr_assert(is_there(w, ids[2]));
    pass(w, 200);
    tick_all(w);
    cr_assert_eq(depth(w).count[SL_STATE_DEAD], 0);
    sl_buf_deinit(&buf);
}
