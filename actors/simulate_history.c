/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/alloc.h"

struct task {
    uint64_t epoch_last, epoch; /* epoch 0: no lease is live. */
    uint64_t since_ns, until_ns;
    uint64_t charge_ns;  /* Its tenant's, while is_charged. */
    uint32_t node, live; /* live: its place among them. */
    uint32_t tenant;
    bool is_taken, is_durable, was_leased, is_fresh, is_charged;
};

struct job {
    struct task *tasks;
    uint32_t tasks_count;
    uint32_t priority;
    bool is_acked, is_canceled, is_ended;
};

struct call {
    uint64_t number, at_ns;
};

struct checker {
    struct job *jobs;
    uint32_t jobs_count;
    struct task **live;
    uint32_t live_count, live_capacity;
    struct sl_history_event *unsent; /* Tasks that no link took, and not leased again since. */
    uint32_t unsent_count;
    struct sl_turns turns;
    uint32_t
        unread_boots; /* Until so many starts nobody knows who waits: shares are not looked at. */
    struct call *calls;
    uint32_t calls_count, calls_capacity;
    bool has_rested, is_ok;
    char *failure;
    size_t failure_size;
};

void
sl_history_deinit(struct sl_history *h)
{
    sl_free(h->events);
    *h = (struct sl_history){0};
}

void
sl_history_add(struct sl_history *h, const struct sl_history_event *event)
{
    if (h->count == h->capacity) {
        h->capacity = SL_MAX(h->capacity * 2, (size_t)1024);
        h->events = sl_realloc(h->events, h->capacity * sizeof(h->events[0]));
    }
    h->events[h->count++] = *event;
}

void
sl_history_insert(struct sl_history *h, size_t place, const struct sl_history_event *event)
{
    struct sl_history_event copy = *event;
    sl_history_add(h, event);
    memmove(h->events + place + 1, h->events + place,
            (h->count - 1 - place) * sizeof(h->events[0]));
    h->events[place] = copy;
}

SL_PRINTF(2, 3)
static void
fail(struct checker *c, const char *format, ...)
{
    va_list args;
    if (!c->is_ok)
        return;
    c->is_ok = false;
    va_start(args, format);
    vsnprintf(c->failure, c->failure_size, format, args);
    va_end(args);
}

/* ---- jobs and tasks ------------------------------------------------------------------------ */

static struct job *
job_of(struct checker *c, uint32_t number)
{
    if (number >= c->jobs_count) {
        uint32_t count = SL_MAX(number + 1, c->jobs_count * 2);
        c->jobs = sl_realloc(c->jobs, count * sizeof(c->jobs[0]));
        memset(c->jobs + c->jobs_count, 0, (count - c->jobs_count) * sizeof(c->jobs[0]));
        c->jobs_count = count;
    }
    return &c->jobs[number];
}

static void
forget_live(struct checker *c, struct task *t)
{
    if (t->epoch == 0)
        return;
    t->epoch = 0;
    c->live[t->live] = c->live[--c->live_count];
    c->live[t->live]->live = t->live;
}

/* Tasks are made room for at once and never move: the live ones are pointed at. */
static struct task *
task_of(struct checker *c, const struct sl_history_event *e)
{
    struct job *job = job_of(c, e->job);
    if (job->tasks == NULL) {
        job->tasks_count = SL_HISTORY_TASKS_MAX;
        job->tasks = sl_zalloc(job->tasks_count * sizeof(job->tasks[0]));
    }
    if (e->task >= job->tasks_count) {
        fail(c, "job %u has no task %u", e->job, e->task);
        return &job->tasks[0];
    }
    return &job->tasks[e->task];
}

/* Its lease is over, after so much service; 0: nobody told. */
static void
pay(struct checker *c, struct task *t, uint64_t served_ns)
{
    if (t->is_charged)
        sl_turns_end(&c->turns, t->tenant, t->charge_ns, served_ns);
    t->is_charged = false;
}

/* Its lease is over, and nobody worked on it. */
static void
refund(struct checker *c, struct task *t)
{
    if (t->is_charged)
        sl_turns_back(&c->turns, t->tenant, t->charge_ns);
    t->is_charged = false;
}

