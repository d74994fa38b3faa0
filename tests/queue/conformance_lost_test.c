/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of leases whose holder is gone: what it had begun counts, the rest does not. And
 * when who waits for one is to look again. */
#include "runtime/alloc.h"
#include "tests/queue/conformance.h"

enum { MANY = 3000, SOME = 10 };

static uint32_t
prefetch(struct world *w, uint64_t holder, uint32_t max, struct sl_lease *ret_leases)
{
    return lease_some(w, (struct sl_lease_ask){.holder = holder, .max = max, .is_prefetched = true},
                      ret_leases);
}

static enum sl_err
begin(struct world *w, struct sl_lease lease)
{
    return w->backend->ops->begin(w->backend, w->queue.scope, lease.task_id, lease.epoch);
}

static uint64_t
lose(struct world *w, struct sl_loss loss)
{
    return w->backend->ops->lose(w->backend, w->now, &loss);
}

CONFORMS(counts_only_what_a_lost_worker_had_begun)
{
    struct sl_lease got[4], again[4];
    add(w, "a"), add(w, "b"), add(w, "c"), add(w, "d");
    cr_assert_eq(prefetch(w, 5, 4, got), 4);
    cr_assert_not(got[1].is_begun);
    cr_assert_eq(begin(w, got[1]), SL_OK);
    cr_assert_eq(begin(w, got[1]), SL_OK, "again is fine");
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), 4);
    cr_assert_eq(prefetch(w, 6, 4, again), 4);
    cr_assert_eq(again[0].task_id, got[0].task_id, "in order, those that had not begun first");
    cr_assert_eq(again[1].task_id, got[2].task_id);
    cr_assert_eq(again[2].task_id, got[3].task_id);
    cr_assert_eq(again[3].task_id, got[1].task_id);
    cr_assert_eq(again[0].crashes + again[1].crashes + again[2].crashes, 0);
    cr_assert_eq(again[3].crashes, 1);
}

CONFORMS(spares_the_innocent_beside_poison)
{
    struct sl_lease got[SOME];
    uint64_t poison = 0;
    for (int i = 0; i < SOME; i++) {
        uint64_t id = add(w, "x");
        poison = i == SOME / 2 ? id : poison;
    }
    for (int death = 0; death < 3; death++) {
        uint32_t count = prefetch(w, 5, SOME, got), begun = count;
        for (uint32_t i = 0; i < count; i++) {
            if (got[i].task_id == poison)
                begun = i;
        }
        cr_assert_lt(begun, count);
        cr_assert_eq(begin(w, got[begun]), SL_OK);
        cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), SOME);
    }
    cr_assert_eq(info(w, poison).state, SL_STATE_QUARANTINED);
    cr_assert_eq(prefetch(w, 6, SOME, got), SOME - 1);
    for (int i = 0; i < SOME - 1; i++)
        cr_assert_eq(got[i].crashes, 0);
}

CONFORMS(takes_the_oldest_for_begun_where_a_worker_said_nothing)
{
    struct sl_lease got[2];
    uint64_t first = add(w, "a"), second = add(w, "b");
    cr_assert_eq(prefetch(w, 5, 2, got), 2);
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), 2);
    cr_assert_eq(info(w, first).crashes, 1, "it died of something");
    cr_assert_eq(info(w, second).crashes, 0);
}

CONFORMS(counts_a_lease_that_lapses_only_if_it_had_begun)
{
    struct sl_lease got[2];
    uint64_t begun = add(w, "a"), not_begun = add(w, "b");
    cr_assert_eq(prefetch(w, 5, 2, got), 2);
    cr_assert_eq(begin(w, got[0]), SL_OK);
    pass(w, 10000);
    tick_all(w);
    cr_assert_eq(info(w, begun).crashes, 1);
    cr_assert_eq(info(w, not_begun).crashes, 0);
    cr_assert_eq(info(w, not_begun).state, SL_STATE_QUEUED);
    cr_assert_eq(begin(w, got[1]), SL_ESTALE);
    cr_assert_eq(finish(w, got[1], DONE), SL_ESTALE);
}

CONFORMS(begins_none_but_a_live_lease_of_the_scope)
{
    struct sl_lease got[1];
    uint64_t id = add(w, "a");
    cr_assert_eq(prefetch(w, 5, 1, got), 1);
    const struct sl_backend_ops *ops = w->backend->ops;
    cr_assert_eq(ops->begin(w->backend, (struct sl_scope){2}, id, got[0].epoch), SL_ESTALE);
    cr_assert_eq(ops->begin(w->backend, w->queue.scope, id, got[0].epoch + 1), SL_ESTALE);
    cr_assert_eq(ops->begin(w->backend, w->queue.scope, id + 1, got[0].epoch), SL_ESTALE);
    cr_assert_eq(finish(w, got[0], DONE), SL_OK, "an end does not ask");
}

