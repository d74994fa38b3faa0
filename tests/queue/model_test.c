/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random events, leases and restarts, on the queue and on a model that says the rules once more, as
 * plainly as they can be: arrays and scans. All that can be seen must agree. A failure names its
 * seed: SL_SEED=n runs that one alone.
 */
#include "queue/look.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/random.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"
#include "tests/rounds.h"

/* ---- the model ----------------------------------------------------------------------------- */

#define MODEL_JOBS_MAX  64
#define MODEL_TASKS_MAX 256
#define MODEL_SCOPES    3

enum model_state {
    MODEL_READY,
    MODEL_DELAYED,
    MODEL_LEASED,
    MODEL_DONE,
    MODEL_DEAD,
    MODEL_CANCELED
};

struct model_task {
    uint64_t id;
    int job;
    enum model_state state;
    uint64_t not_before_ms, order;
    int64_t rank; /* Among the ready ones of a priority the smallest is next. */
    uint64_t epoch, holder, deadline_ns;
    uint16_t attempts, crashes;
};

struct model_job {
    struct sl_job_id id;
    uint64_t scope;
    enum sl_class class;
    uint8_t priority;
    uint64_t created_ms, started_ms;
    bool is_forgotten, was_run, was_leased;
};

struct model {
    struct model_job jobs[MODEL_JOBS_MAX];
    struct model_task tasks[MODEL_TASKS_MAX];
    int jobs_count, tasks_count;
    uint64_t order;
    int64_t returned, back;
};

static struct model_job *
model_job_of(struct model *m, const struct model_task *t)
{
    return &m->jobs[t->job];
}

static bool
model_is_live(const struct model_task *t)
{
    return t->state <= MODEL_LEASED;
}

static uint64_t
model_count(const struct model *m, int job, enum model_state state)
{
    uint64_t count = 0;
    for (int i = 0; i < m->tasks_count; i++)
        count += m->tasks[i].job == job && m->tasks[i].state == state;
    return count;
}

static uint64_t
model_live(const struct model *m, int job)
{
    return model_count(m, job, MODEL_READY) + model_count(m, job, MODEL_DELAYED) +
           model_count(m, job, MODEL_LEASED);
}

static uint64_t
model_lane_count(const struct model *m, uint64_t scope, enum sl_class class, enum model_state state)
{
    uint64_t count = 0;
    for (int i = 0; i < m->tasks_count; i++) {
        const struct model_job *job = &m->jobs[m->tasks[i].job];
        count += job->scope == scope && job->class == class && m->tasks[i].state == state;
    }
    return count;
}

static void
model_ready(struct model *m, struct model_task *t, bool has_returned)
{
    t->state = MODEL_READY;
    t->rank = has_returned ? INT64_MIN / 2 + ++m->returned : ++m->back;
}

static void
model_attach(struct model *m, struct model_task *t)
{
    if (t->not_before_ms == 0)
        model_ready(m, t, false);
    else
        t->state = MODEL_DELAYED;
}

/* By time, then as they came. */
static void
model_ripen(struct model *m, uint64_t now_ms)
{
    for (;;) {
        struct model_task *first = NULL;
        for (int i = 0; i < m->tasks_count; i++) {
            struct model_task *t = &m->tasks[i];
            if (t->state != MODEL_DELAYED || t->not_before_ms > now_ms)
                continue;
            if (first == NULL || t->not_before_ms < first->not_before_ms ||
                (t->not_before_ms == first->not_before_ms && t->order < first->order))
                first = t;
        }
        if (first == NULL)
            return;
        model_ready(m, first, false);
    }
}

/* The task that must be leased next when it is the scope's turn; 0: any. Whose turn it is,
   share_test looks into. NULL: none. */
static struct model_task *
model_take(struct model *m, enum sl_class class, uint64_t scope)
{
    struct model_task *best = NULL;
    for (int i = 0; i < m->tasks_count; i++) {
        struct model_task *t = &m->tasks[i];
        struct model_job *job = model_job_of(m, t);
        if (t->state != MODEL_READY || (scope != 0 && job->scope != scope) || job->class != class)
            continue;
        uint8_t priority = best == NULL ? 0 : model_job_of(m, best)->priority;
        if (best == NULL || job->priority > priority ||
            (job->priority == priority && t->rank < best->rank))
            best = t;
    }
    return best;
}

