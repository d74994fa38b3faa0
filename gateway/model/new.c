/* SPDX-License-Identifier: Apache-2.0 */
/* A model that is being added, whichever way its archive came. */
#include "gateway/gateway.h"
#include "gateway/model/status.h"
#include "gateway/models.h"
#include "gateway/stock.h"

#define PLACE_DIGITS 8

bool
sl_model_name_is_good(struct sl_slice name)
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
bool
sl_model_version_is_good(struct sl_slice v)
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

const char *
sl_model_format(struct sl_slice name)
{
    static const char *const formats[] = {"safetensors", "huggingface", "onnx", "pytorch"};
    for (size_t i = 0; i < SL_COUNT_OF(formats); i++) {
        if (sl_slice_is(name, formats[i]))
            return formats[i];
    }
    return NULL;
}

struct sl_plan_limits
sl_model_limits(struct sl_call *call)
{
    struct sl_plan_limits limits = {0};
    struct sl_buf key = {0};
    struct sl_slice row, plan = {0};
    if (sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT,
                   sl_key(&key, 1, call->who.tenant_id), &row) == SL_OK)
        plan = sl_member_text(call, sl_call_parse(call, row), "plan");
    enum sl_err err = sl_plan_limits_read(call->gateway->plans, plan, &limits, NULL);
    sl_buf_deinit(&key);
    if (SL_BUG(err != SL_OK)) /* It was checked at the start. */
        return (struct sl_plan_limits){0};
    return limits;
}

/* The plan's, or fewer where the namespace's infrastructure says so. */
static uint32_t
models_max(struct sl_call *call, const char *namespace_id)
{
    uint32_t most = sl_model_limits(call).models_max;
    uint64_t own = 0;
    struct sl_resource namespace;
    if (!sl_resource_lookup(call, &sl_kind_namespace, "", sl_slice_str(namespace_id), &namespace))
        return most;
    struct sl_json v =
        sl_json_member(sl_json_member(namespace.row, "infrastructure"), "max_custom_models");
    return sl_json_u64(v, &own) == SL_OK && own > 0 && own < most ? (uint32_t)own : most;
}

const char *
sl_model_obstacle(struct sl_call *call, const struct sl_model_new *m, enum sl_api_error *ret_error)
{
    struct sl_resource model;
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    uint32_t count = 0, most;
    *ret_error = SL_API_CONFLICT;
    if (sl_model_find(call, m->namespace_id, sl_slice_str(m->model_id), &model))
        return "a model of this name and version exists";
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL,
                sl_key_prefix(&prefix, 1, m->namespace_id), (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    *ret_error = SL_API_FORBIDDEN;
    most = models_max(call, m->namespace_id);
    if (count < most && sl_stock_take(call, SL_LIMIT_max_models, 1))
        return NULL;
    if (count < most) { /* The call has failed already, and says more. */
        *ret_error = SL_API_QUOTA;
        return sl_call_failure(call);
    }
    return sl_call_format(call, "there are %u models here and the plan allows %u: delete one first",
                          count, most);
}

/* name_version, dots to '_'; and the index name: the model's, in lower case. */
static void
make_names(struct sl_call *call, struct sl_model_new *m)
{
    char *id = sl_call_format(call, "%.*s_%.*s", SL_SLICE_FMT(m->name), SL_SLICE_FMT(m->version));
    char *index = sl_call_format(call, "%.*s", SL_SLICE_FMT(m->name));
    for (char *at = id; *at != '\0'; at++)
        *at = *at == '.' ? '_' : *at;
    for (char *at = index; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at | 0x20);
        else if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9'))
            *at = '_';
    }
    m->model_id = id;
    m->index = index;
}

void
sl_model_prepare(struct sl_call *call, struct sl_model_new *m)
{
    const char *data = sl_call_data_directory(call);
    char random[13];
    make_names(call, m);
    sl_random_hex(random, 12);
    m->directory =
        sl_call_format(call, "%s/models/%llu/%s/%s", data, (unsigned long long)call->who.scope.id,
                       m->namespace_id, m->model_id);
    m->request = (struct sl_unpack_request){
        .program = call->gateway->unpack_program,
        .temporary = sl_call_format(call, "%s/models/tmp/%s", data, random),
        .format = m->format,
        .is_embedding = m->task != NULL && strcmp(m->task, "embedding") == 0,
    };
}

