/* SPDX-License-Identifier: Apache-2.0 */
/* Any body against every schema there is: a verdict, and if it is a refusal, one that is JSON. */
#include "gateway/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct sl_route *route, struct sl_json body)
{
    struct sl_call *call = sl_call_create();
    struct sl_json_doc *doc = NULL;
    call->route = route;
    call->body = body;
    sl_route_validate(call);
    if (sl_call_has_failed(call)) {
        sl_assert(call->status == 422);
        enum sl_err err = sl_json_parse(sl_buf_slice(&call->reply), &doc, NULL);
        sl_assert(err == SL_OK);
        uint32_t failures = sl_json_count(sl_json_member(sl_json_root(doc), "detail"));
        sl_assert(failures > 0 && failures <= 32);
        sl_json_destroy(&doc);
    }
    sl_call_destroy(&call);
}

/* The same bytes as the one field of a form. */
static void
check_form(const struct sl_route *route, struct sl_slice text)
{
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->form[0] = (struct sl_pair){sl_slice_str(route->schema[0].name), text};
    call->form[1] = (struct sl_pair){text, text};
    call->form_count = 2;
    sl_route_form_body(call);
    if (!sl_call_has_failed(call))
        sl_route_validate(call);
    sl_call_destroy(&call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    struct sl_json_doc *doc = NULL;
    bool is_json = sl_json_parse(sl_slice(data, size), &doc, NULL) == SL_OK;
    for (uint32_t i = 0; i < count; i++) {
        if (routes[i].schema == NULL)
            continue;
        if (is_json)
            check(&routes[i], sl_json_root(doc));
        check_form(&routes[i], sl_slice(data, size));
    }
    sl_json_destroy(&doc);
    return 0;
}
