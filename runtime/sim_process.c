/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_state.h"

#include "runtime/alloc.h"

/* ---- clocks -------------------------------------------------------------------------------- */

uint64_t
sl_sim_process_ns(const struct sl_sim_process *p)
{
    uint64_t passed_ns = p->sim->now_ns - p->base_at_ns;
    int64_t drift_ns = (int64_t)(passed_ns / 1000) * p->rate_ppm / 1000;
    return p->base_ns + passed_ns + (uint64_t)drift_ns;
}

uint64_t
sl_sim_process_delay(const struct sl_sim_process *p, uint64_t delay_ns)
{
    if (p->rate_ppm == 0)
        return delay_ns;
    double rate = 1 + (double)p->rate_ppm / 1e6;
    return (uint64_t)((double)delay_ns / rate) + 2000;
}

/* ---- processes ----------------------------------------------------------------------------- */

uint32_t
sl_sim_start(struct sl_sim *sim, uint32_t node, struct sl_store *store)
{
    struct sl_sim_process *p = sl_zalloc(sizeof(*p));
    p->driver.ops = &sl_sim_effects;
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

static void
free_work(struct sl_sim_process *p)
{
    for (struct sl_sim_work *held = p->work_oldest, *next; held != NULL; held = next) {
        next = held->next;
        sl_free(held);
    }
    p->work_oldest = NULL;
    p->work_tail = &p->work_oldest;
}

void
sl_sim_kill(struct sl_sim *sim, uint32_t process)
{
    struct sl_sim_process *p = sl_sim_process_of(sim, process);
    if (!p->is_alive)
        return;
    sl_assert(!p->is_running);
    p->is_alive = false;
    p->killed_ns = sim->now_ns;
    uint64_t lost_ns = sl_sim_between(sim, 0, sim->options.delay_max_ns);
    p->lost_after_ns = sim->now_ns - SL_MIN(lost_ns, sim->now_ns);
    sl_sim_life_drop(p);
    sl_msg_list_clear(&p->inbox);
    sl_msg_list_clear(&p->local);
    sl_msg_list_clear(&p->held);
    free_work(p);
}

bool
sl_sim_is_alive(const struct sl_sim *sim, uint32_t process)
{
    return process != SL_SIM_NO_PROCESS && sl_sim_process_of(sim, process)->is_alive;
}

uint32_t
sl_sim_node(const struct sl_sim *sim, uint32_t process)
{
    return sl_sim_process_of(sim, process)->node;
}

uint32_t
sl_sim_actors(const struct sl_sim *sim, uint32_t process)
{
    return sl_sim_process_of(sim, process)->actors_count;
}

void *
sl_sim_state(struct sl_sim *sim, uint32_t process, uint32_t actor)
{
    struct sl_sim_actor *a = sl_sim_actor_lookup(sl_sim_process_of(sim, process), actor);
    return a == NULL ? NULL : a->state;
}

void
sl_sim_stall(struct sl_sim *sim, uint32_t process, uint64_t duration_ns)
{
    struct sl_sim_process *p = sl_sim_process_of(sim, process);
    p->stalled_until_ns = SL_MAX(p->stalled_until_ns, sim->now_ns + duration_ns);
}

/* ---- links --------------------------------------------------------------------------------- */

struct sl_sim_link *
sl_sim_link_lookup(const struct sl_sim_process *p, uint32_t node)
{
    uint32_t place = sl_sim_link_place(p->links, p->links_count, node);
    return place < p->links_count && p->links[place].node == node ? &p->links[place] : NULL;
}

static void
link_one_way(struct sl_sim_process *from, const struct sl_sim_process *to)
{
    struct sl_sim *sim = from->sim;
    struct sl_sim_link *l = sl_sim_link_lookup(from, to->node);
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
    struct sl_sim_process *pa = sl_sim_process_of(sim, a), *pb = sl_sim_process_of(sim, b);
    sl_assert(pa->is_alive && pb->is_alive && pa->node != pb->node);
    link_one_way(pa, pb);
    link_one_way(pb, pa);
}

static void
unlink_one_way(struct sl_sim_process *from, const struct sl_sim_process *to)
{
    struct sl_sim_link *l = sl_sim_link_lookup(from, to->node);
    if (l == NULL || l->process != to->id)
        return;
    l->session->is_over = true;
    from->links_count--;
    memmove(l, l + 1, (from->links_count - (size_t)(l - from->links)) * sizeof(*l));
}

void
sl_sim_unlink(struct sl_sim *sim, uint32_t a, uint32_t b)
{
    struct sl_sim_process *pa = sl_sim_process_of(sim, a), *pb = sl_sim_process_of(sim, b);
    unlink_one_way(pa, pb);
    unlink_one_way(pb, pa);
}

static struct sl_sim_link *
link_between(struct sl_sim *sim, uint32_t from, uint32_t to)
{
    struct sl_sim_link *l =
        sl_sim_link_lookup(sl_sim_process_of(sim, from), sl_sim_process_of(sim, to)->node);
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
    struct sl_sim_process *p = sl_sim_process_of(sim, process);
    p->base_ns = sl_sim_process_ns(p);
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
    sl_assert(port < SL_SIM_PORTS_MAX && sim->ports[port].take == NULL);
    sim->ports[port] = (struct sl_sim_port){take, arg};
}

void
sl_sim_post(struct sl_sim *sim, uint32_t process, uint32_t actor, uint64_t delay_ns,
            struct sl_msg *msg)
{
    msg->to = (struct sl_addr){.actor = actor};
    sl_sim_events_add(
        &sim->events, sim->now_ns + delay_ns,
        &(struct sl_sim_event){.kind = SL_SIM_ARRIVE, .process = process, .msg = msg});
}
