/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/live.h"
#include "runtime/log.h"
#include "runtime/report.h"
#include "tests/runtime/test_protocol.h"
#include "runtime/sim_disk.h"

#define NODE_A  2
#define NODE_B  3
#define STREAM  100000
#define TIMEOUT 60

static char directory[64], endpoint[96];

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    snprintf(directory, sizeof(directory), "/tmp/sluice-live-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/a", directory);
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(live, .init = setup, .fini = clean, .timeout = TIMEOUT);

static struct sl_addr
at(uint32_t node, uint32_t actor)
{
    return (struct sl_addr){.node = node, .actor = actor};
}

static void
send_count(struct sl_ctx *ctx, struct sl_addr to, uint64_t number)
{
    sl_send(ctx, to, SL_M_count, &(struct sl_m_count){number});
}

static void
post_count(struct sl_live *live, uint32_t actor, uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){number});
    msg->to.actor = actor;
    sl_live_post(live, msg);
}

/* An actor that does what its test says; state and the live are the test's. */
struct probe {
    struct sl_live *live;
    void (*handle)(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg);
    uint64_t count, last, bad;
    void *more;
};

static void
probe_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct probe **)self = (struct probe *)(uintptr_t)argument;
}

static void
probe_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct probe *p = *(struct probe **)self;
    p->handle(p, ctx, msg);
}

static const struct sl_actor_class probe_class = {
    .name = "probe",
    .state_size = sizeof(struct probe *),
    .init = probe_init,
    .handle = probe_handle,
};

static struct sl_live *
create(uint32_t node, struct probe *p)
{
    struct sl_live *live = sl_live_create(&(struct sl_live_options){.node = node});
    p->live = live;
    sl_live_spawn(live, 1, &probe_class, p);
    return live;
}

static void *
run_live(void *live)
{
    return (void *)(uintptr_t)sl_live_run(live);
}

static pthread_t
start(struct sl_live *live)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, run_live, live), 0);
    return thread;
}

static enum sl_err
join(pthread_t thread)
{
    void *result;
    pthread_join(thread, &result);
    return (enum sl_err)(uintptr_t)result;
}

/* ---- messages ------------------------------------------------------------------------------ */

static void
stop_at_end(struct probe *p, uint64_t number, uint64_t end)
{
    p->bad += number != p->last + 1;
    p->last = number;
    if (++p->count == end)
        sl_live_stop(p->live);
}

static void
take_stream(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    p->bad += msg->from.node != NODE_B || msg->from.actor != 1;
    if (SL_BODY(msg, count)->number == STREAM)
        sl_reply(ctx, msg, SL_M_bare, NULL);
    stop_at_end(p, SL_BODY(msg, count)->number, STREAM);
}

/* 1000 a handler, by a timer of no delay: the frames hold many each. What is not sent yet is sent
   while it runs, so it goes on until the other has all. */
static void
give_stream(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    for (int i = 0; i < 1000 && p->count < STREAM; i++)
        send_count(ctx, at(NODE_A, 1), ++p->count);
    if (msg->id == SL_M_bare)
        sl_live_stop(p->live);
    else if (p->count < STREAM)
        sl_after(ctx, 0, 1);
}

Test(live, a_stream_to_another_node_comes_whole_and_in_order)
{
    struct probe a = {.handle = take_stream}, b = {.handle = give_stream};
    struct sl_live *live_a = create(NODE_A, &a), *live_b = create(NODE_B, &b);
    cr_assert_eq(sl_live_listen(live_a, endpoint), SL_OK);
    cr_assert_eq(sl_live_connect(live_b, NODE_A, endpoint), SL_OK);
    post_count(live_b, 1, 0);
    pthread_t thread = start(live_a);
    cr_assert_eq(sl_live_run(live_b), SL_OK);
    cr_assert_eq(join(thread), SL_OK);
    cr_assert_eq(a.count, STREAM);
    cr_assert_eq(a.bad, 0);
    sl_live_destroy(&live_b);
    sl_live_destroy(&live_a);
}

/* A peer that is there and reads nothing: what its link refuses comes back, and says what it was.
 */
