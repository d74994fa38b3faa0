/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/scheduler_state.h"
#include "runtime/time.h"

/* The clock is read this often at least, though the coarse one says that no time passed. */
#define CLOCK_ROUNDS 64
/* The queue that all share comes first this often: a thread's own never runs dry by itself. */
#define SHARED_ROUNDS 61
#define SHARED_BATCH  32
#define TIMERS_BATCH  1024
/* A thread without work looks around this long: a reply from another thread takes less, going to
   sleep and being woken some five times more. Where it is in vain (the other one waits for this
   very processor) it looks half as long the next time, down to not at all, and tries again now and
   then. */
#define LOOK_NS     (20 * SL_MICRO_NS)
#define LOOK_MIN_NS SL_MICRO_NS
#define LOOK_AGAIN  64 /* Sleeps. */

/* ---- what is due --------------------------------------------------------------------------- */

static bool
fire_timers(struct sl_actor_thread *w)
{
    struct sl_timer t;
    uint32_t count = 0;
    for (; count < TIMERS_BATCH && sl_timers_pop(&w->timers, w->now_ns, &t); count++) {
        bool is_calls = t.who.node == SL_NODE_PORT;
        struct sl_addr who = {w->scheduler->options.node, t.who.actor};
        struct sl_m_timer body = {.token = t.token};
        sl_deliver_system(w, who, who, is_calls ? SL_M_calls_due : SL_M_timer, &body);
    }
    return count > 0;
}

static bool
run_errands(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    struct sl_errand *errand = atomic_exchange(&w->errands, NULL), *next;
    if (errand == NULL)
        return false;
    for (; errand != NULL; errand = next) {
        next = errand->next;
        struct sl_ctx ctx = sl_actor_thread_context(w, 0);
        errand->fn(errand->arg, &ctx);
        pthread_mutex_lock(&s->lock);
        errand->is_done = true; /* Its memory is its caller's again. */
        pthread_cond_broadcast(&s->errand_done);
        pthread_mutex_unlock(&s->lock);
    }
    return true;
}

static void
take_inbox(struct sl_actor_thread *w)
{
    if (atomic_load_explicit(&w->inbox, memory_order_relaxed) == NULL)
        return;
    struct sl_actor_slot *newest = atomic_exchange(&w->inbox, NULL), *oldest = NULL, *next;
    for (; newest != NULL; newest = next) {
        next = newest->next_run;
        newest->next_run = oldest;
        oldest = newest;
    }
    for (; oldest != NULL; oldest = next) {
        next = oldest->next_run;
        sl_slot_list_push(&w->pinned, oldest);
    }
}

/* ---- what runs next ------------------------------------------------------------------------ */

