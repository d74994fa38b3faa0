/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop sleeps only after a round in which nothing ran and nothing was sent: ZeroMQ's
 * descriptors are edge-triggered, so whatever arrived during a send is found by the receive of the
 * next round.
 */
#include "runtime/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/iopool.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/mailbox.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "runtime/timers.h"

#define ACTORS_MAX  1024
#define PORTS_MAX   16
#define WATCHES_MAX 32
#define POLLS_MAX   (WATCHES_MAX + 64)
/* A batch ends here, so that the first caller in it waits for at most this many handlers. */
#define BATCH_MAX 512
/* After a stop what was posted before it still runs; actors that never fall silent end here. */
#define STOP_ROUNDS 64

struct actor {
    const struct sl_actor_class *class;
    void *state;
};

struct port {
    void (*take)(void *arg, struct sl_msg *msg);
    void *arg;
};

struct watch {
    int fd;
    void (*ready)(void *arg);
    void *arg;
};

struct held_work {
    struct held_work *next;
    struct sl_io_work work;
};

struct sl_live {
    struct sl_driver driver; /* First: effects come back to us by it. */
    uint32_t node;
    struct sl_store *store;
    struct sl_links *links;
    struct sl_iopool *pool;
    struct sl_timers timers;
    struct sl_random random;
    struct sl_mailbox inbox;  /* From other threads. */
    struct sl_msg_list local; /* To our own actors; part of this batch. */
    struct sl_msg_list held;  /* To the outside; after the sync. */
    struct held_work *work_oldest, **work_tail;
    struct actor actors[ACTORS_MAX];
    struct port ports[PORTS_MAX];
    struct watch watches[WATCHES_MAX];
    uint32_t watches_count;
    int wake_fd;
    _Atomic bool is_stopping;
    _Atomic bool is_asleep;
    _Atomic int prepare_state; /* 0 idle, 1 under way: one sl_log_prepare at a time. */
    uint64_t now_ns, now_ms;
    uint64_t store_tick_ns;
};

/* ---- effects ------------------------------------------------------------------------------- */

static struct sl_live *
live_of(struct sl_driver *d)
{
    return SL_CONTAINER(d, struct sl_live, driver);
}

static bool
is_local(const struct sl_live *live, struct sl_addr to)
{
    return to.node == 0 || to.node == live->node;
}

static void
effect_send(struct sl_driver *d, struct sl_msg *msg)
{
    struct sl_live *live = live_of(d);
    sl_msg_list_push(is_local(live, msg->to) ? &live->local : &live->held, msg);
}

static void
effect_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct sl_live *live = live_of(d);
    uint64_t at_ns = delay_ns > UINT64_MAX - live->now_ns ? UINT64_MAX : live->now_ns + delay_ns;
    sl_timers_add(&live->timers, &(struct sl_timer){.at_ns = at_ns, .token = token, .who = who});
}

static void
post_work_done(void *context, const struct sl_io_work *work)
{
    struct sl_m_work_done body = {.token = work->token,
                                  .argument = (uint64_t)(uintptr_t)work->argument};
    struct sl_msg *msg = sl_msg_create(SL_M_work_done, &body);
    msg->to.actor = (uint32_t)work->who;
    sl_live_post(context, msg);
}

static void
effect_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
            uint64_t token)
{
    struct sl_live *live = live_of(d);
    struct held_work *held = sl_alloc(sizeof(*held));
    *held = (struct held_work){.work = {.work = work,
                                        .done = post_work_done,
                                        .argument = argument,
                                        .context = live,
                                        .token = token,
                                        .who = who.actor}};
    *live->work_tail = held;
    live->work_tail = &held->next;
}

static const struct sl_driver_ops effects = {
    .send = effect_send,
    .after = effect_after,
    .work = effect_work,
};

/* ---- set-up -------------------------------------------------------------------------------- */

