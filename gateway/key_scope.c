/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/key_scope.h"

#include "gateway/resource.h"
#include "gateway/route.h"

/* Which resource a parameter of a path names. */
static const struct {
    const char *parameter, *type;
    const struct sl_resource_kind *kind;
} named[] = {
    {"{namespace_id}", "namespace", &sl_kind_namespace},
    {"{namespace_identifier}", "namespace", &sl_kind_namespace},
    {"{bucket_identifier}", "bucket", &sl_kind_bucket},
    {"{collection_identifier}", "collection", &sl_kind_collection},
    {"{retriever_id}", "retriever", &sl_kind_retriever},
    {"{retriever_identifier}", "retriever", &sl_kind_retriever},
};

#define TARGETS_MAX (SL_CALL_PARAMS_MAX + 2)

struct target {
    const char *type, *id;
};

struct targets {
    struct target at[TARGETS_MAX];
    uint32_t count;
};

const char *
sl_key_scope_operation(const struct sl_route *route)
{
    bool is_retriever = strncmp(route->path, "/v1/retrievers", 14) == 0;
    /* What a report tells is no data of the scope's resource: a scope for reading has it not. */
    if (route->permission == SL_PERMIT_ADMIN || route->permission == SL_PERMIT_REPORT)
        return "manage_permissions";
    if (strstr(route->path, "/cancel") != NULL)
        return "cancel_job";
    if (route->permission == SL_PERMIT_DELETE) {
        if (strncmp(route->path, "/v1/tasks", 9) == 0)
            return "cancel_job";
        return is_retriever ? "delete_retriever" : "delete_data";
    }
    if (is_retriever && strstr(route->path, "/execute") != NULL)
        return "execute_retriever";
    if (route->permission == SL_PERMIT_READ)
        return "read_data";
    if (strstr(route->path, "/submit") != NULL || strstr(route->path, "/retry") != NULL ||
        strstr(route->path, "/trigger") != NULL)
        return "execute_job";
    return is_retriever ? "create_retriever" : "write_data";
}

static void
add_target(struct targets *t, const char *type, const char *id)
{
    if (t->count < TARGETS_MAX)
        t->at[t->count++] = (struct target){.type = type, .id = id};
}

/* A parameter that names nothing is no target: nobody learns from a scoped key what there is. */
static void
add_parameter(struct sl_call *call, struct sl_slice name, struct sl_slice value, struct targets *t)
{
    struct sl_resource resource;
    for (size_t i = 0; i < SL_COUNT_OF(named); i++) {
        const char *parent = named[i].kind->has_parent ? call->namespace_id : "";
        if (sl_slice_is(name, named[i].parameter) &&
            sl_resource_lookup(call, named[i].kind, parent, value, &resource))
            add_target(t, named[i].type, resource.id);
    }
}

static void
find_targets(struct sl_call *call, struct targets *t)
{
    uint32_t at = 0;
    add_target(t, "organization", call->who.organization_id);
    if (call->namespace_id[0] != '\0')
        add_target(t, "namespace", call->namespace_id);
    for (const char *p = strchr(call->route->path, '{'); p != NULL && at < SL_CALL_PARAMS_MAX;
         p = strchr(p + 1, '{'), at++)
        add_parameter(call, sl_slice(p, strcspn(p, "}") + 1), call->params[at], t);
}

static bool
allows(struct sl_json scope, const char *operation)
{
    struct sl_json operations = sl_json_member(scope, "operations");
    for (struct sl_json_iter i = sl_json_iter(operations); sl_json_next(&i);) {
        if (sl_json_is(i.value, operation))
            return true;
    }
    return sl_json_count(operations) == 0;
}

static bool
covers(struct sl_json scope, const struct targets *t)
{
    struct sl_json type = sl_json_member(scope, "resource_type");
    struct sl_json id = sl_json_member(scope, "resource_id");
    for (uint32_t i = 0; i < t->count; i++) {
        if (sl_json_is(type, t->at[i].type) && (sl_json_is(id, "*") || sl_json_is(id, t->at[i].id)))
            return true;
    }
    return false;
}

void
sl_key_scope_check(struct sl_call *call)
{
    const char *operation = sl_key_scope_operation(call->route);
    struct targets targets = {0};
    struct sl_slice row;
    if (!call->who.has_scopes || call->route->permission == SL_PERMIT_NONE)
        return;
    find_targets(call, &targets);
    if (sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY,
                   sl_slice(call->who.digest, sizeof(call->who.digest)), &row) == SL_OK) {
        struct sl_json scopes = sl_json_member(sl_call_parse(call, row), "scopes");
        for (struct sl_json_iter i = sl_json_iter(scopes); sl_json_next(&i);) {
            if (covers(i.value, &targets) && allows(i.value, operation))
                return;
        }
    }
    sl_call_fail(call, SL_API_FORBIDDEN, "no scope of the key allows this: %s", operation);
    sl_call_detail(call, "operation", operation);
}
