/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/model/status.h"

#include "gateway/gateway.h"
#include "runtime/time.h"

static const char *const state_names[] = {"pending", "deploying", "deployed", "failed", "evicted"};

static const char *const life[] = {
    "status",          "status_at",      "deployed",   "deployment_error",
    "deployment_info", "status_history", "updated_at", NULL};

static const struct sl_model_change interrupted = {
    SL_MODEL_FAILED, "interrupted", "the server stopped while it was loading: deploy it again"};

static uint64_t
time_of(struct sl_call *call, struct sl_json row, const char *name)
{
    uint64_t ms = 0;
    if (sl_time_parse(sl_call_text(call, sl_json_member(row, name)), &ms) != SL_OK)
        return 0;
    return ms;
}

/* Whoever was to end it is gone. */
static bool
is_interrupted(struct sl_call *call, struct sl_json row)
{
    return sl_json_is(sl_json_member(row, "status"), state_names[SL_MODEL_DEPLOYING]) &&
           time_of(call, row, "status_at") < call->gateway->started_ms;
}

enum sl_model_state
sl_model_state(struct sl_call *call, struct sl_json row)
{
    struct sl_json status = sl_json_member(row, "status");
    if (is_interrupted(call, row))
        return SL_MODEL_FAILED;
    for (size_t i = 0; i < SL_COUNT_OF(state_names); i++) {
        if (sl_json_is(status, state_names[i]))
            return (enum sl_model_state)i;
    }
    /* A row from before there were states. */
    return sl_json_bool(sl_json_member(row, "deployed"), false) ? SL_MODEL_DEPLOYED
                                                                : SL_MODEL_PENDING;
}

/* ---- the history --------------------------------------------------------------------------- */

static void
write_change(struct sl_jsonw *w, const struct sl_model_change *c, uint64_t at_ms)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "status", state_names[c->state]);
    sl_jsonw_member_time(w, "at", at_ms);
    if (c->reason != NULL)
        sl_jsonw_member_str(w, "reason", c->reason);
    if (c->message != NULL)
        sl_jsonw_member_str(w, "message", c->message);
    sl_jsonw_end(w);
}

/* A row without a history has been in its one state since it was made. */
static uint32_t
history_count(struct sl_json row)
{
    struct sl_json history = sl_json_member(row, "status_history");
    return sl_json_has(history) ? sl_json_count(history) : 1;
}

static void
write_old(struct sl_call *call, struct sl_jsonw *w, struct sl_json row, uint32_t skipped_count)
{
    struct sl_json history = sl_json_member(row, "status_history");
    if (!sl_json_has(history) && skipped_count == 0)
        write_change(w, &(struct sl_model_change){.state = sl_model_state(call, row)},
                     time_of(call, row, "created_at"));
    for (struct sl_json_iter i = sl_json_iter(history); sl_json_next(&i);) {
        if (skipped_count == 0)
            sl_jsonw_value(w, i.value);
        else
            skipped_count--;
    }
}

/* The row's changes, that of an interruption too, and `change` (NULL: none); the oldest go. */
static void
write_history(struct sl_call *call, struct sl_jsonw *w, struct sl_json row,
              const struct sl_model_change *change)
{
    bool has_end = is_interrupted(call, row);
    uint32_t count = history_count(row) + has_end + (change != NULL);
    uint32_t skipped = count > SL_MODEL_HISTORY_MAX ? count - SL_MODEL_HISTORY_MAX : 0;
    sl_jsonw_name(w, "status_history");
    sl_jsonw_array(w);
    write_old(call, w, row, skipped);
    if (has_end)
        write_change(w, &interrupted, call->gateway->started_ms);
    if (change != NULL)
        write_change(w, change, call->now_ms);
    sl_jsonw_end(w);
}

/* ---- the members --------------------------------------------------------------------------- */

