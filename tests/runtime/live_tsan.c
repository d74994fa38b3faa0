/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What threads share in the runtime, under ThreadSanitizer: mailboxes and their wake-ups, the I/O
 * pool, handoffs, and two lives that talk over links. A plain program: Criterion's forks do not
 * survive this sanitizer. It ends with a wrong exit code where a count is wrong, and with the
 * sanitizer's on a race.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/handoff.h"
#include "runtime/iopool.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/store.h"
#include "tests/runtime/test_protocol.h"

#define POSTERS    4
#define POSTS      3000
#define HANDOFFS   300
#define TRIPS      300
#define NODE_A     2
#define NODE_B     3
#define WORK_ITEMS 200
#define COMMITS    5000

static struct sl_msg *
number_create(uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){number});
    msg->to.actor = 1;
    return msg;
}

static void *
run_live(void *live)
{
    sl_assert(sl_live_run(live) == SL_OK);
    return NULL;
}

/* ---- posts and work ------------------------------------------------------------------------ */

struct sink {
    struct sl_live *live;
    uint64_t posts, works;
    uint64_t squares[WORK_ITEMS]; /* Written by pool threads, each its own. */
};

static void
sink_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    ((struct sink *)self)->live = (struct sl_live *)(uintptr_t)argument;
}

static void
square(void *argument)
{
    uint64_t *number = argument;
    *number *= *number;
}

static void
sink_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sink *s = self;
    if (msg->id == SL_M_work_done) {
        uint64_t token = SL_BODY(msg, work_done)->token;
        sl_assert(s->squares[token] == token * token);
        s->works++;
    } else if (s->posts++ < WORK_ITEMS) {
        uint64_t *at = &s->squares[s->posts - 1];
        *at = s->posts - 1;
        sl_work(ctx, square, at, s->posts - 1);
    }
    if (s->posts == POSTERS * POSTS && s->works == WORK_ITEMS)
        sl_live_stop(s->live);
}

static const struct sl_actor_class sink_class = {
    .name = "sink", .state_size = sizeof(struct sink), .init = sink_init, .handle = sink_handle};

/* Pauses now and then, so that the other side falls asleep and has to be woken. */
static void *
post_many(void *live)
{
    for (uint64_t i = 0; i < POSTS; i++) {
        sl_live_post(live, number_create(i));
        if (i % 100 == 0)
            usleep(100);
    }
    return NULL;
}

static void
check_posts(void)
{
    struct sl_live *live = sl_live_create(&(struct sl_live_options){.node = NODE_A});
    pthread_t runner, posters[POSTERS];
    sl_live_spawn(live, 1, &sink_class, live);
    sl_assert(pthread_create(&runner, NULL, run_live, live) == 0);
    for (int i = 0; i < POSTERS; i++)
        sl_assert(pthread_create(&posters[i], NULL, post_many, live) == 0);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i], NULL);
    pthread_join(runner, NULL);
    const struct sink *s = sl_live_state(live, 1);
    sl_assert(s->posts == POSTERS * POSTS && s->works == WORK_ITEMS);
    sl_live_destroy(&live);
}

/* ---- handoffs ------------------------------------------------------------------------------ */

static void *
give(void *handoff)
{
    sl_handoff_give(handoff, sl_slice_str("text"));
    return NULL;
}

static void
check_handoffs(void)
{
    for (int i = 0; i < HANDOFFS; i++) {
        struct sl_handoff *h = sl_handoff_create();
        struct sl_buf out = {0};
        pthread_t giver;
        sl_assert(pthread_create(&giver, NULL, give, h) == 0);
        bool is_given = sl_handoff_take(h, i % 2 == 0 ? 60 * SL_SECOND_NS : 50 * SL_MICRO_NS, &out);
        sl_assert(out.size == (is_given ? 4 : 0));
        pthread_join(giver, NULL);
        sl_buf_deinit(&out);
    }
}

/* ---- links --------------------------------------------------------------------------------- */

struct end {
    struct sl_live *live;
    uint64_t trips;
};

static void
end_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    ((struct end *)self)->live = (struct sl_live *)(uintptr_t)argument;
}