/* What is left after a restart: no lease, no time, only what the events said. */
static void
model_restart(struct model *m)
{
    for (int i = 0; i < m->jobs_count; i++) {
        m->jobs[i].was_leased = false;
        m->jobs[i].started_ms = 0;
    }
    /* In the order of their ids, which is that of the array. */
    for (int i = 0; i < m->tasks_count; i++) {
        struct model_task *t = &m->tasks[i];
        t->order = ++m->order;
        if (model_is_live(t))
            model_attach(m, t);
    }
}

static enum sl_job_state
model_job_state(const struct model *m, int job)
{
    const struct model_job *j = &m->jobs[job];
    if (model_live(m, job) > 0)
        return j->was_run || j->was_leased ? SL_JOB_RUNNING : SL_JOB_PENDING;
    if (model_count(m, job, MODEL_CANCELED) > 0)
        return SL_JOB_CANCELED;
    if (model_count(m, job, MODEL_DEAD) == 0)
        return SL_JOB_SUCCEEDED;
    return model_count(m, job, MODEL_DONE) > 0 ? SL_JOB_PARTIAL : SL_JOB_FAILED;
}

/* ---- both ---------------------------------------------------------------------------------- */

#define SEEDS   3000
#define OPS     160
#define HOLDERS 3

struct run {
    uint64_t seed;
    struct sl_random random;
    struct sl_queue *q;
    struct model m;
    uint64_t now_ms, now_ns, boot, epoch_max;
    struct sl_buf event;
    struct sl_paper_log paper;
};

#define EXPECT(cond) cr_assert((cond), "seed %llu: %s", (unsigned long long)r->seed, #cond)

static uint64_t
below(struct run *r, uint64_t limit)
{
    return sl_random_below(&r->random, limit);
}

static void
apply(struct run *r, uint64_t scope)
{
    sl_paper_apply(&r->paper, r->q, scope, sl_buf_slice(&r->event));
    sl_buf_clear(&r->event);
}

static void
snapshot(struct run *r, struct sl_buf *out)
{
    sl_buf_clear(out);
    sl_queue_snapshot(r->q, out);
}

static uint64_t
some_not_before(struct run *r)
{
    return below(r, 3) > 0 ? 0 : r->now_ms + below(r, 30);
}

static void
op_enqueue(struct run *r)
{
    struct model *m = &r->m;
    int tasks = (int)below(r, 6);
    if (m->jobs_count == MODEL_JOBS_MAX || m->tasks_count + tasks > MODEL_TASKS_MAX)
        return;
    int index = m->jobs_count++;
    struct model_job *job = &m->jobs[index];
    *job = (struct model_job){.scope = 1 + below(r, MODEL_SCOPES),
                              .class = (enum sl_class)below(r, SL_CLASS_COUNT),
                              .priority = (uint8_t)(below(r, 3) * 4 + 1),
                              .created_ms = r->now_ms};
    memcpy(job->id.bytes, &index, sizeof(index));
    uint64_t not_before_ms = some_not_before(r);
    sl_queue_event_enqueue(&r->event, &(struct sl_enqueue){.job = job->id,
                                                           .class = job->class,
                                                           .priority = job->priority,
                                                           .created_ms = job->created_ms,
                                                           .not_before_ms = not_before_ms});
    for (int i = 0; i < tasks; i++) {
        int number = m->tasks_count++;
        struct model_task *t = &m->tasks[number];
        *t = (struct model_task){.job = index,
                                 .id = (uint64_t)number + 1,
                                 .not_before_ms = not_before_ms,
                                 .order = ++m->order};
        model_attach(m, t);
        char payload[32];
        int size = snprintf(payload, sizeof(payload), "%0*d", 1 + (int)(t->order % 20), number);
        sl_queue_event_task(&r->event, sl_slice(payload, (size_t)size));
    }
    apply(r, job->scope);
}

