/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/transport.h"

#include <stdio.h>

#include "runtime/tls.h"

static const char separators[] = " ,\t\n";

enum sl_err
sl_proxies_parse(const char *text, struct sl_transport *ret_transport)
{
    struct sl_transport t = *ret_transport;
    t.proxies_count = 0;
    for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
        size_t size = strcspn(text, separators);
        if (t.proxies_count == SL_PROXIES_MAX)
            return SL_EFULL;
        enum sl_err err = sl_cidr_parse(sl_slice(text, size), &t.proxies[t.proxies_count++]);
        if (err != SL_OK)
            return err;
        text += size;
    }
    *ret_transport = t;
    return SL_OK;
}

bool
sl_transport_open(const char *verb, const struct sl_transport_files *files,
                  struct sl_transport *ret_transport)
{
    char why[SL_TLS_WHY_SIZE];
    struct sl_transport t = {0};
    bool has_cert = files->cert[0] != '\0', has_key = files->key[0] != '\0';
    if (sl_proxies_parse(files->proxies, &t) != SL_OK) {
        fprintf(stderr,
                "sluice %s: trusted proxies are up to %u ranges of addresses, as "
                "\"10.0.0.0/8 2001:db8::/32\", without bits behind them\n",
                verb, SL_PROXIES_MAX);
        return false;
    }
    if (has_cert != has_key) {
        fprintf(stderr, "sluice %s: TLS needs both a certificate and its key\n", verb);
        return false;
    }
    if (has_cert && sl_tls_open(files->cert, files->key, why) != SL_OK) {
        fprintf(stderr, "sluice %s: no TLS: %s\n", verb, why);
        return false;
    }
    t.is_tls = has_cert;
    *ret_transport = t;
    return true;
}

void
sl_transport_close(struct sl_transport *transport)
{
    if (transport->is_tls)
        sl_tls_close();
    *transport = (struct sl_transport){0};
}

/* ---- who asks ------------------------------------------------------------------------------ */

static bool
is_proxy(const struct sl_transport *t, const uint8_t address[static SL_ADDRESS_SIZE])
{
    for (uint32_t i = 0; i < t->proxies_count; i++) {
        if (sl_cidr_has(&t->proxies[i], address))
            return true;
    }
    return false;
}

bool
sl_transport_trusts(const struct sl_transport *t, struct sl_slice peer)
{
    uint8_t address[SL_ADDRESS_SIZE];
    return t != NULL && t->proxies_count > 0 && sl_address_parse(peer, address) == SL_OK &&
           is_proxy(t, address);
}

static struct sl_slice
trimmed(struct sl_slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = sl_slice(s.data + 1, s.size - 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* The part behind the last comma; what is before it stays in *list. */
static struct sl_slice
take_last(struct sl_slice *list)
{
    size_t at = list->size;
    while (at > 0 && list->data[at - 1] != ',')
        at--;
    struct sl_slice last = trimmed(sl_slice(list->data + at, list->size - at));
    list->size = at == 0 ? 0 : at - 1;
    return last;
}

struct sl_slice
sl_transport_client(const struct sl_transport *t, struct sl_slice peer,
                    const struct sl_slice *forwarded, uint32_t forwarded_count)
{
    uint8_t address[SL_ADDRESS_SIZE];
    if (!sl_transport_trusts(t, peer))
        return peer;
    /* From the end: what is before the first address that no proxy of ours has, a client wrote. */
    for (uint32_t i = forwarded_count; i-- > 0;) {
        struct sl_slice list = forwarded[i];
        while (list.size > 0) {
            struct sl_slice last = take_last(&list);
            if (sl_address_parse(last, address) != SL_OK)
                return sl_slice(NULL, 0);
            if (!is_proxy(t, address))
                return last;
        }
    }
    return forwarded_count == 0 ? peer : sl_slice(NULL, 0);
}
