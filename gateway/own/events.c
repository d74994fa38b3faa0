/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a job, as server-sent events. A reply has what happened since the client's last
 * event, and waits for something to happen; then it ends, and the client comes again, as an
 * EventSource does by itself, with the number of the last one it has seen (Last-Event-ID). What was
 * missed for good (a restart, a minute without asking) is told by the state that the job is in.
 *
 *   state (as it is now) --> lease, progress, retry, ... --> done, dead, cancel, ... --> 204
 */
#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/job_events.h"
#include "gateway/list.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"

#define WAIT_MS     25000
#define WAIT_MS_MAX 30000
#define RETRY_MS    50 /* After which the client comes again. */

struct follow {
    struct sl_job_name job;
    uint64_t after, until_ns;
    bool has_told;
};

static void
write_event(struct sl_call *call, const struct follow *f, const struct sl_job_event *event)
{
    struct sl_jsonw w;
    struct sl_buf *out = &call->reply;
    sl_buf_printf(out, "id: %" PRIu64 "\nevent: %s\ndata: ", event->number, event->name);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "job_id", sl_own_job_id(call, f->job.task_id));
    sl_jsonw_member_str(&w, "event", event->name);
    sl_jsonw_member_str(&w, "state", sl_state_name(event->state));
    sl_jsonw_member_time(&w, "at", event->at_ms);
    if (event->epoch != 0)
        sl_jsonw_member_str(&w, "epoch", sl_call_format(call, "%" PRIx64, event->epoch));
    if (event->progress.size > 0)
        sl_jsonw_member_raw(&w, "progress", event->progress);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_str(out, "\n\n");
}

static void
write_new(struct sl_call *call, struct follow *f)
{
    struct sl_job_event event;
    while (sl_job_events_next(call->gateway->job_events, f->job, f->after, &event)) {
        write_event(call, f, &event);
        f->after = event.number;
        f->has_told = true;
    }
}

static void
finish(struct sl_call *call, const struct follow *f, bool is_over)
{
    if (!f->has_told && is_over) {
        call->status = 204;
        return;
    }
    sl_buf_printf(&call->reply, f->has_told ? "" : ": nothing yet\n\n");
    call->reply_type = "text/event-stream";
    sl_call_header(call, "Cache-Control", "no-cache");
    sl_call_header(call, "X-Accel-Buffering", "no");
}

static void on_event(struct sl_call *call);

static void
tell(struct sl_call *call, bool may_wait)
{
    struct follow *f = call->state;
    struct sl_task_info info;
    bool is_there =
        sl_queue_task(call->gateway->queue, f->job.scope, f->job.task_id, &info) == SL_OK;
    bool is_over = !is_there || sl_state_has_ended(info.state);
    sl_buf_printf(&call->reply, "retry: %d\n", RETRY_MS);
    if (f->after == 0 && is_there) { /* What it missed cannot be told one by one. */
        f->after = sl_job_events_last(call->gateway->job_events);
        f->has_told = true;
        write_event(
            call, f,
            &(struct sl_job_event){.number = f->after,
                                   .at_ms = call->now_ms,
                                   .name = "state",
                                   .state = info.state,
                                   .epoch = info.state == SL_STATE_RUNNING ? info.epoch : 0});
    }
    write_new(call, f);
    if (!f->has_told && !is_over && may_wait && call->now_ns < f->until_ns) {
        sl_call_reset(call);
        sl_call_await_queue(call, f->job.task_id, f->until_ns - call->now_ns, on_event);
        return;
    }
    finish(call, f, is_over);
}

static void
on_event(struct sl_call *call)
{
    tell(call, sl_call_wait_error(call, NULL) != SL_ECANCELED);
}

/* The number of the header Last-Event-ID, or of the query; 0: none that is one of ours. */
static uint64_t
last_event(const struct sl_call *call)
{
    struct sl_slice text = call->sent.last_event_id;
    uint64_t number = 0;
    if (text.size == 0)
        text = sl_call_query(call, "last_event_id");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || text.size > 19)
            return 0;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return number;
}

sl_handler_fn sl_api_follow_own_job;

void
sl_api_follow_own_job(struct sl_call *call)
{
    struct sl_task_info info;
    struct follow *f = sl_call_alloc(call, sizeof(*f));
    struct sl_job_events *events = call->gateway->job_events;
    uint32_t wait_ms = sl_list_number(call, "wait_ms", NULL, 0, WAIT_MS_MAX, WAIT_MS);
    if (sl_call_has_failed(call))
        return;
    f->job.scope = call->who.scope;
    f->until_ns = call->now_ns + wait_ms * SL_MILLI_NS;
    f->after = last_event(call);
    /* One that ended and is not kept is not there, but its end may still be told. */
    if (!sl_own_find_job(call, &info)) {
        if (!sl_own_parse_id(call->params[1], &f->job.task_id) ||
            !sl_job_events_has(events, f->job))
            return;
        sl_call_reset(call);
    } else {
        f->job.task_id = info.id;
    }
    if (!sl_job_events_follow(events, f->job, call->now_ms, f->after))
        f->after = 0;
    call->state = f;
    tell(call, true);
}
