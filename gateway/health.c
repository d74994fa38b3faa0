/* SPDX-License-Identifier: Apache-2.0 */
/* The public routes that need no store, and the refusal of what is not served. */
#include "gateway/call.h"
#include "gateway/route.h"

void
sl_api_health_liveness(struct sl_call *call)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "status", "ok");
    sl_jsonw_end(&call->out);
}

void
sl_api_openapi(struct sl_call *call)
{
    sl_route_openapi(&call->reply);
}

void
sl_api_refused(struct sl_call *call)
{
    sl_call_fail(call, SL_API_NOT_IMPLEMENTED, "%s by this server", call->route->summary);
}
