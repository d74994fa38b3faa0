/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front over real sockets. The poster is a thread that echoes what it was given, so that
 * replies come from another thread as they do in the product; `hold` keeps calls until the test
 * lets go.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/dashboard.h"
#include "gateway/front.h"
#include "gateway/route.h"
#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

static struct sl_front *front;
static struct sl_keyring *keyring;
static struct sl_blobs *blobs;
static char directory[64], secret[SL_SECRET_SIZE + 1], operator_secret[SL_SECRET_SIZE + 1];
static char blind_secret[SL_SECRET_SIZE + 1];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_t echoer;
static struct sl_call *posted;
static uint32_t posted_count;
static bool must_end, is_holding;
static uint32_t reply_bytes;

static void
echo(struct sl_call *call)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "route", call->route->name);
    sl_jsonw_member_str(w, "tenant", call->who.tenant_id);
    sl_jsonw_member_slice(w, "param", call->params[0]);
    sl_jsonw_member_slice(w, "namespace", call->namespace_header);
    sl_jsonw_member_slice(w, "key", call->idempotency_key);
    sl_jsonw_member_slice(w, "q", sl_call_query(call, "q"));
    sl_jsonw_member_value(w, "body", call->body);
    sl_jsonw_member_str(w, "blob", call->upload.blob);
    sl_jsonw_member_u64(w, "size", call->upload.size_bytes);
    char file[64] = "";
    if (call->upload.fd >= 0)
        cr_assert_geq(read(call->upload.fd, file, sizeof(file) - 1), 0);
    sl_jsonw_member_str(w, "file", file);
    if (reply_bytes > 0) {
        struct sl_buf fill = {0};
        for (uint32_t i = 0; i < reply_bytes; i++)
            sl_buf_append_u8(&fill, 'x');
        sl_jsonw_member_slice(w, "fill", sl_buf_slice(&fill));
        sl_buf_deinit(&fill);
    }
    sl_jsonw_end(w);
}

