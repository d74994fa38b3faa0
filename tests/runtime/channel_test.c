/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/channel.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/ring.h"
#include "tests/runtime/test_protocol.h"

static struct sl_channel *asker, *worker;
static void *other; /* The memory as a liar has it. */

static void
copy_of(const int fds[static SL_CHANNEL_FDS], int ret_fds[static SL_CHANNEL_FDS])
{
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++)
        ret_fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
}

static void
setup(void)
{
    int fds[SL_CHANNEL_FDS], copies[SL_CHANNEL_FDS];
    test_protocol_register();
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    cr_assert_neq(other, MAP_FAILED);
    copy_of(fds, copies);
    cr_assert_eq(sl_channel_open(SL_CHANNEL_ASKER, fds, &asker), SL_OK);
    cr_assert_eq(sl_channel_open(SL_CHANNEL_WORKER, copies, &worker), SL_OK);
}

static void
finish(void)
{
    sl_channel_close(&asker);
    sl_channel_close(&worker);
    sl_channel_close(&worker); /* Is gone already. */
    munmap(other, 4096);
}

TestSuite(channel, .init = setup, .fini = finish, .timeout = 60);

static enum sl_err
send_number(struct sl_channel *channel, uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){number});
    msg->request = number + 1;
    enum sl_err err = sl_channel_send(channel, msg);
    sl_msg_destroy(&msg);
    return err;
}

static void
must_receive(struct sl_channel *channel, uint64_t number)
{
    struct sl_msg *msg = NULL;
    cr_assert_eq(sl_channel_receive(channel, &msg), SL_OK);
    cr_assert_eq(msg->id, (uint32_t)SL_M_count);
    cr_assert_eq(SL_BODY(msg, count)->number, number);
    cr_assert_eq(msg->request, number + 1);
    sl_msg_destroy(&msg);
}

static enum sl_err
receive(struct sl_channel *channel)
{
    struct sl_msg *msg = NULL;
    enum sl_err err = sl_channel_receive(channel, &msg);
    cr_assert_eq(msg != NULL, err == SL_OK);
    sl_msg_destroy(&msg);
    return err;
}

static enum sl_err
send_bytes(struct sl_channel *channel, size_t size)
{
    uint8_t *bytes = sl_zalloc(size + 1);
    struct sl_msg *msg =
        sl_msg_create(SL_M_every, &(struct sl_m_every){.first = sl_slice(bytes, size)});
    enum sl_err err = sl_channel_send(channel, msg);
    sl_msg_destroy(&msg);
    sl_free(bytes);
    return err;
}

static bool
rings(const struct sl_channel *channel)
{
    struct pollfd bell = {.fd = sl_channel_bell(channel), .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

Test(channel, messages_go_both_ways)
{
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_eq(send_number(asker, i), SL_OK);
        must_receive(worker, i);
        cr_assert_eq(send_number(worker, 2 * i), SL_OK);
        must_receive(asker, 2 * i);
    }
    cr_assert_eq(receive(asker), SL_ENOTFOUND);
    cr_assert_eq(receive(worker), SL_ENOTFOUND);
}

Test(channel, there_is_room_for_all_that_may_be_under_way)
{
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++) {
            cr_assert_eq(send_bytes(asker, SL_CHANNEL_REQUEST_MAX - 100), SL_OK);
            cr_assert_eq(send_number(asker, i), SL_OK); /* What cancels it. */
        }
        for (uint32_t i = 0; i < 2 * SL_CHANNEL_CALLS_MAX; i++)
            cr_assert_eq(receive(worker), SL_OK);
        for (uint32_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++)
            cr_assert_eq(send_bytes(worker, SL_CHANNEL_ANSWER_MAX - 100), SL_OK);
        for (uint32_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++)
            cr_assert_eq(receive(asker), SL_OK);
    }
}

Test(channel, what_is_too_large_or_too_much_goes_another_way)
{
    cr_assert_eq(send_bytes(asker, SL_CHANNEL_REQUEST_MAX), SL_ETOOBIG);
    cr_assert_eq(send_bytes(asker, 10 * SL_MIB), SL_ETOOBIG);
    cr_assert_eq(send_bytes(worker, SL_CHANNEL_ANSWER_MAX), SL_ETOOBIG);
    enum sl_err err = SL_OK;
    uint32_t count = 0;
    for (; err == SL_OK; count++)
        err = send_bytes(asker, SL_CHANNEL_REQUEST_MAX - 100);
    cr_assert_eq(err, SL_EFULL);
    cr_assert_eq(receive(worker), SL_OK);
    cr_assert_eq(send_bytes(asker, 100), SL_OK);
}

