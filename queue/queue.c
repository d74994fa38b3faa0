/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include "queue/job.h"
#include "queue/lane.h"
#include "queue/lease.h"
#include "queue/options.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define BOOT_SHIFT 40
#define ID_SHIFT   38 /* 24 bits of boot above it reach just below SL_TASK_ALONE. */

struct sl_queue *
sl_queue_create(void)
{
    struct sl_queue *q = sl_zalloc(sizeof(*q));
    q->magic = SL_QUEUE_MAGIC;
    q->alone_last = q->alone_reserved = SL_TASK_ALONE - 1;
    q->tasks_free = q->extras_free = SL_NONE;
    for (int i = 0; i < SL_CLASS_COUNT; i++)
        q->shares[i] = sl_share_create();
    sl_wheel_init(&q->scheduled, 0);
    sl_wheel_init(&q->kept, 0);
    sl_wheel_init(&q->expiring, 0);
    q->dedup = sl_dedup_create(SL_QUEUE_KEYS_MAX);
    q->keys = sl_keys_create();
    return q;
}

static void
free_jobs(struct sl_job_list *list)
{
    for (struct sl_job *job = list->first, *next; job != NULL; job = next) {
        next = job->next;
        sl_free(job);
    }
}

void
sl_queue_destroy(struct sl_queue **queue)
{
    struct sl_queue *q = *queue;
    *queue = NULL;
    if (q == NULL)
        return;
    sl_queue_assert(q);
    sl_held_free_all(q);
    sl_trails_deinit(q);
    free_jobs(&q->live);
    free_jobs(&q->ended);
    for (uint32_t i = 0; i < q->lanes_count; i++)
        sl_lane_free(q->lanes[i]);
    for (uint32_t i = 0; i < q->extras_used; i++) {
        sl_free(q->extras[i].policy);
        sl_free(q->extras[i].limits);
    }
    for (int i = 0; i < SL_CLASS_COUNT; i++)
        sl_share_destroy(&q->shares[i]);
    sl_heap_deinit(&q->throttled);
    sl_heap_deinit(&q->dying);
    sl_dedup_destroy(&q->dedup);
    sl_keys_destroy(&q->keys);
    sl_free(q->apart);
    sl_free(q->woken.entries);
    sl_table_deinit(&q->lanes_by_key);
    sl_table_deinit(&q->jobs_by_id);
    sl_bodies_deinit(&q->bodies);
    sl_buf_deinit(&q->saving.ahead);
    sl_buf_deinit(&q->saving.keys);
    sl_free(q->lanes);
    sl_free(q->lane_numbers_free);
    sl_free(q->jobs);
    sl_free(q->job_numbers_free);
    sl_free(q->extras);
    sl_free(q->buckets);
    sl_free(q->tasks);
    q->magic = 0;
    sl_free(q);
}

void
sl_queue_boot(struct sl_queue *q, uint64_t boot)
{
    sl_queue_assert(q);
    sl_assert(boot < UINT64_C(1) << (64 - BOOT_SHIFT));
    sl_assert(boot << BOOT_SHIFT >= q->epoch_last);
    sl_assert(q->deadlines[0].count + q->deadlines[1].count == 0);
    q->epoch_last = boot << BOOT_SHIFT;
    q->alone_reserved = SL_MAX(q->alone_reserved, (SL_TASK_ALONE | boot << ID_SHIFT) - 1);
    sl_trail_restart(q, boot);
}

uint64_t
sl_queue_reserve(struct sl_queue *q)
{
    sl_queue_assert(q);
    return ++q->alone_reserved;
}

void
sl_queue_clock(struct sl_queue *q, uint64_t now_ns)
{
    sl_queue_assert(q);
    q->now_ns = SL_MAX(q->now_ns, now_ns);
}

void
sl_queue_watch_set(struct sl_queue *q, struct sl_queue_watch watch)
{
    sl_queue_assert(q);
    q->watch = watch;
}

uint64_t
sl_queue_held(void *queue, uint32_t segment)
{
    struct sl_queue *q = queue;
    sl_queue_assert(q);
    return sl_bodies_held(&q->bodies, segment);
}

uint64_t
sl_queue_next_ms(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return sl_wheel_next_ms(&q->scheduled);
}

uint64_t
sl_queue_next_ns(const struct sl_queue *q)
{
    sl_queue_assert(q);
    uint64_t lane_ns = q->throttled.count == 0 ? UINT64_MAX : q->throttled.entries[0].key;
    return SL_MIN(lane_ns, sl_options_next_ns(q));
}
