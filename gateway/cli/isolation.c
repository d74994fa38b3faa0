/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `tenant verify`. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

static void
print_member(const char *format, struct sl_json object, const char *name)
{
    char *text = sl_json_strdup(sl_json_member(object, name));
    printf(format, text == NULL ? "" : text);
    sl_free(text);
}

static void
print_check(struct sl_json check)
{
    static const char *const columns[] = {"attack", "result", "refused", "tried", "what", NULL};
    print_member("%-20s", check, "name");
    print_member(" %-13s", check, "status");
    print_member(" %s\n", check, "detail");
    sl_cli_print_table(sl_json_member(check, "evidence"), columns);
    putchar('\n');
}

int
sl_cli_verify_tenant(struct sl_cli *cli)
{
    struct sl_json reply;
    struct sl_buf none = {0};
    if (cli->arguments_count != 2)
        return SL_EXIT_USAGE;
    char *id = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/tenants/%s/isolation/verify", id);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_buf_slice(&none)};
    int code = sl_cli_ask(cli, &q, &reply);
    sl_free(path);
    sl_free(id);
    if (code != SL_EXIT_OK)
        return code;
    bool is_proven = sl_json_bool(sl_json_member(reply, "all_passed"), false);
    if (cli->is_json)
        sl_cli_print_json(cli);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "checks"));
         !cli->is_json && sl_json_next(&i);)
        print_check(i.value);
    if (!cli->is_json) {
        print_member("tenant %s", reply, "tenant_id");
        print_member(" (%s): ", reply, "isolation_level");
        puts(is_proven ? "isolated" : "NOT proven to be isolated");
    }
    return is_proven ? SL_EXIT_OK : SL_EXIT_FAILED;
}
