/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "runtime/iopool.h"

static void
nothing(void *context, const struct sl_io_work *work)
{
    (void)context, (void)work;
}

struct seen {
    pthread_t worked_on, done_on;
    uint64_t token, who;
    void *argument;
    bool is_signal_blocked;
};

static void
note_work(void *argument)
{
    struct seen *seen = argument;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->worked_on = pthread_self();
    seen->is_signal_blocked = sigismember(&mask, SIGTERM) == 1;
}

static void
note_done(void *context, const struct sl_io_work *work)
{
    struct seen *seen = context;
    seen->done_on = pthread_self();
    seen->token = work->token;
    seen->who = work->who;
    seen->argument = work->argument;
}

Test(iopool, runs_work_and_then_done_on_one_pool_thread)
{
    struct seen seen = {0};
    struct sl_iopool *pool = sl_iopool_create(2);
    sl_iopool_submit(pool, &(struct sl_io_work){.work = note_work,
                                                .done = note_done,
                                                .argument = &seen,
                                                .context = &seen,
                                                .token = 7,
                                                .who = 9});
    sl_iopool_destroy(&pool);
    cr_assert_null(pool);
    cr_assert(pthread_equal(seen.worked_on, seen.done_on));
    cr_assert_not(pthread_equal(seen.worked_on, pthread_self()));
    cr_assert_eq(seen.token, 7);
    cr_assert_eq(seen.who, 9);
    cr_assert_eq(seen.argument, &seen);
    cr_assert(seen.is_signal_blocked, "signals are the scheduler thread's");
}

static void
meet(void *barrier)
{
    pthread_barrier_wait(barrier);
}

/* Each waits for the other: both end only when the second gets a thread of its own, though the
   first thread, idle and already woken, is there. */
Test(iopool, starts_a_thread_for_work_that_would_wait_behind_a_woken_one, .timeout = 20)
{
    for (int round = 0; round < 200; round++) {
        struct sl_iopool *pool = sl_iopool_create(2);
        struct seen first = {0};
        pthread_barrier_t barrier;
        pthread_barrier_init(&barrier, NULL, 2);
        sl_iopool_submit(pool, &(struct sl_io_work){note_work, note_done, &first, &first, 0, 0});
        for (int i = 0; i < 2; i++)
            sl_iopool_submit(pool, &(struct sl_io_work){meet, nothing, &barrier, NULL, 0, 0});
        sl_iopool_destroy(&pool);
        pthread_barrier_destroy(&barrier);
    }
}

static void
count_up(void *counter)
{
    atomic_fetch_add((_Atomic uint32_t *)counter, 1);
}

Test(iopool, destroy_waits_for_all_that_was_submitted)
{
    _Atomic uint32_t count = 0;
    struct sl_iopool *pool = sl_iopool_create(3);
    for (int i = 0; i < 1000; i++)
        sl_iopool_submit(pool, &(struct sl_io_work){count_up, nothing, &count, NULL, 0, 0});
    sl_iopool_destroy(&pool);
    cr_assert_eq(atomic_load(&count), 1000);
}

Test(iopool, destroy_accepts_an_idle_pool_and_null)
{
    struct sl_iopool *pool = sl_iopool_create(1);
    sl_iopool_destroy(&pool);
    sl_iopool_destroy(&pool);
    cr_assert_null(pool);
}
