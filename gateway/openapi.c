/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.json from the table of routes. What is refused is not described. */
#include "gateway/route.h"

#include <assert.h>

#define VERSION_TEXT "0.1.0"

static void write_object_schema(struct sl_jsonw *w, const struct sl_field *fields);

static void
write_bound(struct sl_jsonw *w, const struct sl_field *f, const char *min, const char *max)
{
    if (f->min == 0 && f->max == 0)
        return;
    sl_jsonw_member_i64(w, min, (int64_t)f->min);
    if (f->max >= f->min)
        sl_jsonw_member_i64(w, max, (int64_t)f->max);
}

static void
write_number_bound(struct sl_jsonw *w, const struct sl_field *f)
{
    if (f->min == 0 && f->max == 0)
        return;
    sl_jsonw_member_f64(w, "minimum", f->min);
    if (f->max >= f->min)
        sl_jsonw_member_f64(w, "maximum", f->max);
}

static void
write_choices(struct sl_jsonw *w, const char *choices)
{
    sl_jsonw_name(w, "enum");
    sl_jsonw_array(w);
    for (const char *at = choices; at != NULL;) {
        const char *bar = strchr(at, '|');
        sl_jsonw_slice(w, sl_slice(at, bar == NULL ? strlen(at) : (size_t)(bar - at)));
        at = bar == NULL ? NULL : bar + 1;
    }
    sl_jsonw_end(w);
}

static void
write_string(struct sl_jsonw *w, const struct sl_field *f)
{
    sl_jsonw_member_str(w, "type", "string");
    if (f->choices != NULL)
        write_choices(w, f->choices);
    else
        write_bound(w, f, "minLength", "maxLength");
}

static void
write_array(struct sl_jsonw *w, const struct sl_field *f)
{
    sl_jsonw_member_str(w, "type", "array");
    write_bound(w, f, "minItems", "maxItems");
    sl_jsonw_name(w, "items");
    if (f->fields != NULL) {
        write_object_schema(w, f->fields);
        return;
    }
    sl_jsonw_object(w);
    if (f->kind == SL_FIELD_STRINGS)
        sl_jsonw_member_str(w, "type", "string");
    sl_jsonw_end(w);
}

static void
write_kind(struct sl_jsonw *w, const struct sl_field *f)
{
    switch (f->kind) {
    case SL_FIELD_ANY:
        break;
    case SL_FIELD_STRING:
        write_string(w, f);
        break;
    case SL_FIELD_TIME:
        sl_jsonw_member_str(w, "type", "string");
        sl_jsonw_member_str(w, "format", "date-time");
        break;
    case SL_FIELD_INTEGER:
        sl_jsonw_member_str(w, "type", "integer");
        write_bound(w, f, "minimum", "maximum");
        break;
    case SL_FIELD_NUMBER:
        sl_jsonw_member_str(w, "type", "number");
        write_number_bound(w, f);
        break;
    case SL_FIELD_BOOLEAN:
        sl_jsonw_member_str(w, "type", "boolean");
        break;
    case SL_FIELD_ARRAY:
    case SL_FIELD_STRINGS:
        write_array(w, f);
        break;
    case SL_FIELD_OBJECT:
        sl_jsonw_member_str(w, "type", "object");
        break;
    }
}

static void
write_field(struct sl_jsonw *w, const struct sl_field *f)
{
    sl_jsonw_name(w, f->name);
    if (f->kind == SL_FIELD_OBJECT && f->fields != NULL) {
        write_object_schema(w, f->fields);
        return;
    }
    sl_jsonw_object(w);
    write_kind(w, f);
    if (f->doc != NULL)
        sl_jsonw_member_str(w, "description", f->doc);
    sl_jsonw_end(w);
}

static void
write_object_schema(struct sl_jsonw *w, const struct sl_field *fields)
{
    uint32_t required = 0;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", "object");
    sl_jsonw_name(w, "properties");
    sl_jsonw_object(w);
    for (const struct sl_field *f = fields; f->name != NULL; f++) {
        write_field(w, f);
        required += f->is_required && f->alias == NULL;
    }
    sl_jsonw_end(w);
    if (required > 0) { /* A field with two spellings is required by neither of them alone. */
        sl_jsonw_name(w, "required");
        sl_jsonw_array(w);
        for (const struct sl_field *f = fields; f->name != NULL; f++) {
            if (f->is_required && f->alias == NULL)
                sl_jsonw_str(w, f->name);
        }
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_parameter(struct sl_jsonw *w, const char *in, struct sl_slice name)
{
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "name", name);
    sl_jsonw_member_str(w, "in", in);
    sl_jsonw_member_bool(w, "required", in[0] == 'p');
    sl_jsonw_name(w, "schema");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", "string");
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
write_parameters(struct sl_jsonw *w, const struct sl_route *route)
{
    sl_jsonw_name(w, "parameters");
    sl_jsonw_array(w);
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at, '{')) {
        const char *end = strchr(++at, '}');
        sl_assert(end != NULL);
        write_parameter(w, "path", sl_slice(at, (size_t)(end - at)));
    }
    if (route->flags & SL_ROUTE_NAMESPACE)
        write_parameter(w, "header", sl_slice_str("X-Namespace"));
    if (route->method == SL_POST)
        write_parameter(w, "header", sl_slice_str("Idempotency-Key"));
    sl_jsonw_end(w);
}

