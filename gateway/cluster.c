/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, for the operator: the head answers. */
#include "actors/cluster.h"
#include "actors/job_row.h"
#include "gateway/resource.h"

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
    sl_api_drain_node, sl_api_explain_placement;

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

static void
on_placement(struct sl_call *call)
{
    struct sl_slice text;
    enum sl_err err = sl_call_wait_error(call, &text);
    if (err == SL_ENOTFOUND)
        sl_call_not_found(call, "job in the queue", call->params[0]);
    else if (err != SL_OK)
        sl_call_fail_wait(call);
    else
        sl_jsonw_value(&call->out, sl_call_parse(call, text));
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
    struct sl_slice message;
    enum sl_err err = sl_call_wait_error(call, &message);
    if (err == SL_ENOTFOUND) {
        sl_call_not_found(call, "node", call->params[0]);
    } else if (err == SL_EINVAL) {
        sl_call_fail(call, SL_API_CONFLICT, "%.*s", SL_SLICE_FMT(message));
    } else if (err != SL_OK) {
        sl_call_fail_wait(call);
    } else {
        sl_jsonw_object(&call->out);
        sl_jsonw_member_str(&call->out, "message", "the node has been told");
        sl_jsonw_member_bool(&call->out, "success", true);
        sl_jsonw_end(&call->out);
    }
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
