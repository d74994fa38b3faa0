/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "runtime/alloc.h"

#define READ_SIZE (256 * SL_KIB)

_Noreturn void
load_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "queue-load: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    exit(1);
}

void
load_connect(struct load_conn *c, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        load_die("port %u: %s", port, strerror(errno));
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void
load_close(struct load_conn *c)
{
    if (c->fd > 0)
        close(c->fd);
    sl_buf_deinit(&c->out);
    sl_free(c->in);
    sl_free(c->own);
    *c = (struct load_conn){0};
}

bool
load_flush(struct load_conn *c)
{
    struct sl_slice out = sl_buf_slice(&c->out);
    while (c->out_sent < out.size) {
        ssize_t n = send(c->fd, out.data + c->out_sent, out.size - c->out_sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        if (n < 0) /* It hung up; whoever reads next is told so. */
            break;
        c->out_sent += (size_t)n;
    }
    sl_buf_clear(&c->out);
    c->out_sent = 0;
    return true;
}

bool
load_read(struct load_conn *c)
{
    if (c->in_head > 0) {
        memmove(c->in, c->in + c->in_head, c->in_tail - c->in_head);
        c->in_tail -= c->in_head;
        c->in_head = 0;
    }
    if (c->in_capacity - c->in_tail < READ_SIZE) {
        c->in_capacity = c->in_tail + 2 * READ_SIZE;
        c->in = sl_realloc(c->in, c->in_capacity);
    }
    ssize_t n = recv(c->fd, c->in + c->in_tail, c->in_capacity - c->in_tail, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->in_tail += (size_t)n;
    return n > 0;
}

struct sl_slice
load_input(const struct load_conn *c)
{
    return sl_slice(c->in + c->in_head, c->in_tail - c->in_head);
}

void
load_taken(struct load_conn *c, size_t size)
{
    sl_assert(size <= c->in_tail - c->in_head);
    c->in_head += size;
}

bool
load_line(const struct load_conn *c, struct sl_slice *ret_line)
{
    struct sl_slice input = load_input(c);
    const uint8_t *end = input.size == 0 ? NULL : memchr(input.data, '\n', input.size);
    if (end == NULL)
        return false;
    size_t size = (size_t)(end - input.data);
    if (size == 0 || end[-1] != '\r')
        load_die("a line without CR LF");
    *ret_line = sl_slice(input.data, size - 1);
    return true;
}

bool
load_starts(struct sl_slice line, const char *with)
{
    return line.size >= strlen(with) && memcmp(line.data, with, strlen(with)) == 0;
}

static void
read_more(struct load_conn *c)
{
    while (!load_flush(c))
        poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, -1);
    poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, -1);
    if (!load_read(c))
        load_die("the server has hung up");
}

void
load_need(struct load_conn *c, size_t count)
{
    while (load_input(c).size < count)
        read_more(c);
}

struct sl_slice
load_need_line(struct load_conn *c)
{
    struct sl_slice line;
    while (!load_line(c, &line))
        read_more(c);
    return line;
}

void
load_expect(struct load_conn *c, const char *start)
{
    struct sl_slice line = load_need_line(c);
    if (!load_starts(line, start))
        load_die("not %s but %.*s", start, (int)line.size, (const char *)line.data);
    load_taken(c, line.size + 2);
}
