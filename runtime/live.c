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
#include "runtime/scheduler.h"
#include "runtime/spin.h"
#include "runtime/time.h"

#define ACTORS_MAX  1024
#define PORTS_MAX   16
#define WATCHES_MAX 32
#define POLLS_MAX   (WATCHES_MAX + 64)
/* A batch ends here, so that the first caller in it waits for about this many handlers, or for
   this long: beats, replies and syncs come between batches. */
#define BATCH_MAX 512
#define BATCH_NS  (10 * SL_MILLI_NS)
/* What is watched is looked at this often however much there is to do. */
#define WATCH_NS (10 * SL_MILLI_NS)
/* Received at once: as many as a turn handles. */
#define RECEIVE_MAX 64
/* Of each actor. More than all that clients and nodes may have under way; beyond it, work would be
   refused that was promised. */
#define MAILBOX_MAX 32768
/* What nobody waits for is synced by then. */
#define LAZY_NS (50 * SL_MILLI_NS)
/* After a stop what was posted before it still runs; actors that never fall silent end here. */
#define STOP_ROUNDS 64

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

/* Effects that leave together, oldest first. */
struct batch {
    struct sl_msg *messages;
    struct held_work *work;
};

/* Of its thread. LOOKING: who posts need not wake it, only say so. */
enum slumber { AWAKE, LOOKING, ASLEEP };

enum sync_state { SYNC_NONE, SYNC_RUNS, SYNC_DONE };

struct sl_live {
    struct sl_scheduler *scheduler; /* Its one thread is ours. */
    uint32_t node;
    struct sl_store *store;
    struct sl_links *links;
    struct sl_iopool *pool;
    struct sl_iopool *syncer; /* One thread, which waits for nothing but the disk. */
    struct sl_msg_list held;  /* To the outside; after the sync. */
    struct sl_msg_list loose[SL_LEVEL_COUNT]; /* The same of lower levels: before it. */
    uint64_t lazy_ns; /* When to sync what nobody waits for; 0: all is synced. */
    struct held_work *work_oldest, **work_tail;
    struct port ports[PORTS_MAX];
    struct watch watches[WATCHES_MAX];
    uint32_t watches_count;
    int wake_fd;
    _Atomic bool is_stopping;
    _Atomic enum slumber slumber;
    struct sl_live_source source; /* take NULL: none. */
    struct sl_spin spin;
    _Atomic int prepare_state; /* 0 idle, 1 under way: one sl_log_prepare at a time. */
    _Atomic enum sync_state sync_state;
    struct batch syncing;   /* What waits for the sync that runs. */
    bool is_busy;           /* A sync here would keep somebody waiting. */
    bool has_just_synced;   /* Here, and no batch has run since. */
    bool has_run_meanwhile; /* A batch, since the sync that runs was begun. */
    struct sl_instant now;
    uint64_t store_tick_ns;
    uint64_t watch_ns; /* When the watches are looked at though there is work. */
};

static void
wake(struct sl_live *live)
{
    uint64_t one = 1;
    ssize_t ignored = write(live->wake_fd, &one, sizeof(one)); /* Full means awake already. */
    (void)ignored;
}

static void
read_clock(struct sl_live *live)
{
    live->now = (struct sl_instant){sl_time_mono_ns(), sl_time_wall_ms()};
}

/* ---- effects that leave: held ------------------------------------------------------------- */

/* Ports hear of what is durable alone, but for processes to start and to end: those promise nobody
   anything. */
static void
hold_message(void *arg, struct sl_msg *msg)
{
    struct sl_live *live = arg;
    bool is_strict =
        msg->to.node == SL_NODE_PORT && msg->id != SL_M_spawn && msg->id != SL_M_spawn_kill;
    bool is_loose = msg->level != SL_LEVEL_DISK && !is_strict;
    sl_msg_list_push(is_loose ? &live->loose[msg->level] : &live->held, msg);
}

static void
hold_work(void *arg, const struct sl_io_work *work)
{
    struct sl_live *live = arg;
    struct held_work *held = sl_alloc(sizeof(*held));
    *held = (struct held_work){.work = *work};
    *live->work_tail = held;
    live->work_tail = &held->next;
}

