/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/lose.h"

#include <string.h>

#include "queue/lease.h"
#include "queue/task.h"
#include "runtime/alloc.h"

/* Of a holder that is lost: how, and which one was lost before. */
struct sl_lost {
    struct sl_holder *next;
    struct sl_loss loss;
    uint8_t lines[SL_LOSS_LINES_MAX];
};

enum sl_err
sl_queue_begin(struct sl_queue *q, uint64_t task_id, uint64_t epoch)
{
    struct sl_lease lease;
    enum sl_err err = sl_queue_check(q, task_id, epoch, &lease);
    if (err == SL_OK)
        sl_held_begin(sl_task_at(q, sl_task_slot(q, task_id))->held);
    return err;
}

uint64_t
sl_queue_lose(struct sl_queue *q, const struct sl_loss *loss)
{
    sl_queue_assert(q);
    struct sl_holder *holder = sl_holder_lookup(q, loss->holder);
    if (holder == NULL)
        return 0;
    if (holder->held[true].count == 0 && !loss->is_uncounted)
        sl_held_begin(holder->held[false].oldest);
    struct sl_lost *lost = sl_zalloc(sizeof(*lost));
    struct sl_slice lines = loss->lines;
    if (lines.size > sizeof(lost->lines))
        lines = sl_slice(lines.data + lines.size - sizeof(lost->lines), sizeof(lost->lines));
    if (lines.size > 0)
        memcpy(lost->lines, lines.data, lines.size);
    lost->loss = *loss;
    lost->loss.lines = sl_slice(lost->lines, lines.size);
    sl_table_remove(&q->holders, &holder->link);
    holder->lost = lost;
    lost->next = q->lost;
    q->lost = holder;
    return (uint64_t)holder->held[false].count + holder->held[true].count;
}

void
sl_lost_free(struct sl_queue *q, struct sl_holder *holder)
{
    struct sl_holder **at = &q->lost;
    while (*at != holder)
        at = &(*at)->lost->next;
    *at = holder->lost->next;
    sl_free(holder->lost);
}

bool
sl_queue_has_lost(const struct sl_queue *q)
{
    sl_queue_assert(q);
    return q->lost != NULL;
}

uint32_t
sl_queue_lost(const struct sl_queue *q, uint32_t max, struct sl_lease *ret_leases,
              struct sl_loss *ret_loss)
{
    if (!sl_queue_has_lost(q))
        return 0;
    const struct sl_held *held = q->lost->held[true].oldest;
    uint32_t count = 0;
    *ret_loss = q->lost->lost->loss;
    for (; held != NULL && count < max; held = held->newer)
        ret_leases[count++] = sl_held_lease(q, held);
    for (held = q->lost->held[false].oldest; held != NULL && count < max; held = held->newer)
        ret_leases[count++] = sl_held_lease(q, held);
    return count;
}

bool
sl_queue_lapsed(struct sl_queue *q, uint64_t now_ns, struct sl_lease *ret_lease)
{
    const struct sl_held *held = sl_held_lapsed(q, true, now_ns);
    if (held == NULL)
        return false;
    *ret_lease = sl_held_lease(q, held);
    return true;
}

uint32_t
sl_queue_lapsed_take(struct sl_queue *q, uint64_t now_ns, uint32_t max, struct sl_lease *ret_leases)
{
    uint32_t count = 0;
    for (struct sl_held *held; count < max; count++) {
        held = sl_held_lapsed(q, true, now_ns);
        if (held == NULL)
            break;
        ret_leases[count] = sl_held_lease(q, held);
        held->deadline_ns = UINT64_MAX; /* So that the next one is at the top. */
        sl_heap_rekey(&q->deadlines[true], held->position, UINT64_MAX);
    }
    return count;
}
