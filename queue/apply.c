/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events, applied. Each is checked whole before anything changes.
 */
#include "queue/apply.h"

#include "queue/job.h"
#include "queue/lane.h"
#include "queue/options.h"
#include "queue/put_options.h"
#include "queue/task.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

struct sl_slice
sl_event_body(struct sl_event *e, struct sl_body *ret_body)
{
    uint32_t size = sl_read_u32(&e->fields);
    (void)sl_read_u32(&e->fields); /* Its crc, for whoever reads it from the log. */
    struct sl_slice bytes = sl_read_bytes(&e->fields, size);
    *ret_body = (struct sl_body){0};
    if (e->fields.is_bad || bytes.size > SL_QUEUE_PAYLOAD_MAX) {
        e->fields.is_bad = true;
        return (struct sl_slice){0};
    }
    if (bytes.size > 0)
        *ret_body = (struct sl_body){
            .at = {.segment = e->at.segment,
                   .offset = e->at.offset + (uint32_t)((const uint8_t *)bytes.data - e->start)},
            .size = (uint32_t)bytes.size};
    return bytes;
}

struct sl_job_id
sl_event_job(struct sl_event *e)
{
    struct sl_job_id id = {0};
    struct sl_slice bytes = sl_read_bytes(&e->fields, sizeof(id.bytes));
    if (bytes.size == sizeof(id.bytes))
        memcpy(id.bytes, bytes.data, bytes.size);
    return id;
}

/* The task that the event names: false when it is another scope's. SL_NONE: it is gone. */
static bool
find_task(const struct sl_event *e, uint64_t task_id, uint32_t *ret_slot)
{
    *ret_slot = sl_task_slot(e->q, task_id);
    return *ret_slot == SL_NONE ||
           e->q->lanes[sl_task_at(e->q, *ret_slot)->lane]->scope.id == e->scope.id;
}

/* Likewise, where only one in some states is meant: others count as gone. */
static bool
find_in(const struct sl_event *e, uint64_t task_id, bool has_ended, uint32_t *ret_slot)
{
    if (!find_task(e, task_id, ret_slot))
        return false;
    if (*ret_slot != SL_NONE &&
        sl_state_has_ended((enum sl_state)sl_task_at(e->q, *ret_slot)->state) != has_ended)
        *ret_slot = SL_NONE;
    return true;
}

static void
note_run(struct sl_queue *q, uint32_t slot)
{
    struct sl_job *job = sl_task_job(q, sl_task_at(q, slot));
    if (job != NULL)
        job->was_run = true;
}

static void
rest(struct sl_queue *q, uint32_t slot, enum sl_change change)
{
    struct sl_become to = {.change = change, .state = sl_task_rest_state(sl_task_at(q, slot))};
    sl_task_become(q, slot, &to);
}

/* Wall time as an event tells it; 0: it does not. */
static void
tell_wall(struct sl_queue *q, uint64_t ms)
{
    if (ms != 0)
        sl_queue_wall(q, ms);
}

/* ---- what comes ---------------------------------------------------------------------------- */

/* Count the tasks that follow, up to the end; false when they are malformed. */
static bool
measure_tasks(struct sl_event e, uint32_t *ret_count)
{
    struct sl_body body;
    *ret_count = 0;
    while (!e.fields.is_bad && !sl_reader_is_done(&e.fields)) {
        (void)sl_event_body(&e, &body);
        if (++*ret_count > SL_TASKS_MAX / 2)
            return false;
    }
    return !e.fields.is_bad;
}

