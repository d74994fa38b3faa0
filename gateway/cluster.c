/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, for the operator: the head answers, or its state is read, as the actors of one process
 * have it. */
#include <inttypes.h>

#include "actors/cluster.h"
#include "actors/head.h"
#include "actors/job_row.h"
#include "actors/served.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "gateway/version.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/live.h"

static void
write_nodes(const struct sl_head_sums *sums, const struct sl_served_sums *served,
            struct sl_jsonw *w)
{
    sl_jsonw_name(w, "nodes");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "alive", sums->alive);
    sl_jsonw_member_u64(w, "starting", sums->starting);
    sl_jsonw_member_u64(w, "draining", sums->draining);
    sl_jsonw_member_u64(w, "dead", sums->lost);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "actors");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "alive", served->ready + served->draining);
    sl_jsonw_member_u64(w, "pending", served->starting);
    sl_jsonw_member_u64(w, "restarting", served->crashed);
    sl_jsonw_member_u64(w, "dead", served->ended);
    sl_jsonw_end(w);
}

static void
write_resource(struct sl_jsonw *w, const char *name, uint64_t total, uint64_t used)
{
    sl_jsonw_name(w, name);
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", total);
    sl_jsonw_member_u64(w, "used", used);
    sl_jsonw_end(w);
}

/* A queue's depth costs the same whatever waits in it. */
static void
write_queues(struct sl_call *call)
{
    struct sl_queue_depth depth;
    uint64_t ready = 0, delayed = 0, leased = 0, oldest_ms = 0;
    uint32_t at = 0;
    while (sl_queue_depth_next(call->gateway->queue, (struct sl_scope){0}, &at, &depth)) {
        ready += depth.ready;
        delayed += depth.delayed;
        leased += depth.leased;
        if (depth.oldest_ms != 0 && (oldest_ms == 0 || depth.oldest_ms < oldest_ms))
            oldest_ms = depth.oldest_ms;
    }
    uint64_t age_ms = oldest_ms == 0 || oldest_ms > call->now_ms ? 0 : call->now_ms - oldest_ms;
    sl_jsonw_name(&call->out, "queues");
    sl_jsonw_object(&call->out);
    sl_jsonw_member_u64(&call->out, "depth", ready);
    sl_jsonw_member_u64(&call->out, "delayed", delayed);
    sl_jsonw_member_u64(&call->out, "in_flight", leased);
    sl_jsonw_member_u64(&call->out, "oldest_age_ms", age_ms);
    sl_jsonw_end(&call->out);
}

/* Used: slots for tasks that have one, and what replicas have resident. */
static void
write_sums(struct sl_call *call, const void *head)
{
    struct sl_head_sums sums;
    struct sl_served_sums served;
    struct sl_jsonw *w = &call->out;
    sl_head_sum(head, &sums);
    sl_served_sum(sl_head_served(head), &served);
    write_nodes(&sums, &served, w);
    sl_jsonw_name(w, "resources");
    sl_jsonw_object(w);
    write_resource(w, "tasks", sums.room, sums.in_flight);
    write_resource(w, "memory", sums.memory_bytes, served.resident_bytes);
    sl_jsonw_name(w, "num_cpus");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", sums.cpus);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "num_gpus");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", sums.gpus);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
on_groups(struct sl_call *call)
{
    struct sl_slice text;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    struct sl_live *live = call->gateway->live;
    const void *head = live == NULL ? NULL : sl_live_state(live, SL_ACTOR_HEAD);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "version", SL_VERSION);
    sl_jsonw_member_str(&call->out, "leader", "head"); /* There is the one. */
    sl_jsonw_member_time(&call->out, "started_at", call->gateway->started_ms);
    if (head != NULL)
        write_sums(call, head);
    write_queues(call);
    sl_jsonw_member_value(&call->out, "groups", sl_call_parse(call, text));
    sl_jsonw_end(&call->out);
}

sl_handler_fn sl_api_get_cluster, sl_api_list_nodes, sl_api_cordon_node, sl_api_uncordon_node,
    sl_api_drain_node, sl_api_restart_replica, sl_api_explain_placement, sl_api_scale_group;

void
sl_api_get_cluster(struct sl_call *call)
{
    sl_call_nodes(call, SL_NODE_LIST_GROUPS, on_groups);
}

