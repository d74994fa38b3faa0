/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sources are compared: what the messages tell of leases and ends, and what the store holds.
 * The first is kept here without asking the queue, so that a queue that is wrong does not vouch for
 * itself.
 */
#include "actors/simulate_world.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/count.h"
#include "actors/dispatcher.h"
#include "actors/job_row.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "actors/simulate_home.h"
#include "actors/simulate_queue.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

#define LEASE_NS  (60 * SL_SECOND_NS) /* The dispatcher's. */
#define TICK_NS   (500 * SL_MILLI_NS)
#define COPY_MARK 77 /* The request number of an end that comes for the second time. */

/* ---- what the messages tell ---------------------------------------------------------------- */

static void
end_live(struct sl_world *w, struct sl_world_task *task)
{
    if (task->epoch_live == 0)
        return;
    task->epoch_live = task->node_live = 0;
    w->live[task->live] = w->live[--w->live_count];
    w->live[task->live]->live = task->live;
}

static void
begin_live(struct sl_world *w, struct sl_world_task *task, uint64_t epoch, uint64_t node)
{
    end_live(w, task);
    if (w->live_count == w->live_capacity) {
        w->live_capacity = SL_MAX(w->live_capacity * 2, UINT32_C(64));
        w->live = sl_realloc(w->live, w->live_capacity * sizeof(w->live[0]));
    }
    task->epoch_last = task->epoch_live = epoch;
    task->node_live = node;
    task->live = w->live_count;
    w->live[w->live_count++] = task;
}

void
sl_world_void_leases(struct sl_world *w, uint64_t node)
{
    for (uint32_t i = w->live_count; i-- > 0;) {
        if (node == 0 || w->live[i]->node_live == node)
            end_live(w, w->live[i]);
    }
}

static struct sl_world_task **
bucket_of(const struct sl_world *w, uint64_t task_id)
{
    uint64_t hash = (task_id ^ task_id >> 20) * UINT64_C(0x9E3779B97F4A7C15) >> 32;
    return (struct sl_world_task **)&w->by_id[hash % SL_WORLD_BUCKETS];
}

struct sl_world_task *
sl_world_task_by_id(const struct sl_world *w, uint64_t task_id)
{
    struct sl_world_task *task = *bucket_of(w, task_id);
    while (task != NULL && task->task_id != task_id)
        task = task->next;
    return task;
}

static void
set_id(struct sl_world *w, struct sl_world_task *task, uint64_t task_id)
{
    if (task->task_id == task_id)
        return;
    struct sl_world_task **at = bucket_of(w, task->task_id);
    while (task->task_id != 0 && *at != task)
        at = &(*at)->next;
    if (task->task_id != 0)
        *at = task->next;
    task->task_id = task_id;
    if (task_id == 0)
        return;
    at = bucket_of(w, task_id);
    task->next = *at;
    *at = task;
}

void
sl_world_place_of(const struct sl_world *w, const struct sl_world_task *task, uint32_t *ret_job,
                  uint32_t *ret_task)
{
    size_t offset = (size_t)((const char *)task - (const char *)w->jobs);
    *ret_job = (uint32_t)(offset / sizeof(w->jobs[0]));
    *ret_task = (uint32_t)(task - w->jobs[*ret_job].tasks);
}

static void
tell_task(struct sl_world *w, const struct sl_world_task *task, struct sl_history_event event)
{
    sl_world_place_of(w, task, &event.job, &event.task);
    event.tenant = sl_world_lane(w, event.job);
    sl_world_tell(w, event);
}

/* Until when its holder has it for certain: the head's clock may go 1000 ppm too fast. */
static bool
is_held(const struct sl_world *w, const struct sl_world_task *task)
{
    return task->epoch_live != 0 &&
           sl_sim_now_ns(w->sim) < task->extended_ns + LEASE_NS - LEASE_NS / 1000;
}

