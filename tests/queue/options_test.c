/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, expiry and retries of random submits, with leases, crashes, restarts and replays between
 * them, beside a model that says the rules once more: arrays and scans. What is durable must be the
 * same from a snapshot, and from the events alone. A failure names its seed: SL_SEED=n.
 */
#include "queue/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/events.h"
#include "queue/finish.h"
#include "queue/look.h"
#include "queue/submit.h"
#include "queue/sweep.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

#define SEEDS      400
#define OPS        250
#define TASKS_MAX  256
#define KEYS       6
#define LIMIT_KEYS 3

struct model_task {
    uint64_t id;
    bool is_live, is_running, has_begun, was_blocked;
    uint64_t expires_ms, epoch;
    int limits[2]; /* Concurrency keys; -1: none. */
};

struct model_key {
    enum sl_dedup_mode mode; /* NONE: it is free. */
    int task;
    uint64_t until_ms;
};

struct run {
    uint64_t seed, now_ms, now_ns, boot;
    struct sl_random random;
    struct sl_queue *q;
    struct sl_paper_log paper;
    struct sl_buf events, event;
    struct model_task tasks[TASKS_MAX];
    struct model_key keys[KEYS];
    int tasks_count;
};

#define EXPECT(cond) cr_assert((cond), "seed %llu: %s", (unsigned long long)r->seed, #cond)

static uint64_t
below(struct run *r, uint64_t limit)
{
    return sl_random_below(&r->random, limit);
}

/* ---- the rules, once more ------------------------------------------------------------------ */

static uint32_t
limit_of(int key)
{
    return 1 + (uint32_t)key;
}

static bool
names(const struct model_task *t, int key)
{
    return t->limits[0] == key || t->limits[1] == key;
}

static uint32_t
count_live(const struct run *r, int key, bool is_running)
{
    uint32_t count = 0;
    for (int i = 0; i < r->tasks_count; i++)
        count += r->tasks[i].is_live && names(&r->tasks[i], key) &&
                 (!is_running || r->tasks[i].is_running);
    return count;
}

/* The task that a submit of the key is answered with; -1: it makes a new one. */
static int
holder(const struct run *r, const struct model_key *k)
{
    if (k->mode == SL_DEDUP_NONE)
        return -1;
    if (k->mode == SL_DEDUP_TTL || k->mode == SL_DEDUP_THROTTLE)
        return r->now_ms < k->until_ms ? k->task : -1;
    const struct model_task *t = &r->tasks[k->task];
    bool is_until_start = k->mode != SL_DEDUP_UNTIL_DONE;
    return is_until_start && t->is_running ? -1 : k->task;
}

static void
model_end(struct run *r, struct model_task *t, bool was_run)
{
    if (!t->is_live)
        return;
    t->is_live = t->is_running = false;
    for (int i = 0; i < KEYS; i++) {
        struct model_key *k = &r->keys[i];
        bool is_kept = k->mode == SL_DEDUP_TTL || (k->mode == SL_DEDUP_THROTTLE && was_run);
        if (k->mode != SL_DEDUP_NONE && &r->tasks[k->task] == t && !is_kept)
            k->mode = SL_DEDUP_NONE;
    }
}

/* An event shows that it ran. */
static void
model_again(struct run *r, struct model_task *t)
{
    t->is_running = false;
    t->has_begun = true;
    for (int i = 0; i < KEYS; i++) {
        struct model_key *k = &r->keys[i];
        if (&r->tasks[k->task] == t &&
            (k->mode == SL_DEDUP_UNTIL_START || k->mode == SL_DEDUP_DEBOUNCE))
            k->mode = SL_DEDUP_NONE;
    }
}

static struct model_task *
find(struct run *r, uint64_t id)
{
    for (int i = 0; i < r->tasks_count; i++) {
        if (r->tasks[i].id == id)
            return &r->tasks[i];
    }
    return NULL;
}

/* ---- both ---------------------------------------------------------------------------------- */

static void
apply(struct run *r)
{
    sl_paper_apply(&r->paper, r->q, 1, sl_buf_slice(&r->event));
    sl_buf_clear(&r->event);
}