/* Some of the shared queue: the first to run, the others into the own one. */
static struct sl_actor_slot *
take_shared(struct sl_actor_thread *w, uint32_t wanted)
{
    struct sl_scheduler *s = w->scheduler;
    if (atomic_load_explicit(&s->shared_count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&s->lock);
    uint32_t count = atomic_load(&s->shared_count);
    uint32_t room = SL_RUN_QUEUE_SIZE - sl_run_queue_count(&w->queue);
    uint32_t taken = SL_MIN(SL_MIN(count, room), SL_MIN(wanted, count / s->workers_count + 1));
    struct sl_actor_slot *first = taken == 0 ? NULL : sl_slot_list_pop(&s->shared);
    for (uint32_t i = 1; i < taken; i++)
        sl_assert(sl_run_queue_push(&w->queue, sl_slot_list_pop(&s->shared)));
    atomic_store(&s->shared_count, count - taken);
    pthread_mutex_unlock(&s->lock);
    if (count > taken)
        sl_wake_one(s);
    return first;
}

static struct sl_actor_slot *
take_own(struct sl_actor_thread *w)
{
    struct sl_actor_slot *slot = sl_run_queue_pop(&w->queue);
    if (slot != NULL && sl_run_queue_count(&w->queue) > 0 &&
        atomic_load_explicit(&w->scheduler->asleep, memory_order_relaxed) != 0)
        sl_wake_one(w->scheduler); /* More than this thread runs at a time: others may have it. */
    return slot;
}

static struct sl_actor_slot *
choose(struct sl_actor_thread *w)
{
    struct sl_actor_slot *slot = NULL;
    if (w->round % SHARED_ROUNDS == 0)
        slot = take_shared(w, 1);
    bool is_pinned_turn = w->round % 2 == 0;
    if (slot == NULL && is_pinned_turn)
        slot = sl_slot_list_pop(&w->pinned);
    if (slot == NULL)
        slot = take_own(w);
    if (slot == NULL && !is_pinned_turn)
        slot = sl_slot_list_pop(&w->pinned);
    return slot == NULL ? take_shared(w, SHARED_BATCH) : slot;
}

static struct sl_actor_slot *
steal_from(struct sl_actor_thread *w, struct sl_actor_thread *victim)
{
    struct sl_actor_slot *slot = sl_run_queue_steal(&w->queue, &victim->queue);
    if (slot != NULL)
        sl_stat_add(&w->stats.steals, 1);
    return slot;
}

/* From whoever has two or more; one alone is about to run where it is, next to who sent to it. */
static struct sl_actor_slot *
steal(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    uint32_t start =
        s->workers_count > 1 ? (uint32_t)sl_random_below(&w->random, s->workers_count) : 0;
    for (uint32_t i = 0; i < s->workers_count; i++) {
        struct sl_actor_thread *victim = &s->workers[(start + i) % s->workers_count];
        struct sl_actor_slot *slot = NULL;
        if (victim != w && sl_run_queue_count(&victim->queue) >= 2)
            slot = steal_from(w, victim);
        if (slot != NULL)
            return slot;
    }
    return NULL;
}

bool
sl_actor_thread_step(struct sl_actor_thread *w)
{
    w->round++;
    bool has_moved = sl_time_coarse_ns() != w->coarse_ns;
    if (has_moved || w->round % CLOCK_ROUNDS == 0) {
        sl_actor_thread_read_clock(w);
        (void)fire_timers(w);
    }
    if (atomic_load_explicit(&w->errands, memory_order_relaxed) != NULL)
        (void)run_errands(w);
    take_inbox(w);
    struct sl_actor_slot *slot = choose(w);
    if (slot == NULL) {
        sl_actor_thread_read_clock(w);
        if (fire_timers(w))
            return true;
        slot = steal(w);
    }
    if (slot == NULL)
        return false;
    sl_turn(w, slot);
    return true;
}

/* ---- idle ---------------------------------------------------------------------------------- */

static bool
has_work(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    if (atomic_load(&w->inbox) != NULL || atomic_load(&w->errands) != NULL ||
        atomic_load(&s->shared_count) > 0 || w->pinned.oldest != NULL)
        return true;
    for (uint32_t i = 0; i < s->workers_count; i++) {
        if (sl_run_queue_count(&s->workers[i].queue) >= (i == w->index ? 1 : 2))
            return true;
    }
    return false;
}

/* Behind a turn of another thread. */
static bool
is_anyone_waiting(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    for (uint32_t i = 0; i < s->workers_count; i++) {
        if (i != w->index && sl_run_queue_count(&s->workers[i].queue) > 0)
            return true;
    }
    return false;
}

static void
pause_shortly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool
finds_work(struct sl_actor_thread *w, uint64_t end_ns)
{
    do {
        for (int i = 0; i < 16; i++)
            pause_shortly();
        if (has_work(w) || atomic_load_explicit(&w->scheduler->is_done, memory_order_relaxed) != 0)
            return true;
    } while (sl_time_mono_ns() < end_ns);
    return false;
}

/* Look for work for a moment; true: there may be some. What waits behind a turn that takes all this
   time is stolen, though it is one alone. */
static bool
look_around(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    if (s->workers_count == 1)
        return false;
    if (w->look_ns < LOOK_MIN_NS) {
        if (!is_anyone_waiting(w) && ++w->looks_left_out < LOOK_AGAIN)
            return false;
        w->looks_left_out = 0;
        w->look_ns = LOOK_NS;
    }
    uint64_t turns[SL_SCHEDULER_THREADS_MAX];
    for (uint32_t i = 0; i < s->workers_count; i++)
        turns[i] = atomic_load_explicit(&s->workers[i].stats.turns, memory_order_relaxed);
    if (finds_work(w, sl_time_mono_ns() + w->look_ns)) {
        w->look_ns = SL_MIN(w->look_ns * 2, LOOK_NS);
        return true;
    }
    w->look_ns /= 2;
    for (uint32_t i = 0; i < s->workers_count; i++) {
        struct sl_actor_thread *victim = &s->workers[i];
        if (victim == w || sl_run_queue_count(&victim->queue) == 0 ||
            atomic_load_explicit(&victim->stats.turns, memory_order_relaxed) != turns[i])
            continue;
        struct sl_actor_slot *slot = steal_from(w, victim);
        if (slot != NULL) {
            sl_turn(w, slot);
            return true;
        }
    }
    return false;
}

void
sl_scheduler_finish(struct sl_scheduler *s)
{
    atomic_store(&s->is_done, 1);
    syscall(SYS_futex, &s->is_done, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    for (uint32_t i = 0; i < s->workers_count; i++)
        sl_wake(s, i);
}

bool
sl_actor_thread_sleeps(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    uint64_t bit = UINT64_C(1) << w->index;
    uint64_t all = s->workers_count == 64 ? UINT64_MAX : (UINT64_C(1) << s->workers_count) - 1;
    atomic_fetch_or(&s->asleep, bit);
    if (has_work(w) || atomic_load(&s->is_done) != 0) {
        sl_actor_thread_wakes(w);
        return false;
    }
    /* Who wakes another clears its bit first, so all bits mean that nobody has anything to do. */
    if (atomic_load(&s->is_draining) && atomic_load(&s->works_count) == 0 &&
        atomic_load(&s->asleep) == all)
        sl_scheduler_finish(s);
    return true;
}

/* Until woken, or until a timer is due. */
static void
sleep_until_woken(struct sl_actor_thread *w)
{
    uint64_t at_ns = sl_timers_next_ns(&w->timers);
    sl_stat_add(&w->stats.sleeps, 1);
    while (atomic_load(&w->awake) == 0) {
        struct timespec left, *timeout = NULL;
        if (at_ns != UINT64_MAX) {
            uint64_t now_ns = sl_time_mono_ns();
            if (now_ns >= at_ns)
                return;
            left.tv_sec = (time_t)((at_ns - now_ns) / SL_SECOND_NS);
            left.tv_nsec = (long)((at_ns - now_ns) % SL_SECOND_NS);
            timeout = &left;
        }
        syscall(SYS_futex, &w->awake, FUTEX_WAIT_PRIVATE, 0, timeout, NULL, 0);
    }
}

void
sl_actor_thread_wakes(struct sl_actor_thread *w)
{
    struct sl_scheduler *s = w->scheduler;
    uint64_t bit = UINT64_C(1) << w->index;
    bool was_woken = (atomic_fetch_and(&s->asleep, ~bit) & bit) == 0;
    if (!was_woken || (w->index == 0 && s->options.is_manual))
        return;
    /* Somebody cleared the bit and is about to say so: take that, or the next sleep would end. */
    while (atomic_load(&w->awake) == 0)
        syscall(SYS_futex, &w->awake, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    atomic_store(&w->awake, 0);
}

void *
sl_actor_thread_main(void *worker)
{
    struct sl_actor_thread *w = worker;
    while (atomic_load_explicit(&w->scheduler->is_done, memory_order_relaxed) == 0) {
        if (sl_actor_thread_step(w) || look_around(w) || !sl_actor_thread_sleeps(w))
            continue;
        sleep_until_woken(w);
        sl_actor_thread_wakes(w);
    }
    return NULL;
}
