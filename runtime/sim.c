/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that will happen lies in one heap of events, ordered by time and then by the order of
 * making. Nothing else decides what runs next, and every random number comes from one seeded
 * source, so equal seeds give equal runs; the hash over all events shows it.
 */
#include "runtime/sim.h"

#include <inttypes.h>
#include <stdarg.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/mailbox.h"
#include "runtime/report.h"
#include "runtime/sim_events.h"
#include "runtime/sim_link.h"
#include "runtime/sim_trace.h"

#define ACTORS_MAX 8 /* Of a process. */
#define PORTS_MAX  16
#define BATCH_MAX  512 /* As in live.c. */
#define NO_PROCESS 0

struct actor {
    uint32_t number;
    const struct sl_actor_class *class;
    void *state;
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
    struct sl_sim_link *links; /* By node. */
    uint32_t links_count;
    struct sl_msg_list inbox, local, held;
    struct held_work *work_oldest, **work_tail;
    uint64_t stalled_until_ns;
    uint64_t killed_ns, lost_after_ns; /* Once dead: what it sent later than this is lost. */
    uint64_t tick_at_ns;
    /* Its own clocks: at base_at_ns of ours the monotonic one showed base_ns. */
    uint64_t base_at_ns, base_ns;
    int64_t rate_ppm, wall_ms;
};

struct port {
    void (*take)(void *arg, uint32_t process, struct sl_msg *msg);
    void *arg;
};

struct sl_sim {
    struct sl_sim_options options;
    struct sl_random random;
    struct sl_sim_events events;
    struct sl_sim_session *sessions;
    struct sl_sim_link_counts counts;
    uint64_t now_ns, events_count, hash;
    struct process **processes; /* Process n at n - 1, dead ones too. */
    uint32_t processes_count;
    struct port ports[PORTS_MAX];
    struct sl_buf scratch;
    struct sl_sim_trace trace;
};

/* ---- small parts --------------------------------------------------------------------------- */

static struct process *
process_of(const struct sl_sim *sim, uint32_t id)
{
    sl_assert(id > NO_PROCESS && id <= sim->processes_count);
    return sim->processes[id - 1];
}

static void
add_event(struct sl_sim *sim, uint64_t at_ns, const struct sl_sim_event *e)
{
    sl_sim_events_add(&sim->events, at_ns, e);
}

uint64_t
sl_sim_between(struct sl_sim *sim, uint64_t min, uint64_t max)
{
    sl_assert(min <= max);
    return min + sl_random_below(&sim->random, max - min + 1);
}

static struct sl_sim_link *
link_lookup(const struct process *p, uint32_t node)
{
    uint32_t place = sl_sim_link_place(p->links, p->links_count, node);
    return place < p->links_count && p->links[place].node == node ? &p->links[place] : NULL;
}

/* ---- what happened ------------------------------------------------------------------------- */

