/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_home.h"
#include "actors/simulate_replicas.h"

#include "actors/agent.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/spawn_port.h"

#define REPLICA_ACTOR 1

static void
tell(struct sl_world *w, const struct sl_world_child *c, uint32_t id, const void *body)
{
    if (!sl_sim_is_alive(w->sim, c->asker))
        return;
    uint32_t actor = c->asker == w->main ? SL_ACTOR_HEAD : SL_ACTOR_AGENT;
    uint64_t delay_ns = sl_sim_between(w->sim, 50 * SL_MICRO_NS, 3 * SL_MILLI_NS);
    sl_sim_post(w->sim, c->asker, actor, delay_ns, sl_msg_create(id, body));
}

static void
start_node(struct sl_world *w, const struct sl_world_child *c)
{
    bool is_narrow = w->options.seed % 2 == 0 || sl_world_is_scaled(w->options.seed);
    struct sl_agent_options agent = {.pool = {.node = (uint32_t)c->tag,
                                              .endpoint = "sim",
                                              .plugin_directories = "",
                                              .blob_directory = "",
                                              .threads = 1,
                                              .replicas_max = SL_WORLD_REPLICAS,
                                              .task_ns = SL_WORLD_TASK_NS,
                                              .idle_ns = 20 * SL_SECOND_NS},
                                     .room = is_narrow ? SL_WORLD_ROOM : 0,
                                     .pid = c->pid};
    sl_sim_link(w->sim, c->process, w->main);
    sl_sim_spawn(w->sim, c->process, SL_ACTOR_AGENT, &sl_agent_class, &agent);
}

static void
start_replica(struct sl_world *w, const struct sl_world_child *c)
{
    struct sl_world_replica_options replica = {
        .world = w, .number = (uint32_t)c->tag, .agent = sl_sim_node(w->sim, c->asker)};
    sl_sim_link(w->sim, c->process, c->asker);
    sl_sim_spawn(w->sim, c->process, REPLICA_ACTOR, &sl_world_replica, &replica);
}

static void
run_child(void *world, uint64_t index)
{
    struct sl_world *w = world;
    struct sl_world_child *c = &w->children[index];
    if (c->is_gone || !sl_sim_is_alive(w->sim, c->asker))
        return;
    if (sl_sim_now_ns(w->sim) < w->start_fails_until_ns && c->kind == SL_CHILD_REPLICA &&
        sl_random_below(sl_sim_random(w->sim), 2) == 0) {
        sl_world_end_child(w, (uint32_t)index, 0, 3);
        return;
    }
    c->process = sl_sim_start(w->sim, (uint32_t)c->tag, NULL);
    if (c->kind == SL_CHILD_NODE)
        start_node(w, c);
    else
        start_replica(w, c);
}

static void
fork_child(void *world, uint64_t index)
{
    struct sl_world *w = world;
    struct sl_world_child *c = &w->children[index];
    if (c->is_gone)
        return;
    c->pid = ++w->pid_last;
    tell(w, c, SL_M_child_started, &(struct sl_m_child_started){.tag = c->tag, .pid = c->pid});
    sl_sim_at(w->sim, sl_sim_between(w->sim, SL_MILLI_NS, 80 * SL_MILLI_NS), run_child, w, index);
}

void
sl_world_end_child(struct sl_world *w, uint32_t index, uint64_t signal, int64_t exit_code)
{
    struct sl_world_child *c = &w->children[index];
    if (c->is_gone)
        return;
    c->is_gone = true;
    sl_sim_say(w->sim, "child %u (kind %u, tag %u) ends, signal %u", index, (unsigned)c->kind,
               (unsigned)c->tag, (unsigned)signal);
    if (c->process != 0) {
        sl_sim_kill(w->sim, c->process);
        for (uint32_t i = 0; i < w->children_count; i++) {
            if (w->children[i].asker == c->process)
                sl_world_end_child(w, i, 9, 0);
        }
    }
    struct sl_m_child_exited exited = {
        .tag = c->tag, .pid = c->pid, .exit_code = exit_code, .signal = signal};
    tell(w, &w->children[index], SL_M_child_exited, &exited);
}

static void
kill_child(void *world, uint64_t index)
{
    sl_world_end_child(world, (uint32_t)index, 9, 0);
}

static void
exit_child(void *world, uint64_t index)
{
    sl_world_end_child(world, (uint32_t)index, 0, 0);
}

static void
crash_child(void *world, uint64_t index)
{
    sl_world_end_child(world, (uint32_t)index, 11, 0);
}

/* Nodes of the main process that runs, but those that it has given up. */
static uint32_t
count_nodes(const struct sl_world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        count += c->kind == SL_CHILD_NODE && c->asker == w->main && !c->is_gone && !c->is_killed;
    }
    return count;
}