static void
overfill(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id == SL_M_undelivered) {
        const struct sl_m_undelivered *m = SL_BODY(msg, undelivered);
        p->bad += m->message != SL_M_count || msg->from.node != NODE_A || msg->from.actor != 1;
        p->bad += m->reason != SL_EFULL || m->first <= p->last || m->first > p->count;
        p->last = m->first;
        if (m->first == p->count)
            sl_live_stop(p->live);
        return;
    }
    for (int i = 0; i < 1000; i++)
        send_count(ctx, at(NODE_A, 1), ++p->count);
    if (p->last == 0)
        sl_after(ctx, 0, 1);
}

Test(live, what_a_full_link_refuses_comes_back_to_its_sender)
{
    struct probe a = {.handle = take_stream}, b = {.handle = overfill};
    struct sl_links_options links = {.buffer_bytes = 100 * SL_KIB};
    struct sl_live *live_a = create(NODE_A, &a);
    struct sl_live *live_b =
        sl_live_create(&(struct sl_live_options){.node = NODE_B, .links = &links});
    b.live = live_b;
    sl_live_spawn(live_b, 1, &probe_class, &b);
    cr_assert_eq(sl_live_listen(live_a, endpoint), SL_OK);
    cr_assert_eq(sl_live_connect(live_b, NODE_A, endpoint), SL_OK);
    post_count(live_b, 1, 0);
    cr_assert_eq(sl_live_run(live_b), SL_OK);
    cr_assert_gt(b.last, 0);
    cr_assert_eq(b.bad, 0);
    sl_live_destroy(&live_b);
    sl_live_destroy(&live_a);
}

static void
answer(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    p->count++;
    sl_reply(ctx, msg, SL_M_count, &(struct sl_m_count){SL_BODY(msg, count)->number * 2});
}

static void
ask(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->request != 0) {
        p->bad += SL_BODY(msg, count)->number != 2 * p->last || msg->request != p->last + 100;
        if (++p->count == 500) {
            sl_live_stop(p->live);
            return;
        }
    }
    p->last = p->count;
    sl_request(ctx, at(NODE_A, 1), p->last + 100, SL_M_count, &(struct sl_m_count){p->last});
}

/* Each round trip is a new wake-up on both sides: one that is lost hangs this test. */
Test(live, an_answer_carries_its_requests_number)
{
    struct probe a = {.handle = answer}, b = {.handle = ask};
    struct sl_live *live_a = create(NODE_A, &a), *live_b = create(NODE_B, &b);
    cr_assert_eq(sl_live_listen(live_a, endpoint), SL_OK);
    cr_assert_eq(sl_live_connect(live_b, NODE_A, endpoint), SL_OK);
    post_count(live_b, 1, 0);
    pthread_t thread = start(live_a);
    cr_assert_eq(sl_live_run(live_b), SL_OK);
    sl_live_stop(live_a);
    cr_assert_eq(join(thread), SL_OK);
    cr_assert_eq(b.count, 500);
    cr_assert_eq(b.bad, 0);
    sl_live_destroy(&live_b);
    sl_live_destroy(&live_a);
}

Test(live, refuses_what_is_no_endpoint)
{
    struct probe a = {.handle = answer};
    struct sl_live *live = create(NODE_A, &a);
    cr_assert_eq(sl_live_listen(live, "nonsense"), SL_EINVAL);
    cr_assert_eq(sl_live_connect(live, NODE_B, "ip://x"), SL_EINVAL);
    sl_live_destroy(&live);
}

/* ---- many threads -------------------------------------------------------------------------- */

#define POSTERS 4
#define POSTS   5000

static void
take_posts(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    uint64_t number = SL_BODY(msg, count)->number, *lasts = p->more;
    p->bad += number % POSTS != lasts[number / POSTS]++;
    if (++p->count == POSTERS * POSTS)
        sl_live_stop(p->live);
}

struct poster {
    struct sl_live *live;
    uint64_t first;
};

static void *
post_many(void *arg)
{
    struct poster *p = arg;
    for (uint64_t i = 0; i < POSTS; i++)
        post_count(p->live, 1, p->first + i);
    return NULL;
}

Test(live, posts_of_many_threads_all_come_and_each_threads_in_order)
{
    uint64_t lasts[POSTERS] = {0};
    struct probe a = {.handle = take_posts, .more = lasts};
    struct sl_live *live = create(NODE_A, &a);
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS], runner = start(live);
    for (uint64_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){live, i * POSTS};
        cr_assert_eq(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(join(runner), SL_OK);
    cr_assert_eq(a.count, POSTERS * POSTS);
    cr_assert_eq(a.bad, 0);
    sl_live_destroy(&live);
}

