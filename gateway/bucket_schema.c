/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bucket_schema.h"

#include "runtime/filter.h"
#include "runtime/time.h"

#define PROPERTIES_MAX 1000

static const char *const types[] = {"text",    "image",  "audio",  "video",   "pdf",
                                    "excel",   "string", "number", "integer", "float",
                                    "boolean", "object", "array",  "date",    "datetime"};
#define BLOB_TYPES 6 /* The first of them. */

static bool
is_among(struct sl_slice type, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sl_slice_is(type, types[i]))
            return true;
    }
    return false;
}

bool
sl_field_type_is_known(struct sl_slice type)
{
    return is_among(type, SL_COUNT_OF(types));
}

bool
sl_field_type_is_blob(struct sl_slice type)
{
    return is_among(type, BLOB_TYPES);
}

static void
check_field(struct sl_call *call, struct sl_json field, const char *loc)
{
    struct sl_json type = sl_json_member(field, "type");
    struct sl_json list = sl_json_member(field, "enum");
    struct sl_json items = sl_json_member(field, "items");
    struct sl_json required = sl_json_member(field, "required");
    if (sl_json_kind(field) != SL_JSON_OBJECT) {
        sl_call_invalid(call, loc, "object_type", "a field is an object with a type");
        return;
    }
    if (!sl_field_type_is_known(sl_call_text(call, type)))
        sl_call_invalid(call, sl_call_format(call, "%s.type", loc), "enum",
                        "a type is string, number, integer, float, boolean, object, array, date, "
                        "datetime, text, image, audio, video, pdf or excel");
    if (sl_json_has(required) && sl_json_kind(required) != SL_JSON_BOOL)
        sl_call_invalid(call, sl_call_format(call, "%s.required", loc), "bool_type",
                        "required is true or false");
    if (sl_json_has(list) && sl_json_kind(list) != SL_JSON_ARRAY)
        sl_call_invalid(call, sl_call_format(call, "%s.enum", loc), "list_type",
                        "enum is an array of values");
    if (sl_json_has(items))
        check_field(call, items, sl_call_format(call, "%s.items", loc));
    if (sl_json_has(sl_json_member(field, "properties")))
        sl_bucket_schema_check(call, field, loc);
}

void
sl_bucket_schema_check(struct sl_call *call, struct sl_json schema, const char *loc)
{
    struct sl_json properties = sl_json_member(schema, "properties");
    if (!sl_json_has(schema))
        return;
    if (sl_json_kind(properties) != SL_JSON_OBJECT || sl_json_count(properties) > PROPERTIES_MAX) {
        sl_call_invalid(call, sl_call_format(call, "%s.properties", loc), "object_type",
                        "properties is an object of at most %d fields", PROPERTIES_MAX);
        return;
    }
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        check_field(call, i.value,
                    sl_call_format(call, "%s.properties.%.*s", loc, SL_SLICE_FMT(name)));
    }
}

bool
sl_bucket_schema_has(struct sl_json schema, struct sl_slice path)
{
    struct sl_json properties = sl_json_member(schema, "properties");
    const uint8_t *dot = path.size > 0 ? memchr(path.data, '.', path.size) : NULL;
    struct sl_slice first = dot == NULL ? path : sl_slice(path.data, (size_t)(dot - path.data));
    return sl_json_count(properties) == 0 || sl_json_has(sl_json_member_slice(properties, path)) ||
           sl_json_has(sl_json_member_slice(properties, first));
}

static const char *
check_time(struct sl_json value, bool is_date)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    uint64_t ms;
    const char *why = is_date ? "is not a date (YYYY-MM-DD)" : "is not an RFC 3339 time";
    if (sl_json_text(value, &scratch, &text) == SL_OK) {
        char full[32];
        if (is_date && text.size == 10) {
            memcpy(full, text.data, 10);
            memcpy(full + 10, "T00:00:00Z", 11);
            text = sl_slice_str(full);
        }
        if (sl_time_parse(text, &ms) == SL_OK)
            why = NULL;
    }
    sl_buf_deinit(&scratch);
    return why;
}

static const char *
check_kind(struct sl_json type, struct sl_json value)
{
    enum sl_json_kind kind = sl_json_kind(value);
    int64_t integer;
    if (sl_json_is(type, "number") || sl_json_is(type, "float"))
        return kind == SL_JSON_NUMBER ? NULL : "is not a number";
    if (sl_json_is(type, "integer"))
        return sl_json_i64(value, &integer) == SL_OK ? NULL : "is not an integer";
    if (sl_json_is(type, "boolean"))
        return kind == SL_JSON_BOOL ? NULL : "is not true or false";
    if (sl_json_is(type, "object"))
        return kind == SL_JSON_OBJECT ? NULL : "is not an object";
    if (sl_json_is(type, "array"))
        return kind == SL_JSON_ARRAY ? NULL : "is not an array";
    if (sl_json_is(type, "date") || sl_json_is(type, "datetime"))
        return check_time(value, sl_json_is(type, "date"));
    return kind == SL_JSON_STRING ? NULL : "is not a string";
}

static const char *
check_parts(struct sl_json field, struct sl_json value)
{
    struct sl_json items = sl_json_member(field, "items");
    struct sl_json properties = sl_json_member(field, "properties");
    if (sl_json_kind(value) == SL_JSON_ARRAY && sl_json_has(items)) {
        for (struct sl_json_iter i = sl_json_iter(value); sl_json_next(&i);) {
            if (sl_field_check(items, i.value) != NULL)
                return "has an item of another type";
        }
    }
    if (sl_json_kind(value) != SL_JSON_OBJECT || !sl_json_has(properties))
        return NULL;
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        struct sl_buf scratch = {0};
        struct sl_slice name;
        struct sl_json part = {0};
        if (sl_json_text(i.name, &scratch, &name) == SL_OK)
            part = sl_json_member_slice(value, name);
        sl_buf_deinit(&scratch);
        if (!sl_json_has(part) && sl_json_bool(sl_json_member(i.value, "required"), false))
            return "lacks a required member";
        if (sl_json_has(part) && sl_field_check(i.value, part) != NULL)
            return "has a member of another type";
    }
    return NULL;
}

const char *
sl_field_check(struct sl_json field, struct sl_json value)
{
    struct sl_json list = sl_json_member(field, "enum");
    const char *why = check_kind(sl_json_member(field, "type"), value);
    if (why != NULL)
        return why;
    if (sl_json_has(list)) {
        bool is_listed = false;
        for (struct sl_json_iter i = sl_json_iter(list); !is_listed && sl_json_next(&i);)
            is_listed =
                sl_json_kind(i.value) == sl_json_kind(value) && sl_json_order(i.value, value) == 0;
        if (!is_listed)
            return "is not one of the values of its enum";
    }
    return check_parts(field, value);
}
