/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of submits: new tasks, old ones, refusals; and how keys follow their tasks. */
#include "queue/submit.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "queue/events.h"
#include "queue/look.h"
#include "queue/sweep.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

static struct sl_queue *q;
static struct sl_buf event, events;
static struct sl_paper_log paper;
static struct sl_submitted got;
static uint64_t now_ms, now_ns;

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    now_ms = 1000;
    now_ns = 1000;
    sl_queue_clock(q, now_ns);
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_buf_deinit(&events);
    sl_paper_deinit(&paper);
}

TestSuite(submit, .init = setup, .fini = teardown);

static void
apply(void)
{
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
commit(void)
{
    struct sl_scope scope;
    struct sl_slice bytes;
    struct sl_reader r = sl_reader(sl_buf_slice(&events));
    while (sl_events_next(&r, &scope, &bytes))
        sl_paper_apply(&paper, q, scope.id, bytes);
    sl_buf_clear(&events);
}

#define submit(...)         submit_item((struct sl_submit){__VA_ARGS__})
#define KEY(text, how, ...) .key = {.name = sl_slice_str(text), .mode = SL_DEDUP_##how, __VA_ARGS__}
#define LIMIT(text, max, how)                                                                      \
    .limits_count = 1, .limits = &(struct sl_submit_limit)                                         \
    {                                                                                              \
        .name = sl_slice_str(text), .limit = (max), .policy = SL_KEY_##how                         \
    }

static uint64_t
submit_item(struct sl_submit item)
{
    if (item.scope.id == 0)
        item.scope.id = 1;
    if (item.payload.data == NULL)
        item.payload = sl_slice_str("x");
    item.now_ms = now_ms;
    cr_assert(sl_queue_submit(q, NULL, &item, &events, &got));
    cr_assert_eq(got.err == SL_OK, got.code == NULL);
    if (got.err != SL_OK)
        cr_assert_eq(events.size, 0);
    commit();
    return got.task_id;
}

static const char *
code(void)
{
    return got.code == NULL ? "" : got.code;
}

static struct sl_lease lease_of(enum sl_class class)
{
    struct sl_lease lease = {0};
    struct sl_lease_want want = {.class = class,
                                 .scope = {1},
                                 .holder = 1,
                                 .now_ns = now_ns,
                                 .now_ms = now_ms,
                                 .duration_ns = 100};
    (void)sl_queue_lease(q, &want, &lease);
    return lease;
}

static struct sl_lease
lease(void)
{
    return lease_of(SL_CLASS_CPU);
}

static struct sl_task_info
info(uint64_t id)
{
    struct sl_task_info task = {0};
    cr_assert_eq(sl_queue_task(q, (struct sl_scope){1}, id, &task), SL_OK);
    return task;
}

static void
done(uint64_t id)
{
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = id, .ended_ms = now_ms});
    apply();
}

static void
cancel(uint64_t id)
{
    sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, id, now_ms);
    apply();
}

static void
retry(uint64_t id)
{
    sl_queue_event_retry(&event, &(struct sl_retry){.task_id = id, .attempts = 1});
    apply();
}

static void
restart(void)
{
    struct sl_buf bytes = {0};
    uint64_t digest = sl_queue_digest(q);
    sl_queue_snapshot(q, &bytes);
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&bytes)), SL_OK);
    cr_assert_eq(sl_queue_digest(q), digest);
    sl_queue_clock(q, now_ns);
    sl_buf_deinit(&bytes);
    /* The same from the events alone. */
    struct sl_queue *again = sl_queue_create();
    for (uint32_t i = 0; i < paper.count; i++)
        sl_queue_apply(again, (struct sl_scope){1}, paper.events[i], (struct sl_log_at){i + 1, 0});
    cr_assert_eq(sl_queue_digest(again), digest);
    sl_queue_destroy(&again);
}

/* ---- refusals ------------------------------------------------------------------------------ */

#define refused(error, text, ...)                                                                  \
    do {                                                                                           \
        submit(__VA_ARGS__);                                                                       \
        cr_assert_eq(got.err, error);                                                              \
        cr_assert_str_eq(code(), text);                                                            \
    } while (0)

