/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are those of the scheduler (scheduler_life.c), and what relations do is decided in
 * relations.c for both. Mailboxes have no bound here: a process runs until it has nothing left,
 * while its clock stands still.
 */
#include "runtime/actor_id.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/sim_state.h"

#define ACTORS_MAX 65536 /* Of a process. */

struct sl_sim_actor *
sl_sim_actor_lookup(const struct sl_sim_process *p, uint32_t number)
{
    for (uint32_t i = 0; i < p->actors_count; i++) {
        if (p->actors[i]->number == number)
            return p->actors[i];
    }
    return NULL;
}

static struct sl_sim_actor *
actor_of(const struct sl_sim_process *p, struct sl_addr who)
{
    struct sl_sim_actor *a = sl_sim_actor_lookup(p, who.actor);
    sl_assert(a != NULL); /* Only who runs asks. */
    return a;
}

static struct sl_relations *
relations_of(struct sl_sim_actor *a)
{
    if (a->relations == NULL)
        a->relations = sl_relations_create();
    return a->relations;
}

/* ---- refusals ------------------------------------------------------------------------------ */

void
sl_sim_refuse(struct sl_sim_process *p, struct sl_msg *msg, enum sl_err reason)
{
    if (msg->to.node == 0)
        msg->to.node = p->node; /* So that what comes back names it as its watchers do. */
    struct sl_msg *back = sl_relations_refusal(msg, reason, p->node);
    if (back != NULL)
        sl_msg_list_push(&p->local, back);
    sl_msg_destroy(&msg);
}

enum sl_err
sl_sim_gone(uint32_t number)
{
    return number < SL_ACTOR_NAMES ? SL_ENOTFOUND : SL_ESTALE;
}

/* What waits for an actor that has ended is not for who takes over its number. */
static void
refuse_waiting(struct sl_sim_process *p, struct sl_msg_list *list, uint32_t number)
{
    struct sl_msg_list others, its;
    sl_msg_list_init(&others);
    sl_msg_list_init(&its);
    for (struct sl_msg *msg; (msg = sl_msg_list_pop(list)) != NULL;)
        sl_msg_list_push(msg->to.actor == number ? &its : &others, msg);
    for (struct sl_msg *msg; (msg = sl_msg_list_pop(&others)) != NULL;)
        sl_msg_list_push(list, msg);
    for (struct sl_msg *msg; (msg = sl_msg_list_pop(&its)) != NULL;)
        sl_sim_refuse(p, msg, SL_ESTALE);
}

/* ---- start and end ------------------------------------------------------------------------- */

static struct sl_sim_actor *
add_actor(struct sl_sim_process *p, uint32_t number, const struct sl_actor_class *class)
{
    struct sl_sim_actor *a = sl_zalloc(sizeof(*a));
    a->number = number == 0 ? SL_ACTOR_NAMES + p->spawned++ : number;
    a->class = class;
    a->state = class->state_size == 0 ? NULL : sl_zalloc(class->state_size);
    p->actors = sl_realloc(p->actors, (p->actors_count + 1) * sizeof(p->actors[0]));
    p->actors[p->actors_count++] = a;
    return a;
}

/* Both sides at once: the child has not run yet, and the parent is who runs. */
static void
relate(struct sl_sim_process *p, struct sl_sim_actor *a, struct sl_addr by,
       const struct sl_spawn_options *options)
{
    if (options->is_watched)
        sl_addr_set_add(&relations_of(a)->watchers, by);
    if (options->is_linked) {
        sl_addr_set_add(&relations_of(a)->links, by);
        sl_addr_set_add(&relations_of(actor_of(p, by))->links,
                        (struct sl_addr){p->node, a->number});
    }
}

enum sl_err
sl_sim_life_spawn(struct sl_sim_process *p, const struct sl_ctx *by,
                  const struct sl_spawn_what *what, const struct sl_spawn_options *options,
                  struct sl_addr *ret_addr)
{
    if (options->number != 0 && sl_sim_actor_lookup(p, options->number) != NULL)
        return SL_EEXIST;
    if (p->actors_count == ACTORS_MAX)
        return SL_EFULL;
    struct sl_sim_actor *a = add_actor(p, options->number, what->class);
    if (by != NULL)
        relate(p, a, by->self, options);
    *ret_addr = (struct sl_addr){p->node, a->number};
    if (what->class->init != NULL) {
        struct sl_ctx ctx = sl_sim_context(p, a->number);
        what->class->init(a->state, &ctx, what->argument);
    }
    if (a->ending != 0)
        sl_sim_life_end(p, a);
    return SL_OK;
}

static void
free_actor(struct sl_sim_actor *a)
{
    if (a->class->deinit != NULL)
        a->class->deinit(a->state);
    sl_relations_destroy(&a->relations);
    sl_free(a->state);
    sl_free(a);
}

void
sl_sim_life_end(struct sl_sim_process *p, struct sl_sim_actor *a)
{
    struct sl_addr self = {p->node, a->number};
    enum sl_err reason = (enum sl_err)(a->ending - 1);
    struct sl_relations *relations = a->relations;
    struct sl_msg *msg;
    uint32_t place = 0;
    a->relations = NULL;
    if (reason != SL_OK && reason != SL_ECANCELED)
        sl_report_warn("actor-failed", "actor=%u class=%s err=%s", self.actor, a->class->name,
                       sl_err_name(reason));
    while (p->actors[place] != a)
        place++;
    p->actors_count--;
    memmove(&p->actors[place], &p->actors[place + 1],
            (p->actors_count - place) * sizeof(p->actors[0]));
    free_actor(a);
    refuse_waiting(p, &p->local, self.actor);
    refuse_waiting(p, &p->inbox, self.actor);
    if (relations == NULL)
        return;
    for (uint32_t i = 0; (msg = sl_relations_farewell(relations, self, reason, i)) != NULL; i++)
        sl_msg_list_push(&p->local, msg);
    sl_relations_destroy(&relations);
}