CONFORMS(keeps_how_a_worker_died)
{
    uint64_t id = add(w, "a");
    (void)lease_by(w, 5);
    struct sl_loss loss = {
        .holder = 5, .signal = 9, .peak_bytes = 4096, .lines = sl_slice_str("one\nallocating\n")};
    cr_assert_eq(lose(w, loss), 1);
    cr_assert(
        reads(w, id, SL_TASK_WHY,
              "its process died of signal 9 SIGKILL, peak memory 4096 bytes\none\nallocating"));
    cr_assert_eq(info(w, id).crashes, 1);
}

CONFORMS(keeps_the_end_of_what_a_worker_said_at_length)
{
    static char lines[100000];
    struct sl_buf why = {0};
    uint64_t id = add(w, "a");
    memset(lines, 'x', sizeof(lines));
    memcpy(lines + sizeof(lines) - 5, "\nlast", 5);
    (void)lease_by(w, 5);
    struct sl_loss loss = {.holder = 5, .lines = sl_slice(lines, sizeof(lines))};
    cr_assert_eq(lose(w, loss), 1);
    cr_assert_eq(w->backend->ops->read(w->backend, w->queue.scope, id, SL_TASK_WHY, &why), SL_OK);
    cr_assert_leq(why.size, SL_QUEUE_ERROR_MAX);
    cr_assert_eq(memcmp(why.data + why.size - 5, "\nlast", 5), 0);
    sl_buf_deinit(&why);
}

/* How many of `ids` are in such a state. */
static uint32_t
count_in(struct world *w, const uint64_t *ids, enum sl_state state)
{
    uint32_t count = 0;
    for (int i = 0; i < MANY; i++)
        count += info(w, ids[i]).state == state;
    return count;
}

static void
lease_many(struct world *w, uint64_t *ids)
{
    static struct sl_lease got[MANY];
    for (int i = 0; i < MANY; i++)
        ids[i] = add(w, "x");
    cr_assert_eq(lease_some(w, (struct sl_lease_ask){.holder = 5, .max = MANY}, got), MANY);
}

CONFORMS(loses_many_leases_some_at_a_time)
{
    uint64_t ids[MANY];
    uint32_t left, before;
    lease_many(w, ids);
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), MANY);
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), 0, "it has none any more");
    left = count_in(w, ids, SL_STATE_RUNNING);
    cr_assert(left > 0 && left < MANY, "%u", left);
    struct sl_lease fresh = lease_by(w, 5);
    while (tick(w) <= w->now.now_ns) {
        before = left;
        left = count_in(w, ids, SL_STATE_RUNNING);
        cr_assert(left < before && before - left <= 1024, "%u of %u", left, before);
    }
    cr_assert_eq(count_in(w, ids, SL_STATE_RUNNING), 1, "what came later is another's");
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(info(w, ids[i]).crashes, 1);
    cr_assert_eq(finish(w, fresh, DONE), SL_OK);
}

CONFORMS(makes_all_ready_again_when_it_dies_amid_many_lost_leases)
{
    uint64_t ids[MANY];
    uint32_t counted = 0;
    lease_many(w, ids);
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5}), MANY);
    cr_assert_eq(w->backend->ops->sync(w->backend), SL_OK);
    restart(w);
    cr_assert_eq(count_in(w, ids, SL_STATE_QUEUED), MANY);
    for (int i = 0; i < MANY; i++)
        counted += info(w, ids[i]).crashes;
    cr_assert(counted > 0 && counted < MANY, "those that were told of, once each: %u", counted);
}

CONFORMS(gives_back_uncounted_what_is_lost_on_the_way)
{
    uint64_t ids[MANY];
    lease_many(w, ids);
    uint64_t before = digest(w);
    cr_assert_eq(lose(w, (struct sl_loss){.holder = 5, .is_uncounted = true}), MANY);
    tick_all(w);
    cr_assert_eq(count_in(w, ids, SL_STATE_QUEUED), MANY);
    cr_assert_eq(digest(w), before, "nothing is written");
}

CONFORMS(tells_when_its_own_rate_lets_a_queue_go_on)
{
    struct sl_queue_name slow = w->queue, fast = w->queue;
    struct sl_lane_settings often = {.rate = 1000, .rate_period_ms = 1000};
    fast.name = sl_slice_str("fast");
    set(w, (struct sl_lane_settings){.rate = 1, .rate_period_ms = 400});
    cr_assert_eq(w->backend->ops->set(w->backend, fast, &often), SL_OK);
    add(w, "a"), add(w, "b");
    w->queue = fast;
    add(w, "c"), add(w, "d");
    (void)lease(w);
    cr_assert_eq(depth(w).rate_ns, w->now.now_ns + SL_MILLI_NS);
    w->queue = slow;
    cr_assert_eq(depth(w).rate_ns, 0, "nothing holds it yet");
    (void)lease(w);
    cr_assert_eq(depth(w).rate_ns, w->now.now_ns + 400 * SL_MILLI_NS, "not the other one's");
    pass(w, 400);
    expect_lease(w, "b");
}
