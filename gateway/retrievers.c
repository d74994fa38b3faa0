/* SPDX-License-Identifier: Apache-2.0 */
/* Retrievers as stored things. How they run is in executions.c and retrieval.c. */
#include "gateway/feature_uri.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"
#include "gateway/stock.h"

/* A member of the body, else of the retriever that is cloned. */
static struct sl_json
pick(const struct sl_call *call, struct sl_json source, const char *name)
{
    struct sl_json v = sl_json_member(call->body, name);
    return sl_json_has(v) ? v : sl_json_member(source, name);
}

static void
write_or(struct sl_jsonw *w, const char *name, struct sl_json v, const char *fallback)
{
    if (sl_json_has(v))
        sl_jsonw_member_value(w, name, v);
    else
        sl_jsonw_member_raw(w, name, sl_slice_str(fallback));
}

static void
write_dependencies(struct sl_call *call, struct sl_json stages, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "feature_dependencies");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(stages); sl_json_next(&i);) {
        struct sl_json searches = sl_json_path(i.value, sl_slice_str("config.parameters.searches"));
        for (struct sl_json_iter j = sl_json_iter(searches); sl_json_next(&j);) {
            struct sl_feature_uri uri;
            if (sl_feature_uri_parse(sl_call_text(call, sl_json_member(j.value, "feature_uri")),
                                     &uri) != SL_OK)
                continue;
            sl_jsonw_object(w);
            sl_jsonw_member_slice(w, "extractor", uri.extractor);
            sl_jsonw_member_slice(w, "version", uri.version);
            sl_jsonw_member_str(w, "scheme", "mixpeek");
            sl_jsonw_member_slice(w, "output",
                                  uri.output.size > 0 ? uri.output : sl_slice_str("embedding"));
            sl_jsonw_end(w);
        }
    }
    sl_jsonw_end(w);
}

/* The row of a new retriever; `stages` is in long form, `source` what is cloned or NONE. */
static void
write_retriever(struct sl_call *call, const char *id, struct sl_json source,
                const struct sl_retrieval *about, struct sl_jsonw *w)
{
    struct sl_slice name = sl_call_text(call, sl_call_member(call, "retriever_name", "name"));
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "retriever_id", id);
    sl_jsonw_member_slice(w, "retriever_name", name);
    sl_jsonw_member_value(w, "description", pick(call, source, "description"));
    sl_jsonw_name(w, "collection_ids");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < about->own_count; i++)
        sl_jsonw_str(w, about->collections[i].id);
    sl_jsonw_end(w);
    sl_jsonw_member_value(w, "stages", about->stages);
    write_or(w, "input_schema", pick(call, source, "input_schema"), "{}");
    write_or(w, "budget_limits", pick(call, source, "budget_limits"), "{}");
    write_dependencies(call, about->stages, w);
    write_or(w, "tags", pick(call, source, "tags"), "[]");
    sl_jsonw_member_value(w, "display_config", pick(call, source, "display_config"));
    write_or(w, "visibility", pick(call, source, "visibility"), "\"private\"");
    sl_jsonw_member_u64(w, "version", 1);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_member_str(w, "created_by", call->who.user_id);
    sl_jsonw_member_str(w, "updated_by", call->who.user_id);
    sl_jsonw_member_bool(w, "is_published", false);
    sl_jsonw_member_value(w, "marketplace_listing_id",
                          pick(call, source, "marketplace_listing_id"));
    sl_jsonw_end(w);
}

/* How the first search joins its lists; null: no stage searches. */
static void
write_fusion(struct sl_json stages, struct sl_jsonw *w)
{
    for (struct sl_json_iter i = sl_json_iter(stages); sl_json_next(&i);) {
        struct sl_json config = sl_json_member(i.value, "config");
        if (!sl_json_is(sl_json_member(config, "stage_id"), "feature_search"))
            continue;
        write_or(w, "fusion", sl_json_path(config, sl_slice_str("parameters.fusion")), "\"rrf\"");
        return;
    }
    sl_jsonw_member_null(w, "fusion");
}

/*
 * Members of a retriever as clients see it. Newer clients need what they sent under the names they
 * sent it with, and each stage's parameters beside its config.
 */
static void
write_shown(struct sl_json row, struct sl_jsonw *w)
{
    static const char *const rewritten[] = {"stages", NULL};
    static const char *const mirrored[] = {"parameters", NULL};
    struct sl_json stages = sl_json_member(row, "stages");
    sl_write_except(w, row, rewritten);
    sl_jsonw_member_value(w, "collection_identifiers", sl_json_member(row, "collection_ids"));
    write_fusion(stages, w);
    sl_jsonw_name(w, "stages");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(stages); sl_json_next(&i);) {
        sl_jsonw_object(w);
        sl_write_except(w, i.value, mirrored);
        sl_jsonw_member_value(w, "parameters",
                              sl_json_path(i.value, sl_slice_str("config.parameters")));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_wrapped(struct sl_json row, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "retriever");
    sl_jsonw_object(w);
    write_shown(row, w);
    sl_jsonw_end(w);
}

