/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants. What isolation is asked for is stored; what is enforced is said beside it.
 */
#include "actors/job_row.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/audit.h"
#include "gateway/gateway.h"
#include "gateway/isolation/level.h"
#include "gateway/list.h"
#include "gateway/onboard.h"
#include "gateway/resource.h"
#include "gateway/task.h"
#include "gateway/tenant.h"

static const char *const hidden[] = {
    "isolation_enforced", "scope", "frozen", "export", "was", NULL};

/* As clients see it, in an object that is begun. */
static void
write_members(struct sl_call *call, struct sl_json row, struct sl_jsonw *w)
{
    sl_write_except(w, row, hidden);
    sl_jsonw_member_str(
        w, "isolation_enforced",
        sl_isolation_in_force(call, sl_member_str(call, row, "isolation_enforced")));
}

bool
sl_tenant_find(struct sl_call *call, const char *id, struct sl_json *ret_row)
{
    struct sl_buf key = {0};
    struct sl_slice value;
    bool is_found = sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_key(&key, 1, id),
                               &value) == SL_OK;
    if (is_found)
        *ret_row = sl_call_parse(call, value);
    sl_buf_deinit(&key);
    return is_found;
}

bool
sl_tenant_next(struct sl_txn *txn, struct sl_buf *last, struct sl_scope *ret_scope)
{
    struct sl_scan scan;
    struct sl_json_doc *doc = NULL;
    uint64_t scope = 0;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, (struct sl_slice){0}, sl_buf_slice(last),
                false, &scan);
    bool has_next = sl_scan_next(&scan);
    sl_buf_clear(last);
    if (has_next) {
        sl_buf_append_slice(last, scan.key);
        if (sl_json_parse(scan.value, &doc, NULL) == SL_OK &&
            sl_json_u64(sl_json_member(sl_json_root(doc), "scope"), &scope) != SL_OK)
            scope = 0;
    }
    sl_scan_end(&scan);
    sl_json_destroy(&doc);
    *ret_scope = (struct sl_scope){scope};
    return has_next;
}

void
sl_tenant_write(struct sl_call *call, struct sl_json row)
{
    sl_jsonw_object(&call->out);
    write_members(call, row, &call->out);
    sl_jsonw_end(&call->out);
}

void
sl_tenant_fail_suspended(struct sl_call *call)
{
    sl_call_fail(call, SL_API_FORBIDDEN, "the organization is suspended");
    sl_call_detail(call, "reason", "tenant_suspended");
}

void
sl_tenant_fail_door(struct sl_call *call)
{
    sl_call_invalid(call, "body.security.ip_allowlist", "value_error",
                    "up to %d addresses or ranges, as 10.0.0.0/8 or 2001:db8::/32",
                    SL_DOOR_RANGES_MAX);
}

bool
sl_tenant_takes_security(struct sl_call *call)
{
    struct sl_json security = sl_json_member(call->body, "security");
    struct sl_json mfa = sl_json_member(security, "mfa_required");
    if (sl_json_has(mfa) && sl_json_bool(mfa, true))
        sl_call_invalid(call, "body.security.mfa_required", "not_available",
                        "nobody signs in here, so there is no second factor to ask for: bind keys "
                        "to addresses (ip_allowlist) instead");
    if (sl_json_has(sl_json_member(security, "session_timeout")))
        sl_call_invalid(call, "body.security.session_timeout", "not_available",
                        "there are no sessions that could end: give keys an end (expires_at)");
    return !sl_call_has_failed(call);
}

struct created {
    struct sl_tenant_made made;
    struct sl_door door;
    const char *task_id;
};

static void
after_create(struct sl_call *call, void *arg)
{
    const struct created *c = arg;
    sl_keyring_tenant_put(call->gateway->keyring, &c->made.who);
    sl_keyring_door_put(call->gateway->keyring, c->made.who.scope, &c->door);
}

/* The body as what is to be made; false: the call has failed. */
static bool
read_tenant(struct sl_call *call, struct sl_tenant_new *n)
{
    struct sl_slice id = sl_member_text(call, call->body, "tenant_id");
    struct sl_slice plan = sl_member_text(call, call->body, "plan");
    if (!sl_tenant_id_is_valid(id))
        sl_call_invalid(call, "body.tenant_id", "value_error",
                        "a tenant id is 2 to 63 lower-case letters, digits and -, and does not "
                        "start with -");
    n->plan = sl_plan_lookup(plan.size == 0 ? sl_slice_str("starter") : plan);
    if (n->plan == NULL)
        sl_call_invalid(call, "body.plan", "value_error",
                        "plan is free, starter, growth, scale, enterprise or unlimited");
    n->tenant_id = (const char *)id.data;
    n->name = sl_member_str(call, call->body, "name");
    n->owner_email = sl_member_str(call, call->body, "owner_email");
    if (*n->owner_email == '\0')
        n->owner_email = sl_call_format(call, "owner@%s.local", n->tenant_id);
    else if (strchr(n->owner_email, '@') == NULL ||
             strlen(n->owner_email) != sl_member_text(call, call->body, "owner_email").size)
        sl_call_invalid(call, "body.owner_email", "value_error", "not an e-mail address");
    n->owner_name = n->name;
    const char *isolation = sl_member_str(call, call->body, "isolation_level");
    n->isolation = *isolation == '\0' ? NULL : isolation;
    n->organization_id = sl_call_id(call, "org_", 15);
    n->config = sl_json_member(call->body, "config");
    n->security = sl_json_member(call->body, "security");
    n->routing = sl_json_member(call->body, "routing");
    n->cloud = sl_json_member(call->body, "cloud");
    n->region = sl_json_member(call->body, "region");
    n->now_ms = call->now_ms;
    return sl_tenant_takes_security(call);
}

