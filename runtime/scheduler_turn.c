/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scheduler_state.h"
#include "runtime/time.h"

#define TURN_MESSAGES 64
#define TURN_NS       SL_MILLI_NS

/* ---- effects ------------------------------------------------------------------------------- */

static void
effect_send(struct sl_driver *d, struct sl_msg *msg)
{
    struct sl_actor_thread *w = sl_actor_thread_of(d);
    (void)sl_deliver(w->scheduler, w, msg);
}

static uint64_t
add_ns(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

static void
effect_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct sl_actor_thread *w = sl_actor_thread_of(d);
    sl_timers_add(
        &w->timers,
        &(struct sl_timer){.at_ns = add_ns(w->now_ns, delay_ns), .token = token, .who = who});
}

/* On a thread of the pool. Counted until it has been delivered: a drain waits for it. */
static void
post_work_done(void *context, const struct sl_io_work *work)
{
    struct sl_scheduler *s = context;
    struct sl_m_work_done body = {.token = work->token,
                                  .argument = (uint64_t)(uintptr_t)work->argument};
    struct sl_msg *msg = sl_msg_create(SL_M_work_done, &body);
    msg->to.actor = (uint32_t)work->who;
    (void)sl_deliver(s, NULL, msg);
    atomic_fetch_sub(&s->works_count, 1);
    if (atomic_load(&s->is_draining))
        sl_wake_one(s); /* Who goes to sleep next sees that all is silent. */
}

static void
effect_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
            uint64_t token)
{
    struct sl_scheduler *s = sl_actor_thread_of(d)->scheduler;
    struct sl_io_work io = {.work = work,
                            .done = post_work_done,
                            .argument = argument,
                            .context = s,
                            .token = token,
                            .who = who.actor};
    atomic_fetch_add(&s->works_count, 1);
    if (s->options.work != NULL)
        s->options.work(s->options.arg, &io);
    else
        sl_iopool_submit(s->pool, &io);
}

static enum sl_err
effect_spawn(struct sl_driver *d, const struct sl_ctx *by, const struct sl_spawn_what *what,
             const struct sl_spawn_options *options, struct sl_addr *ret_addr)
{
    return sl_life_spawn(sl_actor_thread_of(d), by, what, options, ret_addr);
}

static struct sl_actor_slot *
slot_of(struct sl_actor_thread *w, struct sl_addr who)
{
    struct sl_actor_slot *slot = sl_actor_table_lookup(&w->scheduler->table, who.actor);
    sl_assert(slot != NULL);
    return slot;
}

static void
effect_stop(struct sl_driver *d, struct sl_addr who, enum sl_err reason)
{
    struct sl_actor_slot *slot = slot_of(sl_actor_thread_of(d), who);
    if (slot->ending == 0) /* The first reason is the one. */
        slot->ending = (uint8_t)(reason + 1);
}

static void
effect_link(struct sl_driver *d, struct sl_addr who, struct sl_addr to, bool is_linked)
{
    struct sl_actor_thread *w = sl_actor_thread_of(d);
    struct sl_relations *r = sl_relations_of(slot_of(w, who));
    bool is_new = is_linked ? sl_addr_set_add(&r->links, to) : sl_addr_set_remove(&r->links, to);
    if (is_new)
        sl_deliver_system(w, who, to, is_linked ? SL_M_link : SL_M_unlink, NULL);
}

/* One timer for all calls of an actor: that of the earliest deadline, or an earlier one. */
static void
arm(struct sl_actor_thread *w, struct sl_addr who, struct sl_relations *r)
{
    uint64_t at_ns = sl_relations_arm(r);
    if (at_ns == UINT64_MAX)
        return;
    who.node = SL_NODE_PORT; /* Tells it from timers that the actor sets. */
    sl_timers_add(&w->timers, &(struct sl_timer){.at_ns = at_ns, .who = who});
}

static uint64_t
effect_call(struct sl_driver *d, struct sl_msg *msg, uint64_t timeout_ns)
{
    struct sl_actor_thread *w = sl_actor_thread_of(d);
    struct sl_relations *r = sl_relations_of(slot_of(w, msg->from));
    struct sl_call call = {.deadline_ns = add_ns(w->now_ns, timeout_ns),
                           .request = sl_relations_call_number(r, msg->from.actor),
                           .to = msg->to};
    if (sl_call_table_add(&r->calls, &call) != SL_OK) {
        sl_msg_destroy(&msg);
        return 0;
    }
    arm(w, msg->from, r);
    msg->request = call.request;
    (void)sl_deliver(w->scheduler, w, msg);
    return call.request;
}

const struct sl_driver_ops sl_scheduler_effects = {
    .send = effect_send,
    .after = effect_after,
    .work = effect_work,
    .spawn = effect_spawn,
    .stop = effect_stop,
    .link = effect_link,
    .call = effect_call,
};

struct sl_ctx
sl_actor_thread_context(struct sl_actor_thread *w, uint32_t self)
{
    return (struct sl_ctx){.self = {.node = w->scheduler->options.node, .actor = self},
                           .now_ns = w->now_ns,
                           .now_ms = w->now_ms,
                           .random = &w->random,
                           .store = w->index == 0 ? w->scheduler->options.store : NULL,
                           .driver = &w->driver};
}

