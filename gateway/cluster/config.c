/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration in force, and overrides that are applied to it while the server runs; for the
 * operator. An apply is: read and merge, write the file (which is when it has happened: a start
 * finds it), change what can be changed in a process that runs, answer.
 */
#include "actors/journal.h"
#include "gateway/gateway.h"
#include "gateway/overrides/store.h"
#include "gateway/resource.h"
#include "gateway/settings.h"

struct job {
    struct sl_settings *settings;
    struct sl_overrides *overrides;
    struct sl_config *config; /* What they make; NULL: taken over. */
    struct sl_config_changes changes;
    struct sl_slice text;
    bool is_applying, is_dry;
    enum sl_err err; /* Of the file. */
};

static void
free_job(void *state)
{
    struct job *job = state;
    if (job->is_applying)
        job->settings->is_applying = false;
    sl_overrides_destroy(&job->overrides);
    sl_config_destroy(&job->config);
    sl_config_changes_deinit(&job->changes);
}

static void
write_changes(const struct sl_config_changes *changes, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "changes");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < changes->count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "path", changes->items[i].path);
        sl_jsonw_member_str(w, "old", changes->items[i].old);
        sl_jsonw_member_str(w, "new", changes->items[i].new);
        sl_jsonw_member_bool(w, "is_live", changes->items[i].is_live);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_notes(const struct sl_overrides *o, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "notes");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < o->notes_count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "line", o->notes[i].line);
        sl_jsonw_member_str(w, "note", o->notes[i].text);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* What is configured otherwise than this process runs. */
static void
write_waiting(const struct sl_config *started, const struct sl_config *config, struct sl_jsonw *w)
{
    struct sl_config_changes waiting = sl_config_changes(started, config);
    sl_jsonw_name(w, "after_restart");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < waiting.count; i++) {
        if (!waiting.items[i].is_live)
            sl_jsonw_str(w, waiting.items[i].path);
    }
    sl_jsonw_end(w);
    sl_config_changes_deinit(&waiting);
}

static void
write_reply(struct sl_call *call, const struct sl_config *config)
{
    const struct job *job = call->state;
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "is_applied", !job->is_dry);
    write_changes(&job->changes, w);
    write_waiting(job->settings->started, config, w);
    write_notes(job->overrides, w);
    sl_jsonw_end(w);
}

static void
note_applied(struct sl_call *call, const struct job *job)
{
    uint32_t count = job->changes.count;
    struct sl_journal_event event = {
        .kind = SL_JOURNAL_overrides_applied,
        .message = sl_call_format(call, "%u keys of the configuration have changed", count),
        .attributes = sl_slice_str(sl_call_format(call, "{\"changes\":%u}", count))};
    (void)sl_journal_add(call->txn, call->now_ms, &event);
}

static void
on_told(struct sl_call *call)
{
    struct job *job = call->state;
    if (sl_call_wait_error(call, NULL) != SL_OK) {
        sl_call_fail_wait(call); /* It is applied all the same: a start finds it. */
        return;
    }
    note_applied(call, job);
    write_reply(call, job->settings->config);
}

static void
on_saved(struct sl_call *call)
{
    struct job *job = call->state;
    struct sl_settings *s = job->settings;
    if (job->err != SL_OK) {
        sl_call_fail(
            call, job->err == SL_ENOSPC ? SL_API_UNAVAILABLE : SL_API_INTERNAL,
            "the overrides could not be written: this server goes on as before, and its next "
            "start may find the old ones or these; the cause is %s",
            sl_err_text(job->err));
        return;
    }
    sl_settings_take(s, &job->config);
    call->gateway->is_touched = true; /* What gateways know of extractors may be so no more. */
    call->gateway->touched = (struct sl_scope){0};
    sl_call_head_config(call, sl_slice_str(sl_config_string(s->config, SL_UP_groups)),
                        sl_slice_str(sl_config_string(s->config, SL_UP_extractors)), on_told);
}

static void
save(struct sl_call *call)
{
    struct job *job = call->state;
    struct sl_disk disk;
    job->err = sl_disk_open(sl_call_data_directory(call), &disk);
    if (job->err != SL_OK)
        return;
    job->err = sl_overrides_save(&disk, job->text);
    sl_disk_close(&disk);
}

static void
refuse(struct sl_call *call, const struct sl_overrides *o)
{
    for (uint32_t i = 0; i < o->notes_count; i++) {
        if (o->notes[i].is_error)
            sl_call_invalid(call, "body.overrides", "value_error", "line %u: %s", o->notes[i].line,
                            o->notes[i].text);
    }
}

sl_handler_fn sl_api_get_config, sl_api_put_overrides;

void
sl_api_put_overrides(struct sl_call *call)
{
    struct sl_settings *s = call->gateway->settings;
    struct job *job = sl_call_alloc(call, sizeof(*job));
    if (s == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "this process has no configuration of its own");
        return;
    }
    job->settings = s;
    job->text = sl_call_text(call, sl_json_member(call->body, "overrides"));
    job->is_dry = sl_json_bool(sl_json_member(call->body, "dry_run"), false);
    call->state = job;
    call->state_free = free_job;
    job->config = sl_up_options_merge(s->base, job->text, &job->overrides);
    if (job->config == NULL) {
        refuse(call, job->overrides);
        return;
    }
    job->changes = sl_config_changes(s->config, job->config);
    if (job->is_dry) {
        write_reply(call, job->config);
    } else if (s->is_applying) {
        sl_call_fail(call, SL_API_CONFLICT, "other overrides are being applied; try again");
    } else {
        job->is_applying = s->is_applying = true;
        sl_call_work(call, save, on_saved);
    }
}

void
sl_api_get_config(struct sl_call *call)
{
    const struct sl_settings *s = call->gateway->settings;
    struct sl_jsonw *w = &call->out;
    if (s == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "this process has no configuration of its own");
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_name(w, "values");
    sl_config_write(s->config, w);
    write_waiting(s->started, s->config, w);
    sl_jsonw_end(w);
}
