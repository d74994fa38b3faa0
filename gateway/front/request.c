/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request up to its body, in this order of faults: route, key, permission and tenant,
 * content type, size. Each step fails the call or leaves it alone, and the first failure ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/front/page.h"
#include "gateway/front/state.h"
#include "gateway/percent.h"
#include "gateway/tenant.h"
#include "runtime/hash.h"
#include "runtime/limits.h"
#include "runtime/time.h"

#define TIMEOUT_MAX_MS   600000
#define PARAM_BYTES_MAX  256
#define FORM_EXTRA_BYTES (2 * SL_MIB) /* Fields and part headers beside the archive. */
#define IGNORED_BYTES    (1 * SL_MIB) /* A body that nobody wants. */

static bool
is_same_word(struct sl_slice a, const char *word)
{
    return a.size == strlen(word) && strncasecmp((const char *)a.data, word, a.size) == 0;
}

/* ---- ids ----------------------------------------------------------------------------------- */

static void
set_request_id(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_slice sent = sl_request_header(request, SL_HEADER_request_id);
    if (sl_is_printable(sent, 128)) {
        memcpy(call->request_id, sent.data, sent.size);
        return; /* The call is zeroed: the NUL is there. */
    }
    /* It names, it guards nothing: so no system call for each. */
    memcpy(call->request_id, "req_", 4);
    uint64_t bits = 0;
    for (size_t i = 0; i < 20; i++) {
        if (i % 10 == 0)
            bits = sl_random_u64(&request->front->random);
        call->request_id[4 + i] = "0123456789abcdefghijklmnopqrstuvwxyz"[bits % 36];
        bits /= 36;
    }
}

/* ---- route --------------------------------------------------------------------------------- */

static const char *
allow_of(struct sl_call *call, unsigned methods)
{
    struct sl_buf text = {0};
    for (int method = 0; method < SL_METHOD_COUNT; method++) {
        if (!(methods & (1u << method)))
            continue;
        sl_buf_append_str(&text, text.size == 0 ? "" : ", ");
        sl_buf_append_str(&text, sl_method_name(method));
        if (method == SL_GET)
            sl_buf_append_str(&text, ", HEAD");
    }
    struct sl_slice copy = sl_call_copy(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return (const char *)copy.data;
}

static bool
method_of(const char *text, enum sl_method *ret_method)
{
    for (int method = 0; method < SL_METHOD_COUNT; method++) {
        if (strcmp(text, sl_method_name(method)) == 0) {
            *ret_method = method;
            return true;
        }
    }
    *ret_method = SL_GET;
    return strcmp(text, "HEAD") == 0; /* libmicrohttpd leaves the body of its answer out. */
}

static void
find_route(struct sl_request *request, const char *method_text)
{
    struct sl_call *call = request->call;
    enum sl_method method;
    bool is_method = method_of(method_text, &method);
    enum sl_err err = sl_route_match(method, call->path, &call->route, call->params);
    if (err == SL_ENOTFOUND) {
        sl_call_fail(call, SL_API_NOT_FOUND, "no route has this path");
    } else if (err != SL_OK || !is_method) {
        call->route = NULL;
        sl_call_fail(call, SL_API_METHOD_NOT_ALLOWED, "the method is not allowed here");
        sl_call_header(call, "Allow", allow_of(call, sl_route_methods(call->path)));
    } else {
        call->status = call->route->success;
    }
}

/* ---- key, permission, tenant --------------------------------------------------------------- */

static void
refuse_key(struct sl_call *call, const char *why)
{
    sl_call_fail(call, SL_API_UNAUTHORIZED, "%s", why);
    sl_call_header(call, "WWW-Authenticate", "Bearer");
}

static void
authenticate(struct sl_request *request, uint64_t now_ms)
{
    struct sl_call *call = request->call;
    enum sl_err err = sl_plane_of_key(request, now_ms);
    if (err == SL_OK)
        return;
    if (err == SL_EUNAVAIL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "this gateway has not heard from its head yet");
        sl_call_detail(call, "reason", "head_unknown");
        return;
    }
    refuse_key(call, sl_request_header(request, SL_HEADER_authorization).size == 0
                         ? "an API key is needed: Authorization: Bearer sk_..."
                         : "the API key is not valid");
}

/* A valid key at a closed door. From an address that its tenant does not allow it is as one that is
 * not valid: nobody learns there which keys are. */
static void
check_door(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_door door;
    if (!sl_keyring_door(sl_request_plane(request)->keyring, call->who.scope, &door))
        return;
    if (!sl_door_has(&door, sl_request_client(request)))
        refuse_key(call, "the API key is not valid");
    else if (door.is_suspended)
        sl_tenant_fail_suspended(call);
}

void
sl_request_authenticate(struct sl_request *request)
{
    authenticate(request, request->call->now_ms);
    if (!sl_call_has_failed(request->call))
        check_door(request);
}

