/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages and sessions. Browsers send cookies along with whatever any page makes them ask, and look
 * up names wherever that page's owner wants. So three things are looked at before anything is done:
 * the name that was asked for (Host), the site of the page that asks (Origin, Sec-Fetch-Site), and,
 * of what changes something by a session, a header that only our own scripts can send.
 */
#include "gateway/front/page.h"

#include <stdio.h>
#include <strings.h>

#include "gateway/dashboard.h"
#include "gateway/sessions.h"
#include "gateway/transport.h"

#define SESSION_PATH "/session"
#define LIVE_PATH    "/live"
#define OWN_HEADER   "X-Sluice-Dashboard"
/* Nothing from elsewhere, no script or style in the markup, and nobody may put it in a frame. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
/* Of what the API answers: bytes that a tenant sent are never a page of ours. */
#define DATA_POLICY "default-src 'none'; sandbox; frame-ancestors 'none'"

static bool
is_tls(const struct sl_request *request)
{
    const struct sl_transport *transport = request->front->options.transport;
    return transport != NULL && transport->is_tls;
}

static bool
is_read(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* A browser says where a request comes from: from our page, or typed in; a link may open the page.
 */
static bool
is_own_fetch(const struct sl_request *request, const char *method)
{
    struct sl_slice site = sl_request_header(request, SL_HEADER_fetch_site);
    if (site.data == NULL || sl_slice_is(site, "same-origin") || sl_slice_is(site, "none"))
        return true;
    return is_read(method) &&
           sl_slice_is(sl_request_header(request, SL_HEADER_fetch_mode), "navigate") &&
           sl_slice_is(sl_request_header(request, SL_HEADER_fetch_dest), "document");
}

static bool
check_site(struct sl_request *request, const char *method)
{
    bool is_trusted = sl_page_is_trusted(sl_request_header(request, SL_HEADER_host),
                                         sl_request_header(request, SL_HEADER_origin),
                                         request->front->options.names);
    if (is_trusted && is_own_fetch(request, method))
        return true;
    sl_call_fail(request->call, SL_API_FORBIDDEN,
                 "this page is served under a loopback name, an address or a name of "
                 "dashboard_names, and to itself only");
    request->reply_type = "application/json";
    return false;
}

/* ---- sessions ------------------------------------------------------------------------------ */

/* Cookies go to every port of a host: so that two dashboards do not log each other out, the name
 * has the port in it. */
struct sl_slice
sl_page_token(const struct sl_request *request)
{
    char name[32];
    struct sl_slice sent = sl_request_header(request, SL_HEADER_cookie);
    size_t size = (size_t)snprintf(name, sizeof(name), "sluice_%u=", request->front->port);
    while (sent.size > 0) {
        const uint8_t *end = memchr(sent.data, ';', sent.size);
        size_t part = end == NULL ? sent.size : (size_t)(end - sent.data);
        if (part > size && memcmp(sent.data, name, size) == 0)
            return sl_slice(sent.data + size, part - size);
        part += end != NULL;
        while (part < sent.size && sent.data[part] == ' ')
            part++;
        sent = sl_slice(sent.data + part, sent.size - part);
    }
    return sl_slice(NULL, 0);
}

enum sl_err
sl_page_session(struct sl_request *request, uint64_t now_ms, uint8_t ret_digest[static 32])
{
    struct sl_sessions *sessions = request->front->options.sessions;
    if (sessions == NULL)
        return SL_EDENIED;
    /* A form of another page can have neither; a request without a page goes by its key. */
    if (sl_request_header(request, SL_HEADER_dashboard).data == NULL)
        return SL_EDENIED;
    return sl_sessions_find(sessions, sl_page_token(request), now_ms, ret_digest);
}

static void
set_cookie(struct sl_request *request, const char *token, uint64_t seconds)
{
    const char *text = sl_call_format(
        request->call, "sluice_%u=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Strict%s",
        request->front->port, token, (unsigned long long)seconds,
        is_tls(request) ? "; Secure" : "");
    sl_call_header(request->call, "Set-Cookie", text);
}

/* The key comes as for any call; from now on a cookie stands for it. */
static void
log_in(struct sl_request *request)
{
    struct sl_call *call = request->call;
    char token[SL_SESSION_TOKEN_SIZE + 1];
    if (sl_request_header(request, SL_HEADER_authorization).data == NULL) {
        sl_call_fail(call, SL_API_UNAUTHORIZED,
                     "an API key is needed: Authorization: Bearer sk_...");
        return;
    }
    sl_request_authenticate(request);
    if (sl_call_has_failed(call))
        return;
    sl_sessions_open(request->front->options.sessions, &call->who, call->now_ms, token);
    set_cookie(request, sl_call_format(call, "%s", token), SL_SESSION_MS / 1000);
    call->status = 204;
}

static void
log_out(struct sl_request *request)
{
    sl_sessions_close(request->front->options.sessions, sl_page_token(request));
    set_cookie(request, "", 0);
    request->call->status = 204;
}

static bool
answer_session(struct sl_request *request, const struct sl_request_line *line)
{
    bool is_in = strcmp(line->method, "POST") == 0;
    uint8_t digest[32];
    if (strcmp(line->url, SESSION_PATH) != 0)
        return false;
    request->reply_type = "application/json";
    if (is_read(line->method)) { /* So that a page need not try, and fail, to find out. */
        bool has_one = sl_sessions_look(request->front->options.sessions, sl_page_token(request),
                                        request->call->now_ms, digest) == SL_OK;
        sl_buf_append_str(&request->call->reply,
                          has_one ? "{\"is_in\":true}" : "{\"is_in\":false}");
        request->call->status = 200;
    } else if (!is_in && strcmp(line->method, "DELETE") != 0) {
        sl_call_fail(request->call, SL_API_METHOD_NOT_ALLOWED,
                     "POST logs in, DELETE logs out, GET tells");
        sl_call_header(request->call, "Allow", "GET, HEAD, POST, DELETE");
    } else if (sl_request_header(request, SL_HEADER_dashboard).data == NULL) {
        sl_call_fail(request->call, SL_API_FORBIDDEN, "the header " OWN_HEADER " is missing");
    } else if (is_in) {
        log_in(request);
    } else {
        log_out(request);
    }
    return true;
}

/* EventSource sends no header of ours: a stream changes nothing, and no other page can read it. */
static bool
answer_stream(struct sl_request *request, const struct sl_request_line *line)
{
    struct sl_front *front = request->front;
    struct sl_call *call = request->call;
    uint8_t digest[32];
    if (strcmp(line->url, LIVE_PATH) != 0 || strcmp(line->method, "GET") != 0 ||
        front->options.feed == NULL)
        return false;
    request->reply_type = "application/json";
    if (sl_sessions_look(front->options.sessions, sl_page_token(request), call->now_ms, digest) !=
            SL_OK ||
        sl_keyring_find(front->options.planes[0].keyring, digest, call->now_ms, &call->who) !=
            SL_OK) {
        sl_call_fail(call, SL_API_UNAUTHORIZED, "log in first");
    } else if (!sl_stream_has_room(front, &call->who)) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "as many pages as may be are live already");
    } else {
        request->reply_type = sl_stream_type;
        call->status = 200;
    }
    return true;
}

