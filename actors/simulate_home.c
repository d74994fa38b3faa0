/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_home.h"

#include <inttypes.h>

#include "actors/agent.h"
#include "actors/home.h"
#include "actors/rows.h"
#include "runtime/alloc.h"

static const struct sl_scope home = {SL_WORLD_HOME_SCOPE};

void
sl_world_put_home(const struct sl_world *w, struct sl_txn *txn)
{
    static const char row[] = "{\"extractor\":\"text_extractor\",\"version\":\"v1\",\"params\":{},"
                              "\"model\":null,\"index\":\"" SL_WORLD_INDEX "\",\"dimensions\":4,"
                              "\"inputs\":[{\"name\":\"text\",\"path\":\"content\"}],"
                              "\"passthrough\":[],\"class\":\"cpu\",\"enabled\":true,"
                              "\"apart\":true,\"physical\":true}";
    if (!sl_world_has_home(w->options.seed))
        return;
    sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(SL_WORLD_HOME_TENANT),
               sl_slice_str("{\"scope\":3}"));
    sl_txn_put(txn, home, SL_TABLE_HEAD, sl_slice_str(SL_HOME_LEVEL_KEY), sl_slice_str("physical"));
    sl_txn_put(txn, home, SL_TABLE_EXTRACTION, sl_slice_str(SL_WORLD_COLLECTION),
               sl_slice_str(row));
    sl_txn_put(txn, home, SL_TABLE_EXTRACTION, sl_slice_str(SL_WORLD_SECOND), sl_slice_str(row));
}

static void
run_worker(void *world, uint64_t index)
{
    struct sl_world *w = world;
    struct sl_world_child *c = &w->children[index];
    if (c->is_gone)
        return;
    c->process = sl_sim_start(w->sim, (uint32_t)c->tag, NULL);
    struct sl_agent_options agent = {
        .pool = {.node = (uint32_t)c->tag,
                 .endpoint = "sim",
                 .plugin_directories = "",
                 .blob_directory = "",
                 .threads = 1,
                 .replicas_max = SL_WORLD_REPLICAS,
                 .task_ns = SL_WORLD_TASK_NS,
                 .idle_ns = 20 * SL_SECOND_NS},
        .room = SL_WORLD_ROOM,
        .pid = c->pid,
        .name = SL_WORLD_HOME_TENANT,
        .facts = "{\"group\":\"any\",\"taint\":\"tenant=" SL_WORLD_HOME_TENANT "\"}"};
    sl_sim_link(w->sim, c->process, w->main);
    sl_sim_spawn(w->sim, c->process, SL_ACTOR_AGENT, &sl_agent_class, &agent);
}

void
sl_world_start_home(struct sl_world *w)
{
    if (!sl_world_has_home(w->options.seed))
        return;
    w->children = sl_realloc(w->children, (w->children_count + 1) * sizeof(w->children[0]));
    uint32_t index = w->children_count++;
    w->children[index] =
        (struct sl_world_child){.kind = SL_WORLD_WORKER,
                                .tag = SL_NODE_WORKERS_FIRST + (uint32_t)w->result->boots,
                                .pid = ++w->pid_last,
                                .asker = w->main};
    sl_sim_at(w->sim, sl_sim_between(w->sim, SL_MILLI_NS, 2 * SL_SECOND_NS), run_worker, w, index);
}

bool
sl_world_is_of_home(const struct sl_world *w, const struct sl_world_child *c)
{
    if (c->kind == SL_WORLD_WORKER)
        return true;
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *parent = &w->children[i];
        if (parent->kind == SL_WORLD_WORKER && parent->process != 0 && parent->process == c->asker)
            return true;
    }
    return false;
}

void
sl_world_hide_home(struct sl_msg **msg)
{
    if ((*msg)->id != SL_M_node_up)
        return;
    struct sl_m_node_up up = *SL_BODY(*msg, node_up);
    up.taint = 0;
    struct sl_msg *copy = sl_msg_create(SL_M_node_up, &up);
    copy->to = (*msg)->to;
    copy->from = (*msg)->from;
    sl_msg_destroy(msg);
    *msg = copy;
}

void
sl_world_check_home(struct sl_world *w, const struct sl_msg *msg)
{
    uint64_t scope;
    uint32_t job, task;
    if (msg->id == SL_M_run_task) {
        const struct sl_world_task *of = sl_world_task_of(w, SL_BODY(msg, run_task)->inputs);
        if (of == NULL)
            return; /* Found elsewhere. */
        sl_world_place_of(w, of, &job, &task);
        scope = w->jobs[job].scope.id;
    } else if (msg->id == SL_M_embed_run) {
        scope = SL_BODY(msg, embed_run)->scope;
    } else {
        return;
    }
    bool is_tainted = msg->to.node >= SL_NODE_WORKERS_FIRST;
    bool is_homed = sl_world_has_home(w->options.seed) && scope == home.id;
    w->result->homed += is_tainted;
    if (is_tainted != is_homed)
        sl_world_fail(w, "home: work of tenant %" PRIu64 " is sent to node %u", scope,
                      msg->to.node);
}
