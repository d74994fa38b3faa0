/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of the dashboard that stay open, as far as its head can tell: each has a session, holds a
 * stream, and at each change asks for what the overview shows, once a second at most.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/bench/pages.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TABS_MAX    64u
#define ASKED_NS    SL_SECOND_NS /* From one refresh to the next, at least. */
#define PATIENCE_NS (10 * SL_SECOND_NS)
#define TEXT_BYTES  (256 * SL_KIB)
#define SETTLE_NS   (200 * SL_MILLI_NS) /* So that who follows waits already. */

/* ---- connections --------------------------------------------------------------------------- */

static int
connect_to(uint16_t port)
{
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool
send_text(int fd, const char *text)
{
    size_t size = strlen(text);
    return send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* What has come within the time, up to `size` - 1 bytes, as a text. 0: nothing. */
static size_t
read_some(int fd, char *text, size_t size, uint64_t wait_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, (int)(wait_ns / SL_MILLI_NS)) < 1)
        return 0;
    ssize_t got = recv(fd, text, size - 1, 0);
    text[SL_MAX(got, (ssize_t)0)] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* The operator's key, owned; empty: it cannot be read. */
static char *
read_key(const struct sl_bench_server *server)
{
    char *path = sl_format("%s/data/admin.key", server->directory), key[256] = "";
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(key, sizeof(key), file) != NULL)
        key[strcspn(key, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    sl_free(path);
    return sl_strdup(key);
}

/* The operator's session, as "NAME=TOKEN"; NULL: none was made. */
static char *
log_in(const struct sl_bench_server *server, uint16_t port)
{
    char *key = read_key(server), *cookie = NULL, reply[2048];
    char *request = sl_format("POST /session HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                              "X-Sluice-Dashboard: 1\r\nAuthorization: Bearer %s\r\n"
                              "Content-Length: 0\r\n\r\n",
                              port, key);
    int fd = connect_to(port);
    if (fd >= 0 && send_text(fd, request) && read_some(fd, reply, sizeof(reply), PATIENCE_NS) > 0) {
        const char *found = strcasestr(reply, "\r\nSet-Cookie: ");
        if (found != NULL)
            cookie = sl_strndup(found + 14, strcspn(found + 14, ";\r"));
    }
    if (fd >= 0)
        (void)close(fd);
    sl_free(request);
    sl_free(key);
    return cookie;
}

/* ---- tabs ---------------------------------------------------------------------------------- */

struct tab {
    int fd;
    bool is_told, has_read; /* The latter of the stream that is open. */
    uint64_t asked_ns;
};

/* What a refresh of the overview asks for (gateway/dashboard/overview.js). */
static const char *const asked[] = {"/v1/cluster/queues?limit=100", "/v1/cluster",
                                    "/v1/cluster/events?limit=6"};

static int
open_stream(uint16_t port, const char *cookie)
{
    char *request = sl_format("GET /live HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                              "X-Sluice-Dashboard: 1\r\nCookie: %s\r\n\r\n",
                              port, cookie);
    int fd = connect_to(port);
    if (fd >= 0 && !send_text(fd, request)) {
        (void)close(fd);
        fd = -1;
    }
    sl_free(request);
    return fd;
}

/* All of them over one connection: a browser would have up to six. */
static bool
refresh(struct sl_http_client *http)
{
    struct sl_http_reply reply = {0};
    bool is_ok = true;
    for (size_t i = 0; is_ok && i < SL_COUNT_OF(asked); i++) {
        struct sl_http_request get = {.method = "GET", .path = asked[i]};
        is_ok = sl_http_send(http, &get, &reply) == SL_OK && reply.status == 200;
    }
    sl_buf_deinit(&reply.body);
    return is_ok ||
           sl_bench_fail("a tab's page was answered %ld %s", reply.status, sl_http_error(http));
}

/* A stream ends now and then, and a browser opens it again. False: one ended that told nothing. */
static bool
tend(struct tab *tab, uint16_t port, const char *cookie, char *text)
{
    size_t got = read_some(tab->fd, text, TEXT_BYTES, 0);
    struct pollfd poll_fd = {.fd = tab->fd, .events = POLLIN};
    if (got == 0 && poll(&poll_fd, 1, 0) == 0)
        return true;
    if (got == 0) {
        bool is_new = !tab->has_read;
        (void)close(tab->fd);
        tab->has_read = false;
        tab->fd = is_new ? -1 : open_stream(port, cookie);
        return tab->fd >= 0 || sl_bench_fail("a tab's stream has ended");
    }
    tab->has_read = true;
    tab->is_told = tab->is_told || strstr(text, "event: summary") != NULL;
    return true;
}

SL_NORETURN static void
hold(uint16_t port, const char *cookie, struct sl_http_client *http, uint32_t count)
{
    struct tab tabs[TABS_MAX];
    char *text = sl_alloc(TEXT_BYTES);
    bool is_ok = true;
    for (uint32_t i = 0; i < count; i++) {
        tabs[i] = (struct tab){.fd = open_stream(port, cookie)};
        is_ok = is_ok && tabs[i].fd >= 0;
    }
    while (is_ok) {
        for (uint32_t i = 0; is_ok && i < count; i++) {
            uint64_t now_ns = sl_time_mono_ns();
            is_ok = tend(&tabs[i], port, cookie, text);
            if (!tabs[i].is_told || now_ns < tabs[i].asked_ns + ASKED_NS)
                continue;
            tabs[i].is_told = false;
            tabs[i].asked_ns = now_ns;
            is_ok = is_ok && refresh(http);
        }
        (void)poll(NULL, 0, 5);
    }
    _exit(1);
}

bool
sl_bench_tabs_start(const struct sl_bench_server *server, uint32_t count, pid_t *ret_pid)
{
    sl_assert(count <= TABS_MAX);
    char *port_text = sl_bench_server_address(server, "dashboard");
    if (port_text == NULL)
        return false;
    uint16_t port = (uint16_t)strtoul(port_text, NULL, 10);
    char *cookie = log_in(server, port);
    sl_free(port_text);
    if (cookie == NULL)
        return sl_bench_fail("the dashboard lets nobody in");
    (void)fflush(stdout);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold(port, cookie, server->admin, count);
    }
    sl_free(cookie);
    return *ret_pid > 0 || sl_bench_fail("no process can be made");
}

/* ---- an event ------------------------------------------------------------------------------ */

/* A tenant is made: an event that comes from the API and is on the disk before it is told. */
static bool
make_event(struct sl_http_client *http, uint32_t index)
{
    struct sl_http_reply reply = {0};
    char *body = sl_format("{\"tenant_id\":\"event-%u\",\"name\":\"event\"}", index);
    struct sl_http_request post = {
        .method = "POST", .path = "/v1/tenants", .body = sl_slice_str(body)};
    bool is_ok = sl_http_send(http, &post, &reply) == SL_OK && reply.status < 300;
    sl_buf_deinit(&reply.body);
    sl_free(body);
    return is_ok;
}

bool
sl_bench_event_ms(const struct sl_bench_server *server, uint32_t index, double *ret_ms)
{
    char *key = read_key(server), text[4096];
    char *request = sl_format("GET /v1/cluster/events?follow=true HTTP/1.1\r\nHost: localhost\r\n"
                              "Authorization: Bearer %s\r\n\r\n",
                              key);
    int fd = connect_to((uint16_t)strtoul(strrchr(server->url, ':') + 1, NULL, 10));
    bool is_ok = fd >= 0 && send_text(fd, request);
    if (is_ok) {
        sl_time_sleep_ns(SETTLE_NS);
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = make_event(server->admin, index) &&
                read_some(fd, text, sizeof(text), PATIENCE_NS) > 0 &&
                strncmp(text, "HTTP/1.1 200 ", 13) == 0;
        *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    }
    if (fd >= 0)
        (void)close(fd);
    sl_free(request);
    sl_free(key);
    return is_ok || sl_bench_fail("an event was not told");
}