static void *
echo_all(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    while (!must_end) {
        struct sl_call *call = posted;
        if (call == NULL || is_holding) {
            pthread_cond_wait(&wake, &lock);
            continue;
        }
        posted = call->next;
        pthread_mutex_unlock(&lock);
        echo(call);
        sl_front_reply(front, &call);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void
post(void *arg, struct sl_call *call)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    call->next = posted;
    posted = call;
    posted_count++;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

static void
wait_until_posted(uint32_t count)
{
    pthread_mutex_lock(&lock);
    while (posted_count < count)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

static void
hold(bool is_on)
{
    pthread_mutex_lock(&lock);
    is_holding = is_on;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

static void
status(void *arg, struct sl_buf *out)
{
    (void)arg;
    sl_buf_append_str(out, "{\"version\":\"1\"}");
}

static bool
page(void *arg, const char *path, struct sl_page *ret_page)
{
    struct sl_dashboard dashboard = {.status = status};
    (void)arg;
    return sl_dashboard_page(&dashboard, path, ret_page);
}

static void
add_key(char *ret_secret, const struct sl_identity *who)
{
    uint8_t digest[32];
    sl_secret_mint(ret_secret);
    sl_sha256(sl_slice_str(ret_secret), digest);
    sl_keyring_put(keyring, digest, who, 0);
}

static void
setup(void)
{
    struct sl_identity acme = {{1}, 0xffff, .tenant_id = "acme", .account_type = "enterprise"};
    struct sl_identity operator= {.tenant_id = "op", .scope = {2}, .is_operator = true};
    struct sl_identity blind = {.tenant_id = "acme",
                                .permissions = SL_PERMIT_BIT(SL_PERMIT_DELETE)};
    snprintf(directory, sizeof(directory), "/tmp/front-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(sl_blobs_open(directory, true, &blobs), SL_OK);
    keyring = sl_keyring_create();
    add_key(secret, &acme);
    add_key(operator_secret, &operator);
    add_key(blind_secret, &blind);
    sl_keyring_tenant_put(keyring, &acme);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring, .blobs = blobs}},
                                       .planes_count = 1,
                                       .post = post,
                                       .page = page,
                                       .connections_max = 64};
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
    cr_assert_eq(pthread_create(&echoer, NULL, echo_all, NULL), 0);
}

static void
teardown(void)
{
    hold(false);
    while (sl_front_in_flight(front) > 0)
        poll(NULL, 0, 1);
    pthread_mutex_lock(&lock);
    must_end = true;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(echoer, NULL);
    sl_front_stop(&front);
    cr_assert_null(front);
    sl_keyring_destroy(&keyring);
    sl_blobs_close(&blobs);
    char *command[] = {"rm", "-rf", directory, NULL};
    if (fork() == 0) {
        execvp(command[0], command);
        _exit(1);
    }
}

TestSuite(front, .init = setup, .fini = teardown, .timeout = 60);

/* ---- a client of a few lines: what is sent is exactly what the test says ------------------- */

static int
dial(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(sl_front_port(front)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    return fd;
}

static void
send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* The front may have closed: what it said is still to be read. */
        at += sent;
        size -= (size_t)sent;
    }
}

struct reply {
    int status; /* 0: the connection ended without one. */
    struct sl_buf head, body;
};

/* One reply, by its Content-Length. */
static void
receive(int fd, struct reply *r, bool is_head)
{
    char byte;
    sl_buf_deinit(&r->head);
    sl_buf_deinit(&r->body);
    r->status = 0;
    while (r->head.size < 4 || memcmp(r->head.data + r->head.size - 4, "\r\n\r\n", 4) != 0) {
        if (recv(fd, &byte, 1, 0) != 1)
            return;
        sl_buf_append_u8(&r->head, (uint8_t)byte);
    }
    const char *head = sl_buf_text(&r->head), *length = strcasestr(head, "content-length:");
    r->status = atoi(head + 9);
    size_t size = length == NULL || is_head ? 0 : strtoul(length + 15, NULL, 10);
    char *body = sl_alloc(size + 1);
    for (size_t have = 0; have < size;) {
        ssize_t got = recv(fd, body + have, size - have, 0);
        cr_assert_gt(got, 0, "the body ends early");
        have += (size_t)got;
    }
    sl_buf_append(&r->body, body, size);
    sl_free(body);
}

static struct reply reply;

static const char *
body(void)
{
    return sl_buf_text(&reply.body);
}

static bool
has(const char *text)
{
    return strstr(sl_buf_text(&reply.body), text) != NULL ||
           strcasestr(sl_buf_text(&reply.head), text) != NULL;
}

/* Send `start` ("GET /x") with `headers` (each ends with \r\n) and a body; give the status. */
static int
ask_on(int fd, const char *start, const char *headers, const char *content)
{
    struct sl_buf text = {0};
    sl_buf_printf(&text, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", start, headers);
    if (content != NULL)
        sl_buf_printf(&text, "Content-Length: %zu\r\n", strlen(content));
    sl_buf_printf(&text, "\r\n%s", content == NULL ? "" : content);
    send_all(fd, text.data, text.size);
    sl_buf_deinit(&text);
    receive(fd, &reply, strncmp(start, "HEAD", 4) == 0);
    return reply.status;
}

static int
ask(const char *start, const char *headers, const char *content)
{
    int fd = dial();
    int status_code = ask_on(fd, start, headers, content);
    close(fd);
    return status_code;
}

static const char *
auth(const char *which, const char *more)
{
    static char text[1024];
    snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n%s", which, more);
    return text;
}

#define JSON "Content-Type: application/json\r\n"

/* ---- order of checks ----------------------------------------------------------------------- */

Test(front, a_call_goes_to_the_poster_and_its_reply_comes_back)
{
    cr_assert_eq(ask("GET /v1/namespaces/a%2Bb%40x.com?q=1%202+3",
                     auth(secret, "X-Namespace: shop\r\n"), NULL),
                 200);
    cr_assert(has("\"route\":\"get_namespace\""));
    cr_assert(has("\"param\":\"a+b@x.com\""), "%s", body());
    cr_assert(has("\"q\":\"1 2 3\""), "%s", body());
    cr_assert(has("\"namespace\":\"shop\""));
    cr_assert(has("Content-Type: application/json\r\n"));
    cr_assert(has("X-Request-Id: req_"));
}

Test(front, a_body_is_parsed_and_an_empty_one_is_an_object)
{
    cr_assert_eq(
        ask("POST /v1/namespaces", auth(secret, JSON "Idempotency-Key: k 1\r\n"), "{\"a\":[1.0]}"),
        200);
    cr_assert(has("\"body\":{\"a\":[1.0]}"), "%s", body());
    cr_assert(has("\"key\":\"k 1\""));
    cr_assert_eq(ask("POST /v1/namespaces/", auth(secret, JSON), ""), 200);
    cr_assert(has("\"body\":{}"), "%s", body());
    cr_assert_eq(ask("POST /v1/namespaces", auth(secret, JSON), "{\"a\":"), 400);
    cr_assert(has("BadRequestError"));
    cr_assert(has("line 1"));
}

Test(front, unknown_paths_and_wrong_methods_are_told_apart)
{
    cr_assert_eq(ask("GET /nothing", "", NULL), 404);
    cr_assert(has("\"type\":\"NotFoundError\""));
    cr_assert_eq(ask("DELETE /openapi.json", "", NULL), 405);
    cr_assert(has("Allow: GET, HEAD\r\n"));
    cr_assert_eq(ask("OPTIONS /openapi.json", "", NULL), 405);
    cr_assert_eq(ask("BREW /nothing", "", NULL), 404);
    cr_assert_eq(posted_count, 0);
}

Test(front, keys_are_checked_before_anything_is_read)
{
    cr_assert_eq(ask("GET /v1/namespaces/x", "", NULL), 401);
    cr_assert(has("UnauthorizedError"));
    cr_assert(has("WWW-Authenticate: Bearer"));
    cr_assert_eq(ask("GET /v1/namespaces/x", "Authorization: Basic abc\r\n", NULL), 401);
    cr_assert_eq(ask("GET /v1/namespaces/x", "Authorization: Bearer sk_no\r\n", NULL), 401);
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(blind_secret, ""), NULL), 403);
    cr_assert(has("\"permission\":\"read\""));
    cr_assert_eq(
        ask("POST /v1/namespaces", auth(blind_secret, "Content-Type: text/plain\r\n"), "x"), 403);
    cr_assert_eq(posted_count, 0);
}

