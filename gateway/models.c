/* SPDX-License-Identifier: Apache-2.0 */
/* Models as stored things. Uploads are in model/upload.c, deploys in model/deploy.c. */
#include "gateway/models.h"

#include "gateway/model/builtin.h"
#include "gateway/model/status.h"
#include "gateway/resource.h"
#include "gateway/unpack.h"
#include "runtime/alloc.h"

static const char *const hidden[] = {"directory", "is_of_organization", NULL};

bool
sl_model_find(struct sl_call *call, const char *namespace_id, struct sl_slice id,
              struct sl_resource *ret_model)
{
    const char *text = sl_call_identifier(call, id);
    struct sl_buf key = {0};
    struct sl_slice value;
    bool is_there =
        text != NULL && sl_txn_get(call->txn, call->who.scope, SL_TABLE_MODEL,
                                   sl_key(&key, 2, namespace_id, text), &value) == SL_OK;
    if (is_there)
        *ret_model = (struct sl_resource){.id = text, .row = sl_call_parse(call, value)};
    sl_buf_deinit(&key);
    return is_there;
}

/* The namespace and the model of the path. False: 404. */
static bool
find(struct sl_call *call, struct sl_resource *ret_namespace, struct sl_resource *ret_model)
{
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], ret_namespace))
        return false;
    if (sl_model_find(call, ret_namespace->id, call->params[1], ret_model))
        return true;
    sl_call_not_found(call, "model", call->params[1]);
    return false;
}

/* Write each model of a namespace, or of all for NULL; returns how many. */
static uint32_t
each_model(struct sl_call *call, const char *namespace_id,
           void (*write)(struct sl_call *call, struct sl_json row))
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    struct sl_slice start = {0};
    uint32_t count = 0;
    if (namespace_id != NULL)
        start = sl_key_prefix(&prefix, 1, namespace_id);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, start, (struct sl_slice){0}, false,
                &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        write(call, sl_json_root(doc));
        sl_json_destroy(&doc);
        count++;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return count;
}

void
sl_model_write(struct sl_call *call, struct sl_json row)
{
    sl_jsonw_object(&call->out);
    sl_model_status_write(call, row, hidden);
    sl_jsonw_end(&call->out);
}

void
sl_api_list_models(struct sl_call *call)
{
    struct sl_resource namespace;
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_name(&call->out, "models");
    sl_jsonw_array(&call->out);
    uint32_t total = each_model(call, namespace.id, sl_model_write);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", total);
    sl_jsonw_member_str(&call->out, "namespace_id", namespace.id);
    sl_jsonw_end(&call->out);
}

void
sl_api_get_model(struct sl_call *call)
{
    struct sl_resource namespace, model;
    if (!find(call, &namespace, &model))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_name(&call->out, "model");
    sl_model_write(call, model.row);
    sl_jsonw_end(&call->out);
}

/* ---- both readers of /v1/models ------------------------------------------------------------ */

static void
write_openai_members(struct sl_call *call, struct sl_json row)
{
    struct sl_slice text = sl_call_text(call, sl_json_member(row, "created_at"));
    uint64_t created_ms = 0;
    if (sl_time_parse(text, &created_ms) != SL_OK)
        created_ms = 0;
    sl_jsonw_member_value(&call->out, "id", sl_json_member(row, "model_id"));
    sl_jsonw_member_str(&call->out, "object", "model");
    sl_jsonw_member_u64(&call->out, "created", created_ms / 1000);
    sl_jsonw_member_str(&call->out, "owned_by", call->who.organization_id);
}

/* What namespaces enabled is there once, as the organization's. */
static void
write_openai(struct sl_call *call, struct sl_json row)
{
    if (sl_json_bool(sl_json_member(row, "is_of_organization"), false))
        return;
    sl_jsonw_object(&call->out);
    write_openai_members(call, row);
    sl_jsonw_end(&call->out);
}

