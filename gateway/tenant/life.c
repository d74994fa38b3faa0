/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's life after it was made: changed, suspended, resumed.
 *
 *   active --suspend--> suspended: its keys are refused (403), its queues hand nothing out
 *     ^                    |        what runs goes on to its end
 *     `------resume--------'        each queue is as it was, save one that was set meanwhile
 */
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/events.h"
#include "gateway/gateway.h"
#include "gateway/isolation/level.h"
#include "gateway/limits.h"
#include "gateway/offboard.h"
#include "gateway/own/queue.h"
#include "gateway/plan.h"
#include "gateway/resource.h"
#include "gateway/stock.h"
#include "gateway/tenant.h"
#include "gateway/user.h"
#include "queue/event.h"
#include "queue/look.h"

/* ---- the row -------------------------------------------------------------------------------- */

bool
sl_tenant_enter(struct sl_call *call, struct sl_json *ret_row)
{
    struct sl_identity tenant;
    const char *id = sl_call_identifier(call, call->params[0]);
    if (id == NULL || !sl_tenant_find(call, id, ret_row) ||
        sl_identity_of_tenant(*ret_row, &tenant) != SL_OK) {
        sl_call_not_found(call, "tenant", call->params[0]);
        return false;
    }
    sl_identity_enter(&call->who, &tenant);
    return true;
}

/* The operator's: there is nobody else to let it in again. */
static bool
is_own(const struct sl_call *call)
{
    return strcmp(call->who.tenant_id, SL_OPERATOR_TENANT) == 0;
}

struct admitted {
    struct sl_identity tenant;
    struct sl_door door;
};

static void
after_put(struct sl_call *call, void *arg)
{
    const struct admitted *a = arg;
    sl_keyring_tenant_put(call->gateway->keyring, &a->tenant);
    sl_keyring_door_put(call->gateway->keyring, a->tenant.scope, &a->door);
}

void
sl_tenant_put(struct sl_call *call, const struct sl_buf *value)
{
    struct admitted *a = sl_call_alloc(call, sizeof(*a));
    struct sl_json row = sl_call_parse(call, sl_buf_slice(value));
    if (sl_door_read(row, &a->door) != SL_OK) {
        sl_tenant_fail_door(call);
        return;
    }
    if (is_own(call) && !sl_door_has(&a->door, call->client)) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "the list does not have the address that you call from");
        return;
    }
    if (SL_BUG(sl_identity_of_tenant(row, &a->tenant) != SL_OK)) {
        sl_call_fail(call, SL_API_INTERNAL, "the tenant was not stored");
        return;
    }
    sl_events_tenant_state(call, &a->tenant, sl_buf_slice(value));
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id),
               sl_buf_slice(value));
    sl_call_after_commit(call, after_put, a);
}

/* The same, and answer with it. */
static void
put(struct sl_call *call, const struct sl_buf *value)
{
    sl_tenant_put(call, value);
    if (!sl_call_has_failed(call))
        sl_tenant_write(call, sl_call_parse(call, sl_buf_slice(value)));
}

/* ---- changes -------------------------------------------------------------------------------- */

/* What the plan and the level bring with them, in an object that is begun. */
static void
write_derived(struct sl_call *call, struct sl_json row, const struct sl_plan *plan,
              const char *level, struct sl_jsonw *w)
{
    static const char *const of_both[] = {"plan", "account_type", "isolation_level",
                                          "isolation_enforced", NULL};
    sl_write_except(w, row, of_both);
    sl_jsonw_member_str(w, "plan", plan != NULL ? plan->name : sl_member_str(call, row, "plan"));
    sl_jsonw_member_str(w, "account_type",
                        plan != NULL ? plan->account_type
                                     : sl_member_str(call, row, "account_type"));
    sl_jsonw_member_str(w, "isolation_level",
                        *level != '\0' ? level : sl_member_str(call, row, "isolation_level"));
    sl_jsonw_member_str(w, "isolation_enforced",
                        *level != '\0' ? sl_isolation_enforced(level)
                                       : sl_member_str(call, row, "isolation_enforced"));
}

void
sl_api_patch_tenant(struct sl_call *call)
{
    static const char *const sent[] = {"name", "config", "security", "routing", NULL};
    struct sl_json row;
    struct sl_buf changed = {0}, value = {0};
    struct sl_slice plan_name = sl_member_text(call, call->body, "plan");
    const struct sl_plan *plan = plan_name.size == 0 ? NULL : sl_plan_lookup(plan_name);
    const char *level = sl_member_str(call, call->body, "isolation_level");
    struct sl_jsonw w;
    if (!sl_tenant_takes_security(call) || !sl_tenant_enter(call, &row))
        return;
    if (sl_offboard_is_final(call->txn, row)) {
        sl_call_fail(call, SL_API_CONFLICT, "the data of tenant %s is being erased, or was",
                     call->who.tenant_id);
        return;
    }
    if (plan_name.size > 0 && plan == NULL) {
        sl_call_invalid(call, "body.plan", "value_error",
                        "plan is free, starter, growth, scale, enterprise or unlimited");
        return;
    }
    if (*level != '\0' && !sl_json_is(sl_json_member(row, "state"), "active")) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "the isolation level of tenant %s, which is not active, "
                     "cannot be changed",
                     call->who.tenant_id);
        return;
    }
    sl_row_patched(call, row, sent, &changed);
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    write_derived(call, sl_call_parse(call, sl_buf_slice(&changed)), plan, level, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put(call, &value);
    if (!sl_call_has_failed(call) && plan != NULL) {
        sl_keys_refresh(call, NULL);
        sl_limits_staged(call);
        sl_stock_tell_tasks(call, &call->who);
    }
    if (!sl_call_has_failed(call) && *level != '\0')
        sl_isolation_change(call, level);
    sl_buf_deinit(&changed);
    sl_buf_deinit(&value);
}

/* ---- queues --------------------------------------------------------------------------------- */

static void
set_mode(struct sl_call *call, const struct sl_queue_depth *depth, enum sl_lane_mode mode)
{
    struct sl_lane_settings settings = depth->settings;
    struct sl_buf event = {0};
    settings.mode = mode;
    sl_queue_event_lane(&event, depth->class, depth->name, &settings);
    sl_txn_event(call->txn, SL_PROJECTION_QUEUE, call->who.scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
}

/* Pause what hands out, and write down how it was. */
static void
freeze(struct sl_call *call, const struct sl_queue_depth *depth, struct sl_jsonw *w)
{
    if (!sl_lane_mode_gives(depth->settings.mode))
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "class", depth->class);
    sl_jsonw_member_slice(w, "name", depth->name);
    sl_jsonw_member_u64(w, "mode", depth->settings.mode);
    sl_jsonw_end(w);
    set_mode(call, depth, SL_LANE_PAUSED);
}

/* Those of classes are there without a task, too: a job under way may open its next tier. */
void
sl_tenant_freeze(struct sl_call *call, struct sl_jsonw *w)
{
    const struct sl_queue *queue = call->gateway->queue;
    struct sl_queue_depth depth;
    for (unsigned class = 0; class < SL_CLASS_COUNT; class ++) {
        if (sl_queue_depth(queue, call->who.scope, (enum sl_class) class, 0, &depth) != SL_OK)
            depth =
                (struct sl_queue_depth){.scope = call->who.scope, .class = (enum sl_class) class};
        freeze(call, &depth, w);
    }
    for (uint32_t at = 0; sl_queue_depth_next(queue, call->who.scope, &at, &depth);)
        if (depth.class == SL_CLASS_OWN)
            freeze(call, &depth, w);
}

static void
thaw_one(struct sl_call *call, struct sl_json frozen)
{
    struct sl_queue_depth depth;
    uint64_t class = 0, mode = 0;
    struct sl_slice name = sl_member_text(call, frozen, "name");
    bool is_good = sl_json_u64(sl_json_member(frozen, "class"), &class) == SL_OK &&
                   sl_json_u64(sl_json_member(frozen, "mode"), &mode) == SL_OK &&
                   class <= SL_CLASS_OWN && mode <= SL_LANE_STOPPING;
    /* It may have been removed, or set by the operator, meanwhile. */
    if (is_good &&
        sl_queue_depth(call->gateway->queue, call->who.scope, (enum sl_class) class,
                       class == SL_CLASS_OWN ? sl_lane_hash(name) : 0, &depth) == SL_OK &&
        depth.settings.mode == SL_LANE_PAUSED)
        set_mode(call, &depth, (enum sl_lane_mode)mode);
}

void
sl_tenant_thaw(struct sl_call *call, struct sl_json frozen)
{
    for (struct sl_json_iter i = sl_json_iter(frozen); sl_json_next(&i);)
        thaw_one(call, i.value);
}

/* ---- suspended ------------------------------------------------------------------------------ */

static const char *const of_state[] = {"state",  "suspended_at", "suspend_reason",
                                       "frozen", "updated_at",   NULL};

void
sl_api_suspend_tenant(struct sl_call *call)
{
    struct sl_json row;
    struct sl_buf value = {0};
    struct sl_jsonw w;
    if (!sl_json_bool(sl_json_member(call->body, "preserve_data"), true))
        sl_call_invalid(call, "body.preserve_data", "value_error",
                        "a suspended tenant keeps its data");
    if (sl_call_has_failed(call) || !sl_tenant_enter(call, &row))
        return;
    if (is_own(call)) {
        sl_call_fail(call, SL_API_CONFLICT, "the operator's own tenant cannot be suspended");
        return;
    }
    bool is_again = sl_json_is(sl_json_member(row, "state"), "suspended");
    if (!is_again && !sl_json_is(sl_json_member(row, "state"), "active")) {
        sl_call_fail(call, SL_API_CONFLICT, "tenant %s is not active", call->who.tenant_id);
        return;
    }
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, of_state);
    sl_jsonw_member_str(&w, "state", "suspended");
    sl_jsonw_member_value(&w, "suspend_reason", sl_json_member(call->body, "reason"));
    sl_jsonw_name(&w, "suspended_at");
    if (is_again)
        sl_jsonw_value(&w, sl_json_member(row, "suspended_at"));
    else
        sl_jsonw_time(&w, call->now_ms);
    sl_jsonw_name(&w, "frozen");
    if (is_again)
        sl_jsonw_value(&w, sl_json_member(row, "frozen"));
    else {
        sl_jsonw_array(&w);
        sl_tenant_freeze(call, &w);
        sl_jsonw_end(&w);
    }
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put(call, &value);
    sl_buf_deinit(&value);
}

void
sl_api_resume_tenant(struct sl_call *call)
{
    struct sl_json row;
    struct sl_buf value = {0};
    struct sl_jsonw w;
    if (!sl_tenant_enter(call, &row))
        return;
    if (!sl_json_is(sl_json_member(row, "state"), "suspended")) {
        sl_call_fail(call, SL_API_CONFLICT, "tenant %s is not suspended", call->who.tenant_id);
        return;
    }
    sl_tenant_thaw(call, sl_json_member(row, "frozen"));
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, of_state);
    sl_jsonw_member_str(&w, "state", "active");
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put(call, &value);
    sl_buf_deinit(&value);
    sl_call_wake_dispatcher(call);
    sl_own_wake(call);
}