static void
answer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    ((struct end *)self)->trips++;
    sl_reply(ctx, msg, SL_M_count, msg->body);
}

static void
ask(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct end *e = self;
    sl_assert(msg->request == e->trips);
    if (e->trips == TRIPS) {
        sl_live_stop(e->live);
        return;
    }
    struct sl_addr to = {.node = NODE_A, .actor = 1};
    sl_request(ctx, to, ++e->trips, SL_M_count, msg->body);
}

static const struct sl_actor_class answer_class = {
    .name = "answer", .state_size = sizeof(struct end), .init = end_init, .handle = answer};
static const struct sl_actor_class ask_class = {
    .name = "ask", .state_size = sizeof(struct end), .init = end_init, .handle = ask};

static void
check_links(void)
{
    char directory[] = "/tmp/sluice-tsan-XXXXXX";
    sl_assert(mkdtemp(directory) != NULL);
    char *endpoint = sl_format("ipc://%s/a", directory);
    struct sl_live *a = sl_live_create(&(struct sl_live_options){.node = NODE_A});
    struct sl_live *b = sl_live_create(&(struct sl_live_options){.node = NODE_B});
    sl_live_spawn(a, 1, &answer_class, a);
    sl_live_spawn(b, 1, &ask_class, b);
    sl_assert(sl_live_listen(a, endpoint) == SL_OK);
    sl_assert(sl_live_connect(b, NODE_A, endpoint) == SL_OK);
    pthread_t runners[2];
    sl_assert(pthread_create(&runners[0], NULL, run_live, a) == 0);
    sl_assert(pthread_create(&runners[1], NULL, run_live, b) == 0);
    sl_live_post(b, number_create(1));
    pthread_join(runners[1], NULL);
    sl_live_stop(a);
    pthread_join(runners[0], NULL);
    sl_assert(((const struct end *)sl_live_state(a, 1))->trips == TRIPS);
    sl_live_destroy(&b);
    sl_live_destroy(&a);
    unlink(endpoint + 6);
    rmdir(directory);
    sl_free(endpoint);
}

/* A closed loop of commits and replies: most syncs run beside the batches. */
struct syncs {
    struct sl_live *live;
    uint64_t replies;
};

static void
commit(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    struct sl_txn *t = sl_store_begin(ctx->store);
    sl_txn_put(t, (struct sl_scope){3}, 1, sl_slice_str("k"), sl_slice_str("v"));
    sl_assert(sl_txn_commit(&t) == SL_OK);
    sl_send(ctx, (struct sl_addr){.node = SL_NODE_PORT, .actor = 1}, SL_M_count, msg->body);
}

static const struct sl_actor_class commit_class = {.name = "commit", .handle = commit};

static void
take_reply(void *arg, struct sl_msg *msg)
{
    struct syncs *s = arg;
    sl_msg_destroy(&msg);
    if (++s->replies == COMMITS)
        sl_live_stop(s->live);
    else
        sl_live_post(s->live, number_create(s->replies));
}

static void
check_syncs(void)
{
    char directory[] = "/tmp/sluice-tsan-XXXXXX";
    sl_assert(mkdtemp(directory) != NULL);
    struct sl_store *store;
    struct sl_store_options options = {.directory = directory};
    sl_assert(sl_store_open(&options, &store) == SL_OK);
    struct syncs s = {
        .live = sl_live_create(&(struct sl_live_options){.node = NODE_A, .store = store})};
    sl_live_spawn(s.live, 1, &commit_class, NULL);
    sl_live_port(s.live, 1, take_reply, &s);
    for (uint64_t i = 0; i < 16; i++)
        sl_live_post(s.live, number_create(i));
    sl_assert(sl_live_run(s.live) == SL_OK && s.replies >= COMMITS);
    sl_live_destroy(&s.live);
    sl_store_close(&store);
    char *command = sl_format("rm -rf %s", directory);
    sl_assert(system(command) == 0);
    sl_free(command);
}

int
main(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    check_handoffs();
    check_posts();
    check_links();
    check_syncs();
    return 0;
}
