/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/own/queue.h"

#include <inttypes.h>

#include "actors/rows.h"
#include "gateway/base64.h"
#include "gateway/gateway.h"
#include "gateway/own/trail.h"
#include "gateway/resource.h"
#include "queue/retry.h"
#include "queue/trail.h"
#include "runtime/alloc.h"

#define ID_PREFIX "job_"
#define ID_DIGITS 16

/* ---- queues -------------------------------------------------------------------------------- */

bool
sl_own_name_is_valid(struct sl_slice name)
{
    for (int i = 0; i < SL_CLASS_COUNT; i++) {
        if (sl_slice_is(name, sl_class_name((enum sl_class)i)))
            return false;
    }
    return sl_lane_name_is_valid(name) && !sl_slice_is(name, "-");
}

bool
sl_own_lookup(struct sl_call *call, struct sl_slice name, struct sl_queue_depth *ret_depth)
{
    return sl_own_name_is_valid(name) &&
           sl_queue_depth(call->gateway->queue, call->who.scope, SL_CLASS_OWN, sl_lane_hash(name),
                          ret_depth) == SL_OK &&
           sl_slice_equal(ret_depth->name, name); /* Two names may share a hash. */
}

bool
sl_own_find(struct sl_call *call, struct sl_queue_depth *ret_depth)
{
    if (sl_own_lookup(call, call->params[0], ret_depth))
        return true;
    sl_call_not_found(call, "queue", call->params[0]);
    return false;
}

void
sl_own_write_settings(const struct sl_lane_settings *s, struct sl_jsonw *w)
{
    sl_jsonw_member_str(w, "mode", sl_lane_mode_name(s->mode));
    sl_jsonw_member_bool(w, "paused", s->mode == SL_LANE_PAUSED || s->mode == SL_LANE_CLOSED);
    sl_jsonw_member_u64(w, "weight", s->weight == 0 ? 1 : s->weight);
    sl_jsonw_member_u64(w, "aging_ms", s->aging_ms);
    sl_jsonw_member_u64(w, "running_max", s->running_max);
    sl_jsonw_member_u64(w, "depth_max", s->depth_max);
    sl_jsonw_member_u64(w, "rate", s->rate);
    sl_jsonw_member_u64(w, "rate_period_ms", s->rate_period_ms);
    sl_jsonw_member_u64(w, "burst", s->burst == 0 ? 1 : s->burst);
}

/* ---- the backend --------------------------------------------------------------------------- */

void
sl_own_backend(struct sl_call *call, struct sl_store_backend *ret_backend)
{
    struct sl_store_backend_options options = {.store = call->gateway->store,
                                               .queue = call->gateway->queue,
                                               .random = call->random,
                                               .projection = SL_PROJECTION_QUEUE};
    sl_store_backend_init(ret_backend, &options);
    ret_backend->txn = call->txn;
    sl_queue_wall(call->gateway->queue, call->now_ms);
}

struct sl_when
sl_own_when(const struct sl_call *call)
{
    return (struct sl_when){.now_ns = call->now_ns, .now_ms = call->now_ms};
}

/* Deadlines and times are kept by the broker: it looks whether there are new ones. */
void
sl_own_wake(struct sl_call *call)
{
    sl_call_wake_broker(call);
}

void
sl_own_touch(struct sl_call *call, struct sl_scope scope, struct sl_slice name)
{
    uint64_t lane = sl_lane_hash(name);
    sl_call_touch_queue(call, scope, lane);
    sl_call_touch_queue(call, scope, sl_own_trail_wait(lane));
}

/* ---- ids and bytes ------------------------------------------------------------------------- */

const char *
sl_own_job_id(struct sl_call *call, uint64_t task_id)
{
    return sl_call_format(call, ID_PREFIX "%016" PRIx64, task_id);
}

static bool
parse_hex(struct sl_slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > ID_DIGITS)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_value = value;
    return true;
}

bool
sl_own_parse_id(struct sl_slice text, uint64_t *ret_task_id)
{
    size_t prefix = strlen(ID_PREFIX);
    return text.size == prefix + ID_DIGITS && memcmp(text.data, ID_PREFIX, prefix) == 0 &&
           parse_hex(sl_slice(text.data + prefix, ID_DIGITS), ret_task_id);
}

bool
sl_own_parse_epoch(struct sl_slice text, uint64_t *ret_epoch)
{
    return parse_hex(text, ret_epoch);
}

