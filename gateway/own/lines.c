/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/own/lines.h"

#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/job_events.h"
#include "gateway/resource.h"
#include "queue/body.h"

#define TOLD_MAX 256 /* Bytes that followers are told: each may become six as JSON. */

/* The last so many bytes, from the beginning of a line on if there is one. */
static struct sl_slice
tail(struct sl_slice text, size_t size_max)
{
    if (text.size <= size_max)
        return text;
    struct sl_slice cut = sl_slice(text.data + text.size - size_max, size_max);
    const uint8_t *end = memchr(cut.data, '\n', cut.size);
    size_t skipped = end == NULL ? 0 : (size_t)(end - cut.data) + 1;
    return skipped == cut.size ? cut : sl_slice(cut.data + skipped, cut.size - skipped);
}

static void
tell(struct sl_call *call, struct sl_job_name job, struct sl_slice text)
{
    struct sl_buf json = {0};
    struct sl_jsonw w;
    if (!sl_job_events_has(call->gateway->job_events, job))
        return;
    sl_jsonw_init(&w, &json);
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "log", tail(text, TOLD_MAX));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    if (sl_job_events_progress(call->gateway->job_events, job, sl_buf_slice(&json), call->now_ms))
        sl_call_touch_queue(call, job.scope, job.task_id);
    sl_buf_deinit(&json);
}

void
sl_own_lines_say(struct sl_call *call, struct sl_txn *txn, uint64_t task_id, struct sl_json text)
{
    struct sl_slice said = sl_call_text(call, text), before;
    struct sl_task_info info;
    struct sl_buf lines = {0}, event = {0};
    struct sl_scope scope = call->who.scope;
    if (said.size == 0 || sl_queue_task(call->gateway->queue, scope, task_id, &info) != SL_OK)
        return;
    tell(call, (struct sl_job_name){scope, task_id}, said);
    if (sl_store_is_low(call->gateway->store))
        return;
    /* Of what cannot be read any more nothing is kept. */
    if (sl_body_read(call->gateway->store, info.lines, &before) == SL_OK)
        sl_buf_append_slice(&lines, before);
    sl_buf_append_slice(&lines, said);
    if (said.data[said.size - 1] != '\n')
        sl_buf_append_u8(&lines, '\n');
    sl_queue_event_lines(&event, task_id, tail(sl_buf_slice(&lines), SL_QUEUE_LINES_MAX));
    sl_txn_event(txn, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
    sl_buf_deinit(&lines);
}