static void
check_permission(struct sl_call *call)
{
    static const char *const names[] = {"none",  "read",     "write", "delete",
                                        "admin", "operator", "report"};
    enum sl_permission wanted = call->route->permission;
    if (sl_identity_may(&call->who, wanted))
        return;
    sl_call_fail(call, SL_API_FORBIDDEN, "the key lacks the permission: %s", names[wanted]);
    sl_call_detail(call, "permission", names[wanted]);
}

/* An operator may act in a tenant's place; what it may do stays the operator's. */
static void
enter_tenant(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_identity tenant;
    struct sl_slice wanted = sl_request_header(request, SL_HEADER_tenant);
    if (wanted.data == NULL)
        return;
    if (!call->who.is_operator) {
        sl_call_fail(call, SL_API_FORBIDDEN, "X-Tenant-Id needs an operator's key");
    } else if (sl_keyring_tenant(sl_request_plane(request)->keyring, wanted, &tenant) != SL_OK) {
        sl_call_not_found(call, "tenant", sl_call_copy(call, wanted));
    } else {
        sl_identity_enter(&call->who, &tenant);
    }
}

/* ---- body ---------------------------------------------------------------------------------- */

static bool
is_json_type(struct sl_slice type)
{
    const uint8_t *semicolon = type.size == 0 ? NULL : memchr(type.data, ';', type.size);
    size_t size = semicolon == NULL ? type.size : (size_t)(semicolon - type.data);
    while (size > 0 && type.data[size - 1] == ' ')
        size--;
    if (size > 5 && strncasecmp((const char *)type.data + size - 5, "+json", 5) == 0)
        return true;
    return is_same_word(sl_slice(type.data, size), "application/json");
}

static void
check_type(struct sl_request *request)
{
    static const char form[] = "multipart/form-data";
    struct sl_slice type = sl_request_header(request, SL_HEADER_content_type);
    enum sl_body_kind kind = request->call->route->body;
    if (kind == SL_BODY_NONE || kind == SL_BODY_UPLOAD ||
        (!request->has_body && kind != SL_BODY_MULTIPART))
        return;
    bool is_right = type.size == 0 || is_json_type(type);
    if (kind == SL_BODY_MULTIPART)
        is_right = type.size >= sizeof(form) - 1 &&
                   strncasecmp((const char *)type.data, form, sizeof(form) - 1) == 0;
    if (!is_right)
        sl_call_fail(request->call, SL_API_MEDIA_TYPE, "the Content-Type should be %s",
                     kind == SL_BODY_MULTIPART ? form : "application/json");
}

static void
check_size(struct sl_request *request)
{
    static const uint64_t limits[] = {
        [SL_BODY_NONE] = IGNORED_BYTES,
        [SL_BODY_JSON] = SL_LIMIT_JSON_BODY_BYTES,
        [SL_BODY_JSON_BIG] = SL_LIMIT_OBJECT_BODY_BYTES,
        [SL_BODY_MULTIPART] = SL_LIMIT_ARCHIVE_BYTES + FORM_EXTRA_BYTES,
        [SL_BODY_UPLOAD] = SL_LIMIT_UPLOAD_BYTES,
    };
    request->body_limit = limits[request->call->route->body];
    if (request->content_length > request->body_limit)
        sl_body_too_large(request);
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void
decode_params(struct sl_call *call)
{
    for (uint32_t i = 0; i < SL_CALL_PARAMS_MAX && call->params[i].data != NULL; i++) {
        struct sl_slice raw = call->params[i];
        uint8_t *text = sl_call_alloc(call, raw.size + 1);
        size_t size = 0;
        if (sl_percent_decode(raw, true, text, &size) != SL_OK || size == 0) {
            sl_call_fail(call, SL_API_BAD_REQUEST, "the path is not well encoded");
            return;
        }
        call->params[i] = sl_slice(text, size);
        if (size > PARAM_BYTES_MAX) {
            sl_call_fail(call, SL_API_NOT_FOUND, "nothing has a name that long");
            return;
        }
    }
}

static struct sl_slice
decode_query(struct sl_call *call, const char *data, size_t size, bool *is_bad)
{
    if (data == NULL)
        return sl_slice("", 0);
    uint8_t *text = sl_call_alloc(call, size + 1);
    size_t text_size = 0;
    if (sl_percent_decode(sl_slice(data, size), false, text, &text_size) != SL_OK)
        *is_bad = true;
    return sl_slice(text, text_size);
}

static enum MHD_Result
collect_query(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
              const char *value, size_t value_size)
{
    (void)kind;
    struct sl_call *call = arg;
    bool is_bad = false;
    if (call->query_count == SL_CALL_QUERY_MAX) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "there are more than %d query parameters",
                     SL_CALL_QUERY_MAX);
        return MHD_NO;
    }
    call->query[call->query_count++] =
        (struct sl_pair){.name = decode_query(call, name, name_size, &is_bad),
                         .value = decode_query(call, value, value_size, &is_bad)};
    if (is_bad)
        sl_call_fail(call, SL_API_BAD_REQUEST, "the query is not well encoded");
    return is_bad ? MHD_NO : MHD_YES;
}