static bool
apply_enqueue(struct sl_event *e)
{
    struct sl_queue *q = e->q;
    struct sl_job_seed seed = {.scope = e->scope, .first_id = q->task_last + 1};
    seed.id = sl_event_job(e);
    seed.class = (enum sl_class)sl_read_u8(&e->fields);
    seed.priority = sl_read_u8(&e->fields);
    seed.created_ms = sl_read_u64(&e->fields);
    uint64_t not_before_ms = sl_read_u64(&e->fields);
    if (e->fields.is_bad || seed.class >= SL_CLASS_COUNT || seed.created_ms > SL_TIME_MAX_MS ||
        seed.priority > SL_QUEUE_PRIORITY_MAX || !measure_tasks(*e, &seed.total) ||
        seed.total > SL_TASK_ALONE - seed.first_id || sl_job_lookup(q, seed.id) != NULL)
        return false;

    struct sl_job *job = sl_job_add(q, &seed);
    for (uint32_t i = 0; i < seed.total; i++) {
        struct sl_body body;
        (void)sl_event_body(e, &body);
        struct sl_lane_key key = {e->scope, seed.class, 0};
        uint32_t slot = sl_task_add(q, ++q->task_last);
        struct sl_task *task = sl_task_at(q, slot);
        task->job = job->number;
        task->lane = sl_lane_add(q, key, (struct sl_slice){0})->number;
        task->created_ms = seed.created_ms & SL_TIME_MAX_MS;
        task->time_ms = not_before_ms;
        task->priority = seed.priority & 15u;
        sl_task_body_set(q, slot, body);
        rest(q, slot, SL_CHANGE_PUT);
    }
    sl_job_settle(q, job);
    return true;
}

/* What an event of PUT says, beside its body. */
struct put {
    uint64_t task_id, lane, created_ms, not_before_ms;
    enum sl_class class;
    uint8_t priority;
    struct sl_body body;
};

static bool
read_put(struct sl_event *e, struct put *p, struct sl_put_options *options)
{
    struct sl_reader *r = &e->fields;
    *p = (struct put){.task_id = sl_read_u64(r)};
    p->class = (enum sl_class)sl_read_u8(r);
    p->lane = sl_read_u64(r);
    p->priority = sl_read_u8(r);
    p->created_ms = sl_read_u64(r);
    p->not_before_ms = sl_read_u64(r);
    bool is_read = sl_put_options_decode(r, e->scope, options);
    (void)sl_event_body(e, &p->body);
    return is_read && sl_reader_is_done(r) && p->class <= SL_CLASS_OWN &&
           (p->lane == 0) == (p->class != SL_CLASS_OWN) && p->priority <= SL_QUEUE_PRIORITY_MAX &&
           p->created_ms <= SL_TIME_MAX_MS && p->task_id > e->q->alone_last &&
           p->task_id >= SL_TASK_ALONE && p->task_id <= SL_TASK_LAST;
}

static bool
apply_put(struct sl_event *e)
{
    struct sl_queue *q = e->q;
    struct put p;
    struct sl_put_options options;
    if (!read_put(e, &p, &options))
        return false;
    struct sl_lane_key key = {e->scope, p.class, p.lane};
    /* A queue of the tenant's own was named by an event before. */
    if (p.class == SL_CLASS_OWN && sl_lane_lookup(q, key) == NULL)
        return false;
    options.key.task = p.task_id;
    if (options.groups != 0 && !sl_options_may_have(q, &options))
        return false;
    q->alone_last = p.task_id;
    q->alone_reserved = SL_MAX(q->alone_reserved, p.task_id);

    uint32_t slot = sl_task_add(q, p.task_id);
    struct sl_task *task = sl_task_at(q, slot);
    task->lane = sl_lane_add(q, key, (struct sl_slice){0})->number;
    task->created_ms = p.created_ms & SL_TIME_MAX_MS;
    task->time_ms = p.not_before_ms;
    task->priority = p.priority & 15u;
    sl_task_body_set(q, slot, p.body);
    if (options.groups != 0)
        sl_options_give(q, slot, &options);
    sl_queue_wall(q, p.created_ms);
    rest(q, slot, SL_CHANGE_PUT);
    return true;
}

/* ---- what ends ----------------------------------------------------------------------------- */