Test(submit, refuses_what_cannot_be_and_says_which)
{
    static char big[SL_QUEUE_PAYLOAD_MAX + 1], name[SL_SUBMIT_NAME_MAX + 1];
    uint64_t digest = sl_queue_digest(q);
    memset(name, 'n', sizeof(name));
    refused(SL_ETOOBIG, "payload", .payload = sl_slice(big, sizeof(big)));
    refused(SL_EINVAL, "priority", .priority = 10);
    refused(SL_EINVAL, "priority", .priority = -1);
    refused(SL_EINVAL, "delay", .delay_ms = -1);
    refused(SL_EINVAL, "delay", .delay_ms = (int64_t)SL_TIME_MAX_MS + 1);
    refused(SL_EINVAL, "delay", .at_ms = -5);
    refused(SL_EINVAL, "delay", .at_ms = 5000, .delay_ms = 5);
    refused(SL_EINVAL, "expires", .expires_ms = -1);
    refused(SL_EINVAL, "expires", .expires_ms = 50, .delay_ms = 50);
    refused(SL_EINVAL, "retain", .retain_ms = INT64_MIN);
    refused(SL_EINVAL, "policy", .policy = sl_slice_str("?"));
    refused(SL_EINVAL, "queue", .class = (enum sl_class)9);
    refused(SL_EINVAL, "queue", .class = SL_CLASS_OWN, .queue = sl_slice_str("a b"));
    refused(SL_EINVAL, "queue", .queue = sl_slice_str("q"));
    refused(SL_ENOTFOUND, "queue", .class = SL_CLASS_OWN, .queue = sl_slice_str("none"));
    refused(SL_EINVAL, "key_mode", .key = {.name = sl_slice_str("k"), .mode = 77});
    refused(SL_EINVAL, "key_mode", .key = {.name = sl_slice_str("k"), .mode = -1});
    refused(SL_EINVAL, "key_mode", .key = {.name = sl_slice_str("k")});
    refused(SL_EINVAL, "key_name", KEY("", UNTIL_DONE));
    refused(SL_EINVAL, "key_name",
            .key = {.name = sl_slice(name, sizeof(name)), .mode = SL_DEDUP_UNTIL_DONE});
    refused(SL_EINVAL, "key_window", KEY("k", TTL));
    refused(SL_EINVAL, "key_window", KEY("k", TTL, .window_ms = -3));
    refused(SL_EINVAL, "key_window", KEY("k", UNTIL_DONE, .window_ms = 3));
    refused(SL_EINVAL, "key_window", KEY("k", TTL, .window_ms = 3, .max_ms = 4));
    refused(SL_EINVAL, "limits", LIMIT("", 1, QUEUE));
    refused(SL_EINVAL, "limits", LIMIT("k", -1, QUEUE));
    refused(SL_EINVAL, "limits", LIMIT("k", 1, POLICY_COUNT));
    refused(SL_EINVAL, "limits", LIMIT("k", 0, CANCEL_NEWEST));
    refused(SL_EINVAL, "limits", .limits_count = 5);
    struct sl_submit_limit twice[] = {{.name = sl_slice_str("k"), .limit = 1},
                                      {.name = sl_slice_str("k"), .limit = 2}};
    refused(SL_EINVAL, "limits", .limits = twice, .limits_count = 2);
    cr_assert_eq(sl_queue_digest(q), digest);
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_CPU), 0);
}

Test(submit, takes_what_is_within_every_limit)
{
    uint64_t a = submit(.priority = 9, .delay_ms = 10, .expires_ms = 11, .retain_ms = 7,
                        KEY("k", UNTIL_DONE), LIMIT("l", 1, QUEUE));
    cr_assert_eq(got.err, SL_OK);
    cr_assert_eq(got.state, SL_STATE_SCHEDULED);
    cr_assert_eq(info(a).priority, 9);
    cr_assert_eq(info(a).time_ms, now_ms + 10);
    cr_assert_eq(info(a).expires_ms, now_ms + 11);
    cr_assert_eq(info(a).retain_ms, 7);
    restart();
    a = submit(.at_ms = 5); /* Long ago. */
    cr_assert_eq(got.state, SL_STATE_QUEUED);
    cr_assert_eq(info(a).time_ms, 0);
}

