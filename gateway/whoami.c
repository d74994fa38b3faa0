/* SPDX-License-Identifier: Apache-2.0 */
/* Whose key was sent. The front knows: no store is asked, and nothing is limited or metered. */
#include "gateway/call.h"
#include "gateway/route.h"

void
sl_api_get_identity(struct sl_call *call)
{
    static const char *const names[] = {[SL_PERMIT_READ] = "read",
                                        [SL_PERMIT_WRITE] = "write",
                                        [SL_PERMIT_DELETE] = "delete",
                                        [SL_PERMIT_ADMIN] = "admin",
                                        [SL_PERMIT_REPORT] = "report"};
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "tenant_id", call->who.tenant_id);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_str(w, "key_id", call->who.key_id);
    sl_jsonw_name(w, "permissions");
    sl_jsonw_array(w);
    for (size_t p = 0; p < SL_COUNT_OF(names); p++) {
        if (names[p] != NULL && sl_identity_may(&call->who, (enum sl_permission)p))
            sl_jsonw_str(w, names[p]);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_bool(w, "is_operator", call->who.is_operator);
    sl_jsonw_end(w);
}