void
sl_own_write_bytes(struct sl_jsonw *w, const char *name, struct sl_slice bytes)
{
    struct sl_json_doc *doc = NULL;
    if (bytes.size > 0 && sl_json_parse(bytes, &doc, NULL) == SL_OK) {
        sl_jsonw_member_raw(w, name, bytes);
        sl_json_destroy(&doc);
        return;
    }
    struct sl_buf text = {0};
    char *member = sl_format("%s_base64", name);
    sl_base64_encode(bytes, false, &text);
    sl_jsonw_member_slice(w, member, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    sl_free(member);
}

bool
sl_own_read_bytes(struct sl_call *call, struct sl_json object, const char *name,
                  struct sl_slice *ret_bytes, const char **ret_why)
{
    struct sl_json json = sl_json_member(object, name);
    struct sl_json base64 = sl_json_member(object, sl_call_format(call, "%s_base64", name));
    struct sl_buf bytes = {0};
    *ret_bytes = sl_json_has(json) ? sl_json_raw(json) : (struct sl_slice){0};
    if (!sl_json_has(base64))
        return true;
    *ret_why = sl_call_format(call, "%s and %s_base64 exclude each other", name, name);
    if (sl_json_has(json))
        return false;
    *ret_why = sl_call_format(call, "%s_base64 is not base64", name);
    bool is_read = sl_base64_decode(sl_call_text(call, base64), &bytes) == SL_OK;
    if (is_read)
        *ret_bytes = sl_call_copy(call, sl_buf_slice(&bytes));
    sl_buf_deinit(&bytes);
    return is_read;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

bool
sl_own_find_job(struct sl_call *call, struct sl_task_info *ret_info)
{
    struct sl_queue_depth depth;
    uint64_t id;
    bool is_any = sl_slice_is(call->params[0], "-");
    if (!is_any && !sl_own_find(call, &depth))
        return false;
    if (sl_own_parse_id(call->params[1], &id) &&
        sl_queue_task(call->gateway->queue, call->who.scope, id, ret_info) == SL_OK &&
        ret_info->class == SL_CLASS_OWN &&
        (is_any || sl_slice_equal(ret_info->lane, call->params[0])))
        return true;
    sl_call_not_found(call, "job", call->params[1]);
    return false;
}

uint64_t
sl_own_ended_ms(const struct sl_task_info *info)
{
    if (!sl_state_has_ended(info->state))
        return 0;
    bool is_kept = info->state == SL_STATE_SUCCEEDED && info->time_ms >= info->retain_ms;
    return is_kept ? info->time_ms - info->retain_ms : info->time_ms;
}

static void
write_retry(struct sl_slice policy, struct sl_jsonw *w)
{
    static const char *const kinds[] = {"exponential", "fixed", "fourth"};
    struct sl_retry_policy p;
    if (policy.size == 0 || sl_retry_decode(policy, &p) != SL_OK)
        return;
    sl_jsonw_name(w, "retry");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "kind", kinds[p.kind]);
    sl_jsonw_member_u64(w, "attempts_max", p.attempts_max);
    sl_jsonw_member_u64(w, "base_ms", p.base_ms);
    sl_jsonw_member_u64(w, "cap_ms", p.cap_ms);
    sl_jsonw_member_u64(w, "after_cap_ms", p.after_cap_ms);
    sl_jsonw_member_u64(w, "retry_for_ms", p.retry_for_ms);
    sl_jsonw_name(w, "final_classes");
    sl_jsonw_array(w);
    for (uint8_t i = 0; i < p.classes_count; i++)
        sl_jsonw_str(w, p.classes[i]);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* Monotonic to wall time, as both clocks go now. */
static uint64_t
wall_ms(const struct sl_call *call, uint64_t ns)
{
    if (ns >= call->now_ns)
        return call->now_ms + (ns - call->now_ns) / SL_MILLI_NS;
    uint64_t ago_ms = (call->now_ns - ns) / SL_MILLI_NS;
    return ago_ms > call->now_ms ? 0 : call->now_ms - ago_ms;
}

static void
write_lease(struct sl_call *call, const struct sl_task_info *info, struct sl_jsonw *w)
{
    if (info->state != SL_STATE_RUNNING)
        return;
    sl_jsonw_name(w, "lease");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "epoch", sl_call_format(call, "%" PRIx64, info->epoch));
    sl_jsonw_member_str(w, "holder", sl_call_format(call, "%" PRIx64, info->holder));
    sl_jsonw_member_time(w, "since", wall_ms(call, info->since_ns));
    sl_jsonw_member_time(w, "until", wall_ms(call, info->deadline_ns));
    sl_jsonw_end(w);
}

static void
write_body(const struct sl_own_view *v, enum sl_task_bytes which, struct sl_jsonw *w)
{
    static const char *const names[] = {"payload", "result", "error", "log"};
    struct sl_buf bytes = {0};
    if (v->backend->ops->read(v->backend, v->info->scope, v->info->id, which, &bytes) != SL_OK)
        sl_jsonw_member_str(w, "damaged", names[which]);
    else if (which < SL_TASK_WHY)
        sl_own_write_bytes(w, names[which], sl_buf_slice(&bytes));
    else
        sl_jsonw_member_slice(w, names[which], sl_buf_slice(&bytes));
    sl_buf_deinit(&bytes);
}

static void
write_times(const struct sl_task_info *info, struct sl_jsonw *w)
{
    bool has_ended = sl_state_has_ended(info->state);
    sl_jsonw_member_time(w, "created_at", info->created_ms);
    sl_jsonw_member_time(w, "not_before", has_ended ? 0 : info->time_ms);
    sl_jsonw_member_time(w, "ended_at", sl_own_ended_ms(info));
    sl_jsonw_member_time(w, "expires_at", info->expires_ms);
    sl_jsonw_member_time(w, "kept_until", info->state == SL_STATE_SUCCEEDED ? info->time_ms : 0);
}

void
sl_own_write_job(struct sl_call *call, const struct sl_own_view *v, struct sl_jsonw *w)
{
    const struct sl_task_info *info = v->info;
    bool has_succeeded = info->state == SL_STATE_SUCCEEDED;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "job_id", sl_own_job_id(call, info->id));
    sl_jsonw_member_slice(w, "queue", info->lane);
    sl_jsonw_member_str(w, "state", sl_state_name(info->state));
    sl_jsonw_member_u64(w, "priority", info->priority);
    write_times(info, w);
    sl_jsonw_member_u64(w, "attempts", info->attempts);
    sl_jsonw_member_u64(w, "crashes", info->crashes);
    sl_jsonw_member_u64(w, "snoozes", info->snoozes);
    sl_jsonw_member_u64(w, "retain_ms", info->retain_ms);
    write_retry(info->policy, w);
    write_lease(call, info, w);
    if (info->why.size > 0)
        write_body(v, SL_TASK_WHY, w);
    if (v->has_bytes && info->payload.size > 0)
        write_body(v, has_succeeded ? SL_TASK_RESULT : SL_TASK_PAYLOAD, w);
    if (v->has_bytes && info->lines.size > 0)
        write_body(v, SL_TASK_LINES, w);
    sl_jsonw_end(w);
}

