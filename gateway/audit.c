/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/resource.h"
#include "gateway/route.h"

#define SETTING_READS "reads" /* Keys of settings come behind those of events. */

/* ---- the table ------------------------------------------------------------------------------ */

static const struct sl_audited table[] = {
#define AUDITED(operation, type, action, member)      {#operation, type, action, member, false},
#define AUDITED_READ(operation, type, action, member) {#operation, type, action, member, true},
#include "gateway/audit.def"
};

static int
compare(const void *name, const void *row)
{
    return strcmp(name, ((const struct sl_audited *)row)->operation);
}

const struct sl_audited *
sl_audited_find(const char *operation)
{
    return operation == NULL
               ? NULL
               : bsearch(operation, table, SL_COUNT_OF(table), sizeof(*table), compare);
}

/* What is changed of a key has names of its own; so has what a verification found. */
static const char *
action_of(struct sl_call *call, const struct sl_audited *what)
{
    if (strcmp(what->operation, "verify_isolation") == 0) {
        struct sl_json reply = sl_call_parse(call, sl_buf_slice(&call->reply));
        return sl_json_count(sl_json_member(reply, "violations")) > 0 ? "isolation_violated"
                                                                      : what->action;
    }
    if (strcmp(what->operation, "patch_key") != 0)
        return what->action;
    if (sl_json_is(sl_json_member(call->body, "status"), "revoked"))
        return "api_key_revoked";
    if (sl_json_has(sl_json_member(call->body, "permissions")))
        return "permission_updated";
    return sl_json_has(sl_json_member(call->body, "scopes")) ? "api_key_scope_updated"
                                                             : what->action;
}

/* ---- rows ----------------------------------------------------------------------------------- */

struct sl_slice
sl_audit_prefix(void)
{
    return sl_slice_str("e");
}

struct sl_slice
sl_audit_key(struct sl_buf *out, uint64_t sequence)
{
    sl_buf_clear(out);
    sl_buf_printf(out, "e%016" PRIx64, UINT64_MAX - sequence);
    return sl_buf_slice(out);
}

void
sl_audit_digest(struct sl_slice event, char ret_hex[static SL_AUDIT_DIGEST_SIZE + 1])
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(event, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

bool
sl_audit_reads(struct sl_call *call)
{
    struct sl_slice value;
    return sl_txn_get(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_slice_str(SETTING_READS),
                      &value) == SL_OK;
}

void
sl_audit_set_reads(struct sl_call *call, bool is_on)
{
    if (is_on)
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_slice_str(SETTING_READS),
                   sl_slice_str("1"));
    else
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_slice_str(SETTING_READS));
}

/* The newest event: its number, and its digest. 0 and zeros: there is none. */
static uint64_t
newest(struct sl_call *call, char ret_hex[static SL_AUDIT_DIGEST_SIZE + 1])
{
    struct sl_scan scan;
    uint64_t sequence = 0;
    memset(ret_hex, '0', SL_AUDIT_DIGEST_SIZE);
    ret_hex[SL_AUDIT_DIGEST_SIZE] = '\0';
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_audit_prefix(), sl_slice(NULL, 0),
                false, &scan);
    if (sl_scan_next(&scan)) {
        char digits[17] = {0};
        memcpy(digits, scan.key.data + 1, SL_MIN(scan.key.size - 1, sizeof(digits) - 1));
        sequence = UINT64_MAX - strtoull(digits, NULL, 16);
        sl_audit_digest(scan.value, ret_hex);
    }
    sl_scan_end(&scan);
    return sequence;
}

/* ---- what was sent -------------------------------------------------------------------------- */

static bool
is_secret(struct sl_call *call, struct sl_json name)
{
    static const char *const words[] = {"secret", "password", "token",         "credential",
                                        "header", "api_key",  "authorization", "private"};
    struct sl_slice text = sl_call_text(call, name);
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        size_t size = strlen(words[i]);
        for (size_t at = 0; at + size <= text.size; at++)
            if (strncasecmp((const char *)text.data + at, words[i], size) == 0)
                return true;
    }
    return false;
}

/* Members that sound secret, wherever they are, without their values. JSON is 64 deep at most. */
static void
write_open(struct sl_call *call, struct sl_json value, struct sl_jsonw *w)
{
    enum sl_json_kind kind = sl_json_kind(value);
    if (kind != SL_JSON_OBJECT && kind != SL_JSON_ARRAY) {
        sl_jsonw_value(w, value);
        return;
    }
    if (kind == SL_JSON_OBJECT)
        sl_jsonw_object(w);
    else
        sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(value); sl_json_next(&i);) {
        bool is_hidden = kind == SL_JSON_OBJECT && is_secret(call, i.name);
        if (kind == SL_JSON_OBJECT)
            sl_jsonw_name_slice(w, sl_call_text(call, i.name));
        if (is_hidden)
            sl_jsonw_str(w, "hidden");
        else
            write_open(call, i.value, w);
    }
    sl_jsonw_end(w);
}

