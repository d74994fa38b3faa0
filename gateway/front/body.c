/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: collected up to their limit, streamed as a form, or thrown away. libmicrohttpd answers
 * before a body or after it, never in between: a body that turns out too large is read on for a
 * while, so that its client can read the reply, and then cut off.
 */
#include "gateway/front/state.h"
#include "runtime/limits.h"
#include "runtime/time.h"

#define BODIES_BYTES_MAX  (512 * SL_MIB) /* Of all requests together. */
#define DISCARD_BYTES_MAX (16 * SL_MIB)
#define GRACE_S           60
#define BYTES_PER_SECOND  1024 /* What a client has to send after the grace. */

void
sl_body_too_large(struct sl_request *request)
{
    sl_call_fail(request->call, SL_API_TOO_LARGE, "the body is larger than %llu bytes",
                 (unsigned long long)request->body_limit);
    sl_call_detail_raw(request->call, "limit_bytes",
                       sl_slice_str(sl_call_format(request->call, "%llu",
                                                   (unsigned long long)request->body_limit)));
    request->must_close = true;
}

static void
refuse(struct sl_request *request)
{
    request->stage = SL_STAGE_DISCARDING;
    request->must_close = true;
    sl_form_destroy(&request->form);
    sl_put_destroy(&request->put);
    sl_buf_deinit(&request->call->body_buf);
}

static void
collect(struct sl_request *request, const char *data, size_t size)
{
    struct sl_front *front = request->front;
    struct sl_buf *body = &request->call->body_buf;
    if (request->call->route->body == SL_BODY_NONE)
        return;
    if (body->size + size > body->capacity) {
        /* What the client says is believed up to a page or so: memory is for those who send. */
        uint64_t more = SL_MAX(SL_MIN(request->content_length, 16 * SL_KIB), body->size + size);
        if (front->body_bytes + more > BODIES_BYTES_MAX) {
            sl_call_fail(request->call, SL_API_UNAVAILABLE,
                         "too many large requests at once: try again");
            refuse(request);
            return;
        }
        front->body_bytes += more;
        request->charge += more;
        sl_buf_reserve(body, more);
    }
    sl_buf_append(body, data, size);
}

/* Not the silent (libmicrohttpd's timeout ends them) but those who send a byte now and then. */
static bool
is_too_slow(const struct sl_request *request)
{
    uint64_t took_s = (sl_time_mono_ns() - request->started_ns) / SL_SECOND_NS;
    uint32_t grace_s = request->front->options.body_s;
    if (grace_s == 0)
        grace_s = GRACE_S;
    return took_s > grace_s && request->body_size < (took_s - grace_s) * BYTES_PER_SECOND;
}

enum MHD_Result
sl_body_receive(struct sl_request *request, const char *data, size_t size)
{
    request->body_size += size;
    if (is_too_slow(request))
        return MHD_NO;
    if (request->stage == SL_STAGE_DISCARDING)
        return request->body_size > request->body_limit + DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
    if (request->body_size > request->body_limit) {
        sl_body_too_large(request);
        refuse(request);
    } else if (request->form != NULL || request->put != NULL) {
        if (request->put != NULL)
            sl_put_receive(request, data, size);
        else
            sl_form_receive(request, data, size);
        if (sl_call_has_failed(request->call))
            refuse(request);
    } else {
        collect(request, data, size);
    }
    return MHD_YES;
}

static void
parse(struct sl_call *call)
{
    struct sl_json_error error = {0};
    call->body_text = sl_buf_slice(&call->body_buf);
    struct sl_slice text = call->body_text.size == 0 ? sl_slice_str("{}") : call->body_text;
    if (sl_json_parse(text, &call->body_doc, &error) == SL_OK)
        call->body = sl_json_root(call->body_doc);
    else
        sl_call_fail(call, SL_API_BAD_REQUEST, "the body is no JSON: line %u, column %u: %s",
                     error.line, error.column, error.what);
}

void
sl_body_finish(struct sl_request *request)
{
    struct sl_call *call = request->call;
    if (request->form != NULL)
        sl_form_end(request);
    else if (request->put != NULL)
        sl_put_end(request);
    else if (call->route->body == SL_BODY_JSON || call->route->body == SL_BODY_JSON_BIG)
        parse(call);
}
