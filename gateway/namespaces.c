/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: api.md 2.1. */
#include "actors/rows.h"
#include "gateway/call.h"

static const char default_extractors[] =
    "[{\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\",\"params\":null,"
    "\"feature_extractor_id\":\"text_extractor_v1\"},"
    "{\"feature_extractor_name\":\"passthrough_extractor\",\"version\":\"v1\",\"params\":null,"
    "\"feature_extractor_id\":\"passthrough_extractor_v1\"}]";

static bool
is_name(struct sl_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return name.size > 0 && !sl_slice_is(name, "list") && !sl_slice_is(name, "migrations");
}

/* What the reply shows of each reference: its own fields and the derived id. */
static void
write_extractors(struct sl_call *call, struct sl_jsonw *w, struct sl_json refs)
{
    sl_jsonw_name(w, "feature_extractors");
    if (!sl_json_has(refs)) {
        sl_jsonw_raw(w, sl_slice_str(default_extractors));
        return;
    }
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(refs); sl_json_next(&i);) {
        struct sl_json name = sl_json_member(i.value, "feature_extractor_name");
        struct sl_json version = sl_json_member(i.value, "version");
        sl_jsonw_object(w);
        sl_jsonw_member_value(w, "feature_extractor_name", name);
        sl_jsonw_member_value(w, "version", version);
        sl_jsonw_member_value(w, "params", sl_json_member(i.value, "params"));
        sl_jsonw_member_str(w, "feature_extractor_id",
                            sl_call_format(call, "%s_%s",
                                           (const char *)sl_call_text(call, name).data,
                                           (const char *)sl_call_text(call, version).data));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_namespace(struct sl_call *call, const char *id, struct sl_slice name)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "namespace_id", id);
    sl_jsonw_member_slice(w, "namespace_name", name);
    struct sl_json type = sl_json_member(call->body, "namespace_type");
    if (sl_json_has(type))
        sl_jsonw_member_value(w, "namespace_type", type);
    else
        sl_jsonw_member_str(w, "namespace_type", "standard");
    sl_jsonw_member_value(w, "description", sl_json_member(call->body, "description"));
    write_extractors(call, w, sl_json_member(call->body, "feature_extractors"));
    struct sl_json indexes = sl_json_member(call->body, "payload_indexes");
    if (sl_json_has(indexes))
        sl_jsonw_member_value(w, "payload_indexes", indexes);
    else
        sl_jsonw_member_raw(w, "payload_indexes", sl_slice_str("[]"));
    sl_jsonw_member_bool(w, "auto_create_indexes",
                         sl_json_bool(sl_json_member(call->body, "auto_create_indexes"), false));
    sl_jsonw_member_value(w, "infrastructure", sl_json_member(call->body, "infrastructure"));
    sl_jsonw_member_u64(w, "document_count", 0);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

void
sl_api_create_namespace(struct sl_call *call)
{
    struct sl_slice name = sl_call_text(call, sl_call_member(call, "namespace_name", "name"));
    if (!is_name(name)) {
        sl_call_invalid(call, "body.namespace_name", "value_error",
                        "should be letters, digits, _ and -, and no reserved word");
        return;
    }
    if (sl_json_has(sl_json_member(call->body, "infrastructure")) &&
        strcmp(call->who.account_type, "enterprise") != 0) {
        sl_call_fail(call, SL_API_FORBIDDEN, "infrastructure needs the enterprise plan");
        return;
    }
    struct sl_buf key = {0};
    struct sl_slice taken;
    struct sl_slice name_key = sl_key(&key, 3, "namespace", "", (const char *)name.data);
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAME, name_key, &taken) == SL_OK) {
        sl_call_fail(call, SL_API_CONFLICT, "a namespace named %.*s exists", SL_SLICE_FMT(name));
    } else {
        char id[16] = "ns_";
        sl_random_id(id + 3, 12);
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_NAME, name_key, sl_slice_str(id));
        write_namespace(call, id, name);
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_NAMESPACE, sl_key(&key, 1, id),
                   sl_buf_slice(&call->reply));
    }
    sl_buf_deinit(&key);
}

void
sl_api_get_namespace(struct sl_call *call)
{
    struct sl_slice wanted = sl_call_copy(call, call->params[0]), id = wanted, row;
    const char *text = (const char *)wanted.data;
    struct sl_buf key = {0};
    struct sl_slice found;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAME,
                   sl_key(&key, 3, "namespace", "", text), &found) == SL_OK)
        id = sl_call_copy(call, found);
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAMESPACE,
                   sl_key(&key, 1, (const char *)id.data), &row) == SL_OK)
        sl_buf_append_slice(&call->reply, row);
    else
        sl_call_not_found(call, "namespace", wanted);
    sl_buf_deinit(&key);
}
