/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/queue_projection.h"
#include "actors/rows.h"
#include "queue/body.h"
#include "queue/look.h"
#include "runtime/report.h"
#include "tests/actors/recorder.h"

#define SCOPE 7

static const struct sl_addr producer = {70000, 1}, worker = {70001, 1}, other = {70002, 1};

static char path[64];
static struct recorder r;
static struct sl_store *store;
static struct sl_queue *queue;
static struct sl_buf bytes;

static void
setup(void)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    (void)snprintf(path, sizeof(path), "/tmp/sluice-broker-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {
        .directory = path, .projections = &projection, .projections_count = 1, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    sl_queue_boot(queue, 1);
    r.store = store;
    sl_protocol_register(&sl_protocol_queue);
    struct sl_broker_options broker = {.queue = queue, .projection = SL_PROJECTION_QUEUE};
    recorder_start(&r, &sl_broker_class, sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER), &broker);
}

static void
finish(void)
{
    recorder_stop(&r);
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    sl_buf_deinit(&bytes);
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(broker, .init = setup, .fini = finish, .timeout = 60);

/* And what the broker puts off until it has heard all that waits. */
static void
deliver(struct sl_addr from, uint32_t id, const void *body)
{
    recorder_deliver(&r, from, id, body);
    recorder_wait(&r, 0);
}

/* ---- what is said to it -------------------------------------------------------------------- */

/* The answer to the last call: its err, and the results if wanted. */
static enum sl_err
answered(struct sl_buf *ret_results)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_queue_answer);
    cr_assert_not_null(msg);
    const struct sl_m_queue_answer *m = SL_BODY(msg, queue_answer);
    enum sl_err err = (enum sl_err)m->err;
    if (ret_results != NULL) {
        sl_buf_clear(ret_results);
        sl_buf_append_slice(ret_results, m->results);
    }
    sl_msg_destroy(&msg);
    return err;
}

static enum sl_err
set(const char *name, struct sl_lane_settings settings)
{
    sl_buf_clear(&bytes);
    sl_lane_settings_encode(&settings, &bytes);
    struct sl_m_queue_set m = {
        .scope = SCOPE, .queue = sl_slice_str(name), .settings = sl_buf_slice(&bytes)};
    deliver(producer, SL_M_queue_set, &m);
    return answered(NULL);
}

static enum sl_err
put_items(const char *name, const struct sl_put_item *items, uint32_t count,
          struct sl_put_result *ret_results)
{
    struct sl_buf results = {0};
    sl_buf_clear(&bytes);
    for (uint32_t i = 0; i < count; i++)
        sl_wire_put(&bytes, &items[i]);
    struct sl_m_queue_put m = {
        .scope = SCOPE, .count = count, .queue = sl_slice_str(name), .items = sl_buf_slice(&bytes)};
    deliver(producer, SL_M_queue_put, &m);
    enum sl_err err = answered(&results);
    struct sl_reader in = sl_reader(sl_buf_slice(&results));
    for (uint32_t i = 0; err == SL_OK && i < count; i++)
        cr_assert(sl_wire_result_read(&in, &ret_results[i]));
    cr_assert(err != SL_OK || sl_reader_is_done(&in));
    sl_buf_deinit(&results);
    return err;
}

static uint64_t
put(const char *text)
{
    struct sl_put_item item = {.payload = sl_slice_str(text)};
    struct sl_put_result result;
    cr_assert_eq(put_items("mail", &item, 1, &result), SL_OK);
    cr_assert_eq(result.err, SL_OK);
    return result.task_id;
}

static void
want(struct sl_addr who, uint32_t credit)
{
    struct sl_m_queue_want m = {.scope = SCOPE, .credit = credit, .queue = sl_slice_str("mail")};
    deliver(who, SL_M_queue_want, &m);
}

struct end {
    struct sl_lease lease;
    enum sl_end_kind kind;
    uint32_t credit;
    const char *bytes;
};