Test(submit, asks_the_queue_whether_it_takes_more)
{
    struct sl_lane_settings s = {.depth_max = 2};
    struct sl_slice name = sl_slice_str("own");
    sl_queue_event_lane(&event, SL_CLASS_OWN, name, &s);
    apply();
    uint64_t a = submit(.class = SL_CLASS_OWN, .queue = name, KEY("k", UNTIL_DONE));
    submit(.class = SL_CLASS_OWN, .queue = name, .delay_ms = 5);
    refused(SL_EFULL, "queue_full", .class = SL_CLASS_OWN, .queue = name);
    s = (struct sl_lane_settings){.mode = SL_LANE_DRAINING};
    sl_queue_event_lane(&event, SL_CLASS_OWN, name, &s);
    apply();
    refused(SL_EUNAVAIL, "queue_draining", .class = SL_CLASS_OWN, .queue = name);
    /* Who repeats a submit is told of its task all the same. */
    cr_assert_eq(submit(.class = SL_CLASS_OWN, .queue = name, KEY("k", UNTIL_DONE)), a);
    cr_assert(got.is_existing);
}

/* ---- idempotency keys ---------------------------------------------------------------------- */

Test(submit, answers_a_key_that_is_held_with_its_task_and_state)
{
    uint64_t a = submit(KEY("k", UNTIL_DONE));
    cr_assert_not(got.is_existing);
    uint32_t written = paper.count;
    cr_assert_eq(submit(KEY("k", UNTIL_DONE)), a);
    cr_assert(got.is_existing);
    cr_assert_eq(got.state, SL_STATE_QUEUED);
    cr_assert_eq(lease().task_id, a);
    restart();
    cr_assert_eq(lease().task_id, a);
    cr_assert_eq(submit(KEY("k", UNTIL_DONE)), a);
    cr_assert_eq(got.state, SL_STATE_RUNNING);
    retry(a);
    cr_assert_eq(submit(KEY("k", UNTIL_DONE)), a);
    cr_assert_eq(paper.count, written + 1);
    cr_assert_neq(submit(KEY("other", UNTIL_DONE)), a);
    cr_assert_neq(submit(KEY("k", UNTIL_DONE), .scope = {2}), a); /* Another tenant's. */
    done(a);
    cr_assert_neq(submit(KEY("k", UNTIL_DONE)), a);
    cr_assert_not(got.is_existing);
}

Test(submit, frees_a_key_until_start_while_its_task_runs)
{
    uint64_t a = submit(KEY("k", UNTIL_START));
    cr_assert_eq(submit(KEY("k", UNTIL_START)), a);
    struct sl_lease first = lease();
    cr_assert_eq(first.task_id, a);
    /* Given back, it waits again, and so does its key. */
    cr_assert_eq(sl_queue_release(q, a, first.epoch), SL_OK);
    cr_assert_eq(submit(KEY("k", UNTIL_START)), a);
    cr_assert_eq(lease().task_id, a);
    uint64_t b = submit(KEY("k", UNTIL_START));
    cr_assert_neq(b, a);
    restart();
    cr_assert_eq(submit(KEY("k", UNTIL_START)), b);
    done(a);
    cr_assert_eq(submit(KEY("k", UNTIL_START)), b);
    cancel(b);
    cr_assert_neq(submit(KEY("k", UNTIL_START)), b);
}

Test(submit, frees_a_key_until_start_for_good_once_its_task_failed)
{
    uint64_t a = submit(KEY("k", UNTIL_START));
    lease();
    retry(a);
    restart();
    cr_assert_neq(submit(KEY("k", UNTIL_START)), a);
}