static void
write_content(struct sl_jsonw *w, const char *type, const struct sl_field *schema)
{
    sl_jsonw_name(w, "content");
    sl_jsonw_object(w);
    sl_jsonw_name(w, type);
    sl_jsonw_object(w);
    sl_jsonw_name(w, "schema");
    static const struct sl_field anything[] = {{.name = NULL}};
    write_object_schema(w, schema == NULL ? anything : schema);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
write_responses(struct sl_jsonw *w, const struct sl_route *route)
{
    char success[] = {(char)('0' + route->success / 100), (char)('0' + route->success / 10 % 10),
                      (char)('0' + route->success % 10), '\0'};
    sl_jsonw_name(w, "responses");
    sl_jsonw_object(w);
    sl_jsonw_name(w, success);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "description", "Success");
    if (route->success != 204)
        write_content(w, "application/json", NULL);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "default");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "$ref", "#/components/responses/Error");
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static const char *
method_key(enum sl_method method)
{
    static const char *const keys[] = {"get", "post", "put", "patch", "delete"};
    static_assert(SL_COUNT_OF(keys) == SL_METHOD_COUNT, "a key for each method");
    return keys[method];
}

static void
write_operation(struct sl_jsonw *w, const struct sl_route *route)
{
    sl_jsonw_name(w, method_key(route->method));
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "operationId", route->name);
    sl_jsonw_member_str(w, "summary", route->summary);
    write_parameters(w, route);
    if (route->body != SL_BODY_NONE) {
        sl_jsonw_name(w, "requestBody");
        sl_jsonw_object(w);
        write_content(w,
                      route->body == SL_BODY_MULTIPART ? "multipart/form-data" : "application/json",
                      route->schema);
        sl_jsonw_end(w);
    }
    write_responses(w, route);
    sl_jsonw_name(w, "security");
    sl_jsonw_array(w);
    if (route->permission != SL_PERMIT_NONE)
        sl_jsonw_raw(w, sl_slice_str("{\"bearer\":[]}"));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static bool
is_described(const struct sl_route *route)
{
    return !(route->flags & SL_ROUTE_REFUSED) && route->method != SL_ANY;
}

static void
write_paths(struct sl_jsonw *w)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        bool is_first = is_described(&routes[i]);
        for (uint32_t j = 0; j < i && is_first; j++)
            is_first = strcmp(routes[i].path, routes[j].path) != 0;
        if (!is_first)
            continue;
        sl_jsonw_name(w, routes[i].path);
        sl_jsonw_object(w);
        for (uint32_t j = i; j < count; j++) {
            if (is_described(&routes[j]) && strcmp(routes[i].path, routes[j].path) == 0)
                write_operation(w, &routes[j]);
        }
        sl_jsonw_end(w);
    }
}

static const char components[] =
    "{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
    "\"schemas\":{\"Error\":{\"type\":\"object\",\"required\":[\"success\",\"status\",\"error\"],"
    "\"properties\":{\"success\":{\"type\":\"boolean\",\"const\":false},"
    "\"status\":{\"type\":\"integer\"},"
    "\"error\":{\"type\":\"object\",\"required\":[\"message\",\"type\",\"details\"],"
    "\"properties\":{\"message\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"},"
    "\"details\":{\"type\":\"object\"}}},"
    "\"detail\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"loc\",\"msg\",\"type\"],\"properties\":{\"loc\":{\"type\":\"array\","
    "\"items\":{\"type\":[\"string\",\"integer\"]}},\"msg\":{\"type\":\"string\"},"
    "\"type\":{\"type\":\"string\"}}}}}}},"
    "\"responses\":{\"Error\":{\"description\":\"A failure\",\"content\":{\"application/json\":"
    "{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}}";

void
sl_route_openapi(struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "openapi", "3.1.0");
    sl_jsonw_name(&w, "info");
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "title", "sluice");
    sl_jsonw_member_str(&w, "version", VERSION_TEXT);
    sl_jsonw_end(&w);
    sl_jsonw_name(&w, "paths");
    sl_jsonw_object(&w);
    write_paths(&w);
    sl_jsonw_end(&w);
    sl_jsonw_member_raw(&w, "components", sl_slice_str(components));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
