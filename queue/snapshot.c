/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue as bytes, little endian. What leases and time did is not in it.
 *
 *   version u8 | task_last u64 | alone_last u64
 *   lanes u32, each: number u32 | scope u64 | class u8 | flags u8 (1: is set, 2: dropped) |
 *                    name block | settings
 *   jobs u32, each:  number u32 | scope u64 | id 16 bytes | class u8 | priority u8 | was_run u8 |
 *                    created_ms u64 | first_id u64 | total u32 | counts u32 of states that ended
 *   tasks u32, each: id u64 | lane u32 | job u32 | state u8 | priority u8 | has_extra u8 |
 *                    created_ms u64 | time_ms u64 | attempts u16, crashes u16, snoozes u16 as u32 |
 *                    body; with has_extra: expires_ms u64 | retain_ms u64 | policy block |
 *                    why body | failed_ms u64 | concurrency keys as PUT has them | lines body
 *   idempotency keys block, as dedup.h has them
 *   trails: floor u64 | count u32, each: lane u32 | ids of the last change and of the last that is
 *                    not kept | count u32, each chunk: id before it | block of records (trail.c);
 *                    an id: seq u64 | sub u64
 *   body: segment u32 | offset u32 | size u32
 *
 * Version 2 has no failed_ms, 3 no keys of either kind, 4 no lanes that were
 * dropped, 5 no trails, 6 no lines.
 *
 * A task that is not ended is QUEUED or SCHEDULED in it, as its time says.
 */
#include "queue/job.h"
#include "queue/lane.h"
#include "queue/options.h"
#include "queue/task.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define SNAPSHOT_VERSION 7
#define VERSION_OLDEST   2
#define LANE_BYTES_MIN   63 /* What a count may stand for at least, before memory is asked for. */
#define JOB_BYTES_MIN    71
#define TASK_BYTES_MIN   55
#define IS_SET           1
#define DROPPED          2
#define SEGMENTS_MAX     (UINT32_C(1) << 22) /* Between the first and the last with a body. */
#define NUMBER_MAX       (64 * SL_MIB) /* Of lanes and jobs: the most that ever lived at a time. */

/* ---- writing ------------------------------------------------------------------------------- */

static void
append_body(struct sl_buf *out, struct sl_body body)
{
    sl_buf_append_u32(out, body.at.segment);
    sl_buf_append_u32(out, body.at.offset);
    sl_buf_append_u32(out, body.size);
}

static void
append_lane(struct sl_buf *out, const struct sl_lane *lane)
{
    sl_buf_append_u32(out, lane->number);
    sl_buf_append_u64(out, lane->scope.id);
    sl_buf_append_u8(out, (uint8_t)lane->class);
    sl_buf_append_u8(out, (uint8_t)(lane->is_set | lane->is_dropped << 1));
    sl_buf_append_block(out, sl_slice_str(lane->name));
    sl_lane_settings_encode(&lane->settings, out);
}

static void
append_job(struct sl_buf *out, const struct sl_job *job)
{
    sl_buf_append_u32(out, job->number);
    sl_buf_append_u64(out, job->scope.id);
    sl_buf_append(out, job->id.bytes, sizeof(job->id.bytes));
    sl_buf_append_u8(out, job->class);
    sl_buf_append_u8(out, job->priority);
    sl_buf_append_u8(out, job->was_run);
    sl_buf_append_u64(out, job->created_ms);
    sl_buf_append_u64(out, job->first_id);
    sl_buf_append_u32(out, job->total);
    for (int state = 0; state < SL_STATE_COUNT; state++) {
        if (state != SL_STATE_NONE && sl_state_has_ended((enum sl_state)state))
            sl_buf_append_u32(out, job->count[state]);
    }
}