struct sl_live *
sl_live_create(const struct sl_live_options *options)
{
    sl_assert(options->node > 0 && options->node != SL_NODE_PORT);
    struct sl_live *live = sl_zalloc(sizeof(*live));
    live->driver.ops = &effects;
    live->node = options->node;
    live->store = options->store;
    struct sl_links_options links = {0};
    if (options->links != NULL)
        links = *options->links;
    links.node = options->node;
    live->links = sl_links_create_with(&links);
    live->pool = sl_iopool_create(options->io_threads == 0 ? 2 : options->io_threads);
    sl_random_seed_secret(&live->random);
    sl_msg_list_init(&live->local);
    sl_msg_list_init(&live->held);
    live->work_tail = &live->work_oldest;
    live->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sl_assert(live->wake_fd >= 0);
    live->now_ns = sl_time_mono_ns();
    live->now_ms = sl_time_wall_ms();
    return live;
}

void
sl_live_destroy(struct sl_live **live)
{
    struct sl_live *l = *live;
    if (l == NULL)
        return;
    sl_iopool_destroy(&l->pool);
    for (uint32_t i = 0; i < ACTORS_MAX; i++) {
        if (l->actors[i].class == NULL)
            continue;
        if (l->actors[i].class->deinit != NULL)
            l->actors[i].class->deinit(l->actors[i].state);
        sl_free(l->actors[i].state);
    }
    sl_msg_list_clear(&l->local);
    sl_msg_list_clear(&l->held);
    for (struct sl_msg *msg = sl_mailbox_take(&l->inbox), *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_msg_destroy(&msg);
    }
    for (struct held_work *held = l->work_oldest, *next; held != NULL; held = next) {
        next = held->next;
        sl_free(held);
    }
    sl_timers_deinit(&l->timers);
    sl_links_destroy(&l->links);
    close(l->wake_fd);
    sl_free(l);
    *live = NULL;
}

struct sl_ctx
sl_live_context(struct sl_live *live, uint32_t self)
{
    return (struct sl_ctx){.self = {.node = live->node, .actor = self},
                           .now_ns = live->now_ns,
                           .now_ms = live->now_ms,
                           .random = &live->random,
                           .store = live->store,
                           .driver = &live->driver};
}

void
sl_live_spawn(struct sl_live *live, uint32_t actor, const struct sl_actor_class *class,
              const void *argument)
{
    sl_assert(actor < ACTORS_MAX && live->actors[actor].class == NULL);
    live->actors[actor] = (struct actor){class, sl_zalloc(class->state_size)};
    struct sl_ctx ctx = sl_live_context(live, actor);
    if (class->init != NULL)
        class->init(live->actors[actor].state, &ctx, argument);
}

void *
sl_live_state(struct sl_live *live, uint32_t actor)
{
    return actor < ACTORS_MAX ? live->actors[actor].state : NULL;
}

void
sl_live_port(struct sl_live *live, uint32_t port, void (*take)(void *arg, struct sl_msg *msg),
             void *arg)
{
    sl_assert(port < PORTS_MAX && live->ports[port].take == NULL);
    live->ports[port] = (struct port){take, arg};
}

void
sl_live_watch(struct sl_live *live, int fd, void (*ready)(void *arg), void *arg)
{
    sl_assert(live->watches_count < WATCHES_MAX);
    live->watches[live->watches_count++] = (struct watch){fd, ready, arg};
}

void
sl_live_unwatch(struct sl_live *live, int fd)
{
    for (uint32_t i = 0; i < live->watches_count; i++) {
        if (live->watches[i].fd == fd) {
            live->watches[i] = live->watches[--live->watches_count];
            return;
        }
    }
}

enum sl_err
sl_live_secure(struct sl_live *live, const struct sl_link_security *security)
{
    return sl_links_secure(live->links, security);
}

char *
sl_live_bound(const struct sl_live *live)
{
    return sl_links_bound(live->links);
}

void
sl_live_links_counts(const struct sl_live *live, struct sl_links_counts *ret_counts)
{
    sl_links_counts(live->links, ret_counts);
}

enum sl_err
sl_live_listen(struct sl_live *live, const char *endpoint)
{
    return sl_links_listen(live->links, endpoint);
}

enum sl_err
sl_live_connect(struct sl_live *live, uint32_t node, const char *endpoint)
{
    return sl_links_connect(live->links, node, endpoint);
}

static void
wake(struct sl_live *live)
{
    uint64_t one = 1;
    ssize_t ignored = write(live->wake_fd, &one, sizeof(one)); /* Full means awake already. */
    (void)ignored;
}