static void
on_lease(struct checker *c, const struct sl_history_event *e)
{
    struct task *t = task_of(c, e);
    const struct job *job = job_of(c, e->job);
    if (t->is_durable)
        fail(c, "resurrected: job %u task %u is leased after its end", e->job, e->task);
    if (job->is_canceled)
        fail(c, "resurrected: job %u task %u is leased after its job was cancelled", e->job,
             e->task);
    if (t->epoch != 0 && e->at_ns < t->until_ns)
        fail(c, "doubly placed: job %u task %u goes to node %u while node %u holds it", e->job,
             e->task, e->node, t->node);
    if (e->value <= t->epoch_last)
        fail(c, "job %u task %u: epoch %" PRIu64 " comes after %" PRIu64, e->job, e->task, e->value,
             t->epoch_last);
    forget_live(c, t);
    t->epoch = t->epoch_last = e->value;
    t->node = e->node;
    t->until_ns = e->at_ns + SL_HISTORY_LEASE_NS;
    t->live = c->live_count;
    if (c->live_count == c->live_capacity) {
        c->live_capacity = SL_MAX(c->live_capacity * 2, UINT32_C(64));
        c->live = sl_realloc(c->live, c->live_capacity * sizeof(struct task *));
    }
    c->live[c->live_count++] = t;
}

/* Since when what is leased was back itself; 0: it was not among those. */
static uint64_t
forget_unsent(struct checker *c, const struct sl_history_event *e)
{
    for (uint32_t i = 0; i < c->unsent_count; i++) {
        uint64_t at_ns = c->unsent[i].at_ns;
        if (c->unsent[i].job == e->job && c->unsent[i].task == e->task) {
            c->unsent[i] = c->unsent[--c->unsent_count];
            return at_ns;
        }
    }
    return 0;
}

static void
forget_job(struct checker *c, uint32_t job)
{
    for (uint32_t i = c->unsent_count; i-- > 0;) {
        if (c->unsent[i].job == job)
            c->unsent[i] = c->unsent[--c->unsent_count];
    }
}

static void
on_cancel(struct checker *c, uint32_t job)
{
    struct job *j = job_of(c, job);
    j->is_canceled = true;
    for (uint32_t i = 0; i < j->tasks_count; i++)
        pay(c, &j->tasks[i], 0);
    forget_job(c, job);
}

static void
on_unsent(struct checker *c, const struct sl_history_event *e)
{
    struct task *t = task_of(c, e);
    if (t->epoch != e->value)
        return;
    forget_live(c, t);
    refund(c, t);
    c->unsent = sl_realloc(c->unsent, (c->unsent_count + 1) * sizeof(c->unsent[0]));
    c->unsent[c->unsent_count++] = *e;
}

/* What came back goes before all of its priority that never left, in turn: nothing of its job that
   never ran is leased before it, and for long nothing of its tenant that never ran or came back
   later, but what is more urgent. */
static void
come_again(struct checker *c, const struct sl_history_event *e)
{
    uint64_t back_ns = forget_unsent(c, e);
    bool was_leased = task_of(c, e)->was_leased;
    for (uint32_t i = 0; i < c->unsent_count; i++) {
        const struct sl_history_event *u = &c->unsent[i];
        bool is_before = u->job == e->job && !was_leased;
        bool is_long = u->tenant == e->tenant && e->at_ns > u->at_ns + SL_HISTORY_UNSENT_NS &&
                       (!was_leased || back_ns > u->at_ns) &&
                       job_of(c, e->job)->priority <= job_of(c, u->job)->priority;
        if (is_before || is_long)
            fail(c, "unsent: job %u task %u is leased, and job %u task %u, which no link took, not",
                 e->job, e->task, u->job, u->task);
    }
}

static void
on_taken(struct checker *c, const struct sl_history_event *e)
{
    struct task *t = task_of(c, e);
    if (t->epoch != e->value)
        fail(c,
             "stale: an end of job %u task %u with epoch %" PRIu64 " is accepted, live is %" PRIu64,
             e->job, e->task, e->value, t->epoch);
    if (t->is_durable || t->is_taken)
        fail(c, "duplicated: a second end of job %u task %u is accepted", e->job, e->task);
    t->is_taken = e->what == SL_HISTORY_TAKEN;
    forget_live(c, t);
    /* More than has passed since its lease counts for no end. */
    pay(c, t, SL_MIN(e->served_ns, e->at_ns - t->since_ns));
}