/* ---- timers, work, ports, watches ---------------------------------------------------------- */

static void
take_timers(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id == SL_M_count) {
        static const uint64_t delays_ms[] = {3, 1, 2, 1};
        for (uint64_t i = 0; i < 4; i++)
            sl_after(ctx, delays_ms[i] * SL_MILLI_NS, i);
        p->last = ctx->now_ns;
        return;
    }
    static const uint64_t order[] = {1, 3, 2, 0}, due_ms[] = {1, 1, 2, 3};
    p->bad += SL_BODY(msg, timer)->token != order[p->count];
    p->bad += ctx->now_ns < p->last + due_ms[p->count] * SL_MILLI_NS;
    if (++p->count == 4)
        sl_live_stop(p->live);
}

Test(live, timers_fire_in_order_and_not_early)
{
    struct probe a = {.handle = take_timers};
    struct sl_live *live = create(NODE_A, &a);
    post_count(live, 1, 0);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_eq(a.count, 4);
    cr_assert_eq(a.bad, 0);
    sl_live_destroy(&live);
}

static void
square(void *argument)
{
    *(uint64_t *)argument *= *(uint64_t *)argument;
}

static void
do_work(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    static uint64_t number = 9;
    if (msg->id == SL_M_count) {
        sl_work(ctx, square, &number, 5);
        return;
    }
    const struct sl_m_work_done *m = SL_BODY(msg, work_done);
    p->bad += m->token != 5 || m->argument != (uintptr_t)&number || number != 81;
    p->count++;
    sl_live_stop(p->live);
}

Test(live, work_runs_on_the_pool_and_comes_back_with_its_token)
{
    struct probe a = {.handle = do_work};
    struct sl_live *live = create(NODE_A, &a);
    post_count(live, 1, 0);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_eq(a.count, 1);
    cr_assert_eq(a.bad, 0);
    sl_live_destroy(&live);
}

/* A child that answers, then fails: its parent hears of both. */
static void
answer_or_fail(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->request != 0)
        sl_reply(ctx, msg, SL_M_count, msg->body);
    else
        sl_fail(ctx, SL_ECRASHED);
}

static const struct sl_actor_class child_class = {.name = "child", .handle = answer_or_fail};

static void
raise_child(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_addr child;
    struct sl_spawn_options options = {.is_watched = true};
    if (msg->id == SL_M_down) {
        p->bad += SL_BODY(msg, down)->reason != SL_ECRASHED;
        sl_live_stop(p->live);
    } else if (msg->request != 0) {
        p->bad += msg->request != p->last || SL_BODY(msg, count)->number != 7;
        p->count++;
        send_count(ctx, msg->from, 0);
    } else {
        p->bad += sl_spawn(ctx, &child_class, NULL, &options, &child) != SL_OK;
        p->last = sl_call(ctx, child, SL_SECOND_NS * TIMEOUT, SL_M_count, &(struct sl_m_count){7});
    }
}

Test(live, an_actor_has_children_and_calls)
{
    struct probe a = {.handle = raise_child};
    struct sl_live *live = create(NODE_A, &a);
    sl_report_level_set(SL_REPORT_ERROR + 1);
    post_count(live, 1, 0);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_eq(a.count, 1);
    cr_assert_eq(a.bad, 0);
    sl_live_destroy(&live);
}

static void
take_at_port(void *arg, struct sl_msg *msg)
{
    struct probe *p = arg;
    p->last = SL_BODY(msg, count)->number;
    sl_msg_destroy(&msg);
    sl_live_stop(p->live);
}

static void
send_to_port(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id == SL_M_undelivered) {
        p->count += SL_BODY(msg, undelivered)->reason == SL_ENOTFOUND;
        return;
    }
    send_count(ctx, at(SL_NODE_PORT, 2), SL_BODY(msg, count)->number);
    send_count(ctx, at(SL_NODE_PORT, 9), 1); /* None there: we are told, */
    send_count(ctx, at(77, 1), 1);           /* as of a node that is not there, */
    send_count(ctx, at(0, 500), 1);          /* and of an actor. */
    send_count(ctx, at(0, 50000), 1);
}