void
sl_live_post(struct sl_live *live, struct sl_msg *msg)
{
    sl_mailbox_push(&live->inbox, msg);
    /* The sleeper sets is_asleep, then looks into the inbox once more: one of us sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&live->is_asleep, memory_order_relaxed) &&
        atomic_exchange(&live->is_asleep, false))
        wake(live);
}

void
sl_live_stop(struct sl_live *live)
{
    atomic_store(&live->is_stopping, true);
    wake(live);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void
deliver(struct sl_live *live, struct sl_msg *msg)
{
    struct actor *a = msg->to.actor < ACTORS_MAX ? &live->actors[msg->to.actor] : NULL;
    if (a == NULL || a->class == NULL) {
        sl_report_warn("no-such-actor", "actor=%u message=%s", msg->to.actor, msg->type->name);
    } else {
        struct sl_ctx ctx = sl_live_context(live, msg->to.actor);
        a->class->handle(a->state, &ctx, msg);
    }
    sl_msg_destroy(&msg);
}

static void
take_inbox(struct sl_live *live)
{
    for (struct sl_msg *msg = sl_mailbox_take(&live->inbox), *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_msg_list_push(&live->local, msg);
    }
}

static void
take_timers(struct sl_live *live)
{
    /* Due ones first go to the queue, so a handler that sets a timer of no delay cannot spin us. */
    for (struct sl_timer t; sl_timers_pop(&live->timers, live->now_ns, &t);) {
        struct sl_msg *msg = sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = t.token});
        msg->to = msg->from = t.who;
        sl_msg_list_push(&live->local, msg);
    }
}

/* Run what has arrived; true if anything did. */
static bool
run_batch(struct sl_live *live)
{
    live->now_ns = sl_time_mono_ns();
    live->now_ms = sl_time_wall_ms();
    take_timers(live);
    take_inbox(live);

    uint32_t ran = 0;
    for (struct sl_msg *msg; ran < BATCH_MAX; ran++) {
        msg = sl_msg_list_pop(&live->local);
        if (msg == NULL)
            msg = sl_links_receive(live->links);
        if (msg == NULL)
            break;
        deliver(live, msg);
    }
    return ran > 0;
}

static void
release_message(struct sl_live *live, struct sl_msg *msg)
{
    if (msg->to.node == SL_NODE_PORT) {
        struct port *port = msg->to.actor < PORTS_MAX ? &live->ports[msg->to.actor] : NULL;
        if (port != NULL && port->take != NULL) {
            port->take(port->arg, msg);
            return;
        }
    }
    enum sl_err err = sl_links_add(live->links, msg);
    /* A peer that is gone is its supervisor's business: leases and calls have deadlines. */
    if (err != SL_OK)
        sl_report(err == SL_ETOOBIG ? SL_REPORT_ERROR : SL_REPORT_DEBUG, "message-unsent",
                  "node=%u message=%s err=%s", msg->to.node, msg->type->name, sl_err_name(err));
    sl_msg_destroy(&msg);
}

/*
 * Let go what was held until the store was durable; true if there was anything. What a port's
 * callback adds meanwhile may follow a commit of its own, so it waits for the next round's sync.
 */
static bool
release_held(struct sl_live *live)
{
    struct sl_msg *msg = live->held.oldest, *next;
    struct held_work *work = live->work_oldest, *next_work;
    bool had_any = msg != NULL || work != NULL;
    sl_msg_list_init(&live->held);
    live->work_oldest = NULL;
    live->work_tail = &live->work_oldest;
    for (; msg != NULL; msg = next) {
        next = msg->next;
        release_message(live, msg);
    }
    sl_links_flush(live->links);
    for (; work != NULL; work = next_work) {
        next_work = work->next;
        sl_iopool_submit(live->pool, &work->work);
        sl_free(work);
    }
    return had_any;
}

static void
prepare_log(void *arg)
{
    enum sl_err err = sl_log_prepare(arg);
    if (err != SL_OK)
        sl_report_warn("log-prepare-failed", "err=%s", sl_err_name(err));
}

static void
prepare_done(void *context, const struct sl_io_work *work)
{
    (void)work;
    struct sl_live *live = context;
    atomic_store(&live->prepare_state, 0);
}