/* The node after which a page begins, as a decimal number. False: the call has failed. */
static bool
read_after(struct sl_call *call, const struct sl_list *list, uint32_t *ret_after)
{
    uint64_t after = 0;
    bool is_ok = list->cursor_key.size <= 10;
    for (size_t i = 0; is_ok && i < list->cursor_key.size; i++) {
        is_ok = list->cursor_key.data[i] >= '0' && list->cursor_key.data[i] <= '9';
        after = 10 * after + list->cursor_key.data[i] - (uint64_t)'0';
    }
    if (!is_ok || after > UINT32_MAX)
        sl_call_invalid(call, "query.cursor", "cursor", "the cursor is not one of this list");
    *ret_after = (uint32_t)after;
    return is_ok && after <= UINT32_MAX;
}

/* Without a limit: all of them, as whoever does not go on with cursors needs them. */
void
sl_api_list_nodes(struct sl_call *call)
{
    struct sl_list list;
    struct sl_live *live = call->gateway->live;
    const void *head = live == NULL ? NULL : sl_live_state(live, SL_ACTOR_HEAD);
    struct sl_head_ask ask = {.is_brief = sl_slice_is(sl_call_query(call, "brief"), "true")};
    uint32_t next;
    if (head == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "the head tells of its nodes: ask there");
        return;
    }
    if (!sl_list_begin(call, SL_LIST_LIMIT_MAX, &list))
        return;
    bool is_paged = list.has_cursor || sl_call_query(call, "limit").size > 0;
    ask.limit = list.limit;
    if (read_after(call, &list, &ask.after)) {
        sl_jsonw_object(&call->out);
        sl_jsonw_name(&call->out, "results");
        sl_jsonw_array(&call->out);
        do { /* Without a limit, page after page. */
            sl_head_write_nodes(head, &ask, &call->out, &next);
            ask.after = next;
        } while (!is_paged && next != 0);
        sl_jsonw_end(&call->out);
        if (next != 0)
            sl_cursor_encode(sl_slice_str(sl_call_format(call, "%" PRIu32, next)),
                             (struct sl_slice){0}, &list.next_cursor);
        sl_jsonw_member_u64(&call->out, "total", sl_head_nodes(head));
        sl_jsonw_name(&call->out, "pagination");
        sl_list_write_pagination(&list, &call->out);
        sl_jsonw_end(&call->out);
    }
    sl_list_end(&list);
}

/* The group whose nodes are started for a class: its own, or any; NONE: nobody starts some. */
static struct sl_json
group_for(struct sl_json groups, struct sl_json class)
{
    struct sl_json any = {0};
    for (struct sl_json_iter i = sl_json_iter(groups); sl_json_next(&i);) {
        struct sl_json name = sl_json_member(i.value, "group");
        if (!sl_json_has(sl_json_member(i.value, "provider")))
            continue;
        if (sl_slice_equal(sl_json_raw(name), sl_json_raw(class)))
            return i.value;
        if (sl_json_is(name, "any"))
            any = i.value;
    }
    return any;
}

/* Whether any of the job's collections has that extractor. */
static bool
is_wanted(struct sl_json placed, struct sl_json extractor)
{
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(placed, "collections"));
         sl_json_next(&i);) {
        if (sl_slice_equal(sl_json_raw(sl_json_member(i.value, "extractor")),
                           sl_json_raw(extractor)))
            return true;
    }
    return false;
}

/* Of nodes where the job's extractors do not come to work: which, and why. */
static void
write_crashed(struct sl_call *call, struct sl_json placed, struct sl_json nodes)
{
    sl_jsonw_name(&call->out, "crashed");
    sl_jsonw_array(&call->out);
    for (struct sl_json_iter n = sl_json_iter(nodes); sl_json_next(&n);) {
        for (struct sl_json_iter p = sl_json_iter(sl_json_member(n.value, "scaling"));
             sl_json_next(&p);) {
            struct sl_json life = sl_json_member(p.value, "life");
            struct sl_json extractor = sl_json_member(p.value, "extractor");
            if (!sl_json_is(sl_json_member(life, "state"), "crashed") ||
                !is_wanted(placed, extractor))
                continue;
            sl_jsonw_object(&call->out);
            sl_jsonw_member_value(&call->out, "node", sl_json_member(n.value, "name"));
            sl_jsonw_member_value(&call->out, "extractor", extractor);
            sl_jsonw_member_value(&call->out, "reason", sl_json_member(life, "reason"));
            struct sl_json next = sl_json_member(life, "next_start_at");
            if (sl_json_has(next))
                sl_jsonw_member_value(&call->out, "next_start_at", next);
            sl_jsonw_end(&call->out);
        }
    }
    sl_jsonw_end(&call->out);
}

