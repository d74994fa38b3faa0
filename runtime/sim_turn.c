/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_state.h"

#include "runtime/alloc.h"
#include "runtime/report.h"

#define BATCH_MAX 512 /* As in live.c. */

/* ---- effects ------------------------------------------------------------------------------- */

static bool
is_of_relations(const struct sl_msg *msg)
{
    return msg->id == SL_M_watch || msg->id == SL_M_unwatch || msg->id == SL_M_link ||
           msg->id == SL_M_unlink || msg->id == SL_M_exit;
}

static void
effect_send(struct sl_driver *d, struct sl_msg *msg)
{
    struct sl_sim_process *p = sl_sim_process_of_driver(d);
    if (p->sim->options.observe != NULL)
        p->sim->options.observe(p->sim->options.arg, SL_SIM_SENT, p->id, msg);
    bool is_local = msg->to.node == 0 || msg->to.node == p->node;
    if (!is_local && is_of_relations(msg)) /* As in live.c: nobody is watched from afar yet. */
        sl_sim_refuse(p, msg, SL_EUNAVAIL);
    else
        sl_msg_list_push(is_local ? &p->local : &p->held, msg);
}

static void
effect_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct sl_sim_process *p = sl_sim_process_of_driver(d);
    uint64_t now_ns = p->sim->now_ns, took_ns = sl_sim_process_delay(p, delay_ns);
    uint64_t at_ns = took_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + took_ns;
    uint64_t local = sl_sim_process_ns(p);
    struct sl_sim_event e = {.kind = SL_SIM_TIMER,
                             .process = p->id,
                             .actor = who.actor,
                             .sent_ns =
                                 delay_ns > UINT64_MAX - local ? UINT64_MAX : local + delay_ns,
                             .value = token};
    sl_sim_events_add(&p->sim->events, at_ns, &e);
}

static void
effect_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
            uint64_t token)
{
    struct sl_sim_process *p = sl_sim_process_of_driver(d);
    struct sl_sim_work *held = sl_alloc(sizeof(*held));
    *held = (struct sl_sim_work){
        .work = work, .argument = argument, .token = token, .actor = who.actor};
    *p->work_tail = held;
    p->work_tail = &held->next;
}

const struct sl_driver_ops sl_sim_effects = {
    .send = effect_send,
    .after = effect_after,
    .work = effect_work,
    .spawn = sl_sim_effect_spawn,
    .stop = sl_sim_effect_stop,
    .link = sl_sim_effect_link,
    .call = sl_sim_effect_call,
};

/* ---- running a process --------------------------------------------------------------------- */

struct sl_ctx
sl_sim_context(struct sl_sim_process *p, uint32_t actor)
{
    return (struct sl_ctx){.self = {.node = p->node, .actor = actor},
                           .now_ns = sl_sim_process_ns(p),
                           .now_ms = sl_sim_now_ms(p->sim) + (uint64_t)p->wall_ms,
                           .random = &p->sim->random,
                           .store = p->store,
                           .driver = &p->driver};
}

static void
deliver(struct sl_sim_process *p, struct sl_msg *msg)
{
    const struct sl_sim_options *o = &p->sim->options;
    if (o->observe != NULL)
        o->observe(o->arg, SL_SIM_DELIVERED, p->id, msg);
    if (o->tamper != NULL)
        o->tamper(o->arg, p->id, &msg);
    struct sl_sim_actor *a = sl_sim_actor_lookup(p, msg->to.actor);
    if (a == NULL) {
        sl_sim_refuse(p, msg, sl_sim_gone(msg->to.actor));
        return;
    }
    struct sl_ctx ctx = sl_sim_context(p, a->number);
    if (sl_sim_life_take(p, a, &ctx, msg))
        a->class->handle(a->state, &ctx, msg);
    if (o->observe != NULL)
        o->observe(o->arg, SL_SIM_HANDLED, p->id, msg);
    if (a->ending != 0)
        sl_sim_life_end(p, a);
    sl_msg_destroy(&msg);
}

static struct sl_msg *
copy_of(const struct sl_msg *msg)
{
    struct sl_msg *copy = sl_msg_create(msg->id, msg->body);
    copy->to = msg->to;
    copy->from = msg->from;
    copy->request = msg->request;
    return copy;
}

