/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/submit.h"

#include <assert.h>

#include "queue/events.h"
#include "queue/lane.h"
#include "queue/look.h"
#include "queue/options.h"
#include "runtime/hash.h"

#define VICTIMS_MAX 64 /* Tasks that one key of a submit cancels. */

static_assert(SL_RETRY_POLICY_SIZE_MAX <= SL_QUEUE_POLICY_MAX, "any policy fits");
static_assert((SL_COUNT_OF(((struct sl_submit_batch *)0)->keys) &
               (SL_COUNT_OF(((struct sl_submit_batch *)0)->keys) - 1)) == 0,
              "a table's size is a power of two");

struct submit {
    struct sl_queue *q;
    struct sl_submit_batch *batch; /* NULL: all is applied. */
    const struct sl_submit *item;
    struct sl_buf *out;
    uint64_t now_ms;
    struct sl_task_put put;
    struct sl_key_spec limits[SL_KEYS_PER_TASK_MAX];
    struct sl_submitted result;
};

static bool
refuse(struct submit *s, enum sl_err err, const char *code)
{
    s->result = (struct sl_submitted){.err = err, .code = code};
    return false;
}

/* ---- checking ------------------------------------------------------------------------------ */

static bool
is_span(int64_t ms)
{
    return ms >= 0 && (uint64_t)ms <= SL_TIME_MAX_MS;
}

static bool
check_times(struct submit *s)
{
    const struct sl_submit *i = s->item;
    struct sl_task_put *p = &s->put;
    if (!is_span(i->delay_ms) || !is_span(i->at_ms) || (i->delay_ms != 0 && i->at_ms != 0))
        return refuse(s, SL_EINVAL, "delay");
    p->created_ms = s->now_ms;
    p->not_before_ms = (uint64_t)i->at_ms > s->now_ms ? (uint64_t)i->at_ms : 0;
    if (i->delay_ms != 0)
        p->not_before_ms = SL_MIN(s->now_ms + (uint64_t)i->delay_ms, SL_TIME_MAX_MS);
    if (!is_span(i->expires_ms))
        return refuse(s, SL_EINVAL, "expires");
    if (i->expires_ms != 0)
        p->expires_ms = SL_MIN(s->now_ms + (uint64_t)i->expires_ms, SL_TIME_MAX_MS);
    if (p->expires_ms != 0 && p->expires_ms <= p->not_before_ms)
        return refuse(s, SL_EINVAL, "expires");
    p->retain_ms = (uint64_t)i->retain_ms;
    return is_span(i->retain_ms) || refuse(s, SL_EINVAL, "retain");
}

static bool
is_name(struct sl_slice name)
{
    return name.size > 0 && name.size <= SL_SUBMIT_NAME_MAX;
}

/* 128 bits that nobody can choose: they are in the log, so they must stay as they are. */
static void
hash_name(struct sl_slice name, uint64_t ret_hash[2])
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(name, digest);
    struct sl_reader r = sl_reader(sl_slice(digest, sizeof(digest)));
    ret_hash[0] = sl_read_u64(&r);
    ret_hash[1] = sl_read_u64(&r);
}

static bool
check_key(struct submit *s)
{
    const struct sl_submit_key *k = &s->item->key;
    bool has_window = k->mode >= SL_DEDUP_TTL;
    if (k->mode < SL_DEDUP_NONE || k->mode >= SL_DEDUP_MODE_COUNT)
        return refuse(s, SL_EINVAL, "key_mode");
    if (k->mode == SL_DEDUP_NONE)
        return k->name.size == 0 || refuse(s, SL_EINVAL, "key_mode");
    if (!is_name(k->name))
        return refuse(s, SL_EINVAL, "key_name");
    if (!is_span(k->window_ms) || has_window != (k->window_ms > 0) || !is_span(k->max_ms) ||
        (k->max_ms != 0 && k->mode != SL_DEDUP_DEBOUNCE))
        return refuse(s, SL_EINVAL, "key_window");
    s->put.key.mode = (enum sl_dedup_mode)k->mode;
    s->put.key.key.scope = s->item->scope.id;
    hash_name(k->name, s->put.key.key.hash);
    return true;
}

