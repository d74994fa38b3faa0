/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter.h"
#include "gateway/retrieval.h"
#include "gateway/resource.h"

static bool
has_type(struct sl_json v, struct sl_json type)
{
    static const struct {
        const char *name;
        enum sl_json_kind kind;
    } types[] = {
        {"string", SL_JSON_STRING}, {"text", SL_JSON_STRING},
        {"date", SL_JSON_STRING},   {"datetime", SL_JSON_STRING},
        {"image", SL_JSON_STRING},  {"audio", SL_JSON_STRING},
        {"video", SL_JSON_STRING},  {"pdf", SL_JSON_STRING},
        {"excel", SL_JSON_STRING},  {"number", SL_JSON_NUMBER},
        {"float", SL_JSON_NUMBER},  {"integer", SL_JSON_NUMBER},
        {"boolean", SL_JSON_BOOL},  {"object", SL_JSON_OBJECT},
        {"array", SL_JSON_ARRAY},   {"document_reference", SL_JSON_OBJECT},
    };
    int64_t number;
    for (size_t i = 0; i < SL_COUNT_OF(types); i++) {
        if (sl_json_is(type, types[i].name))
            return sl_json_kind(v) == types[i].kind &&
                   (strcmp(types[i].name, "integer") != 0 || sl_json_i64(v, &number) == SL_OK);
    }
    return true;
}

static bool
is_among(struct sl_json v, struct sl_json choices)
{
    for (struct sl_json_iter i = sl_json_iter(choices); sl_json_next(&i);) {
        if (sl_json_kind(v) == sl_json_kind(i.value) && sl_json_order(v, i.value) == 0)
            return true;
    }
    return sl_json_count(choices) == 0;
}

static void
check_input(struct sl_call *call, struct sl_slice name, struct sl_json field, struct sl_json v)
{
    const char *loc = sl_call_format(call, "body.inputs.%.*s", SL_SLICE_FMT(name));
    if (!sl_json_has(v)) {
        if (sl_json_bool(sl_json_member(field, "required"), false))
            sl_call_invalid(call, loc, "missing", "the input is required");
    } else if (!has_type(v, sl_json_member(field, "type"))) {
        sl_call_invalid(call, loc, "type", "the input has the wrong type");
    } else if (!is_among(v, sl_json_member(field, "enum"))) {
        sl_call_invalid(call, loc, "enum", "the input is not one of its choices");
    }
}

bool
sl_retrieval_inputs(struct sl_call *call, struct sl_json schema, struct sl_json inputs,
                    struct sl_json *ret_inputs)
{
    static const char *const none[] = {NULL};
    struct sl_json properties = sl_json_member(schema, "properties");
    struct sl_buf text = {0};
    struct sl_jsonw w;
    if (sl_json_has(inputs) && sl_json_kind(inputs) != SL_JSON_OBJECT) {
        sl_call_invalid(call, "body.inputs", "type", "inputs must be an object");
        return false;
    }
    if (sl_json_kind(properties) == SL_JSON_OBJECT) /* Some clients wrap it as a JSON Schema. */
        schema = properties;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_write_except(&w, inputs, none);
    for (struct sl_json_iter i = sl_json_iter(schema); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        struct sl_json given = sl_json_member_slice(inputs, name);
        struct sl_json fallback = sl_json_member(i.value, "default");
        if (sl_json_kind(given) == SL_JSON_NONE && sl_json_has(fallback)) {
            sl_jsonw_name_slice(&w, name);
            sl_jsonw_value(&w, fallback);
            continue;
        }
        check_input(call, name, i.value, given);
    }
    sl_jsonw_end(&w);
    if (!sl_call_has_failed(call))
        *ret_inputs = sl_call_parse(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return !sl_call_has_failed(call);
}
