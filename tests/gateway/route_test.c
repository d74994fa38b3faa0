/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/reply.h"
#include "gateway/route.h"

static const struct sl_route *route;
static struct sl_slice params[SL_CALL_PARAMS_MAX];

static enum sl_err
match(enum sl_method method, const char *path)
{
    route = NULL;
    memset(params, 0, sizeof(params));
    return sl_route_match(method, sl_slice_str(path), &route, params);
}

Test(route, every_row_is_found_by_its_own_path)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    cr_assert_gt(count, 10);
    for (uint32_t i = 0; i < count; i++) {
        enum sl_method method = routes[i].method == SL_ANY ? SL_PUT : routes[i].method;
        cr_assert_eq(match(method, routes[i].path), SL_OK, "%s", routes[i].path);
        cr_assert_eq(route, &routes[i], "%s", routes[i].path);
    }
}

/* A row that comes to this list is a decision: it opens what an admin alone read before. */
Test(route, what_an_analyst_may_read_is_this_and_is_only_read)
{
    static const char *const names[] = {
        "get_quotas",         "get_tenant_usage",  "get_tenant_metrics", "get_tenant_health",
        "list_tenant_events", "get_key_usage",     "list_audit",         "get_audit",
        "verify_audit",       "get_audit_settings"};
    uint32_t count, found = 0;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (routes[i].permission != SL_PERMIT_REPORT)
            continue;
        cr_assert_eq(routes[i].method, SL_GET, "%s", routes[i].name);
        cr_assert_lt(found, SL_COUNT_OF(names), "%s", routes[i].name);
        cr_assert_str_eq(routes[i].name, names[found++]);
    }
    cr_assert_eq(found, SL_COUNT_OF(names));
}

Test(route, names_are_unique_and_handlers_there)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_not_null(routes[i].handler);
        cr_assert(routes[i].success >= 200 && routes[i].success < 600);
        for (uint32_t j = 0; j < i; j++)
            cr_assert_str_neq(routes[i].name, routes[j].name);
    }
}

Test(route, a_parameter_is_the_raw_segment)
{
    cr_assert_eq(match(SL_GET, "/v1/namespaces/a%2Fb"), SL_OK);
    cr_assert_str_eq(route->name, "get_namespace");
    cr_assert(sl_slice_is(params[0], "a%2Fb"));
}

Test(route, a_trailing_slash_changes_nothing)
{
    cr_assert_eq(match(SL_POST, "/v1/namespaces/"), SL_OK);
    cr_assert_str_eq(route->name, "create_namespace");
    cr_assert_eq(match(SL_GET, "/v1/namespaces/x/"), SL_OK);
    cr_assert(sl_slice_is(params[0], "x"));
}

Test(route, a_wrong_method_is_told_from_an_unknown_path)
{
    cr_assert_eq(match(SL_DELETE, "/openapi.json"), SL_EDENIED);
    cr_assert_eq(sl_route_methods(sl_slice_str("/openapi.json")), 1u << SL_GET);
    cr_assert_eq(match(SL_GET, "/nothing"), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, "/v1"), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, ""), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, "/"), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, "openapi.json"), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, "//openapi.json"), SL_ENOTFOUND);
    cr_assert_eq(match(SL_GET, "/v1/namespaces//"), SL_ENOTFOUND);
    cr_assert_eq(sl_route_methods(sl_slice_str("/nothing")), 0);
}

Test(route, a_rest_takes_any_depth_and_none)
{
    const char *paths[] = {"/v1/taxonomies", "/v1/taxonomies/", "/v1/taxonomies/a/b/c/d/e/f/g/h"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        for (int method = 0; method < SL_METHOD_COUNT; method++) {
            cr_assert_eq(match(method, paths[i]), SL_OK);
            cr_assert(route->flags & SL_ROUTE_REFUSED);
        }
    }
}

Test(route, literals_win_and_matching_backs_up)
{
    cr_assert_eq(match(SL_POST, "/v1/namespaces/migrations/x"), SL_OK);
    cr_assert_str_eq(route->name, "refused_migrations");
    cr_assert_eq(match(SL_POST, "/v1/retrievers/evaluations/evaluations"), SL_OK);
    cr_assert_str_eq(route->name, "refused_retriever_evaluations");
    cr_assert_eq(match(SL_POST, "/v1/retrievers/r/evaluations"), SL_OK);
    cr_assert_str_eq(route->name, "refused_evaluations_of_retriever");
    cr_assert(sl_slice_is(params[0], "r"));
}

/* The document must cover what is served, and nothing else. */
Test(route, openapi_describes_every_served_route)
{
    struct sl_buf text = {0};
    sl_route_openapi(&text);
    struct sl_json_doc *doc = NULL;
    struct sl_json_error error = {0};
    cr_assert_eq(sl_json_parse(sl_buf_slice(&text), &doc, &error), SL_OK, "%s", error.what);
    struct sl_json root = sl_json_root(doc);
    cr_assert(sl_json_is(sl_json_member(root, "openapi"), "3.1.0"));
    static const char *const keys[] = {"get", "post", "put", "patch", "delete"};
    struct sl_json paths = sl_json_member(root, "paths");
    uint32_t count, described = 0, served = 0;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (routes[i].flags & SL_ROUTE_REFUSED)
            continue;
        struct sl_json item = sl_json_member(paths, routes[i].path);
        struct sl_json operation = sl_json_member(item, keys[routes[i].method]);
        cr_assert(sl_json_is(sl_json_member(operation, "operationId"), routes[i].name), "%s",
                  routes[i].path);
        cr_assert_eq(sl_json_has(sl_json_member(operation, "requestBody")),
                     routes[i].body != SL_BODY_NONE);
        served++;
    }
    for (struct sl_json_iter i = sl_json_iter(paths); sl_json_next(&i);)
        described += sl_json_count(i.value);
    cr_assert_eq(described, served);
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
}

Test(route, what_is_answered_is_said_once_of_operations_that_exist)
{
    uint32_t count, routes_count;
    const struct sl_reply *replies = sl_replies(&count);
    const struct sl_route *routes = sl_routes(&routes_count);
    for (uint32_t i = 0; i < count; i++) {
        bool is_route = false;
        for (uint32_t j = 0; j < routes_count && !is_route; j++)
            is_route = strcmp(routes[j].name, replies[i].operation) == 0 &&
                       !(routes[j].flags & SL_ROUTE_REFUSED) && routes[j].success != 204;
        cr_assert(is_route, "%s", replies[i].operation);
        cr_assert_eq(sl_reply_lookup(replies[i].operation), &replies[i], "%s twice",
                     replies[i].operation);
    }
}

/* OpenAPI forbids two templates that match the same paths, and clients mix them up. */
Test(route, one_position_has_one_parameter_name)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const char *a = routes[i].path, *b = routes[j].path;
            while (*a != '\0' && *b != '\0' && (*a == *b || (*a == '{' && *b == '{'))) {
                a = *a == '{' ? strchr(a, '}') : a + 1;
                b = *b == '{' ? strchr(b, '}') : b + 1;
            }
            if (*a == '\0' && *b == '\0')
                cr_assert_str_eq(routes[i].path, routes[j].path);
        }
    }
}
