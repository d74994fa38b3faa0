/* SPDX-License-Identifier: Apache-2.0 */
/* The verb audit. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

/* "&NAME=VALUE" where the option was given. */
static void
append_filter(const struct sl_cli *cli, const char *option, const char *name, struct sl_buf *path)
{
    const char *value = sl_cli_option(cli, option);
    if (value == NULL)
        return;
    char *escaped = sl_cli_escape(value);
    sl_buf_printf(path, "&%s=%s", name, escaped);
    sl_free(escaped);
}

static int
list_events(struct sl_cli *cli)
{
    static const char *const columns[] = {"timestamp",  "action", "resource_id", "actor_id",
                                          "ip_address", "status", "audit_id",    NULL};
    const char *limit = sl_cli_option(cli, "limit");
    struct sl_buf path = {0};
    if (limit != NULL && (*limit == '\0' || strspn(limit, "0123456789") != strlen(limit)))
        return SL_EXIT_USAGE;
    sl_buf_printf(&path, "/v1/organizations/audit/logs?limit=%s", limit == NULL ? "20" : limit);
    append_filter(cli, "action", "action", &path);
    append_filter(cli, "actor", "actor_id", &path);
    append_filter(cli, "resource", "resource_id", &path);
    struct sl_http_request q = {.method = "GET", .path = sl_buf_text(&path)};
    int code = sl_cli_ask_table(cli, &q, "results", columns);
    sl_buf_deinit(&path);
    return code;
}

static int
show_event(struct sl_cli *cli)
{
    static const char *const names[] = {"audit_id",    "timestamp", "action",     "resource_type",
                                        "resource_id", "actor_id",  "actor_type", "api_key_id",
                                        "status",      "changes",   "ip_address", "user_agent",
                                        "request_id",  "previous",  NULL};
    char *id = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/organizations/audit/logs/%s", id);
    int code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = "GET", .path = path},
                                  NULL, names);
    sl_free(path);
    sl_free(id);
    return code;
}

static int
verify(struct sl_cli *cli)
{
    static const char *const names[] = {"is_intact", "events", "head", "broken_at", "reason", NULL};
    struct sl_http_request q = {.method = "GET", .path = "/v1/organizations/audit/verify"};
    const char *wanted = sl_cli_option(cli, "head");
    struct sl_json reply;
    int code = sl_cli_ask(cli, &q, &reply);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json)
        sl_cli_print_json(cli);
    else
        sl_cli_print_members(reply, names);
    if (wanted != NULL && !sl_json_is(sl_json_member(reply, "head"), wanted)) {
        sl_cli_error("the newest event is another one than %s", wanted);
        return SL_EXIT_FAILED;
    }
    return sl_json_bool(sl_json_member(reply, "is_intact"), false) ? SL_EXIT_OK : SL_EXIT_FAILED;
}

int
sl_cli_audit(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {
        {"ls", 0, list_events}, {"show", 1, show_event}, {"verify", 0, verify}, {0}};
    return sl_cli_act(cli, actions);
}