static void
op_lease(struct run *r)
{
    struct sl_lease_want want = {.class = (enum sl_class)below(r, SL_CLASS_COUNT),
                                 .holder = 1 + below(r, HOLDERS),
                                 .now_ns = r->now_ns,
                                 .now_ms = r->now_ms,
                                 .duration_ns = 1 + below(r, 50)};
    model_ripen(&r->m, want.now_ms);
    struct sl_lease lease = {0};
    bool is_leased = sl_queue_lease(r->q, &want, &lease);
    struct model_task *t = model_take(&r->m, want.class, lease.scope.id);
    EXPECT(is_leased == (t != NULL));
    if (t == NULL)
        return;

    struct model_job *job = model_job_of(&r->m, t);
    EXPECT(lease.task_id == t->id);
    EXPECT(lease.epoch > r->epoch_max && lease.epoch > r->boot << 40);
    EXPECT(lease.holder == want.holder && lease.deadline_ns == want.now_ns + want.duration_ns);
    EXPECT(lease.scope.id == job->scope && lease.class == want.class);
    EXPECT(memcmp(&lease.job, &job->id, sizeof(job->id)) == 0);
    EXPECT(lease.attempts == t->attempts && lease.crashes == t->crashes);
    EXPECT(t->not_before_ms <= r->now_ms);
    char number[32] = {0};
    struct sl_slice payload = sl_paper_read(&r->paper, lease.body);
    memcpy(number, payload.data, SL_MIN(payload.size, sizeof(number) - 1));
    EXPECT(atoi(number) == t - r->m.tasks);

    r->epoch_max = lease.epoch;
    if (below(r, 4) == 0) { /* A better node for it was found. */
        want.holder = 1 + below(r, HOLDERS);
        EXPECT(sl_queue_move(r->q, lease.task_id, lease.epoch, want.holder) == SL_OK);
        EXPECT(sl_queue_move(r->q, lease.task_id, lease.epoch - 1, want.holder) == SL_ESTALE);
        lease.holder = want.holder;
    }
    t->state = MODEL_LEASED;
    t->epoch = lease.epoch;
    t->holder = lease.holder;
    t->deadline_ns = lease.deadline_ns;
    if (!job->was_leased) {
        job->was_leased = true;
        job->started_ms = r->now_ms;
    }
}

static struct model_task *
some_task(struct run *r)
{
    if (r->m.tasks_count == 0)
        return NULL;
    /* Mostly one that is not ended, so that events do something. */
    struct model_task *t = NULL;
    for (int i = 0; i < 4; i++) {
        t = &r->m.tasks[below(r, (uint64_t)r->m.tasks_count)];
        if (model_is_live(t))
            break;
    }
    return t;
}

static void
op_end(struct run *r, bool is_done)
{
    struct model_task *t = some_task(r);
    if (t == NULL)
        return;
    if (is_done)
        sl_queue_event_done(&r->event, &(struct sl_task_end){.task_id = t->id});
    else
        sl_queue_event_kill(&r->event,
                            &(struct sl_task_end){.task_id = t->id, .state = SL_STATE_DEAD});
    if (model_is_live(t)) {
        t->state = is_done ? MODEL_DONE : MODEL_DEAD;
        model_job_of(&r->m, t)->was_run = true;
    }
    apply(r, model_job_of(&r->m, t)->scope);
}

static void
op_retry(struct run *r)
{
    struct model_task *t = some_task(r);
    if (t == NULL)
        return;
    struct sl_retry retry = {.task_id = t->id,
                             .not_before_ms = some_not_before(r),
                             .attempts = (uint16_t)(t->attempts + 1),
                             .crashes = (uint16_t)below(r, 3)};
    sl_queue_event_retry(&r->event, &retry);
    if (model_is_live(t)) {
        t->attempts = retry.attempts;
        t->crashes = retry.crashes;
        t->not_before_ms = retry.not_before_ms;
        t->order = ++r->m.order;
        model_job_of(&r->m, t)->was_run = true;
        model_attach(&r->m, t);
    }
    apply(r, model_job_of(&r->m, t)->scope);
}