Test(submit, holds_a_key_for_its_time_to_the_millisecond_whatever_became_of_its_task)
{
    uint64_t a = submit(KEY("k", TTL, .window_ms = 100));
    lease();
    done(a);
    restart();
    now_ms += 99;
    cr_assert_eq(submit(KEY("k", TTL, .window_ms = 100)), a);
    cr_assert_eq(got.state, SL_STATE_NONE); /* It is forgotten. */
    now_ms += 1;
    uint64_t b = submit(KEY("k", TTL, .window_ms = 100));
    cr_assert_neq(b, a);
    restart();
    now_ms += 99;
    cr_assert_eq(submit(KEY("k", TTL, .window_ms = 100)), b);
}

Test(submit, throttles_to_the_first_of_a_window_unless_that_never_ran)
{
    uint64_t a = submit(KEY("k", THROTTLE, .window_ms = 100));
    cancel(a);
    uint64_t b = submit(KEY("k", THROTTLE, .window_ms = 100));
    cr_assert_neq(b, a);
    lease();
    done(b);
    restart();
    cr_assert_eq(submit(KEY("k", THROTTLE, .window_ms = 100)), b);
    now_ms += 100;
    cr_assert_neq(submit(KEY("k", THROTTLE, .window_ms = 100)), b);
}

Test(submit, debounces_to_the_last_of_a_burst_but_not_for_ever)
{
    uint64_t a = submit(KEY("k", DEBOUNCE, .window_ms = 50, .max_ms = 120));
    cr_assert_eq(info(a).time_ms, now_ms + 50);
    uint64_t start_ms = now_ms;
    now_ms += 40;
    cr_assert_eq(submit(.payload = sl_slice_str("newer"), .priority = 4,
                        KEY("k", DEBOUNCE, .window_ms = 50, .max_ms = 120)),
                 a);
    cr_assert(got.is_existing && got.is_replaced);
    cr_assert_eq(info(a).time_ms, now_ms + 50);
    cr_assert_eq(info(a).priority, 4);
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).payload), "newer"));
    restart();
    now_ms += 45;
    submit(.payload = sl_slice_str(""), KEY("k", DEBOUNCE, .window_ms = 50, .max_ms = 120));
    cr_assert_eq(info(a).time_ms, start_ms + 120); /* Not any later. */
    cr_assert_eq(info(a).payload.size, 0);
    cr_assert_eq(lease().task_id, 0);
    now_ms = start_ms + 120;
    cr_assert_eq(lease().task_id, a);
    cr_assert_neq(submit(KEY("k", DEBOUNCE, .window_ms = 50)), a);
    restart();
}

Test(submit, lets_keys_go_that_are_over_and_nothing_else)
{
    struct sl_swept swept;
    uint64_t a = submit(KEY("a", TTL, .window_ms = 100));
    submit(KEY("b", TTL, .window_ms = 50));
    submit(KEY("b", UNTIL_DONE));
    cr_assert_geq(now_ms + 50, sl_queue_sweep_next_ms(q));
    now_ms += 50;
    cr_assert_eq(sl_queue_sweep(q, now_ms, &events, &swept), 1);
    cr_assert_eq(swept.keys, 1);
    /* Taken again before the event is applied, the key stays. */
    struct sl_buf late = events;
    events = (struct sl_buf){0};
    uint64_t b = submit(KEY("b", TTL, .window_ms = 50));
    sl_buf_deinit(&events);
    events = late;
    commit();
    cr_assert_eq(submit(KEY("b", TTL, .window_ms = 50)), b);
    restart();
    now_ms += 50;
    cr_assert_eq(sl_queue_sweep(q, now_ms, &events, &swept), 2);
    commit();
    cr_assert_eq(sl_queue_sweep(q, now_ms, &events, &swept), 0);
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
    restart();
    cr_assert_neq(submit(KEY("a", TTL, .window_ms = 50)), a);
}

Test(submit, makes_a_thousand_tasks_of_a_million_submits_of_a_thousand_keys)
{
    static uint64_t ids[1000];
    uint64_t made = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        char name[16];
        uint32_t key = i * 7919u % 1000;
        int size = snprintf(name, sizeof(name), "key-%u", key);
        uint64_t id =
            submit(.key = {.name = sl_slice(name, (size_t)size), .mode = SL_DEDUP_UNTIL_DONE});
        made += !got.is_existing;
        if (ids[key] == 0)
            ids[key] = id;
        cr_assert_eq(ids[key], id);
        if (i == 400 || i == 500000)
            restart();
    }
    cr_assert_eq(made, 1000);
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_CPU), 1000);
    restart();
    for (uint32_t i = 0; i < 1000; i++) {
        struct sl_lease next = lease();
        cr_assert_neq(next.task_id, 0);
        done(next.task_id);
    }
    cr_assert_eq(lease().task_id, 0);
}

