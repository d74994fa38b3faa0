/* SPDX-License-Identifier: Apache-2.0 */
/* The verb usage. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

/* The rest of a table's line. */
static void
print_text(struct sl_json v, int width)
{
    char *text = sl_json_strdup(v);
    printf("%-*s  ", width, text == NULL || *text == '\0' ? "-" : text);
    sl_free(text);
}

static void
print_number(struct sl_json v, int width)
{
    struct sl_slice raw = sl_json_raw(v);
    printf("%*.*s  ", width, SL_SLICE_FMT(raw));
}

static void
print_report(struct sl_json reply)
{
    static const char *const members[] = {"tenant_id",        "period",   "total_requests",
                                          "total_cost",       "currency", "total_credits",
                                          "quota_percentage", NULL};
    sl_cli_print_members(reply, members);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "groups")); sl_json_next(&i);) {
        for (struct sl_json_iter k = sl_json_iter(sl_json_member(i.value, "key"));
             sl_json_next(&k);)
            print_text(k.value, 16);
        print_number(sl_json_member(i.value, "amount"), 12);
        print_text(sl_json_member(i.value, "unit"), 8);
        print_number(sl_json_member(i.value, "cost"), 14);
        (void)putchar('\n');
    }
    char *next = sl_json_strdup(sl_json_member(sl_json_member(reply, "pagination"), "next_cursor"));
    if (next != NULL)
        puts("(there are more: --csv prints all)");
    sl_free(next);
}

/* Bytes that are no JSON: sl_cli_ask would not have them. */
static int
print_csv(struct sl_cli *cli, const struct sl_http_request *request)
{
    struct sl_http_reply reply = {0};
    enum sl_err err = sl_http_send(cli->http, request, &reply);
    int code = SL_EXIT_OK;
    if (err != SL_OK) {
        sl_cli_error("%s", sl_http_error(cli->http));
        code = SL_EXIT_UNREACHED;
    } else if (reply.status != 200) {
        sl_cli_error("%s", sl_buf_text(&reply.body));
        code = SL_EXIT_REFUSED;
    } else if (fwrite(reply.body.data, 1, reply.body.size, stdout) != reply.body.size) {
        code = SL_EXIT_FAILED;
    }
    sl_buf_deinit(&reply.body);
    return code;
}

int
sl_cli_usage(struct sl_cli *cli)
{
    struct sl_json reply;
    const char *given[] = {sl_cli_option(cli, "period"), sl_cli_option(cli, "group-by"),
                           sl_cli_option(cli, "tenant")};
    bool is_csv = sl_cli_option(cli, "csv") != NULL;
    char *texts[SL_COUNT_OF(given)];
    if (cli->arguments_count != 0)
        return SL_EXIT_USAGE;
    for (size_t i = 0; i < SL_COUNT_OF(given); i++)
        texts[i] = sl_cli_escape(given[i] == NULL ? "" : given[i]);
    char *of = given[2] == NULL ? sl_strdup("organizations") : sl_format("tenants/%s", texts[2]);
    char *path = sl_format("/v1/%s/usage?%s%s&group_by=%s%s", of,
                           given[0] == NULL ? "" : "period=", texts[0], texts[1],
                           is_csv ? "&format=csv" : "");
    struct sl_http_request request = {.method = "GET", .path = path};
    int code = is_csv ? print_csv(cli, &request) : sl_cli_ask(cli, &request, &reply);
    if (!is_csv && code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (!is_csv && code == SL_EXIT_OK)
        print_report(reply);
    for (size_t i = 0; i < SL_COUNT_OF(given); i++)
        sl_free(texts[i]);
    sl_free(of);
    sl_free(path);
    return code;
}
