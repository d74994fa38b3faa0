/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/handoff.h"

#include <pthread.h>
#include <time.h>

#include "runtime/alloc.h"

struct sl_handoff {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct sl_buf text;
    bool is_given, is_abandoned;
};

struct sl_handoff *
sl_handoff_create(void)
{
    struct sl_handoff *h = sl_zalloc(sizeof(*h));
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->given, &attributes);
    pthread_condattr_destroy(&attributes);
    return h;
}

static void
destroy(struct sl_handoff *h)
{
    pthread_cond_destroy(&h->given);
    pthread_mutex_destroy(&h->lock);
    sl_buf_deinit(&h->text);
    sl_free(h);
}

void
sl_handoff_give(struct sl_handoff *h, struct sl_slice text)
{
    pthread_mutex_lock(&h->lock);
    bool is_abandoned = h->is_abandoned;
    sl_buf_append_slice(&h->text, text);
    h->is_given = true;
    pthread_cond_signal(&h->given);
    pthread_mutex_unlock(&h->lock);
    if (is_abandoned)
        destroy(h);
}

bool
sl_handoff_take(struct sl_handoff *h, uint64_t timeout_ns, struct sl_buf *out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + timeout_ns;
    until.tv_sec += (time_t)(nanoseconds / SL_SECOND_NS);
    until.tv_nsec = (long)(nanoseconds % SL_SECOND_NS);

    pthread_mutex_lock(&h->lock);
    int error = 0;
    while (!h->is_given && error == 0)
        error = pthread_cond_timedwait(&h->given, &h->lock, &until);
    bool is_given = h->is_given;
    h->is_abandoned = !is_given;
    pthread_mutex_unlock(&h->lock);
    if (!is_given)
        return false;
    sl_buf_append_slice(out, sl_buf_slice(&h->text));
    destroy(h);
    return true;
}