/* ---- in one transaction -------------------------------------------------------------------- */

Test(submit, asks_to_apply_first_what_an_item_hangs_on)
{
    struct sl_submit_batch batch = {0};
    struct sl_submit a = {.scope = {1}, .now_ms = now_ms, KEY("a", UNTIL_DONE)};
    struct sl_submit b = {.scope = {1}, .now_ms = now_ms, KEY("b", UNTIL_DONE)};
    struct sl_submit plain = {.scope = {1}, .now_ms = now_ms};
    struct sl_submit waits = {.scope = {1}, .now_ms = now_ms, LIMIT("a", 1, QUEUE)};
    struct sl_submit newest = {.scope = {1}, .now_ms = now_ms, LIMIT("a", 1, CANCEL_NEWEST)};
    cr_assert(sl_queue_submit(q, &batch, &a, &events, &got));
    uint64_t first = got.task_id;
    cr_assert(sl_queue_submit(q, &batch, &b, &events, &got));
    cr_assert(sl_queue_submit(q, &batch, &plain, &events, &got));
    cr_assert(sl_queue_submit(q, &batch, &plain, &events, &got));
    cr_assert(sl_queue_submit(q, &batch, &waits, &events, &got));
    cr_assert(sl_queue_submit(q, &batch, &waits, &events, &got));
    size_t size = events.size;
    cr_assert_not(sl_queue_submit(q, &batch, &a, &events, &got));
    cr_assert_not(sl_queue_submit(q, &batch, &newest, &events, &got));
    cr_assert_eq(events.size, size);
    commit();
    batch = (struct sl_submit_batch){0};
    cr_assert(sl_queue_submit(q, &batch, &a, &events, &got));
    cr_assert_eq(got.task_id, first);
    cr_assert(sl_queue_submit(q, &batch, &a, &events, &got)); /* Nothing new hangs on it. */
    cr_assert(sl_queue_submit(q, &batch, &newest, &events, &got));
    cr_assert_eq(got.err, SL_EBUSY);
    cr_assert_eq(events.size, 0);
}

Test(submit, fills_a_queue_and_a_batch_to_their_limits_and_not_beyond)
{
    struct sl_submit_batch batch = {0};
    struct sl_slice name = sl_slice_str("own");
    sl_queue_event_lane(&event, SL_CLASS_OWN, name, &(struct sl_lane_settings){.depth_max = 300});
    apply();
    uint32_t taken = 0, commits = 0;
    for (uint32_t i = 0; i < 500; i++) {
        char text[16];
        struct sl_submit item = {
            .scope = {1}, .now_ms = now_ms, .class = SL_CLASS_OWN, .queue = name};
        item.key.name = sl_slice(text, (size_t)snprintf(text, sizeof(text), "%u", i));
        item.key.mode = SL_DEDUP_UNTIL_DONE;
        while (!sl_queue_submit(q, &batch, &item, &events, &got)) {
            cr_assert_gt(events.size, 0);
            commit();
            batch = (struct sl_submit_batch){0};
            commits++;
        }
        taken += got.err == SL_OK;
        cr_assert_eq(got.err, i < 300 ? SL_OK : SL_EFULL);
    }
    cr_assert_eq(taken, 300);
    cr_assert_leq(commits, 3);
}

/* ---- concurrency keys ---------------------------------------------------------------------- */