/* As in live.c; it has its turn with the next batch. */
static void
return_message(struct sl_sim_process *p, struct sl_msg *msg, enum sl_err reason)
{
    p->sim->counts.refused++;
    sl_msg_list_push(&p->inbox, sl_msg_undelivered(msg, reason));
    sl_msg_destroy(&msg);
}

static void
send_over_link(struct sl_sim_process *p, struct sl_msg *msg)
{
    struct sl_sim *sim = p->sim;
    struct sl_sim_link *l = sl_sim_link_lookup(p, msg->to.node);
    struct sl_sim_network network = {.random = &sim->random,
                                     .now_ns = sim->now_ns,
                                     .delay_min_ns = sim->options.delay_min_ns,
                                     .delay_max_ns = sim->options.delay_max_ns};
    struct sl_sim_frames frames = {0};
    if (l == NULL || !sl_sim_link_has_room(l, sim->now_ns)) {
        return_message(p, msg, l == NULL ? SL_ENOTFOUND : SL_EFULL);
        return;
    }
    sl_sim_link_send(l, &network, &sim->counts, &frames);
    if (frames.count == 0) {
        sl_msg_destroy(&msg);
        return;
    }
    l->session->bytes += sl_msg_size(msg);
    struct sl_sim_event e = {.kind = SL_SIM_ARRIVE,
                             .process = l->process,
                             .sender = p->id,
                             .sent_ns = sim->now_ns,
                             .session = l->session,
                             .value = frames.number};
    for (uint32_t i = frames.count; i-- > 0;) {
        e.msg = i == 0 ? msg : copy_of(msg);
        sl_sim_events_add(&sim->events, frames.at_ns[i], &e);
    }
}

static void
release_work(struct sl_sim_process *p)
{
    struct sl_sim *sim = p->sim;
    struct sl_sim_work *held;
    while (p->is_alive && (held = p->work_oldest) != NULL) {
        p->work_oldest = held->next;
        if (p->work_oldest == NULL)
            p->work_tail = &p->work_oldest;
        held->work(held->argument);
        struct sl_m_work_done body = {.token = held->token,
                                      .argument = (uint64_t)(uintptr_t)held->argument};
        uint64_t took_ns = sl_sim_between(sim, SL_MILLI_NS, 200 * SL_MILLI_NS);
        sl_sim_post(sim, p->id, held->actor, took_ns, sl_msg_create(SL_M_work_done, &body));
        sl_free(held);
    }
}

/* As in live.c: a message of a level that is content with less goes before the sync. */
static bool
is_loose(const struct sl_msg *msg, enum sl_level level)
{
    bool is_process = msg->id == SL_M_spawn || msg->id == SL_M_spawn_kill;
    return msg->level == level && (msg->to.node != SL_NODE_PORT || is_process);
}

static void
let_go(struct sl_sim_process *p, struct sl_msg *msg)
{
    if (msg->to.node != SL_NODE_PORT) {
        send_over_link(p, msg);
        return;
    }
    const struct sl_sim_port *port =
        msg->to.actor < SL_SIM_PORTS_MAX ? &p->sim->ports[msg->to.actor] : NULL;
    if (port != NULL && port->take != NULL)
        port->take(port->arg, p->id, msg);
    else
        sl_msg_destroy(&msg);
}

static void
release_loose(struct sl_sim_process *p, enum sl_level level)
{
    struct sl_msg_list all = p->held; /* Its end is right once it has a message. */
    if (all.oldest == NULL)
        return;
    sl_msg_list_init(&p->held);
    for (struct sl_msg *msg; (msg = sl_msg_list_pop(&all)) != NULL;) {
        if (is_loose(msg, level))
            let_go(p, msg);
        else
            sl_msg_list_push(&p->held, msg);
    }
}

static bool
has_loose(const struct sl_sim_process *p, enum sl_level level)
{
    const struct sl_msg *msg = p->held.oldest;
    while (msg != NULL && !is_loose(msg, level))
        msg = msg->next;
    return msg != NULL;
}