static void
saw_lease(struct sl_world *w, const struct sl_msg *msg)
{
    const struct sl_m_run_task *m = SL_BODY(msg, run_task);
    struct sl_world_task *task = sl_world_task_of(w, m->inputs);
    struct sl_world_task *before = sl_world_task_by_id(w, m->task_id);
    if (task == NULL) {
        sl_world_fail(w, "a lease of task %" PRIu64 " that nobody submitted", m->task_id);
        return;
    }
    if (is_held(w, task))
        sl_world_fail(w, "task %" PRIu64 " is leased to node %u while node %" PRIu64 " holds it",
                      m->task_id, msg->to.node, task->node_live);
    if (m->epoch <= task->epoch_last)
        sl_world_fail(w, "task %" PRIu64 ": epoch %" PRIu64 " comes after %" PRIu64, m->task_id,
                      m->epoch, task->epoch_last);
    if (before != NULL && before != task)
        set_id(w, before, 0); /* Its submit was lost in a crash, and the number is used again. */
    set_id(w, task, m->task_id);
    begin_live(w, task, m->epoch, msg->to.node);
    task->extended_ns = sl_sim_now_ns(w->sim);
    tell_task(w, task,
              (struct sl_history_event){
                  .what = SL_HISTORY_LEASE, .value = m->epoch, .node = msg->to.node});
}

/* What has lapsed may be in the queue again, which nobody tells: a beat does not bring it back. */
static void
saw_beat(struct sl_world *w, const struct sl_m_node_beat *m)
{
    if (m->in_flight == 0)
        return;
    for (uint32_t i = 0; i < w->live_count; i++) {
        if (w->live[i]->node_live == m->node && is_held(w, w->live[i]))
            w->live[i]->extended_ns = sl_sim_now_ns(w->sim);
    }
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_BEAT, .node = (uint32_t)m->node});
}

static void
saw_lost(struct sl_world *w, uint64_t node)
{
    sl_world_void_leases(w, node);
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_GONE, .node = (uint32_t)node});
}

static bool
nonce_of(struct sl_slice fields, uint64_t *ret_nonce)
{
    struct sl_json_doc *doc = NULL;
    bool is_ok = sl_json_parse(fields, &doc, NULL) == SL_OK &&
                 sl_json_u64(sl_json_member(sl_json_root(doc), "nonce"), ret_nonce) == SL_OK;
    sl_json_destroy(&doc);
    return is_ok;
}

/* The task whose live lease this is, which ends with it; NULL: the lease is void. */
static struct sl_world_task *
end_lease(struct sl_world *w, uint64_t task_id, uint64_t epoch)
{
    struct sl_world_task *task = sl_world_task_by_id(w, task_id);
    if (task == NULL || task->epoch_live != epoch)
        return NULL;
    end_live(w, task);
    return task;
}

static void
saw_unsent(struct sl_world *w, const struct sl_m_undelivered *m)
{
    const struct sl_world_task *task =
        m->message == SL_M_run_task ? end_lease(w, m->first, m->second) : NULL;
    if (task != NULL)
        tell_task(w, task,
                  (struct sl_history_event){.what = SL_HISTORY_UNSENT, .value = m->second});
}

static void
saw_done(struct sl_world *w, const struct sl_m_task_done *m)
{
    struct sl_reader in = sl_reader(m->outputs);
    uint64_t nonce;
    if (end_lease(w, m->task_id, m->epoch) == NULL)
        return;
    (void)sl_read_u32(&in);
    if (nonce_of(sl_read_block(&in), &nonce) && nonce < w->nonces.size)
        w->nonces.data[nonce] = 1;
}

static void
saw_failed(struct sl_world *w, const struct sl_m_task_failed *m)
{
    struct sl_world_task *task = end_lease(w, m->task_id, m->epoch);
    bool is_counted = m->kind != SL_FAIL_UNSENT && (m->kind != SL_FAIL_CRASH || m->alone != 0);
    if (task != NULL && is_counted)
        task->failures++;
}

/* An end was handled. Whether it was accepted, the dispatcher alone can tell: by what it counts as
 * stale. */
static void
saw_handled(struct sl_world *w, uint64_t task_id, uint64_t epoch, struct sl_history_event event)
{
    struct sl_dispatcher_counts counts;
    sl_dispatcher_counts(sl_sim_state(w->sim, w->main, SL_ACTOR_DISPATCHER), &counts);
    const struct sl_world_task *task = sl_world_task_by_id(w, task_id);
    bool is_taken = counts.stale == w->stale_before;
    w->stale_before = counts.stale;
    if (!is_taken || task == NULL)
        return;
    /* What the handler leased since came after. */
    event.at_ns = sl_sim_local_ns(w->sim, w->main);
    event.value = epoch;
    sl_world_place_of(w, task, &event.job, &event.task);
    sl_history_insert(&w->history, SL_MIN(w->history_mark, w->history.count), &event);
}

