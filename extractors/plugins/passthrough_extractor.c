/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passthrough_extractor v1 - one record a source, without vectors: what it is, how large, and the
 * metadata that came with it.
 *
 * Inputs: content (inline bytes or text), or data (JSON); metadata (JSON object), kept when the
 * parameter preserve_metadata is true. Where the canonical copy lies only the host knows: it says
 * so in the parameter content_url; else content that is a URL is its own.
 */
#include "extractors/media_type.h"
#include "extractors/plugins/plugin.h"
#include "runtime/buf.h"
#include "runtime/json.h"

#define URL_SIZE_MAX 2048

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    (void)host, (void)config, (void)ret_error;
    *ret_instance = NULL; /* It keeps nothing between items. */
    return 0;
}

static void
destroy(void *instance)
{
    (void)instance;
}

static bool
is_url(struct sl_slice text)
{
    static const char *const schemes[] = {"http://", "https://", "s3://", "gs://"};
    if (text.size > URL_SIZE_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F)
            return false;
    }
    for (size_t i = 0; i < SL_COUNT_OF(schemes); i++) {
        size_t size = strlen(schemes[i]);
        if (text.size > size && memcmp(text.data, schemes[i], size) == 0)
            return true;
    }
    return false;
}

static void
write_metadata(struct sl_jsonw *w, const struct sluice_item *item, struct sl_json params)
{
    const struct sluice_input *metadata = plugin_input(item, "metadata");
    struct sl_json_doc *doc = NULL;
    if (metadata == NULL || !sl_json_bool(sl_json_member(params, "preserve_metadata"), true))
        return;
    if (sl_json_parse(sl_slice(metadata->data, metadata->data_bytes), &doc, NULL) != SL_OK)
        return; /* The host sends an object; what is none is no metadata. */
    if (sl_json_kind(sl_json_root(doc)) == SL_JSON_OBJECT)
        sl_jsonw_member_value(w, "metadata", sl_json_root(doc));
    sl_json_destroy(&doc);
}

static void
write_record(struct sl_buf *out, const struct sluice_item *item, const struct sluice_input *input,
             struct sl_json params)
{
    struct sl_slice data = sl_slice(input->data, input->data_bytes);
    struct sl_json url = sl_json_member(params, "content_url");
    const char *type = strcmp(input->name, "data") == 0 ? "application/json"
                                                        : sl_media_type_with(data, input->mime);
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    if (sl_json_kind(url) == SL_JSON_STRING)
        sl_jsonw_member_value(&w, "content_url", url);
    else if (is_url(data))
        sl_jsonw_member_slice(&w, "content_url", data);
    sl_jsonw_member_str(&w, "content_type", type);
    sl_jsonw_member_u64(&w, "size_bytes", data.size);
    write_metadata(&w, item, params);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static void
process_one(const struct sluice_item *item, uint32_t index, const struct sluice_sink *sink)
{
    struct sluice_error error = {.size = sizeof(error)};
    struct sl_json_doc *params = NULL;
    struct sl_buf out = {0};
    const struct sluice_input *input = plugin_input(item, "content");
    if (input == NULL)
        input = plugin_input(item, "data");
    if (input == NULL)
        plugin_fail(&error, SLUICE_ERROR_PERMANENT, "input_missing",
                    "the source has neither 'content' nor 'data'");
    else if (sl_json_parse(sl_slice(item->params, item->params_bytes), &params, NULL) != SL_OK)
        plugin_fail(&error, SLUICE_ERROR_PERMANENT, "invalid_parameter",
                    "the parameters are no JSON object");
    if (error.kind == SLUICE_ERROR_NONE) {
        write_record(&out, item, input, sl_json_root(params));
        struct sluice_output output = {
            .size = sizeof(output), .fields = (const char *)out.data, .fields_bytes = out.size};
        if (sink->emit(sink, index, &output) == 0)
            sink->finish(sink, index, NULL);
    } else {
        sink->finish(sink, index, &error);
    }
    sl_json_destroy(&params);
    sl_buf_deinit(&out);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++)
        process_one(SLUICE_AT(struct sluice_item, items, i), i, sink);
    return 0;
}

static const char *
describe(void)
{
    return "{\"input_schema\":{\"type\":\"object\",\"properties\":{\"content\":{\"type\":"
           "\"string\"},"
           "\"data\":{\"type\":\"object\"}}},"
           "\"output_schema\":{\"type\":\"object\",\"properties\":{"
           "\"content_url\":{\"type\":\"string\"},\"content_type\":{\"type\":\"string\"},"
           "\"size_bytes\":{\"type\":\"integer\"},\"metadata\":{\"type\":\"object\"}}},"
           "\"parameter_schema\":{\"type\":\"object\",\"properties\":{"
           "\"preserve_metadata\":{\"type\":\"boolean\",\"default\":true}}},"
           "\"position_fields\":[],\"indexes\":[]}";
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {
        .size = sizeof(extractor),
        .abi = SLUICE_EXTRACTOR_ABI,
        .name = "passthrough_extractor",
        .version = "v1",
        .description = "Keeps a source as it is, with its type, size and metadata.",
        .create = create,
        .destroy = destroy,
        .process = process,
        .describe = describe,
    };
    return &extractor;
}