static void
write_error(struct sl_jsonw *w, const struct sl_model_change *c, uint64_t at_ms)
{
    sl_jsonw_name(w, "deployment_error");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "reason", c->reason);
    sl_jsonw_member_str(w, "message", c->message);
    sl_jsonw_member_time(w, "at", at_ms);
    sl_jsonw_end(w);
}

static void
write_state(struct sl_jsonw *w, const struct sl_model_change *c, uint64_t at_ms)
{
    sl_jsonw_member_str(w, "status", state_names[c->state]);
    sl_jsonw_member_time(w, "status_at", at_ms);
    sl_jsonw_member_bool(w, "deployed", c->state == SL_MODEL_DEPLOYED);
    if (c->state == SL_MODEL_FAILED)
        write_error(w, c, at_ms);
    else
        sl_jsonw_member_null(w, "deployment_error");
}

static void
write_info(struct sl_call *call, struct sl_jsonw *w, const struct sl_resource *model)
{
    sl_jsonw_name(w, "deployment_info");
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "endpoint", sl_json_member(model->row, "endpoint"));
    sl_jsonw_member_str(w, "base_image", "sluice");
    sl_jsonw_member_str(w, "ray_cluster_url", "");
    sl_jsonw_member_str(w, "ray_deployment_name", model->id);
    sl_jsonw_member_time(w, "deployed_at", call->now_ms);
    sl_jsonw_end(w);
}

void
sl_model_status_put(struct sl_call *call, const char *namespace_id, const struct sl_resource *model,
                    const struct sl_model_change *change)
{
    sl_assert(change->state != SL_MODEL_FAILED ||
              (change->reason != NULL && change->message != NULL));
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, model->row, life);
    write_state(&w, change, call->now_ms);
    if (change->state == SL_MODEL_DEPLOYED)
        write_info(call, &w, model);
    write_history(call, &w, model->row, change);
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_MODEL, sl_key(&key, 2, namespace_id, model->id),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

void
sl_model_status_begin(struct sl_call *call, struct sl_jsonw *w)
{
    const struct sl_model_change made = {.state = SL_MODEL_PENDING};
    write_state(w, &made, call->now_ms);
    sl_jsonw_name(w, "status_history");
    sl_jsonw_array(w);
    write_change(w, &made, call->now_ms);
    sl_jsonw_end(w);
}

/* As it is stored, where the state that is stored still holds. */
static void
write_stored(struct sl_call *call, struct sl_json row)
{
    struct sl_jsonw *w = &call->out;
    bool is_old = !sl_json_has(sl_json_member(row, "status"));
    sl_jsonw_member_str(w, "status", state_names[sl_model_state(call, row)]);
    sl_jsonw_member_value(w, "status_at", sl_json_member(row, is_old ? "created_at" : "status_at"));
    sl_jsonw_member_bool(w, "deployed", sl_model_state(call, row) == SL_MODEL_DEPLOYED);
    sl_jsonw_member_value(w, "deployment_error", sl_json_member(row, "deployment_error"));
    if (sl_json_has(sl_json_member(row, "deployment_info")))
        sl_jsonw_member_value(w, "deployment_info", sl_json_member(row, "deployment_info"));
}

void
sl_model_status_write(struct sl_call *call, struct sl_json row, const char *const *hidden)
{
    const char *names[SL_COUNT_OF(life) + 8] = {0};
    size_t count = SL_COUNT_OF(life) - 1;
    memcpy(names, life, count * sizeof(names[0]));
    for (; *hidden != NULL && !SL_BUG(count + 1 >= SL_COUNT_OF(names)); hidden++)
        names[count++] = *hidden;
    sl_write_except(&call->out, row, names);
    if (is_interrupted(call, row))
        write_state(&call->out, &interrupted, call->gateway->started_ms);
    else
        write_stored(call, row);
    write_history(call, &call->out, row, NULL);
    sl_jsonw_member_value(&call->out, "updated_at", sl_json_member(row, "updated_at"));
}
