/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/scheduler_state.h"

#define MAILBOX_DEFAULT 4096
#define MAILBOX_MAX     32768

static_assert(MAILBOX_MAX < SL_BOX_MAX, "the driver's own messages have room beyond it");

struct sl_relations *
sl_relations_of(struct sl_actor_slot *slot)
{
    if (slot->relations == NULL)
        slot->relations = sl_relations_create();
    return slot->relations;
}

/* ---- start --------------------------------------------------------------------------------- */

static void
set_up(struct sl_actor_slot *slot, const struct sl_spawn_what *what,
       const struct sl_spawn_options *options)
{
    uint32_t mailbox_max = options->mailbox_max == 0 ? MAILBOX_DEFAULT : options->mailbox_max;
    slot->class = what->class;
    slot->state = what->class->state_size == 0 ? NULL : sl_zalloc(what->class->state_size);
    slot->taken = NULL;
    slot->relations = NULL;
    slot->thread = (uint8_t)options->thread;
    slot->ending = 0;
    atomic_store_explicit(&slot->mailbox_max, (uint16_t)SL_MIN(mailbox_max, MAILBOX_MAX),
                          memory_order_relaxed);
}

/* Both sides at once: the child has not run yet, and the parent is who runs. */
static void
relate(struct sl_actor_thread *w, struct sl_actor_slot *slot, const struct sl_ctx *by,
       const struct sl_spawn_options *options)
{
    struct sl_addr child = {w->scheduler->options.node, atomic_load(&slot->id)};
    if (by->self.actor == 0)
        return;
    if (options->is_watched)
        sl_addr_set_add(&sl_relations_of(slot)->watchers, by->self);
    if (options->is_linked) {
        struct sl_actor_slot *parent = sl_actor_table_lookup(&w->scheduler->table, by->self.actor);
        sl_addr_set_add(&sl_relations_of(slot)->links, by->self);
        sl_addr_set_add(&sl_relations_of(parent)->links, child);
    }
}

enum sl_err
sl_life_spawn(struct sl_actor_thread *w, const struct sl_ctx *by, const struct sl_spawn_what *what,
              const struct sl_spawn_options *options, struct sl_addr *ret_addr)
{
    struct sl_scheduler *s = w->scheduler;
    sl_assert(options->thread <= s->workers_count);
    struct sl_actor_slot *slot;
    enum sl_err err = sl_actor_table_take(&s->table, options->number, &slot);
    if (err != SL_OK)
        return err;
    uint32_t id = atomic_load_explicit(&slot->id, memory_order_relaxed);
    set_up(slot, what, options);
    relate(w, slot, by, options);
    /* Busy, so that what is sent to it from now on waits until its init has returned. */
    sl_box_open(&slot->box);
    *ret_addr = (struct sl_addr){s->options.node, id};
    sl_stat_add(&w->stats.spawned, 1);
    slot->told_ns = by->now_ns;
    if (what->class->init != NULL) {
        struct sl_ctx ctx = sl_actor_thread_context(w, id);
        ctx.now_ns = by->now_ns;
        ctx.now_ms = by->now_ms;
        what->class->init(slot->state, &ctx, what->argument);
    }
    if (slot->ending != 0)
        sl_life_end(w, slot);
    else if (!sl_box_rest(&slot->box))
        sl_make_runnable(s, w, slot);
    return SL_OK;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void
refuse_all(struct sl_actor_thread *w, struct sl_msg *msg)
{
    for (struct sl_msg *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_refuse(w->scheduler, w, msg, SL_ESTALE);
    }
}

static void
tell(struct sl_actor_thread *w, struct sl_addr self, struct sl_relations *r, enum sl_err reason)
{
    struct sl_msg *msg;
    for (uint32_t i = 0; (msg = sl_relations_farewell(r, self, reason, i)) != NULL; i++)
        (void)sl_deliver(w->scheduler, w, msg);
}

void
sl_life_end(struct sl_actor_thread *w, struct sl_actor_slot *slot)
{
    enum sl_err reason = (enum sl_err)(slot->ending - 1);
    struct sl_addr self = {w->scheduler->options.node, atomic_load(&slot->id)};
    if (slot->class->deinit != NULL)
        slot->class->deinit(slot->state);
    sl_free(slot->state);
    slot->state = NULL;
    struct sl_msg *taken = slot->taken;
    struct sl_relations *relations = slot->relations;
    slot->taken = NULL;
    slot->relations = NULL;
    if (reason != SL_OK && reason != SL_ECANCELED)
        sl_report_warn("actor-failed", "actor=%u class=%s err=%s", self.actor, slot->class->name,
                       sl_err_name(reason));
    sl_stat_add(&w->stats.ended, 1);
    sl_stat_add(&w->stats.failed, reason != SL_OK);
    /* From here on it refuses; then whoever hears of its end may take over its number at once. */
    struct sl_msg *waiting = sl_box_close(&slot->box);
    sl_actor_table_give(&w->scheduler->table, self.actor);
    refuse_all(w, taken);
    refuse_all(w, waiting);
    if (relations != NULL)
        tell(w, self, relations, reason);
    sl_relations_destroy(&relations);
}