static void
append_task(const struct sl_queue *q, struct sl_buf *out, const struct sl_task *task)
{
    enum sl_state state = (enum sl_state)task->state;
    const struct sl_extra *extra = sl_task_extra_lookup(q, task);
    sl_buf_append_u64(out, task->id);
    sl_buf_append_u32(out, task->lane);
    sl_buf_append_u32(out, task->job);
    sl_buf_append_u8(out, sl_state_has_ended(state) ? (uint8_t)state
                                                    : (uint8_t)sl_task_rest_state(task));
    sl_buf_append_u8(out, task->priority);
    sl_buf_append_u8(out, extra != NULL);
    sl_buf_append_u64(out, task->created_ms);
    sl_buf_append_u64(out, task->time_ms);
    sl_buf_append_u32(out, (uint32_t)task->attempts | (uint32_t)task->crashes << 16);
    sl_buf_append_u32(out, task->snoozes);
    append_body(out, sl_task_body(task));
    if (extra == NULL)
        return;
    sl_buf_append_u64(out, extra->expires_ms);
    sl_buf_append_u64(out, extra->retain_ms);
    sl_buf_append_block(out, sl_slice(extra->policy, extra->policy_size));
    append_body(out, extra->why);
    sl_buf_append_u64(out, extra->failed_ms);
    sl_put_limits_encode(extra->limits, extra->limits_count, out);
    append_body(out, extra->lines);
}

static void
append_jobs(struct sl_buf *out, const struct sl_job_list *list)
{
    for (const struct sl_job *job = list->first; job != NULL; job = job->next)
        append_job(out, job);
}

static void
append_head(const struct sl_queue *q, struct sl_buf *out)
{
    sl_buf_append_u8(out, SNAPSHOT_VERSION);
    sl_buf_append_u64(out, q->task_last);
    sl_buf_append_u64(out, q->alone_last);
    sl_buf_append_u32(out, q->lanes_count - q->lanes_free); /* Those that were dropped, too. */
    for (uint32_t i = 0; i < q->lanes_count; i++) {
        if (q->lanes[i] != NULL)
            append_lane(out, q->lanes[i]);
    }
    sl_buf_append_u32(out, (uint32_t)q->jobs_by_id.count);
    append_jobs(out, &q->live);
    append_jobs(out, &q->ended);
}

/* ---- in slices ----------------------------------------------------------------------------- */

void
sl_task_save(struct sl_queue *q, uint32_t slot)
{
    struct sl_task *task = sl_task_at(q, slot);
    if (!q->saving.is_on || task->is_saved == q->saving.mark)
        return;
    append_task(q, &q->saving.ahead, task);
    task->is_saved = q->saving.mark & 1u;
}

/* A copy, since they change meanwhile: 41 bytes each. */
static void
save_keys(struct sl_queue *q)
{
    struct sl_buf bytes = {0};
    struct sl_saving *s = &q->saving;
    sl_dedup_snapshot(q->dedup, &bytes);
    sl_buf_clear(&s->keys);
    sl_buf_append_block(&s->keys, sl_buf_slice(&bytes));
    s->keys_at = 0;
    sl_buf_deinit(&bytes);
}

/* Some of them; false once none is left. */
static bool
append_keys(struct sl_saving *s, struct sl_buf *out, size_t size_max)
{
    size_t size = SL_MIN(s->keys.size - s->keys_at, size_max);
    sl_buf_append(out, s->keys.data + s->keys_at, size);
    s->keys_at += size;
    if (s->keys_at < s->keys.size)
        return true;
    sl_buf_deinit(&s->keys);
    s->keys_at = 0; /* It may be asked again, while trails are left. */
    return false;
}

void
sl_queue_snapshot_begin(void *queue)
{
    struct sl_queue *q = queue;
    sl_queue_assert(q);
    struct sl_saving *s = &q->saving;
    /* One that was not finished leaves marks of both kinds: make them alike. */
    for (uint32_t slot = s->is_on ? s->at : q->tasks_used; slot < q->tasks_used; slot++)
        q->tasks[slot].is_saved = s->mark & 1u;
    s->is_on = true;
    s->mark ^= 1u;
    s->at = 0;
    sl_buf_clear(&s->ahead);
    append_head(q, &s->ahead);
    sl_trails_save_begin(q);
    sl_buf_append_u32(&s->ahead, q->tasks_count);
    save_keys(q);
}