Test(submit, runs_no_more_tasks_of_a_key_than_its_limit_and_the_rest_in_order)
{
    uint64_t ids[6];
    for (int i = 0; i < 6; i++)
        ids[i] = submit(LIMIT("k", 2, QUEUE));
    uint64_t free_one = submit();
    cr_assert_eq(lease().task_id, ids[0]);
    cr_assert_eq(lease().task_id, ids[1]);
    cr_assert_eq(lease().task_id, free_one);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(info(ids[2]).state, SL_STATE_BLOCKED);
    cr_assert(sl_queue_has_work(q));
    done(ids[1]);
    cr_assert_eq(info(ids[2]).state, SL_STATE_QUEUED);
    cr_assert_eq(info(ids[3]).state, SL_STATE_BLOCKED);
    cr_assert_eq(lease().task_id, ids[2]);
    cr_assert_eq(lease().task_id, 0);
    done(free_one);
    restart(); /* Nobody runs any more. */
    cr_assert_eq(lease().task_id, ids[0]);
    cr_assert_eq(lease().task_id, ids[2]);
    cr_assert_eq(lease().task_id, 0);
    retry(ids[0]); /* Behind those that wait. */
    cr_assert_eq(lease().task_id, ids[3]);
    cancel(ids[2]);
    cancel(ids[4]);
    cr_assert_eq(lease().task_id, ids[5]);
    done(ids[3]);
    cr_assert_eq(lease().task_id, ids[0]);
    done(ids[0]);
    done(ids[5]);
    cr_assert_not(sl_queue_has_work(q));
}

Test(submit, waits_for_all_of_its_keys)
{
    struct sl_submit_limit both[] = {{.name = sl_slice_str("a"), .limit = 1},
                                     {.name = sl_slice_str("b"), .limit = 1}};
    uint64_t a = submit(LIMIT("a", 1, QUEUE)), b = submit(LIMIT("b", 1, QUEUE));
    uint64_t ab = submit(.limits = both, .limits_count = 2);
    cr_assert_eq(lease().task_id, a);
    cr_assert_eq(lease().task_id, b);
    cr_assert_eq(lease().task_id, 0);
    done(a);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(info(ab).state, SL_STATE_BLOCKED);
    done(b);
    cr_assert_eq(lease().task_id, ab);
}

Test(submit, refuses_the_newest_while_a_key_is_taken)
{
    uint64_t a = submit(LIMIT("k", 1, CANCEL_NEWEST));
    refused(SL_EBUSY, "limit_reached", LIMIT("k", 1, CANCEL_NEWEST));
    lease();
    restart();
    refused(SL_EBUSY, "limit_reached", LIMIT("k", 1, CANCEL_NEWEST));
    done(a);
    submit(LIMIT("k", 1, CANCEL_NEWEST));
    cr_assert_eq(got.err, SL_OK);
}

Test(submit, cancels_what_is_in_progress_for_the_newest)
{
    uint64_t a = submit(LIMIT("k", 1, CANCEL_IN_PROGRESS));
    struct sl_lease old = lease(), check;
    uint64_t b = submit(LIMIT("k", 1, CANCEL_IN_PROGRESS));
    cr_assert_eq(got.canceled, 1);
    cr_assert_eq(info(a).state, SL_STATE_CANCELED);
    cr_assert_eq(sl_queue_check(q, a, old.epoch, &check), SL_ESTALE);
    cr_assert_eq(lease().task_id, b);
    restart();
}

Test(submit, takes_the_place_of_the_one_that_waits)
{
    uint64_t a = submit(LIMIT("k", 1, REPLACE_QUEUED));
    lease();
    uint64_t b = submit(LIMIT("k", 1, REPLACE_QUEUED));
    cr_assert_eq(got.canceled, 0);
    cr_assert_eq(lease().task_id, 0);
    uint64_t c = submit(LIMIT("k", 1, REPLACE_QUEUED));
    cr_assert_eq(got.canceled, 1);
    cr_assert_eq(info(b).state, SL_STATE_CANCELED);
    cr_assert_eq(info(a).state, SL_STATE_RUNNING);
    done(a);
    cr_assert_eq(lease().task_id, c);
}

