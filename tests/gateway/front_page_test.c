/* SPDX-License-Identifier: Apache-2.0 */
/* A front that browsers use: what it serves to whom, over a real socket. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/dashboard.h"
#include "gateway/sessions.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/time.h"

static struct sl_front *front;
static struct sl_keyring *keyring;
static struct sl_sessions *sessions;
static char tenant_key[SL_SECRET_SIZE + 1], operator_key[SL_SECRET_SIZE + 1];
static uint8_t tenant_digest[32], operator_digest[32];
static char cookie[128]; /* "sluice_PORT=TOKEN" of who logged in last. */
static struct sl_buf reply;
static atomic_uint posted, looks;

#define OWN  "X-Sluice-Dashboard: 1\r\n"
#define JSON "Content-Type: application/json\r\n"

static void
post(void *arg, struct sl_call *call)
{
    (void)arg;
    atomic_fetch_add(&posted, 1);
    sl_buf_append_str(&call->reply, "{\"message\":\"posted\"}");
    sl_front_reply(front, &call);
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

static _Atomic uint32_t feed_bytes; /* How much more it tells. */

/* Each look finds something new. */
static void
feed(void *arg, struct sl_buf *out)
{
    (void)arg;
    sl_buf_printf(out, "{\"look\":%u", atomic_fetch_add(&looks, 1));
    for (uint32_t i = 0; i < atomic_load(&feed_bytes); i += 10)
        sl_buf_append_str(out, ",\"more\":1");
    sl_buf_append_str(out, "}");
}

static void
add_key(char *ret_secret, uint8_t *ret_digest, const struct sl_identity *who)
{
    sl_secret_mint(ret_secret);
    sl_sha256(sl_slice_str(ret_secret), ret_digest);
    sl_keyring_put(keyring, ret_digest, who, 0);
}

static void
setup(void)
{
    struct sl_identity acme = {{1}, 0xffff, .tenant_id = "acme", .account_type = "enterprise"};
    struct sl_identity operator= {.tenant_id = "op", .scope = {2}, .is_operator = true};
    keyring = sl_keyring_create();
    sessions = sl_sessions_create(NULL);
    add_key(tenant_key, tenant_digest, &acme);
    add_key(operator_key, operator_digest, &operator);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}},
                                       .planes_count = 1,
                                       .post = post,
                                       .page = page,
                                       .feed = feed,
                                       .sessions = sessions,
                                       .names = "sluice.example.org, other.example.org",
                                       .connections_max = 64};
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
}

static void
teardown(void)
{
    sl_front_stop(&front);
    sl_sessions_destroy(&sessions);
    sl_keyring_destroy(&keyring);
    sl_buf_deinit(&reply);
}

TestSuite(front_page, .init = setup, .fini = teardown, .timeout = 60);

/* ---- a client ------------------------------------------------------------------------------ */

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
send_text(int fd, const char *host, const char *start, const char *headers)
{
    struct sl_buf text = {0};
    sl_buf_printf(&text, "%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", start, host, headers);
    cr_assert_eq(send(fd, text.data, text.size, MSG_NOSIGNAL), (ssize_t)text.size);
    sl_buf_deinit(&text);
}

static bool
has(const char *text)
{
    return strcasestr(sl_buf_text(&reply), text) != NULL;
}

/* Read on until a text is there; false: the other side has closed before. */
static bool
read_until(int fd, const char *text)
{
    char bytes[4096];
    while (!has(text)) {
        ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
        if (size <= 0)
            return false;
        sl_buf_append(&reply, bytes, (size_t)size);
    }
    return true;
}

/* Everything there is of a reply, as its connection is closed after it. */
static int
ask_at(const char *host, const char *start, const char *headers)
{
    char all[2048];
    int fd = dial();
    snprintf(all, sizeof(all), "%sConnection: close\r\n", headers);
    send_text(fd, host, start, all);
    sl_buf_clear(&reply);
    cr_assert_not(read_until(fd, "\001"));
    close(fd);
    return reply.size < 12 ? 0 : atoi((const char *)reply.data + 9);
}

static int
ask(const char *start, const char *headers)
{
    return ask_at("127.0.0.1", start, headers);
}