static void
write_changes(struct sl_call *call, struct sl_jsonw *w)
{
    struct sl_buf text = {0};
    struct sl_jsonw inner;
    if (sl_json_count(call->body) == 0) {
        sl_jsonw_null(w);
        return;
    }
    if (call->body_text.size <= SL_AUDIT_CHANGES_MAX) {
        sl_jsonw_init(&inner, &text);
        write_open(call, call->body, &inner);
        sl_jsonw_done(&inner);
    }
    if (text.size > 0 && text.size <= SL_AUDIT_CHANGES_MAX)
        sl_jsonw_raw(w, sl_buf_slice(&text));
    else {
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "omitted_bytes", call->body_text.size);
        sl_jsonw_end(w);
    }
    sl_buf_deinit(&text);
}

/* ---- events --------------------------------------------------------------------------------- */

struct event {
    const char *type, *action, *status;
    const char *actor, *actor_type;
    struct sl_slice id;
    bool has_ids_alone; /* What was sent is left out. */
};

/* As the reply calls it; else as the path does; else the organization. */
static struct sl_slice
id_of(struct sl_call *call, const struct sl_audited *what)
{
    struct sl_slice id = {0};
    uint32_t count = 0;
    for (const char *p = call->route->path; (p = strchr(p, '{')) != NULL; p++)
        count++;
    if (*what->member != '\0' && !call->is_waiting && call->reply.size > 0)
        id = sl_member_text(call, sl_call_parse(call, sl_buf_slice(&call->reply)), what->member);
    if (id.size == 0 && count > 0)
        id = call->params[count - 1];
    return id.size == 0 ? sl_slice_str(call->who.organization_id) : id;
}

static void
append(struct sl_call *call, const struct event *e)
{
    char digest[SL_AUDIT_DIGEST_SIZE + 1];
    uint64_t sequence = newest(call, digest) + 1;
    struct sl_buf key = {0}, row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "audit_id", sl_call_format(call, "audit_%016" PRIx64, sequence));
    sl_jsonw_member_u64(&w, "sequence", sequence);
    sl_jsonw_member_time(&w, "timestamp", call->now_ms);
    sl_jsonw_member_str(&w, "resource_type", e->type);
    sl_jsonw_member_slice(&w, "resource_id", e->id);
    sl_jsonw_member_str(&w, "action", e->action);
    sl_jsonw_member_str(&w, "actor_id", e->actor);
    sl_jsonw_member_str(&w, "actor_type", e->actor_type);
    sl_jsonw_member_str(&w, "api_key_id", call->who.key_id);
    sl_jsonw_member_str(&w, "status", e->status);
    sl_jsonw_name(&w, "changes");
    if (e->has_ids_alone)
        sl_jsonw_null(&w);
    else
        write_changes(call, &w);
    sl_jsonw_member_slice(&w, "ip_address", call->client);
    sl_jsonw_member_slice(&w, "user_agent",
                          sl_slice(call->user_agent.data, SL_MIN(call->user_agent.size, 256)));
    sl_jsonw_member_str(&w, "request_id", call->request_id);
    sl_jsonw_member_str(&w, "previous", digest);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_audit_key(&key, sequence),
               sl_buf_slice(&row));
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

static void
note(struct sl_call *call, const struct sl_audited *what, struct sl_slice id, bool is_success,
     bool has_ids_alone)
{
    call->is_audited = true;
    append(call, &(struct event){.has_ids_alone = has_ids_alone,
                                 .type = what->type,
                                 .action = action_of(call, what),
                                 .status = is_success ? "success" : "failure",
                                 .actor = *call->who.user_id != '\0' ? call->who.user_id
                                                                     : call->who.key_id,
                                 .actor_type = call->who.is_operator ? "operator" : "user",
                                 .id = id});
}

void
sl_audit_note(struct sl_call *call, bool is_success)
{
    const struct sl_audited *what = sl_audited_find(call->route->name);
    if (what != NULL && !call->is_audited && (!what->is_read || sl_audit_reads(call)))
        note(call, what, id_of(call, what), is_success, false);
}

void
sl_audit_note_of(struct sl_call *call, const char *id)
{
    const struct sl_audited *what = sl_audited_find(call->route->name);
    if (!SL_BUG(what == NULL || call->is_audited))
        note(call, what, sl_slice_str(id), true, true);
}

void
sl_audit_note_system(struct sl_call *call, const struct sl_audited *what, const char *id)
{
    append(call, &(struct event){.type = what->type,
                                 .action = what->action,
                                 .status = "success",
                                 .actor = "sluice",
                                 .actor_type = "system",
                                 .id = sl_slice_str(id)});
}