static enum sl_err
end(struct sl_addr who, struct end e)
{
    struct sl_buf results = {0};
    struct sl_end_item item = {.task_id = e.lease.task_id,
                               .epoch = e.lease.epoch,
                               .kind = e.kind,
                               .bytes = sl_slice_str(e.bytes)};
    sl_buf_clear(&bytes);
    sl_wire_end(&bytes, &item);
    struct sl_m_queue_end m = {.scope = SCOPE,
                               .count = 1,
                               .credit = e.credit,
                               .queue = sl_slice_str("mail"),
                               .items = sl_buf_slice(&bytes)};
    deliver(who, SL_M_queue_end, &m);
    cr_assert_eq(answered(&results), SL_OK);
    cr_assert_eq(results.size, 1);
    enum sl_err err = (enum sl_err)results.data[0];
    sl_buf_deinit(&results);
    return err;
}

/* The leases of the oldest message to a worker: how many; the first `max` of them. */
static uint32_t
leased(struct sl_addr *ret_who, struct sl_lease *ret_leases, uint32_t max)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_queue_leased);
    if (msg == NULL)
        return 0;
    const struct sl_m_queue_leased *m = SL_BODY(msg, queue_leased);
    struct sl_reader in = sl_reader(m->leases);
    uint32_t count = (uint32_t)m->count;
    cr_assert_leq(count, max);
    cr_assert_eq(m->scope, SCOPE);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(sl_wire_lease_read(&in, &ret_leases[i]));
        ret_leases[i].payload.data = NULL; /* Of the message, which goes. */
    }
    cr_assert(sl_reader_is_done(&in));
    *ret_who = msg->to;
    sl_msg_destroy(&msg);
    return count;
}

static struct sl_lease
leased_one(struct sl_addr expected)
{
    struct sl_lease lease = {0};
    struct sl_addr who = {0};
    cr_assert_eq(leased(&who, &lease, 1), 1);
    cr_assert_eq(who.node, expected.node);
    return lease;
}

static bool
is_quiet(void)
{
    return recorder_count(&r, SL_M_queue_leased) == 0;
}

static enum sl_state
state_of(uint64_t task_id)
{
    struct sl_task_info info;
    if (sl_queue_task(queue, (struct sl_scope){SCOPE}, task_id, &info) != SL_OK)
        return SL_STATE_NONE;
    return info.state;
}

/* ---- tests --------------------------------------------------------------------------------- */

Test(broker, pushes_to_who_wants_and_no_more_than_that)
{
    struct sl_lease leases[4];
    struct sl_addr who;
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    cr_assert(is_quiet(), "nobody wants any");
    want(worker, 2);
    cr_assert_eq(leased(&who, leases, 4), 1);
    (void)put("two");
    (void)put("three");
    cr_assert_eq(leased(&who, leases + 1, 1), 1);
    cr_assert(is_quiet(), "its credit is used up");
    cr_assert_eq(end(worker, (struct end){leases[0], SL_END_DONE, 1, "fine"}), SL_OK);
    (void)leased_one(worker);
    cr_assert_eq(end(worker, (struct end){leases[1], SL_END_DONE, 0, ""}), SL_OK);
    (void)put("four");
    cr_assert(is_quiet(), "it took no more");
}

Test(broker, gives_leases_in_turn)
{
    uint32_t got[2] = {0};
    struct sl_addr who;
    struct sl_lease lease;
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    want(worker, 5);
    want(other, 5);
    for (int i = 0; i < 10; i++)
        (void)put("x");
    while (leased(&who, &lease, 1) == 1)
        got[who.node == other.node]++;
    cr_assert_eq(got[0], 5);
    cr_assert_eq(got[1], 5);
}

