/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues: what waits in them, and what may be set about them. A queue is {tenant}:{class}, or
 * {tenant}:{name} of a tenant's own. Those of a class are there for each tenant, though a list has
 * only those that have tasks or settings.
 */
#include "actors/rows.h"
#include "gateway/cluster.h"
#include "gateway/list.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "queue/look.h"
#include "queue/trail.h"

#define PAGE_MAX 200 /* Queues of a page: for each its tenant is looked for. */

struct found {
    struct sl_queue_depth depth;
    struct sl_identity tenant; /* Whose it is. */
};

static bool
is_of(const struct sl_call *call, struct sl_slice tenant_id)
{
    return call->who.is_operator || sl_slice_is(tenant_id, call->who.tenant_id);
}

static bool
class_named(struct sl_slice name, enum sl_class *ret_class)
{
    for (unsigned i = 0; i < SL_CLASS_COUNT; i++) {
        *ret_class = (enum sl_class)i;
        if (sl_slice_is(name, sl_class_name(*ret_class)))
            return true;
    }
    return false;
}

static bool
find_in(const struct sl_queue *queue, struct sl_scope scope, struct sl_slice name,
        struct sl_queue_depth *ret_depth)
{
    enum sl_class class;
    if (class_named(name, &class)) {
        if (sl_queue_depth(queue, scope, class, 0, ret_depth) != SL_OK)
            *ret_depth = (struct sl_queue_depth){.scope = scope, .class = class};
        return true;
    }
    return sl_lane_name_is_valid(name) &&
           sl_queue_depth(queue, scope, SL_CLASS_OWN, sl_lane_hash(name), ret_depth) == SL_OK;
}

/* What the path names. Another tenant's is as one that is not there. */
static bool
find(struct sl_call *call, struct found *ret_found)
{
    struct sl_slice all = call->params[0];
    const uint8_t *colon = all.size == 0 ? NULL : memchr(all.data, ':', all.size);
    size_t at = colon == NULL ? 0 : (size_t)(colon - all.data);
    struct sl_slice tenant_id = sl_slice(all.data, at);
    if (colon != NULL && is_of(call, tenant_id) &&
        sl_keyring_tenant(call->gateway->keyring, tenant_id, &ret_found->tenant) == SL_OK &&
        find_in(call->gateway->queue, ret_found->tenant.scope,
                sl_slice(colon + 1, all.size - at - 1), &ret_found->depth))
        return true;
    sl_call_not_found(call, "queue", all);
    return false;
}

bool
sl_cluster_queue(struct sl_call *call, struct sl_queue_depth *ret_depth)
{
    struct found f;
    bool is_there = find(call, &f);
    if (is_there)
        *ret_depth = f.depth;
    return is_there;
}

static struct sl_slice
name_of(const struct sl_queue_depth *d)
{
    return d->class == SL_CLASS_OWN ? d->name : sl_slice_str(sl_class_name(d->class));
}

static void
write_queue(struct sl_call *call, const struct found *f, struct sl_jsonw *w)
{
    const struct sl_queue_depth *d = &f->depth;
    struct sl_slice name = name_of(d);
    uint64_t age =
        d->oldest_ms == 0 || d->oldest_ms > call->now_ms ? 0 : call->now_ms - d->oldest_ms;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "queue",
                        sl_call_format(call, "%s:%.*s", f->tenant.tenant_id, SL_SLICE_FMT(name)));
    sl_jsonw_member_str(w, "tenant_id", f->tenant.tenant_id);
    sl_jsonw_member_u64(w, "depth", d->ready);
    sl_jsonw_member_u64(w, "delayed", d->delayed);
    sl_jsonw_member_u64(w, "in_flight", d->leased);
    sl_jsonw_member_u64(w, "oldest_age_ms", age);
    sl_own_write_settings(&d->settings, w);
    sl_own_write_held(call, d->scope, name, w);
    sl_jsonw_end(w);
}

/* ---- looking ------------------------------------------------------------------------------- */

bool
sl_cluster_scope(struct sl_call *call, struct sl_scope *ret_scope)
{
    struct sl_slice wanted = sl_call_query(call, "tenant_id");
    struct sl_identity tenant = call->who;
    bool is_there = wanted.data == NULL ||
                    (is_of(call, wanted) &&
                     sl_keyring_tenant(call->gateway->keyring, wanted, &tenant) == SL_OK);
    if (!is_there)
        sl_call_not_found(call, "tenant", wanted);
    bool is_all = wanted.data == NULL && call->who.is_operator;
    *ret_scope = is_all ? (struct sl_scope){0} : tenant.scope;
    return is_there;
}