/* How long the reply is waited for, and what requests belong together: of routes whose reply a
 * replica makes. */
static void
read_wishes(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_slice timeout = sl_request_header(request, SL_HEADER_timeout_ms);
    struct sl_slice session = sl_request_header(request, SL_HEADER_session_id);
    uint64_t ms = 0;
    bool is_number = timeout.size > 0 && timeout.size <= 6;
    if (!(call->route->flags & (SL_ROUTE_RESOLVES | SL_ROUTE_EVENTS)))
        return;
    for (size_t i = 0; is_number && i < timeout.size; i++) {
        is_number = timeout.data[i] >= '0' && timeout.data[i] <= '9';
        ms = 10 * ms + (uint64_t)(timeout.data[i] - '0');
    }
    if (timeout.data != NULL && (!is_number || ms == 0 || ms > TIMEOUT_MAX_MS))
        sl_call_fail(call, SL_API_BAD_REQUEST, "X-Timeout-Ms is a whole number from 1 to %d",
                     TIMEOUT_MAX_MS);
    call->timeout_ns = ms * SL_MILLI_NS;
    if (session.size > 0)
        call->sticky = SL_MAX(sl_hash64(session) ^ call->who.scope.id, UINT64_C(1));
}

/* What is malformed is ignored: the trace is one of ours then, and the state is of nothing. */
static void
read_trace(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_slice state = sl_request_header(request, SL_HEADER_tracestate);
    bool is_theirs = sl_trace_context_enter(sl_request_header(request, SL_HEADER_traceparent),
                                            &request->front->random, &call->sent.trace);
    if (!is_theirs)
        sl_trace_context_sample(&call->sent.trace, request->front->options.traced);
    if (is_theirs && sl_trace_state_is_good(state))
        call->sent.trace_state = sl_call_copy(call, state);
}

static void
copy_headers(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_slice namespace = sl_request_header(request, SL_HEADER_namespace);
    struct sl_slice key = sl_request_header(request, SL_HEADER_idempotency_key);
    if (namespace.data != NULL)
        call->namespace_header = sl_call_copy(call, namespace);
    call->site = sl_request_site(request);
    call->user_agent = sl_call_copy(call, sl_request_header(request, SL_HEADER_user_agent));
    call->sent.last_event_id =
        sl_call_copy(call, sl_request_header(request, SL_HEADER_last_event_id));
    call->client = sl_request_client(request);
    read_trace(request);
    read_wishes(request);
    if (key.data != NULL && !sl_is_printable(key, 255))
        sl_call_fail(call, SL_API_BAD_REQUEST,
                     "an Idempotency-Key is 1 to 255 printable ASCII characters");
    else if (key.data != NULL)
        call->idempotency_key = sl_call_copy(call, key);
}

static void
admit(struct sl_request *request, const char *method)
{
    struct sl_call *call = request->call;
    find_route(request, method);
    if (!sl_call_has_failed(call) && call->route->permission != SL_PERMIT_NONE) {
        sl_request_authenticate(request);
        if (!sl_call_has_failed(call))
            check_permission(call);
        if (!sl_call_has_failed(call))
            enter_tenant(request);
        /* Before gigabytes are sent for nothing. */
        if (!sl_call_has_failed(call) && (call->route->flags & SL_ROUTE_ENTERPRISE) &&
            !sl_identity_is_enterprise(&call->who))
            sl_call_fail(call, SL_API_FORBIDDEN, SL_IDENTITY_TIER_NEEDED);
    }
    if (!sl_call_has_failed(call))
        check_type(request);
    if (!sl_call_has_failed(call))
        check_size(request);
    if (!sl_call_has_failed(call))
        decode_params(call);
    if (!sl_call_has_failed(call))
        MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, collect_query,
                                    call);
    if (!sl_call_has_failed(call))
        copy_headers(request);
    if (!sl_call_has_failed(call) && call->route->permission == SL_PERMIT_NONE)
        sl_plane_of_address(request);
}

void
sl_request_begin(struct sl_request *request, const struct sl_request_line *line)
{
    struct sl_call *call = request->call;
    call->now_ms = sl_time_wall_ms();
    call->path = sl_call_copy(call, sl_slice_str(line->url));
    sl_head_read(request);
    set_request_id(request);
    sl_head_check(request, line);
    if (sl_call_has_failed(call))
        return;
    if (sl_page_begin(request, line))
        return;
    if (request->front->options.post == NULL)
        sl_call_fail(call, SL_API_NOT_FOUND, "no page has this path");
    else if (atomic_load(&request->front->is_draining))
        sl_call_fail(call, SL_API_UNAVAILABLE, "draining: this server is about to stop");
    else
        admit(request, line->method);
}