Test(broker, an_end_counts_once_and_only_with_its_epoch)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    uint64_t id = put("one");
    want(worker, 1);
    struct sl_lease lease = leased_one(worker), forged = lease;
    forged.epoch++;
    cr_assert_eq(end(worker, (struct end){forged, SL_END_DONE, 0, ""}), SL_ESTALE);
    cr_assert_eq(state_of(id), SL_STATE_RUNNING);
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 0, ""}), SL_OK);
    cr_assert_eq(state_of(id), SL_STATE_NONE, "no result is kept of it");
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 0, ""}), SL_ESTALE);
}

Test(broker, counts_failures_apart_from_what_did_not_begin)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 4);
    struct sl_lease first = leased_one(worker);
    cr_assert_eq(end(worker, (struct end){first, SL_END_RELEASED, 0, ""}), SL_OK);
    struct sl_lease second = leased_one(worker);
    cr_assert_eq(second.attempts, 0);
    cr_assert_eq(end(worker, (struct end){second, SL_END_FAILED, 0, "no"}), SL_OK);
    cr_assert(is_quiet(), "it waits first");
    recorder_wait(&r, 60 * SL_SECOND_NS);
    struct sl_lease third = leased_one(worker);
    cr_assert_eq(third.attempts, 1);
    cr_assert_eq(third.crashes, 0);
    cr_assert_neq(third.epoch, second.epoch);
}

Test(broker, a_lease_that_nobody_extends_is_void)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 1);
    struct sl_lease lease = leased_one(worker);
    want(other, 1);
    uint64_t ids[2] = {lease.task_id, lease.epoch};
    struct sl_m_queue_beat beat = {.scope = SCOPE, .count = 1, .leases = sl_slice(ids, 16)};
    recorder_wait(&r, SL_BROKER_LEASE_NS / 2);
    deliver(worker, SL_M_queue_beat, &beat);
    struct sl_buf errs = {0};
    cr_assert_eq(answered(&errs), SL_OK);
    cr_assert_eq(errs.data[0], SL_OK);
    recorder_wait(&r, SL_BROKER_LEASE_NS - SL_SECOND_NS);
    cr_assert(is_quiet(), "it was extended");
    recorder_wait(&r, 2 * SL_SECOND_NS);
    (void)leased_one(other);
    deliver(worker, SL_M_queue_beat, &beat);
    cr_assert_eq(answered(&errs), SL_OK);
    cr_assert_eq(errs.data[0], SL_ESTALE, "a beat tells who lost it");
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 0, ""}), SL_ESTALE);
    sl_buf_deinit(&errs);
}

Test(broker, gives_back_at_once_what_a_node_held_that_is_gone)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 8);
    struct sl_lease lease = leased_one(worker);
    want(other, 1);
    deliver(sl_at(0, SL_ACTOR_HEAD), SL_M_peer_down, &(struct sl_m_peer_down){.node = worker.node});
    (void)leased_one(other);
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 0, ""}), SL_ESTALE);
    (void)put("two");
    cr_assert(is_quiet(), "what it wanted is forgotten");
}

/* ---- who is gone ---------------------------------------------------------------------------- */

static void
want_and_tell(struct sl_addr who, uint32_t credit)
{
    struct sl_m_queue_want m = {
        .scope = SCOPE, .credit = credit, .tells_begun = 1, .queue = sl_slice_str("mail")};
    deliver(who, SL_M_queue_want, &m);
}

static struct sl_slice
ids_of(struct sl_lease lease)
{
    static uint64_t ids[2];
    ids[0] = lease.task_id;
    ids[1] = lease.epoch;
    return sl_slice(ids, sizeof(ids));
}

static uint16_t
crashes_of(uint64_t task_id)
{
    struct sl_task_info info;
    cr_assert_eq(sl_queue_task(queue, (struct sl_scope){SCOPE}, task_id, &info), SL_OK);
    return info.crashes;
}

static void
lose(struct sl_addr who)
{
    deliver(sl_at(0, SL_ACTOR_HEAD), SL_M_peer_down, &(struct sl_m_peer_down){.node = who.node});
}