/* False: the store cannot write, and the process is to be killed. */
static bool
let_loose(struct sl_sim_process *p)
{
    release_loose(p, SL_LEVEL_RAM);
    if (!has_loose(p, SL_LEVEL_OS))
        return true;
    enum sl_err err = sl_store_write(p->store);
    if (err == SL_OK)
        release_loose(p, SL_LEVEL_OS);
    else
        p->sim->options.failed(p->sim->options.arg, p->id, err);
    return err == SL_OK;
}

/* A port may kill the process that it hears from. */
static void
release_held(struct sl_sim_process *p)
{
    for (struct sl_msg *msg; p->is_alive && (msg = sl_msg_list_pop(&p->held)) != NULL;)
        let_go(p, msg);
    release_work(p);
}

void
sl_sim_tick_store(struct sl_sim_process *p, bool is_idle)
{
    if (!p->is_alive || p->store == NULL)
        return;
    uint64_t delay_ns = sl_store_tick(p->store, p->sim->now_ns, is_idle);
    uint64_t at_ns = delay_ns == UINT64_MAX ? UINT64_MAX : p->sim->now_ns + delay_ns;
    if (at_ns < p->tick_at_ns)
        sl_sim_events_add(&p->sim->events, at_ns,
                          &(struct sl_sim_event){.kind = SL_SIM_TICK, .process = p->id});
    p->tick_at_ns = SL_MIN(at_ns, p->tick_at_ns);
    /* What a live driver has a thread do. Without room it is tried again. */
    struct sl_log *log = sl_store_log(p->store);
    if (log != NULL && sl_log_wants_prepare(log) && sl_log_prepare(log) != SL_OK)
        sl_report_debug("log-prepare-failed", "process=%u", p->id);
}

static void
run_batch(struct sl_sim_process *p)
{
    p->is_running = true;
    for (uint32_t ran = 0; ran < BATCH_MAX; ran++) {
        struct sl_msg *msg = sl_msg_list_pop(&p->local);
        p->sim->events_count += msg != NULL; /* Others were counted when they came. */
        if (msg == NULL)
            msg = sl_msg_list_pop(&p->inbox);
        if (msg == NULL)
            break;
        deliver(p, msg);
    }
    p->is_running = false;
}

void
sl_sim_run(struct sl_sim_process *p)
{
    struct sl_sim *sim = p->sim;
    while (p->is_alive && !p->is_syncing &&
           (p->inbox.oldest != NULL || p->local.oldest != NULL || p->held.oldest != NULL ||
            p->work_oldest != NULL)) {
        run_batch(p);
        if (p->store != NULL && sl_store_is_dirty(p->store)) {
            uint64_t took_ns =
                sl_sim_between(sim, sim->options.sync_min_ns, sim->options.sync_max_ns);
            p->is_syncing = true;
            if (!let_loose(p))
                return;
            sl_sim_events_add(&sim->events, sim->now_ns + took_ns,
                              &(struct sl_sim_event){.kind = SL_SIM_SYNC, .process = p->id});
            if (!sim->options.is_unheld)
                return;
        }
        release_held(p);
        sl_sim_tick_store(p, false);
    }
}

void
sl_sim_finish_sync(struct sl_sim_process *p)
{
    enum sl_err err = sl_store_sync(p->store);
    if (err != SL_OK) {
        /* Nothing of what was held may go out: it stays, and dies with the process. */
        p->sim->options.failed(p->sim->options.arg, p->id, err);
        return;
    }
    p->is_syncing = false;
    release_held(p);
    sl_sim_tick_store(p, false);
    sl_sim_run(p);
}

uint32_t
sl_sim_spawn(struct sl_sim *sim, uint32_t process, uint32_t actor,
             const struct sl_actor_class *class, const void *argument)
{
    struct sl_sim_process *p = sl_sim_process_of(sim, process);
    struct sl_spawn_what what = {class, argument};
    struct sl_spawn_options options = {.number = actor};
    struct sl_addr addr;
    sl_assert(p->is_alive);
    p->is_running = true;
    enum sl_err err = sl_sim_life_spawn(p, NULL, &what, &options, &addr);
    p->is_running = false;
    sl_assert(err == SL_OK);
    /* What it sent goes with the next event of the process: all its actors are there then. */
    sl_sim_at(sim, 0, NULL, NULL, process);
    return addr.actor;
}
