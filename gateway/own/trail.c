/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in a tenant's own queue (queue/trail.h), as pages and as server-sent events. Whoever
 * comes again with the id of the last one it has seen misses nothing that is still kept; what is
 * not is told as a gap.
 */
#include "gateway/own/trail.h"

#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "queue/trail.h"

#define PAGE           100
#define PAGE_MAX       1000
#define STREAM_WAIT_MS 25000
#define WAIT_MS_MAX    30000
#define RETRY_MS       50 /* After which a client of a stream comes again. */

struct follow {
    struct sl_trail_id after;
    uint64_t until_ns;
    uint32_t limit;
    bool is_stream;
};

/* ---- ids ----------------------------------------------------------------------------------- */

static const char *
id_text(struct sl_call *call, struct sl_trail_id id)
{
    if (id.sub == 0)
        return sl_call_format(call, "%" PRIu64, id.seq);
    return sl_call_format(call, "%" PRIu64 ".%" PRIu64, id.seq, id.sub);
}

static bool
parse_number(struct sl_slice *text, uint64_t *ret_number)
{
    size_t digits = 0;
    uint64_t number = 0;
    while (digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9')
        number = number * 10 + (uint64_t)(text->data[digits++] - '0');
    *text = sl_slice(text->data + digits, text->size - digits);
    *ret_number = number;
    return digits > 0 && digits < 20;
}

/* "12" or "12.3"; nothing is the beginning. */
static bool
parse_id(struct sl_slice text, struct sl_trail_id *ret_id)
{
    struct sl_trail_id id = {0};
    bool is_good = text.size == 0 || parse_number(&text, &id.seq);
    if (is_good && text.size > 0 && text.data[0] == '.') {
        text = sl_slice(text.data + 1, text.size - 1);
        is_good = parse_number(&text, &id.sub);
    }
    *ret_id = id;
    return is_good && text.size == 0;
}

/* ---- events -------------------------------------------------------------------------------- */

static const char *
name_of(const struct sl_trail_event *e)
{
    if (e->kind == SL_TRAIL_TASK)
        return sl_change_name(e->change);
    return e->kind == SL_TRAIL_QUEUE ? "queue" : "restart";
}

static void
write_event(struct sl_call *call, const struct sl_trail_event *e, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "id", id_text(call, e->id));
    sl_jsonw_member_u64(w, "seq", e->id.seq);
    sl_jsonw_member_str(w, "event", name_of(e));
    sl_jsonw_member_str(w, "tenant_id", call->who.tenant_id);
    if (e->at_ms != 0)
        sl_jsonw_member_time(w, "at", e->at_ms);
    if (e->kind == SL_TRAIL_TASK) {
        sl_jsonw_member_str(w, "job_id", sl_own_job_id(call, e->task_id));
        sl_jsonw_member_str(w, "state", sl_state_name(e->state));
    } else if (e->kind == SL_TRAIL_QUEUE) {
        sl_jsonw_member_str(w, "mode", sl_lane_mode_name(e->mode));
    }
    if (e->epoch != 0)
        sl_jsonw_member_str(w, "epoch", sl_call_format(call, "%" PRIx64, e->epoch));
    if (e->reason.size > 0)
        sl_jsonw_member_slice(w, "reason", e->reason);
    sl_jsonw_end(w);
}

static void
write_gap(struct sl_call *call, struct sl_trail_id after, struct sl_trail_id until,
          struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "after", id_text(call, after));
    sl_jsonw_member_str(w, "until", id_text(call, until));
    sl_jsonw_end(w);
}

/* ---- a stream ------------------------------------------------------------------------------ */

static void
begin_frame(struct sl_call *call, struct sl_trail_id id, const char *event, struct sl_jsonw *w)
{
    sl_buf_printf(&call->reply, "id: %s\nevent: %s\ndata: ", id_text(call, id), event);
    sl_jsonw_init(w, &call->reply);
}

static void
end_frame(struct sl_call *call, struct sl_jsonw *w)
{
    sl_jsonw_done(w);
    sl_buf_append_str(&call->reply, "\n\n");
}

