/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models of an organization in its namespaces: which there are, to have one, to have it no longer.
 * Enabling is a row; the files stay the organization's.
 */
#include "gateway/model/status.h"
#include "gateway/models.h"
#include "gateway/stock.h"

static void
write_available(struct sl_call *call, const char *namespace_id, struct sl_slice id,
                struct sl_json row)
{
    static const char *const shown[] = {"model_id",    "name",      "version",  "model_format",
                                        "description", "framework", "task_type"};
    struct sl_resource enabled;
    sl_jsonw_object(&call->out);
    for (size_t i = 0; i < SL_COUNT_OF(shown); i++)
        sl_jsonw_member_value(&call->out, shown[i], sl_json_member(row, shown[i]));
    sl_jsonw_member_bool(&call->out, "enabled_in_namespace",
                         sl_model_find(call, namespace_id, id, &enabled));
    sl_jsonw_end(&call->out);
}

void
sl_api_list_available_models(struct sl_call *call)
{
    struct sl_resource namespace;
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    uint32_t total = 0;
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_name(&call->out, "models");
    sl_jsonw_array(&call->out);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL,
                sl_key_prefix(&prefix, 1, SL_MODELS_ORGANIZATION), (struct sl_slice){0}, false,
                &scan);
    for (; sl_scan_next(&scan); total++)
        write_available(call, namespace.id, sl_key_part(scan.key, 1),
                        sl_call_parse(call, scan.value));
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", total);
    sl_jsonw_member_str(&call->out, "namespace_id", namespace.id);
    sl_jsonw_end(&call->out);
}

static bool
find(struct sl_call *call, struct sl_resource *ret_namespace, struct sl_resource *ret_model)
{
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], ret_namespace))
        return false;
    if (sl_model_find(call, SL_MODELS_ORGANIZATION, call->params[1], ret_model))
        return true;
    sl_call_not_found(call, "organization model", call->params[1]);
    return false;
}

static void
write_reply(struct sl_call *call, const char *namespace_id, const char *status, const char *what)
{
    const char *id = (const char *)sl_call_copy(call, call->params[1]).data;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "model_id", id);
    sl_jsonw_member_str(&call->out, "namespace_id", namespace_id);
    if (status != NULL)
        sl_jsonw_member_str(&call->out, "deployment_status", status);
    sl_jsonw_member_str(&call->out, "message", sl_call_format(call, "%s %s", id, what));
    sl_jsonw_end(&call->out);
}

/* The organization's row as the namespace's. */
static void
put_enabled(struct sl_call *call, const char *namespace_id, const struct sl_resource *model,
            const struct sl_model_resources *resources)
{
    static const char *const replaced[] = {"namespace_id",
                                           "deployed",
                                           "deployment_info",
                                           "is_of_organization",
                                           "updated_at",
                                           "endpoint",
                                           "status",
                                           "status_at",
                                           "deployment_error",
                                           "status_history",
                                           "resource_requirements",
                                           NULL};
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, model->row, replaced);
    sl_jsonw_member_str(&w, "namespace_id", namespace_id);
    sl_jsonw_member_str(&w, "endpoint",
                        sl_call_format(call, "/models/%s/%s", namespace_id, model->id));
    sl_jsonw_name(&w, "resource_requirements");
    sl_model_resources_write(&w, resources);
    sl_model_status_begin(call, &w);
    sl_jsonw_member_bool(&w, "is_of_organization", true);
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_MODEL, sl_key(&key, 2, namespace_id, model->id),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

/* Enabled once more changes nothing; a model of the namespace's own stands in the way. False: the
 * call has failed. */
static bool
enable(struct sl_call *call, struct sl_resource *ret_namespace, struct sl_resource *ret_model)
{
    struct sl_resource there;
    struct sl_model_resources resources = SL_MODEL_RESOURCES_DEFAULT;
    if (!find(call, ret_namespace, ret_model) ||
        !sl_model_resources_read(call, sl_json_member(ret_model->row, "resource_requirements"),
                                 "body", &resources) ||
        !sl_model_resources_read(call, sl_json_member(call->body, "resource_overrides"),
                                 "body.resource_overrides", &resources))
        return false;
    if (!sl_model_find(call, ret_namespace->id, call->params[1], &there)) {
        if (!sl_stock_take(call, SL_LIMIT_max_models, 1))
            return false;
        put_enabled(call, ret_namespace->id, ret_model, &resources);
    } else if (!sl_json_bool(sl_json_member(there.row, "is_of_organization"), false)) {
        sl_call_fail(call, SL_API_CONFLICT, "the namespace has a model %s of its own", there.id);
        return false;
    }
    return true;
}

static void
on_loaded(struct sl_call *call)
{
    struct sl_resource namespace, there;
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    if (!sl_model_find(call, namespace.id, call->params[1], &there)) /* Disabled meanwhile. */
        sl_call_not_found(call, "enabled model", call->params[1]);
    else if (sl_model_deployed(call, namespace.id, &there))
        write_reply(call, namespace.id, "deployed", "is enabled and deployed");
}

void
sl_api_enable_model(struct sl_call *call)
{
    struct sl_resource namespace, model, there;
    if (!enable(call, &namespace, &model) ||
        SL_BUG(!sl_model_find(call, namespace.id, call->params[1], &there)))
        return;
    if (sl_json_bool(sl_json_member(call->body, "deploy"), false))
        (void)sl_model_deploy(call, namespace.id, &there, on_loaded);
    else
        write_reply(call, namespace.id, "skipped", "is enabled");
}

void
sl_api_disable_model(struct sl_call *call)
{
    struct sl_resource namespace, there;
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    if (!sl_model_find(call, namespace.id, call->params[1], &there) ||
        !sl_json_bool(sl_json_member(there.row, "is_of_organization"), false))
        sl_call_not_found(call, "enabled model", call->params[1]);
    else if (sl_model_delete(call, namespace.id, &there))
        write_reply(call, namespace.id, NULL, "is no longer enabled");
}