/* Four tasks that a worker has, and what it says of which has begun. */
static void
expect_begun(uint32_t message)
{
    struct sl_lease leases[4];
    struct sl_addr who;
    uint64_t ids[4];
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    for (int i = 0; i < 4; i++)
        ids[i] = put("x");
    want_and_tell(worker, 4);
    cr_assert_eq(leased(&who, leases, 4), 4);
    struct sl_slice begun = ids_of(leases[2]);
    if (message == SL_M_queue_begun) {
        struct sl_m_queue_begun m = {.scope = SCOPE, .leases = begun};
        deliver(worker, SL_M_queue_begun, &m);
    } else if (message == SL_M_queue_beat) {
        struct sl_m_queue_beat m = {.scope = SCOPE, .begun = begun};
        deliver(worker, SL_M_queue_beat, &m);
        cr_assert_eq(answered(NULL), SL_OK);
    } else {
        struct sl_m_queue_end m = {.scope = SCOPE, .queue = sl_slice_str("mail"), .begun = begun};
        deliver(worker, SL_M_queue_end, &m);
        cr_assert_eq(answered(NULL), SL_OK);
    }
    lose(worker);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(crashes_of(ids[i]), i == 2, "task %d", i);
}

Test(broker, counts_a_crash_of_what_a_worker_said_to_have_begun)
{
    expect_begun(SL_M_queue_begun);
}

Test(broker, hears_of_what_has_begun_with_an_end)
{
    expect_begun(SL_M_queue_end);
}

Test(broker, hears_of_what_has_begun_with_a_beat)
{
    expect_begun(SL_M_queue_beat);
}

Test(broker, takes_what_is_leased_for_begun_where_a_worker_does_not_tell)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    uint64_t ids[2] = {put("one"), put("two")};
    want(worker, 2);
    lose(worker);
    cr_assert_eq(crashes_of(ids[0]) + crashes_of(ids[1]), 2);
}

Test(broker, hears_at_once_of_a_worker_that_died_and_how)
{
    struct sl_buf results = {0};
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    uint64_t id = put("one");
    struct sl_m_queue_lost m = {.node = worker.node,
                                .signal = 11,
                                .peak_bytes = 1 << 20,
                                .lines = sl_slice_str("about to divide")};
    for (int i = 0; i < 3; i++) {
        want(worker, 1);
        (void)leased_one(worker);
        deliver(other, SL_M_queue_lost, &m);
        struct sl_msg *msg = recorder_take(&r, SL_M_queue_answer);
        cr_assert_not_null(msg);
        cr_assert_eq(SL_BODY(msg, queue_answer)->err, SL_OK);
        cr_assert_eq(SL_BODY(msg, queue_answer)->count, 1);
        sl_msg_destroy(&msg);
        lose(worker);
    }
    cr_assert_eq(state_of(id), SL_STATE_QUARANTINED);
    struct sl_task_info info;
    struct sl_slice why;
    cr_assert_eq(sl_queue_task(queue, (struct sl_scope){SCOPE}, id, &info), SL_OK);
    cr_assert_eq(sl_body_read(store, info.why, &why), SL_OK);
    cr_assert(sl_slice_is(
        why, "its process died of signal 11 SIGSEGV, peak memory 1048576 bytes\nabout to divide"));
    m.node = 1; /* The head itself. */
    deliver(other, SL_M_queue_lost, &m);
    cr_assert_eq(answered(NULL), SL_EINVAL);
    sl_buf_deinit(&results);
}