/* Who is cancelled or expires by them, the model learns here. */
static void
commit(struct run *r)
{
    struct sl_scope scope;
    struct sl_slice bytes;
    struct sl_reader all = sl_reader(sl_buf_slice(&r->events));
    while (sl_events_next(&all, &scope, &bytes)) {
        struct sl_reader one = sl_reader(bytes);
        (void)sl_read_u8(&one);
        uint8_t kind = sl_read_u8(&one);
        struct model_task *t = find(r, sl_read_u64(&one));
        if (kind == SL_QUEUE_CANCEL_TASK || kind == SL_QUEUE_EXPIRE_TASK) {
            EXPECT(t != NULL && t->is_live);
            EXPECT(kind != SL_QUEUE_EXPIRE_TASK ||
                   (t->expires_ms != 0 && t->expires_ms <= r->now_ms && !t->is_running &&
                    !t->has_begun));
            model_end(r, t, t->has_begun);
        }
        sl_paper_apply(&r->paper, r->q, scope.id, bytes);
    }
    sl_buf_clear(&r->events);
}

static void
fill_limits(struct run *r, struct model_task *t, struct sl_submit_limit *limits, char names[2][8])
{
    t->limits[0] = below(r, 2) == 0 ? (int)below(r, LIMIT_KEYS) : -1;
    t->limits[1] = t->limits[0] >= 0 && below(r, 3) == 0 ? (t->limits[0] + 1) % LIMIT_KEYS : -1;
    for (int i = 0; i < 2; i++) {
        if (t->limits[i] < 0)
            continue;
        int size = snprintf(names[i], 8, "L%d", t->limits[i] & 7);
        limits[i] = (struct sl_submit_limit){.name = sl_slice(names[i], (size_t)size),
                                             .limit = limit_of(t->limits[i])};
    }
    if (t->limits[1] < 0 && t->limits[0] >= 0)
        limits[0].policy = (int64_t)below(r, SL_KEY_POLICY_COUNT);
}

static void
expect_new(struct run *r, const struct sl_submit *item, const struct sl_submitted *got, int number)
{
    struct model_task *t = &r->tasks[number];
    int key = t->limits[0];
    int64_t policy = item->limits_count == 0 ? SL_KEY_QUEUE : item->limits[0].policy;
    uint32_t live = key < 0 ? 0 : count_live(r, key, false);
    if (policy == SL_KEY_CANCEL_NEWEST && live >= limit_of(key)) {
        EXPECT(got->err == SL_EBUSY);
        return;
    }
    EXPECT(got->err == SL_OK && !got->is_existing && find(r, got->task_id) == NULL);
    if (policy == SL_KEY_CANCEL_IN_PROGRESS)
        EXPECT(got->canceled == (live >= limit_of(key) ? live + 1 - limit_of(key) : 0));
    else if (policy != SL_KEY_REPLACE_QUEUED)
        EXPECT(got->canceled == 0);
    commit(r);
    t->id = got->task_id;
    t->is_live = true;
    r->tasks_count++;
}

static void
op_submit(struct run *r)
{
    static const uint64_t window_ms = 40;
    if (r->tasks_count == TASKS_MAX)
        return;
    int number = r->tasks_count, key = (int)below(r, KEYS + 2);
    struct model_task *t = &r->tasks[number];
    char name[8], limit_names[2][8];
    struct sl_submit_limit limits[2];
    struct sl_submit item = {.scope = {1}, .now_ms = r->now_ms, .limits = limits};
    *t = (struct model_task){.id = 0};
    item.payload = sl_slice_str("payload");
    item.priority = (int64_t)below(r, 10);
    item.delay_ms = below(r, 3) == 0 ? (int64_t)below(r, 20) : 0;
    item.expires_ms = below(r, 4) == 0 ? item.delay_ms + 1 + (int64_t)below(r, 30) : 0;
    item.retain_ms = below(r, 3) == 0 ? (int64_t)below(r, 30) : 0;
    t->expires_ms = item.expires_ms == 0 ? 0 : r->now_ms + (uint64_t)item.expires_ms;
    fill_limits(r, t, limits, limit_names);
    item.limits_count = (uint32_t)((t->limits[0] >= 0) + (t->limits[1] >= 0));
    if (key < KEYS) {
        int64_t mode = 1 + (int64_t)below(r, SL_DEDUP_MODE_COUNT - 1);
        item.key.name = sl_slice(name, (size_t)snprintf(name, sizeof(name), "k%d", key & 7));
        item.key.mode = mode;
        item.key.window_ms = mode >= SL_DEDUP_TTL ? (int64_t)window_ms : 0;
    }
    struct sl_submitted got;
    EXPECT(sl_queue_submit(r->q, NULL, &item, &r->events, &got));
    int held = key < KEYS ? holder(r, &r->keys[key]) : -1;
    if (held >= 0) {
        EXPECT(got.err == SL_OK && got.is_existing && got.task_id == r->tasks[held].id);
        EXPECT(got.is_replaced == (r->keys[key].mode == SL_DEDUP_DEBOUNCE));
        commit(r);
        return;
    }
    expect_new(r, &item, &got, number);
    if (key < KEYS && got.err == SL_OK)
        r->keys[key] = (struct model_key){.mode = (enum sl_dedup_mode)item.key.mode,
                                          .task = number,
                                          .until_ms = r->now_ms + window_ms};
}