/* Check the body and store a new retriever. NONE: the call has failed. */
static struct sl_json
create(struct sl_call *call, struct sl_json source, const char **ret_id)
{
    struct sl_retrieval *about = sl_call_alloc(call, sizeof *about);
    struct sl_json collections = sl_call_member(call, "collection_identifiers", "collection_ids");
    struct sl_buf stages = {0}, row = {0};
    struct sl_json parsed = {0};
    struct sl_jsonw w;
    const char *id = sl_call_id(call, "ret_", 14);
    struct sl_name name = {
        .kind = &sl_kind_retriever,
        .parent = call->namespace_id,
        .id = id,
        .name = sl_call_text(call, sl_call_member(call, "retriever_name", "name")),
    };
    if (!sl_json_has(collections))
        collections = sl_json_member(source, "collection_ids");
    if (!sl_retrieval_collections(call, collections, about))
        goto out;
    /* None named: all that the namespace has when it runs. */
    about->own_count = sl_json_count(collections) > 0 ? about->collections_count : 0;
    if (!sl_stages_check(call, pick(call, source, "stages"), about, &stages) ||
        !sl_name_take(call, &name))
        goto out;
    about->stages = sl_call_parse(call, sl_buf_slice(&stages));
    sl_jsonw_init(&w, &row);
    write_retriever(call, id, source, about, &w);
    sl_jsonw_done(&w);
    if (!sl_stock_take(call, SL_LIMIT_max_routes, 1))
        goto out;
    sl_resource_put(call, &sl_kind_retriever, call->namespace_id, id, &row);
    parsed = sl_call_parse(call, sl_buf_slice(&row));
    *ret_id = id;
out:
    sl_buf_deinit(&stages);
    sl_buf_deinit(&row);
    return parsed;
}

void
sl_api_create_retriever(struct sl_call *call)
{
    const char *id;
    struct sl_json row = create(call, (struct sl_json){0}, &id);
    if (!sl_json_has(row))
        return;
    sl_jsonw_object(&call->out);
    write_wrapped(row, &call->out);
    write_shown(row, &call->out);
    sl_jsonw_end(&call->out);
}

void
sl_api_clone_retriever(struct sl_call *call)
{
    struct sl_resource source;
    const char *id;
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &source))
        return;
    struct sl_json row = create(call, source.row, &id);
    if (!sl_json_has(row))
        return;
    sl_jsonw_object(&call->out);
    write_wrapped(row, &call->out);
    sl_jsonw_member_str(&call->out, "source_retriever_id", source.id);
    sl_jsonw_end(&call->out);
    sl_resource_copied(call);
}

void
sl_api_get_retriever(struct sl_call *call)
{
    struct sl_resource found;
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        return;
    sl_jsonw_object(&call->out);
    write_shown(found.row, &call->out);
    sl_jsonw_end(&call->out);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    (void)arg;
    (void)key;
    sl_jsonw_object(w);
    write_shown(sl_call_parse(call, value), w);
    sl_jsonw_end(w);
    return true;
}

void
sl_api_list_retrievers(struct sl_call *call)
{
    static const char *const fields[] = {"retriever_id", "retriever_name", "description", NULL};
    struct sl_list list;
    struct sl_buf prefix = {0};
    struct sl_list_source source = {
        .scope = call->who.scope,
        .table = SL_TABLE_RETRIEVER,
        .prefix = sl_key_prefix(&prefix, 1, call->namespace_id),
        .render = render,
        .needs_total = true,
        .search_fields = fields,
    };
    if (sl_list_begin(call, 10, &list) && sl_list_run(&list, call, &source)) {
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        sl_jsonw_member_u64(&call->out, "total", list.total);
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
    sl_buf_deinit(&prefix);
}

void
sl_api_patch_retriever(struct sl_call *call)
{
    static const char *const mutable[] = {"description", "visibility", "tags", "display_config",
                                          NULL};
    static const char *const fixed[] = {"stages", "collection_identifiers", "input_schema",
                                        "budget_limits"};
    struct sl_resource found;
    struct sl_buf row = {0};
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        return;
    for (size_t i = 0; i < SL_COUNT_OF(fixed); i++) {
        if (sl_json_has(sl_json_member(call->body, fixed[i])))
            sl_call_invalid(call, sl_call_format(call, "body.%s", fixed[i]), "immutable",
                            "%s cannot be changed; clone the retriever", fixed[i]);
    }
    if (sl_call_has_failed(call) ||
        !sl_name_change(call, &sl_kind_retriever, call->namespace_id, &found))
        return;
    struct sl_json name = sl_call_member(call, "retriever_name", "name");
    const char *with_name[] = {"retriever_name", mutable[0], mutable[1],
                               mutable[2],       mutable[3], NULL};
    bool has_name = sl_json_has(name);
    sl_row_patched(call, found.row, has_name ? with_name : mutable, &row);
    sl_resource_put(call, &sl_kind_retriever, call->namespace_id, found.id, &row);
    sl_jsonw_object(&call->out);
    write_wrapped(sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_jsonw_end(&call->out);
    sl_buf_deinit(&row);
}

void
sl_api_delete_retriever(struct sl_call *call)
{
    struct sl_resource found;
    struct sl_buf prefix = {0};
    struct sl_purge purge = sl_purge_begin();
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        return;
    sl_resource_delete(call, &sl_kind_retriever, call->namespace_id, &found);
    sl_rows_delete(call, SL_TABLE_EXECUTION, sl_key_prefix(&prefix, 1, found.id), &purge);
    sl_buf_deinit(&prefix);
    if (sl_call_has_failed(call))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the retriever was deleted");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

void
sl_stages_write(struct sl_jsonw *w)
{
    uint32_t count;
    const struct sl_stage *stages = sl_stages(&count);
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "stage_id", stages[i].id);
        sl_jsonw_member_str(w, "description", stages[i].description);
        sl_jsonw_member_str(w, "category", stages[i].category);
        sl_jsonw_member_str(w, "icon", stages[i].icon);
        sl_jsonw_name(w, "parameter_schema");
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "type", "object");
        sl_jsonw_member_raw(w, "properties", sl_slice_str(stages[i].parameters));
        sl_jsonw_end(w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

void
sl_api_list_stages(struct sl_call *call)
{
    sl_stages_write(&call->out);
}