Test(broker, loses_what_a_worker_held_a_share_at_a_time)
{
    static struct sl_put_item items[2000];
    static struct sl_put_result results[2000];
    static struct sl_lease leases[256];
    struct sl_addr who;
    uint32_t got, count = 0;
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    cr_assert_eq(put_items("mail", items, 2000, results), SL_OK);
    want(worker, 2000);
    recorder_wait(&r, SL_MILLI_NS);
    while ((got = leased(&who, leases, 256)) > 0)
        count += got;
    cr_assert_eq(count, 2000);
    recorder_deliver(&r, sl_at(0, SL_ACTOR_HEAD), SL_M_peer_down,
                     &(struct sl_m_peer_down){.node = worker.node});
    cr_assert_eq(state_of(results[1999].task_id), SL_STATE_RUNNING, "not all in one turn");
    recorder_wait(&r, SL_MILLI_NS);
    for (int i = 0; i < 2000; i++) {
        cr_assert_eq(state_of(results[i].task_id), SL_STATE_QUEUED);
        cr_assert_eq(crashes_of(results[i].task_id), 1);
    }
}

Test(broker, tells_a_worker_that_it_wants_in_vain)
{
    struct sl_broker_counts counts;
    for (uint32_t i = 0; i < SL_BROKER_WORKERS_MAX; i++)
        want(sl_at(100000 + i, 1), 1);
    cr_assert_eq(recorder_count(&r, SL_M_queue_refused), 0);
    want(worker, 1);
    struct sl_msg *msg = recorder_take(&r, SL_M_queue_refused);
    cr_assert_not_null(msg);
    const struct sl_m_queue_refused *m = SL_BODY(msg, queue_refused);
    cr_assert_eq(msg->to.node, worker.node);
    cr_assert_eq(m->scope, SCOPE);
    cr_assert_eq(m->err, SL_EFULL);
    cr_assert(sl_slice_is(m->queue, "mail"));
    sl_msg_destroy(&msg);
    lose(sl_at(100007, 0));
    sl_broker_counts(r.actor, &counts);
    cr_assert_eq(counts.workers, SL_BROKER_WORKERS_MAX - 1);
    want(worker, 1);
    cr_assert_eq(recorder_count(&r, SL_M_queue_refused), 0, "one has left");
}

Test(broker, sets_no_more_timers_than_it_needs)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("held");
    want(worker, 1);
    (void)leased_one(worker);
    for (uint64_t i = 0; i < 50; i++) { /* Each is due before the lease lapses. */
        struct sl_put_item item = {.delay_ms = 10};
        struct sl_put_result result;
        cr_assert_eq(put_items("mail", &item, 1, &result), SL_OK);
        recorder_wait(&r, 20 * SL_MILLI_NS);
    }
    cr_assert_leq(r.timers_count, 3);
}

Test(broker, takes_up_a_worker_again_that_a_link_had_failed)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 1);
    struct sl_lease lease = leased_one(worker);
    struct sl_m_undelivered m = {.message = SL_M_queue_leased, .reason = SL_EFULL};
    deliver(worker, SL_M_undelivered, &m);
    cr_assert(is_quiet());
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 1, ""}), SL_ESTALE);
    (void)leased_one(worker);
}

Test(broker, leases_what_came_together_in_one_message_and_leaves_nobody_idle)
{
    struct sl_lease leases[8];
    struct sl_addr who;
    struct sl_put_item item = {.payload = sl_slice_str("x")};
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    want(worker, 64);
    want(other, 64);
    sl_buf_clear(&bytes);
    sl_wire_put(&bytes, &item);
    struct sl_m_queue_put m = {
        .scope = SCOPE, .count = 1, .queue = sl_slice_str("mail"), .items = sl_buf_slice(&bytes)};
    for (int i = 0; i < 6; i++)
        recorder_deliver(&r, producer, SL_M_queue_put, &m);
    cr_assert(is_quiet());
    recorder_wait(&r, 0);
    cr_assert_eq(recorder_count(&r, SL_M_queue_leased), 2);
    cr_assert_eq(leased(&who, leases, 8), 3);
    cr_assert_eq(leased(&who, leases, 8), 3);
}

