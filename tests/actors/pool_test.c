/* SPDX-License-Identifier: Apache-2.0 */
/* Pools as the agent uses them; what a single one does is in agent_test. */
#include "actors/pool.h"

#include "actors/agent.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"
#include "tests/actors/recorder.h"

static struct recorder r;

static void
setup(void)
{
    struct sl_agent_options options = {.pool = {.node = 2,
                                                .endpoint = "ipc://x",
                                                .plugin_directories = "",
                                                .blob_directory = "",
                                                .replicas_max = 1},
                                       .data_directory = ""};
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_agent_class, sl_at(2, SL_ACTOR_AGENT), &options);
}

static void
finish(void)
{
    recorder_stop(&r);
}

TestSuite(pool, .init = setup, .fini = finish, .timeout = 60);

/* The replica that was asked for to run it. */
static struct sl_msg *
spawn_for(uint64_t number, uint64_t tenant)
{
    struct sl_addr dispatcher = sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER);
    struct sl_m_extraction m = {
        .number = number, .spec = sl_slice_str("{\"extractor\":\"echo\"}"), .tenant = tenant};
    struct sl_m_run_task task = {.task_id = number, .epoch = 1, .extraction = number};
    recorder_deliver(&r, dispatcher, SL_M_extraction, &m);
    recorder_deliver(&r, dispatcher, SL_M_run_task, &task);
    return recorder_take(&r, SL_M_spawn);
}

/* Equal work of two tenants: what is shared within a tenant must not be between them. */
Test(pool, replicas_of_a_tenants_own_work_for_it_alone)
{
    for (uint64_t tenant = 0; tenant < 3; tenant++) {
        struct sl_msg *spawn = spawn_for(100 + tenant, tenant);
        cr_assert_not_null(spawn, "a pool of its own");
        const struct sl_m_spawn *s = SL_BODY(spawn, spawn);
        cr_assert_eq(s->tenant, tenant);
        char *text = sl_strndup(s->text.data, s->text.size);
        char *want = sl_format("\"tenant\":%d,\"model\":false", (int)tenant);
        cr_assert_not_null(strstr(text, want), "%s", text);
        struct sl_m_replica_ready ready = {.replica = s->tag, .pid = 5};
        recorder_deliver(&r, sl_at((uint32_t)s->tag, 1), SL_M_replica_ready, &ready);
        struct sl_msg *sent = recorder_take(&r, SL_M_process);
        cr_assert_eq(sent->to.node, s->tag);
        sl_msg_destroy(&sent);
        sl_free(text);
        sl_free(want);
        sl_msg_destroy(&spawn);
    }
}
