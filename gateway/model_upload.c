/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/namespaces/{ns}/models. The archive is a blob by now; what is wrong with the form is
 * only noted, so that the one place that removes the blob is reached on every path:
 *
 *   handler: check the form --> I/O thread: unpack (unless refused), remove the blob --> row or
 * error
 */
#include <unistd.h>

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

    const char *namespace_id, *model_id, *format, *task, *index;
    struct sl_slice name, version, framework;
    double num_cpus, memory_gb;
    uint64_t num_gpus;
    const char *directory;
    struct sl_unpack_request request;
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

static bool
is_name(struct sl_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_other = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (!is_letter && !(is_other && i > 0))
            return false;
    }
    return name.size >= 1 && name.size <= 64;
}

/* "1", "1.0", "v1.0.0": digits in up to three parts. */
static bool
is_version(struct sl_slice v)
{
    uint32_t parts = 1, digits = 0;
    for (size_t i = v.size > 0 && v.data[0] == 'v' ? 1 : 0; i < v.size; i++) {
        if (v.data[i] == '.' && digits > 0) {
            parts++;
            digits = 0;
        } else if (v.data[i] >= '0' && v.data[i] <= '9') {
            digits++;
        } else {
            return false;
        }
    }
    return digits > 0 && parts <= 3 && v.size <= 32;
}

/* A form number; all values of a form are texts. */
static bool
read_number(struct sl_call *call, const char *name, double fallback, double *ret_number)
{
    struct sl_slice text = sl_call_form(call, name);
    *ret_number = fallback;
    if (text.size == 0)
        return true;
    struct sl_json v = sl_call_parse(call, text);
    return sl_json_f64(v, ret_number) == SL_OK;
}

static bool
check_resources(struct sl_call *call, struct upload *u)
{
    double gpus;
    if (!read_number(call, "num_cpus", 1, &u->num_cpus) || u->num_cpus < 0.1 || u->num_cpus > 64)
        return refuse(u, SL_API_INVALID, "body.num_cpus", "must be a number in 0.1..64");
    if (!read_number(call, "num_gpus", 0, &gpus) || gpus < 0 || gpus > 8 ||
        gpus != (double)(uint64_t)gpus)
        return refuse(u, SL_API_INVALID, "body.num_gpus", "must be an integer in 0..8");
    u->num_gpus = (uint64_t)gpus;
    if (!read_number(call, "memory_gb", 4, &u->memory_gb) || u->memory_gb <= 0 ||
        u->memory_gb > 1024)
        return refuse(u, SL_API_INVALID, "body.memory_gb", "must be a number in 0..1024");
    return true;
}

static bool
check_form(struct sl_call *call, struct upload *u)
{
    static const char *const formats[] = {"safetensors", "huggingface", "onnx", "pytorch"};
    struct sl_slice format = sl_call_form(call, "model_format");
    struct sl_slice task = sl_call_form(call, "task_type");
    u->name = sl_call_form(call, "name");
    u->version = sl_call_form(call, "version");
    u->framework = sl_call_form(call, "framework");
    if (!is_name(u->name))
        return refuse(u, SL_API_INVALID, "body.name",
                      "must be 1 to 64 letters, digits, '_', '-' and '.', a letter first");
    if (!is_version(u->version))
        return refuse(u, SL_API_INVALID, "body.version", "must look like 1.0.0");
    for (size_t i = 0; i < SL_COUNT_OF(formats); i++) {
        if (sl_slice_is(format, formats[i]))
            u->format = formats[i];
    }
    if (u->format == NULL)
        return refuse(u, SL_API_INVALID, "body.model_format",
                      "must be safetensors, huggingface, onnx or pytorch");
    if (task.size > 64)
        return refuse(u, SL_API_INVALID, "body.task_type", "must have at most 64 characters");
    u->task = task.size == 0 ? NULL : (const char *)sl_call_copy(call, task).data;
    if (call->upload.blob[0] == '\0')
        return refuse(u, SL_API_INVALID, "body.file", "the part \"file\" is missing");
    return check_resources(call, u);
}

/* name_version, dots to '_'; and the index name: the model's, in lower case. */
static void
make_names(struct sl_call *call, struct upload *u)
{
    char *id = sl_call_format(call, "%.*s_%.*s", SL_SLICE_FMT(u->name), SL_SLICE_FMT(u->version));
    char *index = sl_call_format(call, "%.*s", SL_SLICE_FMT(u->name));
    for (char *at = id; *at != '\0'; at++)
        *at = *at == '.' ? '_' : *at;
    for (char *at = index; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at | 0x20);
        else if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9'))
            *at = '_';
    }
    u->model_id = id;
    u->index = index;
}

