/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that will happen lies in one heap of events, ordered by time and then by the order of
 * making. Nothing else decides what runs next, and every random number comes from one seeded
 * source, so equal seeds give equal runs; the hash over all events shows it.
 */
#include "runtime/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/mailbox.h"
#include "runtime/report.h"
#include "runtime/timers.h"

#define ACTORS_MAX 8 /* Of a process. */
#define PORTS_MAX  16
#define BATCH_MAX  512 /* As in live.c. */
#define NO_PROCESS 0

enum event_kind { ARRIVE, TIMER, SYNC, TICK, CALL };

struct event {
    enum event_kind kind;
    uint32_t process; /* Of a CALL: NO_PROCESS. */
    uint32_t sender;  /* Of an ARRIVE: who sent it, NO_PROCESS when it was posted. */
    uint64_t sent_ns;
    struct sl_msg *msg; /* Of ARRIVE and TIMER, owned. */
    void (*fn)(void *arg, uint64_t value);
    void *arg;
    uint64_t value;
};

struct actor {
    uint32_t number;
    const struct sl_actor_class *class;
    void *state;
};

/* One direction of a link. */
struct sim_link {
    uint32_t node, process;
    uint64_t last_ns; /* When the last message arrives: later ones arrive later. */
    uint64_t cut_until_ns;
    bool is_lossy;
};

struct held_work {
    struct held_work *next;
    void (*work)(void *argument);
    void *argument;
    uint64_t token;
    uint32_t actor;
};

struct process {
    struct sl_driver driver; /* First: effects come back by it. */
    struct sl_sim *sim;
    uint32_t id, node;
    bool is_alive, is_syncing, is_running;
    struct sl_store *store;
    struct actor actors[ACTORS_MAX];
    uint32_t actors_count;
    struct sim_link *links;
    uint32_t links_count;
    struct sl_msg_list inbox, local, held;
    struct held_work *work_oldest, **work_tail;
    uint64_t stalled_until_ns;
    uint64_t killed_ns, lost_after_ns; /* Once dead: what it sent later than this is lost. */
    uint64_t tick_at_ns;
};

struct port {
    void (*take)(void *arg, uint32_t process, struct sl_msg *msg);
    void *arg;
};

struct sl_sim {
    struct sl_sim_options options;
    struct sl_random random;
    struct sl_timers events; /* A timer's token is its event. */
    uint64_t now_ns, events_count, hash;
    struct process **processes; /* Process n at n - 1, dead ones too. */
    uint32_t processes_count;
    struct port ports[PORTS_MAX];
    struct sl_buf scratch;
    struct sl_buf *trace; /* A ring of lines. */
    uint64_t trace_next;
};

/* ---- small parts --------------------------------------------------------------------------- */

static struct process *
process_of(const struct sl_sim *sim, uint32_t id)
{
    sl_assert(id > NO_PROCESS && id <= sim->processes_count);
    return sim->processes[id - 1];
}

static void
add_event(struct sl_sim *sim, uint64_t at_ns, const struct event *e)
{
    struct event *copy = sl_memdup(e, sizeof(*e));
    struct sl_timer timer = {.at_ns = at_ns, .token = (uint64_t)(uintptr_t)copy};
    sl_timers_add(&sim->events, &timer);
}

uint64_t
sl_sim_between(struct sl_sim *sim, uint64_t min, uint64_t max)
{
    sl_assert(min <= max);
    return min + sl_random_below(&sim->random, max - min + 1);
}

static struct sim_link *
link_lookup(const struct process *p, uint32_t node)
{
    for (uint32_t i = 0; i < p->links_count; i++) {
        if (p->links[i].node == node)
            return &p->links[i];
    }
    return NULL;
}

/* ---- what happened ------------------------------------------------------------------------- */

static void
mix(struct sl_sim *sim, const void *data, size_t size)
{
    sim->hash = (sim->hash * UINT64_C(0x9E3779B97F4A7C15)) ^ sl_hash64(sl_slice(data, size));
}

/* Take note of an event: in the hash all but addresses of memory, which differ between runs. */
static void
note(struct sl_sim *sim, const struct event *e)
{
    uint64_t head[] = {sim->now_ns, e->kind, e->process, e->sender, e->value};
    sim->events_count++;
    mix(sim, head, sizeof(head));
    if (e->msg == NULL)
        return;
    sl_buf_clear(&sim->scratch);
    if (e->msg->id == SL_M_work_done)
        sl_buf_append_u64(&sim->scratch, SL_BODY(e->msg, work_done)->token);
    else
        sl_msg_encode(e->msg, &sim->scratch);
    mix(sim, sim->scratch.data, sim->scratch.size);
    if (sim->options.trace_lines == 0)
        return;
    sl_buf_clear(&sim->scratch);
    sl_msg_print(e->msg, &sim->scratch);
    sl_sim_say(sim, "process %u (node %u) <- process %u: %s", e->process,
               sl_sim_node(sim, e->process), e->sender, sl_buf_text(&sim->scratch));
}

