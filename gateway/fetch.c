/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, a fresh handle for each request: one that is kept would reuse connections whose address
 * was checked under other rules.
 */
#include "gateway/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#include "runtime/alloc.h"

#define SIZE_BYTES_DEFAULT (64 * SL_MIB)
#define TIMEOUT_NS_DEFAULT (60 * SL_SECOND_NS)
#define RETRY_AFTER_S_MAX  86400
#define CONNECT_MS_MAX     15000

struct transfer {
    const struct sl_fetch_request *request;
    struct sl_fetch_reply *reply;
    CURL *curl;
    uint64_t size_bytes_max;
    uint32_t refused;   /* Addresses that were not connected to. */
    uint32_t connected; /* Addresses that were tried. */
    bool is_enough;     /* The rest of the body is not wanted. */
    enum sl_err err;    /* Why we ended it. */
};

/* ---- libcurl's callbacks ------------------------------------------------------------------- */

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    (void)purpose;
    if (!t->request->is_private_allowed && !sl_fetch_is_public(&address->addr)) {
        t->refused++;
        return CURL_SOCKET_BAD; /* It goes on with the host's next address. */
    }
    t->connected++;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool
is_over(const struct transfer *t, uint64_t size)
{
    curl_off_t stated = -1;
    (void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &stated);
    return size > t->size_bytes_max - t->reply->size_bytes ||
           (stated > 0 && (uint64_t)stated > t->size_bytes_max);
}

/* Returning another size than what came ends the transfer. */
static size_t
on_body(char *data, size_t one, size_t size, void *arg)
{
    struct transfer *t = arg;
    long status = 0;
    (void)one; /* 1 */
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->take == NULL || status < 200 || status > 299) {
        t->is_enough = true;
        return CURL_WRITEFUNC_ERROR;
    }
    t->err = is_over(t, size) ? SL_ETOOBIG : t->request->take(t->request->take_arg, data, size);
    if (t->err != SL_OK)
        return CURL_WRITEFUNC_ERROR;
    t->reply->size_bytes += size;
    return size;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct transfer *t = arg;
    if (!atomic_load(t->request->is_cancelled))
        return 0;
    t->err = SL_ECANCELED;
    return 1;
}

/* ---- options ------------------------------------------------------------------------------- */

/* An option that this libcurl lacks would leave a guard out: a bug of the build. */
#define SET(t, option, value) sl_assert(curl_easy_setopt((t)->curl, option, value) == CURLE_OK)

static void
set_guards(struct transfer *t)
{
    SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(t, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(t, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(t, CURLOPT_PROXY, ""); /* One from the environment would hide the address. */
    SET(t, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(t, CURLOPT_OPENSOCKETDATA, t);
    SET(t, CURLOPT_NOSIGNAL, 1L);
}

static void
set_limits(struct transfer *t)
{
    const struct sl_fetch_request *q = t->request;
    uint64_t timeout_ns = q->timeout_ns == 0 ? TIMEOUT_NS_DEFAULT : q->timeout_ns;
    uint64_t timeout_ms = SL_MIN(SL_MAX(timeout_ns / SL_MILLI_NS, 1), (uint64_t)INT32_MAX);
    SET(t, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)SL_MIN(timeout_ms, CONNECT_MS_MAX));
    SET(t, CURLOPT_FOLLOWLOCATION, !q->is_post && q->redirects_max > 0 ? 1L : 0L);
    SET(t, CURLOPT_MAXREDIRS, (long)SL_MIN(q->redirects_max, 20));
    if (q->is_cancelled != NULL) {
        SET(t, CURLOPT_NOPROGRESS, 0L);
        SET(t, CURLOPT_XFERINFOFUNCTION, on_progress);
        SET(t, CURLOPT_XFERINFODATA, t);
    }
}

static struct curl_slist *
headers_of(const struct sl_fetch_request *q)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (const char *const *at = q->headers; list != NULL && at != NULL && *at != NULL; at++) {
        sl_assert(strpbrk(*at, "\r\n") == NULL);
        list = curl_slist_append(list, *at);
    }
    sl_assert(list != NULL); /* Memory: control-plane rules. */
    return list;
}

static void
set_request(struct transfer *t, struct curl_slist *headers)
{
    const struct sl_fetch_request *q = t->request;
    SET(t, CURLOPT_URL, q->url);
    SET(t, CURLOPT_USERAGENT, "sluice");
    SET(t, CURLOPT_HTTPHEADER, headers);
    SET(t, CURLOPT_WRITEFUNCTION, on_body);
    SET(t, CURLOPT_WRITEDATA, t);
    SET(t, CURLOPT_BUFFERSIZE, 256L * 1024L);
    if (!q->is_post)
        return;
    SET(t, CURLOPT_POST, 1L);
    SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.size);
    SET(t, CURLOPT_POSTFIELDS, q->body.size == 0 ? "" : (const char *)q->body.data);
}

/* ---- what came of it ----------------------------------------------------------------------- */

static enum sl_err
map_error(const struct transfer *t, CURLcode code)
{
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->is_enough))
        return SL_OK;
    if (t->err != SL_OK)
        return t->err;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED: /* A user in the URL. */
        return SL_EINVAL;
    case CURLE_COULDNT_CONNECT:
        return t->refused > 0 && t->connected == 0 ? SL_EDENIED : SL_EUNAVAIL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return SL_EUNAVAIL;
    case CURLE_OPERATION_TIMEDOUT:
        return SL_ETIMEOUT;
    case CURLE_TOO_MANY_REDIRECTS:
        return SL_EFULL;
    default:
        return SL_EIO;
    }
}

