/* SPDX-License-Identifier: Apache-2.0 */
/* What operators may rely on, and what holds over restarts, whatever backend keeps the tasks. */
#include "runtime/report.h"
#include "tests/queue/conformance.h"

/* ---- single tasks --------------------------------------------------------------------------- */

/* Its policy gives up at the third failure. */
static uint64_t
make_dead(struct world *w, const char *text)
{
    uint64_t id = add(w, text, .priority = SL_QUEUE_PRIORITY_MAX);
    for (int i = 0; info(w, id).state != SL_STATE_DEAD; i++) {
        cr_assert_lt(i, 10);
        struct sl_lease got = lease(w);
        cr_assert_eq(got.task_id, id);
        cr_assert_eq(finish(w, got, FAILED, .bytes = sl_slice_str("no")), SL_OK);
        pass(w, 3600000);
    }
    return id;
}

CONFORMS(drives_again_with_another_priority)
{
    uint64_t low = add(w, "low", .priority = 1);
    struct sl_lease got = lease(w);
    cr_assert_eq(got.task_id, low);
    cr_assert_eq(order(w, low, SL_ORDER_CANCEL, NULL), SL_OK);
    uint64_t middle = add(w, "middle", .priority = 5);
    struct sl_order_edit edit = {.priority = 9};
    cr_assert_eq(order(w, low, SL_ORDER_REDRIVE, &edit), SL_OK);
    cr_assert_eq(lease(w).task_id, low);
    cr_assert_eq(lease(w).task_id, middle);
}

CONFORMS(drives_a_dead_task_again_as_it_was_or_with_another_payload)
{
    uint64_t a = make_dead(w, "a"), b = make_dead(w, "b");
    cr_assert_eq(depth(w).count[SL_STATE_DEAD], 2);
    cr_assert_eq(order(w, a, SL_ORDER_REDRIVE, NULL), SL_OK);
    struct sl_order_edit edit = {.delay_ms = 500, .priority = 2, .payload = sl_slice_str("mended")};
    cr_assert_eq(order(w, b, SL_ORDER_REDRIVE, &edit), SL_OK);
    cr_assert_eq(order(w, b, SL_ORDER_REDRIVE, NULL), SL_EBUSY, "it waits");
    restart(w);
    struct sl_lease got = lease(w);
    cr_assert(sl_slice_is(got.payload, "a"));
    cr_assert_eq(got.attempts, 0);
    cr_assert_eq(lease(w).task_id, 0);
    pass(w, 500);
    expect_lease(w, "mended");
    cr_assert_eq(order(w, a, SL_ORDER_REDRIVE, NULL), SL_EBUSY, "it runs");
}

CONFORMS(edits_what_waits_and_nothing_else)
{
    uint64_t a = add(w, "a"), b = add(w, "b");
    uint64_t c = add(w, "c", .delay_ms = 5000, .priority = 3);
    struct sl_order_edit edit = {.priority = 7};
    cr_assert_eq(order(w, b, SL_ORDER_EDIT, &edit), SL_OK);
    edit = (struct sl_order_edit){.priority = -1, .payload = sl_slice_str("c, now")};
    cr_assert_eq(order(w, c, SL_ORDER_EDIT, &edit), SL_OK);
    edit = (struct sl_order_edit){.priority = -1, .delay_ms = 100};
    cr_assert_eq(order(w, a, SL_ORDER_EDIT, &edit), SL_OK);
    restart(w);
    cr_assert_eq(info(w, c).priority, 3, "as it was");
    expect_lease(w, "b");
    expect_lease(w, "c, now");
    cr_assert_eq(lease(w).task_id, 0);
    cr_assert_eq(order(w, b, SL_ORDER_EDIT, &edit), SL_EBUSY, "it runs");
    pass(w, 100);
    expect_lease(w, "a");
}

