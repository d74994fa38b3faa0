/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's weights into the memory of nodes, and out of it:
 *
 *   deploy: (is there a node with GPUs?) --> row DEPLOYING --> a node loads them --> row DEPLOYED
 *           or FAILED, and the reply
 *   evict:  row EVICTED --> after the commit every node lets them go, once no replica has them
 *
 * A failure is the reply and stays in the row: who looks later finds out why, too.
 */
#include "actors/cluster.h"
#include "actors/home.h"
#include "gateway/gateway.h"
#include "gateway/model/status.h"
#include "gateway/models.h"

struct deploying {
    enum sl_model_state before;
    const char *namespace_id, *model_id;
    const char *directory; /* Which upload it is of: another may have its name by the reply. */
    sl_handler_fn *then;
    uint64_t gpus;
    uint32_t node; /* 0: any. */
};

static const struct failure {
    enum sl_err err;
    enum sl_api_error error;
    const char *reason;
} failures[] = {
    {SL_ENOMEM, SL_API_UNAVAILABLE, "memory_not_free"},
    {SL_EFULL, SL_API_UNAVAILABLE, "node_full"},
    {SL_ETIMEOUT, SL_API_UNAVAILABLE, "timed_out"},
    {SL_ENOSPC, SL_API_UNAVAILABLE, "disk_full"},
    {SL_EUNAVAIL, SL_API_UNAVAILABLE, "not_fetched"},
    {SL_OK, SL_API_INTERNAL, "load_failed"}, /* All others. */
};
static const struct failure no_gpu = {SL_OK, SL_API_UNAVAILABLE, "gpu_required"};

/* ---- deploy -------------------------------------------------------------------------------- */

static void
fail(struct sl_call *call, const char *namespace_id, const struct sl_resource *model,
     const struct failure *f, const char *message)
{
    const struct deploying *d = call->state;
    const struct sl_model_change change = {SL_MODEL_FAILED, f->reason, message};
    /* That one node does not get what is deployed says nothing of the others. */
    bool is_elsewhere = d->node != 0 && d->before == SL_MODEL_DEPLOYED;
    if (!is_elsewhere && sl_model_state(call, model->row) != SL_MODEL_EVICTED)
        sl_model_status_put(call, namespace_id, model, &change);
    sl_call_fail(call, f->error, "%s", message);
    sl_call_detail(call, "reason", f->reason);
    call->is_failure_kept = true;
}

/* False: deleted and uploaded again meanwhile, and the call has failed; the new one's row is left
 * alone. */
static bool
is_the_same(struct sl_call *call, const struct sl_resource *model)
{
    const struct deploying *d = call->state;
    if (sl_json_is(sl_json_member(model->row, "directory"), d->directory))
        return true;
    sl_call_fail(call, SL_API_CONFLICT,
                 "%s was deleted and uploaded again while it was being loaded: deploy it again",
                 model->id);
    return false;
}

static void
load(struct sl_call *call, const struct sl_resource *model, uint32_t node)
{
    const struct deploying *d = call->state;
    struct sl_model_load what = {
        .directory = d->directory, .node = node, .home = sl_home_of(call->txn, call->who.scope)};
    if (sl_json_u64(sl_json_member(model->row, "size_bytes"), &what.size_bytes) != SL_OK)
        what.size_bytes = 0;
    if (d->before != SL_MODEL_DEPLOYED)
        sl_model_status_put(call, d->namespace_id, model,
                            &(struct sl_model_change){.state = SL_MODEL_DEPLOYING});
    sl_call_model_load(call, &what, d->then);
}

static uint64_t
gpus_of(struct sl_json row)
{
    uint64_t gpus;
    struct sl_json v = sl_json_member(sl_json_member(row, "resource_requirements"), "num_gpus");
    return sl_json_u64(v, &gpus) == SL_OK ? gpus : 0;
}

/* Whether a node of the list takes work of this tenant (actors/home.h). */
static bool
is_home(struct sl_call *call, struct sl_json node)
{
    struct sl_slice tenant = sl_home_tenant(sl_member_text(call, node, "taint"));
    if (sl_home_of(call->txn, call->who.scope) == 0)
        return tenant.size == 0;
    return sl_slice_is(tenant, call->who.tenant_id);
}

