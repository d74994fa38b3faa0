/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call_wire.h"

#include "gateway/route.h"
#include "object-store/blob.h"
#include "runtime/limits.h"

#define WIRE_VERSION    6
#define REPLY_VERSION   5
#define WHO_OPERATOR    1u
#define WHO_SCOPES      2u
#define UPLOAD_IS_QUERY 1u
#define TYPE_BYTES_MAX  1024u
#define VALUE_BYTES_MAX (64 * SL_KIB)

/* ---- the request --------------------------------------------------------------------------- */

static void
write_str(struct sl_buf *out, const char *text)
{
    sl_buf_append_block(out, sl_slice_str(text));
}

static void
write_who(const struct sl_identity *who, struct sl_buf *out)
{
    sl_buf_append_u64(out, who->scope.id);
    sl_buf_append_u32(out, who->permissions);
    sl_buf_append_u8(
        out, (uint8_t)((who->is_operator ? WHO_OPERATOR : 0) | (who->has_scopes ? WHO_SCOPES : 0)));
    sl_buf_append(out, who->digest, sizeof(who->digest));
    write_str(out, who->tenant_id);
    write_str(out, who->organization_id);
    write_str(out, who->key_id);
    write_str(out, who->user_id);
    write_str(out, who->account_type);
}

static void
write_pairs(const struct sl_pair *pairs, uint32_t count, struct sl_buf *out)
{
    sl_buf_append_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_append_block(out, pairs[i].name);
        sl_buf_append_block(out, pairs[i].value);
    }
}

static uint32_t
params_count(const struct sl_route *route)
{
    uint32_t count = 0;
    for (const char *p = route->path; (p = strchr(p, '{')) != NULL; p++)
        count++;
    return count;
}

void
sl_call_request_write(const struct sl_call *call, struct sl_buf *out)
{
    uint32_t params = params_count(call->route);
    sl_buf_append_u8(out, WIRE_VERSION);
    sl_buf_append_u8(out, (uint8_t)call->route->method);
    write_str(out, call->route->path);
    write_who(&call->who, out);
    write_str(out, call->request_id);
    sl_buf_append_block(out, call->path);
    sl_buf_append_u32(out, params);
    for (uint32_t i = 0; i < params; i++)
        sl_buf_append_block(out, call->params[i]);
    write_pairs(call->query, call->query_count, out);
    write_pairs(call->form, call->form_count, out);
    write_str(out, call->upload.blob);
    write_str(out, call->upload.name);
    sl_buf_append_u64(out, call->upload.size_bytes);
    sl_buf_append_block(out, call->upload.filename);
    sl_buf_append_u8(out, call->upload.is_query ? UPLOAD_IS_QUERY : 0);
    sl_buf_append_block(out, call->namespace_header);
    sl_buf_append_block(out, call->idempotency_key);
    sl_buf_append_block(out, call->user_agent);
    sl_buf_append_block(out, call->client);
    sl_buf_append_block(out, call->site);
    sl_buf_append_block(out, call->sent.last_event_id);
    sl_buf_append_block(out, call->sent.trace_state);
    sl_buf_append(out, call->sent.trace.trace, sizeof(call->sent.trace.trace));
    sl_buf_append(out, call->sent.trace.span, sizeof(call->sent.trace.span));
    sl_buf_append(out, call->sent.trace.parent, sizeof(call->sent.trace.parent));
    sl_buf_append_u8(out, call->sent.trace.flags);
    sl_buf_append_u64(out, call->timeout_ns);
    sl_buf_append_u64(out, call->sticky);
    /* A form's body follows from its fields. */
    bool has_body = call->route->body == SL_BODY_JSON || call->route->body == SL_BODY_JSON_BIG;
    sl_buf_append_block(out, has_body ? sl_buf_slice(&call->body_buf) : sl_slice_str(""));
}

/* A text for an array of `size` bytes; false: it does not fit, or has a NUL. */
static bool
read_str(struct sl_reader *r, char *ret_text, size_t size)
{
    struct sl_slice text = sl_read_block(r);
    bool is_good = !r->is_bad && text.size < size &&
                   (text.size == 0 || memchr(text.data, '\0', text.size) == NULL);
    memset(ret_text, 0, size);
    if (is_good && text.size > 0)
        memcpy(ret_text, text.data, text.size);
    return is_good;
}

static struct sl_slice
read_text(struct sl_reader *r, struct sl_call *call)
{
    struct sl_slice text = sl_read_block(r);
    return r->is_bad ? sl_slice(NULL, 0) : sl_call_copy(call, text);
}