static bool
apply_done(struct sl_event *e)
{
    uint64_t task_id = sl_read_u64(&e->fields), ended_ms = sl_read_u64(&e->fields);
    struct sl_body result;
    uint32_t slot;
    (void)sl_event_body(e, &result);
    if (!sl_reader_is_done(&e->fields) || !find_in(e, task_id, false, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    const struct sl_extra *extra = sl_task_extra_lookup(e->q, sl_task_at(e->q, slot));
    uint64_t retain_ms = extra == NULL ? 0 : SL_MIN(extra->retain_ms, SL_TIME_MAX_MS);
    struct sl_task_set set = {
        .time_ms = SL_MIN(ended_ms, SL_TIME_MAX_MS) + retain_ms, .body = result, .priority = -1};
    struct sl_become to = {.change = SL_CHANGE_DONE, .state = SL_STATE_SUCCEEDED, .set = &set};
    note_run(e->q, slot);
    tell_wall(e->q, ended_ms);
    sl_task_become(e->q, slot, &to);
    return true;
}

/* End in a state that is a failure of some kind. */
static void
fail(struct sl_queue *q, uint32_t slot, struct sl_become to, uint64_t ended_ms)
{
    tell_wall(q, ended_ms);
    struct sl_task_set set = {.time_ms = ended_ms, .priority = -1};
    to.set = &set;
    sl_task_become(q, slot, &to);
}

static bool
apply_kill(struct sl_event *e)
{
    uint64_t task_id = sl_read_u64(&e->fields), ended_ms = sl_read_u64(&e->fields);
    uint8_t kind = sl_read_u8(&e->fields);
    bool is_counted = (kind & SL_QUEUE_KILL_COUNTED) != 0;
    enum sl_state state = (enum sl_state)(kind & ~SL_QUEUE_KILL_COUNTED);
    uint32_t counts = is_counted ? sl_read_u32(&e->fields) : 0;
    struct sl_body why;
    uint32_t slot;
    struct sl_slice reason = sl_event_body(e, &why);
    if (!sl_reader_is_done(&e->fields) || why.size > SL_QUEUE_ERROR_MAX ||
        (state != SL_STATE_DEAD && state != SL_STATE_QUARANTINED) ||
        !find_in(e, task_id, false, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    note_run(e->q, slot);
    struct sl_task *task = sl_task_at(e->q, slot);
    sl_task_save(e->q, slot);
    if (is_counted) {
        task->attempts = counts & UINT16_MAX;
        task->crashes = (uint16_t)(counts >> 16);
    }
    if (task->job == SL_NONE)
        sl_task_why_set(e->q, slot, why);
    e->q->trails.reason = reason;
    fail(e->q, slot, (struct sl_become){.change = SL_CHANGE_KILL, .state = state}, ended_ms);
    e->q->trails.reason = (struct sl_slice){0};
    return true;
}

static bool
apply_cancel(struct sl_event *e)
{
    struct sl_job_id id = sl_event_job(e);
    if (!sl_reader_is_done(&e->fields))
        return false;
    struct sl_job *job = sl_job_lookup(e->q, id);
    if (job == NULL)
        return true;
    if (job->scope.id != e->scope.id)
        return false;
    for (uint32_t i = 0; i < job->total; i++) {
        uint32_t slot = sl_task_slot(e->q, job->first_id + i);
        if (slot != SL_NONE)
            fail(e->q, slot,
                 (struct sl_become){.change = SL_CHANGE_CANCEL, .state = SL_STATE_CANCELED}, 0);
    }
    return true;
}

static bool
apply_end_one(struct sl_event *e, enum sl_change change, enum sl_state state)
{
    uint64_t task_id = sl_read_u64(&e->fields), ended_ms = sl_read_u64(&e->fields);
    uint32_t slot;
    if (!sl_reader_is_done(&e->fields) || !find_in(e, task_id, false, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    fail(e->q, slot, (struct sl_become){.change = change, .state = state}, ended_ms);
    return true;
}

static bool
apply_forget(struct sl_event *e)
{
    struct sl_job_id id = sl_event_job(e);
    if (!sl_reader_is_done(&e->fields))
        return false;
    struct sl_job *job = sl_job_lookup(e->q, id);
    if (job == NULL)
        return true;
    if (job->scope.id != e->scope.id || !job->has_ended)
        return false;
    sl_job_remove(e->q, job);
    return true;
}

static bool
apply_forget_task(struct sl_event *e)
{
    uint64_t task_id = sl_read_u64(&e->fields);
    uint32_t slot;
    if (!sl_reader_is_done(&e->fields) || !find_task(e, task_id, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    if (!sl_state_has_ended((enum sl_state)sl_task_at(e->q, slot)->state))
        return false;
    sl_task_become(e->q, slot,
                   &(struct sl_become){.change = SL_CHANGE_FORGET, .state = SL_STATE_NONE});
    return true;
}

/* ---- what begins again --------------------------------------------------------------------- */

static bool
apply_retry(struct sl_event *e)
{
    struct sl_reader *r = &e->fields;
    uint64_t task_id = sl_read_u64(r), not_before_ms = sl_read_u64(r);
    uint32_t attempts = sl_read_u32(r), crashes = sl_read_u32(r), snoozes = sl_read_u32(r);
    uint32_t has_failed = attempts >> 16;
    uint64_t failed_ms = has_failed == 1 ? sl_read_u64(r) : 0;
    struct sl_body why;
    uint32_t slot;
    struct sl_slice reason = sl_event_body(e, &why);
    if (!sl_reader_is_done(r) || has_failed > 1 || crashes > UINT16_MAX || snoozes > UINT16_MAX ||
        why.size > SL_QUEUE_ERROR_MAX || !find_in(e, task_id, false, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    struct sl_task *task = sl_task_at(e->q, slot);
    bool is_snooze = snoozes > task->snoozes;
    sl_task_save(e->q, slot);
    task->attempts = attempts & UINT16_MAX;
    task->crashes = (uint16_t)crashes;
    task->snoozes = (uint16_t)snoozes;
    note_run(e->q, slot);
    if (task->job == SL_NONE && (why.size > 0 || !is_snooze))
        sl_task_why_set(e->q, slot, why);
    if (failed_ms != 0 && task->job == SL_NONE)
        sl_task_extra(e->q, slot)->failed_ms = failed_ms;
    struct sl_task_set set = {.time_ms = not_before_ms, .priority = -1};
    struct sl_become to = {.change = is_snooze ? SL_CHANGE_SNOOZE : SL_CHANGE_RETRY,
                           .state = not_before_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED,
                           .set = &set};
    e->q->trails.reason = reason;
    sl_task_become(e->q, slot, &to);
    e->q->trails.reason = (struct sl_slice){0};
    return true;
}

/* Whoever drives a task again wants it to run, however late it is. */
static void
begin_anew(struct sl_queue *q, struct sl_task *task)
{
    task->attempts = task->crashes = 0;
    if (task->extra == SL_NONE)
        return;
    q->extras[task->extra].failed_ms = 0;
    q->extras[task->extra].expires_ms = 0;
}

/* Another time, priority or payload, for one that waits; or the same for one that failed. */
static bool
apply_edit(struct sl_event *e, enum sl_change change)
{
    struct sl_reader *r = &e->fields;
    bool is_redrive = change == SL_CHANGE_REDRIVE;
    uint64_t task_id = sl_read_u64(r);
    uint8_t first = is_redrive ? 0 : sl_read_u8(r);
    uint8_t priority = first & (uint8_t)~SL_QUEUE_EDIT_EMPTY;
    uint64_t not_before_ms = sl_read_u64(r);
    struct sl_body body;
    uint32_t slot;
    (void)sl_event_body(e, &body);
    if (!sl_reader_is_done(r) || priority > SL_QUEUE_PRIORITY_MAX || !find_task(e, task_id, &slot))
        return false;
    if (slot == SL_NONE)
        return true;
    struct sl_task *task = sl_task_at(e->q, slot);
    struct sl_task_set set = {.time_ms = not_before_ms,
                              .body = body,
                              .is_emptied = (first & SL_QUEUE_EDIT_EMPTY) != 0,
                              .priority = is_redrive ? -1 : priority};
    struct sl_become to = {.change = change,
                           .state = not_before_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED,
                           .set = &set};
    if (task->job != SL_NONE || !sl_change_is_allowed(change, (enum sl_state)task->state, to.state))
        return true;
    sl_task_save(e->q, slot);
    if (is_redrive)
        begin_anew(e->q, task);
    sl_task_become(e->q, slot, &to);
    return true;
}

/* ---- what moves, and settings -------------------------------------------------------------- */

/* Read one move; false: it cannot be. *ret_slot SL_NONE: the task, or just that body, is gone. */
static bool
read_move(struct sl_event *e, enum sl_body_of *ret_of, struct sl_body *ret_body, uint32_t *ret_slot)
{
    uint64_t task_id = sl_read_u64(&e->fields);
    uint8_t of = sl_read_u8(&e->fields);
    (void)sl_event_body(e, ret_body);
    *ret_of = (enum sl_body_of)of;
    if (e->fields.is_bad || of > SL_BODY_LINES || !find_task(e, task_id, ret_slot))
        return false;
    if (*ret_slot == SL_NONE)
        return true;
    const struct sl_task *task = sl_task_at(e->q, *ret_slot);
    const struct sl_extra *extra = sl_task_extra_lookup(e->q, task);
    uint32_t size = 0;
    if (of == SL_BODY_TASK)
        size = task->size;
    else if (extra != NULL)
        size = of == SL_BODY_WHY ? extra->why.size : extra->lines.size;
    if (size != ret_body->size)
        *ret_slot = SL_NONE; /* It was replaced since. */
    return true;
}

static bool
apply_move(struct sl_event *e)
{
    enum sl_body_of of;
    struct sl_body body;
    uint32_t slot;
    struct sl_event check = *e;
    while (!sl_reader_is_done(&check.fields)) {
        if (!read_move(&check, &of, &body, &slot))
            return false;
    }
    while (!sl_reader_is_done(&e->fields)) {
        if (!read_move(e, &of, &body, &slot) || slot == SL_NONE)
            continue;
        if (of == SL_BODY_WHY)
            sl_task_why_set(e->q, slot, body);
        else if (of == SL_BODY_LINES)
            sl_task_lines_set(e->q, slot, body);
        else
            sl_task_body_set(e->q, slot, body);
    }
    return true;
}

/* Of one that has ended they may come late, and are kept with it. */
static bool
apply_lines(struct sl_event *e)
{
    uint64_t task_id = sl_read_u64(&e->fields);
    struct sl_body lines;
    uint32_t slot;
    (void)sl_event_body(e, &lines);
    if (!sl_reader_is_done(&e->fields) || lines.size > SL_QUEUE_LINES_MAX ||
        !find_task(e, task_id, &slot))
        return false;
    if (slot != SL_NONE && sl_task_at(e->q, slot)->job == SL_NONE)
        sl_task_lines_set(e->q, slot, lines);
    return true;
}

static bool
apply_lane(struct sl_event *e)
{
    struct sl_reader *r = &e->fields;
    enum sl_class class = (enum sl_class)sl_read_u8(r);
    struct sl_slice name = sl_read_block(r);
    struct sl_lane_settings settings;
    if (!sl_lane_settings_decode(r, &settings) || !sl_reader_is_done(r) || class > SL_CLASS_OWN ||
        (class == SL_CLASS_OWN) != sl_lane_name_is_valid(name) ||
        (class != SL_CLASS_OWN && settings.mode == SL_LANE_STOPPING))
        return false;
    struct sl_lane_key key = {e->scope, class, class == SL_CLASS_OWN ? sl_lane_hash(name) : 0};
    struct sl_lane *lane = sl_lane_add(e->q, key, name);
    sl_lane_settings_set(e->q, lane, &settings);
    if (class == SL_CLASS_OWN)
        sl_trail_lane(e->q, lane);
    sl_lane_stop(e->q, lane);
    return true;
}

/* One that is not there is no error: whoever removed it may have said so twice. */
static bool
apply_drop_lane(struct sl_event *e)
{
    struct sl_slice name = sl_read_block(&e->fields);
    if (!sl_reader_is_done(&e->fields) || !sl_lane_name_is_valid(name))
        return false;
    struct sl_lane_key key = {e->scope, SL_CLASS_OWN, sl_lane_hash(name)};
    struct sl_lane *lane = sl_lane_lookup(e->q, key);
    if (lane != NULL)
        sl_lane_drop(e->q, lane);
    return true;
}

static bool
apply_purge(struct sl_event *e)
{
    uint32_t slot;
    for (struct sl_event check = *e; !sl_reader_is_done(&check.fields);) {
        uint64_t task_id = sl_read_u64(&check.fields);
        if (check.fields.is_bad || !find_task(&check, task_id, &slot) ||
            (slot != SL_NONE && !e->q->lanes[sl_task_at(e->q, slot)->lane]->is_dropped))
            return false;
    }
    while (!sl_reader_is_done(&e->fields)) {
        if (find_task(e, sl_read_u64(&e->fields), &slot) && slot != SL_NONE)
            sl_task_purge(e->q, slot);
    }
    return true;
}

/* The times of keys are read as they come; which of them were over, whoever swept saw. */
static bool
apply_drop_keys(struct sl_event *e)
{
    uint64_t before_ms = sl_read_u64(&e->fields);
    if (e->fields.is_bad || before_ms == UINT64_MAX || (e->fields.end - e->fields.at) % 16 != 0)
        return false;
    while (!sl_reader_is_done(&e->fields)) {
        struct sl_dedup_key key = {.scope = e->scope.id};
        key.hash[0] = sl_read_u64(&e->fields);
        key.hash[1] = sl_read_u64(&e->fields);
        (void)sl_dedup_drop(e->q->dedup, &key, before_ms);
    }
    return true;
}

static bool
apply(struct sl_event *e)
{
    if (sl_read_u8(&e->fields) != SL_QUEUE_EVENT_VERSION)
        return false;
    switch ((enum sl_queue_event_kind)sl_read_u8(&e->fields)) {
    case SL_QUEUE_ENQUEUE:
        return apply_enqueue(e);
    case SL_QUEUE_PUT:
        return apply_put(e);
    case SL_QUEUE_DONE:
        return apply_done(e);
    case SL_QUEUE_RETRY:
        return apply_retry(e);
    case SL_QUEUE_KILL:
        return apply_kill(e);
    case SL_QUEUE_CANCEL:
        return apply_cancel(e);
    case SL_QUEUE_FORGET:
        return apply_forget(e);
    case SL_QUEUE_EDIT:
        return apply_edit(e, SL_CHANGE_EDIT);
    case SL_QUEUE_REDRIVE:
        return apply_edit(e, SL_CHANGE_REDRIVE);
    case SL_QUEUE_MOVE:
        return apply_move(e);
    case SL_QUEUE_CANCEL_TASK:
        return apply_end_one(e, SL_CHANGE_CANCEL, SL_STATE_CANCELED);
    case SL_QUEUE_EXPIRE_TASK:
        return apply_end_one(e, SL_CHANGE_EXPIRE, SL_STATE_EXPIRED);
    case SL_QUEUE_FORGET_TASK:
        return apply_forget_task(e);
    case SL_QUEUE_LINES:
        return apply_lines(e);
    case SL_QUEUE_LANE:
        return apply_lane(e);
    case SL_QUEUE_DROP_KEYS:
        return apply_drop_keys(e);
    case SL_QUEUE_DROP_LANE:
        return apply_drop_lane(e);
    case SL_QUEUE_PURGE:
        return apply_purge(e);
    }
    return false;
}

void
sl_queue_apply(void *queue, struct sl_scope scope, struct sl_slice event, struct sl_log_at at)
{
    sl_queue_assert(queue);
    struct sl_event e = {
        .q = queue, .scope = scope, .fields = sl_reader(event), .start = event.data, .at = at};
    bool is_event_refused = !apply(&e);
    (void)SL_BUG(is_event_refused);
}
