/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/extractor/info.h"

#include "runtime/alloc.h"
#include "runtime/buf.h"

const struct sl_extractor_info *
sl_extractor_info_lookup(struct sl_slice name, struct sl_slice version)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (sl_slice_is(name, infos[i].name) &&
            (version.size == 0 || sl_slice_is(version, infos[i].version)))
            return &infos[i];
    }
    return NULL;
}

const struct sl_extractor_info *
sl_extractor_info_by_id(struct sl_slice id)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (sl_slice_is(id, infos[i].id))
            return &infos[i];
    }
    return NULL;
}

static void
member_json(struct sl_jsonw *w, const char *name, const char *json)
{
    sl_jsonw_member_raw(w, name, sl_slice_str(json));
}

/* {"type":"object","properties":{...},"required":[...]} */
static void
member_schema(struct sl_jsonw *w, const char *name, const char *properties, const char *required)
{
    sl_jsonw_name(w, name);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", "object");
    member_json(w, "properties", properties);
    if (required != NULL)
        member_json(w, "required", required);
    sl_jsonw_end(w);
}

void
sl_vector_index_uri(const struct sl_vector_index *index, struct sl_buf *out)
{
    sl_buf_append_str(out, "mixpeek://");
    sl_buf_append_str(out, index->extractor->name);
    sl_buf_append_str(out, "@");
    sl_buf_append_str(out, index->extractor->version);
    sl_buf_append_str(out, "/");
    sl_buf_append_slice(out, index->name);
}

static void
write_index(const struct sl_vector_index *index, const struct sl_extractor_index *about,
            struct sl_jsonw *w)
{
    struct sl_buf uri = {0};
    sl_vector_index_uri(index, &uri);
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "feature_uri", sl_buf_slice(&uri));
    /* The storage name without "{extractor}_{version}_": "embedding". */
    sl_jsonw_member_str(w, "name", about->output + strlen(index->extractor->id) + 1);
    sl_jsonw_member_str(w, "description", "Vectors of the extractor's output, one a document");
    sl_jsonw_member_str(w, "type", "single");
    sl_jsonw_name(w, "index");
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "name", index->name);
    sl_jsonw_member_str(w, "description", "Dense vectors, searched exactly by cosine");
    sl_jsonw_member_u64(w, "dimensions", index->dimensions);
    sl_jsonw_member_str(w, "type", "dense");
    sl_jsonw_member_str(w, "distance", "cosine");
    sl_jsonw_member_str(w, "datatype", "float32");
    sl_jsonw_member_bool(w, "on_disk", false);
    member_json(w, "supported_inputs", index->extractor->input_types);
    sl_jsonw_member_slice(w, "inference_name", index->name);
    sl_jsonw_member_str(w, "purpose", about->purpose);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_buf_deinit(&uri);
}

void
sl_vector_index_write(const struct sl_vector_index *index, struct sl_jsonw *w)
{
    sl_assert(index->extractor->indexes_count > 0);
    write_index(index, &index->extractor->indexes[0], w);
}

static void
write_common(const struct sl_extractor_info *info, struct sl_jsonw *w)
{
    sl_jsonw_member_str(w, "feature_extractor_name", info->name);
    sl_jsonw_member_str(w, "version", info->version);
    sl_jsonw_member_str(w, "feature_extractor_id", info->id);
    sl_jsonw_member_str(w, "description", info->description);
    sl_jsonw_member_str(w, "icon", info->icon);
    sl_jsonw_member_str(w, "source", info->is_custom ? "custom" : "builtin");
    member_schema(w, "input_schema", info->inputs, info->inputs_required);
    member_schema(w, "output_schema", info->outputs, NULL);
    member_schema(w, "parameter_schema", info->parameters, NULL);
    member_json(w, "supported_input_types", info->input_types);
    member_json(w, "max_inputs", info->inputs_max);
    member_json(w, "default_parameters", info->defaults);
    member_json(w, "costs", info->costs);
    sl_jsonw_name(w, "required_vector_indexes");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < info->indexes_count; i++) {
        struct sl_vector_index index = {
            .extractor = info,
            .name = sl_slice_str(info->indexes[i].name),
            .dimensions = info->indexes[i].dimensions,
        };
        write_index(&index, &info->indexes[i], w);
    }
    sl_jsonw_end(w);
    member_json(w, "required_payload_indexes", "[]");
    member_json(w, "position_fields", info->position_fields);
    sl_jsonw_member_bool(w, "available", sl_extractor_info_is_available(info));
    if (!sl_extractor_info_is_available(info))
        sl_jsonw_member_str(w, "unavailable_reason", info->unavailable_reason);
}

void
sl_extractor_info_write(const struct sl_extractor_info *info, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    write_common(info, w);
    sl_jsonw_end(w);
}

void
sl_extractor_info_write_ns(const struct sl_extractor_info *info, struct sl_jsonw *w)
{
    bool is_available = sl_extractor_info_is_available(info);
    sl_jsonw_object(w);
    write_common(info, w);
    if (info->indexes_count > 0) {
        struct sl_vector_index index = {.extractor = info,
                                        .name = sl_slice_str(info->indexes[0].name)};
        struct sl_buf uri = {0};
        sl_vector_index_uri(&index, &uri);
        sl_jsonw_member_slice(w, "feature_uri", sl_buf_slice(&uri));
        sl_buf_deinit(&uri);
    }
    sl_jsonw_member_bool(w, "deployed", is_available);
    sl_jsonw_member_str(w, "validation_status", is_available ? "passed" : "pending");
    sl_jsonw_end(w);
}

char *
sl_extractor_infos_indexes(void)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_extractor_info *info = &infos[i];
        if (sl_extractor_info_lookup(sl_slice_str(info->name), (struct sl_slice){0}) != info)
            continue; /* Another version: replicas are of the first. */
        if (info->is_apart || info->has_models)
            sl_jsonw_member_null(&w, info->name);
        else
            sl_jsonw_member_str(&w, info->name,
                                info->indexes_count == 0 ? "" : info->indexes[0].name);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    char *result = sl_strdup(sl_buf_text(&text));
    sl_buf_deinit(&text);
    return result;
}