/* Somebody gave the scheduler work while its thread, ours, was about to sleep, or does. */
static void
wake_if_asleep(void *arg)
{
    struct sl_live *live = arg;
    if (atomic_exchange(&live->slumber, AWAKE) == ASLEEP)
        wake(live);
}

/* ---- set-up -------------------------------------------------------------------------------- */

struct sl_live *
sl_live_create(const struct sl_live_options *options)
{
    sl_assert(options->node > 0 && options->node != SL_NODE_PORT);
    struct sl_live *live = sl_zalloc(sizeof(*live));
    live->node = options->node;
    live->store = options->store;
    struct sl_links_options links = {0};
    if (options->links != NULL)
        links = *options->links;
    links.node = options->node;
    live->links = sl_links_create_with(&links);
    live->pool = sl_iopool_create(options->io_threads == 0 ? 2 : options->io_threads);
    live->syncer = sl_iopool_create(1);
    live->scheduler = sl_scheduler_create(&(struct sl_scheduler_options){.node = options->node,
                                                                         .threads = 1,
                                                                         .is_manual = true,
                                                                         .has_real_turns = true,
                                                                         .wake = wake_if_asleep,
                                                                         .remote = hold_message,
                                                                         .work = hold_work,
                                                                         .arg = live,
                                                                         .store = options->store});
    sl_msg_list_init(&live->held);
    for (int i = 0; i < SL_LEVEL_COUNT; i++)
        sl_msg_list_init(&live->loose[i]);
    live->work_tail = &live->work_oldest;
    live->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sl_assert(live->wake_fd >= 0);
    read_clock(live);
    return live;
}

static void
destroy_batch(struct batch *batch)
{
    for (struct sl_msg *msg = batch->messages, *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_msg_destroy(&msg);
    }
    for (struct held_work *held = batch->work, *next; held != NULL; held = next) {
        next = held->next;
        sl_free(held);
    }
}

void
sl_live_destroy(struct sl_live **live)
{
    struct sl_live *l = *live;
    if (l == NULL)
        return;
    sl_iopool_destroy(&l->syncer);
    sl_iopool_destroy(&l->pool);
    sl_scheduler_destroy(&l->scheduler);
    destroy_batch(&l->syncing);
    destroy_batch(&(struct batch){l->held.oldest, l->work_oldest});
    for (int i = 0; i < SL_LEVEL_COUNT; i++)
        sl_msg_list_clear(&l->loose[i]);
    sl_links_destroy(&l->links);
    close(l->wake_fd);
    sl_free(l);
    *live = NULL;
}

struct sl_ctx
sl_live_context(struct sl_live *live, uint32_t self)
{
    return sl_scheduler_context(live->scheduler, live->now, self);
}

void
sl_live_spawn(struct sl_live *live, uint32_t actor, const struct sl_actor_class *class,
              const void *argument)
{
    sl_assert(actor > 0 && actor < ACTORS_MAX);
    struct sl_spawn_what what = {class, argument};
    struct sl_spawn_options options = {.number = actor, .thread = 1, .mailbox_max = MAILBOX_MAX};
    struct sl_addr addr;
    (void)sl_live_context(live, 0); /* Sets its clock. */
    sl_assert(sl_scheduler_spawn(live->scheduler, &what, &options, &addr) == SL_OK);
}