static void
after(struct sl_world *w, const struct sl_msg *msg)
{
    if (msg->id == SL_M_task_done) {
        const struct sl_m_task_done *m = SL_BODY(msg, task_done);
        bool is_last = m->resume.size == 0;
        saw_handled(w, m->task_id, m->epoch,
                    (struct sl_history_event){.what = is_last ? SL_HISTORY_TAKEN : SL_HISTORY_PART,
                                              .served_ns = m->served_ns});
    } else if (msg->id == SL_M_task_failed) {
        const struct sl_m_task_failed *m = SL_BODY(msg, task_failed);
        /* It may be tried again. */
        saw_handled(w, m->task_id, m->epoch,
                    (struct sl_history_event){.what = SL_HISTORY_PART, .served_ns = m->served_ns});
    }
}

/* As if what is due at the next tick were due at this one. */
static void
expire_early(struct sl_world *w)
{
    uint64_t task_id;
    while (sl_queue_expire(w->queue, sl_sim_local_ns(w->sim, w->main) + TICK_NS, &task_id))
        ;
}

void
sl_world_observe(void *world, enum sl_sim_what what, uint32_t process, const struct sl_msg *msg)
{
    struct sl_world *w = world;
    if (process != w->main)
        return;
    sl_simq_observe(w->own, what, msg);
    if (what == SL_SIM_SENT)
        sl_world_check_home(w, msg);
    if (what == SL_SIM_SENT && msg->id == SL_M_run_task)
        saw_lease(w, msg);
    if (what == SL_SIM_SENT && msg->to.node == SL_NODE_PORT && msg->to.actor == SL_WORLD_PORT_ACK)
        sl_world_may_crash(w);
    if (msg->to.actor != SL_ACTOR_DISPATCHER || what == SL_SIM_SENT)
        return;
    if (what == SL_SIM_HANDLED) {
        after(w, msg);
        return;
    }
    w->history_mark = w->history.count;
    if (msg->id == SL_M_timer && w->options.plant == SL_PLANT_EARLY)
        expire_early(w);
    if (msg->id == SL_M_task_done)
        saw_done(w, SL_BODY(msg, task_done));
    else if (msg->id == SL_M_task_failed)
        saw_failed(w, SL_BODY(msg, task_failed));
    else if (msg->id == SL_M_node_beat)
        saw_beat(w, SL_BODY(msg, node_beat));
    else if (msg->id == SL_M_node_lost)
        saw_lost(w, SL_BODY(msg, node_lost)->node);
    else if (msg->id == SL_M_undelivered)
        saw_unsent(w, SL_BODY(msg, undelivered));
}

void
sl_world_tamper(void *world, uint32_t process, struct sl_msg **msg)
{
    struct sl_world *w = world;
    if (w->options.plant == SL_PLANT_UNTAINTED) {
        sl_world_hide_home(msg);
        return;
    }
    if (process != w->main || (*msg)->id != SL_M_task_done || (*msg)->request == COPY_MARK)
        return;
    struct sl_m_task_done m = *SL_BODY(*msg, task_done);
    const struct sl_world_task *task = sl_world_task_by_id(w, m.task_id);
    bool is_stale = task != NULL && task->epoch_live != 0 && task->epoch_live != m.epoch;
    if (w->options.plant == SL_PLANT_STALE && !is_stale)
        return;
    if (w->options.plant == SL_PLANT_STALE)
        m.epoch = task->epoch_live;
    struct sl_msg *copy = sl_msg_create(SL_M_task_done, &m);
    copy->to = (*msg)->to;
    copy->from = (*msg)->from;
    if (w->options.plant == SL_PLANT_TWICE) {
        copy->request = COPY_MARK;
        sl_sim_post(w->sim, process, SL_ACTOR_DISPATCHER, SL_MILLI_NS, copy);
        return;
    }
    sl_msg_destroy(msg);
    *msg = copy;
}

/* ---- what the store holds ------------------------------------------------------------------ */