Test(front, only_operators_enter_tenants)
{
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, "X-Tenant-Id: acme\r\n"), NULL), 403);
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(operator_secret, "X-Tenant-Id: acme\r\n"), NULL),
                 200);
    cr_assert(has("\"tenant\":\"acme\""));
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(operator_secret, ""), NULL), 200);
    cr_assert(has("\"tenant\":\"op\""));
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(operator_secret, "X-Tenant-Id: no\r\n"), NULL),
                 404);
}

Test(front, public_routes_need_no_key_and_no_poster)
{
    cr_assert_eq(ask("GET /v1/health/liveness", "", NULL), 200);
    cr_assert_str_eq(body(), "{\"status\":\"ok\"}");
    cr_assert_eq(ask("HEAD /v1/health/liveness", "", NULL), 200);
    cr_assert_eq(ask("GET /openapi.json", "", NULL), 200);
    cr_assert(has("\"openapi\":\"3.1.0\""));
    cr_assert_eq(posted_count, 0);
}

Test(front, what_is_not_served_is_501_after_the_key)
{
    cr_assert_eq(ask("POST /v1/taxonomies/a/b", "", NULL), 401);
    cr_assert_eq(ask("POST /v1/taxonomies/a/b", auth(secret, JSON), "{}"), 501);
    cr_assert(has("NotImplementedError"));
}

Test(front, the_content_type_must_fit)
{
    cr_assert_eq(ask("POST /v1/namespaces", auth(secret, "Content-Type: text/plain\r\n"), "{}"),
                 415);
    cr_assert_eq(ask("POST /v1/namespaces",
                     auth(secret, "Content-Type: Application/JSON; charset=utf-8\r\n"), "{}"),
                 200);
    cr_assert_eq(ask("POST /v1/namespaces", auth(secret, ""), "{}"), 200);
}