static void
take_spawn(struct sl_world *w, uint32_t process, const struct sl_m_spawn *m)
{
    if (m->kind == SL_CHILD_NODE && process == w->main && count_nodes(w) >= w->nodes_wanted)
        sl_world_fail(w, "limit: a node is started, and %u run of %u", count_nodes(w),
                      w->nodes_wanted);
    w->children = sl_realloc(w->children, (w->children_count + 1) * sizeof(w->children[0]));
    uint32_t index = w->children_count++;
    w->children[index] = (struct sl_world_child){
        .kind = m->kind, .tag = m->tag, .asker = process, .pool = sl_world_pool(m)};
    sl_world_saw_spawn(w, &w->children[index]);
    bool is_again = m->kind == SL_CHILD_NODE && m->tag > SL_NODE_HEAD + w->nodes_wanted;
    if (w->options.plant == SL_PLANT_NO_RESTART && is_again)
        return;
    if (w->is_spawner_down)
        sl_world_end_child(w, index, 0, 126);
    else
        sl_sim_at(w->sim, sl_sim_between(w->sim, 100 * SL_MICRO_NS, 2 * SL_MILLI_NS), fork_child, w,
                  index);
}

/* A child that stands still, or a slow kernel, takes a while to die. */
static void
take_kill(struct sl_world *w, uint32_t process, const struct sl_m_spawn_kill *m)
{
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        if (c->is_gone || c->asker != process || c->tag != m->tag)
            continue;
        w->children[i].is_killed = true;
        bool is_slow = (w->options.faults & (SL_FAULT_PAUSE | SL_FAULT_PARTITION)) != 0 &&
                       sl_sim_now_ns(w->sim) < w->fault_until_ns;
        uint64_t most_ns = is_slow ? 20 * SL_SECOND_NS : 5 * SL_MILLI_NS;
        sl_sim_at(w->sim, sl_sim_between(w->sim, SL_MILLI_NS, most_ns), kill_child, w, i);
    }
}

/* A replica's double ends itself this way: tag 0. */
static void
take_own_end(struct sl_world *w, uint32_t process, uint64_t signal)
{
    for (uint32_t i = 0; i < w->children_count; i++) {
        if (w->children[i].process == process && !w->children[i].is_gone)
            sl_sim_at(w->sim, 0, signal == 0 ? exit_child : crash_child, w, i);
    }
}

void
sl_world_take_spawn(void *world, uint32_t process, struct sl_msg *msg)
{
    struct sl_world *w = world;
    if (msg->id == SL_M_spawn)
        take_spawn(w, process, SL_BODY(msg, spawn));
    else if (SL_BODY(msg, spawn_kill)->tag == 0)
        take_own_end(w, process, SL_BODY(msg, spawn_kill)->signal);
    else
        take_kill(w, process, SL_BODY(msg, spawn_kill));
    sl_msg_destroy(&msg);
}

/* A node has nothing left to do, and is not wanted: it ends. */
void
sl_world_take_drain(void *world, uint32_t process, struct sl_msg *msg)
{
    struct sl_world *w = world;
    sl_msg_destroy(&msg);
    if (process != w->main)
        take_own_end(w, process, 0);
}

bool
sl_world_pick_child(struct sl_world *w, struct sl_random *random, uint64_t kind,
                    uint32_t *ret_index)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        if (c->is_gone || c->process == 0 || c->kind != kind)
            continue;
        if (sl_random_below(random, ++count) == 0)
            *ret_index = i;
    }
    return count > 0;
}

static void
spawner_is_back(void *world, uint64_t main)
{
    struct sl_world *w = world;
    w->is_spawner_down = false;
    if (!sl_sim_is_alive(w->sim, (uint32_t)main))
        return;
    struct sl_m_spawner_lost lost = {.pid = ++w->pid_last};
    sl_sim_post(w->sim, (uint32_t)main, SL_ACTOR_HEAD, 0, sl_msg_create(SL_M_spawner_lost, &lost));
}

/* Nobody is left to tell of its children's ends, but the main process hears of its own. */
void
sl_world_kill_spawner(struct sl_world *w)
{
    w->is_spawner_down = true;
    for (uint32_t i = 0; i < w->children_count; i++) {
        struct sl_world_child *c = &w->children[i];
        if (c->is_gone || sl_world_is_of_home(w, c))
            continue;
        c->is_gone = true;
        if (c->process != 0)
            sl_sim_kill(w->sim, c->process);
    }
    uint64_t delay_ns = sl_sim_between(w->sim, SL_MILLI_NS, 20 * SL_MILLI_NS);
    sl_sim_at(w->sim, delay_ns, spawner_is_back, w, w->main);
}

void
sl_world_end_orphans(struct sl_world *w)
{
    w->is_spawner_down = false; /* The next main process brings its own. */
    for (uint32_t i = 0; i < w->children_count; i++) {
        if (!w->children[i].is_gone && w->children[i].process == 0)
            w->children[i].is_gone = true;
        else if (!w->children[i].is_gone)
            sl_sim_at(w->sim, sl_sim_between(w->sim, 0, 3 * SL_SECOND_NS), kill_child, w, i);
    }
}
