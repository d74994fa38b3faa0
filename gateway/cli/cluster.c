/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs scale and cluster: what docs/cluster.md has, as tables. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

static int
list(struct sl_cli *cli, const char *path, const char *filters, const char *const *columns)
{
    static const char *const given[] = {"limit", "cursor", "extractor", "state",
                                        "queue", "batch",  "tenant",    NULL};
    static const char *const query[] = {"limit", "cursor",   "extractor", "state",
                                        "queue", "batch_id", "tenant_id"};
    struct sl_buf to = {0};
    struct sl_json reply;
    sl_buf_printf(&to, "%s?", path);
    for (size_t i = 0; given[i] != NULL; i++) {
        const char *value = sl_cli_option(cli, given[i]);
        if (value == NULL)
            continue;
        if (i >= 2 && strstr(filters, given[i]) == NULL) {
            sl_cli_error("--%s is not for this", given[i]);
            cli->is_told = true;
            sl_buf_deinit(&to);
            return SL_EXIT_USAGE;
        }
        char *escaped = sl_cli_escape(value);
        sl_buf_printf(&to, "%s=%s&", query[i], escaped);
        sl_free(escaped);
    }
    int code = sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = sl_buf_text(&to)},
                          &reply);
    sl_buf_deinit(&to);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json) {
        sl_cli_print_json(cli);
        return code;
    }
    sl_cli_print_table(sl_json_member(reply, "results"), columns);
    char *next = sl_json_strdup(sl_json_path(reply, sl_slice_str("pagination.next_cursor")));
    if (next != NULL)
        printf("more: --cursor %s\n", next);
    sl_free(next);
    return code;
}

static int
list_extractors(struct sl_cli *cli)
{
    static const char *const columns[] = {
        "extractor",        "tenant_id",       "state",  "replicas_total", "desired_replicas",
        "ongoing_requests", "queued_requests", "p50_ms", "p95_ms",         "p99_ms",
        "error_rate",       "cold_start_ms",   NULL};
    return list(cli, "/v1/cluster/extractors", "extractor tenant", columns);
}

static int
list_replicas(struct sl_cli *cli)
{
    static const char *const columns[] = {"replica_id", "extractor",  "tenant_id", "node_id",
                                          "pid",        "state",      "ongoing",   "done",
                                          "memory",     "started_at", NULL};
    return list(cli, "/v1/cluster/replicas", "extractor tenant", columns);
}

static int
list_jobs(struct sl_cli *cli)
{
    static const char *const columns[] = {"job_id",         "tenant_id",     "queue",
                                          "state",          "progress.done", "progress.failed",
                                          "progress.total", "created_at",    NULL};
    return list(cli, "/v1/cluster/jobs", "state queue batch tenant", columns);
}

static int
list_decisions(struct sl_cli *cli)
{
    static const char *const columns[] = {
        "ts", "node_id", "from_replicas", "to_replicas", "reason", "message", NULL};
    char *name = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/cluster/extractors/%s/decisions", name);
    int code = list(cli, path, "tenant", columns);
    sl_free(name);
    sl_free(path);
    return code;
}

static int
list_groups(struct sl_cli *cli)
{
    static const char *const columns[] = {"name",
                                          "replicas",
                                          "ready_replicas",
                                          "desired_replicas",
                                          "min_replicas",
                                          "max_replicas",
                                          "condition",
                                          "reason",
                                          NULL};
    return list(cli, "/v1/cluster/worker-groups", "", columns);
}

static int
show_cluster(struct sl_cli *cli)
{
    static const char *const members[] = {"version",
                                          "started_at",
                                          "nodes.alive",
                                          "nodes.starting",
                                          "nodes.draining",
                                          "nodes.dead",
                                          "actors.alive",
                                          "actors.pending",
                                          "actors.restarting",
                                          "actors.dead",
                                          "queues.depth",
                                          "queues.delayed",
                                          "queues.in_flight",
                                          "queues.oldest_age_ms",
                                          "resources.num_cpus.total",
                                          "resources.num_gpus.total",
                                          "resources.memory.total",
                                          "resources.memory.used",
                                          NULL};
    return sl_cli_ask_members(
        cli, &(struct sl_http_request){.method = "GET", .path = "/v1/cluster"}, NULL, members);
}

int
sl_cli_cluster(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {{"show", 0, show_cluster},
                                                   {"groups", 0, list_groups},
                                                   {"extractors", 0, list_extractors},
                                                   {"decisions", 1, list_decisions},
                                                   {"replicas", 0, list_replicas},
                                                   {"jobs", 0, list_jobs},
                                                   {0}};
    return sl_cli_act(cli, actions);
}

int
sl_cli_scale(struct sl_cli *cli)
{
    static const char *const members[] = {"name", "from_replicas", "to_replicas", "temporary",
                                          NULL};
    if (cli->arguments_count != 2)
        return SL_EXIT_USAGE;
    const char *count = cli->arguments[1];
    if (*count == '\0' || strlen(count) > 9 || strspn(count, "0123456789") != strlen(count))
        return SL_EXIT_USAGE;
    char *name = sl_cli_escape(cli->arguments[0]);
    char *path = sl_format("/v1/cluster/worker-groups/%s/scale", name);
    char *body = sl_format("{\"replicas\":%s}", count);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_slice_str(body)};
    int code = sl_cli_ask_members(cli, &q, NULL, members);
    sl_free(name);
    sl_free(path);
    sl_free(body);
    return code;
}