Test(front, request_ids_are_returned_when_they_are_fit)
{
    cr_assert_eq(ask("GET /nothing", "X-Request-Id: my-id\r\n", NULL), 404);
    cr_assert(has("X-Request-Id: my-id\r\n"));
    cr_assert(has("\"request_id\":\"my-id\""));
    cr_assert_eq(ask("GET /nothing", "X-Request-Id: b\xc3\xa4\r\n", NULL), 404);
    cr_assert(has("X-Request-Id: req_"));
}

Test(front, badly_encoded_paths_and_queries_are_refused)
{
    const char *starts[] = {"GET /v1/namespaces/%",      "GET /v1/namespaces/%2",
                            "GET /v1/namespaces/%zz",    "GET /v1/namespaces/a%00b",
                            "GET /v1/namespaces/a%0ab",  "GET /v1/namespaces/%ff",
                            "GET /v1/namespaces/x?q=%f", "GET /v1/namespaces/x?%00=1"};
    for (size_t i = 0; i < SL_COUNT_OF(starts); i++)
        cr_assert_eq(ask(starts[i], auth(secret, ""), NULL), 400, "%s", starts[i]);
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, "Idempotency-Key: \xc3\xa4\r\n"), NULL),
                 400);
    cr_assert_eq(posted_count, 0);
}

/* ---- sizes and framing --------------------------------------------------------------------- */

Test(front, a_body_too_large_is_refused_before_it_is_read)
{
    int fd = dial();
    cr_assert_eq(ask_on(fd, "POST /v1/namespaces",
                        auth(secret, JSON "Expect: 100-continue\r\nContent-Length: 10485761\r\n"),
                        NULL),
                 413);
    cr_assert(has("\"limit_bytes\":10485760"));
    cr_assert(has("Connection: close"));
    char byte;
    cr_assert_leq(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

Test(front, a_chunked_body_too_large_is_refused_when_it_is)
{
    int fd = dial();
    static char chunk[65536 + 16];
    struct sl_buf text = {0};
    sl_buf_printf(&text,
                  "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n",
                  auth(secret, JSON));
    send_all(fd, text.data, text.size);
    sl_buf_deinit(&text);
    memset(chunk, ' ', sizeof(chunk));
    memcpy(chunk, "10000\r\n", 7);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    for (int i = 0; i < 170; i++)
        send_all(fd, chunk, 7 + 65536 + 2);
    send_all(fd, "0\r\n\r\n", 5);
    receive(fd, &reply, false);
    cr_assert_eq(reply.status, 413);
    cr_assert(has("Connection: close"));
    close(fd);
}

Test(front, a_chunked_body_is_read)
{
    cr_assert_eq(ask("POST /v1/namespaces",
                     auth(secret, JSON "Transfer-Encoding: chunked\r\n\r\n"
                                       "3\r\n{\"a\r\n5\r\n\":12}\r\n0\r\n"),
                     NULL),
                 200);
    cr_assert(has("\"body\":{\"a\":12}"), "%s", body());
}

Test(front, a_length_said_twice_is_refused)
{
    const char *headers[] = {"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: gzip\r\n",
                             "Content-Length: 2\r\nContent-Length: 3\r\n"};
    for (size_t i = 0; i < SL_COUNT_OF(headers); i++) {
        char more[256];
        snprintf(more, sizeof(more), JSON "%s", headers[i]);
        cr_assert_eq(ask("POST /v1/namespaces", auth(secret, more), NULL), 400, "%s", headers[i]);
    }
    cr_assert_eq(posted_count, 0);
}

Test(front, a_small_refused_body_keeps_the_connection)
{
    int fd = dial();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ask_on(fd, "POST /v1/namespaces", JSON, "{\"a\":1}"), 401);
    cr_assert_eq(ask_on(fd, "POST /v1/namespaces", auth(secret, JSON), "{}"), 200);
    close(fd);
}

Test(front, a_large_reply_arrives_whole)
{
    reply_bytes = 3000000;
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, ""), NULL), 200);
    cr_assert_gt(reply.body.size, reply_bytes);
}

