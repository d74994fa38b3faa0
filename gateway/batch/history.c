/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a batch: failed documents and logs. */
#include "actors/job_log.h"
#include "actors/record.h"
#include "gateway/ask.h"
#include "gateway/batch/failure.h"
#include "gateway/list.h"
#include "runtime/time.h"

#define LOG_FAILURES_MAX 100 /* Lines of a tier's log about documents that failed. */

/* ---- failures ------------------------------------------------------------------------------ */

/* The object behind a failure: its own, or the one that the document it read descends from. */
static struct sl_slice
root_object(struct sl_call *call, struct sl_json row)
{
    struct sl_slice source = sl_member_text(call, row, "source"), value;
    struct sl_record record;
    struct sl_buf key = {0};
    if (!sl_json_is(sl_json_member(row, "kind"), "record"))
        return source;
    struct sl_slice root = {0};
    if (sl_txn_get(
            call->txn, call->who.scope, SL_TABLE_RECORD,
            sl_key(&key, 2, sl_member_str(call, row, "parent"), sl_member_str(call, row, "source")),
            &value) == SL_OK &&
        sl_record_decode(value, &record) == SL_OK)
        root =
            sl_call_copy(call, sl_key_part(record.root.size > 0 ? record.root : record.source, 1));
    sl_buf_deinit(&key);
    return root;
}

static void
write_text_or_null(struct sl_jsonw *w, const char *name, struct sl_slice text)
{
    if (text.size > 0)
        sl_jsonw_member_slice(w, name, text);
    else
        sl_jsonw_member_null(w, name);
}

static void
write_failure(struct sl_call *call, const struct sl_batch_failure *f, struct sl_jsonw *w)
{
    struct sl_json row = sl_batch_failure_row(call, f);
    uint64_t attempts = sl_batch_number(row, "attempts"), signal = sl_batch_number(row, "signal");
    bool is_of_record = sl_json_is(sl_json_member(row, "kind"), "record");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "document_id"); /* The one that was read; none was written. */
    if (is_of_record)
        sl_jsonw_str(w, sl_call_format(call, "doc_%s", sl_member_str(call, row, "source")));
    else
        sl_jsonw_null(w);
    write_text_or_null(w, "object_id", root_object(call, row));
    sl_jsonw_member_value(w, "collection_id", sl_json_member(row, "collection"));
    sl_jsonw_member_u64(w, "tier_num", f->tier);
    sl_jsonw_member_value(w, "error_type", sl_json_member(row, "error_type"));
    sl_jsonw_member_value(w, "code", sl_json_member(row, "code"));
    sl_jsonw_name(w, "signal"); /* That its replica died of. */
    if (signal > 0)
        sl_jsonw_u64(w, signal);
    else
        sl_jsonw_null(w);
    sl_jsonw_member_value(w, "message", sl_json_member(row, "message"));
    sl_jsonw_member_bool(w, "transient", sl_json_bool(sl_json_member(row, "transient"), false));
    sl_jsonw_member_u64(w, "retry_count",
                        (attempts > 0 ? attempts - 1 : 0) + sl_batch_number(row, "retries"));
    sl_jsonw_member_time(w, "last_retry_at", sl_batch_number(row, "at_ms"));
    sl_jsonw_end(w);
}

struct shown {
    struct sl_slice collection, tier;
    uint64_t limit, offset, total;
};

/* False: ?tier_num is no tier's number, and the call has failed (422). */
static bool
is_tier_good(struct sl_call *call)
{
    (void)sl_list_number(call, "tier_num", NULL, 0, SL_CHAIN_TIERS_MAX - 1, 0);
    return !sl_call_has_failed(call);
}

static bool
is_of_tier(struct sl_call *call, struct sl_slice wanted, uint32_t tier)
{
    return wanted.size == 0 || sl_slice_is(wanted, sl_call_format(call, "%u", tier));
}

static bool
show(struct sl_call *call, void *arg, const struct sl_batch_failure *f)
{
    struct shown *s = arg;
    if (!is_of_tier(call, s->tier, f->tier) ||
        (s->collection.size > 0 &&
         !sl_slice_equal(s->collection,
                         sl_member_text(call, sl_batch_failure_row(call, f), "collection"))))
        return true;
    if (s->total >= s->offset && s->total - s->offset < s->limit)
        write_failure(call, f, &call->out);
    s->total++;
    return true;
}

void
sl_api_list_failed_documents(struct sl_call *call)
{
    struct sl_batch b;
    struct sl_jsonw *w = &call->out;
    if (!sl_batch_find(call, &b))
        return;
    struct shown s = {.limit = sl_list_number(call, "limit", NULL, 1, 1000, 100),
                      .offset = sl_list_number(call, "offset", NULL, 0, 10000000, 0),
                      .collection = sl_call_query(call, "collection_id"),
                      .tier = sl_call_query(call, "tier_num")};
    if (sl_call_has_failed(call) || !is_tier_good(call))
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "batch_id", b.id);
    sl_jsonw_name(w, "failed_documents");
    sl_jsonw_array(w);
    sl_batch_failures(call, &b, show, &s);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "total", s.total);
    sl_jsonw_member_u64(w, "limit", s.limit);
    sl_jsonw_member_u64(w, "offset", s.offset);
    sl_jsonw_end(w);
}