static void
mix(struct sl_sim *sim, uint64_t value)
{
    sim->hash = (sim->hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    sim->hash ^= sim->hash >> 29;
}

/* All but addresses of memory, which differ between runs. */
static void
mix_msg(struct sl_sim *sim, const struct sl_msg *msg)
{
    const unsigned char *at = msg->body;
    mix(sim, (uint64_t)msg->id << 32 ^ (uint64_t)msg->from.node << 16 ^ msg->to.actor);
    mix(sim, msg->request);
    for (uint8_t i = 0; i < msg->type->fields_count; i++) {
        struct sl_slice bytes;
        uint64_t value;
        if (msg->type->fields[i] == SL_BYTES) {
            memcpy(&bytes, at, sizeof(bytes));
            value = bytes.size == 0 ? 0 : sl_hash64(bytes);
            at += sizeof(bytes);
        } else {
            memcpy(&value, at, sizeof(value));
            at += sizeof(value);
        }
        bool is_address = msg->id == SL_M_work_done && i == 1;
        mix(sim, is_address ? 0 : value);
    }
}

/* Take note of an event. */
static void
note(struct sl_sim *sim, const struct sl_sim_event *e)
{
    sim->events_count++;
    mix(sim, sim->now_ns);
    mix(sim, (uint64_t)e->kind << 48 ^ (uint64_t)e->process << 24 ^ e->sender);
    mix(sim, e->value);
    if (e->msg == NULL)
        return;
    mix_msg(sim, e->msg);
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
    va_list args;
    va_start(args, format);
    sl_sim_trace_add(&sim->trace, sim->now_ns, format, args);
    va_end(args);
}

void
sl_sim_trace(const struct sl_sim *sim, struct sl_buf *out)
{
    sl_sim_trace_read(&sim->trace, out);
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

/* What a process' own clock shows. */
static uint64_t
local_ns(const struct process *p)
{
    uint64_t passed_ns = p->sim->now_ns - p->base_at_ns;
    int64_t drift_ns = (int64_t)(passed_ns / 1000) * p->rate_ppm / 1000;
    return p->base_ns + passed_ns + (uint64_t)drift_ns;
}

/* How long that is for us; never so short that its clock would show less. */
static uint64_t
real_ns(const struct process *p, uint64_t delay_ns)
{
    if (p->rate_ppm == 0)
        return delay_ns;
    double rate = 1 + (double)p->rate_ppm / 1e6;
    return (uint64_t)((double)delay_ns / rate) + 2000;
}

static void
effect_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct process *p = process_of_driver(d);
    uint64_t now_ns = p->sim->now_ns, took_ns = real_ns(p, delay_ns);
    uint64_t at_ns = took_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + took_ns;
    uint64_t local = local_ns(p);
    struct sl_sim_event e = {.kind = SL_SIM_TIMER,
                             .process = p->id,
                             .actor = who.actor,
                             .sent_ns =
                                 delay_ns > UINT64_MAX - local ? UINT64_MAX : local + delay_ns,
                             .value = token};
    add_event(p->sim, at_ns, &e);
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
    p->base_at_ns = p->base_ns = sim->now_ns;
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
                           .now_ns = local_ns(p),
                           .now_ms = sl_sim_now_ms(p->sim) + (uint64_t)p->wall_ms,
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
    struct sl_sim *sim = from->sim;
    struct sl_sim_link *l = link_lookup(from, to->node);
    if (l == NULL) {
        from->links = sl_realloc(from->links, (from->links_count + 1) * sizeof(from->links[0]));
        l = &from->links[sl_sim_link_place(from->links, from->links_count, to->node)];
        memmove(l + 1, l, (from->links_count - (size_t)(l - from->links)) * sizeof(*l));
        from->links_count++;
    }
    struct sl_sim_session *session = sl_zalloc(sizeof(*session));
    session->next = sim->sessions;
    sim->sessions = session;
    *l = (struct sl_sim_link){.node = to->node, .process = to->id, .session = session};
}

void
sl_sim_link(struct sl_sim *sim, uint32_t a, uint32_t b)
{
    struct process *pa = process_of(sim, a), *pb = process_of(sim, b);
    sl_assert(pa->is_alive && pb->is_alive && pa->node != pb->node);
    link_one_way(pa, pb);
    link_one_way(pb, pa);
}

static struct sl_sim_link *
link_between(struct sl_sim *sim, uint32_t from, uint32_t to)
{
    struct sl_sim_link *l = link_lookup(process_of(sim, from), process_of(sim, to)->node);
    return l == NULL || l->process != to ? NULL : l;
}

void
sl_sim_cut(struct sl_sim *sim, uint32_t a, uint32_t b, uint64_t duration_ns, uint32_t how)
{
    struct sl_sim_link *links[] = {link_between(sim, a, b), link_between(sim, b, a)};
    for (int i = 0; i < ((how & SL_SIM_CUT_ONE_WAY) != 0 ? 1 : 2); i++) {
        if (links[i] == NULL)
            continue;
        links[i]->cut_until_ns = sim->now_ns + duration_ns;
        links[i]->is_lossy = (how & SL_SIM_CUT_LOSSY) != 0;
    }
}

void
sl_sim_weather(struct sl_sim *sim, uint32_t a, uint32_t b, const struct sl_sim_weather *weather)
{
    struct sl_sim_link *links[] = {link_between(sim, a, b), link_between(sim, b, a)};
    for (int i = 0; i < 2; i++) {
        if (links[i] != NULL)
            links[i]->weather = *weather;
    }
}

void
sl_sim_skew(struct sl_sim *sim, uint32_t process, int64_t rate_ppm, int64_t wall_ms)
{
    struct process *p = process_of(sim, process);
    p->base_ns = local_ns(p);
    p->base_at_ns = sim->now_ns;
    p->rate_ppm = rate_ppm;
    p->wall_ms = wall_ms;
}

void
sl_sim_link_counts(const struct sl_sim *sim, struct sl_sim_link_counts *ret_counts)
{
    *ret_counts = sim->counts;
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
              &(struct sl_sim_event){.kind = SL_SIM_ARRIVE, .process = process, .msg = msg});
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
    if (o->observe != NULL)
        o->observe(o->arg, SL_SIM_HANDLED, p->id, msg);
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

static void
send_over_link(struct process *p, struct sl_msg *msg)
{
    struct sl_sim *sim = p->sim;
    struct sl_sim_link *l = link_lookup(p, msg->to.node);
    struct sl_sim_network network = {.random = &sim->random,
                                     .now_ns = sim->now_ns,
                                     .delay_min_ns = sim->options.delay_min_ns,
                                     .delay_max_ns = sim->options.delay_max_ns};
    struct sl_sim_frames frames = {0};
    if (l != NULL)
        sl_sim_link_send(l, &network, &sim->counts, &frames);
    if (frames.count == 0) {
        sl_msg_destroy(&msg);
        return;
    }
    struct sl_sim_event e = {.kind = SL_SIM_ARRIVE,
                             .process = l->process,
                             .sender = p->id,
                             .sent_ns = sim->now_ns,
                             .session = l->session,
                             .value = frames.number};
    for (uint32_t i = frames.count; i-- > 0;) {
        e.msg = i == 0 ? msg : copy_of(msg);
        add_event(sim, frames.at_ns[i], &e);
    }
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
        add_event(p->sim, at_ns, &(struct sl_sim_event){.kind = SL_SIM_TICK, .process = p->id});
    p->tick_at_ns = SL_MIN(at_ns, p->tick_at_ns);
}

static void
run_batch(struct process *p)
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
            add_event(sim, sim->now_ns + took_ns,
                      &(struct sl_sim_event){.kind = SL_SIM_SYNC, .process = p->id});
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
              &(struct sl_sim_event){.kind = SL_SIM_CALL, .fn = fn, .arg = arg, .value = value});
}

