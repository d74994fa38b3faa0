/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extractors/replica_end.h"
#include "runtime/alloc.h"
#include "runtime/channel.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define AGENT   2
#define REPLICA 1000

static char directory[64];
static struct sl_links *agent;
static struct sl_channel *router; /* NULL: it has no channel. */
static pid_t child;

static struct sl_child
child_with(const char *text, const int *channel_fds)
{
    struct sl_child c = {.text = text, .spawner_fd = -1};
    if (channel_fds == NULL)
        return c;
    memcpy(c.fds, channel_fds, SL_CHANNEL_FDS * sizeof(channel_fds[0]));
    c.fds_count = c.shown_count = SL_CHANNEL_FDS;
    return c;
}

/* The replica runs in a child, forked before this process has any thread. */
/* The replica's parameters, and more members of its settings, of those that start next. */
static const char *params = "{}", *more_settings = "";

static void
start_with(const char *extractor, bool is_open, const int *channel_fds)
{
    snprintf(directory, sizeof(directory), "/tmp/sluice-replica-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    sl_report_level_set(SL_REPORT_ERROR);
    char *text = sl_format("{\"endpoint\":\"ipc://%s/a\",\"agent\":%d,\"actor\":16,\"replica\":%d,"
                           "\"extractor\":\"%s\",\"plugins\":\"%s/lib/sluice-test\",\"blobs\":"
                           "\"%s\",\"threads\":1,\"params\":%s,\"settings\":{\"open\":%s%s}}",
                           directory, AGENT, REPLICA, extractor, SL_BINARY_DIR, directory, params,
                           is_open ? "true" : "false", more_settings);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        struct sl_child self = child_with(text, channel_fds);
        _exit(sl_replica_run(&self));
    }
    sl_free(text);
    if (channel_fds != NULL)
        cr_assert_eq(sl_channel_open(SL_CHANNEL_ASKER, channel_fds, &router), SL_OK);
    sl_protocol_register(&sl_protocol_replica);
    char *endpoint = sl_format("ipc://%s/a", directory);
    agent = sl_links_create(AGENT);
    cr_assert_eq(sl_links_listen(agent, endpoint), SL_OK);
    sl_free(endpoint);
}

static void
start(const char *extractor)
{
    start_with(extractor, false, NULL);
}

static void
finish(int want_exit_code)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), want_exit_code);
    sl_links_destroy(&agent);
    sl_channel_close(&router);
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(replica, .timeout = 60);

static struct sl_msg *
next(uint32_t id)
{
    for (;;) {
        struct sl_msg *msg = sl_links_receive(agent);
        int fd;
        if (msg == NULL) {
            cr_assert_eq(sl_links_fds(agent, &fd, 1), 1);
            cr_assert_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30000), 1);
            continue;
        }
        if (msg->id == SL_M_replica_report && id != SL_M_replica_report) {
            sl_msg_destroy(&msg); /* It comes when it comes. */
            continue;
        }
        cr_assert_eq(msg->id, id);
        cr_assert_eq(msg->from.node, REPLICA);
        cr_assert_eq(msg->to.actor, 16);
        return msg;
    }
}

static void
add_to_frame(uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = (struct sl_addr){REPLICA, 1};
    cr_assert_eq(sl_links_add(agent, msg), SL_OK);
    sl_msg_destroy(&msg);
}

static void
send_to_replica(uint32_t id, const void *body)
{
    add_to_frame(id, body);
    sl_links_flush(agent);
}

/* With what follows, which is sent. */
static void
process_along(uint64_t item, const char *type, const char *bytes)
{
    struct sl_buf inputs = {0};
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str(type));
    sl_buf_append_block(&inputs, sl_slice_str(bytes));
    struct sl_m_process m = {
        .item = item, .params = sl_slice_str("{}"), .inputs = sl_buf_slice(&inputs)};
    add_to_frame(SL_M_process, &m);
    sl_buf_deinit(&inputs);
}

static void
process(uint64_t item, const char *type, const char *bytes)
{
    process_along(item, type, bytes);
    sl_links_flush(agent);
}

static void
expect_processed(uint64_t item, uint64_t kind, const char *code)
{
    struct sl_msg *msg = next(SL_M_processed);
    const struct sl_m_processed *m = SL_BODY(msg, processed);
    cr_assert_eq(m->item, item);
    cr_assert_eq(m->kind, kind, "%.*s", SL_SLICE_FMT(m->message));
    cr_assert(sl_slice_is(m->code, code), "%.*s", SL_SLICE_FMT(m->code));
    cr_assert_eq(m->outputs.size > 0, kind == 0);
    sl_msg_destroy(&msg);
}