void
sl_sim_say(struct sl_sim *sim, const char *format, ...)
{
    char text[512];
    va_list args;
    if (sim->options.trace_lines == 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct sl_buf *line = &sim->trace[sim->trace_next++ % sim->options.trace_lines];
    sl_buf_clear(line);
    sl_buf_printf(line, "%8" PRIu64 ".%06" PRIu64 " ms  %s", sim->now_ns / SL_MILLI_NS,
                  sim->now_ns % SL_MILLI_NS, text);
}

void
sl_sim_trace(const struct sl_sim *sim, struct sl_buf *out)
{
    for (uint64_t i = 0; i < sim->options.trace_lines; i++) {
        const struct sl_buf *line = &sim->trace[(sim->trace_next + i) % sim->options.trace_lines];
        if (line->size == 0)
            continue;
        sl_buf_append_slice(out, sl_buf_slice(line));
        sl_buf_append_u8(out, '\n');
    }
}

/* ---- effects ------------------------------------------------------------------------------- */

static struct process *
process_of_driver(struct sl_driver *d)
{
    return SL_CONTAINER(d, struct process, driver);
}

static void
effect_send(struct sl_driver *d, struct sl_msg *msg)
{
    struct process *p = process_of_driver(d);
    if (p->sim->options.observe != NULL)
        p->sim->options.observe(p->sim->options.arg, SL_SIM_SENT, p->id, msg);
    bool is_local = msg->to.node == 0 || msg->to.node == p->node;
    sl_msg_list_push(is_local ? &p->local : &p->held, msg);
}

static void
effect_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct process *p = process_of_driver(d);
    uint64_t now_ns = p->sim->now_ns;
    uint64_t at_ns = delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
    struct sl_msg *msg = sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = token});
    msg->to = msg->from = who;
    add_event(p->sim, at_ns, &(struct event){.kind = TIMER, .process = p->id, .msg = msg});
}

static void
effect_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
            uint64_t token)
{
    struct process *p = process_of_driver(d);
    struct held_work *held = sl_alloc(sizeof(*held));
    *held =
        (struct held_work){.work = work, .argument = argument, .token = token, .actor = who.actor};
    *p->work_tail = held;
    p->work_tail = &held->next;
}

static const struct sl_driver_ops effects = {
    .send = effect_send,
    .after = effect_after,
    .work = effect_work,
};

/* ---- processes ----------------------------------------------------------------------------- */

uint32_t
sl_sim_start(struct sl_sim *sim, uint32_t node, struct sl_store *store)
{
    struct process *p = sl_zalloc(sizeof(*p));
    p->driver.ops = &effects;
    p->sim = sim;
    p->node = node;
    p->store = store;
    p->is_alive = true;
    p->tick_at_ns = UINT64_MAX;
    sl_msg_list_init(&p->inbox);
    sl_msg_list_init(&p->local);
    sl_msg_list_init(&p->held);
    p->work_tail = &p->work_oldest;
    sim->processes =
        sl_realloc(sim->processes, (sim->processes_count + 1) * sizeof(sim->processes[0]));
    sim->processes[sim->processes_count++] = p;
    p->id = sim->processes_count;
    return p->id;
}

static struct sl_ctx
context_of(struct process *p, uint32_t actor)
{
    return (struct sl_ctx){.self = {.node = p->node, .actor = actor},
                           .now_ns = p->sim->now_ns,
                           .now_ms = sl_sim_now_ms(p->sim),
                           .random = &p->sim->random,
                           .store = p->store,
                           .driver = &p->driver};
}

static struct actor *
actor_lookup(struct process *p, uint32_t number)
{
    for (uint32_t i = 0; i < p->actors_count; i++) {
        if (p->actors[i].number == number)
            return &p->actors[i];
    }
    return NULL;
}

static void
free_work(struct process *p)
{
    for (struct held_work *held = p->work_oldest, *next; held != NULL; held = next) {
        next = held->next;
        sl_free(held);
    }
    p->work_oldest = NULL;
    p->work_tail = &p->work_oldest;
}