/* ---- leases of nodes, and of a dead main process ------------------------------------------- */

/* What has lapsed may be in the queue again, which nobody tells: a beat does not bring it back. */
static void
on_beat(struct checker *c, const struct sl_history_event *e)
{
    for (uint32_t i = 0; i < c->live_count; i++) {
        if (c->live[i]->node == e->node && e->at_ns < c->live[i]->until_ns)
            c->live[i]->until_ns = e->at_ns + SL_HISTORY_LEASE_NS;
    }
}

static void
on_gone(struct checker *c, const struct sl_history_event *e)
{
    for (uint32_t i = c->live_count; i-- > 0;) {
        if (c->live[i]->node != e->node)
            continue;
        refund(c, c->live[i]);
        forget_live(c, c->live[i]);
    }
}

static void
on_death(struct checker *c)
{
    while (c->live_count > 0)
        forget_live(c, c->live[c->live_count - 1]);
    c->unsent_count = 0;
    for (uint32_t j = 0; j < c->jobs_count; j++) {
        for (uint32_t t = 0; t < c->jobs[j].tasks_count; t++) {
            /* What was accepted and not yet durable may be gone, and be done again. */
            c->jobs[j].tasks[t].is_taken = false;
            c->jobs[j].tasks[t].is_fresh = false;
            c->jobs[j].tasks[t].is_charged = false;
        }
    }
    sl_turns_forget(&c->turns);
    c->calls_count = 0;
}

/* ---- share --------------------------------------------------------------------------------- */

static void
on_submit(struct checker *c, const struct sl_history_event *e)
{
    uint64_t fresh = 0;
    job_of(c, e->job)->priority = e->task;
    for (uint32_t i = 0; e->node != 0 && c->unread_boots == 0 && i < e->value; i++) {
        struct sl_history_event of = *e;
        of.task = i;
        struct task *t = task_of(c, &of);
        if (t->is_fresh || t->was_leased)
            continue;
        t->is_fresh = true;
        fresh++;
    }
    sl_turns_wait(&c->turns, e->tenant, fresh);
}

/* A task that is put off has no turn, and its tenant none if it has no other. */
static void
on_unread(struct checker *c)
{
    for (uint32_t j = 0; j < c->jobs_count; j++) {
        for (uint32_t t = 0; t < c->jobs[j].tasks_count; t++)
            c->jobs[j].tasks[t].is_fresh = c->jobs[j].tasks[t].is_charged = false;
    }
    sl_turns_forget(&c->turns);
    c->unread_boots = 2; /* The disk may fail only as the next one begins. */
}

/* Whoever held it before is over: its lease has lapsed. */
static void
share(struct checker *c, const struct sl_history_event *e)
{
    struct sl_turns_fault fault;
    struct task *t = task_of(c, e);
    pay(c, t, 0);
    t->was_leased = true;
    t->tenant = e->tenant;
    t->since_ns = e->at_ns;
    if (c->unread_boots > 0)
        return;
    if (!sl_turns_lease(&c->turns, e->tenant, t->is_fresh, &t->charge_ns, &fault))
        fail(c,
             "share: tenant %u gets a lease, %" PRIu64 " ms of service ahead of tenant %u's turn",
             fault.lane / 4, fault.over_ns / SL_MILLI_NS, fault.waiting / 4);
    t->is_fresh = false;
    t->is_charged = true;
}

/* ---- calls --------------------------------------------------------------------------------- */

static void
on_call(struct checker *c, const struct sl_history_event *e)
{
    if (c->calls_count == c->calls_capacity) {
        c->calls_capacity = SL_MAX(c->calls_capacity * 2, UINT32_C(64));
        c->calls = sl_realloc(c->calls, c->calls_capacity * sizeof(c->calls[0]));
    }
    c->calls[c->calls_count++] = (struct call){e->value, e->at_ns};
}