Test(submit, begins_no_more_tasks_of_a_key_than_its_rate)
{
    struct sl_submit_limit rate = {.name = sl_slice_str("k"),
                                   .rate = {.count = 1, .burst = 2, .period_ns = 10 * SL_MILLI_NS}};
    for (int i = 0; i < 4; i++)
        submit(.limits = &rate, .limits_count = 1);
    cr_assert_neq(lease().task_id, 0);
    struct sl_lease second = lease();
    cr_assert_neq(second.task_id, 0);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(sl_queue_next_ns(q), now_ns + 10 * SL_MILLI_NS);
    now_ns = sl_queue_next_ns(q) - 1;
    cr_assert_eq(lease().task_id, 0);
    now_ns++;
    struct sl_lease third = lease();
    cr_assert_neq(third.task_id, 0);
    cr_assert_eq(lease().task_id, 0);
    /* What did not begin gives its token back, but for what has flowed in since it was leased. */
    cr_assert_eq(sl_queue_release(q, third.task_id, third.epoch), SL_OK);
    cr_assert_neq(lease().task_id, 0);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(sl_queue_release(q, second.task_id, second.epoch), SL_OK);
    cr_assert_eq(lease().task_id, 0);
}

Test(submit, gives_room_to_others_if_who_was_woken_does_not_begin)
{
    struct sl_slice name = sl_slice_str("own");
    sl_queue_event_lane(&event, SL_CLASS_OWN, name, &(struct sl_lane_settings){0});
    apply();
    uint64_t a = submit(LIMIT("k", 1, QUEUE), .class = SL_CLASS_GPU);
    cr_assert_eq(lease_of(SL_CLASS_GPU).task_id, a);
    uint64_t batch = submit(LIMIT("k", 1, QUEUE), .class = SL_CLASS_BATCH);
    cr_assert_eq(lease_of(SL_CLASS_BATCH).task_id, 0);
    uint64_t cpu = submit(LIMIT("k", 1, QUEUE));
    cr_assert_eq(lease().task_id, 0);
    done(a);
    cr_assert_eq(info(batch).state, SL_STATE_QUEUED); /* And nobody leases of its class. */
    cr_assert_eq(lease().task_id, 0);
    now_ns = sl_queue_next_ns(q);
    cr_assert_leq(now_ns, 1000 + SL_SECOND_NS);
    cr_assert_eq(lease().task_id, cpu);
    cr_assert_eq(lease_of(SL_CLASS_BATCH).task_id, 0); /* Now it is too late for the other. */
    done(cpu);
    cr_assert_eq(lease_of(SL_CLASS_BATCH).task_id, batch);
}

Test(submit, edits_expires_and_drives_again_what_waits_at_a_key)
{
    uint64_t a = submit(LIMIT("k", 1, QUEUE));
    lease();
    uint64_t b = submit(LIMIT("k", 1, QUEUE), .expires_ms = 50);
    uint64_t c = submit(LIMIT("k", 1, QUEUE));
    cr_assert_eq(lease().task_id, 0);
    sl_queue_event_edit(&event, &(struct sl_edit){.task_id = c, .priority = 9});
    apply();
    cr_assert_eq(info(c).state, SL_STATE_QUEUED);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(info(c).state, SL_STATE_BLOCKED);
    now_ms += 50;
    struct sl_swept swept;
    cr_assert_eq(sl_queue_sweep(q, now_ms, &events, &swept), 1);
    commit();
    cr_assert_eq(info(b).state, SL_STATE_EXPIRED);
    restart();
    cr_assert_eq(lease().task_id, c); /* It has the priority now. */
    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = b});
    apply();
    cr_assert_eq(lease().task_id, 0);
    done(c);
    cr_assert_eq(lease().task_id, a);
    done(a);
    cr_assert_eq(lease().task_id, b);
}

Test(submit, puts_many_aside_in_bounded_steps)
{
    uint64_t first = submit(LIMIT("k", 1, QUEUE));
    for (int i = 0; i < 5000; i++)
        submit(LIMIT("k", 1, QUEUE));
    uint64_t last = submit();
    cr_assert_eq(lease().task_id, first);
    int calls = 0;
    while (lease().task_id != last) {
        cr_assert_leq(sl_queue_next_ns(q), ++now_ns);
        calls++;
    }
    cr_assert(calls >= 5000 / 256 - 1 && calls <= 5000 / 256 + 1, "%d", calls);
}
