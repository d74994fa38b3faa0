/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table as arrays, and the matcher: a tree of path segments, built once before main from the
 * constant table and never changed, so that any thread may walk it. A node has literal children,
 * one for a parameter and one for "the rest"; matching tries them in this order and backs up when
 * the path does not go on, so /v1/retrievers/execute and /v1/retrievers/{id}/execute live together.
 * Literal children of all nodes are in one hash table: below /v1 there are dozens.
 */
#include "gateway/route.h"

#include <assert.h>

#define FIELD(text, type, ...)                                                                     \
    {                                                                                              \
        .name = (text), .kind = SL_FIELD_##type, ##__VA_ARGS__                                     \
    }
#define SL_SCHEMA(id)   schema_##id
#define SCHEMA(id, ...) static const struct sl_field schema_##id[] = {__VA_ARGS__, {.name = NULL}};
#include "gateway/schemas.def"

#define ROUTE(method, path, name, permission, flags, body, success, schema, handler, summary)      \
    sl_handler_fn handler;
#include "gateway/routes.def"

#define schema_NULL NULL
#define ROUTE(method, path, name, permission, flags, body, success, schema, handler, summary)      \
    {SL_##method,     path,    #name,  SL_PERMIT_##permission, flags, SL_BODY_##body, success,     \
     schema_##schema, handler, summary},
static const struct sl_route routes[] = {
#include "gateway/routes.def"
};

#define NODES_MAX     2048
#define LITERAL_SLOTS 8192u /* At most a quarter full. */
#define NO_NODE       0     /* The root is nobody's child. */

struct node {
    const char *text; /* The literal segment. */
    uint16_t text_size;
    uint16_t parent, parameter, rest;
    uint16_t routes[SL_METHOD_COUNT]; /* Index + 1; 0: none. */
};

static_assert(NODES_MAX * 4 <= LITERAL_SLOTS, "probing ends soon");

static struct node nodes[NODES_MAX];
static uint16_t literals[LITERAL_SLOTS]; /* Open addressing. */
static uint16_t nodes_count = 1;

const struct sl_route *
sl_routes(uint32_t *ret_count)
{
    *ret_count = (uint32_t)SL_COUNT_OF(routes);
    return routes;
}

const char *
sl_method_name(enum sl_method method)
{
    static const char *const names[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    static_assert(SL_COUNT_OF(names) == SL_METHOD_COUNT, "a name for each method");
    sl_assert((unsigned)method < SL_METHOD_COUNT);
    return names[method];
}

/* Cut the next segment off `path`; false at its end. Empty segments do not count. */
static bool
next_segment(struct sl_slice *path, struct sl_slice *ret_segment)
{
    while (path->size > 0 && path->data[0] == '/')
        *path = sl_slice(path->data + 1, path->size - 1);
    if (path->size == 0)
        return false;
    const uint8_t *slash = memchr(path->data, '/', path->size);
    size_t size = slash == NULL ? path->size : (size_t)(slash - path->data);
    *ret_segment = sl_slice(path->data, size);
    *path = sl_slice(path->data + size, path->size - size);
    return true;
}

static uint16_t
node_add(void)
{
    sl_assert(nodes_count < NODES_MAX);
    return nodes_count++;
}

/* Where the literal child lies, or the empty slot where it would. */
static uint16_t *
literal_slot(uint16_t parent, struct sl_slice segment)
{
    const uint8_t *text = segment.data;
    uint32_t shape = (uint32_t)segment.size | (uint32_t)text[0] << 8 |
                     (uint32_t)text[segment.size / 2] << 16 |
                     (uint32_t)text[segment.size - 1] << 24;
    uint32_t hash = (shape ^ parent * 0x9e3779b1u) * 0x85ebca6bu;
    for (uint32_t i = hash >> 16;; i++) {
        uint16_t *slot = &literals[i % LITERAL_SLOTS];
        const struct node *node = &nodes[*slot];
        if (*slot == NO_NODE || (node->parent == parent &&
                                 sl_slice_equal(sl_slice(node->text, node->text_size), segment)))
            return slot;
    }
}

static uint16_t
child_make(uint16_t parent, struct sl_slice segment)
{
    struct node *node = &nodes[parent];
    if (segment.data[0] == '{')
        return node->parameter != NO_NODE ? node->parameter : (node->parameter = node_add());
    if (sl_slice_is(segment, "*"))
        return node->rest != NO_NODE ? node->rest : (node->rest = node_add());
    uint16_t *slot = literal_slot(parent, segment), at = *slot;
    if (at != NO_NODE)
        return at;
    *slot = at = node_add();
    nodes[at].text = (const char *)segment.data;
    nodes[at].text_size = (uint16_t)segment.size;
    nodes[at].parent = parent;
    return at;
}

/* The table is constant and this runs before main, so there is nothing to lock and nothing to free.
 */
__attribute__((constructor)) static void
build(void)
{
    for (uint16_t i = 0; i < SL_COUNT_OF(routes); i++) {
        struct sl_slice path = sl_slice_str(routes[i].path), segment;
        uint16_t at = 0;
        while (next_segment(&path, &segment))
            at = child_make(at, segment);
        for (int method = 0; method < SL_METHOD_COUNT; method++) {
            if ((int)routes[i].method != method && routes[i].method != SL_ANY)
                continue;
            sl_assert(nodes[at].routes[method] == 0); /* Two rows for one method and path. */
            nodes[at].routes[method] = (uint16_t)(i + 1);
        }
    }
}

static bool
has_routes(const struct node *node)
{
    for (int method = 0; method < SL_METHOD_COUNT; method++) {
        if (node->routes[method] != 0)
            return true;
    }
    return false;
}

/* The node of `path` below `at`, or NO_NODE. Depth is bounded by the table's longest path. */
static uint16_t
find(uint16_t at, struct sl_slice path, struct sl_slice *ret_params, uint32_t params_count)
{
    const struct node *node = &nodes[at];
    struct sl_slice segment;
    if (!next_segment(&path, &segment)) {
        if (has_routes(node))
            return at;
        return node->rest;
    }
    uint16_t child = *literal_slot(at, segment), found = NO_NODE;
    if (child != NO_NODE)
        found = find(child, path, ret_params, params_count);
    if (found == NO_NODE && node->parameter != NO_NODE && params_count < SL_CALL_PARAMS_MAX) {
        ret_params[params_count] = segment;
        found = find(node->parameter, path, ret_params, params_count + 1);
    }
    return found != NO_NODE ? found : node->rest;
}

static bool
is_absolute(struct sl_slice path)
{
    if (path.size == 0 || path.data[0] != '/')
        return false;
    for (size_t i = 1; i < path.size;
         i++) { /* "//" names nothing: it is no other way to write "/". */
        if (path.data[i] == '/' && path.data[i - 1] == '/')
            return false;
    }
    return true;
}

enum sl_err
sl_route_match(enum sl_method method, struct sl_slice path, const struct sl_route **ret_route,
               struct sl_slice ret_params[SL_CALL_PARAMS_MAX])
{
    sl_assert((unsigned)method < SL_METHOD_COUNT);
    if (!is_absolute(path))
        return SL_ENOTFOUND;
    uint16_t at = find(0, path, ret_params, 0);
    if (at == NO_NODE)
        return SL_ENOTFOUND;
    uint16_t route = nodes[at].routes[method];
    if (route == 0)
        return SL_EDENIED;
    *ret_route = &routes[route - 1];
    return SL_OK;
}

unsigned
sl_route_methods(struct sl_slice path)
{
    struct sl_slice params[SL_CALL_PARAMS_MAX];
    unsigned methods = 0;
    uint16_t at = is_absolute(path) ? find(0, path, params, 0) : NO_NODE;
    for (int method = 0; at != NO_NODE && method < SL_METHOD_COUNT; method++) {
        if (nodes[at].routes[method] != 0)
            methods |= 1u << method;
    }
    return methods;
}
