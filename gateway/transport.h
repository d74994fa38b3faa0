/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - how requests come in: over TLS, and through which proxies. A proxy that is trusted
 * says who its client is (X-Forwarded-For) and how that came (X-Forwarded-Proto); what anybody else
 * says of that is ignored.
 *
 * Threading: open and close on the first thread; the rest anywhere.
 */
#ifndef SL_GATEWAY_TRANSPORT_H
#define SL_GATEWAY_TRANSPORT_H

#include "gateway/cidr.h"

#define SL_PROXIES_MAX 16u

struct sl_transport {
    bool is_tls; /* The process' pair is open: runtime/tls.h. */
    uint32_t proxies_count;
    struct sl_cidr proxies[SL_PROXIES_MAX];
};

/* As configured; each may be "". */
struct sl_transport_files {
    const char *cert, *key;
    const char *proxies; /* Ranges, with spaces or commas between. */
};
/* False: it cannot be so, as was said on standard error as `sluice VERB`. */
bool sl_transport_open(const char *verb, const struct sl_transport_files *files,
                       struct sl_transport *ret_transport);
void sl_transport_close(struct sl_transport *transport); /* Zeroed is fine. */

/* Ranges as configured. SL_EINVAL: one of them is none. SL_EFULL: they are too many. */
SL_MUST_CHECK enum sl_err sl_proxies_parse(const char *text, struct sl_transport *ret_transport);

/*
 * Who the client is: `peer`, or where that is a trusted proxy, the last of `forwarded` that is none
 * (the values of all X-Forwarded-For, in order). Borrows from either; empty: the proxy names nobody
 * who can be believed, so no list of addresses has him.
 */
struct sl_slice sl_transport_client(const struct sl_transport *transport, struct sl_slice peer,
                                    const struct sl_slice *forwarded, uint32_t forwarded_count);
/* Whether what the peer says of its client counts. */
bool sl_transport_trusts(const struct sl_transport *transport, struct sl_slice peer);

#endif