static bool
check_limits(struct submit *s)
{
    const struct sl_submit *item = s->item;
    if (item->limits_count == 0)
        return true;
    if (item->limits_count > SL_KEYS_PER_TASK_MAX)
        return refuse(s, SL_EINVAL, "limits");
    for (uint32_t i = 0; i < item->limits_count; i++) {
        const struct sl_submit_limit *l = &item->limits[i];
        uint64_t hash[2];
        if (!is_name(l->name) || l->limit < 0 || l->limit > UINT32_MAX || l->policy < 0 ||
            l->policy >= SL_KEY_POLICY_COUNT)
            return refuse(s, SL_EINVAL, "limits");
        hash_name(l->name, hash);
        s->limits[i] = (struct sl_key_spec){.scope = item->scope.id,
                                            .hash = hash[0],
                                            .limit = (uint32_t)l->limit,
                                            .policy = (enum sl_key_policy)l->policy};
        if (l->rate.count != 0)
            s->limits[i].rate = l->rate;
    }
    s->put.limits = s->limits;
    s->put.limits_count = item->limits_count;
    return sl_keys_check(s->limits, item->limits_count) == SL_OK || refuse(s, SL_EINVAL, "limits");
}

static bool
check(struct submit *s)
{
    const struct sl_submit *i = s->item;
    struct sl_retry_policy policy;
    bool is_own = i->class == SL_CLASS_OWN;
    if (i->class > SL_CLASS_OWN || (is_own ? !sl_lane_name_is_valid(i->queue) : i->queue.size != 0))
        return refuse(s, SL_EINVAL, "queue");
    if (i->payload.size > SL_QUEUE_PAYLOAD_MAX)
        return refuse(s, SL_ETOOBIG, "payload");
    if (i->priority < 0 || i->priority > SL_QUEUE_PRIORITY_MAX)
        return refuse(s, SL_EINVAL, "priority");
    if (i->policy.size > 0 && sl_retry_decode(i->policy, &policy) != SL_OK)
        return refuse(s, SL_EINVAL, "policy");
    s->put.class = i->class;
    s->put.lane = is_own ? sl_lane_hash(i->queue) : 0;
    s->put.priority = (uint8_t)i->priority;
    s->put.policy = i->policy;
    s->put.payload = i->payload;
    return check_times(s) && check_key(s) && check_limits(s);
}

/* What the queue's settings say to one more. *ret_is_open: only others that are not applied yet
 * fill it, maybe. */
static bool
check_room(struct submit *s, const struct sl_lane *lane, bool *ret_is_open)
{
    *ret_is_open = false;
    if (lane == NULL)
        return s->put.class != SL_CLASS_OWN || refuse(s, SL_ENOTFOUND, "queue");
    const struct sl_lane_settings *set = &lane->settings;
    if (!sl_lane_mode_takes(set->mode))
        return refuse(s, SL_EUNAVAIL, "queue_draining");
    uint64_t depth = sl_lane_unfinished(lane);
    if (set->depth_max == 0)
        return true;
    if (depth >= set->depth_max)
        return refuse(s, SL_EFULL, "queue_full");
    *ret_is_open = s->batch != NULL && depth + s->batch->puts >= set->depth_max;
    return true;
}

/* ---- what others of the batch said --------------------------------------------------------- */

static uint64_t *
place(struct sl_submit_batch *b, uint64_t key)
{
    size_t mask = SL_COUNT_OF(b->keys) - 1;
    size_t at = sl_table_mix(key) & mask;
    while (b->keys[at] != 0 && b->keys[at] != key)
        at = (at + 1) & mask;
    return &b->keys[at];
}

/* What stands for a key in the table; never 0. */
static uint64_t
mark(const struct submit *s, uint64_t hash)
{
    return sl_table_mix(hash ^ sl_table_mix(s->item->scope.id)) | 1;
}

