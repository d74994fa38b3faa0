/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/act.h"

#include <ctype.h>

#include "runtime/alloc.h"

int
sl_cli_act(struct sl_cli *cli, const struct sl_cli_action *actions)
{
    for (; actions->name != NULL; actions++) {
        if (cli->arguments_count == actions->arguments + 1 &&
            strcmp(cli->arguments[0], actions->name) == 0)
            return actions->run(cli);
    }
    return SL_EXIT_USAGE;
}

char *
sl_cli_escape(const char *text)
{
    struct sl_buf out = {0};
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c == '-' || c == '_')
            sl_buf_append_u8(&out, c);
        else
            sl_buf_printf(&out, "%%%02X", c);
    }
    char *escaped = sl_strdup(sl_buf_text(&out));
    sl_buf_deinit(&out);
    return escaped;
}

int
sl_cli_ask_members(struct sl_cli *cli, const struct sl_http_request *q, const char *inner,
                   const char *const *names)
{
    struct sl_json reply;
    int code = sl_cli_ask(cli, q, &reply);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json)
        sl_cli_print_json(cli);
    else
        sl_cli_print_members(inner == NULL ? reply : sl_json_member(reply, inner), names);
    return SL_EXIT_OK;
}

int
sl_cli_ask_table(struct sl_cli *cli, const struct sl_http_request *q, const char *inner,
                 const char *const *columns)
{
    struct sl_json reply;
    int code = sl_cli_ask(cli, q, &reply);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, inner), columns);
    return code;
}
