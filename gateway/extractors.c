/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery of feature extractors. */
#include "gateway/extractor/info.h"
#include "gateway/resource.h"

void
sl_api_list_extractors(struct sl_call *call)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    sl_jsonw_array(&call->out);
    for (uint32_t i = 0; i < count; i++)
        sl_extractor_info_write(&infos[i], &call->out);
    sl_jsonw_end(&call->out);
}

void
sl_api_get_extractor(struct sl_call *call)
{
    const struct sl_extractor_info *info = sl_extractor_info_by_id(call->params[0]);
    if (info == NULL)
        sl_call_not_found(call, "feature extractor", call->params[0]);
    else
        sl_extractor_info_write(info, &call->out);
}

void
sl_api_list_namespace_extractors(struct sl_call *call)
{
    struct sl_resource namespace;
    struct sl_slice source = sl_call_query(call, "source");
    bool is_disabled_wanted = sl_call_query_bool(call, "include_disabled", false);
    uint32_t count, shown[2] = {0}; /* Built in, custom. */
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    struct sl_jsonw *w = &call->out;
    if (source.size > 0 && !sl_slice_is(source, "all") && !sl_slice_is(source, "builtin") &&
        !sl_slice_is(source, "custom")) {
        sl_call_invalid(call, "query.source", "enum", "source must be all, builtin or custom");
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", true);
    sl_jsonw_name(w, "extractors");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        const char *from = infos[i].is_custom ? "custom" : "builtin";
        if ((!is_disabled_wanted && !sl_extractor_info_is_available(&infos[i])) ||
            (source.size > 0 && !sl_slice_is(source, "all") && !sl_slice_is(source, from)))
            continue;
        sl_extractor_info_write_ns(&infos[i], w);
        shown[infos[i].is_custom]++;
    }
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "total", shown[0] + shown[1]);
    sl_jsonw_member_str(w, "namespace_id", namespace.id);
    sl_jsonw_member_u64(w, "builtin_count", shown[0]);
    sl_jsonw_member_u64(w, "custom_count", shown[1]);
    sl_jsonw_end(w);
}

void
sl_api_get_namespace_extractor(struct sl_call *call)
{
    struct sl_resource namespace;
    const struct sl_extractor_info *info = sl_extractor_info_by_id(call->params[1]);
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &namespace))
        return;
    if (info == NULL)
        sl_call_not_found(call, "extractor", call->params[1]);
    else
        sl_extractor_info_write_ns(info, &call->out);
}