/* The node with the fewest GPUs that are enough; 0: there is none. Only: which it may be; 0: any.
 */
static uint32_t
node_with_gpus(struct sl_call *call, struct sl_json nodes, uint64_t wanted, uint32_t only,
               uint64_t *ret_most)
{
    uint64_t found = 0, least = UINT64_MAX;
    *ret_most = 0;
    for (struct sl_json_iter i = sl_json_iter(nodes); sl_json_next(&i);) {
        uint64_t gpus, node;
        if (!sl_json_is(sl_json_member(i.value, "state"), "alive") ||
            sl_json_u64(sl_json_member(i.value, "gpus"), &gpus) != SL_OK ||
            sl_json_u64(sl_json_member(i.value, "node"), &node) != SL_OK ||
            (only != 0 && node != only) || !is_home(call, i.value))
            continue;
        *ret_most = SL_MAX(*ret_most, gpus);
        if (gpus >= wanted && gpus < least) {
            least = gpus;
            found = node;
        }
    }
    return (uint32_t)found;
}

/* A GPU that is not there is told at once: nothing runs on a CPU in its place. */
static void
on_nodes(struct sl_call *call)
{
    const struct deploying *d = call->state;
    struct sl_resource model;
    struct sl_slice text;
    uint64_t most;
    if (sl_call_wait_error(call, &text) != SL_OK) {
        sl_call_fail_wait(call);
        return;
    }
    if (!sl_model_find(call, d->namespace_id, sl_slice_str(d->model_id), &model)) {
        sl_call_not_found(call, "model", sl_slice_str(d->model_id)); /* Deleted meanwhile. */
        return;
    }
    if (!is_the_same(call, &model))
        return;
    uint32_t node = node_with_gpus(call, sl_call_parse(call, text), d->gpus, d->node, &most);
    if (node != 0)
        load(call, &model, node);
    else
        fail(call, d->namespace_id, &model, &no_gpu,
             sl_call_format(call,
                            "%s needs %llu GPUs on one node and %s is %llu: "
                            "start a worker with --gpus, or upload it with num_gpus=0",
                            model.id, (unsigned long long)d->gpus,
                            d->node == 0 ? "the most that a node has" : "what this node has",
                            (unsigned long long)most));
}

bool
sl_model_deploy(struct sl_call *call, const char *namespace_id, const struct sl_resource *model,
                sl_handler_fn *then)
{
    return sl_model_deploy_at(call, namespace_id, model, 0, then);
}

bool
sl_model_deploy_at(struct sl_call *call, const char *namespace_id, const struct sl_resource *model,
                   uint32_t node, sl_handler_fn *then)
{
    struct deploying *d = sl_call_alloc(call, sizeof(*d));
    const char *directory = sl_member_str(call, model->row, "directory");
    if (directory[0] == '\0') {
        sl_call_fail(call, SL_API_INTERNAL, "the model's files are not known");
        return false;
    }
    *d = (struct deploying){.before = sl_model_state(call, model->row),
                            .namespace_id = namespace_id,
                            .model_id = model->id,
                            .directory = directory,
                            .gpus = gpus_of(model->row),
                            .node = node,
                            .then = then};
    call->state = d;
    if (d->gpus > 0)
        sl_call_nodes(call, SL_NODE_LIST_NODES, on_nodes);
    else
        load(call, model, node);
    return true;
}

bool
sl_model_deployed(struct sl_call *call, const char *namespace_id, const struct sl_resource *model)
{
    const struct deploying *d = call->state;
    struct sl_slice why;
    enum sl_err err = sl_call_wait_error(call, &why);
    enum sl_model_state now = sl_model_state(call, model->row);
    if (!is_the_same(call, model))
        return false;
    if (err != SL_OK) {
        const struct failure *f = failures;
        while (f->err != err && f->err != SL_OK)
            f++;
        fail(call, namespace_id, model, f,
             sl_call_format(call, "%s was not loaded: %.*s", model->id, SL_SLICE_FMT(why)));
        return false;
    }
    if (now == SL_MODEL_EVICTED) {
        sl_call_fail(call, SL_API_CONFLICT, "%s was evicted while it was being loaded", model->id);
        return false;
    }
    /* What was there already, by a row that says so, is no change. */
    bool is_anew = d->before == SL_MODEL_DEPLOYED && !call->wait.is_cached && d->node == 0;
    if (now != SL_MODEL_DEPLOYED || is_anew)
        sl_model_status_put(call, namespace_id, model,
                            &(struct sl_model_change){.state = SL_MODEL_DEPLOYED});
    return true;
}

