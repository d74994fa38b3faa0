/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins as a namespace sees them: what is read. Operators install them for all by the
 * option `plugins`; they are there from a namespace's first moment, and that is the time told.
 */
#include "gateway/extractor/info.h"
#include "gateway/resource.h"

static bool
find_namespace(struct sl_call *call, struct sl_resource *ret)
{
    return sl_resource_find(call, &sl_kind_namespace, "", call->params[0], ret);
}

static const struct sl_extractor_info *
find_plugin(struct sl_call *call, struct sl_slice id)
{
    const struct sl_extractor_info *info = sl_extractor_info_by_id(id);
    if (info != NULL && info->is_custom)
        return info;
    sl_call_not_found(call, "plugin", id);
    return NULL;
}

/* Of its vectors; one that makes none has the bare form. */
static void
write_uri(struct sl_jsonw *w, const struct sl_extractor_info *info)
{
    struct sl_buf uri = {0};
    if (info->indexes_count > 0)
        sl_vector_index_uri(&(struct sl_vector_index){.extractor = info,
                                                      .name = sl_slice_str(info->indexes[0].name),
                                                      .dimensions = info->indexes[0].dimensions},
                            &uri);
    else
        sl_buf_printf(&uri, "mixpeek://%s@%s", info->name, info->version);
    sl_jsonw_member_slice(w, "feature_uri", sl_buf_slice(&uri));
    sl_buf_deinit(&uri);
}

static const char *
validation(const struct sl_extractor_info *info)
{
    return sl_extractor_info_is_available(info) ? "passed" : "failed";
}

static void
write_members(struct sl_jsonw *w, const struct sl_extractor_info *info, struct sl_json owner)
{
    sl_jsonw_member_str(w, "plugin_id", info->id);
    sl_jsonw_member_str(w, "name", info->name);
    sl_jsonw_member_str(w, "version", info->version);
    sl_jsonw_member_str(w, "description", info->description);
    sl_jsonw_member_bool(w, "deployed", sl_extractor_info_is_available(info));
    sl_jsonw_member_bool(w, "enabled_in_namespace", sl_extractor_info_is_available(info));
    sl_jsonw_member_str(w, "validation_status", validation(info));
    write_uri(w, info);
    sl_jsonw_member_value(w, "created_at", sl_json_member(owner, "created_at"));
    sl_jsonw_member_value(w, "updated_at", sl_json_member(owner, "created_at"));
}

static uint32_t
write_list(struct sl_call *call, struct sl_json owner)
{
    struct sl_jsonw *w = &call->out;
    uint32_t count, total = 0;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    sl_jsonw_name(w, "plugins");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        if (!infos[i].is_custom)
            continue;
        sl_jsonw_object(w);
        write_members(w, &infos[i], owner);
        sl_jsonw_end(w);
        total++;
    }
    sl_jsonw_end(w);
    return total;
}

void
sl_api_list_plugins(struct sl_call *call)
{
    struct sl_resource namespace;
    struct sl_jsonw *w = &call->out;
    if (!find_namespace(call, &namespace))
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", true);
    uint32_t total = write_list(call, namespace.row);
    sl_jsonw_member_u64(w, "total", total);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_str(w, "namespace_id", namespace.id);
    sl_jsonw_end(w);
}

/* Members of a detail beside those of a list. */
static void
write_detail(struct sl_call *call, const struct sl_extractor_info *info)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_str(w, "s3_archive_url", ""); /* Installed as a file: there is no archive. */
    sl_jsonw_member_str(w, "code_hash", "");
    sl_jsonw_name(w, "validation_errors");
    sl_jsonw_array(w);
    if (info->unavailable_reason != NULL)
        sl_jsonw_str(w, info->unavailable_reason);
    sl_jsonw_end(w);
}

void
sl_api_get_plugin(struct sl_call *call)
{
    struct sl_resource namespace;
    struct sl_jsonw *w = &call->out;
    const struct sl_extractor_info *info;
    if (!find_namespace(call, &namespace) || (info = find_plugin(call, call->params[1])) == NULL)
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", true);
    sl_jsonw_name(w, "plugin");
    sl_jsonw_object(w);
    write_members(w, info, namespace.row);
    sl_jsonw_member_str(w, "namespace_id", namespace.id);
    write_detail(call, info);
    sl_jsonw_end(w);
    sl_jsonw_member_null(w, "presigned_download_url");
    sl_jsonw_end(w);
}

/* ---- of the organization: the same ones ---------------------------------------------------- */

/* The tenant's row, for its time. */
static struct sl_json
tenant_of(struct sl_call *call)
{
    struct sl_slice row;
    if (sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id),
                   &row) != SL_OK)
        return (struct sl_json){0};
    return sl_call_parse(call, row);
}

void
sl_api_list_organization_plugins(struct sl_call *call)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", true);
    uint32_t total = write_list(call, tenant_of(call));
    sl_jsonw_member_u64(w, "total", total);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_end(w);
}

void
sl_api_get_organization_plugin(struct sl_call *call)
{
    struct sl_jsonw *w = &call->out;
    const struct sl_extractor_info *info = find_plugin(call, call->params[0]);
    if (info == NULL)
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", true);
    sl_jsonw_name(w, "plugin");
    sl_jsonw_object(w);
    write_members(w, info, tenant_of(call));
    write_detail(call, info);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_api_get_plugin_status(struct sl_call *call)
{
    struct sl_resource namespace;
    struct sl_jsonw *w = &call->out;
    const struct sl_extractor_info *info;
    if (!find_namespace(call, &namespace) || (info = find_plugin(call, call->params[1])) == NULL)
        return;
    bool is_available = sl_extractor_info_is_available(info);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "plugin_id", info->id);
    sl_jsonw_member_str(w, "namespace_id", namespace.id);
    sl_jsonw_member_str(w, "status", is_available ? "DEPLOYED" : "FAILED");
    sl_jsonw_member_str(w, "name", info->name);
    sl_jsonw_member_str(w, "version", info->version);
    sl_jsonw_member_bool(w, "deployed", is_available);
    write_uri(w, info);
    sl_jsonw_member_str(w, "error", info->unavailable_reason);
    sl_jsonw_end(w);
}
