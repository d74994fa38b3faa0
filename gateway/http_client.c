/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_client.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"

struct sl_http_client {
    CURL *curl;
    char *url, *key, *ca;
    char error[CURL_ERROR_SIZE];
};

struct sl_http_client *
sl_http_client_create(const char *url, const char *key)
{
    struct sl_http_client *c = sl_zalloc(sizeof *c);
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/')
        size--;
    c->url = sl_strndup(url, size);
    c->key = sl_strdup(key);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    c->curl = curl_easy_init();
    sl_assert(c->curl != NULL); /* Memory: control-plane rules. */
    return c;
}

void
sl_http_client_destroy(struct sl_http_client **client)
{
    struct sl_http_client *c = *client;
    if (c == NULL)
        return;
    *client = NULL;
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
    sl_free(c->url);
    sl_free(c->key);
    sl_free(c->ca);
    sl_free(c);
}

void
sl_http_client_trust(struct sl_http_client *c, const char *ca)
{
    sl_free(c->ca);
    c->ca = ca == NULL ? NULL : sl_strdup(ca);
}

/* Of --ca, then of the environment: ours, or the one that most programs have. */
static const char *
ca_of(const struct sl_http_client *c)
{
    const char *own = getenv("SLUICE_CA"), *usual = getenv("SSL_CERT_FILE");
    if (c->ca != NULL)
        return c->ca;
    return own != NULL && own[0] != '\0' ? own : usual;
}

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
    struct sl_buf *body = arg;
    if (body->size + size * count > SL_LIMIT_REPLY_BYTES)
        return 0;
    sl_buf_append(body, data, size * count);
    return size * count;
}

static struct curl_slist *
add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = sl_format("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    sl_assert(longer != NULL);
    sl_free(line);
    return longer;
}

static int
tell_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t total, curl_off_t sent)
{
    const struct sl_http_request *q = arg;
    (void)down_total, (void)down;
    if (q->progress != NULL)
        q->progress((uint64_t)sent, (uint64_t)total);
    return 0;
}

static void
add_part(curl_mime *mime, const char *name, const char *value, const char *file)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    sl_assert(part != NULL);
    (void)curl_mime_name(part, name);
    if (file != NULL)
        (void)curl_mime_filedata(part, file);
    else
        (void)curl_mime_data(part, value, CURL_ZERO_TERMINATED);
}

/* A form goes out as long as it makes any progress: archives are large. */
static curl_mime *
set_form(CURL *curl, const struct sl_http_request *q)
{
    curl_mime *mime = curl_mime_init(curl);
    sl_assert(mime != NULL);
    for (size_t i = 0; q->form != NULL && i < SL_HTTP_FORM_MAX && q->form[2 * i] != NULL; i++) {
        if (q->form[2 * i + 1] != NULL)
            add_part(mime, q->form[2 * i], q->form[2 * i + 1], NULL);
    }
    add_part(mime, "file", NULL, q->file);
    (void)curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 600L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, tell_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, q);
    return mime;
}

static enum sl_err
map_error(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return SL_OK;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return SL_EUNAVAIL;
    case CURLE_OPERATION_TIMEDOUT:
        return SL_ETIMEOUT;
    case CURLE_WRITE_ERROR:
        return SL_ETOOBIG;
    default:
        return SL_EIO;
    }
}

enum sl_err
sl_http_send(struct sl_http_client *c, const struct sl_http_request *q,
             struct sl_http_reply *ret_reply)
{
    struct curl_slist *headers = NULL;
    char *url = sl_format("%s%s", c->url, q->path);
    char *bearer = sl_format("Bearer %s", c->key == NULL ? "" : c->key);
    curl_mime *mime = NULL;
    if (q->file == NULL)
        headers = add_header(headers, "Content-Type", "application/json");
    headers = add_header(headers, "Expect", "");
    if (c->key != NULL)
        headers = add_header(headers, "Authorization", bearer);
    if (q->namespace_id != NULL)
        headers = add_header(headers, "X-Namespace", q->namespace_id);
    sl_buf_clear(&ret_reply->body);
    ret_reply->status = 0;
    c->error[0] = '\0';
    curl_easy_reset(c->curl); /* Keeps the connection. */
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, q->method);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &ret_reply->body);
    (void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, q->timeout_s > 0 ? q->timeout_s : 120L);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    if (ca_of(c) != NULL)
        (void)curl_easy_setopt(c->curl, CURLOPT_CAINFO, ca_of(c));
    if (q->file != NULL) {
        mime = set_form(c->curl, q);
    } else if (strcmp(q->method, "GET") != 0) {
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.size);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
                               q->body.size == 0 ? "" : (const char *)q->body.data);
    }
    CURLcode code = curl_easy_perform(c->curl);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &ret_reply->status);
    else if (c->error[0] == '\0')
        (void)snprintf(c->error, sizeof c->error, "%s", curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_mime_free(mime);
    sl_free(url);
    sl_free(bearer);
    return map_error(code);
}

const char *
sl_http_error(const struct sl_http_client *client)
{
    return client->error;
}