/* Clients from 1.0 on want it. */
static void
write_registry(struct sl_call *call, struct sl_json row)
{
    sl_jsonw_name(&call->out, "registry");
    sl_jsonw_object(&call->out);
    sl_jsonw_member_value(&call->out, "registry_id", sl_json_member(row, "model_id"));
    sl_jsonw_member_value(&call->out, "shared_model_key", sl_json_member(row, "model_hash"));
    sl_jsonw_member_value(&call->out, "inference_service_id", sl_json_member(row, "model_id"));
    sl_jsonw_end(&call->out);
}

/* OrgModel: what a namespace has is shown in the same form. */
static void
write_of_organization(struct sl_call *call, struct sl_json row)
{
    sl_jsonw_object(&call->out);
    sl_model_status_write(call, row, hidden);
    sl_jsonw_member_str(&call->out, "organization_id", call->who.organization_id);
    sl_jsonw_member_value(&call->out, "s3_archive_url", sl_json_member(row, "model_archive_url"));
    sl_jsonw_member_str(&call->out, "validation_status", "passed");
    write_registry(call, row);
    sl_jsonw_end(&call->out);
}

/* Has somebody uploaded a model of this id? */
static bool
is_stored(struct sl_call *call, const char *id)
{
    struct sl_scan scan = {0};
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (!is_found && sl_scan_next(&scan))
        is_found = sl_slice_is(sl_key_part(scan.key, 1), id);
    sl_scan_end(&scan);
    return is_found;
}

static void
write_builtins(struct sl_call *call)
{
    for (uint32_t i = 0; i < sl_model_builtin_count(); i++) {
        struct sl_json row = sl_model_builtin_row(call, i);
        if (is_stored(call, sl_member_str(call, row, "model_id")))
            continue;
        sl_jsonw_object(&call->out);
        write_openai_members(call, row);
        sl_jsonw_member_value(&call->out, "available", sl_json_member(row, "available"));
        if (sl_json_has(sl_json_member(row, "unavailable_reason")))
            sl_jsonw_member_value(&call->out, "unavailable_reason",
                                  sl_json_member(row, "unavailable_reason"));
        sl_jsonw_end(&call->out);
    }
}

void
sl_api_list_all_models(struct sl_call *call)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "object", "list");
    sl_jsonw_name(&call->out, "data");
    sl_jsonw_array(&call->out);
    write_builtins(call);
    (void)each_model(call, NULL, write_openai);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_name(&call->out, "models");
    sl_jsonw_array(&call->out);
    uint32_t total = each_model(call, SL_MODELS_ORGANIZATION, write_of_organization);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", total);
    sl_jsonw_member_str(&call->out, "organization_id", call->who.organization_id);
    sl_jsonw_end(&call->out);
}

static void
write_both(struct sl_call *call, struct sl_json row)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    write_openai_members(call, row);
    sl_jsonw_member_bool(w, "success", true);
    sl_jsonw_name(w, "model");
    write_of_organization(call, row);
    sl_jsonw_end(w);
}

/* The organization's model of that id, or else the first of a namespace. False: 404. */
static bool
find_any(struct sl_call *call, const char **ret_namespace, struct sl_resource *ret_model)
{
    const char *id = sl_call_identifier(call, call->params[0]);
    struct sl_scan scan = {0};
    *ret_namespace = SL_MODELS_ORGANIZATION;
    if (sl_model_find(call, SL_MODELS_ORGANIZATION, call->params[0], ret_model))
        return true;
    *ret_namespace = NULL;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (id != NULL && *ret_namespace == NULL && sl_scan_next(&scan)) {
        if (!sl_slice_is(sl_key_part(scan.key, 1), id))
            continue;
        *ret_namespace = (const char *)sl_call_copy(call, sl_key_part(scan.key, 0)).data;
        *ret_model = (struct sl_resource){.id = id, .row = sl_call_parse(call, scan.value)};
    }
    sl_scan_end(&scan);
    if (*ret_namespace == NULL)
        sl_call_not_found(call, "model", call->params[0]);
    return *ret_namespace != NULL;
}

void
sl_api_get_any_model(struct sl_call *call)
{
    struct sl_resource model;
    const char *namespace_id;
    const char *id = sl_call_identifier(call, call->params[0]);
    uint32_t builtin = sl_model_builtin_find(call->params[0]);
    if (builtin < sl_model_builtin_count() && !is_stored(call, id))
        write_both(call, sl_model_builtin_row(call, builtin));
    else if (find_any(call, &namespace_id, &model))
        write_both(call, model.row);
}

