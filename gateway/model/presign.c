/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models of an organization come by a presigned upload:
 *
 *   POST /v1/models/uploads --> PUT to its address, as for objects --> confirm: unpacked on an I/O
 *   thread, then a model's row and the upload's, COMPLETED
 *
 * The upload's row lies among those of buckets, under BUCKET, which is the id of none. What is
 * wrong with an archive is told by `validation_errors` of a 200, as clients expect it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/models.h"
#include "gateway/presign.h"
#include "gateway/upload.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"

#define BUCKET         "organization-models"
#define SIZE_BYTES_MAX (5 * SL_GIB)
#define REFUSALS_MAX   3 /* Of one archive: then its confirm is answered without a look at it. */

/* What is asked for, from a request or from the row that keeps it. False: 422. */
static bool
read_model(struct sl_call *call, struct sl_json from, struct sl_model_new *m)
{
    *m = (struct sl_model_new){.namespace_id = SL_MODELS_ORGANIZATION,
                               .resources = SL_MODEL_RESOURCES_DEFAULT};
    m->name = sl_call_text(call, sl_json_member(from, "name"));
    m->version = sl_call_text(call, sl_json_member(from, "version"));
    m->framework = sl_call_text(call, sl_json_member(from, "framework"));
    m->description = sl_call_text(call, sl_json_member(from, "description"));
    m->format = sl_model_format(sl_call_text(call, sl_json_member(from, "model_format")));
    m->task = sl_member_str(call, from, "task_type");
    if (m->task[0] == '\0')
        m->task = NULL;
    (void)sl_model_resources_read(call, sl_json_member(from, "resource_requirements"),
                                  "body.resource_requirements", &m->resources);
    if (!sl_model_name_is_good(m->name))
        sl_call_invalid(call, "body.name", "value_error",
                        "must be 1 to 64 letters, digits, '_', '-' and '.', a letter first");
    if (!sl_model_version_is_good(m->version))
        sl_call_invalid(call, "body.version", "value_error", "must look like 1.0.0");
    if (sl_call_has_failed(call))
        return false;
    sl_model_prepare(call, m);
    return true;
}

static bool
has_obstacle(struct sl_call *call, const struct sl_model_new *m)
{
    enum sl_api_error error;
    const char *obstacle = sl_model_obstacle(call, m, &error);
    if (obstacle != NULL && !sl_call_has_failed(call))
        sl_call_fail(call, error, "%s", obstacle);
    return obstacle != NULL;
}

/* ---- announce ------------------------------------------------------------------------------ */

static void
write_new(struct sl_call *call, const char *id, struct sl_jsonw *w)
{
    static const char *const kept[] = {
        "name",      "version",   "model_format",    "description",
        "framework", "task_type", "file_size_bytes", "resource_requirements"};
    uint64_t expires_s = sl_upload_expires_s(call);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "upload_id", id);
    uint64_t most = SL_MIN(SIZE_BYTES_MAX, sl_model_limits(call).archive_bytes_max);
    sl_jsonw_member_str(w, "presigned_url", sl_upload_address(call, BUCKET, id, most));
    sl_jsonw_member_str(w, "s3_key",
                        sl_call_format(call, "%s/models/%s.tar.gz", call->who.organization_id, id));
    sl_jsonw_member_time(w, "expires_at", expires_s * 1000);
    sl_jsonw_member_u64(w, "expires_ms", expires_s * 1000);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    for (size_t i = 0; i < SL_COUNT_OF(kept); i++)
        sl_jsonw_member_value(w, kept[i], sl_json_member(call->body, kept[i]));
    sl_jsonw_member_str(w, "status", "PENDING");
    sl_jsonw_member_null(w, "etag");
    sl_jsonw_member_u64(w, "received_bytes", 0);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