void
sl_sim_kill(struct sl_sim *sim, uint32_t process)
{
    struct process *p = process_of(sim, process);
    if (!p->is_alive)
        return;
    sl_assert(!p->is_running);
    p->is_alive = false;
    p->killed_ns = sim->now_ns;
    uint64_t lost_ns = sl_sim_between(sim, 0, sim->options.delay_max_ns);
    p->lost_after_ns = sim->now_ns - SL_MIN(lost_ns, sim->now_ns);
    for (uint32_t i = 0; i < p->actors_count; i++) {
        if (p->actors[i].class->deinit != NULL)
            p->actors[i].class->deinit(p->actors[i].state);
        sl_free(p->actors[i].state);
    }
    p->actors_count = 0;
    sl_msg_list_clear(&p->inbox);
    sl_msg_list_clear(&p->local);
    sl_msg_list_clear(&p->held);
    free_work(p);
    sl_free(p->links);
    p->links = NULL;
    p->links_count = 0;
}

bool
sl_sim_is_alive(const struct sl_sim *sim, uint32_t process)
{
    return process != NO_PROCESS && process_of(sim, process)->is_alive;
}

uint32_t
sl_sim_node(const struct sl_sim *sim, uint32_t process)
{
    return process_of(sim, process)->node;
}

void *
sl_sim_state(struct sl_sim *sim, uint32_t process, uint32_t actor)
{
    struct actor *a = actor_lookup(process_of(sim, process), actor);
    return a == NULL ? NULL : a->state;
}

void
sl_sim_stall(struct sl_sim *sim, uint32_t process, uint64_t duration_ns)
{
    struct process *p = process_of(sim, process);
    p->stalled_until_ns = SL_MAX(p->stalled_until_ns, sim->now_ns + duration_ns);
}

static void
link_one_way(struct process *from, const struct process *to)
{
    struct sim_link *l = link_lookup(from, to->node);
    if (l == NULL) {
        from->links = sl_realloc(from->links, (from->links_count + 1) * sizeof(from->links[0]));
        l = &from->links[from->links_count++];
    }
    *l = (struct sim_link){.node = to->node, .process = to->id};
}

void
sl_sim_link(struct sl_sim *sim, uint32_t a, uint32_t b)
{
    struct process *pa = process_of(sim, a), *pb = process_of(sim, b);
    sl_assert(pa->is_alive && pb->is_alive && pa->node != pb->node);
    link_one_way(pa, pb);
    link_one_way(pb, pa);
}

static void
cut_one_way(struct process *from, const struct process *to, uint64_t until_ns, bool is_lossy)
{
    struct sim_link *l = link_lookup(from, to->node);
    if (l == NULL || l->process != to->id)
        return;
    l->cut_until_ns = until_ns;
    l->is_lossy = is_lossy;
}

void
sl_sim_cut(struct sl_sim *sim, uint32_t a, uint32_t b, uint64_t duration_ns, bool is_lossy)
{
    struct process *pa = process_of(sim, a), *pb = process_of(sim, b);
    cut_one_way(pa, pb, sim->now_ns + duration_ns, is_lossy);
    cut_one_way(pb, pa, sim->now_ns + duration_ns, is_lossy);
}

void
sl_sim_port(struct sl_sim *sim, uint32_t port,
            void (*take)(void *arg, uint32_t process, struct sl_msg *msg), void *arg)
{
    sl_assert(port < PORTS_MAX && sim->ports[port].take == NULL);
    sim->ports[port] = (struct port){take, arg};
}

void
sl_sim_post(struct sl_sim *sim, uint32_t process, uint32_t actor, uint64_t delay_ns,
            struct sl_msg *msg)
{
    msg->to = (struct sl_addr){.actor = actor};
    add_event(sim, sim->now_ns + delay_ns,
              &(struct event){.kind = ARRIVE, .process = process, .msg = msg});
}

/* ---- running a process --------------------------------------------------------------------- */

static void
deliver(struct process *p, struct sl_msg *msg)
{
    const struct sl_sim_options *o = &p->sim->options;
    if (o->observe != NULL)
        o->observe(o->arg, SL_SIM_DELIVERED, p->id, msg);
    if (o->tamper != NULL)
        o->tamper(o->arg, p->id, &msg);
    struct actor *a = actor_lookup(p, msg->to.actor);
    if (a == NULL) {
        sl_report_warn("no-such-actor", "actor=%u message=%s", msg->to.actor, msg->type->name);
    } else {
        struct sl_ctx ctx = context_of(p, a->number);
        a->class->handle(a->state, &ctx, msg);
    }
    sl_msg_destroy(&msg);
}