void *
sl_live_state(struct sl_live *live, uint32_t actor)
{
    struct sl_addr who = {.actor = actor};
    return (void *)(uintptr_t)sl_scheduler_state(live->scheduler, who);
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

void
sl_live_source_set(struct sl_live *live, const struct sl_live_source *source)
{
    live->source = source == NULL ? (struct sl_live_source){0} : *source;
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

void
sl_live_disconnect(struct sl_live *live, uint32_t node)
{
    sl_links_disconnect(live->links, node);
}

enum sl_err
sl_live_post(struct sl_live *live, struct sl_msg *msg)
{
    uint32_t actor = msg->to.actor;
    const char *name = msg->type->name;
    enum sl_err err = sl_scheduler_post(live->scheduler, msg);
    if (err != SL_OK)
        sl_report_warn("message-refused", "actor=%u message=%s err=%s", actor, name,
                       sl_err_name(err));
    return err;
}

void
sl_live_stop(struct sl_live *live)
{
    atomic_store(&live->is_stopping, true);
    wake(live);
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* To our own actors; false: nothing has come. */
static bool
receive(struct sl_live *live)
{
    uint32_t count = live->source.take != NULL && live->source.take(live->source.arg);
    for (struct sl_msg *msg; count < RECEIVE_MAX; count++) {
        msg = sl_links_receive(live->links);
        if (msg == NULL)
            break;
        msg->to.node = live->node;
        sl_live_post(live, msg);
    }
    return count > 0;
}

/* Run what has arrived; true if anything did. What comes over links has its turn in each batch,
   though our own actors never fall silent. */
static bool
run_batch(struct sl_live *live)
{
    uint64_t begin = sl_scheduler_stats(live->scheduler).messages, next_ns;
    read_clock(live);
    bool has_run = receive(live), is_empty = false;
    while (sl_scheduler_stats(live->scheduler).messages - begin < BATCH_MAX &&
           sl_time_mono_ns() - live->now.mono_ns < BATCH_NS && !is_empty) {
        is_empty = !sl_scheduler_step(live->scheduler, live->now, &next_ns) && !receive(live);
        has_run = has_run || !is_empty;
    }
    /* Who came while we synced, and who is still to come, would wait for a sync made here. */
    live->is_busy = live->has_just_synced ? has_run : live->is_busy;
    live->is_busy = live->is_busy || !is_empty;
    live->has_just_synced = false;
    live->has_run_meanwhile = live->has_run_meanwhile || has_run;
    return has_run;
}

/* A link did not take it: whoever sent it may know what to do. */
static void
return_message(struct sl_live *live, const struct sl_msg *msg, enum sl_err reason)
{
    sl_report(reason == SL_ETOOBIG ? SL_REPORT_ERROR : SL_REPORT_DEBUG, "message-unsent",
              "node=%u message=%s err=%s", msg->to.node, msg->type->name, sl_err_name(reason));
    if (msg->from.actor != 0)
        sl_live_post(live, sl_msg_undelivered(msg, reason));
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
    if (err != SL_OK)
        return_message(live, msg, err);
    sl_msg_destroy(&msg);
}

static struct batch
take_held(struct sl_live *live)
{
    struct batch batch = {live->held.oldest, live->work_oldest};
    sl_msg_list_init(&live->held);
    live->work_oldest = NULL;
    live->work_tail = &live->work_oldest;
    return batch;
}

/*
 * Let go what was held until the store was durable; true if there was anything. What a port's
 * callback adds meanwhile may follow a commit of its own, so it waits for the next round's sync.
 */
static bool
release(struct sl_live *live, struct batch *batch)
{
    struct sl_msg *msg = batch->messages, *next;
    struct held_work *work = batch->work, *next_work;
    bool had_any = msg != NULL || work != NULL;
    *batch = (struct batch){0};
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

/* ---- syncs --------------------------------------------------------------------------------- */

static void
run_sync(void *log)
{
    sl_log_sync_run(log);
}

static void
sync_done(void *context, const struct sl_io_work *work)
{
    struct sl_live *live = context;
    (void)work;
    atomic_store(&live->sync_state, SYNC_DONE);
    wake_if_asleep(live);
}

/* Beside the batches that follow, whose effects then wait for the next one. */
static bool
begin_sync(struct sl_live *live)
{
    if (!sl_store_sync_begin(live->store))
        return false;
    live->syncing = take_held(live);
    live->lazy_ns = 0;
    live->has_run_meanwhile = false;
    atomic_store(&live->sync_state, SYNC_RUNS);
    sl_iopool_submit(live->syncer, &(struct sl_io_work){.work = run_sync,
                                                        .done = sync_done,
                                                        .argument = sl_store_log(live->store),
                                                        .context = live});
    return true;
}

/* What goes before the sync: of a level that is content with less. */
static bool
release_loose(struct sl_live *live, enum sl_level level)
{
    struct batch batch = {live->loose[level].oldest, NULL};
    sl_msg_list_init(&live->loose[level]);
    return release(live, &batch);
}

static enum sl_err
let_loose(struct sl_live *live, bool *ret_has_sent)
{
    *ret_has_sent = release_loose(live, SL_LEVEL_RAM);
    if (live->loose[SL_LEVEL_OS].oldest == NULL)
        return SL_OK;
    enum sl_err err = live->store == NULL ? SL_OK : sl_store_write(live->store);
    if (err == SL_OK)
        *ret_has_sent = release_loose(live, SL_LEVEL_OS) || *ret_has_sent;
    return err;
}

/* Nobody outside waits for what was committed: it may be synced together with what comes. */
static bool
may_wait(struct sl_live *live)
{
    if (live->held.oldest != NULL || live->work_oldest != NULL || atomic_load(&live->is_stopping))
        return false;
    if (live->lazy_ns == 0)
        live->lazy_ns = live->now.mono_ns + LAZY_NS;
    return live->now.mono_ns < live->lazy_ns;
}

/* One effect waits, or none. */
static bool
is_lone(const struct sl_live *live)
{
    return live->held.oldest == NULL || live->held.oldest->next == NULL;
}

/*
 * Many that wait for nothing but this sync have it sooner from this thread, and the next of theirs
 * come together again; whoever would have to wait behind it has his turn sooner if another makes
 * it. For one alone that is 3 to 5 us later, and a disk that takes 100 ms once in a while holds up
 * nobody else.
 */
static enum sl_err
sync_or_begin(struct sl_live *live)
{
    bool is_beside = (live->is_busy || is_lone(live)) && !atomic_load(&live->is_stopping);
    if (live->store == NULL || !sl_store_is_dirty(live->store)) {
        live->lazy_ns = 0;
        return SL_OK;
    }
    if (may_wait(live) || (is_beside && begin_sync(live)))
        return SL_OK;
    live->has_just_synced = true;
    live->lazy_ns = 0;
    return sl_store_sync(live->store);
}

/*
 * After a batch: let its effects go, or what an earlier one's sync was made for. After an error
 * nothing that is held may go out: it might not be durable.
 */
static enum sl_err
settle(struct sl_live *live, bool *ret_has_sent)
{
    bool has_sent;
    enum sl_err err = let_loose(live, &has_sent);
    if (err == SL_OK && atomic_load(&live->sync_state) == SYNC_DONE) {
        atomic_store(&live->sync_state, SYNC_NONE);
        live->is_busy = live->has_run_meanwhile;
        err = sl_store_sync_end(live->store);
        has_sent = (err == SL_OK && release(live, &live->syncing)) || has_sent;
    }
    if (err == SL_OK && atomic_load(&live->sync_state) == SYNC_NONE) {
        err = sync_or_begin(live);
        struct batch batch = {0};
        if (err == SL_OK && atomic_load(&live->sync_state) == SYNC_NONE)
            batch = take_held(live);
        has_sent = release(live, &batch) || has_sent;
    }
    *ret_has_sent = has_sent;
    return err;
}

/* Before a stop: its thread always says so. */
static void
wait_for_sync(struct sl_live *live)
{
    struct pollfd woken = {.fd = live->wake_fd, .events = POLLIN};
    uint64_t ignored;
    atomic_store(&live->slumber, ASLEEP);
    while (atomic_load(&live->sync_state) == SYNC_RUNS) {
        if (poll(&woken, 1, -1) > 0 && read(live->wake_fd, &ignored, sizeof(ignored)) > 0)
            atomic_store(&live->slumber, ASLEEP);
    }
    atomic_store(&live->slumber, AWAKE);
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
    uint64_t delay_ns = sl_store_tick(live->store, live->now.mono_ns, is_idle);
    live->store_tick_ns = delay_ns == UINT64_MAX ? UINT64_MAX : live->now.mono_ns + delay_ns;
    struct sl_log *log = sl_store_log(live->store);
    int idle = 0;
    if (log != NULL && sl_log_wants_prepare(log) &&
        atomic_compare_exchange_strong(&live->prepare_state, &idle, 1))
        sl_iopool_submit(live->pool, &(struct sl_io_work){.work = prepare_log,
                                                          .done = prepare_done,
                                                          .argument = log,
                                                          .context = live});
}

/* `at_ns`: when the first timer of an actor is due. */
static int
timeout_ms(const struct sl_live *live, uint64_t at_ns)
{
    at_ns = SL_MIN(at_ns, live->store_tick_ns);
    if (live->lazy_ns != 0)
        at_ns = SL_MIN(at_ns, live->lazy_ns);
    at_ns = SL_MIN(at_ns, sl_links_deadline_ns(live->links));
    if (at_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = sl_time_mono_ns();
    if (at_ns <= now_ns)
        return 0;
    return (int)SL_MIN((at_ns - now_ns + SL_MILLI_NS - 1) / SL_MILLI_NS, UINT64_C(3600000));
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

static uint32_t
poll_watches(const struct sl_live *live, struct pollfd *ret_polls)
{
    for (uint32_t i = 0; i < live->watches_count; i++)
        ret_polls[i] = (struct pollfd){.fd = live->watches[i].fd, .events = POLLIN};
    return live->watches_count;
}

/* While there is always something to do: signals and the ends of children are heard all the same.
 */
static void
look_at_watches(struct sl_live *live)
{
    struct pollfd polls[WATCHES_MAX];
    if (live->now.mono_ns < live->watch_ns)
        return;
    live->watch_ns = live->now.mono_ns + WATCH_NS;
    if (poll(polls, poll_watches(live, polls), 0) > 0)
        call_watches(live, polls);
}

/* True: something came while it looked on, and there is no need to sleep. */
static bool
look_on(struct sl_live *live)
{
    uint64_t next_ns,
        patience_ns = live->source.take == NULL ? 0 : live->source.patience_ns(live->source.arg);
    if (patience_ns == 0 || !sl_spin_begin(&live->spin, patience_ns))
        return false;
    atomic_store(&live->slumber, LOOKING);
    /* What was posted before is found by this step, as where it sleeps. */
    bool has_come = sl_scheduler_step(live->scheduler, live->now, &next_ns);
    while (!has_come && sl_spin_goes_on(&live->spin))
        has_come = atomic_load_explicit(&live->slumber, memory_order_acquire) == AWAKE ||
                   live->source.take(live->source.arg);
    atomic_store(&live->slumber, AWAKE);
    sl_spin_end(&live->spin, has_come);
    return has_come;
}

static void
sleep_until_something(struct sl_live *live)
{
    if (look_on(live))
        return;
    struct pollfd polls[POLLS_MAX];
    uint32_t count = poll_watches(live, polls);
    struct pollfd *woken = &polls[count++];
    *woken = (struct pollfd){.fd = live->wake_fd, .events = POLLIN};
    int fds[POLLS_MAX];
    uint32_t links = sl_links_fds(live->links, fds, POLLS_MAX - count);
    for (uint32_t i = 0; i < links; i++)
        polls[count++] = (struct pollfd){.fd = fds[i], .events = POLLIN};

    /* Who posts from here on wakes us; what was posted before is found by this step. */
    uint64_t next_ns = 0;
    atomic_store(&live->slumber, ASLEEP);
    bool has_work = sl_scheduler_step(live->scheduler, live->now, &next_ns);
    bool is_over =
        has_work || atomic_load(&live->is_stopping) || atomic_load(&live->sync_state) == SYNC_DONE;
    if (live->source.doze != NULL)
        is_over = !live->source.doze(live->source.arg) || is_over;
    int ready = poll(polls, count, is_over ? 0 : timeout_ms(live, next_ns));
    atomic_store(&live->slumber, AWAKE);
    if (live->source.rouse != NULL)
        live->source.rouse(live->source.arg);
    if (ready <= 0)
        return;
    uint64_t ignored;
    while (woken->revents != 0 && read(live->wake_fd, &ignored, sizeof(ignored)) > 0)
        ;
    read_clock(live);
    call_watches(live, polls);
}

enum sl_err
sl_live_run(struct sl_live *live)
{
    live->store_tick_ns = UINT64_MAX;
    uint32_t rounds_left = STOP_ROUNDS;
    for (;;) {
        bool is_stopping = atomic_load(&live->is_stopping);
        bool has_run = run_batch(live), has_sent;
        if (is_stopping)
            wait_for_sync(live);
        enum sl_err err = settle(live, &has_sent);
        if (err != SL_OK)
            return err;
        if (is_stopping && --rounds_left == 0)
            return SL_OK;
        if (has_run || has_sent) {
            tick_store(live, false);
            look_at_watches(live);
            continue;
        }
        if (is_stopping)
            return SL_OK;
        tick_store(live, true);
        sleep_until_something(live);
    }
}