static void
write_page(struct sl_call *call, struct sl_list *list, struct sl_scope scope)
{
    struct sl_jsonw w;
    struct found f;
    uint32_t at = sl_list_start(list), next = at;
    sl_jsonw_init(&w, &list->rows);
    sl_jsonw_array(&w);
    while (sl_queue_depth_next(call->gateway->queue, scope, &next, &f.depth)) {
        if (sl_keyring_tenant_of(call->gateway->keyring, f.depth.scope, &f.tenant) != SL_OK)
            continue; /* It is gone. */
        if (list->count == list->limit) {
            const char *key = sl_call_format(call, "%u", at);
            sl_cursor_encode(sl_slice_str(key), (struct sl_slice){0}, &list->next_cursor);
            break;
        }
        write_queue(call, &f, &w);
        list->count++;
        at = next;
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

sl_handler_fn sl_api_list_queues, sl_api_get_queue, sl_api_pause_queue, sl_api_resume_queue,
    sl_api_drain_queue, sl_api_stop_queue, sl_api_limit_queue;

void
sl_api_list_queues(struct sl_call *call)
{
    struct sl_list list;
    struct sl_scope scope;
    if (!sl_cluster_scope(call, &scope) || !sl_list_begin(call, PAGE_MAX / 2, &list))
        return;
    list.include_total = false;
    list.limit = list.limit > PAGE_MAX ? PAGE_MAX : list.limit;
    write_page(call, &list, scope);
    sl_jsonw_object(&call->out);
    sl_list_write(&list, &call->out);
    sl_jsonw_end(&call->out);
    sl_list_end(&list);
}

void
sl_api_get_queue(struct sl_call *call)
{
    struct found f;
    if (find(call, &f))
        write_queue(call, &f, &call->out);
}

/* ---- setting ------------------------------------------------------------------------------- */

/* What may be handed out has changed: the dispatcher looks again. */
static void
put_settings(struct sl_call *call, struct found *f, const struct sl_lane_settings *settings)
{
    struct sl_buf event = {0};
    sl_queue_wall(call->gateway->queue, call->now_ms);
    sl_queue_event_lane(&event, f->depth.class, f->depth.name, settings);
    sl_txn_event(call->txn, SL_PROJECTION_QUEUE, f->tenant.scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
    sl_call_wake_dispatcher(call);
    if (f->depth.class == SL_CLASS_OWN)
        sl_own_touch(call, f->tenant.scope, f->depth.name);
    sl_own_wake(call);
    f->depth.settings = *settings;
    if (settings->mode == SL_LANE_STOPPING && sl_queue_depth_unfinished(&f->depth) == 0)
        f->depth.settings.mode = SL_LANE_CLOSED; /* As the event will have it. */
    write_queue(call, f, &call->out);
}

static void
change(struct sl_call *call, struct found *f, const struct sl_lane_settings *settings,
       uint32_t fields)
{
    struct sl_own_change c = {
        .scope = f->tenant.scope, .name = name_of(&f->depth), .fields = fields, .to = settings};
    if (sl_own_may_change(call, &c))
        put_settings(call, f, settings);
}

static void
set_mode(struct sl_call *call, enum sl_lane_mode mode)
{
    struct found f;
    if (!find(call, &f))
        return;
    struct sl_lane_settings settings = f.depth.settings;
    settings.mode = mode;
    change(call, &f, &settings, SL_OWN_FIELD_MODE);
}

void
sl_api_pause_queue(struct sl_call *call)
{
    set_mode(call, SL_LANE_PAUSED);
}

void
sl_api_resume_queue(struct sl_call *call)
{
    set_mode(call, SL_LANE_OPEN);
}

void
sl_api_drain_queue(struct sl_call *call)
{
    set_mode(call, SL_LANE_DRAINING);
}

/* Later tiers of a batch come to its queue one after the other: it is empty in between. */
void
sl_api_stop_queue(struct sl_call *call)
{
    struct found f;
    if (!find(call, &f))
        return;
    if (f.depth.class != SL_CLASS_OWN)
        sl_call_fail(call, SL_API_CONFLICT,
                     "only queues of the tenant's own stop: drain this one instead");
    else
        set_mode(call, SL_LANE_STOPPING);
}

/* The schema has checked the numbers: each fits. */
void
sl_api_limit_queue(struct sl_call *call)
{
    struct found f;
    uint32_t fields;
    if (!find(call, &f))
        return;
    struct sl_lane_settings settings = f.depth.settings;
    if (sl_own_read_settings(call, call->body, &settings, &fields))
        change(call, &f, &settings, fields);
}