Test(live, a_port_takes_what_is_sent_to_it)
{
    struct probe a = {.handle = send_to_port};
    struct sl_live *live = create(NODE_A, &a);
    sl_report_level_set(SL_REPORT_ERROR + 1);
    sl_live_port(live, 2, take_at_port, &a);
    post_count(live, 1, 31);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_eq(a.last, 31);
    cr_assert_eq(a.count, 4);
    sl_live_destroy(&live);
}

struct pipes {
    struct sl_live *live;
    int fds[2][2];
    int calls;
};

/* Whoever is called first takes the other's watch away and closes its descriptor. */
static void
on_pipe(void *arg)
{
    struct pipes *p = arg;
    p->calls++;
    for (int i = 0; i < 2; i++)
        sl_live_unwatch(p->live, p->fds[i][0]);
    sl_live_stop(p->live);
}

Test(live, a_watch_that_was_taken_away_is_not_called)
{
    struct probe a = {.handle = answer};
    struct pipes p = {.live = create(NODE_A, &a)};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pipe(p.fds[i]), 0);
        cr_assert_eq(write(p.fds[i][1], "x", 1), 1);
        sl_live_watch(p.live, p.fds[i][0], on_pipe, &p);
    }
    cr_assert_eq(sl_live_run(p.live), SL_OK);
    cr_assert_eq(p.calls, 1);
    sl_live_destroy(&p.live);
}

static void
echo_forever(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    send_count(ctx, ctx->self, 0);
    if (++p->count == 1000)
        sl_live_stop(p->live);
}

Test(live, stops_though_its_actors_never_fall_silent)
{
    struct probe a = {.handle = echo_forever};
    struct sl_live *live = create(NODE_A, &a);
    post_count(live, 1, 0);
    cr_assert_eq(sl_live_run(live), SL_OK);
    cr_assert_geq(a.count, 1000);
    sl_live_destroy(&live);
}

/* ---- held effects -------------------------------------------------------------------------- */

struct held {
    struct sl_sim_disk *disk;
    struct sl_store *store;
    uint64_t at_port, syncs_at_port;
};

static struct sl_store *
open_store(struct sl_sim_disk *disk)
{
    static struct sl_disk ops;
    struct sl_store *store = NULL;
    ops = sl_sim_disk_ops(disk);
    struct sl_store_options options = {.directory = directory, .disk = &ops};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    return store;
}

static void
commit(struct sl_store *store)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, (struct sl_scope){3}, 1, sl_slice_str("k"), sl_slice_str("v"));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static void
commit_and_tell(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id == SL_M_work_done) {
        p->bad++;
        return;
    }
    send_count(ctx, at(NODE_A, 1), 7); /* Sent before the commit, held like what comes after. */
    commit(ctx->store);
    send_count(ctx, at(SL_NODE_PORT, 1), 7);
    sl_work(ctx, square, &p->count, 1);
}

static void
note_at_port(void *arg, struct sl_msg *msg)
{
    struct held *h = ((struct probe *)arg)->more;
    h->at_port++;
    sl_msg_destroy(&msg);
}

Test(live, nothing_leaves_when_the_sync_fails)
{
    struct held held = {.disk = sl_sim_disk_create()};
    struct probe a = {.handle = take_stream}, b = {.handle = commit_and_tell, .more = &held};
    struct sl_live *live_a = create(NODE_A, &a);
    held.store = open_store(held.disk);
    struct sl_live *live_b =
        sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = held.store});
    b.live = live_b;
    b.count = 3;
    sl_live_spawn(live_b, 1, &probe_class, &b);
    sl_live_port(live_b, 1, note_at_port, &b);
    cr_assert_eq(sl_live_listen(live_a, endpoint), SL_OK);
    cr_assert_eq(sl_live_connect(live_b, NODE_A, endpoint), SL_OK);
    sl_report_level_set(SL_REPORT_ERROR + 1);
    sl_sim_disk_fail_at(held.disk, 1);
    post_count(live_b, 1, 0);
    pthread_t thread = start(live_a);
    cr_assert_neq(sl_live_run(live_b), SL_OK);
    sl_live_destroy(&live_b); /* Whatever was let out is with its peer when this returns. */
    sl_live_stop(live_a);
    cr_assert_eq(join(thread), SL_OK);
    cr_assert_eq(a.count, 0, "a peer heard of what is not durable");
    cr_assert_eq(held.at_port, 0);
    cr_assert_eq(b.count, 3, "work ran on account of what is not durable");
    sl_live_destroy(&live_a);
    sl_store_close(&held.store);
    sl_sim_disk_destroy(&held.disk);
}