bool
sl_model_may_run(struct sl_call *call, struct sl_json extraction)
{
    struct sl_resource model;
    const char *namespace_id = sl_member_str(call, extraction, "namespace");
    if (!sl_model_find(call, namespace_id, sl_member_text(call, extraction, "model"), &model) ||
        gpus_of(model.row) == 0 || sl_model_state(call, model.row) == SL_MODEL_DEPLOYED)
        return true;
    sl_call_fail(call, no_gpu.error, "%s needs a GPU and is not deployed: deploy it", model.id);
    sl_call_detail(call, "reason", no_gpu.reason);
    return false;
}

static bool
find(struct sl_call *call, struct sl_resource *ret_namespace, struct sl_resource *ret_model)
{
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], ret_namespace))
        return false;
    if (sl_model_find(call, ret_namespace->id, call->params[1], ret_model))
        return true;
    sl_call_not_found(call, "model", call->params[1]);
    return false;
}

static void
write_reply(struct sl_call *call, const char *namespace_id, const char *model_id,
            const char *status)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "model_id", model_id);
    sl_jsonw_member_str(&call->out, "namespace_id", namespace_id);
    sl_jsonw_member_str(&call->out, "deployment_status", status);
}

static void
on_loaded(struct sl_call *call)
{
    struct sl_resource namespace, model;
    if (!find(call, &namespace, &model) || /* Deleted meanwhile. */
        !sl_model_deployed(call, namespace.id, &model))
        return;
    write_reply(call, namespace.id, model.id, "deployed");
    sl_jsonw_member_bool(&call->out, "cached", call->wait.is_cached);
    sl_jsonw_member_str(&call->out, "message",
                        sl_call_format(call, "%s is in the object store", model.id));
    sl_jsonw_end(&call->out);
}

void
sl_api_deploy_model(struct sl_call *call)
{
    struct sl_resource namespace, model;
    if (find(call, &namespace, &model))
        (void)sl_model_deploy(call, namespace.id, &model, on_loaded);
}

/* ---- evict --------------------------------------------------------------------------------- */

bool
sl_model_is_kept_elsewhere(struct sl_call *call, const char *namespace_id, const char *directory)
{
    struct sl_scan scan = {0};
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (!is_found && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (sl_slice_is(sl_key_part(scan.key, 0), namespace_id) ||
            sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        struct sl_json row = sl_json_root(doc);
        is_found = sl_json_is(sl_json_member(row, "directory"), directory) &&
                   sl_json_bool(sl_json_member(row, "deployed"), false);
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    return is_found;
}

void
sl_api_evict_model(struct sl_call *call)
{
    struct sl_resource namespace, model;
    if (!find(call, &namespace, &model))
        return;
    const char *directory = sl_member_str(call, model.row, "directory");
    const char *why = sl_member_str(call, call->body, "reason");
    const struct sl_model_change change = {SL_MODEL_EVICTED, "requested",
                                           why[0] == '\0' ? NULL : why};
    if (sl_model_state(call, model.row) != SL_MODEL_EVICTED)
        sl_model_status_put(call, namespace.id, &model, &change);
    bool is_kept = sl_model_is_kept_elsewhere(call, namespace.id, directory);
    if (!is_kept)
        sl_call_model_evict(call, directory);
    write_reply(call, namespace.id, model.id, "not_deployed");
    sl_jsonw_member_str(
        &call->out, "message",
        sl_call_format(call,
                       is_kept ? "%s is evicted here; another namespace keeps its weights"
                               : "%s is evicted: its memory is free once no replica has it",
                       model.id));
    sl_jsonw_end(&call->out);
}
