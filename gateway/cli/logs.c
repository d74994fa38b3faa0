/* SPDX-License-Identifier: Apache-2.0 */
/* The verb logs: the last lines of processes, or each as it comes. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define AWAY_MAX   30 /* Times in a row that the server may be away while followed. */
#define TURN_NS    SL_SECOND_NS
#define CURSOR_MAX 32

static void
append_filters(const struct sl_cli *cli, struct sl_buf *path)
{
    static const char *const names[][2] = {{"severity", "severity"},   {"q", "q"},
                                           {"tenant", "tenant"},       {"node", "node"},
                                           {"extractor", "extractor"}, {"job", "job_id"},
                                           {"request", "request_id"},  {"trace", "trace_id"},
                                           {"role", "role"},           {"since", "since"}};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        const char *value = sl_cli_option(cli, names[i][0]);
        if (value == NULL)
            continue;
        char *escaped = sl_cli_escape(value);
        sl_buf_printf(path, "&%s=%s", names[i][1], escaped);
        sl_free(escaped);
    }
}

/* Text of a member; a terminal obeys what it is shown. NULL: none, or empty. */
static char *
tame_member(struct sl_json line, const char *name)
{
    char *text = sl_json_strdup(sl_json_member(line, name));
    for (char *c = text; c != NULL && *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    if (text == NULL || *text != '\0')
        return text;
    sl_free(text);
    return NULL;
}

static void
print_line(const struct sl_cli *cli, struct sl_json line)
{
    static const struct {
        const char *name, *before;
    } members[] = {{"ts", ""},          {"severity", " "},     {"role", " "},
                   {"event", " "},      {"message", " "},      {"tenant_id", " tenant="},
                   {"job_id", " job="}, {"node_id", " node="}, {"extractor", " extractor="}};
    if (cli->is_json) {
        printf("%.*s\n", SL_SLICE_FMT(sl_json_raw(line)));
        return;
    }
    char *message = tame_member(line, "message");
    for (size_t i = 0; i < SL_COUNT_OF(members); i++) {
        char *text = tame_member(line, members[i].name);
        bool is_said = i > 4 && message != NULL && text != NULL && strstr(message, text) != NULL;
        if (text != NULL && !is_said)
            printf("%s%s", members[i].before, text);
        sl_free(text);
    }
    sl_free(message);
    (void)fputc('\n', stdout);
}

/* Where to go on, in *cursor; false: the reply is none of ours. */
static bool
print_page(struct sl_cli *cli, char cursor[CURSOR_MAX], bool *ret_is_more)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(sl_buf_slice(&cli->reply.body), &doc, NULL) != SL_OK)
        return false;
    struct sl_json root = sl_json_root(doc), results = sl_json_member(root, "results");
    struct sl_json place = sl_json_member(root, "pagination");
    for (struct sl_json_iter i = sl_json_iter(results); sl_json_next(&i);)
        print_line(cli, i.value);
    (void)fflush(stdout);
    char *next = sl_json_strdup(sl_json_member(place, "next_cursor"));
    char *last = sl_json_strdup(sl_json_member(place, "follow_cursor"));
    *ret_is_more = next != NULL && cursor[0] != '\0'; /* Older ones are not followed. */
    if (last != NULL)
        (void)snprintf(cursor, CURSOR_MAX, "%s", last);
    sl_free(next);
    sl_free(last);
    sl_json_destroy(&doc);
    return true;
}

static int
refuse(struct sl_cli *cli, enum sl_err err)
{
    if (err != SL_OK) {
        sl_cli_error("%s: %s", cli->url, sl_http_error(cli->http));
        return SL_EXIT_UNREACHED;
    }
    sl_cli_error("status %u: %.*s", (unsigned)cli->reply.status,
                 SL_SLICE_FMT(sl_buf_slice(&cli->reply.body)));
    return SL_EXIT_REFUSED;
}

int
sl_cli_logs(struct sl_cli *cli)
{
    const char *limit = sl_cli_option(cli, "limit");
    bool is_followed = sl_cli_option(cli, "follow") != NULL, is_more = false;
    char cursor[CURSOR_MAX] = "";
    uint32_t away = 0;
    if (cli->arguments_count > 0 ||
        (limit != NULL && (*limit == '\0' || strspn(limit, "0123456789") != strlen(limit))))
        return SL_EXIT_USAGE;
    do {
        struct sl_buf path = {0};
        sl_buf_printf(&path, "/v1/cluster/logs?limit=%s", limit == NULL ? "100" : limit);
        append_filters(cli, &path);
        if (cursor[0] != '\0')
            sl_buf_printf(&path, "&cursor=%s", cursor);
        struct sl_http_request q = {.method = "GET", .path = sl_buf_text(&path)};
        enum sl_err err = sl_http_send(cli->http, &q, &cli->reply);
        sl_buf_deinit(&path);
        bool is_away = err != SL_OK || cli->reply.status == 503;
        if (is_away && (cursor[0] == '\0' || ++away > AWAY_MAX))
            return refuse(cli, err);
        if (!is_away && (cli->reply.status != 200 || !print_page(cli, cursor, &is_more)))
            return refuse(cli, SL_OK);
        away = is_away ? away : 0;
        if (is_followed && (is_away || !is_more))
            sl_time_sleep_ns(TURN_NS);
    } while (is_followed);
    return SL_EXIT_OK;
}