static bool
lease(struct run *r)
{
    struct sl_lease got;
    struct sl_lease_want want = {
        .holder = 1, .now_ns = r->now_ns, .now_ms = r->now_ms, .duration_ns = 1 + below(r, 50)};
    if (!sl_queue_lease(r->q, &want, &got))
        return false;
    struct model_task *t = find(r, got.task_id);
    EXPECT(t != NULL && t->is_live && !t->is_running);
    EXPECT(t->expires_ms == 0 || t->has_begun || t->expires_ms > r->now_ms);
    t->is_running = true;
    t->epoch = got.epoch;
    for (int key = 0; key < LIMIT_KEYS; key++)
        EXPECT(count_live(r, key, true) <= limit_of(key));
    return true;
}

static struct model_task *
some(struct run *r, bool is_running)
{
    struct model_task *t = NULL;
    for (int i = 0; i < 8 && r->tasks_count > 0; i++) {
        t = &r->tasks[below(r, (uint64_t)r->tasks_count)];
        if (t->is_live && t->is_running == is_running)
            return t;
    }
    return NULL;
}

static void
op_finish(struct run *r, enum sl_run_end end)
{
    struct model_task *t = some(r, true);
    if (t == NULL)
        return;
    struct sl_lease held = {.task_id = t->id, .epoch = t->epoch};
    struct sl_run run = {.end = end,
                         .now_ms = r->now_ms,
                         .random = &r->random,
                         .class = sl_slice_str("E"),
                         .after_ms = end == SL_RUN_SNOOZED ? 1 + below(r, 20) : below(r, 5)};
    struct sl_finish done;
    EXPECT(sl_queue_finish(r->q, &held, &run, &r->event, &done) == SL_OK);
    if (!done.has_event) {
        EXPECT(sl_queue_release(r->q, t->id, t->epoch) == SL_OK);
        t->is_running = false;
        return;
    }
    apply(r);
    if (sl_state_has_ended(done.state))
        model_end(r, t, true);
    else
        model_again(r, t);
}

static void
op_done(struct run *r)
{
    struct model_task *t = some(r, true);
    if (t == NULL)
        return;
    sl_queue_event_done(&r->event, &(struct sl_task_end){.task_id = t->id, .ended_ms = r->now_ms});
    apply(r);
    model_end(r, t, true);
}

static void
op_cancel(struct run *r)
{
    struct model_task *t = some(r, below(r, 2) == 0);
    if (t == NULL)
        return;
    sl_queue_event_task_only(&r->event, SL_QUEUE_CANCEL_TASK, t->id, r->now_ms);
    apply(r);
    model_end(r, t, t->has_begun);
}

static void
op_redrive(struct run *r)
{
    struct sl_task_info info;
    if (r->tasks_count == 0)
        return;
    struct model_task *t = &r->tasks[below(r, (uint64_t)r->tasks_count)];
    if (t->is_live || sl_queue_task(r->q, (struct sl_scope){1}, t->id, &info) != SL_OK ||
        (SL_FAILED >> info.state & 1) == 0)
        return;
    sl_queue_event_redrive(&r->event, &(struct sl_edit){.task_id = t->id});
    apply(r);
    t->is_live = true;
    t->expires_ms = 0;
    t->has_begun = info.snoozes > 0;
}

