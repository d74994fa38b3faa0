/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/child_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "runtime/report.h"
#include "runtime/time.h"

#define TAKE_BYTES  (64 * SL_KIB)
#define WRITE_BYTES 4096 /* A pipe that polls as writable takes so much without blocking. */
#define LAST_TAKES  32   /* Of a child that is gone; a pipe holds less. */

bool
sl_child_output_open(struct sl_child_output *ret_output, int *ret_write_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    *ret_output = (struct sl_child_output){
        .fd = ends[0], .to_fd = STDERR_FILENO, .budget = SL_CHILD_OUTPUT_BURST};
    *ret_write_fd = ends[1];
    return true;
}

static void
refill(struct sl_child_output *o, uint64_t now_ns)
{
    if (o->filled_ns == 0 || now_ns < o->filled_ns)
        o->filled_ns = now_ns;
    uint64_t milliseconds = (now_ns - o->filled_ns) / SL_MILLI_NS;
    uint64_t more = SL_MIN(milliseconds, UINT64_C(60000)) * SL_CHILD_OUTPUT_SECOND / 1000;
    if (more == 0)
        return;
    o->budget = SL_MIN(o->budget + more, (uint64_t)SL_CHILD_OUTPUT_BURST);
    o->filled_ns = now_ns;
}

/* How many of the bytes went. */
static size_t
pass(struct sl_child_output *o, const char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        struct pollfd to = {.fd = o->to_fd, .events = POLLOUT};
        if (poll(&to, 1, 0) != 1 || (to.revents & POLLOUT) == 0)
            break;
        ssize_t n = write(o->to_fd, data + done, SL_MIN(size - done, (size_t)WRITE_BYTES));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done > 0)
        o->is_cut = data[done - 1] != '\n';
    return done;
}

static void
drop(struct sl_child_output *o, uint64_t size)
{
    if (o->is_cut)
        (void)pass(o, "\n", 1);
    if (o->dropped == 0) {
        sl_report_warn(
            "output-dropped", "pid=%d why=\"it prints more than %d KiB, and %d KiB a second\"",
            o->pid, (int)(SL_CHILD_OUTPUT_BURST / SL_KIB), (int)(SL_CHILD_OUTPUT_SECOND / SL_KIB));
    }
    o->dropped += size;
}

/* What a terminal would obey, or a log take for something else, becomes '?'. */
static void
tame(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        bool is_c1 = c == 0xc2 && i + 1 < size && (unsigned char)data[i + 1] < 0xa0;
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f || is_c1)
            data[i] = '?';
    }
}

bool
sl_child_output_take(struct sl_child_output *o, uint64_t now_ns)
{
    static char data[TAKE_BYTES];
    ssize_t size = o->fd < 0 ? 0 : read(o->fd, data, sizeof(data));
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0)
        return false;
    refill(o, now_ns);
    tame(data, (size_t)size);
    sl_report_output_take(&o->lines, sl_slice(data, SL_MIN((size_t)size, (size_t)o->budget)),
                          now_ns);
    size_t passed = pass(o, data, SL_MIN((size_t)size, (size_t)o->budget));
    o->budget -= passed;
    o->passed += passed;
    if (passed < (size_t)size)
        drop(o, (size_t)size - passed);
    return true;
}

void
sl_child_output_close(struct sl_child_output *o, uint64_t now_ns)
{
    if (o->fd < 0)
        return;
    for (int i = 0; i < LAST_TAKES && sl_child_output_take(o, now_ns); i++)
        ;
    sl_report_output_end(&o->lines, now_ns);
    if (o->dropped > 0)
        sl_report_warn("output-dropped", "pid=%d passed=%" PRIu64 " dropped=%" PRIu64, o->pid,
                       o->passed, o->dropped);
    close(o->fd);
    o->fd = -1;
}