/* ---- logs ---------------------------------------------------------------------------------- */

static void
write_line(struct sl_call *call, struct sl_jsonw *w, uint64_t at_ms, const char *text)
{
    char time[SL_TIME_TEXT_SIZE];
    if (at_ms == 0)
        return;
    sl_time_format(at_ms, time);
    sl_jsonw_str(w, sl_call_format(call, "%s %s", time, text));
}

struct log {
    uint32_t tier;
    uint64_t lines;
    bool is_truncated;
};

/* What was tried again, as the dispatcher wrote it down. */
static void
log_lines(struct sl_call *call, struct log *log, struct sl_slice id, struct sl_jsonw *w)
{
    struct sl_job_log lines;
    struct sl_slice value, line;
    uint64_t at_ms;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_JOB_LOG, id, &value) != SL_OK ||
        sl_job_log_decode(value, &lines) != SL_OK)
        return;
    while (sl_job_log_next(&lines, &at_ms, &line))
        write_line(call, w, at_ms, sl_call_format(call, "%.*s", SL_SLICE_FMT(line)));
    log->is_truncated = log->is_truncated || lines.is_truncated;
}

static bool
log_failure(struct sl_call *call, void *arg, const struct sl_batch_failure *f)
{
    struct log *log = arg;
    if (f->tier != log->tier)
        return f->tier < log->tier;
    if (log->lines++ == LOG_FAILURES_MAX)
        return false;
    struct sl_json row = sl_batch_failure_row(call, f);
    write_line(
        call, &call->out, sl_batch_number(row, "at_ms"),
        sl_call_format(call, "failed: %s %s in %s: %s: %s", sl_member_str(call, row, "kind"),
                       sl_member_str(call, row, "source"), sl_member_str(call, row, "collection"),
                       sl_member_str(call, row, "code"), sl_member_str(call, row, "message")));
    return true;
}

static void
log_job(struct sl_call *call, struct log *log, struct sl_slice id, struct sl_jsonw *w)
{
    struct sl_task_view v;
    uint64_t fetched, kept;
    if (!sl_task_find(call, id, &v))
        return;
    write_line(call, w, v.row.created_ms,
               sl_call_format(call, "submitted: %llu tasks", (unsigned long long)v.total));
    struct sl_json about = sl_call_parse(call, v.row.about);
    if (sl_json_u64(sl_json_member(about, SL_CHAIN_FETCHED), &fetched) == SL_OK &&
        sl_json_u64(sl_json_member(about, SL_CHAIN_KEPT), &kept) == SL_OK)
        write_line(call, w, v.row.created_ms,
                   sl_call_format(call, "opened: %llu of %llu documents of the tiers before",
                                  (unsigned long long)kept, (unsigned long long)fetched));
    write_line(call, w, v.row.started_ms, "started");
    log_lines(call, log, id, w);
    write_line(call, w, v.row.ended_ms,
               sl_call_format(call, "ended: %llu done, %llu failed, %llu canceled, %llu documents",
                              (unsigned long long)v.done, (unsigned long long)v.dead,
                              (unsigned long long)v.row.canceled,
                              (unsigned long long)v.row.records));
    if (v.row.error.size > 0)
        write_line(call, w, v.row.ended_ms,
                   sl_call_format(call, "error: %.*s", SL_SLICE_FMT(v.row.error)));
}

static void
write_log(struct sl_call *call, const struct sl_batch *b, uint32_t tier, struct sl_jsonw *w)
{
    const struct sl_batch_tier *t = &b->tiers[tier];
    struct log log = {.tier = tier};
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "tier_num", tier);
    char id[37];
    sl_job_id_format(t->task.id, id);
    sl_jsonw_member_str(w, "job_id", id);
    sl_jsonw_member_str(w, "status", sl_task_status(t->state));
    sl_jsonw_name(w, "lines");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(t->jobs); sl_json_next(&i);)
        log_job(call, &log, sl_call_text(call, i.value), w);
    sl_batch_failures(call, b, log_failure, &log);
    sl_jsonw_end(w);
    sl_jsonw_member_bool(w, "truncated", log.is_truncated || log.lines > LOG_FAILURES_MAX);
    sl_jsonw_end(w);
}

void
sl_api_get_batch_logs(struct sl_call *call)
{
    struct sl_batch b;
    struct sl_jsonw *w = &call->out;
    if (!sl_batch_find(call, &b) || !is_tier_good(call))
        return;
    struct sl_slice tier = sl_call_query(call, "tier_num");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "batch_id", b.id);
    sl_jsonw_name(w, "tiers");
    sl_jsonw_array(w);
    for (uint32_t t = 0; t < b.tiers_count; t++) {
        if (b.tiers[t].has_task && is_of_tier(call, tier, t))
            write_log(call, &b, t, w);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}