static void
send_over_link(struct process *p, struct sl_msg *msg)
{
    struct sl_sim *sim = p->sim;
    struct sim_link *l = link_lookup(p, msg->to.node);
    bool is_cut = l != NULL && l->cut_until_ns > sim->now_ns;
    if (l == NULL || (is_cut && l->is_lossy)) {
        sl_msg_destroy(&msg);
        return;
    }
    uint64_t at_ns = is_cut ? l->cut_until_ns : sim->now_ns;
    at_ns += sl_sim_between(sim, sim->options.delay_min_ns, sim->options.delay_max_ns);
    l->last_ns = SL_MAX(l->last_ns, at_ns);
    add_event(sim, l->last_ns,
              &(struct event){.kind = ARRIVE,
                              .process = l->process,
                              .sender = p->id,
                              .sent_ns = sim->now_ns,
                              .msg = msg});
}

static void
release_work(struct process *p)
{
    struct sl_sim *sim = p->sim;
    struct held_work *held;
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

/* A port may kill the process that it hears from. */
static void
release_held(struct process *p)
{
    for (struct sl_msg *msg; p->is_alive && (msg = sl_msg_list_pop(&p->held)) != NULL;) {
        if (msg->to.node != SL_NODE_PORT) {
            send_over_link(p, msg);
            continue;
        }
        const struct port *port = msg->to.actor < PORTS_MAX ? &p->sim->ports[msg->to.actor] : NULL;
        if (port != NULL && port->take != NULL)
            port->take(port->arg, p->id, msg);
        else
            sl_msg_destroy(&msg);
    }
    release_work(p);
}

static void
tick_store(struct process *p, bool is_idle)
{
    if (!p->is_alive || p->store == NULL)
        return;
    uint64_t delay_ns = sl_store_tick(p->store, p->sim->now_ns, is_idle);
    uint64_t at_ns = delay_ns == UINT64_MAX ? UINT64_MAX : p->sim->now_ns + delay_ns;
    if (at_ns < p->tick_at_ns)
        add_event(p->sim, at_ns, &(struct event){.kind = TICK, .process = p->id});
    p->tick_at_ns = SL_MIN(at_ns, p->tick_at_ns);
}

static void
run_batch(struct process *p)
{
    p->is_running = true;
    for (uint32_t ran = 0; ran < BATCH_MAX; ran++) {
        struct sl_msg *msg = sl_msg_list_pop(&p->local);
        if (msg == NULL)
            msg = sl_msg_list_pop(&p->inbox);
        if (msg == NULL)
            break;
        deliver(p, msg);
    }
    p->is_running = false;
}

/* Run batches until nothing is left, or until one has to be synced first. */
static void
run(struct process *p)
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
            add_event(sim, sim->now_ns + took_ns, &(struct event){.kind = SYNC, .process = p->id});
            if (!sim->options.is_unheld)
                return;
        }
        release_held(p);
        tick_store(p, false);
    }
}

static void
finish_sync(struct process *p)
{
    enum sl_err err = sl_store_sync(p->store);
    if (err != SL_OK) {
        /* Nothing of what was held may go out: it stays, and dies with the process. */
        p->sim->options.failed(p->sim->options.arg, p->id, err);
        return;
    }
    p->is_syncing = false;
    release_held(p);
    tick_store(p, false);
    run(p);
}

void
sl_sim_spawn(struct sl_sim *sim, uint32_t process, uint32_t actor,
             const struct sl_actor_class *class, const void *argument)
{
    struct process *p = process_of(sim, process);
    sl_assert(p->is_alive && p->actors_count < ACTORS_MAX && actor_lookup(p, actor) == NULL);
    struct actor *a = &p->actors[p->actors_count++];
    *a = (struct actor){actor, class, sl_zalloc(class->state_size)};
    struct sl_ctx ctx = context_of(p, actor);
    p->is_running = true;
    if (class->init != NULL)
        class->init(a->state, &ctx, argument);
    p->is_running = false;
    /* What it sent goes with the next event of the process: all its actors are there then. */
    sl_sim_at(sim, 0, NULL, NULL, process);
}

/* ---- time ---------------------------------------------------------------------------------- */

void
sl_sim_at(struct sl_sim *sim, uint64_t delay_ns, void (*fn)(void *arg, uint64_t value), void *arg,
          uint64_t value)
{
    add_event(sim, sim->now_ns + delay_ns,
              &(struct event){.kind = CALL, .fn = fn, .arg = arg, .value = value});
}

