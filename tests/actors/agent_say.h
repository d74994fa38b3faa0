/* SPDX-License-Identifier: Apache-2.0 */
/* agent_say.h - what the head, the spawner and replicas say to an agent under test. For tests of
 * the agent and its parts; one recorder, `r`, in each of their programs. */
#ifndef SL_TESTS_ACTORS_AGENT_SAY_H
#define SL_TESTS_ACTORS_AGENT_SAY_H

#include "actors/agent.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"
#include "tests/actors/recorder.h"

#define NODE   2
#define NUMBER 11
#define SPEC   "{\"extractor\":\"echo\",\"params\":{\"k\":1}}"

static struct recorder r;
static const char *images_directory; /* Of the agent; NULL: it fetches no models. */

static inline void
start_with(uint32_t replicas_max)
{
    struct sl_agent_options options = {.pool = {.node = NODE,
                                                .endpoint = "ipc://x",
                                                .plugin_directories = "/nowhere",
                                                .blob_directory = "/nowhere",
                                                .replicas_max = replicas_max,
                                                .idle_ns = 60 * SL_SECOND_NS,
                                                .task_ns = 600 * SL_SECOND_NS},
                                       .data_directory = "",
                                       .images_directory = images_directory};
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_agent_class, sl_at(NODE, SL_ACTOR_AGENT), &options);
}

static inline void
setup(void)
{
    start_with(1);
}

static inline void
finish(void)
{
    recorder_stop(&r);
}

/* ---- what the others say ------------------------------------------------------------------- */

static inline struct sl_addr
dispatcher(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER);
}

static inline void
tell(uint64_t number, const char *spec, const char *model)
{
    struct sl_m_extraction m = {
        .number = number, .spec = sl_slice_str(spec), .model = sl_slice_str(model)};
    recorder_deliver(&r, dispatcher(), SL_M_extraction, &m);
}

static inline void
run_task(uint64_t task_id, bool is_alone)
{
    struct sl_m_run_task m = {.task_id = task_id,
                              .epoch = task_id + 1000,
                              .extraction = NUMBER,
                              .alone = is_alone,
                              .inputs = sl_slice_str("in")};
    recorder_deliver(&r, dispatcher(), SL_M_run_task, &m);
}

static inline void
ready(uint32_t replica, const char *error)
{
    struct sl_m_replica_ready m = {.replica = replica, .pid = 5, .error = sl_slice_str(error)};
    recorder_deliver(&r, sl_at(replica, 1), SL_M_replica_ready, &m);
}

static inline void
exited(uint32_t replica, int exit_code, uint64_t signal)
{
    struct sl_m_child_exited m = {
        .tag = replica, .pid = 5, .exit_code = exit_code, .signal = signal};
    recorder_deliver(&r, r.self, SL_M_child_exited, &m);
}

static inline void
processed(uint32_t replica, uint64_t item, uint64_t kind, uint64_t busy_ns)
{
    struct sl_m_processed m = {.item = item,
                               .kind = kind,
                               .code = sl_slice_str("c"),
                               .outputs = sl_slice_str("out"),
                               .busy_ns = busy_ns,
                               .served_ns = 2 * busy_ns};
    recorder_deliver(&r, sl_at(replica, 1), SL_M_processed, &m);
}

static inline void
from_head(uint32_t id, const void *body)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), id, body);
}

static inline void
welcome(void)
{
    from_head(SL_M_node_welcome, &(struct sl_m_node_welcome){.node = NODE});
}

#endif