static void
op_sweep(struct run *r)
{
    struct sl_swept swept;
    do {
        (void)sl_queue_sweep(r->q, r->now_ms, &r->events, &swept);
        commit(r);
    } while (swept.is_more);
}

static uint64_t
replayed(struct run *r)
{
    struct sl_queue *again = sl_queue_create();
    for (uint32_t i = 0; i < r->paper.count; i++)
        sl_queue_apply(again, (struct sl_scope){1}, r->paper.events[i],
                       (struct sl_log_at){i + 1, 0});
    uint64_t digest = sl_queue_digest(again);
    sl_queue_destroy(&again);
    return digest;
}

/* Leases are gone with the process; all that events said is there. */
static void
op_restart(struct run *r)
{
    struct sl_buf bytes = {0};
    uint64_t digest = sl_queue_digest(r->q);
    EXPECT(replayed(r) == digest);
    sl_queue_snapshot_begin(r->q);
    while (sl_queue_snapshot_some(r->q, &bytes, 100)) {
    }
    struct sl_queue *other = sl_queue_create();
    EXPECT(sl_queue_restore(other, sl_buf_slice(&bytes)) == SL_OK);
    EXPECT(sl_queue_digest(other) == digest);
    sl_buf_deinit(&bytes);
    sl_queue_destroy(&r->q);
    r->q = other;
    sl_queue_boot(r->q, ++r->boot);
    sl_queue_clock(r->q, r->now_ns);
    for (int i = 0; i < r->tasks_count; i++)
        r->tasks[i].is_running = false;
}

static void
op_lapse(struct run *r)
{
    uint64_t id;
    while (sl_queue_expire(r->q, r->now_ns, &id))
        find(r, id)->is_running = false;
}

static void
step(struct run *r)
{
    uint64_t dice = below(r, 100);
    r->now_ms += below(r, 4);
    r->now_ns += below(r, 4);
    if (dice < 30)
        op_submit(r);
    else if (dice < 58)
        (void)lease(r);
    else if (dice < 68)
        op_done(r);
    else if (dice < 82)
        op_finish(r, (enum sl_run_end)below(r, 4));
    else if (dice < 85)
        op_cancel(r);
    else if (dice < 88)
        op_redrive(r);
    else if (dice < 92)
        op_sweep(r);
    else if (dice < 96)
        op_lapse(r);
    else
        op_restart(r);
}

/* Nothing may wait for ever: by leases, time and ends alone all tasks end. */
static void
drain(struct run *r)
{
    for (int i = 0; i < 20000 && sl_queue_has_work(r->q); i++) {
        bool is_leased = lease(r);
        for (int k = 0; k < r->tasks_count; k++) {
            struct model_task *t = &r->tasks[k];
            if (!t->is_running)
                continue;
            sl_queue_event_done(&r->event, &(struct sl_task_end){.task_id = t->id});
            apply(r);
            model_end(r, t, true);
        }
        if (is_leased)
            continue;
        op_sweep(r);
        uint64_t next_ns = sl_queue_next_ns(r->q);
        r->now_ns = next_ns == UINT64_MAX ? r->now_ns : SL_MAX(r->now_ns, next_ns);
        r->now_ms += 1;
    }
    EXPECT(!sl_queue_has_work(r->q));
    EXPECT(sl_keys_count(r->q->keys) == 0);
    for (int i = 0; i < r->tasks_count; i++)
        EXPECT(!r->tasks[i].is_live);
    r->now_ms += 100000;
    op_sweep(r);
    EXPECT(sl_dedup_count(r->q->dedup) == 0);
    EXPECT(replayed(r) == sl_queue_digest(r->q));
}

static void
run_seed(uint64_t seed)
{
    struct run *r = calloc(1, sizeof(*r));
    r->seed = seed;
    r->q = sl_queue_create();
    r->now_ms = r->now_ns = 1000;
    sl_random_seed(&r->random, seed);
    for (int i = 0; i < OPS; i++)
        step(r);
    op_restart(r);
    drain(r);
    sl_queue_destroy(&r->q);
    sl_buf_deinit(&r->event);
    sl_buf_deinit(&r->events);
    sl_paper_deinit(&r->paper);
    free(r);
}

Test(options, agree_with_the_rules_whatever_happens)
{
    const char *one = getenv("SL_SEED");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}