bool
sl_queue_snapshot_some(void *queue, struct sl_buf *out, size_t size)
{
    struct sl_queue *q = queue;
    sl_queue_assert(q);
    struct sl_saving *s = &q->saving;
    sl_assert(s->is_on);
    size_t end = out->size + size;
    sl_buf_append_slice(out, sl_buf_slice(&s->ahead));
    sl_buf_deinit(&s->ahead);
    for (; s->at < q->tasks_used && out->size < end; s->at++) {
        struct sl_task *task = &q->tasks[s->at];
        if (task->id == 0 || task->is_saved == s->mark)
            continue;
        append_task(q, out, task);
        task->is_saved = s->mark & 1u;
    }
    s->is_on = s->at < q->tasks_used ||
               append_keys(s, out, out->size < end ? end - out->size : 0) ||
               sl_trails_save_some(q, out, end);
    return s->is_on;
}

void
sl_queue_snapshot(void *queue, struct sl_buf *out)
{
    struct sl_queue *q = queue;
    sl_queue_snapshot_begin(q);
    (void)sl_queue_snapshot_some(q, out, SIZE_MAX / 2);
}

static uint64_t
digest_of_key(const struct sl_dedup_entry *e, struct sl_buf *buf)
{
    sl_buf_clear(buf);
    sl_buf_append_u64(buf, e->key.scope);
    sl_buf_append_u64(buf, e->key.hash[0]);
    sl_buf_append_u64(buf, e->key.hash[1]);
    sl_buf_append_u64(buf, e->task);
    sl_buf_append_u64(buf, e->until_ms);
    sl_buf_append_u8(buf, (uint8_t)e->mode);
    return sl_hash64(sl_buf_slice(buf));
}