/* One look at the store. */
struct look {
    struct sl_world *w;
    struct sl_txn *txn;
    bool is_durable; /* What is seen cannot go away again. */
    bool is_quick;   /* What ended durably is taken to be so still: a whole look comes later. */
    struct sl_buf key, scratch;
    uint64_t records[SL_WORLD_TENANTS + 1]; /* By scope. */
    uint64_t done, dead, canceled;
    uint32_t dead_tasks; /* Of the job looked at: a bit for each. */
    /* Of first tiers: how many records their tasks made, and how they ended. */
    uint32_t due[SL_WORLD_CHAINS];
    enum sl_job_state first[SL_WORLD_CHAINS];
};

/* Made of names that do not change, so once a run. */
static const char *
record_id(struct look *l, uint32_t j, uint32_t t, uint32_t position)
{
    char *id = l->w->jobs[j].tasks[t].record_ids[position];
    if (id[0] != '\0')
        return id;
    struct sl_buf source = {0};
    sl_world_source_key(l->w, j, t, &source);
    struct sl_record_origin origin = {.collection = sl_slice_str(sl_world_collection(l->w, j)),
                                      .origin = sl_world_origin(l->w, j, &l->scratch),
                                      .source = sl_buf_slice(&source),
                                      .position = position};
    sl_record_id(&origin, id);
    sl_buf_deinit(&source);
    return id;
}

static bool
look_record(struct look *l, uint32_t j, uint32_t t, uint32_t position, struct sl_slice *ret_row)
{
    struct sl_slice key =
        sl_key(&l->key, 2, sl_world_collection(l->w, j), record_id(l, j, t, position));
    return sl_txn_get(l->txn, l->w->jobs[j].scope, SL_TABLE_RECORD, key, ret_row) == SL_OK;
}

/* The records of a task are all there or none; whether they are. One that works in parts leaves
 * those it got to. */
static bool
look_records(struct look *l, uint32_t j, uint32_t t)
{
    struct sl_world *w = l->w;
    const struct sl_world_task *task = &w->jobs[j].tasks[t];
    uint32_t found = 0;
    uint64_t nonce = 0, first = 0;
    struct sl_slice row;
    for (uint32_t i = 0; i < task->records; i++) {
        struct sl_record record;
        if (!look_record(l, j, t, i, &row))
            continue;
        if (sl_record_decode(row, &record) != SL_OK || !nonce_of(record.fields, &nonce)) {
            sl_world_fail(w, "job %u task %u: record %u cannot be read", j, t, i);
            return true;
        }
        first = found++ == 0 ? nonce : first;
        if (nonce != first && !task->is_in_parts)
            sl_world_fail(w, "job %u task %u: its records are of different runs", j, t);
        if (nonce >= w->nonces.size || w->nonces.data[nonce] == 0)
            sl_world_fail(w, "job %u task %u: a record is of a run whose lease was void", j, t);
    }
    if (found != 0 && found != task->records && !task->is_in_parts)
        sl_world_fail(w, "job %u task %u: %u of %u records are there", j, t, found, task->records);
    l->records[w->jobs[j].scope.id] += found;
    return found == task->records;
}

/* Which task of job j has this source? */
static bool
failed_task(struct sl_world *w, uint32_t j, const char *source, uint32_t *ret_t)
{
    struct sl_buf key = {0};
    bool is_found = false;
    for (*ret_t = 0; *ret_t < w->jobs[j].tasks_count; (*ret_t)++) {
        sl_world_source_key(w, j, *ret_t, &key);
        is_found = sl_slice_is(sl_key_part(sl_buf_slice(&key), 1), source);
        if (is_found)
            break;
    }
    sl_buf_deinit(&key);
    return is_found;
}