static void
on_answer(struct checker *c, const struct sl_history_event *e)
{
    uint32_t i = 0;
    while (i < c->calls_count && c->calls[i].number != e->value)
        i++;
    if (i == c->calls_count) {
        fail(c, "calls: an answer to call %" PRIu64 ", which nobody waits for", e->value);
        return;
    }
    if (e->at_ns > c->calls[i].at_ns + SL_HISTORY_ANSWER_NS)
        fail(c, "calls: call %" PRIu64 " was answered after %" PRIu64 " ms", e->value,
             (e->at_ns - c->calls[i].at_ns) / SL_MILLI_NS);
    c->calls[i] = c->calls[--c->calls_count];
}

/* Who stands still cannot answer, and notices nothing of it. */
static void
on_pause(struct checker *c, const struct sl_history_event *e)
{
    for (uint32_t i = 0; i < c->calls_count; i++)
        c->calls[i].at_ns += e->value;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void
look(struct checker *c, const struct sl_history_event *e)
{
    switch ((enum sl_history_what)e->what) {
    case SL_HISTORY_SUBMIT:
        on_submit(c, e);
        break;
    case SL_HISTORY_ACK:
        job_of(c, e->job)->is_acked = true;
        break;
    case SL_HISTORY_CANCEL:
        on_cancel(c, e->job);
        break;
    case SL_HISTORY_LEASE:
        come_again(c, e);
        share(c, e);
        on_lease(c, e);
        break;
    case SL_HISTORY_UNSENT:
        on_unsent(c, e);
        break;
    case SL_HISTORY_BEAT:
        on_beat(c, e);
        break;
    case SL_HISTORY_GONE:
        on_gone(c, e);
        break;
    case SL_HISTORY_TAKEN:
    case SL_HISTORY_PART:
        on_taken(c, e);
        break;
    case SL_HISTORY_DURABLE:
        forget_unsent(c, e);
        task_of(c, e)->is_durable = true;
        break;
    case SL_HISTORY_ENDED:
        job_of(c, e->job)->is_ended = true;
        break;
    case SL_HISTORY_CALL:
        on_call(c, e);
        break;
    case SL_HISTORY_ANSWER:
        on_answer(c, e);
        break;
    case SL_HISTORY_PAUSE:
        on_pause(c, e);
        break;
    case SL_HISTORY_UNREAD:
        on_unread(c);
        break;
    case SL_HISTORY_BOOT:
        c->unread_boots -= c->unread_boots > 0;
        on_death(c);
        break;
    case SL_HISTORY_DEATH:
        on_death(c);
        break;
    case SL_HISTORY_REST:
        c->has_rested = true;
        break;
    }
}

/* What must have come by the end of a run. */
static void
look_at_end(struct checker *c, uint64_t end_ns)
{
    for (uint32_t j = 0; j < c->jobs_count; j++) {
        if (c->jobs[j].is_acked && !c->jobs[j].is_ended && !c->jobs[j].is_canceled)
            fail(c, "%s: job %u was acknowledged and has no end", c->has_rested ? "lost" : "stuck",
                 j);
    }
    if (!c->has_rested)
        fail(c, "stuck: no rest within the time that is granted after the last fault");
    for (uint32_t i = 0; i < c->calls_count; i++) {
        if (end_ns > c->calls[i].at_ns + SL_HISTORY_ANSWER_NS)
            fail(c, "calls: call %" PRIu64 " got no answer", c->calls[i].number);
    }
}

bool
sl_history_check(const struct sl_history *h, char *ret_failure, size_t failure_size)
{
    struct checker c = {.is_ok = true, .failure = ret_failure, .failure_size = failure_size};
    for (size_t i = 0; i < h->count && c.is_ok; i++)
        look(&c, &h->events[i]);
    if (h->count > 0)
        look_at_end(&c, h->events[h->count - 1].at_ns);
    for (uint32_t j = 0; j < c.jobs_count; j++)
        sl_free(c.jobs[j].tasks);
    sl_free(c.jobs);
    sl_free(c.live);
    sl_free(c.unsent);
    sl_turns_deinit(&c.turns);
    sl_free(c.calls);
    return c.is_ok;
}