/* How many were told. */
static uint32_t
write_stream(struct sl_call *call, struct follow *f, struct sl_trail_walk *walk)
{
    struct sl_trail_event event;
    struct sl_jsonw w;
    uint32_t count = 0;
    sl_buf_printf(&call->reply, "retry: %d\n", RETRY_MS);
    if (walk->has_gap) {
        begin_frame(call, walk->at, "gap", &w);
        write_gap(call, f->after, walk->at, &w);
        end_frame(call, &w);
        count++;
    }
    for (; count < f->limit && sl_trail_walk_next(walk, &event); count++) {
        begin_frame(call, event.id, name_of(&event), &w);
        write_event(call, &event, &w);
        end_frame(call, &w);
    }
    if (count == 0)
        sl_buf_append_str(&call->reply, ": nothing yet\n\n");
    call->reply_type = "text/event-stream";
    sl_call_header(call, "Cache-Control", "no-cache");
    sl_call_header(call, "X-Accel-Buffering", "no");
    return count;
}

/* ---- a page -------------------------------------------------------------------------------- */

static uint32_t
write_page(struct sl_call *call, struct follow *f, struct sl_trail_walk *walk)
{
    struct sl_trail_event event;
    struct sl_jsonw *w = &call->out;
    struct sl_trail_id next = walk->has_gap ? walk->at : f->after;
    uint32_t count = 0;
    sl_jsonw_object(w);
    if (walk->has_gap) {
        sl_jsonw_name(w, "gap");
        write_gap(call, f->after, walk->at, w);
    }
    sl_jsonw_name(w, "results");
    sl_jsonw_array(w);
    for (; count < f->limit && sl_trail_walk_next(walk, &event); count++) {
        write_event(call, &event, w);
        next = event.id;
    }
    sl_jsonw_end(w);
    sl_jsonw_member_str(w, "next", id_text(call, next));
    sl_jsonw_end(w);
    return count + walk->has_gap;
}

/* ---- calls --------------------------------------------------------------------------------- */

static void on_event(struct sl_call *call);

static void
tell(struct sl_call *call, bool may_wait)
{
    struct follow *f = call->state;
    struct sl_trail_walk walk;
    struct sl_queue_depth depth;
    if (!sl_own_find(call, &depth))
        return;
    uint64_t lane = sl_lane_hash(depth.name);
    if (sl_trail_walk_begin(call->gateway->queue, depth.scope, lane, f->after, &walk) != SL_OK) {
        sl_call_not_found(call, "queue", call->params[0]);
        return;
    }
    uint32_t count = f->is_stream ? write_stream(call, f, &walk) : write_page(call, f, &walk);
    if (count > 0 || !may_wait || call->now_ns >= f->until_ns)
        return;
    sl_call_reset(call);
    sl_call_await_queue(call, sl_own_trail_wait(lane), f->until_ns - call->now_ns, on_event);
}

static void
on_event(struct sl_call *call)
{
    tell(call, sl_call_wait_error(call, NULL) != SL_ECANCELED);
}

static void
begin(struct sl_call *call, bool is_stream, uint32_t wait_ms)
{
    struct follow *f = sl_call_alloc(call, sizeof(*f));
    f->is_stream = is_stream;
    wait_ms = sl_list_number(call, "wait_ms", NULL, 0, WAIT_MS_MAX, wait_ms);
    f->limit = sl_list_number(call, "limit", NULL, 1, PAGE_MAX, is_stream ? PAGE_MAX : PAGE);
    if (sl_call_has_failed(call))
        return;
    struct sl_slice after = sl_call_query(call, "after");
    if (is_stream && call->sent.last_event_id.size > 0)
        after = call->sent.last_event_id;
    if (!parse_id(after, &f->after)) {
        sl_call_invalid(call, "query.after", "value_error", "the id of an event, as 12 or 12.3");
        return;
    }
    f->until_ns = call->now_ns + wait_ms * SL_MILLI_NS;
    call->state = f;
    tell(call, true);
}

sl_handler_fn sl_api_list_own_events, sl_api_stream_own_events;

void
sl_api_list_own_events(struct sl_call *call)
{
    begin(call, false, 0);
}

void
sl_api_stream_own_events(struct sl_call *call)
{
    begin(call, true, STREAM_WAIT_MS);
}