CONFORMS(refuses_edits_that_are_none_and_changes_nothing)
{
    static uint8_t large[SL_QUEUE_PAYLOAD_MAX + 1];
    uint64_t id = add(w, "a"), dead = make_dead(w, "dead");
    struct sl_order_edit edits[] = {
        {.priority = SL_QUEUE_PRIORITY_MAX + 1},
        {.priority = -1, .delay_ms = SL_TIME_MAX_MS + 1},
        {.priority = -1, .payload = sl_slice(large, sizeof(large))},
    };
    enum sl_err errs[] = {SL_EINVAL, SL_EINVAL, SL_ETOOBIG};
    uint64_t before = digest(w);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(order(w, id, SL_ORDER_EDIT, &edits[i]), errs[i], "%d", i);
        cr_assert_eq(order(w, dead, SL_ORDER_REDRIVE, &edits[i]), errs[i], "%d", i);
    }
    cr_assert_eq(order(w, id, SL_ORDER_EDIT, NULL), SL_EINVAL);
    cr_assert_eq(order(w, dead, SL_ORDER_EDIT, &(struct sl_order_edit){.priority = 1}), SL_EBUSY);
    cr_assert_eq(digest(w), before);
}

CONFORMS(cancels_what_waits_or_runs)
{
    uint64_t runs = add(w, "runs"), waits = add(w, "waits");
    uint64_t later = add(w, "later", .delay_ms = 10), dead = make_dead(w, "dead");
    struct sl_lease got = lease(w);
    cr_assert_eq(got.task_id, runs);
    cr_assert_eq(order(w, runs, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(order(w, waits, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(order(w, later, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(order(w, waits, SL_ORDER_CANCEL, NULL), SL_EBUSY, "it has ended");
    cr_assert_eq(order(w, dead, SL_ORDER_CANCEL, NULL), SL_EBUSY);
    cr_assert_eq(finish(w, got, DONE), SL_ESTALE);
    cr_assert_eq(w->backend->ops->extend(w->backend, w->queue.scope, runs, got.epoch, UINT64_MAX),
                 SL_ESTALE);
    pass(w, 100);
    cr_assert_eq(lease(w).task_id, 0);
    restart(w);
    cr_assert_eq(lease(w).task_id, 0);
    cr_assert_eq(info(w, runs).state, SL_STATE_CANCELED);
    cr_assert_eq(depth(w).leased, 0);
}

CONFORMS(forgets_what_has_ended_and_knows_no_task_of_others)
{
    uint64_t id = add(w, "x"), dead = make_dead(w, "dead");
    const struct sl_backend_ops *ops = w->backend->ops;
    uint64_t before = digest(w);
    struct sl_task_info got;
    cr_assert_eq(order(w, id, SL_ORDER_FORGET, NULL), SL_EBUSY);
    for (int what = SL_ORDER_CANCEL; what <= SL_ORDER_FORGET; what++) {
        struct sl_order_edit edit = {.priority = 1};
        cr_assert_eq(order(w, id + 1000, (enum sl_order)what, &edit), SL_ENOTFOUND);
        cr_assert_eq(order(w, 0, (enum sl_order)what, &edit), SL_ENOTFOUND);
        cr_assert_eq(
            ops->order(w->backend, w->now, (struct sl_scope){2}, id, (enum sl_order)what, &edit),
            SL_ENOTFOUND);
    }
    cr_assert_eq(ops->task(w->backend, (struct sl_scope){2}, id, &got), SL_ENOTFOUND);
    cr_assert_eq(ops->read(w->backend, (struct sl_scope){2}, id, SL_TASK_PAYLOAD, &w->bytes),
                 SL_ENOTFOUND);
    cr_assert_eq(digest(w), before);
    cr_assert_eq(order(w, dead, SL_ORDER_FORGET, NULL), SL_OK);
    cr_assert_not(is_there(w, dead));
    cr_assert_eq(order(w, dead, SL_ORDER_FORGET, NULL), SL_ENOTFOUND);
}

CONFORMS(finds_tasks_by_their_states_going_on_where_it_stopped)
{
    uint64_t dead = make_dead(w, "dead");
    for (int i = 0; i < 10; i++)
        add(w, "x", .delay_ms = (uint64_t)(i % 2));
    struct sl_task_scan scan = {.scope = {1}, .class = SL_CLASS_OWN, .states = SL_IN(DEAD)};
    struct sl_task_info found = {0};
    bool is_end = false;
    uint64_t count = 0;
    while (!is_end)
        if (w->backend->ops->scan(w->backend, &scan, 2, &found, &is_end)) {
            cr_assert_eq(found.id, dead);
            count++;
        }
    cr_assert_eq(count, 1);
    scan = (struct sl_task_scan){.scope = {1}, .class = SL_CLASS_OWN};
    for (is_end = false, count = 0; !is_end;)
        count += w->backend->ops->scan(w->backend, &scan, 2, &found, &is_end);
    cr_assert_eq(count, 11);
    scan = (struct sl_task_scan){.scope = {2}, .class = SL_CLASS_OWN};
    for (is_end = false; !is_end;)
        cr_assert_not(w->backend->ops->scan(w->backend, &scan, 2, &found, &is_end));
}

/* ---- queues --------------------------------------------------------------------------------- */

CONFORMS(takes_and_hands_out_as_its_mode_says_also_after_a_restart)
{
    struct {
        enum sl_lane_mode mode;
        enum sl_err put;
        bool hands_out;
    } modes[] = {{SL_LANE_PAUSED, SL_OK, false},
                 {SL_LANE_DRAINING, SL_EUNAVAIL, true},
                 {SL_LANE_CLOSED, SL_EUNAVAIL, false},
                 {SL_LANE_OPEN, SL_OK, true}};
    for (int i = 0; i < 4; i++) {
        set(w, (struct sl_lane_settings){0});
        uint64_t held = add(w, "held");
        struct sl_lease got = lease(w);
        cr_assert_eq(got.task_id, held);
        add(w, "waits");
        set(w, (struct sl_lane_settings){.mode = modes[i].mode});
        cr_assert_eq(finish(w, got, DONE), SL_OK, "what runs may end");
        restart(w);
        cr_assert_eq(depth(w).settings.mode, modes[i].mode);
        struct sl_put_result result = put_item(w, (struct sl_put_item){0});
        cr_assert_eq(result.err, modes[i].put, "%d", i);
        if (result.err == SL_OK)
            cr_assert_eq(order(w, result.task_id, SL_ORDER_CANCEL, NULL), SL_OK);
        got = lease(w);
        cr_assert_eq(got.task_id != 0, modes[i].hands_out, "%d", i);
        set(w, (struct sl_lane_settings){0});
        if (got.task_id == 0)
            got = lease(w);
        cr_assert_eq(finish(w, got, DONE), SL_OK);
    }
}

static enum sl_lane_mode
mode_of(struct world *w)
{
    return depth(w).settings.mode;
}

/* What may still run, or runs, counts as unfinished: waiting for its time, for another try, leased.
 */
CONFORMS(one_that_stops_closes_once_nothing_in_it_is_unfinished_also_after_a_restart)
{
    const struct sl_lane_settings stop = {.mode = SL_LANE_STOPPING, .running_max = 7};
    set(w, (struct sl_lane_settings){.dead_max = 10});
    uint64_t late = add(w, "late", .delay_ms = 5000);
    add(w, "kept", .retain_ms = 1000000);
    set(w, stop);
    cr_assert_eq(put_item(w, (struct sl_put_item){0}).err, SL_EUNAVAIL);
    struct sl_lease got = lease(w);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    cr_assert_eq(mode_of(w), SL_LANE_STOPPING);
    restart(w);
    cr_assert_eq(mode_of(w), SL_LANE_STOPPING);
    pass(w, 5000);
    got = lease(w);
    cr_assert_eq(got.task_id, late);
    cr_assert_eq(finish(w, got, FAILED, .after_ms = 100), SL_OK);
    cr_assert_eq(mode_of(w), SL_LANE_STOPPING, "it is tried again");
    pass(w, 100);
    got = lease(w);
    cr_assert_eq(got.task_id, late);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    cr_assert_eq(mode_of(w), SL_LANE_CLOSED);
    cr_assert_eq(depth(w).settings.running_max, 7);
    uint64_t sum = digest(w);
    restart(w);
    cr_assert_eq(mode_of(w), SL_LANE_CLOSED);
    cr_assert_eq(digest(w), sum);
    set(w, stop);
    cr_assert_eq(mode_of(w), SL_LANE_CLOSED, "nothing is unfinished: at once");
    set(w, (struct sl_lane_settings){0});
    cr_assert_neq(add(w, "again"), 0);
}

CONFORMS(one_that_stops_closes_with_what_is_cancelled_or_dead)
{
    set(w, (struct sl_lane_settings){0});
    uint64_t one = add(w, "one");
    add(w, "two", .expires_ms = 1000);
    set(w, (struct sl_lane_settings){.mode = SL_LANE_STOPPING});
    cr_assert_eq(order(w, one, SL_ORDER_CANCEL, NULL), SL_OK);
    cr_assert_eq(mode_of(w), SL_LANE_STOPPING);
    pass(w, 1001);
    tick_all(w);
    cr_assert_eq(mode_of(w), SL_LANE_CLOSED);
    cr_assert_eq(order(w, one, SL_ORDER_REDRIVE, NULL), SL_OK);
    cr_assert_eq(lease(w).task_id, 0, "it hands out nothing");
}

CONFORMS(begins_no_more_than_its_rate_and_says_when_the_next_may)
{
    set(w, (struct sl_lane_settings){.rate = 1, .rate_period_ms = 10, .burst = 2});
    for (int i = 0; i < 5; i++)
        add(w, "x");
    cr_assert_neq(lease(w).task_id, 0);
    cr_assert_neq(lease(w).task_id, 0);
    cr_assert_eq(lease(w).task_id, 0);
    uint64_t next_ns = tick(w);
    cr_assert_eq(next_ns, w->now.now_ns + 10 * SL_MILLI_NS);
    w->now.now_ns = next_ns - 1;
    cr_assert_eq(lease(w).task_id, 0);
    w->now.now_ns = next_ns;
    cr_assert_neq(lease(w).task_id, 0);
    cr_assert_eq(lease(w).task_id, 0);
    set(w, (struct sl_lane_settings){0});
    cr_assert_neq(lease(w).task_id, 0);
}

CONFORMS(runs_no_more_at_once_than_it_may)
{
    set(w, (struct sl_lane_settings){.running_max = 2});
    for (int i = 0; i < 5; i++)
        add(w, "x");
    struct sl_lease got[5];
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 1, .max = 5}, got), 2);
    cr_assert_eq(finish(w, got[0], FAILED), SL_OK);
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 2, .max = 5}, got), 1);
    cr_assert_eq(w->backend->ops->release_holder(w->backend, 1), 1);
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 2, .max = 5}, got), 1);
    cr_assert_eq(depth(w).leased, 2);
}