static bool
has_policy(const struct submit *s)
{
    for (uint32_t i = 0; i < s->put.limits_count; i++) {
        if (s->limits[i].policy != SL_KEY_QUEUE)
            return true;
    }
    return false;
}

/* Whether what this one does hangs on what the batch did. */
static bool
depends(const struct submit *s)
{
    struct sl_submit_batch *b = s->batch;
    if (b == NULL)
        return false;
    if (b->keys_count + 1 + SL_KEYS_PER_TASK_MAX > SL_SUBMIT_BATCH_MAX)
        return s->put.key.mode != SL_DEDUP_NONE || s->put.limits_count > 0;
    if (s->put.key.mode != SL_DEDUP_NONE && *place(b, mark(s, s->put.key.key.hash[0])) != 0)
        return true;
    if (b->is_closed && has_policy(s))
        return true;
    for (uint32_t i = 0; i < s->put.limits_count; i++) {
        /* Told apart from an idempotency key of the same name. */
        if (s->limits[i].policy != SL_KEY_QUEUE && *place(b, mark(s, ~s->limits[i].hash)) != 0)
            return true;
    }
    return false;
}

static void
note(struct sl_submit_batch *b, uint64_t key)
{
    uint64_t *at = place(b, key);
    b->keys_count += *at == 0;
    *at = key;
}