/* The steps, one transaction each. Where one cannot be committed, or this process dies, they go on
 * between other calls. */
static void
onboard(struct sl_call *call)
{
    struct created *created = call->state;
    const char *id = created->made.who.tenant_id;
    enum sl_passage_state state = SL_PASSAGE_MORE;
    struct sl_json row;
    sl_txn_abort(&call->txn); /* One at a time: each step has its own. */
    while (state == SL_PASSAGE_MORE)
        if (sl_passage_step(call->gateway, id, call->now_ms, &state) != SL_OK) {
            call->gateway->has_garbage = true;
            break;
        }
    call->txn = sl_store_begin(call->gateway->store);
    if (SL_BUG(!sl_tenant_find(call, id, &row))) {
        sl_call_fail(call, SL_API_INTERNAL, "the tenant was not stored");
        return;
    }
    sl_jsonw_object(&call->out);
    write_members(call, row, &call->out);
    sl_jsonw_member_str(&call->out, "task_id", created->task_id);
    sl_jsonw_member_str(&call->out, "api_key", created->made.secret);
    sl_jsonw_end(&call->out);
}

void
sl_api_create_tenant(struct sl_call *call)
{
    struct sl_tenant_new want = {0};
    struct sl_json row;
    if (!read_tenant(call, &want))
        return;
    if (sl_tenant_find(call, want.tenant_id, &row)) {
        sl_call_fail(call, SL_API_CONFLICT, "tenant %s exists already", want.tenant_id);
        return;
    }
    struct created *created = sl_call_alloc(call, sizeof(*created));
    created->task_id = sl_onboard_begin(call, &want, &created->made);
    if (SL_BUG(!sl_tenant_find(call, want.tenant_id, &row))) {
        sl_call_fail(call, SL_API_INTERNAL, "the tenant was not stored");
        return;
    }
    if (sl_door_read(row, &created->door) != SL_OK) {
        sl_tenant_fail_door(call);
        return;
    }
    sl_audit_note_of(call, want.tenant_id);
    sl_call_after_commit(call, after_create, created);
    call->state = created;
    sl_call_yield(call, onboard);
}

static const char *const filters[] = {"state", "plan", "region"};

/* Whether rows have to be looked at to know how many there are. */
static bool
is_filtered(struct sl_call *call, const struct sl_list *list)
{
    bool is = list->filter != NULL || list->search.size > 0 || list->include_total;
    for (size_t i = 0; i < SL_COUNT_OF(filters); i++)
        is = is || sl_call_query(call, filters[i]).data != NULL;
    return is;
}

static uint64_t
count_tenants(struct sl_call *call)
{
    struct sl_scan scan = {0};
    uint64_t count = 0;
    sl_txn_scan(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    return count;
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    struct sl_json row = sl_call_parse(call, value);
    (void)arg;
    (void)key;
    for (size_t i = 0; i < SL_COUNT_OF(filters); i++) {
        struct sl_slice wanted = sl_call_query(call, filters[i]);
        if (wanted.data != NULL && !sl_slice_equal(wanted, sl_member_text(call, row, filters[i])))
            return false;
    }
    sl_jsonw_object(w);
    write_members(call, row, w);
    sl_jsonw_end(w);
    return true;
}

void
sl_api_list_tenants(struct sl_call *call)
{
    static const char *const search[] = {"tenant_id", "name", NULL};
    struct sl_list list;
    if (!sl_list_begin(call, 10, &list))
        return;
    bool has_all = is_filtered(call, &list);
    bool is_read = sl_list_run(&list, call,
                               &(struct sl_list_source){.scope = SL_SCOPE_SYSTEM,
                                                        .table = SL_TABLE_TENANT,
                                                        .render = render,
                                                        .needs_total = has_all,
                                                        .search_fields = search});
    if (is_read) {
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        sl_jsonw_member_u64(&call->out, "total", has_all ? list.total : count_tenants(call));
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
}

void
sl_api_get_tenant(struct sl_call *call)
{
    const char *id = sl_call_identifier(call, call->params[0]);
    struct sl_json row;
    if (id == NULL || (!call->who.is_operator && strcmp(id, call->who.tenant_id) != 0) ||
        !sl_tenant_find(call, id, &row)) {
        sl_call_not_found(call, "tenant", call->params[0]);
        return;
    }
    sl_tenant_write(call, row);
}