static void
op_cancel(struct run *r)
{
    if (r->m.jobs_count == 0)
        return;
    int job = (int)below(r, (uint64_t)r->m.jobs_count);
    sl_queue_event_cancel(&r->event, r->m.jobs[job].id);
    for (int i = 0; i < r->m.tasks_count; i++) {
        if (r->m.tasks[i].job == job && model_is_live(&r->m.tasks[i]))
            r->m.tasks[i].state = MODEL_CANCELED;
    }
    apply(r, r->m.jobs[job].scope);
}

static void
op_forget(struct run *r)
{
    if (r->m.jobs_count == 0)
        return;
    int job = (int)below(r, (uint64_t)r->m.jobs_count);
    sl_queue_event_forget(&r->event, r->m.jobs[job].id);
    if (model_live(&r->m, job) == 0)
        r->m.jobs[job].is_forgotten = true;
    apply(r, r->m.jobs[job].scope);
}

static void
op_release(struct run *r)
{
    struct model_task *t = some_task(r);
    if (t == NULL)
        return;
    struct sl_lease lease;
    bool is_leased = t->state == MODEL_LEASED;
    EXPECT(sl_queue_check(r->q, t->id, t->epoch, &lease) == (is_leased ? SL_OK : SL_ESTALE));
    EXPECT(sl_queue_check(r->q, t->id, t->epoch + 1, &lease) == SL_ESTALE);
    EXPECT(sl_queue_release(r->q, t->id, t->epoch + 1) == SL_ESTALE);
    EXPECT(sl_queue_release(r->q, t->id, t->epoch) == (is_leased ? SL_OK : SL_ESTALE));
    if (is_leased)
        model_ready(&r->m, t, true);
}

static struct model_task *
oldest_of(struct run *r, uint64_t holder)
{
    struct model_task *oldest = NULL;
    for (int i = 0; i < r->m.tasks_count; i++) {
        struct model_task *t = &r->m.tasks[i];
        if (t->state == MODEL_LEASED && t->holder == holder &&
            (oldest == NULL || t->epoch < oldest->epoch))
            oldest = t;
    }
    return oldest;
}

static void
op_release_holder(struct run *r)
{
    uint64_t holder = 1 + below(r, HOLDERS);
    uint64_t count = 0;
    for (struct model_task *t; (t = oldest_of(r, holder)) != NULL; count++)
        model_ready(&r->m, t, true);
    EXPECT(sl_queue_release_holder(r->q, holder) == count);
    EXPECT(sl_queue_release_holder(r->q, holder) == 0);
}

static void
op_extend(struct run *r)
{
    uint64_t holder = 1 + below(r, HOLDERS), deadline_ns = r->now_ns + below(r, 80);
    sl_queue_extend(r->q, holder, deadline_ns);
    for (int i = 0; i < r->m.tasks_count; i++) {
        struct model_task *t = &r->m.tasks[i];
        if (t->state == MODEL_LEASED && t->holder == holder)
            t->deadline_ns = SL_MAX(t->deadline_ns, deadline_ns);
    }
}

static void
op_expire(struct run *r)
{
    r->now_ns += below(r, 40);
    for (uint64_t id; sl_queue_expire(r->q, r->now_ns, &id);) {
        struct model_task *t = NULL;
        for (int i = 0; i < r->m.tasks_count; i++)
            t = r->m.tasks[i].id == id ? &r->m.tasks[i] : t;
        EXPECT(t != NULL && t->state == MODEL_LEASED && t->deadline_ns <= r->now_ns);
        model_ready(&r->m, t, true);
    }
    for (int i = 0; i < r->m.tasks_count; i++)
        EXPECT(r->m.tasks[i].state != MODEL_LEASED || r->m.tasks[i].deadline_ns > r->now_ns);
}

