/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/namespaces/{ns}/models. The archive is a blob by now; what is wrong with the form is
 * only noted, so that the one place that removes the blob is reached on every path:
 *
 *   handler: check the form --> I/O thread: unpack (unless refused), remove the blob --> row or
 * error
 */
#include "gateway/gateway.h"
#include "gateway/models.h"
#include "gateway/unpack.h"
#include "object-store/blob.h"
#include "runtime/report.h"

struct upload {
    /* A refusal found before unpacking. */
    bool is_refused;
    enum sl_api_error error;
    const char *loc, *message;

    struct sl_model_new model;
    struct sl_unpack_report report;
    enum sl_err err;
    struct sl_cause cause;
};

static bool
refuse(struct upload *u, enum sl_api_error error, const char *loc, const char *message)
{
    u->is_refused = true;
    u->error = error;
    u->loc = loc;
    u->message = message;
    return false;
}

/* ---- the form ------------------------------------------------------------------------------ */

/* A form number; all values of a form are texts. False: it is there, and none. */
static bool
read_number(struct sl_call *call, const char *name, double *number)
{
    struct sl_slice text = sl_call_form(call, name);
    return text.size == 0 || sl_json_f64(sl_call_parse(call, text), number) == SL_OK;
}

static bool
check_resources(struct sl_call *call, struct upload *u)
{
    struct sl_model_resources *r = &u->model.resources;
    double gpus = 0;
    const char *name = "num_cpus", *problem;
    *r = SL_MODEL_RESOURCES_DEFAULT;
    bool is_read = read_number(call, name, &r->num_cpus);
    if (is_read)
        is_read = read_number(call, name = "memory_gb", &r->memory_gb);
    if (is_read)
        is_read = read_number(call, name = "num_gpus", &gpus) && gpus >= 0 &&
                  gpus <= SL_MODEL_GPUS_MAX && gpus == (double)(uint64_t)gpus;
    r->num_gpus = is_read ? (uint64_t)gpus : 0;
    problem = is_read ? sl_model_resources_problem(r, &name) : "must be a number in its range";
    return problem == NULL ||
           refuse(u, SL_API_INVALID, sl_call_format(call, "body.%s", name), problem);
}

static bool
check_form(struct sl_call *call, struct upload *u)
{
    struct sl_model_new *m = &u->model;
    struct sl_slice task = sl_call_form(call, "task_type");
    m->name = sl_call_form(call, "name");
    m->version = sl_call_form(call, "version");
    m->framework = sl_call_form(call, "framework");
    m->format = sl_model_format(sl_call_form(call, "model_format"));
    if (!sl_model_name_is_good(m->name))
        return refuse(u, SL_API_INVALID, "body.name",
                      "must be 1 to 64 letters, digits, '_', '-' and '.', a letter first");
    if (!sl_model_version_is_good(m->version))
        return refuse(u, SL_API_INVALID, "body.version", "must look like 1.0.0");
    if (m->format == NULL)
        return refuse(u, SL_API_INVALID, "body.model_format",
                      "must be safetensors, huggingface, onnx or pytorch");
    if (task.size > 64)
        return refuse(u, SL_API_INVALID, "body.task_type", "must have at most 64 characters");
    m->task = task.size == 0 ? NULL : (const char *)sl_call_copy(call, task).data;
    if (call->upload.blob[0] == '\0')
        return refuse(u, SL_API_INVALID, "body.file", "the part \"file\" is missing");
    m->hash = call->upload.blob;
    uint64_t most = sl_model_limits(call).archive_bytes_max;
    if (call->upload.size_bytes > most)
        return refuse(u, SL_API_TOO_LARGE, NULL,
                      sl_call_format(call, "the archive has %llu bytes and the plan allows %llu",
                                     (unsigned long long)call->upload.size_bytes,
                                     (unsigned long long)most));
    return check_resources(call, u);
}

