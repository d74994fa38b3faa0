/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are late, over real sockets, with deadlines of a second. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/front.h"
#include "gateway/transport.h"
#include "runtime/hash.h"
#include "runtime/time.h"

#define PAGE_BYTES      (32 * SL_MIB) /* More than the kernel buffers for a client. */
#define PER_ADDRESS_MAX 4

static struct sl_front *front;
static struct sl_keyring *keyring;
static char chunked[256]; /* The head of a call whose body comes in chunks. */

static void
post(void *arg, struct sl_call *call)
{
    (void)arg;
    sl_front_reply(front, &call); /* No test here needs an answer of a handler. */
}

static bool
page(void *arg, const char *path, struct sl_page *ret_page)
{
    (void)arg;
    if (strcmp(path, "/big") != 0)
        return false;
    if (!ret_page->is_wanted)
        return true;
    sl_buf_reserve(&ret_page->body, PAGE_BYTES);
    memset(ret_page->body.data, 'x', PAGE_BYTES);
    ret_page->body.size = PAGE_BYTES;
    ret_page->type = "text/plain";
    return true;
}

static void
setup(void)
{
    struct sl_identity who = {.tenant_id = "acme", .scope = {1}, .permissions = 0xffff};
    char secret[SL_SECRET_SIZE + 1];
    uint8_t digest[32];
    keyring = sl_keyring_create();
    sl_secret_mint(secret);
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(keyring, digest, &who, 0);
    snprintf(chunked, sizeof(chunked),
             "POST /v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
             "Transfer-Encoding: chunked\r\n\r\n",
             secret);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}},
                                       .planes_count = 1,
                                       .post = post,
                                       .page = page,
                                       .connections_max = 64,
                                       .per_address_max = PER_ADDRESS_MAX,
                                       .idle_s = 2,
                                       .head_s = 1,
                                       .body_s = 1,
                                       .reply_s = 1,
                                       .reply_rate = UINT32_MAX};
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
}

static void
teardown(void)
{
    sl_front_stop(&front);
    sl_keyring_destroy(&keyring);
}

TestSuite(front_guard, .init = setup, .fini = teardown, .timeout = 60);