static void
op_restart(struct run *r)
{
    struct sl_buf before = {0};
    snapshot(r, &before);
    struct sl_queue *other = sl_queue_create();
    EXPECT(sl_queue_restore(other, sl_buf_slice(&before)) == SL_OK);
    EXPECT(sl_queue_digest(other) == sl_queue_digest(r->q));
    for (uint32_t i = 0; i <= r->paper.count; i++)
        EXPECT(sl_queue_held(other, i) == sl_queue_held(r->q, i));
    sl_queue_destroy(&r->q);
    r->q = other;
    sl_queue_boot(r->q, ++r->boot);

    struct sl_lease lease;
    for (int i = 0; i < r->m.tasks_count; i++) {
        struct model_task *t = &r->m.tasks[i];
        EXPECT(sl_queue_check(r->q, t->id, t->epoch, &lease) == SL_ESTALE);
    }
    model_restart(&r->m);
    sl_buf_deinit(&before);
}

static void
op_malformed(struct run *r)
{
    struct sl_buf before = {0}, after = {0};
    snapshot(r, &before);
    struct model_task *t = some_task(r);
    uint64_t scope = 1;
    sl_queue_event_retry(&r->event, &(struct sl_retry){.task_id = t == NULL ? 1 : t->id});
    if (t != NULL)
        scope = model_job_of(&r->m, t)->scope;
    switch (below(r, 4)) {
    case 0:
        r->event.size = below(r, r->event.size);
        break;
    case 1:
        sl_buf_append_u8(&r->event, 0);
        break;
    case 2:
        r->event.data[below(r, 2)] += 200;
        break;
    default:
        scope += 100; /* Another's task. */
    }
    apply(r, scope);
    snapshot(r, &after);
    EXPECT(sl_slice_equal(sl_buf_slice(&before), sl_buf_slice(&after)));
    sl_buf_deinit(&before);
    sl_buf_deinit(&after);
}

static void
compare_jobs(struct run *r)
{
    for (int i = 0; i < r->m.jobs_count; i++) {
        const struct model_job *job = &r->m.jobs[i];
        struct sl_job_info info;
        enum sl_err err = sl_queue_job(r->q, job->id, &info);
        EXPECT(err == (job->is_forgotten ? SL_ENOTFOUND : SL_OK));
        if (err != SL_OK)
            continue;
        EXPECT(info.state == model_job_state(&r->m, i));
        EXPECT(info.done == model_count(&r->m, i, MODEL_DONE));
        EXPECT(info.dead == model_count(&r->m, i, MODEL_DEAD));
        EXPECT(info.canceled == model_count(&r->m, i, MODEL_CANCELED));
        EXPECT(info.leased == model_count(&r->m, i, MODEL_LEASED));
        EXPECT(info.total - info.done - info.dead - info.canceled == model_live(&r->m, i));
        EXPECT(info.created_ms == job->created_ms && info.started_ms == job->started_ms);
        EXPECT(info.scope.id == job->scope);
    }
}

/* Of the first of each priority, which is the one that became ready first, the longest wait. */
static uint64_t
model_oldest_ms(const struct model *m, const struct sl_queue_depth *d)
{
    uint64_t oldest_ms = 0;
    for (int priority = 0; priority <= SL_QUEUE_PRIORITY_MAX; priority++) {
        const struct model_task *first = NULL;
        for (int i = 0; i < m->tasks_count; i++) {
            const struct model_task *t = &m->tasks[i];
            const struct model_job *job = &m->jobs[t->job];
            if (t->state == MODEL_READY && job->scope == d->scope.id && job->class == d->class &&
                job->priority == priority && (first == NULL || t->rank < first->rank))
                first = t;
        }
        if (first == NULL)
            continue;
        uint64_t since_ms = SL_MAX(m->jobs[first->job].created_ms, first->not_before_ms);
        oldest_ms = oldest_ms == 0 ? since_ms : SL_MIN(oldest_ms, since_ms);
    }
    return oldest_ms;
}