CONFORMS(refuses_settings_and_names_that_are_none_and_changes_nothing)
{
    char name[SL_LANE_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    struct sl_lane_settings none = {.weight = 1001}, good = {.weight = 5};
    struct sl_queue_name names[] = {{{1}, sl_slice(name, SL_LANE_NAME_MAX + 1)},
                                    {{1}, {0}},
                                    {{1}, sl_slice_str("a b")},
                                    {{1}, sl_slice_str("a:b")},
                                    {{1}, sl_slice_str("\xc3\xa4")}};
    const struct sl_backend_ops *ops = w->backend->ops;
    uint64_t before = digest(w);
    cr_assert_eq(ops->set(w->backend, w->queue, &none), SL_EINVAL);
    none = (struct sl_lane_settings){.mode = (enum sl_lane_mode)99};
    cr_assert_eq(ops->set(w->backend, w->queue, &none), SL_EINVAL);
    for (size_t i = 0; i < SL_COUNT_OF(names); i++)
        cr_assert_eq(ops->set(w->backend, names[i], &good), SL_EINVAL, "%zu", i);
    cr_assert_eq(digest(w), before);
    struct sl_queue_name long_name = {{1}, sl_slice(name, SL_LANE_NAME_MAX)};
    cr_assert_eq(ops->set(w->backend, long_name, &good), SL_OK);
    struct sl_queue_depth got;
    cr_assert_eq(ops->depth(w->backend, long_name, &got), SL_OK);
    cr_assert(sl_slice_equal(got.name, long_name.name));
    cr_assert_eq(ops->depth(w->backend, names[1], &got), SL_ENOTFOUND);
}

CONFORMS(keeps_the_queues_of_tenants_apart)
{
    struct sl_queue_name mine = w->queue, other = {{2}, mine.name},
                         second = {{1}, sl_slice_str("b")};
    struct sl_lane_settings usual = {0};
    cr_assert_eq(w->backend->ops->set(w->backend, other, &usual), SL_OK);
    cr_assert_eq(w->backend->ops->set(w->backend, second, &usual), SL_OK);
    add(w, "mine");
    w->queue = other;
    cr_assert_eq(lease(w).task_id, 0);
    add(w, "other's");
    w->queue = second;
    cr_assert_eq(lease(w).task_id, 0);
    add(w, "second");
    restart(w);
    expect_lease(w, "second");
    w->queue = other;
    expect_lease(w, "other's");
    w->queue = mine;
    expect_lease(w, "mine");
}

/* ---- restarts and clocks -------------------------------------------------------------------- */

/* Each of another size. */
static const char *
text_of(int i)
{
    static char text[200];
    size_t size = 10 + (size_t)i;
    memset(text, 'a' + i % 26, size);
    text[size] = '\0';
    return text;
}

CONFORMS(has_all_that_was_synced_after_its_process_was_killed)
{
    uint64_t ids[100];
    make_dead(w, "dead");
    for (int i = 0; i < 100; i++) {
        ids[i] = add_well(w, (struct sl_put_item){.payload = sl_slice_str(text_of(i)),
                                                  .priority = (uint8_t)(i % 10),
                                                  .delay_ms = i % 7 == 0 ? 100000 : 0,
                                                  .retain_ms = 500000});
    }
    for (int i = 0; i < 20; i++) {
        struct sl_lease got = lease(w);
        if (i % 2 == 0)
            cr_assert_eq(finish(w, got, DONE, .bytes = sl_slice_str("r")), SL_OK);
        else if (i % 4 == 1)
            cr_assert_eq(finish(w, got, FAILED, .bytes = sl_slice_str("f")), SL_OK);
    }
    for (int round = 0; round < 3; round++) {
        uint64_t before = digest(w);
        restart(w);
        cr_assert_eq(digest(w), before, "%d", round);
        cr_assert_eq(depth(w).leased, 0, "no lease outlasts it");
        struct sl_lease got = lease(w);
        cr_assert_eq(finish(w, got, RELEASED), SL_OK);
        for (int i = 0; i < 100; i++)
            if (info(w, ids[i]).state == SL_STATE_QUEUED) {
                cr_assert(reads(w, ids[i], SL_TASK_PAYLOAD, text_of(i)));
            }
    }
}

CONFORMS(refuses_leases_from_before_a_restart)
{
    uint64_t id = add(w, "x");
    struct sl_lease before = lease(w);
    restart(w);
    cr_assert_eq(finish(w, before, DONE), SL_ESTALE);
    struct sl_lease after = lease(w);
    cr_assert_eq(after.task_id, id);
    cr_assert_neq(after.epoch, before.epoch);
    cr_assert_eq(finish(w, before, FAILED), SL_ESTALE);
    cr_assert_eq(w->backend->ops->extend(w->backend, w->queue.scope, id, before.epoch, UINT64_MAX),
                 SL_ESTALE);
    cr_assert_eq(finish(w, after, DONE), SL_OK);
}

/* What is due follows the wall clock; leases do not. */
CONFORMS(loses_nothing_to_a_wall_clock_that_jumps)
{
    uint64_t later = add(w, "later", .delay_ms = 1000);
    struct sl_lease got;
    add(w, "now");
    got = lease(w);
    w->now.now_ms -= 600000; /* Ten minutes back: leases stay, and it waits longer. */
    tick_all(w);
    cr_assert_eq(info(w, got.task_id).state, SL_STATE_RUNNING);
    pass(w, 5000);
    cr_assert_eq(lease(w).task_id, 0);
    uint64_t id = add(w, "put meanwhile");
    cr_assert_eq(lease(w).task_id, id);
    w->now.now_ms += UINT64_C(10) * 365 * 86400000; /* Ten years ahead. */
    tick_all(w);
    cr_assert_eq(info(w, got.task_id).state, SL_STATE_RUNNING);
    cr_assert_eq(lease(w).task_id, later);
    cr_assert_eq(finish(w, got, DONE), SL_OK);
    w->now.now_ms = 0; /* A clock that was never set. */
    id = add(w, "at the beginning of time", .delay_ms = 5);
    tick_all(w);
    pass(w, 5);
    cr_assert_eq(lease(w).task_id, id);
    w->now.now_ms = SL_TIME_MAX_MS + 1000; /* And one beyond all times. */
    struct sl_put_result result = put_item(w, (struct sl_put_item){.delay_ms = 5});
    cr_assert(result.err == SL_OK || result.err == SL_EINVAL);
    tick_all(w);
    restart(w);
}

/* ---- against each other --------------------------------------------------------------------- */

struct pair {
    struct world *worlds[2];
    uint64_t ids[2][400];
    struct sl_lease held[2][400];
    uint32_t count;
};

static void
step_both(struct pair *p, struct sl_random *random)
{
    uint64_t what = sl_random_below(random, 9), at = sl_random_below(random, p->count + 1);
    uint64_t one = sl_random_below(random, 12), two = sl_random_below(random, 300);
    int64_t got[2][4] = {{0}};
    for (int i = 0; i < 2; i++) {
        struct world *w = p->worlds[i];
        struct sl_lease held = at < p->count ? p->held[i][at] : (struct sl_lease){0}, lease;
        uint64_t id = at < p->count ? p->ids[i][at] : 12345;
        struct sl_put_result result;
        switch (what) {
        case 0:
        case 1:
            result = put_item(w, (struct sl_put_item){.priority = (uint8_t)one,
                                                      .delay_ms = two > 200 ? two : 0,
                                                      .payload = sl_slice("0123456789", one)});
            got[i][0] = result.err;
            got[i][1] = result.state;
            if (result.err == SL_OK && p->count < 400)
                p->ids[i][p->count] = result.task_id;
            break;
        case 2:
        case 3:
            lease = lease_by(w, 1 + one % 3);
            for (uint32_t k = 0; k < p->count; k++)
                if (lease.task_id != 0 && p->ids[i][k] == lease.task_id) {
                    p->held[i][k] = lease;
                    got[i][0] = k + 1;
                }
            got[i][1] = (int64_t)lease.payload.size;
            got[i][2] = lease.attempts * 10000 + lease.crashes * 100 + lease.snoozes;
            break;
        case 4:
            got[i][0] = end_item(w, held,
                                 (struct sl_end_item){.kind = (enum sl_end_kind)(one % 6),
                                                      .after_ms = 1 + two,
                                                      .bytes = sl_slice_str("bytes")});
            break;
        case 5:
            got[i][0] = order(w, id, (enum sl_order)(one % 4),
                              &(struct sl_order_edit){.priority = (int)one - 1,
                                                      .delay_ms = two > 250 ? two : 0,
                                                      .payload = sl_slice("abc", one % 4)});
            break;
        case 6:
            set(w, (struct sl_lane_settings){.mode = one == 0 ? SL_LANE_PAUSED : SL_LANE_OPEN,
                                             .depth_max = one == 1 ? 20 : 0,
                                             .running_max = (uint32_t)(one % 4 * 5)});
            break;
        case 7:
            pass(w, two);
            tick_all(w);
            break;
        default:
            got[i][0] = one == 0 ? (int64_t)w->backend->ops->release_holder(w->backend, 1) : 0;
            if (one == 1)
                restart(w);
        }
        got[i][3] = (int64_t)(depth(w).ready * 1000000 + depth(w).leased * 1000 + depth(w).delayed);
    }
    cr_assert_arr_eq(got[0], got[1], sizeof(got[0]), "%lu: %ld and %ld, %ld and %ld",
                     (unsigned long)what, (long)got[0][0], (long)got[1][0], (long)got[0][3],
                     (long)got[1][3]);
    p->count += what < 2 && got[0][0] == SL_OK && p->count < 399;
}

Test(conformance, two_backends_answer_alike_through_random_calls)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world disk, memory;
        static struct pair pair;
        struct sl_random random;
        sl_random_seed(&random, seed);
        sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
        world_begin(&disk, &on_disk);
        world_begin(&memory, &in_memory);
        pair = (struct pair){.worlds = {&disk, &memory}};
        for (int i = 0; i < 3000; i++)
            step_both(&pair, &random);
        cr_assert_gt(pair.count, 100);
        world_end(&disk);
        world_end(&memory);
    }
}
