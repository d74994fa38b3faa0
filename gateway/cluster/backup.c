/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the head's data directory while it serves; for the operator. */
#include "actors/rows.h"
#include "gateway/backup.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"

struct job {
    struct sl_call *call;
    struct sl_backup *backup; /* NULL: not begun, or ended. */
    const char *path;
    enum sl_err err; /* Of the check. */
    uint64_t began_ms;
};

/* When the call ends before it was answered: the store is still open. */
static void
free_job(void *state)
{
    struct job *job = state;
    struct sl_backup_done done;
    if (job->backup != NULL && sl_backup_end(&job->backup, &done) != SL_OK)
        return; /* There is no copy, and nobody to tell. */
}

static void
fail_path(struct sl_call *call, enum sl_err err, const char *path)
{
    if (err == SL_EEXIST)
        sl_call_fail(call, SL_API_CONFLICT, "%s, or %s.part, is there already", path, path);
    else if (err == SL_EBUSY)
        sl_call_fail(call, SL_API_CONFLICT, "another backup is under way");
    else if (err == SL_ENOTFOUND)
        sl_call_invalid(call, "body.path", "value_error",
                        "the directory in which %s would lie is not there", path);
    else if (err == SL_EDENIED)
        sl_call_invalid(call, "body.path", "value_error", "the server may not write at %s", path);
    else if (err == SL_EINVAL)
        sl_call_invalid(call, "body.path", "value_error",
                        "it is to be absolute, and not in the data directory");
    else if (err == SL_ENOSPC)
        sl_call_fail(call, SL_API_UNAVAILABLE, "there was no room for the copy at %s", path);
    else
        sl_call_fail(call, SL_API_INTERNAL, "no backup was made: the cause is %s",
                     sl_err_text(err));
}

static void
on_copied(struct sl_call *call)
{
    struct job *job = call->state;
    struct sl_backup_done done;
    enum sl_err err = sl_backup_end(&job->backup, &done);
    if (err != SL_OK) {
        fail_path(call, err, job->path);
        return;
    }
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "path", job->path);
    sl_jsonw_member_u64(&call->out, "files", done.files);
    sl_jsonw_member_u64(&call->out, "bytes", done.bytes);
    sl_jsonw_member_time(&call->out, "began_at", job->began_ms);
    sl_jsonw_member_u64(&call->out, "took_ms",
                        call->now_ms < job->began_ms ? 0 : call->now_ms - job->began_ms);
    sl_jsonw_end(&call->out);
}

static void
copy(struct sl_call *call)
{
    struct job *job = call->state;
    sl_backup_run(job->backup);
}

static void
check(struct sl_call *call)
{
    struct job *job = call->state;
    job->err = sl_backup_check(call->gateway->data_directory, job->path);
}

/* What is committed by now will be in it. */
static void
on_checked(struct sl_call *call)
{
    struct job *job = call->state;
    enum sl_err err = job->err;
    job->began_ms = call->now_ms;
    if (err == SL_OK) {
        sl_txn_abort(&call->txn); /* Nothing is staged: the store is to be left alone by it. */
        err = sl_backup_begin(call->gateway->store, call->gateway->data_directory, job->path,
                              &job->backup);
    }
    if (err == SL_OK)
        sl_call_work_long(call, copy, on_copied);
    else
        fail_path(call, err, job->path);
}

sl_handler_fn sl_api_backup_cluster;

void
sl_api_backup_cluster(struct sl_call *call)
{
    struct sl_slice path = sl_call_text(call, sl_json_member(call->body, "path"));
    struct job *job = sl_call_alloc(call, sizeof(*job));
    job->path = (const char *)sl_call_copy(call, path).data;
    if (memchr(job->path, '\0', path.size) != NULL) {
        fail_path(call, SL_EINVAL, "");
        return;
    }
    call->state = job;
    call->state_free = free_job;
    sl_call_work(call, check, on_checked);
}