/* Whether the message was lost with its sender, or with who should have had it. */
static bool
is_lost(const struct sl_sim *sim, const struct sl_sim_event *e)
{
    if (!process_of(sim, e->process)->is_alive)
        return true;
    if (e->sender == NO_PROCESS)
        return false;
    const struct process *sender = process_of(sim, e->sender);
    return !sender->is_alive && e->sent_ns >= sender->lost_after_ns;
}

static void
take_timer(struct process *p, const struct sl_sim_event *e)
{
    struct sl_msg *msg = sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = e->value});
    msg->to = msg->from = (struct sl_addr){.node = p->node, .actor = e->actor};
    sl_msg_list_push(&p->inbox, msg);
}

static void
run_event(struct sl_sim *sim, struct sl_sim_event *e)
{
    struct process *p = e->process == NO_PROCESS ? NULL : process_of(sim, e->process);
    switch (e->kind) {
    case SL_SIM_ARRIVE:
        if (e->session == NULL)
            sl_msg_list_push(&p->inbox, e->msg);
        else
            sl_sim_session_take(e->session, e->value, e->msg, &p->inbox);
        e->msg = NULL;
        run(p);
        break;
    case SL_SIM_TIMER:
        take_timer(p, e);
        run(p);
        break;
    case SL_SIM_SYNC:
        finish_sync(p);
        break;
    case SL_SIM_TICK:
        if (p->tick_at_ns <= sim->now_ns)
            p->tick_at_ns = UINT64_MAX;
        if (!p->is_syncing) /* Else the end of the sync ticks. */
            tick_store(p, true);
        break;
    case SL_SIM_CALL:
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
    uint64_t at_ns;
    struct sl_sim_event *e = sl_sim_events_pop(&sim->events, &at_ns);
    if (e == NULL || at_ns == UINT64_MAX) {
        if (e != NULL)
            sl_sim_events_again(&sim->events, at_ns, e);
        return false;
    }
    sim->now_ns = SL_MAX(sim->now_ns, at_ns);
    struct process *p = e->process == NO_PROCESS ? NULL : process_of(sim, e->process);
    if (p != NULL && p->is_alive && p->stalled_until_ns > sim->now_ns) {
        sl_sim_events_again(&sim->events, p->stalled_until_ns, e);
        return true;
    }
    if (e->kind == SL_SIM_TIMER && p->is_alive && local_ns(p) < e->sent_ns) {
        /* Its clock has become slower since. */
        sl_sim_events_again(&sim->events, sim->now_ns + real_ns(p, e->sent_ns - local_ns(p)), e);
        return true;
    }
    if (p == NULL || !is_lost(sim, e)) {
        note(sim, e);
        run_event(sim, e);
    }
    sl_msg_destroy(&e->msg);
    sl_sim_events_release(&sim->events, e);
    return true;
}

uint64_t
sl_sim_now_ns(const struct sl_sim *sim)
{
    return sim->now_ns;
}

uint64_t
sl_sim_local_ns(const struct sl_sim *sim, uint32_t process)
{
    return local_ns(process_of(sim, process));
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
    sl_sim_trace_init(&sim->trace, options->trace_lines);
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
    sl_sim_trace_deinit(&sim->trace);
    sl_sim_events_deinit(&sim->events);
    sl_sim_session_destroy(&sim->sessions);
    sl_buf_deinit(&sim->scratch);
    sl_free(sim->processes);
    sl_free(sim);
    *sim_arg = NULL;
}