static void
read_reply(const struct transfer *t)
{
    struct sl_fetch_reply *reply = t->reply;
    long status = 0;
    curl_off_t after = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &after);
    (void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
    reply->status = status >= 100 && status <= 999 ? (uint16_t)status : 0;
    reply->retry_after_s = (uint32_t)SL_MIN(SL_MAX(after, 0), RETRY_AFTER_S_MAX);
    (void)snprintf(reply->content_type, sizeof(reply->content_type), "%s",
                   type == NULL ? "" : type);
}

static void
say_why(struct sl_fetch_reply *reply, enum sl_err err, const char *theirs)
{
    const char *text = theirs;
    if (err == SL_EDENIED)
        text = "the host has a private address";
    else if (err == SL_ETOOBIG)
        text = "the reply is larger than allowed";
    else if (err == SL_ETIMEOUT)
        text = "it took longer than allowed";
    (void)snprintf(reply->cause, sizeof(reply->cause), "%s", text);
    for (char *c = reply->cause; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;
}

enum sl_err
sl_fetch(const struct sl_fetch_request *request, struct sl_fetch_reply *ret_reply)
{
    sl_assert(request != NULL && request->url != NULL && ret_reply != NULL);
    *ret_reply = (struct sl_fetch_reply){0};
    const char *cause = NULL;
    enum sl_err err =
        sl_fetch_check_url(sl_slice_str(request->url), request->is_private_allowed, &cause);
    if (err != SL_OK) {
        say_why(ret_reply, SL_OK, cause);
        return err;
    }
    sl_assert(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); /* Counted, on any thread. */
    struct transfer t = {.request = request, .reply = ret_reply, .curl = curl_easy_init()};
    sl_assert(t.curl != NULL);
    t.size_bytes_max = request->size_bytes_max == 0 ? SIZE_BYTES_DEFAULT : request->size_bytes_max;
    char theirs[CURL_ERROR_SIZE] = "";
    SET(&t, CURLOPT_ERRORBUFFER, theirs);
    struct curl_slist *headers = headers_of(request);
    set_guards(&t);
    set_limits(&t);
    set_request(&t, headers);
    CURLcode code = curl_easy_perform(t.curl);
    err = map_error(&t, code);
    read_reply(&t);
    if (err != SL_OK)
        say_why(ret_reply, err, theirs[0] == '\0' ? curl_easy_strerror(code) : theirs);
    curl_easy_cleanup(t.curl);
    curl_slist_free_all(headers);
    curl_global_cleanup();
    return err;
}

/* ---- a URL by itself ----------------------------------------------------------------------- */

/* A host that is an address: curl has made "0x7f.1" and the like into dots by now. */
static bool
is_private_host(const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char bare[INET6_ADDRSTRLEN] = "";
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return !sl_fetch_is_public((const struct sockaddr *)&v4);
    if (host[0] == '[') {
        (void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(host + 1, "]%"), host + 1);
        return inet_pton(AF_INET6, bare, &v6.sin6_addr) != 1 ||
               !sl_fetch_is_public((const struct sockaddr *)&v6);
    }
    return strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0;
}

static enum sl_err
check_parts(CURLU *parts, const char *text, bool is_private_allowed, const char **ret_cause)
{
    char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
    enum sl_err err = SL_EINVAL;
    if (curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0')
        *ret_cause = "it is no URL with a host";
    else if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        *ret_cause = "only http and https are fetched";
    else if (curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK ||
             curl_url_get(parts, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK)
        *ret_cause = "a URL with a user name or password is not fetched";
    else
        err = SL_OK;
    if (err == SL_OK && !is_private_allowed && is_private_host(host)) {
        *ret_cause = "the host has a private address";
        err = SL_EDENIED;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(password);
    return err;
}

enum sl_err
sl_fetch_check_url(struct sl_slice url, bool is_private_allowed, const char **ret_cause)
{
    sl_assert(ret_cause != NULL);
    if (url.size == 0 || url.size > SL_FETCH_URL_BYTES_MAX) {
        *ret_cause = "a URL has 1 to 4096 bytes";
        return SL_EINVAL;
    }
    for (size_t i = 0; i < url.size; i++) {
        if (url.data[i] <= 0x20 || url.data[i] >= 0x7f) {
            *ret_cause = "a URL is printable ASCII without spaces";
            return SL_EINVAL;
        }
    }
    char *text = sl_strndup((const char *)url.data, url.size);
    /* curl takes "http:/a" and "http:///a" for "http://a"; others who read the URL do not. */
    size_t scheme = strcspn(text, ":");
    if (strncmp(text + scheme, "://", 3) != 0 || text[scheme + 3] == '/') {
        *ret_cause = "it is no URL with a host";
        sl_free(text);
        return SL_EINVAL;
    }
    CURLU *parts = curl_url();
    sl_assert(parts != NULL);
    enum sl_err err = check_parts(parts, text, is_private_allowed, ret_cause);
    curl_url_cleanup(parts);
    sl_free(text);
    return err;
}