/* Numbers of slots, lanes and jobs may differ between equal queues: each is told without them. */
uint64_t
sl_queue_digest(const struct sl_queue *q)
{
    sl_queue_assert(q);
    struct sl_buf buf = {0};
    uint64_t sum = sl_table_mix(q->task_last) + sl_table_mix(q->alone_last);
    for (uint32_t i = 0; i < q->lanes_count; i++) {
        if (q->lanes[i] == NULL || !q->lanes[i]->is_set)
            continue;
        sl_buf_clear(&buf);
        append_lane(&buf, q->lanes[i]);
        sum += sl_hash64(sl_slice(buf.data + 4, buf.size - 4));
    }
    const struct sl_job_list *lists[] = {&q->live, &q->ended};
    for (size_t i = 0; i < SL_COUNT_OF(lists); i++) {
        for (const struct sl_job *job = lists[i]->first; job != NULL; job = job->next) {
            sl_buf_clear(&buf);
            append_job(&buf, job);
            sum += sl_hash64(sl_slice(buf.data + 4, buf.size - 4));
        }
    }
    for (uint32_t slot = 0; slot < q->tasks_used; slot++) {
        if (q->tasks[slot].id == 0)
            continue;
        struct sl_task task = q->tasks[slot];
        const struct sl_lane *lane = q->lanes[task.lane];
        sl_buf_clear(&buf);
        sl_buf_append_u64(&buf, lane->scope.id);
        sl_buf_append_u64(&buf, (lane->hash ^ lane->is_dropped) << 2 | lane->class);
        sl_buf_append_u64(&buf, task.job == SL_NONE ? 0 : q->jobs[task.job]->first_id);
        task.lane = task.job = 0;
        append_task(q, &buf, &task);
        sum += sl_hash64(sl_buf_slice(&buf));
    }
    for (uint32_t slot = 0; slot < sl_dedup_slots(q->dedup); slot++) {
        struct sl_dedup_entry e;
        if (sl_dedup_at(q->dedup, slot, &e))
            sum += digest_of_key(&e, &buf);
    }
    sl_buf_deinit(&buf);
    return sum;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A snapshot being read: its numbers of lanes and jobs, and those that they became. */
struct restore {
    struct sl_queue *q;
    struct sl_reader r;
    uint8_t version;
    uint32_t segment_first, segment_last; /* Of bodies so far; 0: none. */
    uint32_t *lanes, *jobs;
    uint32_t lanes_count, jobs_count;
};

/* A count of things of at least `bytes_min` each, against the bytes that are left. */
static bool
read_count(struct sl_reader *r, uint32_t bytes_min, uint32_t *ret_count)
{
    *ret_count = sl_read_u32(r);
    return !r->is_bad && (uint64_t)*ret_count * bytes_min <= (uint64_t)(r->end - r->at);
}

/* Note that the snapshot's `number` is ours; false when it has been seen or is out of reason. */
static bool
map_number(uint32_t **map, uint32_t *count, uint32_t number, uint32_t ours)
{
    if (number > NUMBER_MAX)
        return false;
    if (number >= *count) {
        uint32_t grown = SL_MAX(number + 1, *count * 2);
        *map = sl_realloc(*map, grown * sizeof((*map)[0]));
        memset(*map + *count, 0xff, (grown - *count) * sizeof((*map)[0])); /* SL_NONE */
        *count = grown;
    }
    if ((*map)[number] != SL_NONE)
        return false;
    (*map)[number] = ours;
    return true;
}

static bool
read_lane(struct restore *re)
{
    struct sl_reader *r = &re->r;
    uint32_t number = sl_read_u32(r);
    struct sl_lane_key key = {.scope = {sl_read_u64(r)}};
    key.class = (enum sl_class)sl_read_u8(r);
    uint8_t flags = sl_read_u8(r);
    struct sl_slice name = sl_read_block(r);
    struct sl_lane_settings settings;
    if (!sl_lane_settings_decode(r, &settings) || key.class > SL_CLASS_OWN ||
        flags > (re->version > 4 && key.class == SL_CLASS_OWN ? DROPPED : IS_SET) ||
        (key.class == SL_CLASS_OWN) != sl_lane_name_is_valid(name))
        return false;
    key.hash = key.class == SL_CLASS_OWN ? sl_lane_hash(name) : 0;
    if (flags == DROPPED)
        return map_number(&re->lanes, &re->lanes_count, number,
                          sl_lane_add_dropped(re->q, key, name)->number);
    if (sl_lane_lookup(re->q, key) != NULL)
        return false;
    struct sl_lane *lane = sl_lane_add(re->q, key, name);
    if (flags == IS_SET)
        sl_lane_settings_set(re->q, lane, &settings);
    return map_number(&re->lanes, &re->lanes_count, number, lane->number);
}

static bool
read_job(struct restore *re)
{
    struct sl_reader *r = &re->r;
    uint32_t number = sl_read_u32(r);
    struct sl_job_seed seed = {.scope = {sl_read_u64(r)}};
    struct sl_slice id = sl_read_bytes(r, sizeof(seed.id.bytes));
    seed.class = (enum sl_class)sl_read_u8(r);
    seed.priority = sl_read_u8(r);
    uint8_t was_run = sl_read_u8(r);
    seed.created_ms = sl_read_u64(r);
    seed.first_id = sl_read_u64(r);
    seed.total = sl_read_u32(r);
    uint32_t counts[SL_STATE_COUNT] = {0};
    uint64_t ended = 0;
    for (int state = 0; state < SL_STATE_COUNT; state++) {
        if (state == SL_STATE_NONE || !sl_state_has_ended((enum sl_state)state))
            continue;
        counts[state] = sl_read_u32(r);
        ended += counts[state];
    }
    if (r->is_bad || seed.class >= SL_CLASS_COUNT || seed.priority > SL_QUEUE_PRIORITY_MAX ||
        was_run > 1 || seed.first_id == 0 || seed.first_id > re->q->task_last + 1 ||
        seed.total > re->q->task_last + 1 - seed.first_id || ended > seed.total)
        return false;
    memcpy(seed.id.bytes, id.data, sizeof(seed.id.bytes));
    if (sl_job_lookup(re->q, seed.id) != NULL)
        return false;
    struct sl_job *job = sl_job_add(re->q, &seed);
    memcpy(job->count, counts, sizeof(counts));
    job->was_run = was_run != 0;
    sl_job_settle(re->q, job);
    return map_number(&re->jobs, &re->jobs_count, number, job->number);
}

/* Bodies of one log lie within so many segments: what is counted of each is kept in an array. */
static bool
is_near(struct restore *re, uint32_t segment)
{
    if (segment == 0)
        return true;
    re->segment_first = re->segment_last == 0 ? segment : SL_MIN(re->segment_first, segment);
    re->segment_last = SL_MAX(re->segment_last, segment);
    return re->segment_last - re->segment_first < SEGMENTS_MAX;
}

static bool
read_body(struct restore *re, uint32_t size_max, struct sl_body *ret_body)
{
    struct sl_reader *r = &re->r;
    ret_body->at.segment = sl_read_u32(r);
    ret_body->at.offset = sl_read_u32(r);
    ret_body->size = sl_read_u32(r);
    return !r->is_bad && ret_body->size <= size_max &&
           (ret_body->size == 0) == (ret_body->at.segment == 0) &&
           is_near(re, ret_body->at.segment);
}

static bool
read_extra(struct restore *re, uint32_t slot)
{
    struct sl_reader *r = &re->r;
    struct sl_extra *extra = sl_task_extra(re->q, slot);
    extra->expires_ms = sl_read_u64(r);
    extra->retain_ms = sl_read_u64(r);
    struct sl_slice policy = sl_read_block(r);
    struct sl_body why;
    if (!read_body(re, SL_QUEUE_ERROR_MAX, &why) || policy.size > SL_QUEUE_POLICY_MAX)
        return false;
    extra->policy = policy.size == 0 ? NULL : sl_memdup(policy.data, policy.size);
    extra->policy_size = (uint32_t)policy.size;
    sl_task_why_set(re->q, slot, why);
    if (re->version > 2)
        extra->failed_ms = sl_read_u64(r);
    struct sl_key_spec limits[SL_KEYS_PER_TASK_MAX];
    uint32_t count = 0;
    struct sl_scope scope = re->q->lanes[sl_task_at(re->q, slot)->lane]->scope;
    if (re->version > 3)
        count = sl_put_limits_decode(r, scope, limits);
    extra->limits = count == 0 ? NULL : sl_memdup(limits, count * sizeof(limits[0]));
    extra->limits_count = count;
    struct sl_body lines = {0};
    if (re->version > 6 && !read_body(re, SL_QUEUE_LINES_MAX, &lines))
        return false;
    sl_task_lines_set(re->q, slot, lines);
    return !r->is_bad;
}

/* Whether a task may be what its row says: of a job, and in a state, that fit. */
static bool
fits(const struct restore *re, const struct sl_task *task, enum sl_state state)
{
    const struct sl_queue *q = re->q;
    const struct sl_job *job = sl_task_job(q, task);
    const struct sl_lane *lane = q->lanes[task->lane];
    if (job == NULL)
        return task->id >= SL_TASK_ALONE && task->id <= q->alone_last && state > SL_STATE_NONE &&
               state < SL_STATE_COUNT;
    return task->id - job->first_id < job->total && job->scope.id == lane->scope.id &&
           job->class == lane->class && !job->has_ended && !sl_state_has_ended(state) &&
           sl_job_live(job) > job->count[SL_STATE_QUEUED] + job->count[SL_STATE_SCHEDULED];
}

static bool
read_task(struct restore *re)
{
    struct sl_reader *r = &re->r;
    struct sl_queue *q = re->q;
    uint64_t id = sl_read_u64(r);
    uint32_t lane = sl_read_u32(r), job = sl_read_u32(r);
    enum sl_state state = (enum sl_state)sl_read_u8(r);
    uint8_t priority = sl_read_u8(r), has_extra = sl_read_u8(r);
    uint64_t created_ms = sl_read_u64(r), time_ms = sl_read_u64(r);
    uint32_t counts = sl_read_u32(r), snoozes = sl_read_u32(r);
    struct sl_body body;
    if (!read_body(re, SL_QUEUE_PAYLOAD_MAX, &body) || id == 0 || sl_task_slot(q, id) != SL_NONE ||
        lane >= re->lanes_count || re->lanes[lane] == SL_NONE || has_extra > 1 ||
        (job != SL_NONE && (job >= re->jobs_count || re->jobs[job] == SL_NONE)) ||
        priority > SL_QUEUE_PRIORITY_MAX || state == SL_STATE_NONE || state >= SL_STATE_COUNT ||
        created_ms > SL_TIME_MAX_MS || snoozes > UINT16_MAX)
        return false;
    uint32_t slot = sl_task_add(q, id);
    struct sl_task *task = sl_task_at(q, slot);
    task->lane = re->lanes[lane];
    task->job = job == SL_NONE ? SL_NONE : re->jobs[job];
    task->priority = priority & 15u;
    task->created_ms = created_ms & SL_TIME_MAX_MS;
    task->time_ms = time_ms;
    task->attempts = counts & UINT16_MAX;
    task->crashes = (uint16_t)(counts >> 16);
    task->snoozes = (uint16_t)snoozes;
    sl_task_body_set(q, slot, body);
    if (!fits(re, sl_task_at(q, slot), state) || (has_extra != 0 && !read_extra(re, slot)))
        return false;
    return sl_task_restore(q, slot, state);
}

static enum sl_err
read_all(struct restore *re)
{
    struct sl_reader *r = &re->r;
    uint32_t count;
    re->version = sl_read_u8(r);
    if (re->version < VERSION_OLDEST || re->version > SNAPSHOT_VERSION)
        return r->is_bad ? SL_ECORRUPT : SL_EVERSION;
    re->q->task_last = sl_read_u64(r);
    re->q->alone_last = re->q->alone_reserved = sl_read_u64(r);
    /* No run of events counts that far; what does would wrap. */
    if (r->is_bad || re->q->task_last >= SL_TASK_ALONE - 1 ||
        re->q->alone_last < SL_TASK_ALONE - 1 || re->q->alone_last > SL_TASK_LAST ||
        !read_count(r, LANE_BYTES_MIN, &count))
        return SL_ECORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_lane(re))
            return SL_ECORRUPT;
    }
    if (!read_count(r, JOB_BYTES_MIN, &count))
        return SL_ECORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_job(re))
            return SL_ECORRUPT;
    }
    if (!read_count(r, TASK_BYTES_MIN, &count))
        return SL_ECORRUPT;
    sl_task_reserve(re->q, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!read_task(re))
            return SL_ECORRUPT;
    }
    if (re->version > 3) {
        enum sl_err err = sl_dedup_restore(re->q->dedup, sl_read_block(r));
        if (err != SL_OK)
            return err;
    }
    if (re->version > 5 && !sl_trails_restore(re->q, r, re->lanes, re->lanes_count))
        return SL_ECORRUPT;
    return sl_reader_is_done(r) && sl_options_restore_keys(re->q) ? SL_OK : SL_ECORRUPT;
}