static int
dial_from(const char *address)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(sl_front_port(front)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    cr_assert_eq(inet_pton(AF_INET, address, &here.sin_addr), 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    return fd;
}

static int
dial(void)
{
    return dial_from("127.0.0.1");
}

static void
say(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Wait, at most `ms`, for something to read. */
static bool
has_news(int fd, int ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, ms) == 1;
}

static double
seconds_since(uint64_t from_ns)
{
    return (double)(sl_time_mono_ns() - from_ns) / 1e9;
}

/* One byte of `text` again and again, never silent, until the other side hangs up. */
static double
trickle(int fd, const char *text)
{
    uint64_t from_ns = sl_time_mono_ns();
    char byte;
    while (seconds_since(from_ns) < 30) {
        if (send(fd, text, 1, MSG_NOSIGNAL) != 1)
            break;
        if (has_news(fd, 100) && recv(fd, &byte, 1, 0) <= 0)
            break;
    }
    return seconds_since(from_ns);
}

Test(front_guard, what_is_still_read_when_the_front_is_shut_is_not_posted)
{
    char reply[4096] = "";
    int fd = dial();
    say(fd, chunked);
    say(fd, "2\r\n{}\r\n");
    while (!sl_front_shut(front))
        (void)poll(NULL, 0, 1);
    say(fd, "0\r\n\r\n");
    cr_assert_gt(recv(fd, reply, sizeof(reply) - 1, 0), 0);
    cr_assert_not_null(strstr(reply, " 503 "), "%s", reply);
    cr_assert_eq(sl_front_posted(front), 0);
    close(fd);
}

Test(front_guard, a_head_that_trickles_is_cut)
{
    int fd = dial();
    say(fd, "GET /v1/health/liveness HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    cr_assert_lt(trickle(fd, "a"), 10);
    close(fd);
}

Test(front_guard, a_request_line_that_trickles_after_a_request_is_cut)
{
    char reply[4096];
    int fd = dial();
    say(fd, "GET /v1/health/liveness HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_gt(recv(fd, reply, sizeof(reply), 0), 0);
    cr_assert_lt(trickle(fd, "G"), 10);
    close(fd);
}

Test(front_guard, a_body_that_trickles_is_cut)
{
    int fd = dial();
    say(fd, chunked);
    say(fd, "100000\r\n");
    cr_assert_lt(trickle(fd, " "), 10);
    close(fd);
}

Test(front_guard, a_reply_that_is_read_slowly_is_cut)
{
    static char piece[1 << 16];
    uint64_t from_ns = sl_time_mono_ns();
    size_t got = 0;
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    while (seconds_since(from_ns) < 4) { /* A byte now and then, past the deadline. */
        cr_assert_eq(recv(fd, piece, 1, 0), 1);
        got++;
        poll(NULL, 0, 100);
    }
    for (ssize_t size; (size = recv(fd, piece, sizeof(piece), 0)) > 0;)
        got += (size_t)size;
    cr_assert_lt(got, PAGE_BYTES, "the whole page came");
    close(fd);
}

Test(front_guard, a_reply_that_is_read_at_once_is_whole)
{
    static char piece[1 << 16];
    size_t got = 0;
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    for (ssize_t size; (size = recv(fd, piece, sizeof(piece), 0)) > 0;)
        got += (size_t)size;
    cr_assert_gt(got, PAGE_BYTES);
    close(fd);
}

static double
cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* More than libmicrohttpd's buffer holds, and nothing in it that can be handed on. */
static int
say_a_chunk_without_end(void)
{
    static char extension[64 * 1024];
    int fd = dial();
    memset(extension, 'x', sizeof(extension));
    say(fd, chunked);
    say(fd, "1;");
    (void)!send(fd, extension, sizeof(extension), MSG_NOSIGNAL | MSG_DONTWAIT);
    return fd;
}

Test(front_guard, a_chunk_without_end_costs_no_time_and_is_cut)
{
    char reply[4096];
    int fd = say_a_chunk_without_end();
    cr_assert_not(has_news(fd, 1200));
    double from = cpu_seconds();
    cr_assert_not(has_news(fd, 500));
    cr_assert_lt(cpu_seconds() - from, 0.1);
    cr_assert(has_news(fd, 10000), "it is cut");
    cr_assert_leq(recv(fd, reply, sizeof(reply), 0), 0);
    close(fd);
}

Test(front_guard, slow_chunks_arrive_beside_a_chunk_without_end)
{
    char reply[4096] = "", piece[4096];
    int stuck = say_a_chunk_without_end(), fd = dial();
    snprintf(piece, sizeof(piece), "800\r\n%2048s\r\n", "");
    say(fd, chunked);
    say(fd, "1\r\n{\r\n");
    for (int i = 0; i < 4; i++) {
        cr_assert_not(has_news(fd, 1000));
        say(fd, piece);
    }
    say(fd, "1\r\n}\r\n0\r\n\r\n");
    cr_assert_gt(recv(fd, reply, sizeof(reply) - 1, 0), 0);
    cr_assert_eq(strncmp(reply, "HTTP/1.1 200", 12), 0, "%s", reply);
    close(stuck);
    close(fd);
}

Test(front_guard, one_address_has_its_share_of_the_connections)
{
    char reply[4096];
    int fds[PER_ADDRESS_MAX + 1];
    for (int i = 0; i < PER_ADDRESS_MAX; i++) {
        fds[i] = dial();
        say(fds[i], "GET /v1/health/liveness HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert_gt(recv(fds[i], reply, sizeof(reply), 0), 0);
    }
    fds[PER_ADDRESS_MAX] = dial();
    cr_assert(has_news(fds[PER_ADDRESS_MAX], 5000), "it is hung up on");
    cr_assert_leq(recv(fds[PER_ADDRESS_MAX], reply, sizeof(reply), 0), 0);
    say(fds[0], "GET /v1/health/liveness HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_gt(recv(fds[0], reply, sizeof(reply), 0), 0, "the others stay");
    for (int i = 0; i <= PER_ADDRESS_MAX; i++)
        close(fds[i]);
}

static bool
is_answered(int fd)
{
    char reply[4096];
    (void)send(fd, "GET /v1/health/liveness HTTP/1.1\r\nHost: x\r\n\r\n", 45, MSG_NOSIGNAL);
    return has_news(fd, 20000) && recv(fd, reply, sizeof(reply), 0) > 0;
}

/* All of a proxy's clients have its address. */
Test(front_guard, a_proxy_has_all_connections_and_anybody_else_half)
{
    struct sl_transport transport = {0};
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}},
                                       .planes_count = 1,
                                       .post = post,
                                       .transport = &transport,
                                       .connections_max = 8};
    int fds[8];
    cr_assert_eq(sl_proxies_parse("127.0.0.2/32", &transport), SL_OK);
    sl_front_stop(&front);
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
    for (int i = 0; i < 4; i++)
        cr_assert(is_answered(fds[i] = dial_from("127.0.0.3")), "%d", i);
    cr_assert_not(is_answered(fds[4] = dial_from("127.0.0.3")), "half are its");
    close(fds[4]);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    sl_front_stop(&front);
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
    for (int i = 0; i < 8; i++)
        cr_assert(is_answered(fds[i] = dial_from("127.0.0.2")), "%d", i);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
}
