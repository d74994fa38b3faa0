/* SPDX-License-Identifier: Apache-2.0 */
/* A server of a few lines on loopback answers each connection with what the test says. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "gateway/fetch.h"

struct server {
    int fd;
    uint16_t port;
    uint32_t count;
    const char *const *replies; /* One for each connection; "": say nothing until it closes. */
    char seen[4][2048];         /* What each connection sent. */
    pthread_t thread;
};

static void
serve_one(struct server *s, uint32_t index, int fd)
{
    size_t size = 0;
    char *seen = s->seen[index];
    while (size < sizeof(s->seen[0]) - 1) {
        ssize_t n = read(fd, seen + size, sizeof(s->seen[0]) - 1 - size);
        if (n <= 0)
            return;
        size += (size_t)n;
        seen[size] = '\0';
        const char *end = strstr(seen, "\r\n\r\n");
        const char *length = strcasestr(seen, "content-length:");
        size_t body = length == NULL ? 0 : strtoul(length + 15, NULL, 10);
        if (end != NULL && s->replies[index][0] != '\0' && strlen(end + 4) >= body)
            break;
    }
    (void)!write(fd, s->replies[index], strlen(s->replies[index]));
}

static void *
serve(void *arg)
{
    struct server *s = arg;
    for (uint32_t i = 0; i < s->count; i++) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            break;
        serve_one(s, i, fd);
        close(fd);
    }
    return NULL;
}

static char *
start(struct server *s, const char *const *replies, uint32_t count)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(where);
    *s = (struct server){.replies = replies, .count = count};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(s->fd, (struct sockaddr *)&where, size), 0);
    cr_assert_eq(listen(s->fd, 8), 0);
    cr_assert_eq(getsockname(s->fd, (struct sockaddr *)&where, &size), 0);
    s->port = ntohs(where.sin_port);
    cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
    return sl_format("http://127.0.0.1:%u/a", (unsigned)s->port);
}

static void
stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static enum sl_err
keep(void *arg, const void *data, size_t size)
{
    sl_buf_append(arg, data, size);
    return SL_OK;
}

