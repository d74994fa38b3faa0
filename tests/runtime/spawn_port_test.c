/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a descriptor that is to be passed, here to a spawner that is gone. */
#include "runtime/spawn_port.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/report.h"
#include "tests/runtime/test_protocol.h"

#define ACTOR    1
#define BORROWED 1
#define TAKEN    2

static struct sl_live *live;
static uint32_t exited;

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self, (void)ctx;
    if (msg->id == SL_M_child_exited && ++exited == 2)
        sl_live_stop(live);
}

static const struct sl_actor_class class = {
    .name = "parent", .state_size = sizeof(uint64_t), .handle = handle};

static void
lost(void *arg)
{
    (void)arg;
}

static void
post(uint64_t kind, int fd)
{
    struct sl_m_spawn want = {.kind = kind, .tag = kind, .fd = fd, .text = sl_slice_str("text")};
    struct sl_msg *msg = sl_msg_create(SL_M_spawn, &want);
    msg->to = (struct sl_addr){SL_NODE_PORT, SL_PORT_SPAWNER};
    sl_live_post(live, msg);
}

Test(spawn_port, closes_a_descriptor_of_a_kind_whose_are_taken_and_no_other, .timeout = 60)
{
    struct sl_spawn_port *port = NULL;
    int pair[2], passed[2];
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    cr_assert_eq(pipe(passed), 0);
    live = sl_live_create(&(struct sl_live_options){.node = 2});
    sl_live_spawn(live, ACTOR, &class, NULL);
    struct sl_spawn_port_options options = {
        .live = live, .actor = ACTOR, .fd = pair[0], .taken_kinds = 1u << TAKEN, .lost = lost};
    cr_assert_eq(sl_spawn_port_open(&options, &port), SL_OK);
    (void)close(pair[1]);
    post(BORROWED, passed[0]);
    post(TAKEN, passed[1]);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_expect_geq(fcntl(passed[0], F_GETFD), 0);
    cr_expect_eq(fcntl(passed[1], F_GETFD), -1);
    (void)close(passed[0]);
    sl_spawn_port_close(&port);
    sl_live_destroy(&live);
}