/* ---- connections --------------------------------------------------------------------------- */

Test(front, a_connection_serves_a_thousand_requests)
{
    int fd = dial();
    for (int i = 0; i < 1000; i++) {
        char start[64], wanted[64];
        snprintf(start, sizeof(start), "GET /v1/namespaces/n%d", i);
        snprintf(wanted, sizeof(wanted), "\"param\":\"n%d\"", i);
        cr_assert_eq(ask_on(fd, start, auth(secret, ""), NULL), 200);
        cr_assert(has(wanted), "%s", body());
    }
    close(fd);
}

Test(front, pipelined_requests_are_answered_in_order)
{
    int fd = dial();
    struct sl_buf text = {0};
    for (int i = 0; i < 20; i++)
        sl_buf_printf(&text, "GET /v1/namespaces/n%d HTTP/1.1\r\nHost: x\r\n%s\r\n", i,
                      auth(secret, ""));
    send_all(fd, text.data, text.size);
    sl_buf_deinit(&text);
    for (int i = 0; i < 20; i++) {
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\"param\":\"n%d\"", i);
        receive(fd, &reply, false);
        cr_assert_eq(reply.status, 200);
        cr_assert(has(wanted), "%s", body());
    }
    close(fd);
}

Test(front, a_slow_body_is_put_together)
{
    int fd = dial();
    const char *content = "{\"a\":\"slow\"}";
    struct sl_buf text = {0};
    sl_buf_printf(&text, "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                  auth(secret, JSON), strlen(content));
    send_all(fd, text.data, text.size);
    sl_buf_deinit(&text);
    for (const char *at = content; *at != '\0'; at++) {
        send_all(fd, at, 1);
        poll(NULL, 0, 1);
    }
    receive(fd, &reply, false);
    cr_assert_eq(reply.status, 200);
    cr_assert(has("\"a\":\"slow\""));
    close(fd);
}

Test(front, a_client_that_leaves_while_it_waits_harms_nobody)
{
    hold(true);
    for (uint32_t i = 0; i < 20; i++) {
        int fd = dial();
        struct sl_buf text = {0};
        sl_buf_printf(&text, "GET /v1/namespaces/gone HTTP/1.1\r\nHost: x\r\n%s\r\n",
                      auth(secret, ""));
        send_all(fd, text.data, text.size);
        sl_buf_deinit(&text);
        wait_until_posted(i + 1);
        struct linger now = {.l_onoff = 1};
        if (i % 2 == 0) /* Half of them with a reset. */
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
    cr_assert_eq(sl_front_in_flight(front), 20);
    hold(false);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(ask("GET /v1/namespaces/here", auth(secret, ""), NULL), 200);
    cr_assert(has("\"param\":\"here\""));
}

Test(front, a_client_that_leaves_in_its_body_harms_nobody)
{
    for (int i = 0; i < 20; i++) {
        int fd = dial();
        struct sl_buf text = {0};
        sl_buf_printf(
            &text, "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\n%sContent-Length: 500\r\n\r\n{\"a",
            auth(secret, JSON));
        send_all(fd, text.data, text.size - (size_t)i);
        sl_buf_deinit(&text);
        close(fd);
    }
    cr_assert_eq(ask("GET /v1/namespaces/here", auth(secret, ""), NULL), 200);
    cr_assert_eq(posted_count, 1);
}

Test(front, a_draining_front_finishes_what_is_under_way)
{
    int fd = dial();
    hold(true);
    struct sl_buf text = {0};
    sl_buf_printf(&text, "GET /v1/namespaces/last HTTP/1.1\r\nHost: x\r\n%s\r\n", auth(secret, ""));
    send_all(fd, text.data, text.size);
    sl_buf_deinit(&text);
    wait_until_posted(1);
    sl_front_drain(front);
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, ""), NULL), 503);
    cr_assert(has("Retry-After: 1\r\n"));
    hold(false);
    receive(fd, &reply, false);
    cr_assert_eq(reply.status, 200);
    close(fd);
}

