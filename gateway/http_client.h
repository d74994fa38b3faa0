/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h - the CLI's side of HTTP: one connection to one server, one request at a time.
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_HTTP_CLIENT_H
#define SL_GATEWAY_HTTP_CLIENT_H

#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_http_client;

struct sl_http_request {
    const char *method, *path; /* "/v1/..." */
    struct sl_slice body;      /* JSON; empty: none. */
    const char *namespace_id;  /* X-Namespace; NULL: none. */
    const char *file;          /* A file to send as a form's part "file"; NULL: no form is sent. */
    const char *const *form; /* Its other parts: name, value, ..., NULL. A NULL value: left out. */
    void (*progress)(uint64_t sent, uint64_t total); /* While the file goes out; NULL: untold. */
    long timeout_s;                                  /* Of what sends no file; 0: two minutes. */
};
#define SL_HTTP_FORM_MAX 16 /* Names and values of a form. */

struct sl_http_reply {
    long status; /* 0 when none came. */
    struct sl_buf body;
};

/* `key` may be NULL. Never NULL. */
struct sl_http_client *sl_http_client_create(const char *url, const char *key);
/* Who may sign the server's certificate, a file of PEM; NULL or never called: SLUICE_CA or
 * SSL_CERT_FILE of the environment, else those the system trusts. */
void sl_http_client_trust(struct sl_http_client *client, const char *ca);
void sl_http_client_destroy(struct sl_http_client **client); /* NULL inside is fine. */

/* SL_EUNAVAIL: no connection. SL_ETIMEOUT. SL_ETOOBIG: a reply over 64 MiB. SL_EIO: anything else.
 * On success any status may have come. ret_reply->body is cleared first. */
SL_MUST_CHECK enum sl_err sl_http_send(struct sl_http_client *client,
                                       const struct sl_http_request *request,
                                       struct sl_http_reply *ret_reply);
/* What libcurl said of the last failure; lives until the next send. */
const char *sl_http_error(const struct sl_http_client *client);

#endif