Test(broker, goes_on_with_who_comes_later_once_others_want_no_more)
{
    struct sl_lease leases[2];
    struct sl_addr who;
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    want(worker, 1);
    want(other, 1);
    (void)put("one");
    cr_assert_eq(leased(&who, leases, 1), 1);
    cr_assert_eq(who.node, worker.node);
    struct sl_m_queue_quiet quiet = {.scope = SCOPE, .queue = sl_slice_str("mail")};
    deliver(other, SL_M_queue_quiet, &quiet);
    (void)put("two");
    cr_assert(is_quiet(), "who has all it wanted is not asked");
    cr_assert_eq(end(worker, (struct end){leases[0], SL_END_DONE, 1, ""}), SL_OK);
    (void)leased_one(worker);
}

Test(broker, pushes_a_share_at_a_time)
{
    static uint8_t large[SL_QUEUE_PAYLOAD_MAX];
    static struct sl_put_item items[400];
    static struct sl_put_result results[400];
    struct sl_addr who;
    static struct sl_lease leases[256];
    uint32_t count = 0, got;
    for (size_t i = 0; i < SL_COUNT_OF(items); i++)
        items[i].payload = sl_slice(large, sizeof(large));
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    cr_assert_eq(put_items("mail", items, 400, results), SL_OK);
    struct sl_m_queue_want m = {.scope = SCOPE, .credit = 400, .queue = sl_slice_str("mail")};
    recorder_deliver(&r, worker, SL_M_queue_want, &m);
    cr_assert(is_quiet(), "others may say something, too");
    uint64_t token = r.timers[--r.timers_count].token;
    recorder_deliver(&r, r.self, SL_M_timer, &(struct sl_m_timer){token});
    while ((got = leased(&who, leases, 256)) > 0)
        count += got;
    cr_assert_lt(count, 200, "8 MiB a turn");
    recorder_wait(&r, SL_MILLI_NS);
    while ((got = leased(&who, leases, 256)) > 0)
        count += got;
    cr_assert_eq(count, 400, "the rest comes by itself");
}

Test(broker, does_not_undo_what_was_set_by_making_a_queue_again)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){.mode = SL_LANE_PAUSED}), SL_OK);
    struct sl_lane_settings usual = {0};
    sl_buf_clear(&bytes);
    sl_lane_settings_encode(&usual, &bytes);
    struct sl_m_queue_set m = {.scope = SCOPE,
                               .is_new = 1,
                               .queue = sl_slice_str("mail"),
                               .settings = sl_buf_slice(&bytes)};
    deliver(producer, SL_M_queue_set, &m);
    cr_assert_eq(answered(NULL), SL_OK);
    (void)put("one");
    want(worker, 1);
    cr_assert(is_quiet(), "it is paused still");
}

Test(broker, leases_that_a_link_did_not_take_are_given_back)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 1);
    struct sl_lease lease = leased_one(worker);
    want(other, 1);
    struct sl_m_undelivered m = {.message = SL_M_queue_leased, .reason = SL_EFULL};
    deliver(worker, SL_M_undelivered, &m);
    cr_assert_eq(leased_one(other).task_id, lease.task_id);
}

Test(broker, hands_out_nothing_while_it_drains)
{
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    (void)put("one");
    want(worker, 8);
    struct sl_lease lease = leased_one(worker);
    deliver(sl_at(0, 0), SL_M_drain, &(struct sl_m_drain){0});
    (void)put("two");
    cr_assert_eq(end(worker, (struct end){lease, SL_END_DONE, 8, ""}), SL_OK);
    cr_assert(is_quiet());
}