on_made(struct sl_call *call)
{
    const char *id = sl_upload_begun(call);
    struct sl_buf row = {0};
    struct sl_jsonw w;
    if (id == NULL)
        return;
    sl_jsonw_init(&w, &row);
    write_new(call, id, &w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_upload_key(call, BUCKET, id),
               sl_buf_slice(&row));
    sl_upload_write(sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

void
sl_api_create_model_upload(struct sl_call *call)
{
    struct sl_model_new model;
    if (read_model(call, call->body, &model) && !has_obstacle(call, &model))
        sl_upload_begin(call, BUCKET, on_made);
}

/* ---- confirm ------------------------------------------------------------------------------- */

struct confirming {
    const char *id;
    struct sl_slice etag;
    struct sl_model_new model;
    struct sl_unpack_report report;
    struct sl_cause cause;
    enum sl_err err, read_err;
};

static void
unpack(struct sl_call *call)
{
    struct confirming *c = call->state;
    int fd = -1;
    c->read_err = sl_incoming_read(call->gateway->incoming, c->id, &fd);
    if (c->read_err != SL_OK)
        return;
    c->model.request.archive_fd = fd;
    c->err = sl_unpack_model(&c->model.request, &c->report, &c->cause);
    close(fd);
}

static void
write_reply(struct sl_call *call, const char *upload_id, const char *model_id, const char *problem)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", problem == NULL);
    sl_jsonw_member_str(w, "upload_id", upload_id);
    sl_jsonw_member_str(w, "validation_status", problem == NULL ? "passed" : "failed");
    sl_jsonw_member_str(w, "model_id", model_id);
    sl_jsonw_name(w, "validation_errors");
    sl_jsonw_array(w);
    if (problem != NULL)
        sl_jsonw_str(w, problem);
    sl_jsonw_end(w);
    if (model_id != NULL)
        sl_jsonw_member_str(w, "s3_archive_url",
                            sl_call_format(call, "s3://sluice-models/%s/%s.tar.gz",
                                           SL_MODELS_ORGANIZATION, model_id));
    sl_jsonw_member_str(w, "message",
                        problem == NULL ? "the model can be enabled in namespaces"
                                        : "the archive holds no model that can be used");
    sl_jsonw_end(w);
}

struct removing {
    struct sl_incoming *incoming;
    char id[64];
};

static void
remove_incoming(void *arg)
{
    struct removing *r = arg;
    sl_incoming_remove(r->incoming, r->id);
}

static void
remove_file(struct sl_call *call, void *arg)
{
    struct removing *r = sl_zalloc(sizeof(*r));
    r->incoming = call->gateway->incoming;
    (void)snprintf(r->id, sizeof(r->id), "%s", (const char *)arg);
    sl_call_when_durable(call, remove_incoming, r);
}

/* The upload's row stays, so that a confirm that is sent again has its answer. */
static void
put_confirmed(struct sl_call *call, struct sl_json row, const struct confirming *c)
{
    static const char *const replaced[] = {"status", "model_id", NULL};
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, replaced);
    sl_jsonw_member_str(&w, "status", "COMPLETED");
    sl_jsonw_member_str(&w, "model_id", c->model.model_id);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_upload_key(call, BUCKET, c->id),
               sl_buf_slice(&out));
    sl_buf_deinit(&out);
    sl_call_after_commit(call, remove_file, sl_call_format(call, "%s", c->id));
}

/* How often what came, if it is what came then, was refused, and why the last time. */
static uint64_t
refusals(struct sl_call *call, struct sl_json row, struct sl_slice etag, const char **ret_problem)
{
    struct sl_json refused = sl_json_member(row, "refused");
    uint64_t count = 0;
    *ret_problem = sl_member_str(call, refused, "message");
    if (!sl_slice_equal(sl_member_text(call, refused, "etag"), etag) ||
        sl_json_u64(sl_json_member(refused, "count"), &count) != SL_OK)
        return 0;
    return count;
}