Test(front, a_plane_that_hangs_leaves_room_for_the_others)
{
    struct sl_identity west = {.tenant_id = "west", .permissions = 0xffff};
    struct sl_keyring *other = sl_keyring_create();
    char west_secret[SL_SECRET_SIZE + 1];
    uint8_t digest[32];
    int fds[8];
    sl_secret_mint(west_secret);
    sl_sha256(sl_slice_str(west_secret), digest);
    sl_keyring_put(other, digest, &west, 0);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}, {.keyring = other}},
                                       .planes_count = 2,
                                       .post = post,
                                       .connections_max = 16,
                                       .per_address_max = 16};
    sl_front_stop(&front);
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
    hold(true);
    for (uint32_t i = 0; i < SL_COUNT_OF(fds); i++) {
        fds[i] = dial();
        const char *headers = auth(secret, "");
        struct sl_buf text = {0};
        sl_buf_printf(&text, "GET /v1/namespaces/x HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
        send_all(fds[i], text.data, text.size);
        sl_buf_deinit(&text);
    }
    wait_until_posted(SL_COUNT_OF(fds));
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, ""), NULL), 503);
    cr_assert(has("Retry-After: 1\r\n"));
    cr_assert_not_null(strstr(body(), "gateway_full"));
    hold(false);
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(west_secret, ""), NULL), 200);
    for (uint32_t i = 0; i < SL_COUNT_OF(fds); i++) {
        receive(fds[i], &reply, false);
        cr_assert_eq(reply.status, 200);
        close(fds[i]);
    }
    cr_assert_eq(ask("GET /v1/namespaces/x", auth(secret, ""), NULL), 200);
    sl_front_stop(&front);
    sl_keyring_destroy(&other);
    options.planes_count = 1;
    cr_assert_eq(sl_front_start(&options, &front), SL_OK); /* For the end of the test. */
}

Test(front, an_address_in_use_is_told)
{
    char address[32];
    struct sl_front *other = NULL;
    snprintf(address, sizeof(address), "127.0.0.1:%u", sl_front_port(front));
    struct sl_front_options options = {
        .address = address, .planes = {{.keyring = keyring}}, .planes_count = 1, .post = post};
    cr_assert_eq(sl_front_start(&options, &other), SL_EBUSY);
    options.address = "nowhere";
    cr_assert_eq(sl_front_start(&options, &other), SL_EINVAL);
    options.address = "not-a-number:http?";
    cr_assert_eq(sl_front_start(&options, &other), SL_EINVAL);
    cr_assert_null(other);
}

/* ---- multipart ----------------------------------------------------------------------------- */

static const char *
upload_path(void)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (routes[i].body == SL_BODY_MULTIPART && routes[i].method == SL_POST)
            return routes[i].path;
    }
    cr_skip_test("no route takes a form");
    return NULL;
}

struct part {
    const char *name, *filename, *value;
};

/* Send the parts as they are listed; `cut` bytes are left off the end. */
static int
upload(const struct part *parts, uint32_t count, size_t cut)
{
    struct sl_buf text = {0};
    char start[256];
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_printf(&text, "--XX\r\nContent-Disposition: form-data; name=\"%s\"", parts[i].name);
        if (parts[i].filename != NULL)
            sl_buf_printf(&text, "; filename=\"%s\"", parts[i].filename);
        sl_buf_append_str(&text, "\r\n\r\n");
        sl_buf_append_str(&text, parts[i].value);
        sl_buf_append_str(&text, "\r\n");
    }
    sl_buf_append_str(&text, "--XX--\r\n");
    text.size -= cut;
    snprintf(start, sizeof(start), "POST %s", upload_path());
    int status_code = ask(start, auth(secret, "Content-Type: multipart/form-data; boundary=XX\r\n"),
                          sl_buf_text(&text));
    sl_buf_deinit(&text);
    return status_code;
}

static void
hash_of(const char *content, char ret_hex[static 65])
{
    uint8_t digest[32];
    sl_sha256(sl_slice_str(content), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), ret_hex);
}

