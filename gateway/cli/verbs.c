/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs status, search and tenant. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

int
sl_cli_status(struct sl_cli *cli)
{
    static const char *const names[] = {"status",
                                        "data.task_queue",
                                        "data.metadata",
                                        "data.vector_store",
                                        "data.inference",
                                        "data.object_storage",
                                        NULL};
    struct sl_json reply;
    struct sl_http_request q = {.method = "GET", .path = "/v1/health"};
    if (cli->arguments_count != 0)
        return SL_EXIT_USAGE;
    int code = sl_cli_ask(cli, &q, &reply);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json)
        sl_cli_print_json(cli);
    else
        sl_cli_print_members(reply, names);
    return sl_json_is(sl_json_member(reply, "status"), "OK") ? SL_EXIT_OK : SL_EXIT_FAILED;
}

int
sl_cli_search(struct sl_cli *cli)
{
    static const char *const columns[] = {"score", "document_id", "text", NULL};
    const char *collection = sl_cli_option(cli, "collection");
    const char *limit = sl_cli_option(cli, "limit");
    struct sl_buf body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    if (cli->arguments_count != 1 || (limit != NULL && strspn(limit, "0123456789") == 0))
        return SL_EXIT_USAGE;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "query", cli->arguments[0]);
    if (limit != NULL)
        sl_jsonw_member_raw(&w, "page_size", sl_slice(limit, strspn(limit, "0123456789")));
    if (collection != NULL) {
        sl_jsonw_name(&w, "collection_ids");
        sl_jsonw_array(&w);
        sl_jsonw_str(&w, collection);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    struct sl_http_request q = {.method = "POST",
                                .path = "/v1/documents/search",
                                .body = sl_buf_slice(&body),
                                .namespace_id = sl_cli_option(cli, "namespace")};
    int code = sl_cli_ask(cli, &q, &reply);
    sl_buf_deinit(&body);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, "results"), columns);
    return code;
}

/* ---- tenants ------------------------------------------------------------------------------- */

static int
create_tenant(struct sl_cli *cli)
{
    static const char *const names[] = {
        "tenant_id", "plan", "isolation_level", "state", "organization_id", "api_key", NULL};
    const char *plan = sl_cli_option(cli, "plan"), *level = sl_cli_option(cli, "isolation");
    const char *name = sl_cli_option(cli, "name");
    struct sl_buf body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    if (cli->arguments_count != 2)
        return SL_EXIT_USAGE;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "tenant_id", cli->arguments[1]);
    sl_jsonw_member_str(&w, "name", name != NULL ? name : cli->arguments[1]);
    if (plan != NULL)
        sl_jsonw_member_str(&w, "plan", plan);
    if (level != NULL)
        sl_jsonw_member_str(&w, "isolation_level", level);
    sl_jsonw_end(&w);
    struct sl_http_request q = {
        .method = "POST", .path = "/v1/tenants", .body = sl_buf_slice(&body)};
    int code = sl_cli_ask(cli, &q, &reply);
    sl_buf_deinit(&body);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_members(reply, names);
    return code;
}

static int
list_tenants(struct sl_cli *cli)
{
    static const char *const columns[] = {"tenant_id", "plan",       "isolation_level",
                                          "state",     "created_at", NULL};
    struct sl_json reply;
    struct sl_http_request q = {.method = "GET", .path = "/v1/tenants?limit=1000"};
    if (cli->arguments_count != 1)
        return SL_EXIT_USAGE;
    int code = sl_cli_ask(cli, &q, &reply);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, "results"), columns);
    return code;
}

/* `what`: suspend or resume, which the argument's tenant is. */
static int
change_state(struct sl_cli *cli, const char *what, const struct sl_buf *body)
{
    static const char *const names[] = {"tenant_id", "state", "suspend_reason", NULL};
    char *id = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/tenants/%s/%s", id, what);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_buf_slice(body)};
    int code = sl_cli_ask_members(cli, &q, NULL, names);
    sl_free(path);
    sl_free(id);
    return code;
}

static int
suspend_tenant(struct sl_cli *cli)
{
    const char *reason = sl_cli_option(cli, "reason");
    struct sl_buf body = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "reason", reason == NULL ? "requested" : reason);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    int code = change_state(cli, "suspend", &body);
    sl_buf_deinit(&body);
    return code;
}

static int
resume_tenant(struct sl_cli *cli)
{
    struct sl_buf none = {0};
    return change_state(cli, "resume", &none);
}

int
sl_cli_tenant(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {{"create", 1, create_tenant},
                                                   {"list", 0, list_tenants},
                                                   {"verify", 1, sl_cli_verify_tenant},
                                                   {"suspend", 1, suspend_tenant},
                                                   {"resume", 1, resume_tenant},
                                                   {"offboard", 1, sl_cli_offboard_tenant},
                                                   {0}};
    return sl_cli_act(cli, actions);
}