static bool
check_room(struct sl_call *call, struct upload *u)
{
    struct sl_resource model;
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    uint32_t count = 0;
    if (sl_model_find(call, u->namespace_id, sl_slice_str(u->model_id), &model))
        return refuse(u, SL_API_CONFLICT, NULL, "a model of this name and version exists");
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL,
                sl_key_prefix(&prefix, 1, u->namespace_id), (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    if (count >= SL_MODELS_PER_NAMESPACE_MAX)
        return refuse(u, SL_API_FORBIDDEN, NULL, "the namespace has as many models as it may");
    return true;
}

/* ---- on the I/O thread --------------------------------------------------------------------- */

static void
work(struct sl_call *call)
{
    struct upload *u = call->state;
    if (u->is_refused)
        return;
    u->request.archive_fd = call->upload.fd;
    u->err = sl_unpack_model(&u->request, &u->report, &u->cause);
}

/* ---- afterwards ---------------------------------------------------------------------------- */

static void
fail_refused(struct sl_call *call, const struct upload *u)
{
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
write_row(struct sl_call *call, const struct upload *u, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "model_id", u->model_id);
    sl_jsonw_member_str(w, "namespace_id", u->namespace_id);
    sl_jsonw_member_slice(w, "name", u->name);
    sl_jsonw_member_slice(w, "version", u->version);
    sl_jsonw_member_str(
        w, "model_archive_url",
        sl_call_format(call, "s3://sluice-models/%s/%s.tar.gz", u->namespace_id, u->model_id));
    sl_jsonw_member_str(w, "model_format", u->format);
    sl_jsonw_member_str(w, "model_hash", call->upload.blob);
    sl_jsonw_member_bool(w, "deployed", false);
    sl_jsonw_member_str(w, "endpoint",
                        sl_call_format(call, "/models/%s/%s", u->namespace_id, u->model_id));
    if (u->framework.size > 0)
        sl_jsonw_member_slice(w, "framework", u->framework);
    else
        sl_jsonw_member_null(w, "framework");
    sl_jsonw_member_str(w, "task_type", u->task);
    sl_jsonw_name(w, "resource_requirements");
    sl_jsonw_object(w);
    sl_jsonw_member_f64(w, "num_cpus", u->num_cpus);
    sl_jsonw_member_u64(w, "num_gpus", u->num_gpus);
    sl_jsonw_member_u64(w, "memory", (uint64_t)(u->memory_gb * (double)SL_GIB));
    sl_jsonw_end(w);
    /* Below the data directory, which may be moved. */
    sl_jsonw_member_str(w, "directory", u->directory + strlen(sl_call_data_directory(call)) + 1);
    sl_jsonw_member_str(w, "index", u->index);
    sl_jsonw_member_u64(w, "dimensions", u->report.dimensions);
    sl_jsonw_member_u64(w, "size_bytes", u->report.size_bytes);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
}

static void
on_unpacked(struct sl_call *call)
{
    struct upload *u = call->state;
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    if (!u->is_refused && u->err == SL_OK) {
        if (!check_room(call, u)) /* Another upload of it was quicker. */
            sl_tree_remove(u->request.temporary);
        else
            u->err = sl_unpack_keep(u->request.temporary, u->directory);
    }
    if (u->is_refused) {
        fail_refused(call, u);
        return;
    }
    if (u->err != SL_OK) {
        fail_unpack(call, u);
        return;
    }
    sl_jsonw_init(&w, &row);
    write_row(call, u, &w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_MODEL,
               sl_key(&key, 2, u->namespace_id, u->model_id), sl_buf_slice(&row));
    struct sl_json stored = sl_call_parse(call, sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "model_id", u->model_id);
    sl_jsonw_member_str(&call->out, "deployment_status", "pending");
    sl_jsonw_member_value(&call->out, "endpoint", sl_json_member(stored, "endpoint"));
    sl_jsonw_member_value(&call->out, "model_archive_url",
                          sl_json_member(stored, "model_archive_url"));
    sl_jsonw_end(&call->out);
}

void
sl_api_upload_model(struct sl_call *call)
{
    struct upload *u = sl_call_alloc(call, sizeof *u);
    struct sl_resource namespace;
    char random[13];
    call->state = u;
    if (!sl_resource_lookup(call, &sl_kind_namespace, "", call->params[0], &namespace)) {
        refuse(u, SL_API_NOT_FOUND, NULL, NULL);
    } else if (check_form(call, u)) {
        u->namespace_id = namespace.id;
        make_names(call, u);
        check_room(call, u);
    }
    if (!u->is_refused) {
        const char *data = sl_call_data_directory(call);
        sl_random_hex(random, 12);
        u->directory =
            sl_call_format(call, "%s/models/%llu/%s/%s", data,
                           (unsigned long long)call->who.scope.id, namespace.id, u->model_id);
        u->request = (struct sl_unpack_request){
            .program = call->gateway->unpack_program,
            .temporary = sl_call_format(call, "%s/models/tmp/%s", data, random),
            .format = u->format,
            .is_embedding = u->task != NULL && strcmp(u->task, "embedding") == 0,
        };
    }
    sl_call_work(call, work, on_unpacked);
}