Test(front, parts_come_in_any_order)
{
    char hex[65];
    hash_of("archive bytes", hex);
    const struct part first[] = {
        {"file", "m.tar.gz", "archive bytes"}, {"name", NULL, "ranker"}, {"version", NULL, ""}};
    const struct part last[] = {
        {"name", NULL, "ranker"}, {"version", NULL, ""}, {"file", "m.tar.gz", "archive bytes"}};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(upload(i == 0 ? first : last, 3, 0), 200, "%s", body());
        cr_assert(has(hex), "%s", body());
        cr_assert(has("\"size\":13"));
        cr_assert(has("\"file\":\"archive bytes\""));
        cr_assert(has("\"name\":\"ranker\""));
        cr_assert(has("\"version\":\"\""));
    }
    uint64_t size = 0;
    cr_assert_eq(sl_blob_size(blobs, hex, &size), SL_ENOTFOUND,
                 "it is the call's, and nobody else's");
}

Test(front, a_form_without_a_file_is_a_call_too)
{
    const struct part parts[] = {{"name", NULL, "ranker"}};
    cr_assert_eq(upload(parts, 1, 0), 200);
    cr_assert(has("\"blob\":\"\""));
}

Test(front, malformed_forms_leave_nothing)
{
    static char large[70000];
    char hex[65];
    uint64_t size;
    hash_of("left over", hex);
    const struct part cut[] = {{"file", "f", "left over"}};
    const struct part two[] = {{"file", "f", "left over"}, {"file", "g", "b"}};
    memset(large, 'x', sizeof(large) - 1);
    const struct part field[] = {{"file", "f", "left over"}, {"name", NULL, large}};
    struct part many[26];
    for (size_t i = 0; i < SL_COUNT_OF(many); i++)
        many[i] = (struct part){"name", NULL, "v"};
    cr_assert_eq(upload(cut, 1, 10), 400);
    cr_assert_eq(upload(two, 2, 0), 400);
    cr_assert_eq(upload(field, 2, 0), 413);
    cr_assert_eq(upload(many, 26, 0), 400);
    cr_assert_eq(sl_blob_size(blobs, hex, &size), SL_ENOTFOUND);
    cr_assert_eq(posted_count, 0);
    char start[256];
    snprintf(start, sizeof(start), "POST %s", upload_path());
    cr_assert_eq(ask(start, auth(secret, JSON), "{}"), 415);
    cr_assert_eq(ask(start, auth(secret, "Content-Type: multipart/form-data\r\n"), "x"), 400);
    cr_assert_eq(ask(start, "Content-Type: multipart/form-data; boundary=XX\r\n", "x"), 401);
}

Test(front, a_client_that_leaves_in_its_upload_leaves_nothing)
{
    char start[256];
    snprintf(start, sizeof(start), "POST %s", upload_path());
    for (int i = 0; i < 10; i++) {
        int fd = dial();
        struct sl_buf text = {0};
        sl_buf_printf(
            &text,
            "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 5000\r\n\r\n--XX\r\n"
            "Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nsome bytes",
            start, auth(secret, "Content-Type: multipart/form-data; boundary=XX\r\n"));
        send_all(fd, text.data, text.size);
        sl_buf_deinit(&text);
        close(fd);
    }
    cr_assert_eq(ask("GET /v1/namespaces/here", auth(secret, ""), NULL), 200);
    cr_assert_eq(posted_count, 1);
}

/* ---- pages --------------------------------------------------------------------------------- */

Test(front, pages_are_for_this_machine_only)
{
    cr_assert_eq(ask("GET /", "", NULL), 200);
    cr_assert(has("text/html"));
    cr_assert(has("<!doctype html>"));
    cr_assert_eq(ask("GET /status.json", "", NULL), 200);
    cr_assert_str_eq(body(), "{\"version\":\"1\"}");
    int fd = dial();
    const char *rebound = "GET /status.json HTTP/1.1\r\nHost: evil.example:80\r\n\r\n";
    send_all(fd, rebound, strlen(rebound));
    receive(fd, &reply, false);
    cr_assert_eq(reply.status, 403);
    cr_assert_null(strstr(body(), "version"));
    close(fd);
    cr_assert_eq(ask("GET /status.json", "Origin: http://evil.example\r\n", NULL), 403);
    cr_assert_eq(ask("POST /status.json", "", NULL), 404);
}
