/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scheduler.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/scheduler_state.h"
#include "runtime/time.h"

/* ---- create -------------------------------------------------------------------------------- */

static uint32_t
count_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (uint32_t)SL_MIN(count, SL_SCHEDULER_THREADS_MAX);
}

static void
worker_init(struct sl_actor_thread *w, struct sl_scheduler *s, uint32_t index)
{
    w->driver.ops = &sl_scheduler_effects;
    w->scheduler = s;
    w->index = index;
    if (s->options.seed == 0)
        sl_random_seed_secret(&w->random);
    else
        sl_random_seed(&w->random, s->options.seed + index);
    sl_actor_thread_read_clock(w);
}

/* Signals belong to the threads of who made us: ours block them all. */
static void
start_threads(struct sl_scheduler *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = s->options.is_manual ? 1 : 0; i < s->workers_count; i++) {
        struct sl_actor_thread *w = &s->workers[i];
        sl_assert(pthread_create(&w->thread, NULL, sl_actor_thread_main, w) == 0);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct sl_scheduler *
sl_scheduler_create(const struct sl_scheduler_options *options)
{
    sl_assert(options->threads <= SL_SCHEDULER_THREADS_MAX);
    struct sl_scheduler *s = sl_zalloc(sizeof(*s));
    s->options = *options;
    if (s->options.node == 0)
        s->options.node = 1;
    if (s->options.drain_ns == 0)
        s->options.drain_ns = SL_SECOND_NS;
    uint32_t actors_max = options->actors_max == 0 ? SL_ACTOR_SLOTS : options->actors_max;
    s->workers_count = options->threads == 0 ? count_processors() : options->threads;
    sl_actor_table_init(&s->table, actors_max);
    s->pool = sl_iopool_create(options->io_threads == 0 ? 2 : options->io_threads);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->errand_done, NULL);
    size_t size = s->workers_count * sizeof(*s->workers);
    s->workers = aligned_alloc(_Alignof(struct sl_actor_thread), size);
    sl_assert(s->workers != NULL);
    memset(s->workers, 0, size);
    for (uint32_t i = 0; i < s->workers_count; i++)
        worker_init(&s->workers[i], s, i);
    start_threads(s);
    return s;
}

/* ---- stop and destroy ---------------------------------------------------------------------- */

static void
wait_for_silence(struct sl_scheduler *s, uint64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / SL_SECOND_NS),
                               .tv_nsec = (long)(timeout_ns % SL_SECOND_NS)};
    syscall(SYS_futex, &s->is_done, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
}

/* The caller's own thread has turns to give meanwhile; else it looks now and then. */
static void
drain(struct sl_scheduler *s, uint64_t end_ns)
{
    struct sl_actor_thread *own = s->options.is_manual ? &s->workers[0] : NULL;
    while (atomic_load(&s->is_done) == 0) {
        uint64_t now_ns = sl_time_mono_ns();
        if (now_ns >= end_ns)
            return;
        if (own == NULL) {
            wait_for_silence(s, end_ns - now_ns);
            continue;
        }
        sl_actor_thread_wakes(own);
        if (!sl_actor_thread_step(own) && sl_actor_thread_sleeps(own) &&
            atomic_load(&s->is_done) == 0)
            wait_for_silence(s, SL_MILLI_NS);
    }
}

enum sl_err
sl_scheduler_stop(struct sl_scheduler *s)
{
    sl_assert(!s->has_joined);
    atomic_store(&s->is_draining, true);
    for (uint32_t i = 0; i < s->workers_count; i++)
        sl_wake(s, i); /* Who falls asleep last now ends it. */
    drain(s, sl_time_mono_ns() + s->options.drain_ns);
    bool is_silent = atomic_load(&s->is_done) != 0;
    sl_scheduler_finish(s);
    for (uint32_t i = s->options.is_manual ? 1 : 0; i < s->workers_count; i++)
        pthread_join(s->workers[i].thread, NULL);
    s->has_joined = true;
    return is_silent ? SL_OK : SL_ETIMEOUT;
}

static void
destroy_messages(struct sl_msg *msg)
{
    for (struct sl_msg *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_msg_destroy(&msg);
    }
}

static void
destroy_actor(struct sl_actor_slot *slot)
{
    if (atomic_load(&slot->box.word) == SL_BOX_CLOSED)
        return;
    if (slot->class->deinit != NULL)
        slot->class->deinit(slot->state);
    sl_free(slot->state);
    destroy_messages(slot->taken);
    uint64_t word = atomic_exchange(&slot->box.word, SL_BOX_CLOSED);
    if (word != SL_BOX_IDLE)
        destroy_messages(sl_box_turn_round(word));
    sl_relations_destroy(&slot->relations);
}