static void
look_failure(struct look *l, uint32_t j, struct sl_slice value)
{
    struct sl_world *w = l->w;
    struct sl_json_doc *doc = NULL;
    uint32_t t = 0;
    uint64_t signal = 0;
    if (sl_json_parse(value, &doc, NULL) != SL_OK) {
        sl_world_fail(w, "job %u: a failure row cannot be read", j);
        return;
    }
    struct sl_json root = sl_json_root(doc), code = sl_json_member(root, "code");
    char *source = sl_json_strdup(sl_json_member(root, "source"));
    bool is_known = source != NULL && failed_task(w, j, source, &t);
    bool has_signal = sl_json_u64(sl_json_member(root, "signal"), &signal) == SL_OK && signal != 0;
    if (sl_json_is(code, "payload_damaged"))
        l->dead++; /* Nobody can say which task it was. */
    else if (!is_known)
        sl_world_fail(w, "job %u: a failure row of no task of it", j);
    else if (sl_json_is(code, "replica_crashed") && !has_signal)
        sl_world_fail(w, "job %u task %u: crashed, but of no signal", j, t);
    else if ((l->dead_tasks >> t & 1) != 0)
        sl_world_fail(w, "job %u task %u: two failure rows", j, t);
    else
        l->dead_tasks |= 1u << t;
    sl_free(source);
    sl_json_destroy(&doc);
}

