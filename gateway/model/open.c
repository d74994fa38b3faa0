/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/model/open.h"

#include "gateway/gateway.h"
#include "gateway/model/status.h"
#include "gateway/models.h"
#include "gateway/route.h"

/* Its namespace and model are the path's, as the routes' are. */
#define SPACE 0
#define MODEL 1

static void
write_directory(struct sl_call *call, const struct sl_resource *model)
{
    sl_buf_clear(&call->reply);
    sl_buf_append_str(&call->reply, sl_member_str(call, model->row, "directory"));
}

static bool
find(struct sl_call *call, const char **ret_space, struct sl_resource *ret_model)
{
    *ret_space = (const char *)sl_call_copy(call, call->params[SPACE]).data;
    if (sl_model_find(call, *ret_space, call->params[MODEL], ret_model))
        return true;
    sl_call_not_found(call, "model", call->params[MODEL]);
    return false;
}

static void
on_loaded(struct sl_call *call)
{
    const char *space;
    struct sl_resource model;
    if (find(call, &space, &model) && /* Else it was deleted meanwhile. */
        sl_model_deployed(call, space, &model))
        write_directory(call, &model);
}

/* To use what is deployed a plan does not ask for anything, as where collections use it. */
static bool
may_deploy(struct sl_call *call, const struct sl_resource *model)
{
    if (sl_model_state(call, model->row) == SL_MODEL_DEPLOYED)
        return true;
    if (sl_keyring_tenant_of(call->gateway->keyring, call->who.scope, &call->who) != SL_OK)
        sl_call_not_found(call, "model", call->params[MODEL]); /* Nobody's. */
    else if (!sl_identity_is_enterprise(&call->who))
        sl_call_fail(call, SL_API_FORBIDDEN, SL_IDENTITY_TIER_NEEDED);
    return !sl_call_has_failed(call);
}

static void
open_model(struct sl_call *call)
{
    const char *space;
    struct sl_resource model;
    if (find(call, &space, &model) && may_deploy(call, &model))
        (void)sl_model_deploy_at(call, space, &model, call->asker.node, on_loaded);
}

struct sl_call *
sl_model_open_call(const struct sl_msg *msg)
{
    static const struct sl_route route = {.method = SL_POST,
                                          .path = "",
                                          .name = "open_model",
                                          .permission = SL_PERMIT_WRITE,
                                          .success = 200,
                                          .handler = open_model};
    const struct sl_m_model_open *m = SL_BODY(msg, model_open);
    struct sl_call *call = sl_call_create();
    call->route = &route;
    call->who.scope = (struct sl_scope){m->tenant};
    call->params[SPACE] = sl_call_copy(call, m->space);
    call->params[MODEL] = sl_call_copy(call, m->model);
    call->asker = (struct sl_call_asker){
        .node = msg->from.node, .actor = msg->from.actor, .request = msg->request};
    return call;
}

static enum sl_err
err_of(const struct sl_call *call)
{
    switch (call->status) {
    case 403:
    case 404:
        return SL_ENOTFOUND;
    case 409: /* It was evicted, or made anew, while it was being loaded: the next try may do. */
        return SL_EUNAVAIL;
    case 503:
        return call->wait.error == SL_ETIMEOUT || call->wait.error == SL_EUNAVAIL ? call->wait.error
                                                                                  : SL_EFULL;
    default:
        return SL_EIO;
    }
}

void
sl_model_open_reply(const struct sl_call *call, struct sl_m_model_opened *ret_reply)
{
    bool has_failed = sl_call_has_failed(call);
    *ret_reply = (struct sl_m_model_opened){.err = has_failed ? err_of(call) : SL_OK};
    if (has_failed)
        ret_reply->message = sl_slice_str(sl_call_failure(call));
    else
        ret_reply->directory = sl_buf_slice(&call->reply);
}
