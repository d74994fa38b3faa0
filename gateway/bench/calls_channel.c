/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls through a channel (runtime/channel.h), as the router has them with a replica: each end
 * looks on for a while for what comes, and then sleeps on its bell. Nothing else is done at either.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench.h"
#include "gateway/bench/actor.h"
#include "gateway/bench/calls.h"
#include "runtime/channel.h"
#include "runtime/spin.h"
#include "runtime/time.h"

#define LOOK_NS (50 * SL_MICRO_NS)
#define WAIT_MS 60000

/* False: the other end is not to be believed, or silent. */
static bool
await(struct sl_channel *channel, struct sl_spin *spin, struct sl_msg **ret_msg)
{
    for (;;) {
        bool has_come = sl_channel_has_news(channel);
        if (!has_come && sl_spin_begin(spin, LOOK_NS)) {
            while (!has_come && sl_spin_goes_on(spin))
                has_come = sl_channel_has_news(channel);
            sl_spin_end(spin, has_come);
        }
        if (!has_come && sl_channel_doze(channel)) {
            struct pollfd bell = {.fd = sl_channel_bell(channel), .events = POLLIN};
            if (poll(&bell, 1, WAIT_MS) <= 0)
                return false;
            sl_channel_rouse(channel);
            if (sl_channel_hush(channel) != SL_OK)
                return false;
        }
        enum sl_err err = sl_channel_receive(channel, ret_msg);
        if (err != SL_ENOTFOUND)
            return err == SL_OK;
    }
}

SL_NORETURN static void
answer_all(const int fds[static SL_CHANNEL_FDS])
{
    struct sl_channel *channel = NULL;
    struct sl_spin spin = {0};
    struct sl_msg *msg = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool is_ok = sl_channel_open(SL_CHANNEL_WORKER, fds, &channel) == SL_OK;
    while (is_ok && await(channel, &spin, &msg)) {
        is_ok = sl_channel_send(channel, msg) == SL_OK;
        sl_msg_destroy(&msg);
    }
    _exit(1);
}

static bool
ask_all(struct sl_channel *channel, const struct sl_bench_calls *calls,
        struct sl_bench_called *ret_called)
{
    static const uint8_t bytes[SL_BENCH_CALL_BYTES];
    struct sl_msg *asked = sl_msg_create(
        SL_M_bench_blob, &(struct sl_m_bench_blob){.bytes = sl_slice(bytes, sizeof(bytes))});
    struct sl_spin spin = {0};
    struct sl_bench_clock clock;
    bool is_ok = true, is_last = false;
    sl_bench_clock_init(&clock, calls);
    while (is_ok && !is_last) {
        struct sl_msg *msg = NULL;
        uint64_t sent_ns = sl_time_mono_ns();
        is_ok = sl_channel_send(channel, asked) == SL_OK && await(channel, &spin, &msg);
        is_last = sl_bench_clock_end(&clock, sent_ns, sl_time_mono_ns());
        sl_msg_destroy(&msg);
    }
    sl_msg_destroy(&asked);
    return sl_bench_clock_stop(&clock, ret_called) && is_ok;
}

bool
sl_bench_calls_channel(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called)
{
    int fds[SL_CHANNEL_FDS];
    struct sl_channel *channel = NULL;
    if (sl_channel_create(fds) != SL_OK)
        return sl_bench_fail("no channel can be made");
    pid_t pid = fork();
    if (pid == 0)
        answer_all(fds);
    bool is_ok = sl_channel_open(SL_CHANNEL_ASKER, fds, &channel) == SL_OK && pid > 0 &&
                 ask_all(channel, calls, ret_called);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    sl_channel_close(&channel);
    return is_ok || sl_bench_fail("calls through a channel failed");
}
