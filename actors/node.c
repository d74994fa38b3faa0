/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node.h"

#include <signal.h>
#include <unistd.h>

#include "actors/agent.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define BAD_START_EXIT 3

static void
on_spawner_gone(void *arg)
{
    (void)arg;
    _exit(0); /* As the lifeline would do: replicas are gone, leases will be void. */
}

static uint32_t
number_member(struct sl_json object, const char *name, uint32_t fallback)
{
    uint64_t value;
    enum sl_err err = sl_json_u64(sl_json_member(object, name), &value);
    return err == SL_OK && value <= UINT32_MAX ? (uint32_t)value : fallback;
}

static bool
run(struct sl_json text, const struct sl_child *child)
{
    char *head = sl_json_strdup(sl_json_member(text, "head"));
    char *directory = sl_json_strdup(sl_json_member(text, "run"));
    char *plugins = sl_json_strdup(sl_json_member(text, "plugins"));
    char *data = sl_json_strdup(sl_json_member(text, "data"));
    char *blobs = sl_format("%s/blobs", data == NULL ? "" : data);
    uint32_t number = number_member(text, "node", 0);
    char *endpoint = sl_format("ipc://%s/node-%u", directory == NULL ? "" : directory, number);
    struct sl_live *live = NULL;
    struct sl_spawn_port *spawner = NULL;
    bool is_ok = head != NULL && directory != NULL && plugins != NULL && data != NULL &&
                 number > SL_NODE_HEAD;
    if (is_ok) {
        live = sl_live_create(&(struct sl_live_options){.node = number});
        struct sl_spawn_port_options port = {.live = live,
                                             .actor = SL_ACTOR_AGENT,
                                             .fd = child->spawner_fd,
                                             .keep_fd = -1,
                                             .lost = on_spawner_gone};
        is_ok = sl_live_listen(live, endpoint) == SL_OK &&
                sl_live_connect(live, SL_NODE_HEAD, head) == SL_OK &&
                sl_spawn_port_open(&port, &spawner) == SL_OK;
    }
    if (is_ok) {
        struct sl_agent_options agent = {
            .data_directory = data,
            .pool = {.node = number,
                     .endpoint = endpoint,
                     .plugin_directories = plugins,
                     .blob_directory = blobs,
                     .threads = number_member(text, "threads", 0),
                     .replicas_max = SL_MIN(number_member(text, "replicas", 1), SL_REPLICAS_MAX),
                     .idle_ns = number_member(text, "idle_ms", 600000) * SL_MILLI_NS,
                     .task_ns = number_member(text, "task_ms", 600000) * SL_MILLI_NS},
            .pid = (uint64_t)getpid()};
        sl_live_spawn(live, SL_ACTOR_AGENT, &sl_agent_class, &agent);
        is_ok = sl_live_run(live) == SL_OK;
    }
    sl_spawn_port_close(&spawner);
    sl_live_destroy(&live);
    unlink(endpoint + strlen("ipc://"));
    sl_free(head);
    sl_free(directory);
    sl_free(plugins);
    sl_free(blobs);
    sl_free(data);
    sl_free(endpoint);
    return is_ok;
}

int
sl_node_run(const struct sl_child *child)
{
    struct sl_json_doc *doc = NULL;
    signal(SIGPIPE, SIG_IGN);
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    if (sl_json_parse(sl_slice_str(child->text), &doc, NULL) != SL_OK)
        return BAD_START_EXIT;
    bool is_ok = run(sl_json_root(doc), child);
    sl_json_destroy(&doc);
    return is_ok ? 0 : BAD_START_EXIT;
}