static void
note_all(const struct submit *s)
{
    if (s->batch == NULL)
        return;
    s->batch->puts += !s->result.is_existing;
    s->batch->is_closed = s->batch->is_closed || s->result.canceled > 0;
    if (s->put.key.mode != SL_DEDUP_NONE)
        note(s->batch, mark(s, s->put.key.key.hash[0]));
    for (uint32_t i = 0; i < s->put.limits_count; i++)
        note(s->batch, mark(s, ~s->limits[i].hash));
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* A key that is held only until its task starts is free while that runs, whatever the log says:
 * the next PUT takes it over. */
static bool
is_free(const struct submit *s, const struct sl_dedup_answer *answer)
{
    struct sl_dedup_entry e;
    uint32_t slot = sl_task_slot(s->q, answer->task);
    if (slot != SL_NONE && s->q->lanes[sl_task_at(s->q, slot)->lane]->is_dropped)
        return true; /* It has no queue any more, and is about to go. */
    return sl_dedup_at(s->q->dedup, answer->slot, &e) &&
           (e.mode == SL_DEDUP_UNTIL_START || e.mode == SL_DEDUP_DEBOUNCE) && slot != SL_NONE &&
           sl_task_at(s->q, slot)->state == SL_STATE_RUNNING;
}

static void
replace(struct submit *s, const struct sl_dedup_answer *answer)
{
    uint64_t at_ms = SL_MIN(answer->not_before_ms, SL_TIME_MAX_MS);
    struct sl_edit edit = {.task_id = answer->task,
                           .not_before_ms = at_ms,
                           .priority = s->put.priority,
                           .payload = s->put.payload,
                           .is_empty = s->put.payload.size == 0};
    size_t begin = sl_events_begin(s->out, s->item->scope);
    sl_queue_event_edit(s->out, &edit);
    sl_events_end(s->out, begin);
    s->result.is_replaced = true;
    s->result.state = at_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED;
}

/* True: a task holds the key, and *result is it. */
static bool
find_existing(struct submit *s)
{
    struct sl_dedup_want want = {.key = s->put.key.key,
                                 .mode = s->put.key.mode,
                                 .window_ms = (uint64_t)s->item->key.window_ms,
                                 .max_ms = (uint64_t)s->item->key.max_ms,
                                 .now_ms = s->now_ms};
    struct sl_dedup_answer answer;
    if (want.mode == SL_DEDUP_NONE)
        return false;
    if (sl_dedup_look(s->q->dedup, &want, &answer) != SL_OK) {
        (void)refuse(s, SL_EINVAL, "key_mode"); /* A scope that is none. */
        return true;
    }
    if (answer.kind == SL_DEDUP_NEW || is_free(s, &answer)) {
        answer = sl_dedup_fresh(&want);
        s->put.key.until_ms = answer.until_ms;
        s->put.not_before_ms =
            SL_MIN(SL_MAX(s->put.not_before_ms, answer.not_before_ms), SL_TIME_MAX_MS);
        return false;
    }
    struct sl_task_info info;
    s->result = (struct sl_submitted){.task_id = answer.task, .is_existing = true};
    if (sl_queue_task(s->q, s->item->scope, answer.task, &info) == SL_OK)
        s->result.state = info.state;
    if (answer.kind == SL_DEDUP_REPLACE)
        replace(s, &answer);
    return true;
}

static void
cancel(struct submit *s, uint32_t slot)
{
    size_t begin = sl_events_begin(s->out, s->item->scope);
    sl_queue_event_task_only(s->out, SL_QUEUE_CANCEL_TASK, sl_task_at(s->q, slot)->id, s->now_ms);
    sl_events_end(s->out, begin);
    s->result.canceled++;
}

/* One that several keys name is canceled once. */
static void
cancel_others(struct submit *s)
{
    uint32_t seen[VICTIMS_MAX * SL_KEYS_PER_TASK_MAX], count = 0;
    for (uint32_t i = 0; i < s->put.limits_count; i++) {
        uint32_t *victims = seen + count;
        uint32_t found = sl_keys_victims(s->q->keys, &s->limits[i], victims, VICTIMS_MAX);
        for (uint32_t v = 0; v < found; v++) {
            uint32_t slot = victims[v], known = 0;
            while (known < count && seen[known] != slot)
                known++;
            if (known < count)
                continue;
            cancel(s, slot);
            seen[count++] = slot;
        }
    }
}

/* ---- one item ------------------------------------------------------------------------------ */

static void
put_new(struct submit *s)
{
    cancel_others(s);
    s->put.task_id = sl_queue_reserve(s->q);
    size_t begin = sl_events_begin(s->out, s->item->scope);
    sl_queue_event_put(s->out, &s->put);
    sl_events_end(s->out, begin);
    s->result.task_id = s->put.task_id;
    s->result.state = s->put.not_before_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED;
}

static bool
is_refused(struct submit *s)
{
    for (uint32_t i = 0; i < s->put.limits_count; i++) {
        if (sl_keys_refuses(s->q->keys, &s->limits[i]))
            return !refuse(s, SL_EBUSY, "limit_reached");
    }
    uint64_t keys = sl_dedup_count(s->q->dedup) + (s->batch == NULL ? 0 : s->batch->keys_count);
    if (s->put.key.mode != SL_DEDUP_NONE && keys >= SL_QUEUE_KEYS_MAX)
        return !refuse(s, SL_EFULL, "keys_full");
    return false;
}

bool
sl_queue_submit(struct sl_queue *q, struct sl_submit_batch *batch, const struct sl_submit *item,
                struct sl_buf *out, struct sl_submitted *ret_submitted)
{
    sl_queue_assert(q);
    struct submit s = {.q = q, .batch = batch, .item = item, .out = out};
    s.now_ms = SL_MIN(item->now_ms, SL_TIME_MAX_MS);
    struct sl_lane_key key = {item->scope, item->class, 0};
    bool is_open, is_decided = !check(&s);
    if (!is_decided) {
        if (depends(&s))
            return false;
        is_decided = find_existing(&s);
    }
    if (!is_decided) {
        key.hash = s.put.lane;
        is_decided = !check_room(&s, sl_lane_lookup(q, key), &is_open) || is_refused(&s);
        if (!is_decided && is_open)
            return false;
    }
    if (!is_decided)
        put_new(&s);
    /* What was refused, or there with nothing to change, leaves nothing to wait for. */
    if (s.result.err == SL_OK && (!s.result.is_existing || s.result.is_replaced))
        note_all(&s);
    *ret_submitted = s.result;
    return true;
}