/* Whether the message was lost with its sender, or with who should have had it. */
static bool
is_lost(const struct sl_sim *sim, const struct event *e)
{
    if (!process_of(sim, e->process)->is_alive)
        return true;
    if (e->sender == NO_PROCESS)
        return false;
    const struct process *sender = process_of(sim, e->sender);
    return !sender->is_alive && e->sent_ns >= sender->lost_after_ns;
}

static void
run_event(struct sl_sim *sim, struct event *e)
{
    struct process *p = e->process == NO_PROCESS ? NULL : process_of(sim, e->process);
    switch (e->kind) {
    case ARRIVE:
    case TIMER:
        sl_msg_list_push(&p->inbox, e->msg);
        e->msg = NULL;
        run(p);
        break;
    case SYNC:
        finish_sync(p);
        break;
    case TICK:
        if (p->tick_at_ns <= sim->now_ns)
            p->tick_at_ns = UINT64_MAX;
        if (!p->is_syncing) /* Else the end of the sync ticks. */
            tick_store(p, true);
        break;
    case CALL:
        if (e->fn != NULL)
            e->fn(e->arg, e->value);
        else
            run(process_of(sim, (uint32_t)e->value));
        break;
    }
}

bool
sl_sim_step(struct sl_sim *sim)
{
    struct sl_timer timer;
    if (!sl_timers_pop(&sim->events, UINT64_MAX - 1, &timer))
        return false;
    struct event *e = (struct event *)(uintptr_t)timer.token;
    sim->now_ns = SL_MAX(sim->now_ns, timer.at_ns);
    struct process *p = e->process == NO_PROCESS ? NULL : process_of(sim, e->process);
    if (p != NULL && p->is_alive && p->stalled_until_ns > sim->now_ns) {
        sl_timers_add(&sim->events,
                      &(struct sl_timer){.at_ns = p->stalled_until_ns, .token = timer.token});
        return true;
    }
    if (p == NULL || !is_lost(sim, e)) {
        note(sim, e);
        run_event(sim, e);
    }
    sl_msg_destroy(&e->msg);
    sl_free(e);
    return true;
}

uint64_t
sl_sim_now_ns(const struct sl_sim *sim)
{
    return sim->now_ns;
}

uint64_t
sl_sim_now_ms(const struct sl_sim *sim)
{
    return sim->options.start_ms + sim->now_ns / SL_MILLI_NS;
}

struct sl_random *
sl_sim_random(struct sl_sim *sim)
{
    return &sim->random;
}

uint64_t
sl_sim_events(const struct sl_sim *sim)
{
    return sim->events_count;
}

uint64_t
sl_sim_hash(const struct sl_sim *sim)
{
    return sim->hash;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct sl_sim *
sl_sim_create(const struct sl_sim_options *options)
{
    struct sl_sim *sim = sl_zalloc(sizeof(*sim));
    sim->options = *options;
    if (options->delay_max_ns == 0) {
        sim->options.delay_min_ns = 20 * SL_MICRO_NS;
        sim->options.delay_max_ns = 2 * SL_MILLI_NS;
    }
    if (options->sync_max_ns == 0) {
        sim->options.sync_min_ns = 50 * SL_MICRO_NS;
        sim->options.sync_max_ns = 5 * SL_MILLI_NS;
    }
    sl_random_seed(&sim->random, options->seed);
    if (options->trace_lines > 0)
        sim->trace = sl_zalloc(options->trace_lines * sizeof(sim->trace[0]));
    return sim;
}

void
sl_sim_destroy(struct sl_sim **sim_arg)
{
    struct sl_sim *sim = *sim_arg;
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < sim->processes_count; i++) {
        sl_sim_kill(sim, i + 1);
        sl_free(sim->processes[i]);
    }
    for (struct sl_timer timer; sl_timers_pop(&sim->events, UINT64_MAX, &timer);) {
        struct event *e = (struct event *)(uintptr_t)timer.token;
        sl_msg_destroy(&e->msg);
        sl_free(e);
    }
    for (uint32_t i = 0; i < sim->options.trace_lines; i++)
        sl_buf_deinit(&sim->trace[i]);
    sl_free(sim->trace);
    sl_timers_deinit(&sim->events);
    sl_buf_deinit(&sim->scratch);
    sl_free(sim->processes);
    sl_free(sim);
    *sim_arg = NULL;
}
