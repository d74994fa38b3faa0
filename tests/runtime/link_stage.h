/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_stage.h - a hub and its spokes within one process, for tests of links. For one .c file a
 * program, as test_protocol.h.
 */
#ifndef SL_TESTS_RUNTIME_LINK_STAGE_H
#define SL_TESTS_RUNTIME_LINK_STAGE_H

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "tests/runtime/test_protocol.h"

#define HUB 1

static char directory[64], endpoint[96];

static inline void
link_stage_set(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    snprintf(directory, sizeof(directory), "/tmp/sluice-link-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/hub", directory);
}

static inline void
link_stage_strike(void)
{
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

/* All that is there: whoever waits for a message lets the others take part in their handshakes. */
static struct sl_links *all[8];

static inline struct sl_links *
keep(struct sl_links *l)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(all); i++) {
        if (all[i] == NULL) {
            all[i] = l;
            return l;
        }
    }
    cr_assert_fail("too many links");
    return NULL;
}

static inline void
drop(struct sl_links **l)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(all); i++) {
        if (all[i] == *l)
            all[i] = NULL;
    }
    sl_links_destroy(l);
}

static inline struct sl_links *
hub_create(void)
{
    struct sl_links *hub = keep(sl_links_create(HUB));
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    return hub;
}

static inline struct sl_links *
spoke_create(uint32_t node)
{
    struct sl_links *spoke = keep(sl_links_create(node));
    cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK);
    return spoke;
}

static inline enum sl_err
send_one(struct sl_links *l, uint32_t to, uint64_t number, struct sl_slice bytes)
{
    struct sl_m_every body = {.number = number, .first = bytes};
    struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
    msg->to.node = to;
    enum sl_err err = sl_links_add(l, msg);
    sl_msg_destroy(&msg);
    return err;
}

/* The next message; NULL when none comes in the time. Nobody else may get one meanwhile. */
static inline struct sl_msg *
wait_for(struct sl_links *l, int timeout_ms)
{
    uint64_t end_ns = sl_time_mono_ns() + (uint64_t)timeout_ms * SL_MILLI_NS;
    for (;;) {
        struct sl_msg *msg = sl_links_receive(l);
        if (msg != NULL || sl_time_mono_ns() > end_ns)
            return msg;
        for (uint32_t i = 0; i < SL_COUNT_OF(all); i++) {
            if (all[i] != NULL && all[i] != l)
                cr_assert_null(sl_links_receive(all[i]));
        }
        int fds[8];
        struct pollfd polls[8];
        uint32_t count = sl_links_fds(l, fds, 8);
        for (uint32_t i = 0; i < count; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        poll(polls, count, 1);
    }
}

static inline void
expect(struct sl_links *l, uint32_t from, uint64_t number, size_t size)
{
    struct sl_msg *msg = wait_for(l, 20000);
    cr_assert_not_null(msg, "message %llu did not come", (unsigned long long)number);
    cr_assert_eq(SL_BODY(msg, every)->number, number);
    cr_assert_eq(SL_BODY(msg, every)->first.size, size);
    cr_assert_eq(msg->from.node, from);
    sl_msg_destroy(&msg);
}

#endif
