/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every server and proxy has to read alike in the head of a request: libmicrohttpd takes more
 * than that, and answers what it does not take with a page of its own. A request that is refused
 * here is not obeyed in any part, and its connection is closed.
 */
#include <strings.h>

#include "gateway/front/state.h"
#include "runtime/limits.h"

#define HEAD_BYTES_MAX (16 * SL_KIB)
#define URL_BYTES_MAX  (8 * SL_KIB)
#define HEADERS_MAX    100

static const struct header {
    const char *text;
    size_t size;
    bool is_once;
} headers[] = {
#define FIRST                     false
#define ONCE                      true
#define HEADER(name, text, often) {text, sizeof(text) - 1, often},
#include "gateway/header.def"
#undef FIRST
#undef ONCE
};

/* A token of RFC 9110: "Content-Length " is another header to us, and may be none to a proxy. */
static bool
is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool is_word = (text[i] >= '0' && text[i] <= '9') ||
                       ((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') || text[i] == '-';
        if (!is_word && (text[i] == '\0' || strchr("!#$%&'*+.^_`|~", text[i]) == NULL))
            return false;
    }
    return size > 0;
}

static bool
has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((uint8_t)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return true;
    }
    return false;
}

static enum MHD_Result
collect(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
        size_t value_size)
{
    (void)kind;
    struct sl_head *head = arg;
    head->count++;
    if (!is_token(name, name_size) || has_control(value, value_size))
        head->is_malformed = true;
    for (size_t i = 0; i < SL_HEADER_COUNT; i++) {
        const struct header *h = &headers[i];
        if (h->size != name_size || strncasecmp(name, h->text, name_size) != 0)
            continue;
        bool is_there = head->values[i].data != NULL;
        if (is_there && h->is_once)
            head->twice = h->text;
        if (!is_there)
            head->values[i] = sl_slice(value == NULL ? "" : value, value_size);
        break;
    }
    return MHD_YES;
}

void
sl_head_read(struct sl_request *request)
{
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect, &request->head);
}

struct sl_slice
sl_request_header(const struct sl_request *request, enum sl_header header)
{
    return request->head.values[header];
}

static bool
read_length(struct sl_slice text, uint64_t *ret_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_length = length;
    return text.size > 0 && text.size < 19;
}

/*
 * Where does the body end? Two answers are how one request is smuggled inside another, past
 * whatever proxy stands before us.
 */
static bool
read_framing(struct sl_request *request)
{
    struct sl_slice length = sl_request_header(request, SL_HEADER_content_length);
    struct sl_slice encoding = sl_request_header(request, SL_HEADER_transfer_encoding);
    request->is_chunked = encoding.data != NULL;
    request->has_body = request->is_chunked;
    if (request->is_chunked)
        return length.data == NULL && encoding.size == 7 &&
               strncasecmp((const char *)encoding.data, "chunked", 7) == 0;
    if (length.data == NULL)
        return true;
    bool is_good = read_length(length, &request->content_length);
    request->has_body = request->content_length > 0;
    return is_good;
}

static uint64_t
head_size(const struct sl_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info == NULL ? 0 : info->header_size;
}

static void
check(struct sl_request *request, const struct sl_request_line *line)
{
    const struct sl_head *head = &request->head;
    struct sl_call *call = request->call;
    bool is_old = strcmp(line->version, "HTTP/1.0") == 0;
    if (head_size(request) > HEAD_BYTES_MAX || head->count > HEADERS_MAX)
        sl_call_fail(call, SL_API_HEAD_TOO_LARGE,
                     "a request's head is at most %d headers and %d bytes", HEADERS_MAX,
                     (int)HEAD_BYTES_MAX);
    else if (call->path.size > URL_BYTES_MAX)
        sl_call_fail(call, SL_API_URL_TOO_LONG, "a path is at most %d bytes", (int)URL_BYTES_MAX);
    else if (head->twice != NULL)
        sl_call_fail(call, SL_API_BAD_REQUEST, "the header %s was sent twice", head->twice);
    else if (!read_framing(request))
        sl_call_fail(call, SL_API_BAD_REQUEST, "the length of the body is ambiguous");
    else if (head->is_malformed)
        sl_call_fail(call, SL_API_BAD_REQUEST, "a header is malformed");
    else if (strpbrk(line->url, " \t\v\f\r\n") != NULL || has_control(line->url, call->path.size))
        sl_call_fail(call, SL_API_BAD_REQUEST, "a space in the path is written %%20");
    else if (!is_old && head->values[SL_HEADER_host].data == NULL)
        sl_call_fail(call, SL_API_BAD_REQUEST, "the header Host is missing");
}

void
sl_head_check(struct sl_request *request, const struct sl_request_line *line)
{
    check(request, line);
    if (sl_call_has_failed(request->call)) {
        request->has_body = true; /* So that the connection is closed. */
        request->must_close = true;
    }
}
