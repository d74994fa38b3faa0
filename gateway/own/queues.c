/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant's own queues: made, seen, paused, limited. */
#include <inttypes.h>

#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"

#define PAGE_MAX 200

static void
write_counts(const struct sl_queue_depth *d, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "counts");
    sl_jsonw_object(w);
    for (int i = SL_STATE_NONE + 1; i < SL_STATE_COUNT; i++) {
        if (i != SL_STATE_SUCCEEDED || d->count[i] > 0)
            sl_jsonw_member_u64(w, sl_state_name((enum sl_state)i), d->count[i]);
    }
    sl_jsonw_end(w);
}

static void
write_queue(struct sl_call *call, const struct sl_queue_depth *d, struct sl_jsonw *w)
{
    uint64_t age =
        d->oldest_ms == 0 || d->oldest_ms > call->now_ms ? 0 : call->now_ms - d->oldest_ms;
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "queue", d->name);
    sl_jsonw_member_u64(w, "depth", d->ready);
    sl_jsonw_member_u64(w, "delayed", d->delayed);
    sl_jsonw_member_u64(w, "in_flight", d->leased);
    sl_jsonw_member_u64(w, "oldest_age_ms", age);
    write_counts(d, w);
    sl_own_write_settings(&d->settings, w);
    sl_jsonw_member_u64(w, "dead_retain_ms", d->settings.dead_retain_ms);
    sl_jsonw_member_u64(w, "dead_max", d->settings.dead_max);
    sl_own_write_held(call, d->scope, d->name, w);
    sl_jsonw_end(w);
}

/* ---- looking ------------------------------------------------------------------------------- */

static bool
next_own(struct sl_call *call, uint32_t *at, struct sl_queue_depth *ret_depth)
{
    while (sl_queue_depth_next(call->gateway->queue, call->who.scope, at, ret_depth)) {
        if (ret_depth->class == SL_CLASS_OWN)
            return true;
    }
    return false;
}