Test(broker, says_of_each_item_what_became_of_it)
{
    static uint8_t large[SL_QUEUE_PAYLOAD_MAX + 1];
    struct sl_put_item items[] = {{.payload = sl_slice_str("fine")},
                                  {.payload = sl_slice(large, sizeof(large))},
                                  {.priority = 10},
                                  {.delay_ms = UINT64_MAX},
                                  {.delay_ms = 1000, .payload = sl_slice_str("later")}};
    struct sl_put_result results[SL_COUNT_OF(items)];
    cr_assert_eq(put_items("mail", items, 1, results), SL_ENOTFOUND);
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    cr_assert_eq(put_items("mail", items, SL_COUNT_OF(items), results), SL_OK);
    cr_assert_eq(results[0].err, SL_OK);
    cr_assert_eq(results[1].err, SL_ETOOBIG);
    cr_assert_eq(results[2].err, SL_EINVAL);
    cr_assert_eq(results[3].err, SL_EINVAL);
    cr_assert_eq(results[4].state, SL_STATE_SCHEDULED);
    want(worker, 8);
    (void)leased_one(worker);
    cr_assert(is_quiet());
    recorder_wait(&r, SL_SECOND_NS);
    cr_assert_eq(leased_one(worker).task_id, results[4].task_id, "it came when it was due");
}

Test(broker, keeps_to_what_is_set_of_a_queue)
{
    struct sl_put_item items[3] = {0};
    struct sl_put_result results[3];
    cr_assert_eq(set("mail", (struct sl_lane_settings){.depth_max = 2}), SL_OK);
    cr_assert_eq(put_items("mail", items, 3, results), SL_OK);
    cr_assert_eq(results[1].err, SL_OK);
    cr_assert_eq(results[2].err, SL_EFULL);
    cr_assert_eq(set("mail", (struct sl_lane_settings){.mode = SL_LANE_PAUSED}), SL_OK);
    want(worker, 9);
    cr_assert(is_quiet());
    cr_assert_eq(set("mail", (struct sl_lane_settings){.mode = SL_LANE_DRAINING}), SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_queue_leased), 1, "it hands out");
    cr_assert_eq(put_items("mail", items, 1, results), SL_OK);
    cr_assert_eq(results[0].err, SL_EUNAVAIL, "and takes none");
    cr_assert_eq(set("mail", (struct sl_lane_settings){.weight = 5000}), SL_EINVAL);
    cr_assert_eq(set("no/such name", (struct sl_lane_settings){0}), SL_EINVAL);
}

Test(broker, refuses_what_is_no_message_of_its_own)
{
    struct sl_broker_counts counts;
    struct sl_m_queue_put m = {
        .scope = SCOPE, .count = 2, .queue = sl_slice_str("mail"), .items = sl_slice("\0\0", 2)};
    uint64_t digest = sl_queue_digest(queue);
    cr_assert_eq(set("mail", (struct sl_lane_settings){0}), SL_OK);
    digest = sl_queue_digest(queue);
    deliver(producer, SL_M_queue_put, &m);
    cr_assert_eq(answered(NULL), SL_EINVAL);
    m.count = UINT64_MAX;
    deliver(producer, SL_M_queue_put, &m);
    cr_assert_eq(answered(NULL), SL_EINVAL);
    struct sl_m_queue_end e = {.scope = SCOPE, .count = UINT64_MAX};
    deliver(worker, SL_M_queue_end, &e);
    cr_assert_eq(answered(NULL), SL_EINVAL);
    struct sl_m_queue_beat b = {.scope = SCOPE, .count = 3, .leases = sl_slice("x", 1)};
    deliver(worker, SL_M_queue_beat, &b);
    cr_assert_eq(answered(NULL), SL_EINVAL);
    deliver(worker, SL_M_queue_want, &(struct sl_m_queue_want){.credit = 1});
    cr_assert_eq(recorder_count(&r, SL_M_queue_refused), 1);
    struct sl_m_queue_begun begun = {.scope = SCOPE, .leases = sl_slice("x", 1)};
    deliver(worker, SL_M_queue_begun, &begun);
    cr_assert_eq(sl_queue_digest(queue), digest, "nothing has changed");
    sl_broker_counts(r.actor, &counts);
    cr_assert_eq(counts.malformed, 6);
    cr_assert_eq(counts.workers, 0);
}