/* At its first message the port commits and sends itself another, which must follow a sync. */
static void
commit_at_port(void *arg, struct sl_msg *msg)
{
    struct probe *p = arg;
    struct held *h = p->more;
    sl_msg_destroy(&msg);
    if (h->at_port++ == 0) {
        h->syncs_at_port = sl_sim_disk_syncs(h->disk);
        commit(h->store);
        struct sl_ctx ctx = sl_live_context(p->live, 1);
        send_count(&ctx, at(SL_NODE_PORT, 1), 2);
        return;
    }
    p->bad += sl_store_is_dirty(h->store) || sl_sim_disk_syncs(h->disk) == h->syncs_at_port;
    sl_live_stop(p->live);
}

Test(live, what_a_port_sends_waits_for_the_sync_of_its_own_commit)
{
    struct held held = {.disk = sl_sim_disk_create()};
    struct probe b = {.handle = commit_and_tell, .more = &held};
    held.store = open_store(held.disk);
    b.live = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = held.store});
    sl_live_port(b.live, 1, commit_at_port, &b);
    struct sl_ctx ctx = sl_live_context(b.live, 1);
    send_count(&ctx, at(SL_NODE_PORT, 1), 1);
    cr_assert_eq(sl_live_run(b.live), SL_OK);
    cr_assert_eq(held.at_port, 2);
    cr_assert_eq(b.bad, 0);
    sl_live_destroy(&b.live);
    sl_store_close(&held.store);
    sl_sim_disk_destroy(&held.disk);
}

/* All at the lowest level: a count, a process to end, one to start. */
static void
commit_and_spawn(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)p, (void)msg;
    commit(ctx->store);
    ctx->level = SL_LEVEL_RAM;
    send_count(ctx, at(SL_NODE_PORT, 1), 3);
    sl_send(ctx, at(SL_NODE_PORT, 1), SL_M_spawn_kill, &(struct sl_m_spawn_kill){.tag = 1});
    sl_send(ctx, at(SL_NODE_PORT, 1), SL_M_spawn, &(struct sl_m_spawn){.tag = 2});
}

static void
note_dirty(void *arg, struct sl_msg *msg)
{
    struct probe *p = arg;
    struct held *h = p->more;
    static const uint32_t order[] = {SL_M_spawn_kill, SL_M_spawn};
    bool is_early = h->at_port < SL_COUNT_OF(order);
    p->bad += is_early && msg->id != order[h->at_port];
    p->bad += is_early != sl_store_is_dirty(h->store);
    sl_msg_destroy(&msg);
    if (++h->at_port == 3)
        sl_live_stop(p->live);
}

Test(live, a_process_starts_and_ends_before_the_sync_if_its_actor_says_so_and_nothing_else)
{
    struct held held = {.disk = sl_sim_disk_create()};
    struct probe b = {.handle = commit_and_spawn, .more = &held};
    held.store = open_store(held.disk);
    b.live = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = held.store});
    sl_live_spawn(b.live, 1, &probe_class, &b);
    sl_live_port(b.live, 1, note_dirty, &b);
    post_count(b.live, 1, 0);
    cr_assert_eq(sl_live_run(b.live), SL_OK);
    cr_assert_eq(held.at_port, 3);
    cr_assert_eq(b.bad, 0);
    sl_live_destroy(&b.live);
    sl_store_close(&held.store);
    sl_sim_disk_destroy(&held.disk);
}

/* Under load syncs run beside the batches. Each reply tells its commit's position, and brings the
   next request. */
#define COMMITS 10000
#define CLIENTS 64

struct load {
    struct sl_store *store;
    uint64_t replies, syncs, durable;
};

static void
commit_and_reply(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct load *load = p->more;
    (void)msg;
    commit(ctx->store);
    send_count(ctx, at(SL_NODE_PORT, 1), sl_log_last(sl_store_log(load->store)));
}

static void
check_durable(void *arg, struct sl_msg *msg)
{
    struct probe *p = arg;
    struct load *load = p->more;
    uint64_t durable = sl_log_durable(sl_store_log(load->store));
    p->bad += SL_BODY(msg, count)->number > durable || SL_BODY(msg, count)->number <= p->last;
    p->last = SL_BODY(msg, count)->number;
    load->syncs += durable != load->durable;
    load->durable = durable;
    sl_msg_destroy(&msg);
    if (++load->replies == COMMITS)
        sl_live_stop(p->live);
    if (load->replies + CLIENTS <= COMMITS)
        post_count(p->live, 1, 0);
}