/* ---- pages --------------------------------------------------------------------------------- */

/* A proxy on this machine that is not trusted says so by its header: who is behind it is not here.
 */
static bool
is_of_this_machine(struct sl_request *request)
{
    struct sl_slice client = sl_request_client(request);
    if (sl_request_header(request, SL_HEADER_forwarded_for).data != NULL ||
        sl_request_header(request, SL_HEADER_forwarded).data != NULL)
        return false;
    return (client.size > 4 && memcmp(client.data, "127.", 4) == 0) || sl_slice_is(client, "::1") ||
           (client.size > 11 && memcmp(client.data, "::ffff:127.", 11) == 0);
}

/* Figures of all tenants: to this machine as always, to others with an operator's key. */
static bool
may_see_all(struct sl_request *request)
{
    struct sl_call *call = request->call;
    if (request->front->options.sessions == NULL || is_of_this_machine(request))
        return true;
    sl_request_authenticate(request);
    if (!sl_call_has_failed(call) && !call->who.is_operator)
        sl_call_fail(call, SL_API_FORBIDDEN, "from elsewhere this needs an operator's key");
    return !sl_call_has_failed(call);
}

static void
answer_page(struct sl_request *request, struct sl_page *page)
{
    struct sl_call *call = request->call;
    bool is_kept = page->tag[0] != '\0';
    bool is_known =
        is_kept && sl_slice_is(sl_request_header(request, SL_HEADER_if_none_match), page->tag);
    if (is_known)
        sl_buf_clear(&page->body);
    sl_buf_deinit(&call->reply);
    call->reply = page->body;
    call->status = is_known ? 304 : page->status;
    call->reply_type = request->reply_type = page->type;
    sl_call_header(call, "Cache-Control", is_kept ? "no-cache" : "no-store");
    if (is_kept)
        sl_call_header(call, "ETag", sl_call_format(call, "%s", page->tag));
}

static bool
find_page(struct sl_request *request, const struct sl_request_line *line)
{
    const struct sl_front_options *options = &request->front->options;
    struct sl_page page = {.type = "application/json", .status = 200};
    if (options->page == NULL || !is_read(line->method) ||
        !options->page(options->arg, line->url, &page))
        return false;
    if (check_site(request, line->method) && (page.is_open || may_see_all(request))) {
        /* Figures cost the store's thread something: they are made for who may see them. */
        sl_assert(page.is_open || page.body.size == 0);
        page.is_wanted = true;
        if (!page.is_open)
            (void)options->page(options->arg, line->url, &page);
        answer_page(request, &page);
    } else {
        sl_buf_deinit(&page.body);
        request->reply_type = "application/json";
    }
    return true;
}

bool
sl_page_begin(struct sl_request *request, const struct sl_request_line *line)
{
    bool has_sessions = request->front->options.sessions != NULL;
    if (has_sessions && !check_site(request, line->method))
        return true;
    if (has_sessions && (answer_session(request, line) || answer_stream(request, line)))
        return true;
    return find_page(request, line);
}

void
sl_page_guard(struct sl_request *request, struct MHD_Response *response)
{
    bool is_page = request->reply_type != NULL;
    if (request->front->options.sessions == NULL)
        return;
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Content-Security-Policy",
                            is_page ? PAGE_POLICY : DATA_POLICY);
    if (!is_page)
        MHD_add_response_header(response, "Cache-Control", "no-store");
}