/* Between batches: the store's own commits and checkpoints, and the next log segment. */
static void
tick_store(struct sl_live *live, bool is_idle)
{
    if (live->store == NULL)
        return;
    uint64_t delay_ns = sl_store_tick(live->store, live->now_ns, is_idle);
    live->store_tick_ns = delay_ns == UINT64_MAX ? UINT64_MAX : live->now_ns + delay_ns;
    struct sl_log *log = sl_store_log(live->store);
    int idle = 0;
    if (log != NULL && sl_log_wants_prepare(log) &&
        atomic_compare_exchange_strong(&live->prepare_state, &idle, 1))
        sl_iopool_submit(live->pool, &(struct sl_io_work){.work = prepare_log,
                                                          .done = prepare_done,
                                                          .argument = log,
                                                          .context = live});
}

static int
timeout_ms(const struct sl_live *live)
{
    uint64_t at_ns = SL_MIN(sl_timers_next_ns(&live->timers), live->store_tick_ns);
    at_ns = SL_MIN(at_ns, sl_links_deadline_ns(live->links));
    if (at_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = sl_time_mono_ns();
    if (at_ns <= now_ns)
        return 0;
    return (int)SL_MIN((at_ns - now_ns + SL_MILLI_NS - 1) / SL_MILLI_NS, UINT64_C(3600000));
}

static bool
has_posted(struct sl_live *live)
{
    return atomic_load_explicit(&live->inbox.newest, memory_order_relaxed) != NULL;
}

static bool
is_watched(const struct sl_live *live, const struct watch *w)
{
    for (uint32_t i = 0; i < live->watches_count; i++) {
        if (live->watches[i].fd == w->fd && live->watches[i].arg == w->arg)
            return true;
    }
    return false;
}

static void
call_watches(struct sl_live *live, const struct pollfd *polls)
{
    /* A callback may unwatch: go by descriptor, not by place. */
    struct watch watches[WATCHES_MAX];
    uint32_t count = live->watches_count;
    memcpy(watches, live->watches, count * sizeof(watches[0]));
    for (uint32_t i = 0; i < count; i++) {
        if (polls[i].revents != 0 && is_watched(live, &watches[i]))
            watches[i].ready(watches[i].arg);
    }
}

static void
sleep_until_something(struct sl_live *live)
{
    struct pollfd polls[POLLS_MAX];
    uint32_t count = 0;
    for (; count < live->watches_count; count++)
        polls[count] = (struct pollfd){.fd = live->watches[count].fd, .events = POLLIN};
    struct pollfd *woken = &polls[count++];
    *woken = (struct pollfd){.fd = live->wake_fd, .events = POLLIN};
    int fds[POLLS_MAX];
    uint32_t links = sl_links_fds(live->links, fds, POLLS_MAX - count);
    for (uint32_t i = 0; i < links; i++)
        polls[count++] = (struct pollfd){.fd = fds[i], .events = POLLIN};

    atomic_store(&live->is_asleep, true);
    atomic_thread_fence(memory_order_seq_cst);
    int timeout = has_posted(live) || atomic_load(&live->is_stopping) ? 0 : timeout_ms(live);
    int ready = poll(polls, count, timeout);
    atomic_store(&live->is_asleep, false);
    if (ready <= 0)
        return;
    uint64_t ignored;
    while (woken->revents != 0 && read(live->wake_fd, &ignored, sizeof(ignored)) > 0)
        ;
    live->now_ns = sl_time_mono_ns();
    live->now_ms = sl_time_wall_ms();
    call_watches(live, polls);
}

enum sl_err
sl_live_run(struct sl_live *live)
{
    live->store_tick_ns = UINT64_MAX;
    uint32_t rounds_left = STOP_ROUNDS;
    for (;;) {
        bool is_stopping = atomic_load(&live->is_stopping);
        bool has_run = run_batch(live);
        bool is_dirty = live->store != NULL && sl_store_is_dirty(live->store);
        if (is_dirty) {
            enum sl_err err = sl_store_sync(live->store);
            if (err != SL_OK)
                return err; /* Nothing that was held may go out: it might not be durable. */
        }
        bool has_sent = release_held(live);
        if (is_stopping && --rounds_left == 0)
            return SL_OK;
        if (has_run || has_sent) {
            tick_store(live, false);
            continue;
        }
        if (is_stopping)
            return SL_OK;
        tick_store(live, true);
        sleep_until_something(live);
    }
}