static void
look_failures(struct look *l, uint32_t j)
{
    char job[37];
    struct sl_scan scan;
    l->dead_tasks = 0;
    sl_job_id_format(l->w->jobs[j].id, job);
    sl_txn_scan(l->txn, l->w->jobs[j].scope, SL_TABLE_FAILURE, sl_key_prefix(&l->key, 1, job),
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        look_failure(l, j, scan.value);
    sl_scan_end(&scan);
}

/* Whether a task ended as its work and its runs allow. */
static void
look_task(struct look *l, uint32_t j, uint32_t t)
{
    struct sl_world *w = l->w;
    struct sl_world_task *task = &w->jobs[j].tasks[t];
    bool is_done = look_records(l, j, t), is_dead = (l->dead_tasks >> t & 1) != 0;
    bool must_die = task->work >= SL_WORK_BAD;
    bool is_at_once = task->work == SL_WORK_BAD || task->work == SL_WORK_MISSING;
    if (is_done && is_dead)
        sl_world_fail(w, "job %u task %u is both done and dead", j, t);
    if (is_done && must_die)
        sl_world_fail(w, "job %u task %u cannot have been done", j, t);
    if (is_dead && !is_at_once && task->failures < SL_WORLD_ATTEMPTS)
        sl_world_fail(w, "job %u task %u is dead after %u counted runs", j, t, task->failures);
    if ((task->was_done && !is_done) || (task->was_dead && !is_dead))
        sl_world_fail(w, "job %u task %u had ended and has not any more", j, t);
    if (l->is_durable && !task->was_done && !task->was_dead && (is_done || is_dead))
        tell_task(w, task, (struct sl_history_event){.what = SL_HISTORY_DURABLE});
    task->was_done = task->was_done || (l->is_durable && is_done);
    task->was_dead = task->was_dead || (l->is_durable && is_dead);
    l->done += is_done;
    l->dead += is_dead;
    if (is_done && j < SL_WORLD_CHAINS)
        l->due[j] += task->records;
}

static void
look_tasks(struct look *l, uint32_t j)
{
    look_failures(l, j);
    for (uint32_t t = 0; t < l->w->jobs[j].tasks_count; t++) {
        const struct sl_world_task *task = &l->w->jobs[j].tasks[t];
        if (!l->is_quick || (!task->was_done && !task->was_dead)) {
            look_task(l, j, t);
            continue;
        }
        l->done += task->was_done;
        l->dead += task->was_dead;
        if (task->was_done && j < SL_WORLD_CHAINS)
            l->due[j] += task->records;
    }
}

/* How many tasks a job has. Each record of the first tier is one task of the second. */
static uint64_t
tasks_of(const struct look *l, uint32_t j)
{
    return sl_world_is_second(l->w, j) ? l->due[j - l->w->jobs_count] : l->w->jobs[j].tasks_count;
}

/* A second tier waits until its tasks are made: someone must be about to. */
static bool
is_opening(struct look *l, uint32_t j)
{
    struct sl_slice value;
    const struct sl_world_job *job = &l->w->jobs[j];
    sl_buf_clear(&l->key);
    sl_buf_append_u64be(&l->key, job->scope.id);
    sl_buf_append_slice(&l->key, sl_slice(job->id.bytes, sizeof(job->id.bytes)));
    return sl_txn_get(l->txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_buf_slice(&l->key), &value) ==
           SL_OK;
}

static void
look_counts(struct look *l, uint32_t j, const struct sl_job_row *row, bool is_ended)
{
    struct sl_world *w = l->w;
    struct sl_job_info info = {
        .total = row->total, .done = row->done, .dead = row->dead, .canceled = row->canceled};
    if (!is_ended && sl_world_is_second(w, j) && is_opening(l, j))
        return;
    if (!is_ended && sl_queue_job(w->queue, w->jobs[j].id, &info) != SL_OK) {
        sl_world_fail(w, "job %u has not ended and is not in the queue", j);
        return;
    }
    if (info.total != tasks_of(l, j) || info.done != l->done || info.dead != l->dead)
        sl_world_fail(w,
                      "job %u counts %" PRIu64 " done, %" PRIu64 " dead of %" PRIu64
                      "; there are %" PRIu64 ", %" PRIu64 " of %" PRIu64,
                      j, info.done, info.dead, info.total, l->done, l->dead, tasks_of(l, j));
    if (is_ended && info.done + info.dead + info.canceled != info.total)
        sl_world_fail(w, "job %u ended, and its counts do not add up", j);
    if (info.canceled > 0 && !w->jobs[j].is_cancel_wanted)
        sl_world_fail(w, "job %u: tasks are canceled that nobody canceled", j);
    l->canceled = info.canceled;
}

/* The end of a first tier and the row of the second are one commit. */
static void
look_chain(struct look *l, uint32_t j, bool is_there)
{
    struct sl_world *w = l->w;
    enum sl_job_state first = l->first[j - w->jobs_count];
    bool is_due = first == SL_JOB_SUCCEEDED || first == SL_JOB_PARTIAL;
    if (is_due && !is_there)
        sl_world_fail(w, "job %u ended, and its second tier is lost", j - w->jobs_count);
    if (!is_due && is_there)
        sl_world_fail(w, "job %u has a second tier, and did not end well", j - w->jobs_count);
    w->jobs[j].is_skipped =
        w->jobs[j].is_skipped || (l->is_durable && !is_due && first > SL_JOB_RUNNING);
}

static void
look_job(struct look *l, uint32_t j)
{
    struct sl_world *w = l->w;
    struct sl_world_job *job = &w->jobs[j];
    struct sl_slice value, key = sl_slice(job->id.bytes, sizeof(job->id.bytes));
    struct sl_job_row row = {0};
    l->done = l->dead = l->canceled = 0;
    bool is_there = sl_txn_get(l->txn, job->scope, SL_TABLE_JOB, key, &value) == SL_OK;
    if (is_there && sl_job_row_decode(value, &row) != SL_OK)
        sl_world_fail(w, "job %u: its row cannot be read", j);
    if (is_there || !l->is_quick)
        look_tasks(l, j);
    bool is_ended = is_there && row.state >= SL_JOB_SUCCEEDED;
    if (job->is_acked && !is_there)
        sl_world_fail(w, "job %u was acknowledged and is lost", j);
    if (job->was_ended && !is_ended)
        sl_world_fail(w, "job %u had ended and has not any more", j);
    if (j < SL_WORLD_CHAINS)
        l->first[j] = row.state;
    if (sl_world_is_second(w, j))
        look_chain(l, j, is_there);
    if (is_there)
        look_counts(l, j, &row, is_ended);
    else if (l->done + l->dead > 0)
        sl_world_fail(w, "job %u is not there, but ends of its tasks are", j);
    if (l->is_durable && is_ended && !job->is_settled) {
        job->is_settled = true;
        sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_ENDED, .job = j});
    }
    job->was_ended = job->was_ended || (l->is_durable && is_ended);
}