/* ---- errors -------------------------------------------------------------------------------- */

static const struct {
    enum sl_err err;
    enum sl_api_error error;
    const char *message;
} errors[] = {
    {SL_EINVAL, SL_API_INVALID, "a value is out of its range"},
    {SL_ETOOBIG, SL_API_TOO_LARGE, "more than 65536 bytes"},
    {SL_EFULL, SL_API_RATE_LIMIT, "the queue is full"},
    {SL_EUNAVAIL, SL_API_UNAVAILABLE, "the queue takes no new jobs: it drains or is closed"},
    {SL_ENOSPC, SL_API_UNAVAILABLE, "the store is full"},
    {SL_ESTALE, SL_API_STALE, "the lease has ended, or its epoch is another"},
    {SL_EBUSY, SL_API_CONFLICT, "not in the state that it is in"},
    {SL_ENOTFOUND, SL_API_NOT_FOUND, "there is no such job"},
};

static size_t
error_of(enum sl_err err)
{
    size_t at = 0;
    while (at < SL_COUNT_OF(errors) && errors[at].err != err)
        at++;
    return at;
}

void
sl_own_write_error(struct sl_jsonw *w, enum sl_err err, const char *message)
{
    size_t at = error_of(err);
    bool is_known = at < SL_COUNT_OF(errors);
    enum sl_api_error error = is_known ? errors[at].error : SL_API_INTERNAL;
    if (message == NULL)
        message = is_known ? errors[at].message : "it could not be done";
    sl_jsonw_name(w, "error");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "status", sl_api_error_status(error));
    sl_jsonw_member_str(w, "type", sl_api_error_type(error));
    sl_jsonw_member_str(w, "message", message);
    sl_jsonw_end(w);
}

void
sl_own_fail(struct sl_call *call, enum sl_err err, const char *what)
{
    size_t at = error_of(err);
    if (at == SL_COUNT_OF(errors))
        sl_call_fail(call, SL_API_INTERNAL, "%s: it could not be done", what);
    else
        sl_call_fail(call, errors[at].error, "%s: %s", what, errors[at].message);
}