Test(channel, the_bell_rings_only_for_who_sleeps)
{
    cr_assert_eq(send_number(asker, 1), SL_OK);
    cr_assert_not(rings(worker));
    cr_assert_not(sl_channel_doze(worker), "something has come");
    must_receive(worker, 1);
    cr_assert(sl_channel_doze(worker));
    cr_assert_not(rings(worker));
    cr_assert_eq(send_number(asker, 2), SL_OK);
    cr_assert(rings(worker));
    cr_assert_not(rings(asker));
    sl_channel_rouse(worker);
    cr_assert(rings(worker), "until it is hushed");
    cr_assert_eq(sl_channel_hush(worker), SL_OK);
    cr_assert_not(rings(worker));
    must_receive(worker, 2);
}

Test(channel, nonsense_from_the_other_end_is_found_out)
{
    /* Four bytes that say they are a message; then one with something behind it. */
    struct sl_ring liar;
    sl_ring_init(&liar, other, 128 * SL_KIB, SL_CHANNEL_REQUEST_MAX);
    cr_assert_eq(sl_ring_write(&liar, sl_slice_str("\xff\xff\xff\xff")), SL_OK);
    cr_assert_eq(receive(worker), SL_ECORRUPT);

    struct sl_buf two = {0};
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){3});
    sl_msg_encode(msg, &two);
    sl_msg_encode(msg, &two);
    cr_assert_eq(sl_ring_write(&liar, sl_buf_slice(&two)), SL_OK);
    cr_assert_eq(receive(worker), SL_ECORRUPT);
    sl_msg_destroy(&msg);
    sl_buf_deinit(&two);

    cr_assert_eq(sl_ring_write(&liar, sl_slice(NULL, 0)), SL_OK);
    cr_assert_eq(receive(worker), SL_ECORRUPT);
}

Test(channel, neither_end_can_take_the_memory_away)
{
    int fds[SL_CHANNEL_FDS];
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    cr_assert_neq(ftruncate(fds[0], 0), 0);
    cr_assert_neq(ftruncate(fds[0], SL_GIB), 0);
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++)
        close(fds[i]);
}

Test(channel, what_is_no_channel_is_not_opened)
{
    int fds[SL_CHANNEL_FDS];
    struct sl_channel *channel = NULL;
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    close(fds[0]);
    fds[0] = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_eq(sl_channel_open(SL_CHANNEL_ASKER, fds, &channel), SL_ECORRUPT);
    cr_assert_null(channel);
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++)
        cr_assert_eq(fcntl(fds[i], F_GETFD), -1, "it has been taken");
}

Test(channel, a_channel_outlives_the_process_at_its_other_end)
{
    pid_t pid = fork();
    if (pid == 0) {
        cr_assert_eq(send_number(worker, 5), SL_OK);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    must_receive(asker, 5);
    cr_assert_eq(send_number(asker, 6), SL_OK);
    cr_assert_eq(receive(asker), SL_ENOTFOUND);
}

/* ---- what a worker may do to its socket ----------------------------------------------------- */

/* The worker's end as a plugin has it, in its own open file; the caller closes it. */
static int
worker_socket(void)
{
    return dup(sl_channel_bell(worker));
}

static void
fill(int fd)
{
    char rings[4096] = {0};
    while (send(fd, rings, sizeof(rings), MSG_DONTWAIT) > 0)
        ;
}

Test(channel, a_worker_cannot_make_the_asker_wait)
{
    int fd = worker_socket(), is_blocking = 0;
    int flags = fcntl(fd, F_GETFL);
    cr_assert_eq(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
    cr_assert_eq(ioctl(fd, FIONBIO, &is_blocking), 0);
    cr_assert_eq(sl_channel_hush(asker), SL_OK, "nothing has rung: a read would block");
    /* The asker rings, and is not heard, until no ring has room. */
    for (uint32_t i = 0; i < 5000; i++) {
        (void)sl_channel_doze(worker);
        cr_assert_eq(send_number(asker, i), SL_OK);
        must_receive(worker, i);
    }
    cr_assert(rings(worker));
    fill(fd);
    cr_assert_eq(sl_channel_hush(asker), SL_ECORRUPT, "nobody slept so often");
    close(fd);
}

Test(channel, a_worker_that_hangs_up_is_found_out)
{
    int fd = worker_socket();
    cr_assert_eq(send_number(worker, 5), SL_OK);
    cr_assert_eq(shutdown(fd, SHUT_RDWR), 0);
    close(fd);
    cr_assert(rings(asker));
    cr_assert_eq(sl_channel_hush(asker), SL_EUNAVAIL);
    must_receive(asker, 5);
    cr_assert(sl_channel_doze(worker));
    cr_assert_eq(send_number(asker, 6), SL_OK, "no signal ends who rings there");
}

Test(channel, one_that_is_closed_is_found_out)
{
    cr_assert_eq(sl_channel_hush(asker), SL_OK);
    sl_channel_close(&worker);
    cr_assert(rings(asker));
    cr_assert_eq(sl_channel_hush(asker), SL_EUNAVAIL);
}