static void
expect_ready(bool is_fit)
{
    struct sl_msg *msg = next(SL_M_replica_ready);
    cr_assert_eq(SL_BODY(msg, replica_ready)->error.size == 0, is_fit);
    cr_assert_eq(SL_BODY(msg, replica_ready)->pid, (uint64_t)child);
    sl_msg_destroy(&msg);
}

Test(replica, answers_each_item_and_ends_when_told)
{
    start("crash_extractor");
    expect_ready(true);
    process(1, "text", "hello");
    expect_processed(1, 0, "");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

/* It once got the blob's name as its text. */
Test(replica, an_item_whose_blob_is_not_there_fails_and_its_neighbours_do_not)
{
    start("crash_extractor");
    sl_report_level_set(SL_REPORT_ERROR);
    expect_ready(true);
    process(1, "blob", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    expect_processed(1, 2, "input_missing");
    process(2, "blob", "../../etc/passwd");
    expect_processed(2, 2, "input_missing");
    process(3, "text", "hello");
    expect_processed(3, 0, "");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

/* Items of a batch are of many tenants. */
Test(replica, of_a_batch_each_item_takes_the_time_that_its_size_does)
{
    enum { SIZE = 1000000 };
    char *text = sl_alloc(SIZE + 1);
    memset(text, 'a', SIZE);
    text[SIZE] = '\0';
    start("crash_extractor");
    expect_ready(true);
    process_along(1, "text", text);
    process(2, "text", "a");
    uint64_t served_ns[2], mean_ns[2];
    for (int i = 0; i < 2; i++) {
        struct sl_msg *msg = next(SL_M_processed);
        served_ns[i] = SL_BODY(msg, processed)->served_ns;
        mean_ns[i] = SL_BODY(msg, processed)->busy_ns;
        sl_msg_destroy(&msg);
    }
    cr_assert_eq(mean_ns[0], mean_ns[1], "one batch");
    cr_assert_geq(served_ns[1], 1);
    cr_assert_leq(served_ns[0] + served_ns[1], 2 * mean_ns[0] + 2);
    cr_assert_geq(served_ns[0], mean_ns[0] + mean_ns[0] / 2, "nearly all of both");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
    sl_free(text);
}

static void
process_until(uint64_t item, const char *text, uint64_t deadline_ns)
{
    struct sl_buf inputs = {0};
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str(text));
    struct sl_m_process m = {.item = item,
                             .params = sl_slice_str("{}"),
                             .inputs = sl_buf_slice(&inputs),
                             .deadline_ns = deadline_ns};
    add_to_frame(SL_M_process, &m);
    sl_buf_deinit(&inputs);
}

Test(replica, runs_nothing_that_nobody_waits_for)
{
    start("crash_extractor");
    expect_ready(true);
    process_until(1, "hello", 1); /* Long ago. */
    process_until(2, "hello", UINT64_MAX);
    process_until(3, "hello", 0);
    process_along(4, "text", "hello");
    send_to_replica(SL_M_process_cancel, &(struct sl_m_process_cancel){.item = 3});
    uint64_t ran = 0, skipped = 0;
    for (int i = 0; i < 4; i++) { /* What is not run is answered first. */
        struct sl_msg *msg = next(SL_M_processed);
        const struct sl_m_processed *m = SL_BODY(msg, processed);
        bool is_skipped = m->kind == 1 && sl_slice_is(m->code, "unwanted") && m->busy_ns == 0;
        cr_assert(is_skipped || m->kind == 0);
        *(is_skipped ? &skipped : &ran) |= UINT64_C(1) << m->item;
        sl_msg_destroy(&msg);
    }
    cr_assert_eq(skipped, 1u << 1 | 1u << 3);
    cr_assert_eq(ran, 1u << 2 | 1u << 4);
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

/* It would take ten seconds, and then be well. */
Test(replica, stops_what_it_runs_once_nobody_waits_for_it)
{
    start("crash_extractor");
    expect_ready(true);
    process(1, "text", "SLOW");
    send_to_replica(SL_M_process_cancel, &(struct sl_m_process_cancel){.item = 1});
    struct sl_msg *msg = next(SL_M_processed);
    cr_assert_eq(SL_BODY(msg, processed)->item, 1);
    cr_assert_lt(SL_BODY(msg, processed)->busy_ns, 10 * SL_SECOND_NS);
    sl_msg_destroy(&msg);
    process(2, "text", "hello");
    expect_processed(2, 0, "");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

/* ---- batches ----------------------------------------------------------------------------------
 */

/* Which items were run together, in order: "12|3|". What is not run shows as its code. */
static const char *
runs(uint32_t count)
{
    static char text[256];
    uint64_t begun_ns = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_msg *msg = next(SL_M_processed);
        const struct sl_m_processed *m = SL_BODY(msg, processed);
        if (m->begun_ns == 0) {
            at += snprintf(text + at, sizeof(text) - at, "%d:%.*s|", (int)m->item,
                           SL_SLICE_FMT(m->code));
        } else {
            bool is_next = begun_ns != 0 && m->begun_ns != begun_ns;
            at += snprintf(text + at, sizeof(text) - at, "%s%d", is_next ? "|" : "", (int)m->item);
            begun_ns = m->begun_ns;
        }
        sl_msg_destroy(&msg);
    }
    return text;
}

static void
stop(void)
{
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

Test(replica, forms_batches_by_what_its_plugin_says_that_items_cost)
{
    params = "{\"ask\":\"BUDGET\"}"; /* Of 10, a unit for each byte. */
    start("crash_extractor");
    expect_ready(true);
    for (uint64_t item = 1; item <= 5; item++)
        process_along(item, "text", "four");
    process_along(6, "text", "this is more than fits");
    process_along(7, "text", "ab");
    sl_links_flush(agent);
    cr_assert_str_eq(runs(7), "12|34|5|6|7");
    stop();
}

Test(replica, an_item_that_costs_nothing_or_too_much_fails_and_its_neighbours_do_not)
{
    params = "{\"ask\":\"BUDGET\"}";
    start("crash_extractor");
    expect_ready(true);
    process_along(1, "text", "FREE");
    process_along(2, "text", "fine");
    process_along(3, "text", "DEAR");
    sl_links_flush(agent);
    cr_assert_str_eq(runs(3), "1:invalid_cost|3:invalid_cost|2");
    stop();
}

Test(replica, does_not_start_where_its_plugin_insists_on_a_batch_that_is_refused)
{
    params = "{\"ask\":\"BUDGET NONSENSE\"}";
    start("crash_extractor");
    struct sl_msg *msg = next(SL_M_replica_ready);
    struct sl_slice error = SL_BODY(msg, replica_ready)->error;
    cr_assert(memmem(error.data, error.size, "no item costs anything", 22) != NULL, "%.*s",
              SL_SLICE_FMT(error));
    sl_msg_destroy(&msg);
    finish(SL_REPLICA_EXIT_START);
}

Test(replica, goes_by_the_operators_batches_before_its_plugins)
{
    params = "{\"ask\":\"BUDGET DELAY\"}";
    more_settings = ",\"batch_units\":13,\"batch_items\":2,\"batch_delay\":0";
    start("crash_extractor");
    expect_ready(true);
    for (uint64_t item = 1; item <= 3; item++)
        process_along(item, "text", "four");
    process_along(4, "text", "ten bytes!");
    process_along(5, "text", "four");
    sl_links_flush(agent);
    cr_assert_str_eq(runs(5), "12|3|4|5"); /* 4 and 10 are more than 13. */
    stop();
}

/* However late the second comes: it is the delay that has it waited for, or the first goes alone.
 */
Test(replica, waits_for_others_no_longer_than_its_delay_and_not_at_all_when_it_stops)
{
    params = "{\"ask\":\"BUDGET DELAY\"}";
    start("crash_extractor");
    expect_ready(true);
    process(1, "text", "four"); /* Alone: the answer comes by itself. */
    expect_processed(1, 0, "");
    more_settings = "";
    process_along(2, "text", "this is a batch by itself");
    process_along(3, "text", "four");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    cr_assert_str_eq(runs(2), "2|3");
    finish(0);
}

static void
process_of(uint64_t scope, uint64_t item)
{
    struct sl_buf inputs = {0};
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("four"));
    struct sl_m_process m = {.item = item,
                             .params = sl_slice_str("{}"),
                             .inputs = sl_buf_slice(&inputs),
                             .scope = scope};
    add_to_frame(SL_M_process, &m);
    sl_buf_deinit(&inputs);
}

Test(replica, takes_of_each_tenant_in_turn_where_more_waits_than_fits)
{
    params = "{\"ask\":\"BUDGET\"}";
    start("crash_extractor");
    expect_ready(true);
    for (uint64_t item = 1; item <= 5; item++)
        process_of(1, item);
    process_of(2, 6);
    process_of(2, 7);
    sl_links_flush(agent);
    cr_assert_str_eq(runs(7), "16|27|34|5");
    stop();
}

/* ---- what it tells of itself --------------------------------------------------------------------
 */

static struct sl_m_replica_report
next_report(void)
{
    struct sl_msg *msg = next(SL_M_replica_report);
    struct sl_m_replica_report m = *SL_BODY(msg, replica_report);
    sl_msg_destroy(&msg);
    return m;
}

Test(replica, tells_of_its_memory_and_its_batches)
{
    params = "{\"ask\":\"BUDGET\"}";
    start("crash_extractor");
    expect_ready(true);
    struct sl_m_replica_report m = next_report();
    cr_assert_gt(m.resident, 100 * SL_KIB);
    cr_assert_leq(m.private, m.resident);
    cr_assert_eq(m.batches + m.device + m.host, 0);
    process_along(1, "text", "HOLDS");
    process_along(2, "text", "four");
    process_along(3, "text", "four");
    sl_links_flush(agent);
    cr_assert_str_eq(runs(3), "12|3");
    do { /* The one batch may be told of before the other. */
        m = next_report();
    } while (m.batches < 2);
    cr_assert_eq(m.batches, 2);
    cr_assert_eq(m.items, 3);
    cr_assert_eq(m.units, 5 + 4 + 4);
    cr_assert_eq(m.host, 1111);
    cr_assert_eq(m.device, 2222);
    stop();
}

/* ---- calls that come straight ---------------------------------------------------------------- */

static void
send_straight(uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    cr_assert_eq(sl_channel_send(router, msg), SL_OK);
    sl_msg_destroy(&msg);
}

static void
process_straight(uint64_t item, const char *text)
{
    struct sl_buf inputs = {0};
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str(text));
    send_straight(SL_M_process, &(struct sl_m_process){.item = item,
                                                       .params = sl_slice_str("{}"),
                                                       .inputs = sl_buf_slice(&inputs)});
    sl_buf_deinit(&inputs);
}

static struct sl_m_processed
next_straight(uint64_t item)
{
    struct sl_msg *msg = NULL;
    enum sl_err err;
    while ((err = sl_channel_receive(router, &msg)) == SL_ENOTFOUND)
        poll(NULL, 0, 1);
    cr_assert_eq(err, SL_OK);
    cr_assert_eq(msg->id, (uint32_t)SL_M_processed);
    struct sl_m_processed m = *SL_BODY(msg, processed);
    sl_msg_destroy(&msg);
    cr_assert_eq(m.item, item);
    m.code = m.message = m.outputs = (struct sl_slice){0};
    return m;
}

static void
tell(const char *name)
{
    char *path = sl_format("%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    sl_free(path);
}

static void
wait_for(const char *name)
{
    char *path = sl_format("%s/%s", directory, name);
    while (access(path, F_OK) != 0)
        poll(NULL, 0, 1);
    sl_free(path);
}

/* The calls are looked at, and kept, while the batch runs; what cancels one comes behind the last
 * look: once nobody waits for the batch there is none. */
Test(replica, a_call_that_is_cancelled_behind_a_batch_is_not_run)
{
    int fds[SL_CHANNEL_FDS];
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    start_with("crash_extractor", true, fds);
    expect_ready(true);
    uint64_t until_ns = sl_time_mono_ns() + 4 * SL_SECOND_NS;
    char *text = sl_format("ASK %s", directory);
    process_until(1, text, until_ns);
    sl_links_flush(agent);
    sl_free(text);
    wait_for("begun");
    process_straight(7, "hello");
    process_straight(8, "hello");
    tell("ask");
    wait_for("asked");
    while (sl_time_mono_ns() <= until_ns)
        poll(NULL, 0, 10);
    send_straight(SL_M_process_cancel, &(struct sl_m_process_cancel){.item = 7});
    tell("go");
    struct sl_msg *msg = next(SL_M_processed);
    sl_msg_destroy(&msg);
    struct sl_m_processed unwanted = next_straight(7);
    cr_assert_eq(unwanted.kind, 1);
    cr_assert_eq(unwanted.busy_ns, 0, "it was run");
    cr_assert_eq(next_straight(8).kind, 0);
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

Test(replica, one_whose_channel_is_closed_goes_on_without)
{
    int fds[SL_CHANNEL_FDS];
    cr_assert_eq(sl_channel_create(fds), SL_OK);
    start_with("crash_extractor", false, fds);
    expect_ready(true);
    process_straight(7, "hello");
    cr_assert_eq(next_straight(7).kind, 0);
    sl_channel_close(&router);
    process(1, "text", "hello");
    expect_processed(1, 0, "");
    send_to_replica(SL_M_replica_stop, &(struct sl_m_replica_stop){REPLICA});
    finish(0);
}

Test(replica, tells_why_it_does_not_start_and_ends)
{
    start("no_such_extractor");
    expect_ready(false);
    finish(3);
}