static bool
read_who(struct sl_reader *r, struct sl_identity *who)
{
    who->scope.id = sl_read_u64(r);
    who->permissions = sl_read_u32(r);
    uint8_t flags = sl_read_u8(r);
    who->is_operator = (flags & WHO_OPERATOR) != 0;
    who->has_scopes = (flags & WHO_SCOPES) != 0;
    struct sl_slice digest = sl_read_bytes(r, sizeof(who->digest));
    if (r->is_bad || (flags & ~(WHO_OPERATOR | WHO_SCOPES)) != 0)
        return false;
    memcpy(who->digest, digest.data, sizeof(who->digest));
    return read_str(r, who->tenant_id, sizeof(who->tenant_id)) &&
           read_str(r, who->organization_id, sizeof(who->organization_id)) &&
           read_str(r, who->key_id, sizeof(who->key_id)) &&
           read_str(r, who->user_id, sizeof(who->user_id)) &&
           read_str(r, who->account_type, sizeof(who->account_type));
}

/* An absent value (a form's, of a part that is a file) comes back as an empty one. */
static bool
read_pairs(struct sl_reader *r, struct sl_call *call, struct sl_pair *pairs, uint32_t max,
           uint32_t *ret_count)
{
    uint32_t count = sl_read_u32(r);
    if (r->is_bad || count > max)
        return false;
    for (uint32_t i = 0; i < count && !r->is_bad; i++) {
        pairs[i].name = read_text(r, call);
        pairs[i].value = read_text(r, call);
    }
    *ret_count = count;
    return !r->is_bad;
}

static const struct sl_route *
route_lookup(uint8_t method, struct sl_slice path)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (routes[i].method == (enum sl_method)method && sl_slice_is(path, routes[i].path))
            return &routes[i];
    }
    return NULL;
}

static bool
read_params(struct sl_reader *r, struct sl_call *call)
{
    uint32_t count = sl_read_u32(r);
    if (r->is_bad || count != params_count(call->route) || count > SL_CALL_PARAMS_MAX)
        return false;
    for (uint32_t i = 0; i < count && !r->is_bad; i++)
        call->params[i] = read_text(r, call);
    return !r->is_bad;
}

static bool
is_upload_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == strlen(name);
}

static bool
read_upload(struct sl_reader *r, struct sl_call *call)
{
    struct sl_upload *u = &call->upload;
    bool is_good = read_str(r, u->blob, sizeof(u->blob)) && read_str(r, u->name, sizeof(u->name)) &&
                   (u->blob[0] == '\0' || sl_blob_is_id(u->blob)) && is_upload_name(u->name);
    u->size_bytes = sl_read_u64(r);
    u->filename = read_text(r, call);
    uint8_t flags = sl_read_u8(r);
    u->is_query = (flags & UPLOAD_IS_QUERY) != 0;
    return is_good && !r->is_bad && (flags & ~UPLOAD_IS_QUERY) == 0;
}

static bool
read_body(struct sl_reader *r, struct sl_call *call)
{
    struct sl_slice body = sl_read_block(r);
    enum sl_body_kind kind = call->route->body;
    if (!sl_reader_is_done(r))
        return false;
    if (kind == SL_BODY_MULTIPART) {
        sl_route_form_body(call);
        return !sl_call_has_failed(call) && body.size == 0;
    }
    if (kind != SL_BODY_JSON && kind != SL_BODY_JSON_BIG)
        return body.size == 0;
    sl_buf_append_slice(&call->body_buf, body);
    call->body_text = sl_buf_slice(&call->body_buf);
    struct sl_slice text = body.size == 0 ? sl_slice_str("{}") : call->body_text;
    if (sl_json_parse(text, &call->body_doc, NULL) != SL_OK)
        return false;
    call->body = sl_json_root(call->body_doc);
    return true;
}

static bool
read_trace(struct sl_reader *r, struct sl_call *call)
{
    struct sl_trace_context *trace = &call->sent.trace;
    call->sent.trace_state = read_text(r, call);
    struct sl_slice id = sl_read_bytes(r, sizeof(trace->trace));
    struct sl_slice span = sl_read_bytes(r, sizeof(trace->span));
    struct sl_slice parent = sl_read_bytes(r, sizeof(trace->parent));
    trace->flags = sl_read_u8(r);
    if (r->is_bad || (trace->flags & ~SL_TRACE_SAMPLED) != 0 ||
        (call->sent.trace_state.size > 0 && !sl_trace_state_is_good(call->sent.trace_state)))
        return false;
    memcpy(trace->trace, id.data, sizeof(trace->trace));
    memcpy(trace->span, span.data, sizeof(trace->span));
    memcpy(trace->parent, parent.data, sizeof(trace->parent));
    return true;
}

static bool
read_request(struct sl_reader *r, struct sl_call *call)
{
    if (!read_who(r, &call->who) || !read_str(r, call->request_id, sizeof(call->request_id)))
        return false;
    call->path = read_text(r, call);
    if (!read_params(r, call) ||
        !read_pairs(r, call, call->query, SL_CALL_QUERY_MAX, &call->query_count) ||
        !read_pairs(r, call, call->form, SL_CALL_FORM_MAX, &call->form_count) ||
        !read_upload(r, call))
        return false;
    call->namespace_header = read_text(r, call);
    call->idempotency_key = read_text(r, call);
    call->user_agent = read_text(r, call);
    call->client = read_text(r, call);
    call->site = read_text(r, call);
    call->sent.last_event_id = read_text(r, call);
    if (!read_trace(r, call))
        return false;
    call->timeout_ns = sl_read_u64(r);
    call->sticky = sl_read_u64(r);
    return !r->is_bad && read_body(r, call);
}