static const char *
with(const char *format, const char *value, const char *more)
{
    static char text[1024];
    size_t size = (size_t)snprintf(text, sizeof(text), format, value);
    snprintf(text + size, sizeof(text) - size, "\r\n%s", more);
    return text;
}

static void
log_in(const char *key)
{
    cr_assert_eq(ask("POST /session", with("Authorization: Bearer %s", key, OWN)), 204);
    const char *at = strcasestr(sl_buf_text(&reply), "Set-Cookie: ");
    cr_assert_not_null(at);
    snprintf(cookie, sizeof(cookie), "%.*s", (int)strcspn(at + 12, ";"), at + 12);
}

/* ---- logging in ---------------------------------------------------------------------------- */

Test(front_page, a_session_stands_for_the_key_that_opened_it)
{
    cr_assert_eq(ask("GET /session", ""), 200);
    cr_assert(has("{\"is_in\":false}"));
    log_in(tenant_key);
    cr_assert(has("; HttpOnly; SameSite=Strict"));
    cr_assert_null(strstr(sl_buf_text(&reply), tenant_key));
    cr_assert_eq(ask("GET /session", with("Cookie: %s", cookie, "")), 200);
    cr_assert(has("{\"is_in\":true}"));
    cr_assert_eq(ask("GET /v1/whoami", with("Cookie: a=b; %s; c=d", cookie, OWN)), 200);
    cr_assert(has("\"tenant_id\":\"acme\""));
    cr_assert(has("Content-Security-Policy: default-src 'none'; sandbox"));
    cr_assert_eq(ask("POST /v1/queues/q/jobs/j/cancel", with("Cookie: %s", cookie, OWN)), 200);
    cr_assert_eq(atomic_load(&posted), 1);
    cr_assert_eq(ask("GET /v1/cluster", with("Cookie: %s", cookie, OWN)), 403);
}

Test(front_page, a_key_alone_goes_as_it_does_at_the_api)
{
    cr_assert_eq(ask("GET /v1/whoami", with("Authorization: Bearer %s", tenant_key, "")), 200);
    cr_assert_eq(ask("GET /v1/whoami", ""), 401);
}

Test(front_page, nobody_logs_in_without_a_valid_key)
{
    struct sl_door shut = {.is_suspended = true};
    cr_assert_eq(ask("POST /session", OWN), 401);
    cr_assert_eq(ask("POST /session", "Authorization: Bearer sk_no\r\n" OWN), 401);
    cr_assert_eq(ask("POST /session", with("Authorization: Bearer %s", tenant_key, "")), 403);
    sl_keyring_door_put(keyring, (struct sl_scope){1}, &shut);
    cr_assert_eq(ask("POST /session", with("Authorization: Bearer %s", tenant_key, OWN)), 403);
    cr_assert_not(has("Set-Cookie"));
    cr_assert_eq(ask("PUT /session", OWN), 405);
}

Test(front_page, who_logs_out_is_out)
{
    log_in(tenant_key);
    cr_assert_eq(ask("DELETE /session", with("Cookie: %s", cookie, "")), 403);
    cr_assert_eq(ask("GET /v1/whoami", with("Cookie: %s", cookie, OWN)), 200);
    cr_assert_eq(ask("DELETE /session", with("Cookie: %s", cookie, OWN)), 204);
    cr_assert(has("Max-Age=0"));
    cr_assert_eq(ask("GET /v1/whoami", with("Cookie: %s", cookie, OWN)), 401);
}

Test(front_page, a_key_that_is_revoked_takes_its_sessions_along)
{
    log_in(tenant_key);
    sl_keyring_remove(keyring, tenant_digest);
    cr_assert_eq(ask("GET /v1/whoami", with("Cookie: %s", cookie, OWN)), 401);
    cr_assert_eq(ask("GET /live", with("Cookie: %s", cookie, "")), 401);
}

/* ---- other sites --------------------------------------------------------------------------- */