static void
remove_kept(struct sl_call *call, void *arg)
{
    (void)call;
    sl_tree_remove(arg);
}

/*
 * The place is this upload's alone, also where the same archive was there before: what is still to
 * be removed of that one, or still being loaded, is not this one.
 */
enum sl_err
sl_model_keep(struct sl_call *call, struct sl_model_new *m, const struct sl_unpack_report *report)
{
    char digest[2 * SL_SHA256_SIZE + 1], random[PLACE_DIGITS + 1];
    sl_hex(sl_slice(report->model.digest, SL_SHA256_SIZE), digest);
    sl_random_hex(random, PLACE_DIGITS);
    char *directory = sl_call_format(call, "%s.%s.%s", m->directory, random, digest);
    enum sl_err err = sl_unpack_keep(m->request.temporary, directory);
    if (err == SL_OK)
        sl_call_after_abort(call, remove_kept, directory);
    m->directory = directory;
    return err;
}

static void
write_text(struct sl_jsonw *w, const char *name, struct sl_slice text)
{
    if (text.size > 0)
        sl_jsonw_member_slice(w, name, text);
    else
        sl_jsonw_member_null(w, name);
}

/* What the archive held: for people, and for plugins that want to know before they open it. */
static void
write_contents(struct sl_jsonw *w, const struct sl_unpack_report *report)
{
    char digest[2 * SL_SHA256_SIZE + 1];
    sl_hex(sl_slice(report->model.digest, SL_SHA256_SIZE), digest);
    sl_jsonw_name(w, "contents");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "format", report->model.format);
    sl_jsonw_member_u64(w, "tensors", report->model.tensors_count);
    sl_jsonw_member_u64(w, "files", report->model.files_count);
    sl_jsonw_member_u64(w, "code_files_ignored", report->model.code_files_count);
    sl_jsonw_member_u64(w, "bytes", report->model.size_bytes);
    sl_jsonw_member_str(w, "digest", digest);
    if (report->details.size > 0)
        sl_jsonw_member_raw(w, "says", sl_buf_slice(&report->details));
    sl_jsonw_end(w);
}

static void
write_row(struct sl_call *call, const struct sl_model_new *m, const struct sl_unpack_report *report,
          struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "model_id", m->model_id);
    sl_jsonw_member_str(w, "namespace_id", m->namespace_id);
    sl_jsonw_member_slice(w, "name", m->name);
    sl_jsonw_member_slice(w, "version", m->version);
    write_text(w, "description", m->description);
    sl_jsonw_member_str(
        w, "model_archive_url",
        sl_call_format(call, "s3://sluice-models/%s/%s.tar.gz", m->namespace_id, m->model_id));
    sl_jsonw_member_str(w, "model_format", m->format);
    sl_jsonw_member_str(w, "model_hash", m->hash);
    sl_model_status_begin(call, w);
    sl_jsonw_member_str(w, "endpoint",
                        sl_call_format(call, "/models/%s/%s", m->namespace_id, m->model_id));
    write_text(w, "framework", m->framework);
    sl_jsonw_member_str(w, "task_type", m->task);
    sl_jsonw_name(w, "resource_requirements");
    sl_model_resources_write(w, &m->resources);
    write_contents(w, report);
    /* Below the data directory, which may be moved. */
    sl_jsonw_member_str(w, "directory", m->directory + strlen(sl_call_data_directory(call)) + 1);
    sl_jsonw_member_str(w, "index", m->index);
    sl_jsonw_member_u64(w, "dimensions", report->dimensions);
    sl_jsonw_member_u64(w, "size_bytes", report->model.size_bytes);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
}

struct sl_json
sl_model_put(struct sl_call *call, const struct sl_model_new *m,
             const struct sl_unpack_report *report)
{
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    write_row(call, m, report, &w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_MODEL,
               sl_key(&key, 2, m->namespace_id, m->model_id), sl_buf_slice(&row));
    struct sl_json stored = sl_call_parse(call, sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
    return stored;
}
