/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, for the operator: the head answers. */
#include "actors/cluster.h"
#include "actors/job_row.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/alloc.h"

#define EVENTS_MAX   256
#define EVENTS_USUAL 20

static void
on_nodes(struct sl_call *call)
{
    struct sl_slice text;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    struct sl_json nodes = sl_call_parse(call, text);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_value(&call->out, "results", nodes);
    sl_jsonw_member_u64(&call->out, "total", sl_json_count(nodes));
    sl_jsonw_end(&call->out);
}

static void
on_groups(struct sl_call *call)
{
    struct sl_slice text;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    sl_jsonw_object(&call->out);
    sl_jsonw_member_value(&call->out, "groups", sl_call_parse(call, text));
    sl_jsonw_end(&call->out);
}

sl_handler_fn sl_api_get_cluster, sl_api_list_nodes, sl_api_cordon_node, sl_api_uncordon_node,
    sl_api_drain_node, sl_api_explain_placement, sl_api_scale_group, sl_api_list_events;

void
sl_api_get_cluster(struct sl_call *call)
{
    sl_call_nodes(call, SL_NODE_LIST_GROUPS, on_groups);
}

void
sl_api_list_nodes(struct sl_call *call)
{
    sl_call_nodes(call, SL_NODE_LIST_NODES, on_nodes);
}

/* The last ones that were asked for, the latest last. */
static void
on_events(struct sl_call *call)
{
    struct sl_slice text;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    struct sl_json events = sl_call_parse(call, text);
    uint32_t limit = sl_list_number(call, "limit", NULL, 1, EVENTS_MAX, EVENTS_USUAL);
    uint32_t count = sl_json_count(events), at = 0;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    for (struct sl_json_iter i = sl_json_iter(events); sl_json_next(&i); at++) {
        if (at + limit >= count)
            sl_jsonw_value(&call->out, i.value);
    }
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", count);
    sl_jsonw_end(&call->out);
}

void
sl_api_list_events(struct sl_call *call)
{
    sl_call_nodes(call, SL_NODE_LIST_EVENTS, on_events);
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