/* ---- the driver's own messages ------------------------------------------------------------- */

static void
expire_calls(struct sl_actor_thread *w, struct sl_actor_slot *slot, struct sl_ctx *ctx)
{
    struct sl_relations *r = slot->relations;
    struct sl_msg *msg;
    if (r == NULL)
        return;
    while (slot->ending == 0 && (msg = sl_relations_timeout(r, ctx->self, ctx->now_ns)) != NULL) {
        slot->class->handle(slot->state, ctx, msg);
        sl_msg_destroy(&msg);
    }
    arm(w, ctx->self, r);
}

/* Rare messages: the driver's own, replies to calls, and what was meant for who had the slot
   before. True when the handler is to see it. */
static bool
take_special(struct sl_actor_thread *w, struct sl_actor_slot *slot, struct sl_ctx *ctx,
             const struct sl_msg *msg)
{
    enum sl_err reason = SL_OK;
    if (msg->id == SL_M_calls_due) {
        expire_calls(w, slot, ctx);
        return false;
    }
    switch (sl_relations_take(&slot->relations, slot->class->is_trapping, msg, &reason)) {
    case SL_RELATIONS_HANDLE:
        return true;
    case SL_RELATIONS_END:
        if (slot->ending == 0) /* The first reason is the one. */
            slot->ending = (uint8_t)(reason + 1);
        break;
    case SL_RELATIONS_DONE:
        break;
    }
    return false;
}

/* ---- turns --------------------------------------------------------------------------------- */

void
sl_actor_thread_read_clock(struct sl_actor_thread *w)
{
    if (w->scheduler->options.is_manual && w->index == 0)
        return; /* Its step says what time it is. */
    w->coarse_ns = sl_time_coarse_ns();
    w->now_ns = sl_time_mono_ns();
    w->now_ms = sl_time_wall_ms();
}

static void
handle(struct sl_actor_thread *w, struct sl_actor_slot *slot, struct sl_ctx *ctx,
       struct sl_msg *msg)
{
    if (__builtin_expect(msg->to.actor != ctx->self.actor, false)) {
        sl_refuse(w->scheduler, w, msg, SL_ESTALE);
        return;
    }
    bool is_special = sl_is_system(msg) || msg->request >> 63 != 0;
    if (__builtin_expect(!is_special, true) || take_special(w, slot, ctx, msg))
        slot->class->handle(slot->state, ctx, msg);
    sl_msg_destroy(&msg);
}

/* A manual thread's own clock stands still in a step, so it asks another one. 0: it has none. */
static uint64_t
real_end_of(const struct sl_actor_thread *w)
{
    bool is_manual = w->scheduler->options.is_manual && w->index == 0;
    return is_manual && w->scheduler->options.has_real_turns ? sl_time_mono_ns() + TURN_NS : 0;
}

void
sl_turn(struct sl_actor_thread *w, struct sl_actor_slot *slot)
{
    if (__builtin_expect(slot->told_ns > w->now_ns, false))
        sl_actor_thread_read_clock(w); /* It ran on a thread that looked later than this one. */
    struct sl_ctx ctx =
        sl_actor_thread_context(w, atomic_load_explicit(&slot->id, memory_order_relaxed));
    ctx.now_ns = SL_MAX(ctx.now_ns, slot->told_ns); /* A manual thread cannot look. */
    /* The clock is looked at after 2, 4, 8... messages: often enough for slow handlers, and next to
       nothing for fast ones. */
    uint32_t handled = 0, look_at = 2;
    uint64_t end_ns = 0, real_end_ns = real_end_of(w);
    bool is_over = false;
    for (;;) {
        struct sl_msg *msg = slot->taken;
        if (msg == NULL) {
            slot->told_ns = ctx.now_ns;
            if (sl_box_rest(&slot->box))
                break; /* Another thread may have it already. */
            slot->taken = sl_box_take(&slot->box);
            continue;
        }
        if (is_over) {
            slot->told_ns = ctx.now_ns;
            sl_make_runnable(w->scheduler, w, slot);
            break;
        }
        slot->taken = msg->next;
        handle(w, slot, &ctx, msg);
        handled++;
        if (__builtin_expect(slot->ending != 0, false)) {
            sl_life_end(w, slot);
            break;
        }
        if (handled == look_at) {
            uint64_t before_ns = w->now_ns;
            sl_actor_thread_read_clock(w);
            end_ns = end_ns == 0 ? before_ns + TURN_NS : end_ns;
            look_at *= 2;
            is_over = w->now_ns >= end_ns || handled >= TURN_MESSAGES ||
                      (real_end_ns != 0 && sl_time_mono_ns() >= real_end_ns);
            ctx.now_ns = SL_MAX(ctx.now_ns, w->now_ns);
            ctx.now_ms = w->now_ms;
        }
    }
    sl_stat_add(&w->stats.messages, handled);
    sl_stat_add(&w->stats.turns, 1);
}