Test(front_page, what_another_site_may_have_sent_is_refused)
{
    log_in(operator_key);
    cr_assert_eq(ask("POST /v1/cluster/nodes/1/drain", with("Cookie: %s", cookie, "")), 401,
                 "a form of another page sends the cookie, and no header of ours");
    cr_assert_eq(ask("POST /v1/cluster/nodes/1/drain",
                     with("Cookie: %s", cookie, OWN "Origin: http://127.0.0.1:1\r\n")),
                 403);
    cr_assert_eq(
        ask("POST /v1/cluster/nodes/1/drain", with("Cookie: %s", cookie, OWN "Origin: null\r\n")),
        403);
    cr_assert_eq(ask("GET /v1/cluster/nodes",
                     with("Cookie: %s", cookie, OWN "Sec-Fetch-Site: same-site\r\n")),
                 403);
    cr_assert_eq(ask("GET /live", with("Cookie: %s", cookie, "Sec-Fetch-Site: cross-site\r\n")),
                 403);
    cr_assert_eq(ask("OPTIONS /v1/cluster/nodes", "Origin: http://evil.example\r\n"), 403);
    cr_assert_not(has("Access-Control"));
    cr_assert_eq(atomic_load(&posted), 0);
    cr_assert_eq(ask("POST /v1/cluster/nodes/1/drain",
                     with("Cookie: %s", cookie,
                          OWN "Origin: http://127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n")),
                 200);
}

Test(front_page, a_name_that_was_not_configured_is_refused_whatever_is_asked)
{
    log_in(operator_key);
    const char *const paths[] = {"GET /",        "GET /app.js", "GET /status.json",
                                 "GET /session", "GET /live",   "GET /v1/whoami"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        const char *headers = with("Cookie: %s", cookie, OWN);
        cr_assert_eq(ask_at("evil.example:8265", paths[i], headers), 403, "%s", paths[i]);
        cr_assert_eq(ask_at("127.0.0.1.evil.example", paths[i], headers), 403, "%s", paths[i]);
    }
    cr_assert_eq(ask_at("SLUICE.example.org:80", "GET /", ""), 200);
    cr_assert_eq(ask_at("other.example.org", "GET /", ""), 200);
    cr_assert_eq(ask_at("example.org", "GET /", ""), 403);
}

Test(front_page, a_link_elsewhere_opens_the_page)
{
    const char *link =
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    cr_assert_eq(ask("GET /", link), 200);
    cr_assert_eq(ask("POST /session", link), 403);
    cr_assert_eq(ask("GET /", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"
                              "Sec-Fetch-Dest: iframe\r\n"),
                 403);
}

/* ---- files --------------------------------------------------------------------------------- */

Test(front_page, files_need_no_key_and_are_kept_until_they_change)
{
    char tag[64];
    cr_assert_eq(ask("GET /", ""), 200);
    cr_assert(has("script-src 'self'; style-src 'self'"));
    cr_assert_not(has("unsafe"));
    cr_assert(has("X-Content-Type-Options: nosniff"));
    cr_assert(has("X-Frame-Options: DENY"));
    cr_assert_eq(ask("GET /app.js", ""), 200);
    const char *at = strcasestr(sl_buf_text(&reply), "ETag: ");
    cr_assert_not_null(at);
    snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
    cr_assert_eq(ask("GET /app.js", with("If-None-Match: %s", tag, "")), 304);
    cr_assert_eq(ask("GET /app.js", "If-None-Match: \"other\"\r\n"), 200);
    cr_assert_eq(ask("GET /status.json", ""), 200);
    cr_assert(has("Cache-Control: no-store"));
    cr_assert_eq(ask("GET /nothing.js", ""), 404);
}

/* ---- live ---------------------------------------------------------------------------------- */

static int
follow(void)
{
    int fd = dial();
    send_text(fd, "127.0.0.1", "GET /live", with("Cookie: %s", cookie, ""));
    sl_buf_clear(&reply);
    return fd;
}

/* Whatever it is: who is slow gets what is so by then, and not all that was. */
static void
read_next(int fd)
{
    sl_buf_clear(&reply);
    cr_assert(read_until(fd, "event: summary\ndata: {\"look\":"));
}

