/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the queue's rules once more, as plainly as they can be said: arrays and scans. The
 * property test runs both and compares all that can be seen.
 */
#ifndef SL_TESTS_QUEUE_MODEL_H
#define SL_TESTS_QUEUE_MODEL_H

#include "queue/queue.h"

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
    int64_t front, back;
    uint64_t ring[SL_CLASS_COUNT][MODEL_SCOPES]; /* Scopes with ready tasks; [0] has the turn. */
    int ring_count[SL_CLASS_COUNT];
};

static inline struct model_job *
model_job_of(struct model *m, const struct model_task *t)
{
    return &m->jobs[t->job];
}

static inline bool
model_is_live(const struct model_task *t)
{
    return t->state <= MODEL_LEASED;
}

static inline uint64_t
model_count(const struct model *m, int job, enum model_state state)
{
    uint64_t count = 0;
    for (int i = 0; i < m->tasks_count; i++)
        count += m->tasks[i].job == job && m->tasks[i].state == state;
    return count;
}

static inline uint64_t
model_live(const struct model *m, int job)
{
    return model_count(m, job, MODEL_READY) + model_count(m, job, MODEL_DELAYED) +
           model_count(m, job, MODEL_LEASED);
}

static inline uint64_t
model_lane_count(const struct model *m, uint64_t scope, enum sl_class class, enum model_state state)
{
    uint64_t count = 0;
    for (int i = 0; i < m->tasks_count; i++) {
        const struct model_job *job = &m->jobs[m->tasks[i].job];
        count += job->scope == scope && job->class == class && m->tasks[i].state == state;
    }
    return count;
}

/* After any change: lanes that ran dry leave the ring; one with something new goes to its end. */
static inline void
model_ring_update(struct model *m)
{
    for (int class = 0; class < SL_CLASS_COUNT; class = class + 1) {
        uint64_t *ring = m->ring[class];
        int kept = 0;
        for (int i = 0; i < m->ring_count[class]; i++) {
            if (model_lane_count(m, ring[i], (enum sl_class) class, MODEL_READY) > 0)
                ring[kept++] = ring[i];
        }
        m->ring_count[class] = kept;
    }
}

static inline void
model_ready(struct model *m, struct model_task *t, bool is_front)
{
    struct model_job *job = model_job_of(m, t);
    t->state = MODEL_READY;
    t->rank = is_front ? --m->front : ++m->back;
    for (int i = 0; i < m->ring_count[job->class]; i++) {
        if (m->ring[job->class][i] == job->scope)
            return;
    }
    m->ring[job->class][m->ring_count[job->class]++] = job->scope;
}

static inline void
model_attach(struct model *m, struct model_task *t)
{
    if (t->not_before_ms == 0)
        model_ready(m, t, false);
    else
        t->state = MODEL_DELAYED;
}

static inline void
model_ripen(struct model *m, enum sl_class class, uint64_t now_ms)
{
    for (;;) {
        struct model_task *first = NULL;
        for (int i = 0; i < m->tasks_count; i++) {
            struct model_task *t = &m->tasks[i];
            if (t->state != MODEL_DELAYED || t->not_before_ms > now_ms ||
                model_job_of(m, t)->class != class)
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

/* The task that must be leased next, its lane already moved to the end of the ring. NULL: none. */
static inline struct model_task *
model_take(struct model *m, enum sl_class class)
{
    if (m->ring_count[class] == 0)
        return NULL;
    uint64_t scope = m->ring[class][0];
    int last = m->ring_count[class] - 1;
    memmove(&m->ring[class][0], &m->ring[class][1], (size_t)last * sizeof(uint64_t));
    m->ring[class][last] = scope;

    struct model_task *best = NULL;
    for (int i = 0; i < m->tasks_count; i++) {
        struct model_task *t = &m->tasks[i];
        struct model_job *job = model_job_of(m, t);
        if (t->state != MODEL_READY || job->scope != scope || job->class != class)
            continue;
        uint8_t priority = best == NULL ? 0 : model_job_of(m, best)->priority;
        if (best == NULL || job->priority > priority ||
            (job->priority == priority && t->rank < best->rank))
            best = t;
    }
    return best;
}

/* What is left after a restart: no lease, no time, only what the events said. */
static inline void
model_restart(struct model *m)
{
    memset(m->ring_count, 0, sizeof(m->ring_count));
    for (int i = 0; i < m->jobs_count; i++) {
        m->jobs[i].was_leased = false;
        m->jobs[i].started_ms = 0;
    }
    for (uint64_t order = 1; order <= m->order; order++) {
        for (int i = 0; i < m->tasks_count; i++) {
            struct model_task *t = &m->tasks[i];
            if (t->order == order && model_is_live(t))
                model_attach(m, t);
        }
    }
}

static inline enum sl_job_state
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

#endif