static uint64_t
count_rows(struct look *l, struct sl_scope scope, uint8_t table)
{
    struct sl_scan scan;
    uint64_t count = 0;
    sl_txn_scan(l->txn, scope, table, (struct sl_slice){0}, (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    return count;
}

/* No record that no task accounts for, and each with its vector, its index entry and its count. */
static void
look_scope(struct look *l, struct sl_scope scope)
{
    struct sl_counter counter = {
        .scope = scope, .what = SL_COUNT_RECORDS, .parent = SL_WORLD_COLLECTION};
    struct sl_counter second = {
        .scope = scope, .what = SL_COUNT_RECORDS, .parent = SL_WORLD_SECOND};
    uint64_t want = l->records[scope.id], records = count_rows(l, scope, SL_TABLE_RECORD),
             vectors = count_rows(l, scope, SL_TABLE_VECTOR),
             documents = count_rows(l, scope, SL_TABLE_DOCUMENT);
    int64_t counted = sl_count(l->txn, counter) + sl_count(l->txn, second);
    if (records != want || vectors != want || documents != want || counted != (int64_t)want)
        sl_world_fail(l->w,
                      "scope %" PRIu64 ": %" PRIu64 " records are due; there are %" PRIu64
                      ", %" PRIu64 " vectors, %" PRIu64 " ids, and %" PRId64 " are counted",
                      scope.id, want, records, vectors, documents, counted);
}

void
sl_world_check(struct sl_world *w, bool is_whole)
{
    struct look l = {.w = w,
                     .txn = sl_store_begin(w->store),
                     .is_durable = !sl_store_is_dirty(w->store),
                     .is_quick = !is_whole};
    uint64_t done = 0, dead = 0, canceled = 0, second = 0;
    for (uint32_t j = 0; j < w->jobs_all; j++) { /* First tiers before second ones. */
        const struct sl_world_job *job = &w->jobs[j];
        bool is_idle = job->is_settled || (!job->is_tried && !sl_world_is_second(w, j));
        if (!is_whole && is_idle && j >= SL_WORLD_CHAINS)
            continue;
        look_job(&l, j);
        done += l.done;
        second += sl_world_is_second(w, j) ? l.done : 0;
        dead += l.dead;
        canceled += l.canceled;
    }
    for (uint64_t scope = 1; is_whole && scope <= SL_WORLD_TENANTS; scope++)
        look_scope(&l, (struct sl_scope){scope});
    sl_txn_abort(&l.txn);
    sl_buf_deinit(&l.key);
    sl_buf_deinit(&l.scratch);
    if (!is_whole)
        return;
    w->result->done = done;
    w->result->dead = dead;
    w->result->canceled = canceled;
    w->result->second = second;
}

static uint32_t
count_nodes(const struct sl_world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->children_count; i++)
        count += !w->children[i].is_gone && w->children[i].kind == SL_CHILD_NODE;
    return count;
}

/* At rest: by demand there is none. */
static uint32_t
nodes_due(const struct sl_world *w)
{
    return sl_world_is_scaled(w->options.seed) ? 0 : w->nodes_wanted;
}

bool
sl_world_is_at_rest(const struct sl_world *w)
{
    for (uint32_t j = 0; j < w->jobs_count; j++) {
        const struct sl_world_job *job = &w->jobs[j];
        if (!job->is_acked || !job->was_ended || (job->is_cancel_wanted && !job->is_cancel_acked))
            return false;
    }
    for (uint32_t j = w->jobs_count; j < w->jobs_all; j++) {
        if (!w->jobs[j].was_ended && !w->jobs[j].is_skipped)
            return false;
    }
    /* What is seen of a store that is dirty is not told to the history. */
    return w->main != 0 && count_nodes(w) == nodes_due(w) && sl_simq_is_at_rest(w->own) &&
           !sl_store_is_dirty(w->store);
}

void
sl_world_check_end(struct sl_world *w)
{
    sl_world_check(w, true);
    for (uint32_t j = 0; j < w->jobs_count; j++) {
        const struct sl_world_job *job = &w->jobs[j];
        if (!job->is_acked)
            sl_world_fail(w, "job %u was never acknowledged", j);
        else if (!job->was_ended)
            sl_world_fail(w, "job %u never ends", j);
    }
    for (uint32_t j = w->jobs_count; j < w->jobs_all; j++) {
        if (!w->jobs[j].was_ended && !w->jobs[j].is_skipped)
            sl_world_fail(w, "the second tier of job %u never ends", j - w->jobs_count);
    }
    if (w->main != 0 && count_nodes(w) != nodes_due(w))
        sl_world_fail(w, "%u nodes run, and %u are wanted", count_nodes(w), nodes_due(w));
    if (sl_queue_has_work(w->queue))
        sl_world_fail(w, "all jobs have ended, and tasks wait");
}