static void
write_page(struct sl_call *call, struct sl_list *list)
{
    struct sl_jsonw w;
    struct sl_queue_depth depth;
    uint32_t at = sl_list_start(list), next = at;
    sl_jsonw_init(&w, &list->rows);
    sl_jsonw_array(&w);
    while (next_own(call, &next, &depth)) {
        if (list->count == list->limit) {
            const char *key = sl_call_format(call, "%u", at);
            sl_cursor_encode(sl_slice_str(key), (struct sl_slice){0}, &list->next_cursor);
            break;
        }
        write_queue(call, &depth, &w);
        list->count++;
        at = next;
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

sl_handler_fn sl_api_list_own_queues, sl_api_get_own_queue, sl_api_make_own_queue,
    sl_api_patch_own_queue, sl_api_delete_own_queue;

void
sl_api_list_own_queues(struct sl_call *call)
{
    struct sl_list list;
    if (!sl_list_begin(call, PAGE_MAX / 2, &list))
        return;
    list.include_total = false;
    list.limit = SL_MIN(list.limit, (uint32_t)PAGE_MAX);
    write_page(call, &list);
    sl_jsonw_object(&call->out);
    sl_list_write(&list, &call->out);
    sl_jsonw_end(&call->out);
    sl_list_end(&list);
}

void
sl_api_get_own_queue(struct sl_call *call)
{
    struct sl_queue_depth depth;
    if (sl_own_find(call, &depth))
        write_queue(call, &depth, &call->out);
}

/* ---- setting ------------------------------------------------------------------------------- */

/* A tenant sets all but its share among tenants. */
static bool
may_set(struct sl_call *call, const struct sl_queue_depth *depth,
        const struct sl_lane_settings *settings, uint32_t fields)
{
    if (!call->who.is_operator && sl_json_has(sl_json_member(call->body, "weight"))) {
        sl_call_fail(call, SL_API_FORBIDDEN, "the weight of a queue is the operator's to set");
        return false;
    }
    return sl_own_may_change(
        call, &(struct sl_own_change){
                  .scope = depth->scope, .name = depth->name, .fields = fields, .to = settings});
}

static void
set_queue(struct sl_call *call, struct sl_queue_depth *depth)
{
    struct sl_lane_settings settings = depth->settings;
    struct sl_store_backend b;
    uint32_t fields;
    if (!sl_own_read_settings(call, call->body, &settings, &fields) ||
        !may_set(call, depth, &settings, fields))
        return;
    sl_own_backend(call, &b);
    struct sl_queue_name name = {depth->scope, depth->name};
    enum sl_err err = b.backend.ops->set(&b.backend, name, &settings);
    sl_store_backend_deinit(&b);
    depth->settings = settings;
    if (settings.mode == SL_LANE_STOPPING && sl_queue_depth_unfinished(depth) == 0)
        depth->settings.mode = SL_LANE_CLOSED; /* As the event will have it. */
    if (err != SL_OK) {
        sl_own_fail(call, err, "the queue");
        return;
    }
    write_queue(call, depth, &call->out);
    sl_own_touch(call, depth->scope, depth->name);
    sl_own_wake(call);
}

void
sl_api_patch_own_queue(struct sl_call *call)
{
    struct sl_queue_depth depth;
    if (sl_own_find(call, &depth))
        set_queue(call, &depth);
}

static uint32_t
count_own(struct sl_call *call)
{
    struct sl_queue_depth depth;
    uint32_t at = 0, count = 0;
    while (count < SL_OWN_QUEUES_MAX && next_own(call, &at, &depth))
        count++;
    return count;
}

/* One that is there stays as it is: whoever wants it may say so each time. */
void
sl_api_make_own_queue(struct sl_call *call)
{
    struct sl_slice name = call->params[0];
    struct sl_queue_depth depth;
    if (sl_own_lookup(call, name, &depth)) {
        write_queue(call, &depth, &call->out);
    } else if (!sl_own_name_is_valid(name)) {
        sl_call_invalid(call, "path.queue", "value_error",
                        "1 to %d letters, digits, '-', '_' and '.', not '.' at the start; and not "
                        "cpu, batch, gpu or -",
                        SL_LANE_NAME_MAX);
    } else if (count_own(call) == SL_OWN_QUEUES_MAX) {
        sl_call_fail(call, SL_API_QUOTA, "there are %d queues, and more may not be",
                     SL_OWN_QUEUES_MAX);
    } else {
        depth =
            (struct sl_queue_depth){.scope = call->who.scope, .class = SL_CLASS_OWN, .name = name};
        set_queue(call, &depth);
    }
}

/* ---- removing ------------------------------------------------------------------------------ */

static void
write_removed(struct sl_call *call, const struct sl_queue_depth *depth)
{
    uint64_t jobs = 0;
    for (int i = 0; i < SL_STATE_COUNT; i++)
        jobs += depth->count[i];
    sl_jsonw_object(&call->out);
    sl_jsonw_member_slice(&call->out, "queue", call->params[0]);
    sl_jsonw_member_u64(&call->out, "jobs", jobs);
    sl_jsonw_member_str(&call->out, "message", "the queue is removed");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

void
sl_api_delete_own_queue(struct sl_call *call)
{
    struct sl_queue_depth depth;
    struct sl_store_backend b;
    if (!sl_own_find(call, &depth) || !sl_own_may_drop(call, depth.scope, depth.name))
        return;
    struct sl_queue_name name = {depth.scope, depth.name};
    sl_own_backend(call, &b);
    enum sl_err err =
        b.backend.ops->drop(&b.backend, name, sl_call_query_bool(call, "force", false));
    sl_store_backend_deinit(&b);
    if (err == SL_EBUSY) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "%" PRIu64 " jobs in the queue have not ended: end or cancel them, or ?force",
                     sl_queue_depth_unfinished(&depth));
        sl_call_detail(call, "reason", "queue_has_jobs");
    } else if (err != SL_OK) {
        sl_own_fail(call, err, "the queue");
    } else {
        write_removed(call, &depth);
        sl_own_touch(call, depth.scope, call->params[0]);
        sl_own_wake(call);
    }
}