static bool
check_room(struct sl_call *call, struct upload *u)
{
    enum sl_api_error error;
    const char *obstacle = sl_model_obstacle(call, &u->model, &error);
    return obstacle == NULL || refuse(u, error, NULL, obstacle);
}

/* ---- on the I/O thread --------------------------------------------------------------------- */

static void
work(struct sl_call *call)
{
    struct upload *u = call->state;
    u->model.request.archive_fd = call->upload.fd;
    u->err = sl_unpack_model(&u->model.request, &u->report, &u->cause);
}

/* ---- afterwards ---------------------------------------------------------------------------- */

static void
fail_refused(struct sl_call *call, const struct upload *u)
{
    if (u->error == SL_API_QUOTA && sl_call_has_failed(call))
        return; /* With more details than are known here. */
    if (u->error == SL_API_INVALID)
        sl_call_invalid(call, u->loc, "value_error", "%s", u->message);
    else if (u->error == SL_API_NOT_FOUND)
        sl_call_not_found(call, "namespace", call->params[0]);
    else
        sl_call_fail(call, u->error, "%s", u->message);
}

static void
fail_unpack(struct sl_call *call, const struct upload *u)
{
    switch (u->err) {
    case SL_ETOOBIG:
        sl_call_fail(call, SL_API_TOO_LARGE, "%s", u->cause.text);
        break;
    case SL_ENOSPC:
    case SL_ENOMEM:
    case SL_EFULL:
        sl_call_fail(call, SL_API_UNAVAILABLE, "%s", u->cause.text);
        break;
    case SL_EIO:
    case SL_EBUSY:
    case SL_EEXIST:
    case SL_EDENIED:
    case SL_ENOTFOUND:
        sl_call_fail(call, SL_API_INTERNAL, "the model could not be stored");
        break;
    default:
        sl_call_invalid(call, "body.file", "value_error", "%s", u->cause.text);
        break;
    }
}

static void
store(struct sl_call *call)
{
    struct upload *u = call->state;
    struct sl_model_new *m = &u->model;
    struct sl_resource namespace;
    if (!u->is_refused && u->err == SL_OK) {
        if (!sl_resource_lookup(call, &sl_kind_namespace, "", call->params[0], &namespace))
            refuse(u, SL_API_NOT_FOUND, NULL, NULL); /* Deleted meanwhile. */
        if (u->is_refused || !check_room(call, u))   /* Or another upload of it was quicker. */
            sl_tree_remove(m->request.temporary);
        else
            u->err = sl_model_keep(call, m, &u->report);
    }
    if (u->is_refused) {
        fail_refused(call, u);
        return;
    }
    if (u->err != SL_OK) {
        fail_unpack(call, u);
        return;
    }
    struct sl_json stored = sl_model_put(call, m, &u->report);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "model_id", m->model_id);
    sl_jsonw_member_str(&call->out, "deployment_status", "pending");
    sl_jsonw_member_value(&call->out, "endpoint", sl_json_member(stored, "endpoint"));
    sl_jsonw_member_value(&call->out, "model_archive_url",
                          sl_json_member(stored, "model_archive_url"));
    sl_jsonw_end(&call->out);
}

static void
on_unpacked(struct sl_call *call)
{
    struct upload *u = call->state;
    store(call);
    sl_unpack_report_deinit(&u->report);
}

void
sl_api_upload_model(struct sl_call *call)
{
    struct upload *u = sl_call_alloc(call, sizeof *u);
    struct sl_resource namespace;
    call->state = u;
    if (!sl_resource_lookup(call, &sl_kind_namespace, "", call->params[0], &namespace)) {
        refuse(u, SL_API_NOT_FOUND, NULL, NULL);
    } else if (check_form(call, u)) {
        u->model.namespace_id = namespace.id;
        sl_model_prepare(call, &u->model);
        check_room(call, u);
    }
    if (u->is_refused)
        fail_refused(call, u);
    else
        sl_call_work_long(call, work, on_unpacked);
}