/* ---- delete -------------------------------------------------------------------------------- */

bool
sl_model_is_used(struct sl_call *call, const char *namespace_id, const char *model_id)
{
    struct sl_scan scan = {0};
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_EXTRACTION, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (!is_found && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        struct sl_json row = sl_json_root(doc);
        is_found = sl_json_is(sl_json_member(row, "model"), model_id) &&
                   sl_json_is(sl_json_member(row, "namespace"), namespace_id);
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    return is_found;
}

static void
remove_tree(void *path)
{
    sl_tree_remove(path);
}

/* Not before the delete is durable: a row that comes back must find its files. */
static void
remove_files(struct sl_call *call, void *arg)
{
    sl_call_when_durable(call, remove_tree, sl_format("%s", (const char *)arg));
}

void
sl_model_let_go(struct sl_call *call, const char *namespace_id, struct sl_json row)
{
    const char *directory = sl_member_str(call, row, "directory");
    if (directory[0] == '\0')
        return;
    if (sl_json_bool(sl_json_member(row, "is_of_organization"), false)) {
        if (!sl_model_is_kept_elsewhere(call, namespace_id, directory))
            sl_call_model_evict(call, directory);
        return;
    }
    /* Nobody asks for its place again, which was its upload's alone: no node keeps it. */
    sl_call_model_drop(call, directory);
    sl_call_after_commit(call, remove_files,
                         sl_call_format(call, "%s/%s", sl_call_data_directory(call), directory));
}

bool
sl_model_delete(struct sl_call *call, const char *namespace_id, const struct sl_resource *model)
{
    struct sl_buf key = {0};
    if (sl_model_is_used(call, namespace_id, model->id)) {
        sl_call_fail(call, SL_API_CONFLICT, "a collection makes its vectors with %s", model->id);
        return false;
    }
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_MODEL,
               sl_key(&key, 2, namespace_id, model->id));
    sl_buf_deinit(&key);
    sl_model_let_go(call, namespace_id, model->row);
    return true;
}

struct model_row {
    struct sl_json row;
    struct model_row *next;
};

void
sl_models_let_go(struct sl_call *call, const char *namespace_id)
{
    struct model_row *rows = NULL;
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, sl_key_prefix(&prefix, 1, namespace_id),
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan)) {
        struct model_row *r = sl_call_alloc(call, sizeof(*r));
        *r = (struct model_row){.row = sl_call_parse(call, scan.value), .next = rows};
        rows = r;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    for (const struct model_row *r = rows; r != NULL; r = r->next)
        sl_model_let_go(call, namespace_id, r->row);
}

static void
write_deleted(struct sl_call *call, const struct sl_resource *model)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "model_id", model->id);
    sl_jsonw_member_str(&call->out, "message", "the model was deleted");
    sl_jsonw_end(&call->out);
}

void
sl_api_delete_model(struct sl_call *call)
{
    struct sl_resource namespace, model;
    if (find(call, &namespace, &model) && sl_model_delete(call, namespace.id, &model))
        write_deleted(call, &model);
}

/* Has some namespace enabled the organization's model? */
static bool
is_enabled(struct sl_call *call, const char *model_id)
{
    struct sl_scan scan = {0};
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (!is_found && sl_scan_next(&scan))
        is_found = sl_slice_is(sl_key_part(scan.key, 1), model_id) &&
                   !sl_slice_is(sl_key_part(scan.key, 0), SL_MODELS_ORGANIZATION);
    sl_scan_end(&scan);
    return is_found;
}

void
sl_api_delete_any_model(struct sl_call *call)
{
    struct sl_resource model;
    const char *namespace_id;
    if (!find_any(call, &namespace_id, &model))
        return;
    bool is_shared = strcmp(namespace_id, SL_MODELS_ORGANIZATION) == 0;
    if (is_shared && is_enabled(call, model.id))
        sl_call_fail(call, SL_API_CONFLICT, "a namespace has %s enabled", model.id);
    else if (sl_model_delete(call, namespace_id, &model))
        write_deleted(call, &model);
}
