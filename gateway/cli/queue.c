/* SPDX-License-Identifier: Apache-2.0 */
/* The verb queue: what waits in queues, and what may be set about them. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/queue.h"
#include "runtime/alloc.h"

/* A tenant's id, ':' and a name need no escaping in a path; nothing else is a queue. */
static bool
is_queue(const char *text)
{
    return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_.:") == strlen(text);
}

static bool
is_number(const char *text)
{
    size_t size = strspn(text, "0123456789");
    return size > 0 && size <= 10 && text[size] == '\0';
}

static int
list_queues(struct sl_cli *cli)
{
    static const char *const columns[] = {"queue",     "mode",          "depth",  "delayed",
                                          "in_flight", "oldest_age_ms", "weight", NULL};
    const char *limit = sl_cli_option(cli, "limit"), *tenant = sl_cli_option(cli, "tenant");
    struct sl_json reply;
    if ((limit != NULL && !is_number(limit)) || (tenant != NULL && !is_queue(tenant)))
        return SL_EXIT_USAGE;
    char *path = sl_format("/v1/cluster/queues?limit=%s%s%s", limit == NULL ? "100" : limit,
                           tenant == NULL ? "" : "&tenant_id=", tenant == NULL ? "" : tenant);
    int code = sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = path}, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, "results"), columns);
    return code;
}

static int
ask_queue(struct sl_cli *cli, const char *method, const char *rest, struct sl_slice body)
{
    static const char *const members[] = {
        "queue",         "mode",           "depth",    "delayed",     "in_flight",
        "oldest_age_ms", "weight",         "aging_ms", "running_max", "depth_max",
        "rate",          "rate_period_ms", "burst",    NULL};
    struct sl_json reply;
    char *path = sl_format("/v1/cluster/queues/%s%s", cli->arguments[1], rest);
    int code = sl_cli_ask(
        cli, &(struct sl_http_request){.method = method, .path = path, .body = body}, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_members(reply, members);
    return code;
}

static int
limit_queue(struct sl_cli *cli)
{
    static const char *const limits[][2] = {
        {"weight", "weight"},       {"aging-ms", "aging_ms"}, {"running-max", "running_max"},
        {"depth-max", "depth_max"}, {"rate", "rate"},         {"rate-period-ms", "rate_period_ms"},
        {"burst", "burst"}};
    struct sl_buf body = {0};
    struct sl_jsonw w;
    int code = SL_EXIT_USAGE; /* Nothing to set. */
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    for (size_t i = 0; i < SL_COUNT_OF(limits); i++) {
        const char *value = sl_cli_option(cli, limits[i][0]);
        if (value == NULL)
            continue;
        code = SL_EXIT_USAGE;
        if (!is_number(value))
            goto out;
        sl_jsonw_member_u64(&w, limits[i][1], strtoull(value, NULL, 10));
        code = SL_EXIT_OK;
    }
    sl_jsonw_end(&w);
    if (code == SL_EXIT_OK)
        code = ask_queue(cli, "PATCH", "", sl_buf_slice(&body));
out:
    sl_buf_deinit(&body);
    return code;
}

int
sl_cli_queue(struct sl_cli *cli)
{
    static const char *const orders[] = {"pause", "resume", "drain", "stop"};
    const char *what = cli->arguments_count == 0 ? "" : cli->arguments[0];
    struct sl_slice none = {0};
    if (strcmp(what, "inspect") == 0)
        return sl_cli_queue_inspect(cli);
    if (cli->arguments_count == 1)
        return strcmp(what, "ls") == 0 ? list_queues(cli) : SL_EXIT_USAGE;
    if (cli->arguments_count == 2 && strcmp(what, "verify") == 0)
        return sl_cli_queue_verify(cli);
    if (cli->arguments_count == 2 && strcmp(what, "backup") == 0)
        return sl_cli_queue_backup(cli);
    if (cli->arguments_count == 2 && strcmp(what, "peek") == 0)
        return sl_cli_queue_peek(cli);
    if (cli->arguments_count == 2 && strcmp(what, "events") == 0)
        return sl_cli_queue_events(cli);
    if (cli->arguments_count == 2 && strcmp(what, "rm") == 0)
        return sl_cli_queue_rm(cli);
    if (cli->arguments_count != 2 || !is_queue(cli->arguments[1]))
        return SL_EXIT_USAGE;
    if (strcmp(what, "get") == 0)
        return ask_queue(cli, "GET", "", none);
    if (strcmp(what, "limits") == 0)
        return limit_queue(cli);
    for (size_t i = 0; i < SL_COUNT_OF(orders); i++) {
        if (strcmp(what, orders[i]) == 0) {
            char rest[16];
            snprintf(rest, sizeof(rest), "/%s", orders[i]);
            return ask_queue(cli, "POST", rest, none);
        }
    }
    return SL_EXIT_USAGE;
}
