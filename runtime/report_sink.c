/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_sink.h"

#include <stdalign.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define WAIT_MS 2

static atomic_int sink_fd = -1;
static atomic_uint missed_count;

void
sl_report_sink_set(int fd)
{
    atomic_store(&sink_fd, fd);
}

int
sl_report_sink(void)
{
    return atomic_load(&sink_fd);
}

void
sl_report_sink_put(const struct sl_report_entry *entry, bool may_wait)
{
    alignas(8) uint8_t record[SL_REPORT_RECORD_MAX];
    struct sl_report_entry e = *entry;
    int fd = atomic_load(&sink_fd);
    if (fd < 0)
        return;
    e.missed = atomic_exchange(&missed_count, 0);
    size_t size = sl_report_entry_write(&e, record);
    bool is_told = send(fd, record, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
    if (!is_told && may_wait && (errno == EAGAIN || errno == EINTR)) {
        (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, WAIT_MS);
        is_told = send(fd, record, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
    }
    if (!is_told)
        atomic_fetch_add(&missed_count, e.missed + 1);
}
