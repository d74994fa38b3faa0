/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_tap.h"

#include <stdalign.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/report_sink.h"
#include "runtime/time.h"

#define SOCKET_BYTES (1 * SL_MIB) /* As far as the system allows it. */

struct sl_report_tap {
    int in_fd, out_fd, stop_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* Of the ring. */
    struct sl_report_ring *ring;
};

static void
take_record(struct sl_report_tap *tap, struct sl_slice record)
{
    struct sl_report_entry e;
    struct sl_report_found memory;
    if (!sl_report_entry_read(record, &e))
        return;
    sl_report_entry_complete(&e, &memory);
    pthread_mutex_lock(&tap->lock);
    sl_report_ring_add(tap->ring, &e);
    pthread_mutex_unlock(&tap->lock);
}

static void *
take_all(void *arg)
{
    struct sl_report_tap *tap = arg;
    alignas(8) uint8_t record[SL_REPORT_RECORD_MAX];
    struct pollfd polls[] = {{.fd = tap->in_fd, .events = POLLIN},
                             {.fd = tap->stop_fd, .events = POLLIN}};
    for (;;) {
        ssize_t size = recv(tap->in_fd, record, sizeof(record), MSG_DONTWAIT);
        if (size > 0) {
            take_record(tap, sl_slice(record, (size_t)size));
            continue;
        }
        if (poll(polls, SL_COUNT_OF(polls), -1) > 0 && polls[1].revents != 0)
            return NULL;
    }
}

static void
close_all(struct sl_report_tap *tap)
{
    const int fds[] = {tap->in_fd, tap->out_fd, tap->stop_fd};
    for (size_t i = 0; i < SL_COUNT_OF(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    sl_report_ring_destroy(&tap->ring);
    pthread_mutex_destroy(&tap->lock);
    sl_free(tap);
}

struct sl_report_tap *
sl_report_tap_create(void)
{
    int pair[2] = {-1, -1}, bytes = SOCKET_BYTES;
    struct sl_report_tap *tap = sl_alloc(sizeof(*tap));
    bool has_pair = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
    *tap = (struct sl_report_tap){.in_fd = pair[0],
                                  .out_fd = pair[1],
                                  .stop_fd = eventfd(0, EFD_CLOEXEC),
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .ring = sl_report_ring_create(sl_time_wall_ms())};
    if (!has_pair || tap->stop_fd < 0 || pthread_create(&tap->thread, NULL, take_all, tap) != 0) {
        close_all(tap);
        return NULL;
    }
    (void)setsockopt(tap->out_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    (void)pthread_setname_np(tap->thread, "sluice-lines");
    sl_report_sink_set(tap->out_fd);
    return tap;
}

void
sl_report_tap_destroy(struct sl_report_tap **tap)
{
    struct sl_report_tap *t = *tap;
    if (t == NULL)
        return;
    sl_report_sink_set(-1);
    uint64_t one = 1;
    ssize_t ignored = write(t->stop_fd, &one, sizeof(one));
    (void)ignored;
    pthread_join(t->thread, NULL);
    close_all(t);
    *tap = NULL;
}

void
sl_report_tap_find(struct sl_report_tap *tap, const struct sl_report_wanted *wanted,
                   void (*take)(void *arg, const struct sl_report_entry *entry), void *arg,
                   struct sl_report_walk *ret_walk)
{
    pthread_mutex_lock(&tap->lock);
    sl_report_ring_find(tap->ring, wanted, take, arg, ret_walk);
    pthread_mutex_unlock(&tap->lock);
}

void
sl_report_tap_forget(struct sl_report_tap *tap, uint64_t scope, const char *tenant)
{
    pthread_mutex_lock(&tap->lock);
    sl_report_ring_forget(tap->ring, scope, tenant);
    pthread_mutex_unlock(&tap->lock);
}

uint64_t
sl_report_tap_newest(struct sl_report_tap *tap)
{
    pthread_mutex_lock(&tap->lock);
    uint64_t newest = sl_report_ring_newest(tap->ring);
    pthread_mutex_unlock(&tap->lock);
    return newest;
}

uint64_t
sl_report_tap_missed(struct sl_report_tap *tap)
{
    pthread_mutex_lock(&tap->lock);
    uint64_t missed = sl_report_ring_missed(tap->ring);
    pthread_mutex_unlock(&tap->lock);
    return missed;
}