void
sl_scheduler_destroy(struct sl_scheduler **scheduler)
{
    struct sl_scheduler *s = *scheduler;
    if (s == NULL)
        return;
    sl_assert(s->has_joined || (s->options.is_manual && s->workers_count == 1));
    sl_iopool_destroy(&s->pool);
    for (uint32_t i = 0; i < SL_TABLE_CHUNKS; i++) {
        struct sl_actor_slot *chunk = atomic_load(&s->table.chunks[i]);
        for (uint32_t k = 0; chunk != NULL && k < SL_TABLE_CHUNK_SLOTS; k++)
            destroy_actor(&chunk[k]);
    }
    for (uint32_t i = 0; i < s->workers_count; i++)
        sl_timers_deinit(&s->workers[i].timers);
    sl_actor_table_deinit(&s->table);
    pthread_cond_destroy(&s->errand_done);
    pthread_mutex_destroy(&s->lock);
    sl_free(s->workers);
    sl_free(s);
    *scheduler = NULL;
}

/* ---- from outside -------------------------------------------------------------------------- */

void
sl_scheduler_run(struct sl_scheduler *s, uint32_t thread, void (*fn)(void *arg, struct sl_ctx *ctx),
                 void *arg)
{
    sl_assert(thread <= s->workers_count && !s->has_joined);
    uint32_t index =
        thread > 0 ? thread - 1 : atomic_fetch_add(&s->next_thread, 1) % s->workers_count;
    struct sl_actor_thread *w = &s->workers[index];
    if (index == 0 && s->options.is_manual) {
        struct sl_ctx ctx = sl_actor_thread_context(w, 0);
        fn(arg, &ctx);
        return;
    }
    struct sl_errand errand = {.fn = fn, .arg = arg};
    errand.next = atomic_load(&w->errands);
    while (!atomic_compare_exchange_weak(&w->errands, &errand.next, &errand))
        ;
    sl_wake(s, index);
    pthread_mutex_lock(&s->lock);
    while (!errand.is_done)
        pthread_cond_wait(&s->errand_done, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

struct spawn_errand {
    const struct sl_spawn_what *what;
    const struct sl_spawn_options *options;
    struct sl_addr *ret_addr;
    enum sl_err err;
};

static void
run_spawn(void *arg, struct sl_ctx *ctx)
{
    struct spawn_errand *e = arg;
    e->err = sl_spawn(ctx, e->what->class, e->what->argument, e->options, e->ret_addr);
}

enum sl_err
sl_scheduler_spawn(struct sl_scheduler *s, const struct sl_spawn_what *what,
                   const struct sl_spawn_options *options, struct sl_addr *ret_addr)
{
    if (atomic_load(&s->is_draining))
        return SL_ECANCELED;
    struct spawn_errand e = {.what = what, .options = options, .ret_addr = ret_addr};
    sl_scheduler_run(s, options == NULL ? 0 : options->thread, run_spawn, &e);
    return e.err;
}

enum sl_err
sl_scheduler_post(struct sl_scheduler *s, struct sl_msg *msg)
{
    if (atomic_load_explicit(&s->is_draining, memory_order_relaxed)) {
        sl_msg_destroy(&msg);
        return SL_ECANCELED;
    }
    return sl_deliver(s, NULL, msg);
}

struct sl_ctx
sl_scheduler_context(struct sl_scheduler *s, struct sl_instant now, uint32_t self)
{
    sl_assert(s->options.is_manual);
    struct sl_actor_thread *w = &s->workers[0];
    w->now_ns = now.mono_ns;
    w->now_ms = now.wall_ms;
    return sl_actor_thread_context(w, self);
}

bool
sl_scheduler_step(struct sl_scheduler *s, struct sl_instant now, uint64_t *ret_next_ns)
{
    sl_assert(s->options.is_manual);
    struct sl_actor_thread *w = &s->workers[0];
    w->now_ns = now.mono_ns;
    w->now_ms = now.wall_ms;
    sl_actor_thread_wakes(w);
    if (sl_actor_thread_step(w) || !sl_actor_thread_sleeps(w))
        return true;
    *ret_next_ns = sl_timers_next_ns(&w->timers);
    return false;
}

const void *
sl_scheduler_state(struct sl_scheduler *s, struct sl_addr who)
{
    struct sl_actor_slot *slot = sl_actor_table_lookup(&s->table, who.actor);
    if (slot == NULL || atomic_load(&slot->id) != who.actor ||
        atomic_load(&slot->box.word) == SL_BOX_CLOSED)
        return NULL;
    return slot->state;
}

struct sl_scheduler_stats
sl_scheduler_stats(struct sl_scheduler *s)
{
    struct sl_scheduler_stats sum = {.undelivered = atomic_load(&s->refused_outside)};
    for (uint32_t i = 0; i < s->workers_count; i++) {
        const struct sl_actor_thread_stats *stats = &s->workers[i].stats;
        sum.messages += atomic_load(&stats->messages);
        sum.turns += atomic_load(&stats->turns);
        sum.steals += atomic_load(&stats->steals);
        sum.sleeps += atomic_load(&stats->sleeps);
        sum.spawned += atomic_load(&stats->spawned);
        sum.ended += atomic_load(&stats->ended);
        sum.failed += atomic_load(&stats->failed);
        sum.undelivered += atomic_load(&stats->undelivered);
    }
    return sum;
}
