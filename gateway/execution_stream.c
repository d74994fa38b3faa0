/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/execution_stream.h"

#include "gateway/resource.h"

void
sl_stage_stat_write(const struct sl_stage_stat *stat, struct sl_jsonw *w)
{
    double efficiency = stat->input_count == 0 ? 0 : (double)stat->output_count / stat->input_count;
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "input_count", stat->input_count);
    sl_jsonw_member_u64(w, "output_count", stat->output_count);
    sl_jsonw_member_f64(w, "duration_ms", stat->duration_ms);
    sl_jsonw_member_f64(w, "efficiency", efficiency);
    if (stat->metadata.size > 0)
        sl_jsonw_member_raw(w, "metadata", stat->metadata);
    sl_jsonw_end(w);
}

struct events {
    const struct sl_retrieval *r;
    const char *execution_id;
    struct sl_buf text; /* All frames. */
    struct sl_jsonw w;  /* Of the frame that is open. */
};

static void
begin(struct events *e, const char *type)
{
    sl_buf_append_str(&e->text, "data: ");
    sl_jsonw_init(&e->w, &e->text);
    sl_jsonw_object(&e->w);
    sl_jsonw_member_str(&e->w, "event_type", type);
    sl_jsonw_member_str(&e->w, "execution_id", e->execution_id);
    sl_jsonw_member_u64(&e->w, "total_stages", sl_json_count(e->r->stages));
}

static void
end(struct events *e)
{
    sl_jsonw_end(&e->w);
    sl_jsonw_done(&e->w);
    sl_buf_append_str(&e->text, "\n\n");
}

static void
write_stage(struct events *e, uint32_t index)
{
    const struct sl_stage_stat *stat = &e->r->stats[index];
    begin(e, "stage_start");
    sl_jsonw_member_str(&e->w, "stage_name", stat->name);
    sl_jsonw_member_u64(&e->w, "stage_index", index);
    end(e);
    begin(e, "stage_complete");
    sl_jsonw_member_str(&e->w, "stage_name", stat->name);
    sl_jsonw_member_u64(&e->w, "stage_index", index);
    sl_jsonw_name(&e->w, "statistics");
    sl_stage_stat_write(stat, &e->w);
    end(e);
}

/* The reply's members beside those that every event has; its budget under the event's name too. */
static void
write_end(struct events *e, struct sl_json reply)
{
    static const char *const ours[] = {"execution_id", "total_stages", NULL};
    begin(e, "execution_complete");
    sl_write_except(&e->w, reply, ours);
    sl_jsonw_member_value(&e->w, "statistics", sl_json_member(reply, "stage_statistics"));
    sl_jsonw_member_value(&e->w, "budget_used", sl_json_member(reply, "budget"));
    end(e);
}

void
sl_execution_stream(struct sl_retrieval *r, const char *execution_id)
{
    struct sl_call *call = r->call;
    struct events e = {.r = r, .execution_id = execution_id};
    struct sl_json reply = sl_call_parse(call, sl_buf_slice(&call->reply));
    for (uint32_t i = 0; i < r->stage_index; i++)
        write_stage(&e, i);
    write_end(&e, reply);
    sl_buf_clear(&call->reply);
    sl_buf_append_slice(&call->reply, sl_buf_slice(&e.text));
    sl_buf_deinit(&e.text);
    call->reply_type = "text/event-stream";
    call->idempotent_row = (struct sl_slice){0}; /* A stored reply would come back as JSON. */
    sl_call_header(call, "Cache-Control", "no-cache");
    sl_call_header(call, "X-Accel-Buffering", "no");
}
