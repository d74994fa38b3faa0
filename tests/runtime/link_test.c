/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "tests/runtime/test_protocol.h"

#define HUB 1

static char directory[64], endpoint[96];

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    snprintf(directory, sizeof(directory), "/tmp/sluice-link-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/hub", directory);
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(link, .init = setup, .fini = clean, .timeout = 60);

static struct sl_links *
hub_create(void)
{
    struct sl_links *hub = sl_links_create(HUB);
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    return hub;
}

static struct sl_links *
spoke_create(uint32_t node)
{
    struct sl_links *spoke = sl_links_create(node);
    cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK);
    return spoke;
}

static enum sl_err
send_one(struct sl_links *l, uint32_t to, uint64_t number, struct sl_slice bytes)
{
    struct sl_m_every body = {.number = number, .first = bytes};
    struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
    msg->to.node = to;
    enum sl_err err = sl_links_add(l, msg);
    sl_msg_destroy(&msg);
    return err;
}

/* The next message; NULL when none comes in the time. */
static struct sl_msg *
wait_for(struct sl_links *l, int timeout_ms)
{
    for (;;) {
        struct sl_msg *msg = sl_links_receive(l);
        int fds[4];
        uint32_t count = sl_links_fds(l, fds, 4);
        struct pollfd polls[4];
        for (uint32_t i = 0; i < count; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        if (msg != NULL || poll(polls, count, timeout_ms) <= 0)
            return msg;
    }
}

static void
expect(struct sl_links *l, uint32_t from, uint64_t number, size_t size)
{
    struct sl_msg *msg = wait_for(l, 20000);
    cr_assert_not_null(msg, "message %llu did not come", (unsigned long long)number);
    cr_assert_eq(SL_BODY(msg, every)->number, number);
    cr_assert_eq(SL_BODY(msg, every)->first.size, size);
    cr_assert_eq(msg->from.node, from);
    sl_msg_destroy(&msg);
}

Test(link, a_message_as_large_as_a_frame_comes_and_a_larger_one_is_refused)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    const size_t size = SL_LIMIT_FRAME_BYTES - 256;
    uint8_t *bytes = sl_zalloc(SL_LIMIT_FRAME_BYTES);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("abc")), SL_OK);
    cr_assert_eq(send_one(spoke, HUB, 2, sl_slice(bytes, SL_LIMIT_FRAME_BYTES)), SL_ETOOBIG);
    cr_assert_eq(send_one(spoke, HUB, 3, sl_slice(bytes, size)), SL_OK);
    cr_assert_eq(send_one(spoke, HUB, 4, sl_slice(bytes, SL_MIB)), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 3);
    expect(hub, 7, 3, size);
    expect(hub, 7, 4, SL_MIB);
    sl_free(bytes);
    sl_links_destroy(&spoke);
    sl_links_destroy(&hub);
}

Test(link, no_link_leads_to_a_node_it_never_connected_to)
{
    struct sl_links *spoke = spoke_create(7);
    cr_assert_eq(send_one(spoke, 99, 1, sl_slice_str("")), SL_ENOTFOUND);
    sl_links_destroy(&spoke);
}

/* More peers come and go than there are slots: one that is quiet meanwhile can still be sent to. */
Test(link, a_quiet_peer_is_not_forgotten_for_newer_ones)
{
    struct sl_links *hub = hub_create(), *quiet = spoke_create(7);
    cr_assert_eq(send_one(quiet, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(quiet);
    expect(hub, 7, 1, 0);
    for (uint32_t node = 100; node < 180; node++) {
        struct sl_links *other = spoke_create(node);
        cr_assert_eq(send_one(other, HUB, node, sl_slice_str("")), SL_OK);
        sl_links_flush(other);
        expect(hub, node, node, 0);
        sl_links_destroy(&other);
    }
    cr_assert_eq(send_one(hub, 7, 2, sl_slice_str("still there?")), SL_OK);
    sl_links_flush(hub);
    expect(quiet, HUB, 2, 12);
    sl_links_destroy(&quiet);
    sl_links_destroy(&hub);
}

Test(link, a_node_that_comes_again_takes_its_number_over)
{
    struct sl_links *hub = hub_create(), *old = spoke_create(7);
    cr_assert_eq(send_one(old, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(old);
    expect(hub, 7, 1, 0);
    struct sl_links *new = spoke_create(7);
    cr_assert_eq(send_one(new, HUB, 2, sl_slice_str("")), SL_OK);
    sl_links_flush(new);
    expect(hub, 7, 2, 0);
    cr_assert_eq(send_one(hub, 7, 3, sl_slice_str("")), SL_OK);
    sl_links_flush(hub);
    expect(new, HUB, 3, 0);
    cr_assert_null(wait_for(old, 0));
    sl_links_destroy(&old);
    sl_links_destroy(&new);
    sl_links_destroy(&hub);
}

/* Nothing else can take its place: a frame to a node that is gone is dropped, others still go. */
Test(link, a_peer_that_is_gone_stops_nobody_else)
{
    struct sl_links *hub = hub_create(), *gone = spoke_create(8), *there = spoke_create(9);
    struct sl_links *both[] = {gone, there};
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(send_one(both[i], HUB, i, sl_slice_str("")), SL_OK);
        sl_links_flush(both[i]);
        expect(hub, 8 + i, i, 0);
    }
    sl_links_destroy(&gone);
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(send_one(hub, 8, i, sl_slice_str("")), SL_OK);
        cr_assert_eq(send_one(hub, 9, i, sl_slice_str("")), SL_OK);
        sl_links_flush(hub);
        expect(there, HUB, i, 0);
    }
    sl_links_destroy(&there);
    sl_links_destroy(&hub);
}