static enum sl_err
refuse(void *arg, const void *data, size_t size)
{
    (void)arg, (void)data, (void)size;
    return SL_ENOSPC;
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

/* Fetch from a server with these replies, into *body. */
static enum sl_err
fetch(const char *const *replies, uint32_t count, struct sl_fetch_request *q,
      struct sl_fetch_reply *reply, struct sl_buf *body)
{
    struct server s;
    char *url = start(&s, replies, count);
    q->url = url;
    if (q->take == NULL && body != NULL) {
        q->take = keep;
        q->take_arg = body;
    }
    enum sl_err err = sl_fetch(q, reply);
    stop(&s);
    sl_free(url);
    return err;
}

Test(fetch, gives_the_body_and_what_the_reply_says_of_it)
{
    const char *replies[] = {OK_REPLY};
    struct sl_fetch_request q = {.is_private_allowed = true};
    struct sl_fetch_reply reply;
    struct sl_buf body = {0};
    cr_assert_eq(fetch(replies, 1, &q, &reply, &body), SL_OK, "%s", reply.cause);
    cr_assert_eq(reply.status, 200);
    cr_assert_eq(reply.size_bytes, 5);
    cr_assert_str_eq(reply.content_type, "text/plain");
    cr_assert(sl_slice_is(sl_buf_slice(&body), "hello"));
    sl_buf_deinit(&body);
}

Test(fetch, connects_to_no_private_address_unless_allowed)
{
    const char *replies[] = {OK_REPLY};
    struct sl_fetch_request q = {0};
    struct sl_fetch_reply reply;
    cr_assert_eq(fetch(replies, 1, &q, &reply, NULL), SL_EDENIED);
    cr_assert_str_eq(reply.cause, "the host has a private address");
    cr_assert_eq(reply.status, 0);
}

Test(fetch, checks_the_address_that_a_name_leads_to)
{
    /* No literal and not "localhost": only the check at the socket can tell. */
    struct sl_fetch_request q = {.url = "http://ip6-localhost:1/", .timeout_ns = 5 * SL_SECOND_NS};
    struct sl_fetch_reply reply;
    enum sl_err err = sl_fetch(&q, &reply);
    cr_assert(err == SL_EDENIED || strstr(reply.cause, "resolve") != NULL, "%s", reply.cause);
    cr_assert_eq(reply.status, 0);
}

Test(fetch, follows_redirects_up_to_a_number)
{
    static const char moved[] = "HTTP/1.1 302 Found\r\nLocation: /b\r\nConnection: close\r\n"
                                "Content-Length: 0\r\n\r\n";
    const char *replies[] = {moved, moved, OK_REPLY};
    struct sl_fetch_request q = {.is_private_allowed = true, .redirects_max = 2};
    struct sl_fetch_reply reply;
    struct sl_buf body = {0};
    cr_assert_eq(fetch(replies, 3, &q, &reply, &body), SL_OK, "%s", reply.cause);
    cr_assert_eq(reply.status, 200);
    sl_buf_clear(&body);
    q.redirects_max = 1;
    cr_assert_eq(fetch(replies, 3, &q, &reply, &body), SL_EFULL);
    q.redirects_max = 0;
    cr_assert_eq(fetch(replies, 1, &q, &reply, &body), SL_OK);
    cr_assert_eq(reply.status, 302);
    cr_assert_eq(body.size, 0);
    sl_buf_deinit(&body);
}

Test(fetch, follows_no_redirect_to_another_scheme)
{
    const char *replies[] = {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
                             "Content-Length: 0\r\n\r\n"};
    struct sl_fetch_request q = {.is_private_allowed = true, .redirects_max = 5};
    struct sl_fetch_reply reply;
    struct sl_buf body = {0};
    cr_assert_eq(fetch(replies, 1, &q, &reply, &body), SL_EINVAL);
    cr_assert_eq(body.size, 0);
}

Test(fetch, stops_at_the_limit_whether_the_size_was_stated_or_not)
{
    const char *stated[] = {OK_REPLY};
    const char *unstated[] = {"HTTP/1.1 200 OK\r\n\r\nhello"};
    struct sl_fetch_request q = {.is_private_allowed = true, .size_bytes_max = 4};
    struct sl_fetch_reply reply;
    struct sl_buf body = {0};
    cr_assert_eq(fetch(stated, 1, &q, &reply, &body), SL_ETOOBIG);
    cr_assert_eq(body.size, 0);
    cr_assert_eq(fetch(unstated, 1, &q, &reply, &body), SL_ETOOBIG);
    q.size_bytes_max = 5;
    cr_assert_eq(fetch(unstated, 1, &q, &reply, &body), SL_OK);
    cr_assert_eq(reply.size_bytes, 5);
    sl_buf_deinit(&body);
}

Test(fetch, tells_a_broken_transfer_and_a_silent_host_apart)
{
    const char *cut[] = {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"};
    const char *silent[] = {""};
    struct sl_fetch_request q = {.is_private_allowed = true};
    struct sl_fetch_reply reply;
    struct sl_buf body = {0};
    cr_assert_eq(fetch(cut, 1, &q, &reply, &body), SL_EIO);
    q.timeout_ns = 50 * SL_MILLI_NS;
    cr_assert_eq(fetch(silent, 1, &q, &reply, &body), SL_ETIMEOUT);
    sl_buf_deinit(&body);
}

Test(fetch, passes_on_why_its_taker_refused)
{
    const char *replies[] = {OK_REPLY};
    struct sl_fetch_request q = {.is_private_allowed = true, .take = refuse};
    struct sl_fetch_reply reply;
    cr_assert_eq(fetch(replies, 1, &q, &reply, NULL), SL_ENOSPC);
}

Test(fetch, posts_a_body_and_reads_retry_after)
{
    const char *replies[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"};
    const char *headers[] = {"Content-Type: application/json", "X-Sig: abc", NULL};
    struct server s;
    char *url = start(&s, replies, 1);
    struct sl_fetch_request q = {.url = url,
                                 .is_post = true,
                                 .is_private_allowed = true,
                                 .headers = headers,
                                 .redirects_max = 3,
                                 .body = sl_slice_str("{\"a\":1}")};
    struct sl_fetch_reply reply;
    cr_assert_eq(sl_fetch(&q, &reply), SL_OK, "%s", reply.cause);
    stop(&s);
    cr_assert_eq(reply.status, 503);
    cr_assert_eq(reply.retry_after_s, 7);
    cr_assert_eq(reply.size_bytes, 0);
    cr_assert_not_null(strstr(s.seen[0], "POST /a HTTP/1.1\r\n"));
    cr_assert_not_null(strstr(s.seen[0], "X-Sig: abc\r\n"));
    cr_assert_not_null(strstr(s.seen[0], "\r\n\r\n{\"a\":1}"));
    sl_free(url);
}

Test(fetch, ends_when_it_is_cancelled)
{
    const char *replies[] = {""};
    atomic_bool is_cancelled = true;
    struct sl_fetch_request q = {.is_private_allowed = true, .is_cancelled = &is_cancelled};
    struct sl_fetch_reply reply;
    cr_assert_eq(fetch(replies, 1, &q, &reply, NULL), SL_ECANCELED);
}

Test(fetch, says_when_nobody_listens)
{
    struct server s;
    char *url = start(&s, NULL, 0);
    stop(&s);
    struct sl_fetch_request q = {.url = url, .is_private_allowed = true};
    struct sl_fetch_reply reply;
    cr_assert_eq(sl_fetch(&q, &reply), SL_EUNAVAIL);
    cr_assert_neq(reply.cause[0], '\0');
    sl_free(url);
}

Test(fetch, refuses_urls_by_themselves)
{
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:/t",
                                      "http:///t",
                                      "http:t",
                                      "ftp://a/b",
                                      "/etc/passwd",
                                      "file:///etc/x",
                                      "http://u:p@example.com/",
                                      "http://u@example.com",
                                      "s3://bucket/key",
                                      "http://a b/",
                                      "http://a/\r\nX: y",
                                      "gopher://x",
                                      "http://exa\xc3\xa4.com/"};
    static const char *const private[] = {"http://127.0.0.1/",      "http://localhost/x",
                                          "http://0x7f.1/",         "http://2130706433/",
                                          "https://10.0.0.1:8443/", "http://169.254.169.254/latest",
                                          "http://[::1]/",          "http://[::ffff:10.0.0.1]/",
                                          "http://[fe80::1]/",      "http://[64:ff9b::7f00:1]/"};
    const char *cause;
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_expect_eq(sl_fetch_check_url(sl_slice_str(bad[i]), true, &cause), SL_EINVAL, "%s",
                     bad[i]);
    for (size_t i = 0; i < SL_COUNT_OF(private); i++) {
        cr_expect_eq(sl_fetch_check_url(sl_slice_str(private[i]), false, &cause), SL_EDENIED, "%s",
                     private[i]);
        cr_expect_eq(sl_fetch_check_url(sl_slice_str(private[i]), true, &cause), SL_OK, "%s",
                     private[i]);
    }
    cr_assert_eq(sl_fetch_check_url(sl_slice_str("https://example.com/a?b=c"), false, &cause),
                 SL_OK);
}

Test(fetch, knows_public_addresses)
{
    static const struct {
        const char *text;
        bool is_public;
    } cases[] = {
        {"8.8.8.8", true},
        {"1.1.1.1", true},
        {"172.15.0.1", true},
        {"172.32.0.1", true},
        {"0.0.0.0", false},
        {"10.255.0.1", false},
        {"100.64.0.1", false},
        {"100.128.0.1", true},
        {"127.9.9.9", false},
        {"169.254.1.1", false},
        {"172.31.0.1", false},
        {"192.168.0.1", false},
        {"198.19.0.1", false},
        {"224.0.0.1", false},
        {"255.255.255.255", false},
        {"2606:4700::1", true},
        {"::1", false},
        {"::", false},
        {"fe80::1", false},
        {"fd00::1", false},
        {"ff02::1", false},
        {"::ffff:8.8.8.8", true},
        {"::ffff:10.0.0.1", false},
        {"2002:7f00:1::", false},
        {"2002:808:808::", true},
        {"2001::1", false},
        {"2001:db8::1", false},
        {"64:ff9b::808:808", true},
        {"64:ff9b::a00:1", false},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        const struct sockaddr *address = (const struct sockaddr *)&v4;
        if (inet_pton(AF_INET, cases[i].text, &v4.sin_addr) != 1) {
            cr_assert_eq(inet_pton(AF_INET6, cases[i].text, &v6.sin6_addr), 1);
            address = (const struct sockaddr *)&v6;
        }
        cr_expect_eq(sl_fetch_is_public(address), cases[i].is_public, "%s", cases[i].text);
    }
}
