/* SPDX-License-Identifier: Apache-2.0 */
/* Who sent a request, and where to, as far as the connection and trusted proxies tell. */
#include <strings.h>

#include "gateway/front/state.h"
#include "gateway/transport.h"

#define FORWARDED_MAX 8u /* Headers of one request; of more nothing is believed. */

struct forwarded {
    struct sl_slice values[FORWARDED_MAX];
    uint32_t count;
    bool is_too_many;
};

static enum MHD_Result
collect(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
        size_t value_size)
{
    struct forwarded *f = arg;
    (void)kind, (void)name_size;
    if (strcasecmp(name, "X-Forwarded-For") != 0)
        return MHD_YES;
    f->is_too_many = f->count == FORWARDED_MAX;
    if (f->is_too_many)
        return MHD_NO;
    f->values[f->count++] = sl_slice(value == NULL ? "" : value, value_size);
    return MHD_YES;
}

struct sl_slice
sl_request_client(struct sl_request *request)
{
    const struct sl_transport *transport = request->front->options.transport;
    struct sl_slice client = sl_slice_str(sl_guard_address(request->connection));
    if (sl_transport_trusts(transport, client)) {
        struct forwarded f = {.count = 0};
        MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect, &f);
        client = f.is_too_many ? sl_slice(NULL, 0)
                               : sl_transport_client(transport, client, f.values, f.count);
    }
    return sl_call_copy(request->call, client);
}

/* What a host may consist of; anything else in an address would be another address. */
static bool
is_host(struct sl_slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];
        bool is_good = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                       c == '.' || strchr("-_:[]", c) != NULL;
        if (!is_good || c == '\0')
            return false;
    }
    return host.size > 0 && host.size <= 255;
}

/* Every request has a site, and formatting it took longer than checking its key. */
static struct sl_slice
join(struct sl_call *call, struct sl_slice a, struct sl_slice b)
{
    char *text = sl_call_alloc(call, a.size + b.size + 1);
    memcpy(text, a.data, a.size);
    memcpy(text + a.size, b.data, b.size);
    return sl_slice(text, a.size + b.size);
}

struct sl_slice
sl_request_site(struct sl_request *request)
{
    const struct sl_transport *transport = request->front->options.transport;
    struct sl_slice host = sl_request_header(request, SL_HEADER_host);
    bool is_tls = transport != NULL && transport->is_tls;
    if (!is_tls &&
        sl_transport_trusts(transport, sl_slice_str(sl_guard_address(request->connection))))
        is_tls = sl_slice_is(sl_request_header(request, SL_HEADER_forwarded_proto), "https");
    if (!is_host(host))
        host = sl_slice_str("localhost");
    return join(request->call, sl_slice_str(is_tls ? "https://" : "http://"), host);
}