static void
post_load(struct probe *p)
{
    for (uint64_t i = 0; i < CLIENTS; i++)
        post_count(p->live, 1, 0);
}

Test(live, under_load_nothing_leaves_before_it_is_durable)
{
    struct load load = {0};
    struct probe b = {.handle = commit_and_reply, .more = &load};
    struct sl_store_options options = {.directory = directory};
    cr_assert_eq(sl_store_open(&options, &load.store), SL_OK);
    b.live = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = load.store});
    sl_live_spawn(b.live, 1, &probe_class, &b);
    sl_live_port(b.live, 1, check_durable, &b);
    post_load(&b);
    cr_assert_eq(sl_live_run(b.live), SL_OK);
    cr_assert_eq(load.replies, COMMITS);
    cr_assert_eq(b.bad, 0);
    cr_assert_geq(load.syncs, COMMITS / CLIENTS);
    sl_live_destroy(&b.live);
    sl_store_close(&load.store);
}

/* A real disk with a sync of a test's own, on whatever thread it is made. */
static struct sl_disk flaky;
static enum sl_err (*flaky_sync)(struct sl_file *f);
static _Atomic uint32_t flaky_left = UINT32_MAX;

static struct sl_store *open_flaky(enum sl_err (*sync)(struct sl_file *f))
{
    struct sl_store *store;
    char *path = sl_format("%s/disk", directory);
    cr_assert_eq(sl_disk_open(path, &flaky), SL_OK);
    flaky_sync = flaky.sync;
    flaky.sync = sync;
    struct sl_store_options options = {.directory = directory, .disk = &flaky};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    sl_free(path);
    return store;
}

static enum sl_err
sync_or_fail(struct sl_file *f)
{
    return atomic_fetch_sub(&flaky_left, 1) <= 1 ? SL_EIO : flaky_sync(f);
}

Test(live, under_load_nothing_leaves_once_a_sync_failed)
{
    struct load load = {0};
    struct probe b = {.handle = commit_and_reply, .more = &load};
    load.store = open_flaky(sync_or_fail);
    atomic_store(&flaky_left, 50);
    sl_report_level_set(SL_REPORT_ERROR + 1);
    b.live = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = load.store});
    sl_live_spawn(b.live, 1, &probe_class, &b);
    sl_live_port(b.live, 1, check_durable, &b);
    post_load(&b);
    cr_assert_eq(sl_live_run(b.live), SL_EIO);
    cr_assert_lt(load.replies, COMMITS);
    cr_assert_eq(b.bad, 0);
    sl_live_destroy(&b.live);
    sl_store_close(&load.store);
    sl_disk_close(&flaky);
}

/* A sync that ends once an actor has run meanwhile, and fails where none does in 20 s. */
static struct sl_live *beside;
static int has_run_fd;

static enum sl_err
sync_behind_a_batch(struct sl_file *f)
{
    struct pollfd has_run = {.fd = has_run_fd, .events = POLLIN};
    if (beside != NULL)
        post_count(beside, 1, 2);
    return beside == NULL || poll(&has_run, 1, 20000) == 1 ? flaky_sync(f) : SL_EIO;
}

static void
commit_and_stop(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (SL_BODY(msg, count)->number == 1) {
        commit(ctx->store);
        send_count(ctx, at(SL_NODE_PORT, 1), 0); /* Or the commit could wait for others. */
    } else {
        cr_assert_eq(eventfd_write(has_run_fd, 1), 0);
        sl_live_stop(p->live);
    }
}

Test(live, the_sync_of_a_lone_commit_holds_up_nobody_else)
{
    struct probe b = {.handle = commit_and_stop, .more = &(struct held){0}};
    struct sl_store *store = open_flaky(sync_behind_a_batch);
    b.live = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = store});
    sl_live_spawn(b.live, 1, &probe_class, &b);
    sl_live_port(b.live, 1, note_at_port, &b);
    has_run_fd = eventfd(0, EFD_CLOEXEC);
    beside = b.live;
    post_count(b.live, 1, 1);
    cr_assert_eq(sl_live_run(b.live), SL_OK);
    beside = NULL;
    sl_live_destroy(&b.live);
    sl_store_close(&store);
    sl_disk_close(&flaky);
}