/* A time limit may be met the next time: so some tries, but not without end. */
static void
put_refused(struct sl_call *call, struct sl_json row, const struct confirming *c)
{
    static const char *const replaced[] = {"refused", NULL};
    const char *ignored;
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, replaced);
    sl_jsonw_name(&w, "refused");
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "etag", c->etag);
    sl_jsonw_member_u64(&w, "count", refusals(call, row, c->etag, &ignored) + 1);
    sl_jsonw_member_str(&w, "message", c->cause.text);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_upload_key(call, BUCKET, c->id),
               sl_buf_slice(&out));
    sl_buf_deinit(&out);
}

static bool
find_upload(struct sl_call *call, struct sl_json *ret_row)
{
    if (sl_upload_lookup(call, BUCKET, call->params[0], ret_row))
        return true;
    sl_call_not_found(call, "upload", call->params[0]);
    return false;
}

static void
fail_unpack(struct sl_call *call, struct sl_json row, const struct confirming *c)
{
    switch (c->err) {
    case SL_EINVAL:
    case SL_EUNAVAIL:
    case SL_ETOOBIG:
    case SL_ETIMEOUT:
    case SL_ECRASHED:
    case SL_ECORRUPT:
    case SL_EVERSION:
        put_refused(call, row, c);
        write_reply(call, c->id, NULL, c->cause.text);
        break;
    case SL_ENOSPC:
    case SL_ENOMEM:
    case SL_EFULL:
        sl_call_fail(call, SL_API_UNAVAILABLE, "%s", c->cause.text);
        break;
    default:
        sl_call_fail(call, SL_API_INTERNAL, "the model could not be stored");
        break;
    }
}

static void
store(struct sl_call *call)
{
    struct confirming *c = call->state;
    const char *temporary = c->model.request.temporary;
    bool is_unpacked = c->read_err == SL_OK && c->err == SL_OK;
    struct sl_json row;
    bool is_there = find_upload(call, &row), is_done = is_there && sl_upload_is_complete(row);
    if (is_unpacked && (!is_there || is_done || has_obstacle(call, &c->model)))
        sl_tree_remove(temporary); /* Another confirm was quicker, or the upload has gone. */
    if (is_done)
        write_reply(call, c->id, sl_member_str(call, row, "model_id"), NULL);
    if (!is_there || is_done || sl_call_has_failed(call))
        return;
    if (c->read_err != SL_OK) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "the upload cannot be read: %s",
                     sl_err_text(c->read_err));
        return;
    }
    if (c->err == SL_OK)
        c->err = sl_model_keep(call, &c->model, &c->report);
    if (c->err != SL_OK) {
        fail_unpack(call, row, c);
        return;
    }
    (void)sl_model_put(call, &c->model, &c->report);
    put_confirmed(call, row, c);
    write_reply(call, c->id, c->model.model_id, NULL);
}

static void
on_unpacked(struct sl_call *call)
{
    struct confirming *c = call->state;
    store(call);
    sl_unpack_report_deinit(&c->report);
}

void
sl_api_confirm_model_upload(struct sl_call *call)
{
    struct confirming *c = sl_call_alloc(call, sizeof(*c));
    struct sl_json row;
    if (!find_upload(call, &row))
        return;
    c->id = sl_member_str(call, row, "upload_id");
    if (sl_upload_is_complete(row)) {
        write_reply(call, c->id, sl_member_str(call, row, "model_id"), NULL);
        return;
    }
    const char *problem;
    struct sl_slice etag;
    if (!sl_upload_check(call, row, &etag))
        return;
    c->etag = sl_call_copy(call, etag);
    if (refusals(call, row, c->etag, &problem) >= REFUSALS_MAX) {
        write_reply(call, c->id, NULL, problem);
        return;
    }
    if (!read_model(call, row, &c->model) || has_obstacle(call, &c->model))
        return;
    c->model.hash = (const char *)c->etag.data;
    call->state = c;
    sl_call_work_long(call, unpack, on_unpacked);
}
