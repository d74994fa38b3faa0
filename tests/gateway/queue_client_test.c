/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of the broker's protocol: the other end is played here, over a socket. */
#include "gateway/queue_client.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/queue_wire.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define SCOPE 7

static char directory[64], *endpoint;
static struct sl_links *head;
static struct sl_queue_client *client;
static struct sl_queue_client_event event;
static const struct sl_queue_name mail = {.scope = {SCOPE},
                                          .name = {.data = (const uint8_t *)"mail", .size = 4}};

static void
setup(void)
{
    struct sl_queue_client_options options = {.name = "test", .tells_begun = true};
    struct sl_links_options links = {.node = SL_NODE_HEAD, .dead_ns = 60 * SL_SECOND_NS};
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    sl_protocol_register(&sl_protocol_queue);
    (void)snprintf(directory, sizeof(directory), "/tmp/sluice-client-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    endpoint = sl_format("ipc://%s/head", directory);
    head = sl_links_create_with(&links);
    cr_assert_eq(sl_links_listen(head, endpoint), SL_OK);
    options.endpoint = endpoint;
    options.node = sl_queue_client_node_random();
    cr_assert_eq(sl_queue_client_open(&options, &client), SL_OK);
}

static void
clean(void)
{
    sl_queue_client_close(&client);
    sl_links_destroy(&head);
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
    sl_free(endpoint);
}

TestSuite(queue_client, .init = setup, .fini = clean, .timeout = 60);

/* Until either end has something, both take part; what the client hears in the meantime is none. */
static struct sl_msg *
heard(uint32_t id)
{
    for (uint64_t end_ns = sl_time_mono_ns() + 20 * SL_SECOND_NS; sl_time_mono_ns() < end_ns;) {
        struct sl_msg *msg = sl_links_receive(head);
        if (msg != NULL) {
            cr_assert_eq(msg->id, id, "%s", msg->type->name);
            return msg;
        }
        cr_assert_not(sl_queue_client_next(client, SL_MILLI_NS, &event));
    }
    cr_assert_fail("it says nothing");
    return NULL;
}

static void
expect(enum sl_queue_client_event_kind kind)
{
    uint64_t end_ns = sl_time_mono_ns() + 20 * SL_SECOND_NS;
    while (!sl_queue_client_next(client, SL_MILLI_NS, &event)) {
        cr_assert_lt(sl_time_mono_ns(), end_ns);
        cr_assert_null(sl_links_receive(head));
    }
    cr_assert_eq(event.kind, kind, "%d", event.kind);
}

static void
say(struct sl_addr to, uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = to;
    msg->request = request;
    cr_assert_eq(sl_links_add(head, msg), SL_OK);
    sl_msg_destroy(&msg);
    sl_links_flush(head);
}

static void
say_leased(struct sl_addr to, uint64_t first, uint32_t count)
{
    struct sl_buf leases = {0};
    for (uint32_t i = 0; i < count; i++)
        sl_wire_lease(&leases, &(struct sl_lease){.task_id = first + i, .epoch = 100 + first + i});
    struct sl_m_queue_leased m = {
        .scope = SCOPE, .count = count, .queue = mail.name, .leases = sl_buf_slice(&leases)};
    say(to, 0, SL_M_queue_leased, &m);
    sl_buf_deinit(&leases);
}

static struct sl_end_item
done(uint64_t task_id)
{
    return (struct sl_end_item){.task_id = task_id, .epoch = 100 + task_id};
}

/* Who the client is, once it has said that it wants leases. */
static struct sl_addr
wanting(uint32_t credit)
{
    expect(SL_QUEUE_CLIENT_UP);
    cr_assert_eq(sl_queue_client_want(client, mail, credit, 0), SL_OK);
    struct sl_msg *msg = heard(SL_M_queue_want);
    const struct sl_m_queue_want *m = SL_BODY(msg, queue_want);
    struct sl_addr who = msg->from;
    cr_assert_eq(m->credit, credit);
    cr_assert_eq(m->tells_begun, 1);
    sl_msg_destroy(&msg);
    return who;
}

Test(queue_client, says_what_begins_with_the_next_end)
{
    uint64_t call, ids[2] = {2, 102};
    struct sl_end_item item = done(1);
    say_leased(wanting(2), 1, 2);
    expect(SL_QUEUE_CLIENT_LEASED);
    cr_assert_eq(event.count, 2);
    cr_assert_eq(sl_queue_client_begin(client, mail.scope, ids, 1), SL_OK);
    cr_assert_eq(sl_queue_client_end(client, mail, &item, 1, 1, &call), SL_OK);
    struct sl_msg *msg = heard(SL_M_queue_end);
    const struct sl_m_queue_end *m = SL_BODY(msg, queue_end);
    cr_assert_eq(m->count, 1);
    cr_assert(sl_slice_equal(m->begun, sl_slice(ids, sizeof(ids))));
    sl_msg_destroy(&msg);
}

Test(queue_client, says_what_begins_by_itself_where_nothing_ends)
{
    uint64_t ids[4] = {1, 101, 2, 102};
    say_leased(wanting(2), 1, 2);
    expect(SL_QUEUE_CLIENT_LEASED);
    cr_assert_eq(sl_queue_client_begin(client, mail.scope, ids, 1), SL_OK);
    cr_assert_eq(sl_queue_client_begin(client, mail.scope, ids + 2, 1), SL_OK);
    sl_queue_client_flush(client);
    struct sl_msg *msg = heard(SL_M_queue_begun);
    const struct sl_m_queue_begun *m = SL_BODY(msg, queue_begun);
    cr_assert_eq(m->scope, SCOPE);
    cr_assert(sl_slice_equal(m->leases, sl_slice(ids, sizeof(ids))));
    sl_msg_destroy(&msg);
}

Test(queue_client, tells_that_a_queue_is_wanted_in_vain)
{
    struct sl_m_queue_refused refused = {.scope = SCOPE, .err = SL_EFULL, .queue = mail.name};
    say(wanting(1), 0, SL_M_queue_refused, &refused);
    expect(SL_QUEUE_CLIENT_REFUSED);
    cr_assert_eq(event.err, SL_EFULL);
    cr_assert(sl_slice_equal(event.queue.name, mail.name));
}

Test(queue_client, tells_how_another_process_died_and_hears_what_it_held)
{
    static char lines[4096];
    memset(lines, 'x', sizeof(lines));
    memcpy(lines + sizeof(lines) - 3, "end", 3);
    struct sl_loss loss = {.signal = 9, .peak_bytes = 77, .lines = sl_slice(lines, sizeof(lines))};
    uint64_t call;
    expect(SL_QUEUE_CLIENT_UP);
    cr_assert_eq(sl_queue_client_lost(client, 70001, &loss, &call), SL_OK);
    struct sl_msg *msg = heard(SL_M_queue_lost);
    const struct sl_m_queue_lost *m = SL_BODY(msg, queue_lost);
    cr_assert(m->node == 70001 && m->signal == 9 && m->peak_bytes == 77);
    cr_assert_eq(m->lines.size, SL_LOSS_LINES_MAX);
    cr_assert_eq(memcmp(m->lines.data + m->lines.size - 3, "end", 3), 0, "the end is kept");
    say(msg->from, msg->request, SL_M_queue_answer, &(struct sl_m_queue_answer){.count = 5});
    sl_msg_destroy(&msg);
    expect(SL_QUEUE_CLIENT_ANSWER);
    cr_assert(event.call == call && event.err == SL_OK && event.count == 5);
}

/* The credit that it asked for with the end of a task. */
static uint64_t
end_and_hear(uint64_t task_id, uint64_t served_ns)
{
    uint64_t call;
    struct sl_end_item item = done(task_id);
    item.served_ns = served_ns;
    cr_assert_eq(sl_queue_client_end(client, mail, &item, 1, 9999, &call), SL_OK);
    struct sl_msg *msg = heard(SL_M_queue_end);
    uint64_t credit = SL_BODY(msg, queue_end)->credit;
    struct sl_m_queue_answer answer = {.count = 1, .results = sl_slice("\0", 1)};
    say(msg->from, msg->request, SL_M_queue_answer, &answer);
    sl_msg_destroy(&msg);
    expect(SL_QUEUE_CLIENT_ANSWER);
    return credit;
}

Test(queue_client, chooses_how_many_leases_to_take_of_a_queue_it_works_on)
{
    struct sl_prefetch_options options = {.slots = 2};
    cr_assert_eq(sl_queue_client_work(client, mail, &options, 5000), SL_OK);
    expect(SL_QUEUE_CLIENT_UP);
    struct sl_msg *msg = heard(SL_M_queue_want);
    struct sl_addr who = msg->from;
    cr_assert_eq(SL_BODY(msg, queue_want)->credit, 2, "it asks by itself");
    cr_assert_eq(SL_BODY(msg, queue_want)->duration_ms, 5000);
    sl_msg_destroy(&msg);
    say_leased(who, 1, 2);
    expect(SL_QUEUE_CLIENT_LEASED);
    cr_assert_eq(end_and_hear(1, SL_MICRO_NS), 1, "how far the head is is not known yet");
    uint64_t more = end_and_hear(2, SL_MICRO_NS);
    cr_assert(more > 1 && more <= SL_PREFETCH_USUAL, "short tasks: %zu", (size_t)more);
    say_leased(who, 3, (uint32_t)more + 1);
    expect(SL_QUEUE_CLIENT_LEASED);
    for (uint64_t i = 0; i < 4; i++)
        cr_assert_eq(end_and_hear(3 + i, 60 * SL_SECOND_NS), 0, "long ones are left to others");
    cr_assert_eq(sl_queue_client_surplus(client, mail), more + 1 - 4 - 2);
}