/* What the dispatcher and the head have said of a job's placement; texts of the call. */
struct placed {
    const char *placement, *groups;
};

/* What the dispatcher knows, of the group whose nodes are to run it, and of its extractors. */
static void
on_placed_nodes(struct sl_call *call)
{
    struct sl_slice text;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    const struct placed *said = call->state;
    struct sl_json placed = sl_call_parse(call, sl_slice_str(said->placement));
    struct sl_json group =
        group_for(sl_call_parse(call, sl_slice_str(said->groups)), sl_json_member(placed, "class"));
    sl_jsonw_object(&call->out);
    for (struct sl_json_iter i = sl_json_iter(placed); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        sl_jsonw_member_value(&call->out, name, i.value);
        sl_free(name);
    }
    if (sl_json_has(group))
        sl_jsonw_member_value(&call->out, "group", group);
    write_crashed(call, placed, sl_call_parse(call, text));
    sl_jsonw_end(&call->out);
}

static void
on_placed_groups(struct sl_call *call)
{
    struct sl_slice text;
    struct placed *said = call->state;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    said->groups = sl_call_format(call, "%.*s", SL_SLICE_FMT(text));
    sl_call_nodes(call, SL_NODE_LIST_NODES, on_placed_nodes);
}

static void
on_placement(struct sl_call *call)
{
    struct sl_slice text;
    enum sl_err err = sl_call_wait_error(call, &text);
    if (err == SL_ENOTFOUND) {
        sl_call_not_found(call, "job in the queue", call->params[0]);
    } else if (err != SL_OK) {
        sl_call_fail_wait(call);
    } else {
        struct placed *said = sl_call_alloc(call, sizeof(*said));
        *said = (struct placed){.placement = sl_call_format(call, "%.*s", SL_SLICE_FMT(text))};
        call->state = said;
        sl_call_nodes(call, SL_NODE_LIST_GROUPS, on_placed_groups);
    }
}

/* The head has taken an order about `noun`, or says why not. */
static void
answer_order(struct sl_call *call, const char *noun, const char *done)
{
    struct sl_slice message;
    enum sl_err err = sl_call_wait_error(call, &message);
    if (err == SL_ENOTFOUND) {
        sl_call_not_found(call, noun, call->params[0]);
    } else if (err == SL_EINVAL) {
        sl_call_fail(call, SL_API_CONFLICT, "%.*s", SL_SLICE_FMT(message));
    } else if (err != SL_OK) {
        sl_call_fail_wait(call);
    } else {
        sl_jsonw_object(&call->out);
        sl_jsonw_member_str(&call->out, "message", done);
        sl_jsonw_member_bool(&call->out, "success", true);
        sl_jsonw_end(&call->out);
    }
}

static void
on_scaled(struct sl_call *call)
{
    answer_order(call, "group", "set, until the next apply or restart");
}

void
sl_api_scale_group(struct sl_call *call)
{
    uint64_t replicas = UINT64_MAX; /* By demand. */
    struct sl_json value = sl_json_member(call->body, "replicas");
    if (sl_json_has(value) && sl_json_u64(value, &replicas) != SL_OK)
        replicas = UINT64_MAX; /* The schema has checked it. */
    sl_call_group_scale(call, call->params[0], replicas, on_scaled);
}

void
sl_api_explain_placement(struct sl_call *call)
{
    struct sl_job_id id;
    if (sl_job_id_parse(call->params[0], &id) == SL_OK)
        sl_call_placement(call, id, on_placement);
    else
        sl_call_not_found(call, "job in the queue", call->params[0]);
}

static void
on_ordered(struct sl_call *call)
{
    answer_order(call, "node", "the node has been told");
}

void
sl_api_cordon_node(struct sl_call *call)
{
    sl_call_node_order(call, call->params[0], SL_NODE_CORDON, on_ordered);
}

void
sl_api_uncordon_node(struct sl_call *call)
{
    sl_call_node_order(call, call->params[0], SL_NODE_UNCORDON, on_ordered);
}

void
sl_api_drain_node(struct sl_call *call)
{
    sl_call_node_order(call, call->params[0], SL_NODE_DRAIN, on_ordered);
}

static void
on_restarted(struct sl_call *call)
{
    answer_order(call, "replica",
                 "it finishes what it has; another is started where one is wanted");
}

void
sl_api_restart_replica(struct sl_call *call)
{
    sl_call_node_order(call, call->params[0], SL_NODE_RESTART, on_restarted);
}
