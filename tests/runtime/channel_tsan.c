/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's two ends on two threads, under ThreadSanitizer: rings and bells with nobody at fault.
 * A plain program: Criterion's forks do not survive this sanitizer. Each end sleeps on its bell
 * whenever it has nothing, so a wake-up that is lost would end in the time that the program has.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/channel.h"
#include "tests/runtime/test_protocol.h"

#define CALLS   20000u
#define WAIT_MS 60000

static void
send_number(struct sl_channel *channel, uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){number});
    sl_assert(sl_channel_send(channel, msg) == SL_OK);
    sl_msg_destroy(&msg);
}

static uint64_t
await_number(struct sl_channel *channel)
{
    struct sl_msg *msg;
    enum sl_err err;
    while ((err = sl_channel_receive(channel, &msg)) == SL_ENOTFOUND) {
        struct pollfd bell = {.fd = sl_channel_bell(channel), .events = POLLIN};
        if (!sl_channel_doze(channel))
            continue;
        if (poll(&bell, 1, WAIT_MS) != 1) {
            fputs("nobody rang\n", stderr);
            exit(1);
        }
        sl_channel_rouse(channel);
        sl_assert(sl_channel_hush(channel) == SL_OK);
    }
    sl_assert(err == SL_OK);
    uint64_t number = SL_BODY(msg, count)->number;
    sl_msg_destroy(&msg);
    return number;
}

static void *
work(void *channel)
{
    for (uint64_t i = 0; i < CALLS; i++)
        send_number(channel, 3 * await_number(channel));
    return NULL;
}

int
main(void)
{
    int fds[SL_CHANNEL_FDS], copies[SL_CHANNEL_FDS];
    struct sl_channel *asker, *worker;
    pthread_t thread;
    test_protocol_register();
    sl_assert(sl_channel_create(fds) == SL_OK);
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++)
        copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
    sl_assert(sl_channel_open(SL_CHANNEL_ASKER, fds, &asker) == SL_OK);
    sl_assert(sl_channel_open(SL_CHANNEL_WORKER, copies, &worker) == SL_OK);
    sl_assert(pthread_create(&thread, NULL, work, worker) == 0);

    /* Some under way at a time, of a number that changes. */
    uint64_t sent = 0, answered = 0;
    while (answered < CALLS) {
        uint64_t some = 1 + answered % SL_CHANNEL_CALLS_MAX;
        for (; sent < CALLS && sent - answered < some; sent++)
            send_number(asker, sent);
        sl_assert(await_number(asker) == 3 * answered);
        answered++;
    }
    pthread_join(thread, NULL);
    sl_channel_close(&asker);
    sl_channel_close(&worker);
    printf("%u calls\n", CALLS);
    return 0;
}
