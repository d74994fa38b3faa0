/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/scheduler_state.h"

/* ---- waking -------------------------------------------------------------------------------- */

/*
 * A sleeper sets its bit, then looks for work once more; who makes work puts it where it is found,
 * then looks at the bits. Both by sequentially consistent operations, so one sees the other. Who
 * clears the bit has to wake: so while all bits are set, nobody is on the way to being awake.
 */
void
sl_wake(struct sl_scheduler *s, uint32_t index)
{
    uint64_t bit = UINT64_C(1) << index;
    if ((atomic_load(&s->asleep) & bit) == 0 || (atomic_fetch_and(&s->asleep, ~bit) & bit) == 0)
        return;
    if (index == 0 && s->options.is_manual) {
        if (s->options.wake != NULL)
            s->options.wake(s->options.arg);
        return;
    }
    struct sl_actor_thread *w = &s->workers[index];
    atomic_store(&w->awake, 1);
    syscall(SYS_futex, &w->awake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void
sl_wake_one(struct sl_scheduler *s)
{
    uint64_t asleep = atomic_load(&s->asleep);
    if (asleep != 0)
        sl_wake(s, (uint32_t)__builtin_ctzll(asleep));
}

/* ---- run queues ---------------------------------------------------------------------------- */

static void
push_inbox(struct sl_scheduler *s, struct sl_actor_thread *to, struct sl_actor_slot *slot)
{
    struct sl_actor_slot *newest = atomic_load_explicit(&to->inbox, memory_order_relaxed);
    do {
        slot->next_run = newest;
    } while (!atomic_compare_exchange_weak(&to->inbox, &newest, slot));
    sl_wake(s, to->index);
}

static void
push_shared(struct sl_scheduler *s, struct sl_actor_slot *slot)
{
    pthread_mutex_lock(&s->lock);
    sl_slot_list_push(&s->shared, slot);
    atomic_store(&s->shared_count, atomic_load(&s->shared_count) + 1);
    pthread_mutex_unlock(&s->lock);
    sl_wake_one(s);
}

void
sl_make_runnable(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_actor_slot *slot)
{
    if (slot->thread != 0) {
        struct sl_actor_thread *to = &s->workers[slot->thread - 1];
        if (to == w)
            sl_slot_list_push(&w->pinned, slot);
        else
            push_inbox(s, to, slot);
    } else if (w == NULL || !sl_run_queue_push(&w->queue, slot)) {
        push_shared(s, slot);
    }
}

/* ---- refusals ------------------------------------------------------------------------------ */

void
sl_refuse(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_msg *msg, enum sl_err reason)
{
    struct sl_msg *back = sl_relations_refusal(msg, reason, s->options.node);
    if (back != NULL)
        (void)sl_deliver(s, w, back);
    if (!sl_is_system(msg)) {
        if (w != NULL)
            sl_stat_add(&w->stats.undelivered, 1);
        else
            atomic_fetch_add(&s->refused_outside, 1);
    }
    sl_msg_destroy(&msg);
}

/* ---- delivery ------------------------------------------------------------------------------ */

/*
 * The driver's own messages may pass the bound: there is at most one for each watch, link, timer,
 * work and call of an actor. Not so `undelivered`: who floods others would flood itself.
 */
static uint64_t
bound_of(const struct sl_actor_slot *slot, const struct sl_msg *msg)
{
    if (sl_is_system(msg) && msg->id != SL_M_undelivered)
        return SL_BOX_MAX;
    return atomic_load_explicit(&slot->mailbox_max, memory_order_relaxed);
}

static enum sl_err
push_local(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_msg *msg)
{
    struct sl_actor_slot *slot = sl_actor_table_lookup(&s->table, msg->to.actor);
    if (slot == NULL)
        return SL_ENOTFOUND;
    enum sl_err gone = msg->to.actor < SL_ACTOR_NAMES ? SL_ENOTFOUND : SL_ESTALE;
    if (atomic_load_explicit(&slot->id, memory_order_relaxed) != msg->to.actor)
        return gone;
    switch (sl_box_push(&slot->box, msg, bound_of(slot, msg))) {
    case SL_BOX_QUEUED:
        return SL_OK;
    case SL_BOX_WOKEN:
        sl_make_runnable(s, w, slot);
        return SL_OK;
    case SL_BOX_FULL:
        return SL_EFULL;
    case SL_BOX_REFUSED:
        break;
    }
    return gone;
}

enum sl_err
sl_deliver(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_msg *msg)
{
    if (msg->to.node != s->options.node && msg->to.node != 0) {
        /* The driver's own messages may not leave the process: nobody is watched from afar yet. */
        if (s->options.remote == NULL || (sl_is_system(msg) && msg->to.node != SL_NODE_PORT)) {
            sl_refuse(s, w, msg, SL_EUNAVAIL);
            return SL_EUNAVAIL;
        }
        s->options.remote(s->options.arg, msg);
        return SL_OK;
    }
    msg->to.node = s->options.node; /* So that what comes back names it as its watchers do. */
    enum sl_err err = push_local(s, w, msg);
    if (err != SL_OK)
        sl_refuse(s, w, msg, err);
    return err;
}

void
sl_deliver_system(struct sl_actor_thread *w, struct sl_addr from, struct sl_addr to, uint32_t id,
                  const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = from;
    msg->to = to;
    (void)sl_deliver(w->scheduler, w, msg);
}
