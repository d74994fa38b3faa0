/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.json from the table of routes. What is refused is not described. */
#include "gateway/reply.h"

#include <assert.h>

#define VERSION_TEXT "0.1.0"

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
    if (route->flags & (SL_ROUTE_RESOLVES | SL_ROUTE_EVENTS)) {
        write_parameter(w, "header", sl_slice_str("X-Timeout-Ms"));
        write_parameter(w, "header", sl_slice_str("X-Session-Id"));
    }
    sl_jsonw_end(w);
}

static void
write_content(struct sl_jsonw *w, const char *type, const struct sl_field *schema)
{
    static const struct sl_field anything[] = {{.name = NULL}};
    sl_jsonw_name(w, "content");
    sl_jsonw_object(w);
    sl_jsonw_name(w, type);
    sl_jsonw_object(w);
    sl_jsonw_name(w, "schema");
    sl_schema_write(w, schema == NULL ? anything : schema);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* The schema is that of each event's data. */
static void
write_events(struct sl_jsonw *w, const char *schema)
{
    uint32_t count;
    const struct sl_schema *schemas = sl_reply_schemas(&count);
    sl_jsonw_name(w, "text/event-stream");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "schema");
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(schemas[i].name, schema) == 0)
            sl_schema_write_reply(w, &(struct sl_reply){.fields = schemas[i].fields});
    }
    sl_jsonw_end(w);
}

static void
write_success(struct sl_jsonw *w, const struct sl_route *route, uint32_t status)
{
    const struct sl_reply *reply = sl_reply_lookup(route->name);
    sl_jsonw_name(w, (char[]){(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                              (char)('0' + status % 10), '\0'});
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "description", "Success");
    if (route->flags & SL_ROUTE_BYTES) {
        sl_jsonw_member_raw(w, "content",
                            sl_slice_str("{\"*/*\":{\"schema\":{\"type\":\"string\"}}}"));
    } else if (status != 204) {
        sl_jsonw_name(w, "content");
        sl_jsonw_object(w);
        sl_jsonw_name(w, route->flags & SL_ROUTE_SSE ? "text/event-stream" : "application/json");
        sl_jsonw_object(w);
        sl_jsonw_name(w, "schema");
        sl_schema_write_reply(w, reply);
        sl_jsonw_end(w);
        if (route->flags & SL_ROUTE_EVENTS)
            write_events(w, "execution_event_reply");
        if (route->flags & SL_ROUTE_FOLLOW)
            write_events(w, "cluster_event_reply");
        if (route->flags & SL_ROUTE_CSV)
            sl_jsonw_member_raw(w, "text/csv", sl_slice_str("{\"schema\":{\"type\":\"string\"}}"));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_error(struct sl_jsonw *w, const char *status, bool is_possible)
{
    if (!is_possible)
        return;
    sl_jsonw_name(w, status);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "$ref", "#/components/responses/Error");
    sl_jsonw_end(w);
}

/* 405 is not an operation's, and 500 a bug but where weights are loaded: neither is stated. */
static void
write_responses(struct sl_jsonw *w, const struct sl_route *route)
{
    bool is_private = route->permission != SL_PERMIT_NONE;
    bool is_signed = route->body == SL_BODY_UPLOAD || (route->flags & SL_ROUTE_BYTES);
    bool has_handler = !(route->flags & SL_ROUTE_FRONT);
    sl_jsonw_name(w, "responses");
    sl_jsonw_object(w);
    write_success(w, route, route->success);
    if (route->flags & SL_ROUTE_SSE)
        write_success(w, route, 204);
    if (route->success == 201) /* To generated clients that know no 201. */
        write_success(w, route, 200);
    write_error(w, "400", true);
    write_error(w, "401", is_private || is_signed);
    write_error(w, "403", is_private);
    write_error(w, "404", is_private || strchr(route->path, '{') != NULL);
    write_error(w, "409", route->method != SL_GET);
    write_error(w, "413", true);
    write_error(w, "414", true);
    write_error(w, "415", route->body != SL_BODY_NONE);
    write_error(w, "422", has_handler);
    write_error(w, "429", (is_private || route->method == SL_POST) && has_handler);
    write_error(w, "431", true);
    write_error(w, "500", (route->flags & SL_ROUTE_LOADS) != 0);
    write_error(w, "501", route->method == SL_POST);
    write_error(w, "503", true);
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

static const char error_schema[] =
    "{\"type\":\"object\",\"required\":[\"success\",\"status\",\"error\"],"
    "\"properties\":{\"success\":{\"type\":\"boolean\",\"const\":false},"
    "\"status\":{\"type\":\"integer\"},"
    "\"error\":{\"type\":\"object\",\"required\":[\"message\",\"type\",\"details\"],"
    "\"properties\":{\"message\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"},"
    "\"details\":{\"type\":\"object\"}}},"
    "\"detail\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"loc\",\"msg\",\"type\"],\"properties\":{\"loc\":{\"type\":\"array\","
    "\"items\":{\"type\":[\"string\",\"integer\"]}},\"msg\":{\"type\":\"string\"},"
    "\"type\":{\"type\":\"string\"}}}}}}";

static const char error_response[] =
    "{\"Error\":{\"description\":\"A failure\",\"content\":{\"application/json\":"
    "{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}";

static void
write_components(struct sl_jsonw *w)
{
    uint32_t count;
    const struct sl_schema *schemas = sl_reply_schemas(&count);
    sl_jsonw_name(w, "components");
    sl_jsonw_object(w);
    sl_jsonw_member_raw(w, "securitySchemes",
                        sl_slice_str("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}"));
    sl_jsonw_name(w, "schemas");
    sl_jsonw_object(w);
    sl_jsonw_member_raw(w, "Error", sl_slice_str(error_schema));
    for (uint32_t i = 0; i < count; i++) {
        sl_jsonw_name(w, schemas[i].name);
        sl_schema_write(w, schemas[i].fields);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_raw(w, "responses", sl_slice_str(error_response));
    sl_jsonw_end(w);
}

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
    write_components(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
