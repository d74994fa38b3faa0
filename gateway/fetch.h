/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - one HTTP(S) request to a host that somebody else named: a source's URL, a webhook.
 *
 * So that it reaches nothing that only this machine may reach, the address that is connected to
 * is checked, not the name: for each connection, also those of redirects, right before it is made.
 * A name that resolves to something else the second time gains nothing. Proxies of the environment,
 * .netrc and cookies are not used; certificates are checked.
 *
 * Threading: any thread; blocks, so one of the I/O pool. Calls share nothing.
 */
#ifndef SL_GATEWAY_FETCH_H
#define SL_GATEWAY_FETCH_H

#include <stdatomic.h>

#include "runtime/base.h"

#define SL_FETCH_URL_BYTES_MAX 4096
#define SL_FETCH_CAUSE_SIZE    256

/* Takes a piece of a reply's body, in order. Anything but SL_OK ends the fetch with that error. */
typedef enum sl_err sl_fetch_take_fn(void *arg, const void *data, size_t size);

struct sl_fetch_request { /* Zeroed is a GET of `url` with the defaults stated. */
    const char *url;      /* http://, https://; no user name or password in it. */
    bool is_post;         /* With `body`, which may be empty. */
    struct sl_slice body; /* Of a POST; borrowed. */
    /* "Name: value", up to a NULL entry; NULL: none. The caller's texts, without CR and LF. */
    const char *const *headers;

    /* The body of a 2xx reply goes here; NULL: it is not read. Other bodies are never read. */
    sl_fetch_take_fn *take;
    void *take_arg;

    uint64_t size_bytes_max; /* Of the body taken. 0: 64 MiB. */
    uint64_t timeout_ns;     /* From the call to the last byte. 0: 60 s. Whole milliseconds. */
    uint32_t redirects_max;  /* 0: a redirect is a reply like others. A POST follows none. */
    bool is_private_allowed; /* Also addresses that sl_fetch_is_public says no to. */
    const atomic_bool *is_cancelled; /* Looked at about once a second; NULL: never. */
};

struct sl_fetch_reply {
    uint16_t status;                 /* Of the last reply; 0 when none came. */
    uint64_t size_bytes;             /* Of the body taken. */
    uint32_t retry_after_s;          /* The header Retry-After; 0: absent. At most 86400. */
    char content_type[128];          /* As sent, cut off; "": absent. */
    char cause[SL_FETCH_CAUSE_SIZE]; /* On failure: for people, what went wrong. No newline. */
};

/*
 * Send it and wait. *ret_reply is filled whatever is returned. SL_OK: a complete reply came, of any
 * status. Errors:
 *   SL_EINVAL    the URL is none, too long, of another scheme, or names a user
 *   SL_EDENIED   every address of the host is private (see sl_fetch_is_public)
 *   SL_EUNAVAIL  the host is not known or does not accept; or its TLS or certificate is not right
 *   SL_ETIMEOUT  timeout_ns has passed
 *   SL_ETOOBIG   the body is over its limit; some of it may have been taken
 *   SL_EFULL     more redirects than allowed
 *   SL_ECANCELED is_cancelled was set
 *   SL_EIO       the connection broke, or what came is no HTTP
 * and what `take` returned. A resolver that hangs may hold the call beyond timeout_ns.
 */
SL_MUST_CHECK enum sl_err sl_fetch(const struct sl_fetch_request *request,
                                   struct sl_fetch_reply *ret_reply);

/*
 * The checks of a URL that need no network, for an answer before there is a fetch: its form, its
 * scheme, no user, and, unless allowed, no host that is a private address or "localhost". SL_OK
 * promises nothing: sl_fetch checks again. SL_EINVAL, SL_EDENIED; *ret_cause says why (static).
 */
SL_MUST_CHECK enum sl_err sl_fetch_check_url(struct sl_slice url, bool is_private_allowed,
                                             const char **ret_cause);

struct sockaddr;
/*
 * An address of the public internet? Not: loopback, private and carrier ranges, link-local (cloud
 * metadata), multicast, reserved and documentation ranges; for IPv6 all but global unicast, and
 * what embeds one of those IPv4 addresses (mapped, NAT64, 6to4).
 */
bool sl_fetch_is_public(const struct sockaddr *address);

#endif
