/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/discovery: what there is to build collections and retrievers from, without a key. */
#include "gateway/extractor/info.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"

/* The catalogue's entry, and the names that discovery has for two of its members. */
static void
write_extractor(struct sl_call *call, const struct sl_extractor_info *info)
{
    static const char *const ours[] = {"version", "description", "name", "supported_modalities",
                                       NULL};
    struct sl_buf text = {0};
    struct sl_jsonw entry;
    sl_jsonw_init(&entry, &text);
    sl_extractor_info_write(info, &entry);
    sl_jsonw_done(&entry);
    struct sl_json row = sl_call_parse(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "name", info->name);
    sl_jsonw_member_value(&call->out, "version", sl_json_member(row, "version"));
    sl_jsonw_member_value(&call->out, "description", sl_json_member(row, "description"));
    sl_jsonw_member_value(&call->out, "supported_modalities",
                          sl_json_member(row, "supported_input_types"));
    sl_write_except(&call->out, row, ours);
    sl_jsonw_end(&call->out);
}

void
sl_api_discover_extractors(struct sl_call *call)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    sl_jsonw_array(&call->out);
    for (uint32_t i = 0; i < count; i++)
        write_extractor(call, &infos[i]);
    sl_jsonw_end(&call->out);
}

void
sl_api_discover(struct sl_call *call)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "extractors");
    sl_api_discover_extractors(call);
    sl_jsonw_name(&call->out, "stages");
    sl_stages_write(&call->out);
    sl_jsonw_end(&call->out);
}
