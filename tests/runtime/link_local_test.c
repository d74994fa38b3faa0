/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "tests/runtime/link_stage.h"

TestSuite(link_local, .init = link_stage_set, .fini = link_stage_strike, .timeout = 60);

#define NAME_OF_33 "sluice1\0\41\0\0\0\1\0\0\0\0\0\0\0"

/* A bare socket at the hub's file. */
static int
stranger_create(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/hub", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void
say_frame(int fd, const void *bytes, size_t size)
{
    uint32_t head = htole32((uint32_t)size);
    cr_assert_eq(send(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
    cr_assert_eq(send(fd, bytes, size, 0), (ssize_t)size);
}

static bool
was_hung_up_on(int fd)
{
    char bytes[64];
    ssize_t got;
    do
        got = recv(fd, bytes, sizeof(bytes), 0);
    while (got > 0);
    return got == 0 || errno != EAGAIN;
}

Test(link_local, what_is_no_sluice_is_hung_up_on_and_the_others_hear_nothing_of_it)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    int strangers[4];
    for (uint32_t i = 0; i < SL_COUNT_OF(strangers); i++)
        strangers[i] = stranger_create();
    cr_assert_eq(send(strangers[0], "GET / HTTP/1.1\r\n", 16, 0), 16);
    say_frame(strangers[1], "slucie1\0\41\0\0\0\1\0\0\0\0\0\0\0", 20); /* Another name. */
    say_frame(strangers[2], "sluice1\0\0\0\0\0\1\0\0\0\0\0\0\0", 20);  /* Node 0. */
    say_frame(strangers[3], NAME_OF_33, 20);
    cr_assert_eq(send(strangers[3], "\1\0\0\4 64 MiB and a byte", 22, 0), 22);
    for (uint32_t i = 0; i < SL_COUNT_OF(strangers); i++) {
        bool is_over = false;
        for (uint32_t k = 0; k < 2000 && !is_over; k++) {
            cr_assert_null(wait_for(hub, 1));
            is_over = was_hung_up_on(strangers[i]);
        }
        cr_assert(is_over, "stranger %u", i);
        close(strangers[i]);
    }
    struct sl_links_counts counts;
    sl_links_counts(hub, &counts);
    cr_assert_eq(counts.malformed, 2, "what HTTP's first bytes say, and a size that cannot be");
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 0);
    drop(&spoke);
    drop(&hub);
}

/* As a program that was forked has, until its exec. */
static pid_t
child_with_our_descriptors(void)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    while (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        (void)pause();
    return child;
}

Test(link_local, who_was_hung_up_on_is_not_heard_though_a_child_has_its_socket)
{
    struct sl_links *hub = hub_create();
    int stranger = stranger_create();
    cr_assert_null(wait_for(hub, 1));
    pid_t child = child_with_our_descriptors();
    cr_assert_eq(send(stranger, "GET / HTTP/1.1\r\n", 16, 0), 16);
    struct sl_links_counts counts = {0};
    for (uint32_t k = 0; k < 2000 && counts.malformed == 0; k++) {
        cr_assert_null(wait_for(hub, 1));
        sl_links_counts(hub, &counts);
    }
    cr_assert_eq(counts.malformed, 1);
    cr_assert_null(wait_for(hub, 1));
    cr_assert_eq(send(stranger, "more", 4, 0), 4);
    struct pollfd ready = {.events = POLLIN};
    cr_assert_eq(sl_links_fds(hub, &ready.fd, 1), 1);
    cr_assert_eq(poll(&ready, 1, 0), 0);
    cr_assert_null(wait_for(hub, 1));
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    close(stranger);
    drop(&hub);
}

Test(link_local, of_two_connections_by_one_name_the_newer_one_counts)
{
    struct sl_links *hub = hub_create();
    int old = stranger_create();
    say_frame(old, NAME_OF_33, 20);
    cr_assert_null(wait_for(hub, 20));
    cr_assert_not(was_hung_up_on(old));
    int new = stranger_create();
    say_frame(new, NAME_OF_33, 20);
    cr_assert_null(wait_for(hub, 20));
    cr_assert(was_hung_up_on(old));
    cr_assert_not(was_hung_up_on(new));
    close(old);
    close(new);
    drop(&hub);
}

Test(link_local, a_name_that_comes_byte_by_byte_is_heard)
{
    struct sl_links *hub = hub_create();
    static const char said[] = "\24\0\0\0" NAME_OF_33 "\1\0\0\0\3";
    struct sl_links_counts counts;
    int fd = stranger_create();
    for (size_t i = 0; i + 1 < sizeof(said); i++) {
        sl_links_counts(hub, &counts);
        cr_assert_eq(counts.malformed, 0);
        cr_assert_eq(send(fd, said + i, 1, 0), 1);
        cr_assert_null(wait_for(hub, 1));
    }
    for (uint32_t i = 0; i < 2000 && counts.malformed == 0; i++) {
        cr_assert_null(wait_for(hub, 1));
        sl_links_counts(hub, &counts);
    }
    cr_assert_eq(counts.malformed, 1, "then a frame that is too short");
    cr_assert_not(was_hung_up_on(fd));
    close(fd);
    drop(&hub);
}

/* Far more than a socket holds, both ways at once: all of it comes, in order. */
Test(link_local, a_peer_that_does_not_read_gets_everything_once_it_does)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    uint8_t *bytes = sl_zalloc(SL_MIB);
    cr_assert_eq(send_one(spoke, HUB, 0, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 0, 0);
    for (uint64_t i = 1; i <= 40; i++) {
        cr_assert_eq(send_one(spoke, HUB, i, sl_slice(bytes, SL_MIB)), SL_OK);
        cr_assert_eq(send_one(hub, 7, i, sl_slice(bytes, SL_MIB)), SL_OK);
        sl_links_flush(spoke);
        sl_links_flush(hub);
    }
    uint64_t heard[2] = {0, 0};
    struct sl_links *both[] = {hub, spoke};
    while (heard[0] < 40 || heard[1] < 40) {
        for (uint32_t i = 0; i < 2; i++) {
            struct sl_msg *msg = sl_links_receive(both[i]);
            if (msg == NULL)
                continue;
            cr_assert_eq(SL_BODY(msg, every)->number, ++heard[i]);
            cr_assert_eq(SL_BODY(msg, every)->first.size, SL_MIB);
            sl_msg_destroy(&msg);
        }
    }
    sl_free(bytes);
    drop(&spoke);
    drop(&hub);
}

/* Its last words are heard, though nothing can be said to it any more. */
Test(link_local, what_a_peer_said_before_it_went_is_heard)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    cr_assert_eq(send_one(spoke, HUB, 0, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 0, 0);
    for (uint64_t i = 1; i <= 100; i++) {
        cr_assert_eq(send_one(spoke, HUB, i, sl_slice_str("last words")), SL_OK);
        sl_links_flush(spoke);
    }
    drop(&spoke);
    cr_assert_eq(send_one(hub, 7, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(hub);
    for (uint64_t i = 1; i <= 100; i++)
        expect(hub, 7, i, 10);
    drop(&hub);
}

Test(link_local, a_listener_leaves_the_file_of_another_that_came_after_it)
{
    struct sl_links *first = hub_create(), *second = keep(sl_links_create(HUB));
    cr_assert_eq(sl_links_listen(second, endpoint), SL_OK);
    drop(&first);
    struct sl_links *spoke = spoke_create(7);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(second, 7, 1, 0);
    drop(&spoke);
    drop(&second);
    cr_assert_neq(access(endpoint + strlen("ipc://"), F_OK), 0);
}

Test(link_local, a_path_that_is_none_or_too_long_is_refused)
{
    struct sl_links *l = sl_links_create(HUB);
    char *long_path = sl_format("ipc://%s/%0100d", directory, 1);
    char *nowhere = sl_format("ipc://%s/nowhere/hub", directory);
    cr_assert_eq(sl_links_listen(l, "ipc://"), SL_EINVAL);
    cr_assert_eq(sl_links_listen(l, long_path), SL_EINVAL);
    cr_assert_eq(sl_links_connect(l, 7, long_path), SL_EINVAL);
    cr_assert_eq(sl_links_listen(l, nowhere), SL_ENOTFOUND);
    cr_assert_eq(sl_links_listen(l, "inproc://x"), SL_EINVAL);
    sl_free(long_path);
    sl_free(nowhere);
    sl_links_destroy(&l);
}