enum sl_err
sl_call_request_read(struct sl_slice text, struct sl_call **ret_call)
{
    struct sl_reader r = sl_reader(text);
    uint8_t version = sl_read_u8(&r), method = sl_read_u8(&r);
    struct sl_slice path = sl_read_block(&r);
    if (r.is_bad || version != WIRE_VERSION)
        return SL_ECORRUPT;
    const struct sl_route *route = route_lookup(method, path);
    if (route == NULL)
        return SL_ENOTFOUND;
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->status = route->success;
    if (!read_request(&r, call)) {
        sl_call_destroy(&call);
        return SL_ECORRUPT;
    }
    *ret_call = call;
    return SL_OK;
}

/* ---- the reply ----------------------------------------------------------------------------- */

/* Printable ASCII: nothing that could end a header early. */
static bool
is_header_text(struct sl_slice text, size_t max)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    }
    return text.size <= max;
}

void
sl_call_reply_write(const struct sl_call *call, struct sl_buf *out)
{
    bool has_file = call->reply_fd >= 0 && call->status < 400;
    struct sl_slice type = sl_slice_str(call->reply_type == NULL ? "" : call->reply_type);
    sl_buf_append_u8(out, REPLY_VERSION);
    sl_buf_append_u32(out, call->status);
    if (!is_header_text(type, TYPE_BYTES_MAX)) /* A type that some client made up. */
        type = sl_slice_str("application/octet-stream");
    sl_buf_append_block(out, type);
    write_pairs(call->headers, call->headers_count, out);
    write_str(out, has_file ? call->reply_blob : "");
    sl_buf_append_u64(out, has_file ? call->reply_file_size : 0);
    bool is_good = call->status < 400;
    sl_buf_append_block(out, is_good ? call->resolved.extraction : sl_slice_str(""));
    sl_buf_append_block(out, is_good ? call->resolved.model : sl_slice_str(""));
    sl_buf_append_u8(out, call->resolved.rule);
    sl_buf_append_block(out, sl_buf_slice(&call->reply));
}

static bool
read_header_pairs(struct sl_reader *r, struct sl_pair *ret_pairs, uint32_t *ret_count)
{
    uint32_t count = sl_read_u32(r);
    if (r->is_bad || count > SL_COUNT_OF(((struct sl_call *)NULL)->headers))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        ret_pairs[i].name = sl_read_block(r);
        ret_pairs[i].value = sl_read_block(r);
        if (r->is_bad || ret_pairs[i].name.size == 0 ||
            !is_header_text(ret_pairs[i].name, TYPE_BYTES_MAX) ||
            ret_pairs[i].value.size > VALUE_BYTES_MAX)
            return false;
    }
    *ret_count = count;
    return true;
}

enum sl_err
sl_call_reply_read(struct sl_slice text, struct sl_call *call)
{
    struct sl_reader r = sl_reader(text);
    struct sl_pair headers[SL_COUNT_OF(call->headers)] = {{{0}, {0}}};
    uint32_t count = 0;
    char blob[sizeof(call->reply_blob)];
    uint8_t version = sl_read_u8(&r);
    uint32_t status = sl_read_u32(&r);
    struct sl_slice type = sl_read_block(&r);
    if (r.is_bad || version != REPLY_VERSION || status < 200 || status > 599 ||
        !is_header_text(type, TYPE_BYTES_MAX) || !read_header_pairs(&r, headers, &count) ||
        !read_str(&r, blob, sizeof(blob)) || (blob[0] != '\0' && !sl_blob_is_id(blob)))
        return SL_ECORRUPT;
    uint64_t size = sl_read_u64(&r);
    struct sl_slice extraction = sl_read_block(&r), model = sl_read_block(&r);
    uint8_t rule = sl_read_u8(&r);
    struct sl_slice body = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    call->resolved = (struct sl_resolved){.extraction = sl_call_copy(call, extraction),
                                          .model = sl_call_copy(call, model),
                                          .rule = rule};
    call->status = (uint16_t)status;
    call->reply_type = type.size == 0 ? NULL : (const char *)sl_call_copy(call, type).data;
    call->headers_count = count;
    for (uint32_t i = 0; i < count; i++)
        call->headers[i] = (struct sl_pair){.name = sl_call_copy(call, headers[i].name),
                                            .value = sl_call_copy(call, headers[i].value)};
    memcpy(call->reply_blob, blob, sizeof(blob));
    call->reply_file_size = size;
    sl_buf_clear(&call->reply);
    sl_buf_append_slice(&call->reply, body);
    return SL_OK;
}
