/* SPDX-License-Identifier: Apache-2.0 */
/* Main's ends of channels, whose other ends do as they like. */
#include "runtime/channel_port.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/report.h"
#include "tests/runtime/test_protocol.h"

#define NODE  2
#define ACTOR 1
#define TAG   50
#define HEARD 8

static struct sl_live *live;
static struct sl_channel_port *port;
static const struct sl_channels *face;

/* What the actor has heard; it ends the run with the last that it waits for. */
static struct heard {
    uint32_t count, wanted;
    uint32_t channels[HEARD];
    enum sl_err errs[HEARD];
} heard;

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    enum sl_err err;
    (void)self, (void)ctx, (void)msg;
    for (;;) {
        struct sl_msg *answer = NULL;
        uint32_t channel = 0;
        if ((err = face->receive(face->arg, &channel, &answer)) == SL_ENOTFOUND)
            return;
        sl_msg_destroy(&answer);
        cr_assert_lt(heard.count, HEARD);
        heard.channels[heard.count] = channel;
        heard.errs[heard.count++] = err;
        if (heard.count == heard.wanted)
            sl_live_stop(live);
    }
}

static const struct sl_actor_class class = {
    .name = "listener", .state_size = sizeof(uint64_t), .handle = handle};

static void
setup(void)
{
    static struct sl_spawn_port *no_spawner;
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    heard = (struct heard){0};
    live = sl_live_create(&(struct sl_live_options){.node = NODE});
    sl_live_spawn(live, ACTOR, &class, NULL);
    port = sl_channel_port_open(
        &(struct sl_channel_port_options){.live = live, .actor = ACTOR, .spawner = &no_spawner});
    face = sl_channel_port_channels(port);
}

static void
finish(void)
{
    sl_channel_port_close(&port);
    sl_live_destroy(&live);
}

TestSuite(channel_port, .init = setup, .fini = finish, .timeout = 60);

/* The worker's end of one that is shown; *ret_kept: the asker's socket, as another process that was
   given it would still have it. */
static struct sl_channel *
show(uint64_t tag, int *ret_kept)
{
    struct sl_spawn_event e = {
        .what = SL_SPAWN_SHOWN, .by = NODE, .tag = tag, .fds_count = SL_CHANNEL_FDS};
    int fds[SL_CHANNEL_FDS];
    struct sl_channel *worker = NULL;
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++)
        e.fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
    if (ret_kept != NULL)
        *ret_kept = fcntl(e.fds[2], F_DUPFD_CLOEXEC, 3);
    cr_assert_eq(sl_channel_open(SL_CHANNEL_WORKER, fds, &worker), SL_OK);
    sl_channel_port_shown(port, &e);
    return worker;
}

static enum sl_err
say(struct sl_channel *worker)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){1});
    enum sl_err err = sl_channel_send(worker, msg);
    sl_msg_destroy(&msg);
    return err;
}

static void
ask(uint32_t channel)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){1});
    cr_assert_eq(face->send(face->arg, channel, true, msg), SL_OK);
    sl_msg_destroy(&msg);
}

static void
run_until(uint32_t wanted)
{
    heard.wanted = wanted;
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_eq(heard.count, wanted);
}

Test(channel_port, what_was_answered_is_heard_before_the_hanging_up)
{
    struct sl_channel *worker = show(TAG, NULL);
    uint32_t channel = face->find(face->arg, NODE, TAG);
    cr_assert_neq(channel, 0);
    ask(channel);
    ask(channel);
    cr_assert_eq(say(worker), SL_OK);
    sl_channel_close(&worker);
    run_until(2);
    cr_assert_eq(heard.errs[0], SL_OK);
    cr_assert_eq(heard.errs[1], SL_EUNAVAIL);
    cr_assert_eq(heard.channels[1], channel);
}

Test(channel_port, who_rings_for_nothing_is_heard_of_once)
{
    struct sl_channel *worker = show(TAG, NULL), *other = show(TAG + 1, NULL);
    uint32_t channel = face->find(face->arg, NODE, TAG);
    char rings[4096] = {0};
    while (send(sl_channel_bell(worker), rings, sizeof(rings), MSG_DONTWAIT) > 0)
        ;
    sl_channel_close(&other); /* And no second word of the first before this. */
    run_until(2);
    uint32_t bad = heard.channels[0] == channel ? 0 : 1;
    cr_assert_eq(heard.channels[bad], channel);
    cr_assert_eq(heard.errs[bad], SL_ECORRUPT);
    cr_assert_eq(heard.errs[1 - bad], SL_EUNAVAIL);
    face->close(face->arg, channel);
    cr_assert_eq(face->find(face->arg, NODE, TAG), 0);
    sl_channel_close(&worker);
}

/* Without a worker's word between, one ring after the other. */
static void *
ring_slowly(void *worker)
{
    while (send(sl_channel_bell(worker), "", 1, MSG_NOSIGNAL) == 1)
        (void)poll(NULL, 0, 1);
    return NULL;
}

Test(channel_port, who_rings_one_by_one_for_nothing_is_found_out_too)
{
    struct sl_channel *worker = show(TAG, NULL);
    uint32_t channel = face->find(face->arg, NODE, TAG);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, ring_slowly, worker), 0);
    run_until(1);
    cr_assert_eq(heard.errs[0], SL_ECORRUPT);
    face->close(face->arg, channel);
    pthread_join(thread, NULL);
    sl_channel_close(&worker);
}

struct two {
    struct sl_channel *old, *worker;
};

/* The old one rings so often that it would be found out, were it heard; then the other answers. */
static void *
ring_then_say(void *arg)
{
    struct two *t = arg;
    for (uint32_t i = 0; i < 80; i++) {
        (void)send(sl_channel_bell(t->old), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)poll(NULL, 0, 1);
    }
    enum sl_err err = say(t->worker);
    return (void *)(uintptr_t)err;
}

Test(channel_port, one_that_is_closed_is_not_heard_though_its_socket_is_kept)
{
    int kept = -1;
    void *err;
    pthread_t thread;
    struct two t = {.old = show(TAG, &kept)};
    uint32_t channel = face->find(face->arg, NODE, TAG);
    face->close(face->arg, channel);
    t.worker = show(TAG + 1, NULL);
    cr_assert_eq(face->find(face->arg, NODE, TAG + 1), channel, "it has the other's place");
    ask(channel);
    cr_assert_eq(pthread_create(&thread, NULL, ring_then_say, &t), 0);
    run_until(1);
    pthread_join(thread, &err);
    cr_assert_eq((enum sl_err)(uintptr_t)err, SL_OK);
    cr_assert_eq(heard.errs[0], SL_OK);
    cr_assert_eq(heard.channels[0], channel);
    close(kept);
    sl_channel_close(&t.old);
    sl_channel_close(&t.worker);
}

Test(channel_port, with_its_node_a_channel_is_gone)
{
    struct sl_channel *worker = show(TAG, NULL);
    face->forget(face->arg, NODE);
    cr_assert_eq(face->find(face->arg, NODE, TAG), 0);
    cr_assert_eq(sl_channel_hush(worker), SL_EUNAVAIL);
    sl_channel_close(&worker);
}