static void
compare_depths(struct run *r)
{
    struct sl_queue_depth depths[SL_CLASS_COUNT * MODEL_SCOPES + 1];
    uint32_t count = sl_queue_depths(r->q, depths, SL_COUNT_OF(depths));
    uint64_t seen = 0, live = 0, ready[SL_CLASS_COUNT] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_queue_depth *d = &depths[i];
        EXPECT(d->ready == model_lane_count(&r->m, d->scope.id, d->class, MODEL_READY));
        EXPECT(d->delayed == model_lane_count(&r->m, d->scope.id, d->class, MODEL_DELAYED));
        EXPECT(d->leased == model_lane_count(&r->m, d->scope.id, d->class, MODEL_LEASED));
        EXPECT(d->oldest_ms == model_oldest_ms(&r->m, d));
        seen += d->ready + d->delayed + d->leased;
        ready[d->class] += d->ready;
    }
    uint64_t next_ms = UINT64_MAX;
    for (int i = 0; i < r->m.tasks_count; i++) {
        const struct model_task *t = &r->m.tasks[i];
        live += model_is_live(t);
        if (t->state == MODEL_DELAYED)
            next_ms = SL_MIN(next_ms, t->not_before_ms);
    }
    EXPECT(seen == live);
    EXPECT(sl_queue_next_ms(r->q) <= next_ms);
    EXPECT((sl_queue_next_ms(r->q) == UINT64_MAX) == (next_ms == UINT64_MAX));
    for (int i = 0; i < SL_CLASS_COUNT; i++)
        EXPECT(sl_queue_ready_count(r->q, (enum sl_class)i) == ready[i]);
}

static void
step(struct run *r)
{
    uint64_t dice = below(r, 100);
    r->now_ms += below(r, 4);
    if (dice < 15)
        op_enqueue(r);
    else if (dice < 45)
        op_lease(r);
    else if (dice < 58)
        op_end(r, true);
    else if (dice < 62)
        op_end(r, false);
    else if (dice < 72)
        op_retry(r);
    else if (dice < 77)
        op_release(r);
    else if (dice < 80)
        op_release_holder(r);
    else if (dice < 83)
        op_extend(r);
    else if (dice < 88)
        op_expire(r);
    else if (dice < 91)
        op_cancel(r);
    else if (dice < 95)
        op_forget(r);
    else if (dice < 98)
        op_malformed(r);
    else
        op_restart(r);
}

/* Every task that is left ends, by leases alone. */
static void
drain(struct run *r)
{
    r->now_ns += 1000;
    r->now_ms += 1000;
    op_expire(r);
    for (int i = 0; i < SL_CLASS_COUNT; i++) {
        struct sl_lease_want want = {
            .class = (enum sl_class)i, .now_ms = r->now_ms, .duration_ns = 1};
        for (struct sl_lease lease; sl_queue_lease(r->q, &want, &lease);) {
            sl_queue_event_done(&r->event, &(struct sl_task_end){.task_id = lease.task_id});
            apply(r, lease.scope.id);
        }
    }
    for (int i = 0; i < r->m.jobs_count; i++) {
        struct sl_job_info info;
        if (sl_queue_job(r->q, r->m.jobs[i].id, &info) != SL_OK)
            continue;
        EXPECT(info.state >= SL_JOB_SUCCEEDED && info.leased == 0);
        EXPECT(info.done + info.dead + info.canceled == info.total);
        sl_queue_event_forget(&r->event, r->m.jobs[i].id);
        apply(r, r->m.jobs[i].scope);
        EXPECT(sl_queue_job(r->q, r->m.jobs[i].id, &info) == SL_ENOTFOUND);
    }
    struct sl_queue_depth depth;
    EXPECT(sl_queue_depths(r->q, &depth, 1) == 0);
}

static void
run_seed(uint64_t seed)
{
    struct run *r = calloc(1, sizeof(*r));
    r->seed = seed;
    r->q = sl_queue_create();
    r->now_ms = r->now_ns = 1000;
    sl_random_seed(&r->random, seed);
    for (int i = 0; i < OPS; i++) {
        step(r);
        compare_jobs(r);
        compare_depths(r);
    }
    drain(r);
    sl_queue_destroy(&r->q);
    sl_buf_deinit(&r->event);
    sl_paper_deinit(&r->paper);
    free(r);
}

Test(model, agrees_with_the_queue_whatever_happens)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1)); /* Malformed on purpose. */
    const char *one = getenv("SL_SEED");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= rounds(SEEDS); seed++)
        run_seed(seed);
}