void
sl_sim_life_drop(struct sl_sim_process *p)
{
    for (uint32_t i = 0; i < p->actors_count; i++)
        free_actor(p->actors[i]);
    sl_free(p->actors);
    p->actors = NULL;
    p->actors_count = 0;
}

/* ---- messages of the driver's own, and answers to calls ------------------------------------ */

static void
arm(struct sl_sim_process *p, struct sl_sim_actor *a)
{
    uint64_t at_ns = sl_relations_arm(a->relations), local_ns = sl_sim_process_ns(p);
    if (at_ns == UINT64_MAX)
        return;
    uint64_t delay_ns = at_ns > local_ns ? at_ns - local_ns : 0;
    struct sl_sim_event e = {
        .kind = SL_SIM_DUE, .process = p->id, .actor = a->number, .sent_ns = at_ns};
    sl_sim_events_add(&p->sim->events, p->sim->now_ns + sl_sim_process_delay(p, delay_ns), &e);
}

static void
expire_calls(struct sl_sim_process *p, struct sl_sim_actor *a, struct sl_ctx *ctx)
{
    struct sl_msg *msg;
    if (a->relations == NULL)
        return;
    while (a->ending == 0 &&
           (msg = sl_relations_timeout(a->relations, ctx->self, ctx->now_ns)) != NULL) {
        a->class->handle(a->state, ctx, msg);
        sl_msg_destroy(&msg);
    }
    arm(p, a);
}

bool
sl_sim_life_take(struct sl_sim_process *p, struct sl_sim_actor *a, struct sl_ctx *ctx,
                 const struct sl_msg *msg)
{
    enum sl_err reason = SL_OK;
    bool is_special = msg->id >> 16 == SL_PROTOCOL_SYSTEM || msg->request >> 63 != 0;
    if (!is_special)
        return true;
    if (msg->id == SL_M_calls_due) {
        expire_calls(p, a, ctx);
        return false;
    }
    switch (sl_relations_take(&a->relations, a->class->is_trapping, msg, &reason)) {
    case SL_RELATIONS_HANDLE:
        return true;
    case SL_RELATIONS_END:
        if (a->ending == 0) /* The first reason is the one. */
            a->ending = (uint8_t)(reason + 1);
        break;
    case SL_RELATIONS_DONE:
        break;
    }
    return false;
}

/* ---- effects ------------------------------------------------------------------------------- */

enum sl_err
sl_sim_effect_spawn(struct sl_driver *d, const struct sl_ctx *by, const struct sl_spawn_what *what,
                    const struct sl_spawn_options *options, struct sl_addr *ret_addr)
{
    return sl_sim_life_spawn(sl_sim_process_of_driver(d), by, what, options, ret_addr);
}

void
sl_sim_effect_stop(struct sl_driver *d, struct sl_addr who, enum sl_err reason)
{
    struct sl_sim_actor *a = actor_of(sl_sim_process_of_driver(d), who);
    if (a->ending == 0)
        a->ending = (uint8_t)(reason + 1);
}

void
sl_sim_effect_link(struct sl_driver *d, struct sl_addr who, struct sl_addr to, bool is_linked)
{
    struct sl_sim_process *p = sl_sim_process_of_driver(d);
    struct sl_relations *r = relations_of(actor_of(p, who));
    bool is_new = is_linked ? sl_addr_set_add(&r->links, to) : sl_addr_set_remove(&r->links, to);
    if (!is_new)
        return;
    struct sl_msg *msg = sl_msg_create(is_linked ? SL_M_link : SL_M_unlink, NULL);
    msg->from = who;
    msg->to = to;
    d->ops->send(d, msg);
}

uint64_t
sl_sim_effect_call(struct sl_driver *d, struct sl_msg *msg, uint64_t timeout_ns)
{
    struct sl_sim_process *p = sl_sim_process_of_driver(d);
    struct sl_sim_actor *a = actor_of(p, msg->from);
    struct sl_relations *r = relations_of(a);
    uint64_t now_ns = sl_sim_process_ns(p);
    struct sl_call call = {.deadline_ns =
                               timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns,
                           .request = sl_relations_call_number(r, a->number),
                           .to = msg->to};
    if (sl_call_table_add(&r->calls, &call) != SL_OK) {
        sl_msg_destroy(&msg);
        return 0;
    }
    arm(p, a);
    msg->request = call.request;
    d->ops->send(d, msg);
    return call.request;
}

void
sl_sim_fail(struct sl_sim *sim, uint32_t process, uint32_t actor, enum sl_err reason)
{
    struct sl_sim_process *p = sl_sim_process_of(sim, process);
    struct sl_sim_actor *a = p->is_alive ? sl_sim_actor_lookup(p, actor) : NULL;
    sl_assert(!p->is_running && reason != SL_OK);
    if (a == NULL)
        return;
    a->ending = (uint8_t)(reason + 1);
    sl_sim_life_end(p, a);
    sl_sim_at(sim, 0, NULL, NULL, process); /* Those that are to know hear of it. */
}
