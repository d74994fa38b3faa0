/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/iopool.h"

#include <pthread.h>
#include <signal.h>

#include "runtime/alloc.h"

#define THREADS_MAX 16

struct item {
    struct item *next;
    struct sl_io_work work;
};

struct sl_iopool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct item *oldest, **tail;
    pthread_t threads[THREADS_MAX];
    uint32_t threads_count, threads_max, idle_count;
    uint32_t waiting_count; /* Items no thread has taken. */
    bool is_stopping;
};

static void *
run(void *arg)
{
    struct sl_iopool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        pool->idle_count++;
        while (pool->oldest == NULL && !pool->is_stopping)
            pthread_cond_wait(&pool->wake, &pool->lock);
        pool->idle_count--;
        struct item *item = pool->oldest;
        if (item == NULL)
            break;
        pool->oldest = item->next;
        pool->waiting_count--;
        if (pool->oldest == NULL)
            pool->tail = &pool->oldest;
        pthread_mutex_unlock(&pool->lock);

        item->work.work(item->work.argument);
        item->work.done(item->work.context, &item->work);
        sl_free(item);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct sl_iopool *
sl_iopool_create(uint32_t threads_max)
{
    sl_assert(threads_max > 0 && threads_max <= THREADS_MAX);
    struct sl_iopool *pool = sl_zalloc(sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->tail = &pool->oldest;
    pool->threads_max = threads_max;
    return pool;
}

/* Signals belong to the thread that runs the scheduler: the pool's block them all. */
static bool
start_thread(struct sl_iopool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&pool->threads[pool->threads_count], NULL, run, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pool->threads_count++;
    return error == 0;
}

void
sl_iopool_submit(struct sl_iopool *pool, const struct sl_io_work *work)
{
    struct item *item = sl_alloc(sizeof(*item));
    *item = (struct item){.work = *work};
    pthread_mutex_lock(&pool->lock);
    *pool->tail = item;
    pool->tail = &item->next;
    /* A thread that was woken for another item still counts as idle, so compare with all that
       wait: else this item would lie behind one that blocks. */
    if (++pool->waiting_count > pool->idle_count && pool->threads_count < pool->threads_max)
        sl_assert(start_thread(pool) || pool->threads_count > 0);
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void
sl_iopool_destroy(struct sl_iopool **pool)
{
    struct sl_iopool *p = *pool;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->threads_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    sl_free(p);
    *pool = NULL;
}