Test(front_page, an_operators_page_is_told_what_changes)
{
    cr_assert_eq(ask("GET /live", ""), 401);
    log_in(operator_key);
    int fd = follow();
    cr_assert(read_until(fd, "event: summary\ndata: {\"look\":"));
    cr_assert(has("Content-Type: text/event-stream"));
    read_next(fd);
    read_next(fd);
    close(fd);
}

Test(front_page, a_tenants_page_is_told_nothing_of_others)
{
    log_in(tenant_key);
    int fd = follow();
    cr_assert(read_until(fd, "event: look\ndata: {}\n\n"));
    cr_assert_not(has("{\"look\""));
    close(fd);
}

Test(front_page, a_revoked_key_ends_the_stream)
{
    log_in(operator_key);
    int fd = follow();
    cr_assert(read_until(fd, "event: summary"));
    sl_keyring_remove(keyring, operator_digest);
    cr_assert(read_until(fd, "\r\n0\r\n\r\n"), "the end of a chunked body");
    close(fd);
}

Test(front_page, who_logs_out_hears_no_more)
{
    log_in(operator_key);
    int fd = follow();
    cr_assert(read_until(fd, "event: summary"));
    cr_assert_eq(ask("DELETE /session", with("Cookie: %s", cookie, OWN)), 204);
    sl_buf_clear(&reply);
    cr_assert(read_until(fd, "0\r\n\r\n"), "the end of a chunked body");
    close(fd);
}

Test(front_page, tenants_leave_streams_for_operators)
{
    int fds[9];
    log_in(tenant_key);
    for (size_t i = 0; i < 8; i++) {
        fds[i] = follow();
        cr_assert(read_until(fds[i], "event: look"));
    }
    cr_assert_eq(ask("GET /live", with("Cookie: %s", cookie, "")), 503, "its ninth");
    log_in(operator_key);
    fds[8] = follow();
    cr_assert(read_until(fds[8], "event: summary"));
    for (size_t i = 0; i < SL_COUNT_OF(fds); i++)
        close(fds[i]);
}

/* Tabs of a browser that has stopped: what they are told fills their sockets, and stays there. */
Test(front_page, who_does_not_read_slows_nobody)
{
    int stopped[8], small = 4096;
    atomic_store(&feed_bytes, 60000);
    log_in(operator_key);
    for (size_t i = 0; i < SL_COUNT_OF(stopped); i++) {
        stopped[i] = follow();
        cr_assert_eq(setsockopt(stopped[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    }
    int fd = follow();
    for (uint32_t i = 0; i < 12; i++) {
        read_next(fd);
        cr_assert_eq(ask("GET /status.json", ""), 200);
    }
    close(fd);
    for (size_t i = 0; i < SL_COUNT_OF(stopped); i++)
        close(stopped[i]);
}

Test(front_page, who_comes_through_a_proxy_of_this_machine_is_not_here)
{
    cr_assert_eq(ask("GET /status.json", ""), 200);
    cr_assert_eq(ask("GET /status.json", "X-Forwarded-For: 203.0.113.9\r\n"), 401);
    cr_assert_eq(ask("GET /status.json", "Forwarded: for=203.0.113.9\r\n"), 401);
}

/* However slow this machine is: between two looks is a time, whoever looks on. */
Test(front_page, what_is_told_is_made_once_for_all)
{
    int fds[20];
    log_in(operator_key);
    uint64_t began_ns = sl_time_mono_ns();
    for (size_t i = 0; i < SL_COUNT_OF(fds); i++)
        fds[i] = follow();
    for (int i = 0; i < 4; i++)
        read_next(fds[0]);
    uint64_t count = atomic_load(&looks), took_ns = sl_time_mono_ns() - began_ns;
    cr_assert_leq((count - 1) * 400 * SL_MILLI_NS, took_ns, "%lu looks", (unsigned long)count);
    for (size_t i = 0; i < SL_COUNT_OF(fds); i++)
        close(fds[i]);
}

/* The front stops in teardown, with streams that sleep and some that nobody reads. */
Test(front_page, streams_end_with_the_front)
{
    log_in(operator_key);
    for (int i = 0; i < 5; i++)
        (void)follow();
    int fd = follow();
    cr_assert(read_until(fd, "event: summary"));
}
