/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up/node.h"

#include "extractors/replica_settings.h"
#include "gateway/plugin_path.h"
#include "gateway/up/cluster.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

/* Nodes of one machine share what is theirs by default. */
static void
write_objects(const struct sl_config *c, struct sl_jsonw *w)
{
    uint64_t nodes = (uint64_t)sl_config_int(c, SL_UP_nodes) + sl_up_group_nodes(c);
    uint64_t bytes = sl_config_size(c, SL_UP_objects);
    if (bytes == 0)
        bytes = sl_object_node_memory() / SL_MAX(nodes, UINT64_C(1));
    sl_jsonw_member_u64(w, "objects", bytes);
    sl_jsonw_member_u64(w, "objects_tenant", sl_config_size(c, SL_UP_objects_tenant));
    sl_jsonw_member_u64(w, "objects_spill", sl_config_size(c, SL_UP_objects_spill));
}

static void
write_settings(const struct sl_config *c, struct sl_jsonw *w)
{
    struct sl_replica_settings settings;
    sl_up_options_replicas(c, &settings);
    sl_jsonw_name(w, "settings");
    sl_replica_settings_write(&settings, w);
}

char *
sl_up_node_text(const struct sl_up_options *options, const char *run_directory,
                const char *endpoint)
{
    const struct sl_config *c = options->config;
    char *plugins = sl_plugin_path(sl_config_string(c, SL_UP_plugins));
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "head", endpoint);
    sl_jsonw_member_str(&w, "run", run_directory);
    sl_jsonw_member_str(&w, "plugins", plugins);
    sl_jsonw_member_str(&w, "data", options->data);
    sl_jsonw_member_i64(&w, "threads", sl_config_int(c, SL_UP_threads));
    sl_jsonw_member_i64(&w, "replicas", sl_config_int(c, SL_UP_replicas));
    sl_jsonw_member_u64(&w, "idle_ms", sl_config_duration_ns(c, SL_UP_idle) / SL_MILLI_NS);
    sl_jsonw_member_u64(&w, "task_ms", sl_config_duration_ns(c, SL_UP_task_timeout) / SL_MILLI_NS);
    write_objects(c, &w);
    write_settings(c, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    text.size--; /* The head adds the node's number and closes it. */
    char *copy = sl_strndup(text.data, text.size);
    sl_buf_deinit(&text);
    sl_free(plugins);
    return copy;
}