/* Each job has the tasks that its counts leave; lanes without any are there for their settings. */
static bool
is_whole(const struct sl_queue *q)
{
    for (const struct sl_job *job = q->live.first; job != NULL; job = job->next) {
        if (sl_job_live(job) != job->count[SL_STATE_QUEUED] + job->count[SL_STATE_SCHEDULED])
            return false;
    }
    for (uint32_t i = 0; i < q->lanes_count; i++) {
        if (q->lanes[i] != NULL && !q->lanes[i]->is_set && sl_lane_tasks(q->lanes[i]) == 0)
            return false;
    }
    return true;
}

enum sl_err
sl_queue_restore(void *queue, struct sl_slice snapshot)
{
    struct sl_queue *q = queue;
    sl_queue_assert(q);
    struct restore re = {.q = sl_queue_create(), .r = sl_reader(snapshot)};
    enum sl_err err = read_all(&re);
    if (err == SL_OK && !is_whole(re.q))
        err = SL_ECORRUPT;
    if (err == SL_OK) {
        sl_task_restored(re.q);
        /* Nothing points at the queue itself, so the two can change places. */
        struct sl_queue old = *q;
        *q = *re.q;
        *re.q = old;
        q->epoch_last = old.epoch_last;
        q->watch = old.watch;
    }
    sl_free(re.lanes);
    sl_free(re.jobs);
    sl_queue_destroy(&re.q);
    return err;
}
