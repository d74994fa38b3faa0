/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that link handlers but no api actor: whatever a handler asks for is not available. The
 * linker takes these only where gateway/ does not have its own.
 */
#include "gateway/call.h"
#include "runtime/alloc.h"

void
sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
              sl_handler_fn *then)
{
    (void)extraction, (void)text, (void)then;
    sl_call_fail(call, SL_API_UNAVAILABLE, "nothing embeds in this test");
}

void
sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    (void)work, (void)then;
    sl_call_fail(call, SL_API_UNAVAILABLE, "nothing works in this test");
}

void
sl_call_model_load(struct sl_call *call, struct sl_slice namespace_id, struct sl_slice model_id,
                   const char *directory, sl_handler_fn *then)
{
    (void)namespace_id, (void)model_id, (void)directory, (void)then;
    sl_call_fail(call, SL_API_UNAVAILABLE, "nothing loads in this test");
}

void
sl_call_nodes(struct sl_call *call, sl_handler_fn *then)
{
    (void)then;
    sl_call_fail(call, SL_API_UNAVAILABLE, "there are no nodes in this test");
}

void
sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order, sl_handler_fn *then)
{
    (void)node, (void)order;
    sl_call_nodes(call, then);
}

void
sl_call_model_drop(struct sl_call *call, const char *directory)
{
    (void)call, (void)directory;
}

void
sl_call_wake_dispatcher(struct sl_call *call)
{
    (void)call;
}

void
sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg)
{
    (void)call;
    work(arg);
    sl_free(arg);
}
