/* SPDX-License-Identifier: Apache-2.0 */
/* The verb events: what happened lately, or as it happens. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define AWAY_MAX                                                                                   \
    30 /* Times in a row, a second apart, that the server may be away while followed. */

struct feed {
    char last[32]; /* The id that the next reply goes on from; "": from now on. */
    uint32_t away;
};

static void
append_filter(const struct sl_cli *cli, const char *name, struct sl_buf *path)
{
    const char *value = sl_cli_option(cli, name);
    if (value == NULL)
        return;
    char *escaped = sl_cli_escape(value);
    sl_buf_printf(path, "&%s=%s", strcmp(name, "tenant") == 0 ? "tenant_id" : name, escaped);
    sl_free(escaped);
}

static void
append_filters(const struct sl_cli *cli, struct sl_buf *path)
{
    static const char *const names[] = {"kind", "severity", "tenant"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++)
        append_filter(cli, names[i], path);
}

static void
print_event(const struct sl_cli *cli, struct sl_slice data)
{
    static const char *const names[] = {"ts",        "severity", "kind",
                                        "tenant_id", "subject",  "message"};
    struct sl_json_doc *doc = NULL;
    if (cli->is_json) {
        printf("%.*s\n", SL_SLICE_FMT(data));
    } else if (sl_json_parse(data, &doc, NULL) == SL_OK) {
        for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
            char *text = sl_json_strdup(sl_json_member(sl_json_root(doc), names[i]));
            /* A terminal obeys what it is shown. */
            for (char *c = text; c != NULL && *c != '\0'; c++)
                *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
            printf("%s%s", i == 0 ? "" : "  ", text == NULL || *text == '\0' ? "-" : text);
            sl_free(text);
        }
        (void)fputc('\n', stdout);
    }
    (void)fflush(stdout);
    sl_json_destroy(&doc);
}

static void
print_reply(struct sl_cli *cli, struct feed *feed)
{
    char *text = sl_strdup(sl_buf_text(&cli->reply.body)), *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "id: ", 4) == 0)
            (void)snprintf(feed->last, sizeof(feed->last), "%s", line + 4);
        else if (strncmp(line, "event: gap", 10) == 0)
            sl_cli_error("events are missing here: they were gone before they were asked for");
        else if (strncmp(line, "data: {\"event_id\"", 17) == 0)
            print_event(cli, sl_slice_str(line + 6));
    }
    sl_free(text);
}

/* Whether to ask again although there was no reply: a server that is started again comes back. */
static bool
may_wait(struct feed *feed)
{
    if (feed->last[0] == '\0' || ++feed->away > AWAY_MAX)
        return false;
    sl_time_sleep_ns(SL_SECOND_NS);
    return true;
}

static int
follow(struct sl_cli *cli)
{
    struct feed feed = {0};
    for (;;) {
        struct sl_buf path = {0};
        sl_buf_printf(&path, "/v1/cluster/events?follow=true%s%s",
                      feed.last[0] == '\0' ? "" : "&since=", feed.last);
        append_filters(cli, &path);
        enum sl_err err = sl_http_send(
            cli->http, &(struct sl_http_request){.method = "GET", .path = sl_buf_text(&path)},
            &cli->reply);
        sl_buf_deinit(&path);
        bool is_away = err != SL_OK || cli->reply.status == 503;
        if (is_away && may_wait(&feed))
            continue;
        if (err != SL_OK) {
            sl_cli_error("%s: %s", cli->url, sl_http_error(cli->http));
            return SL_EXIT_UNREACHED;
        }
        if (cli->reply.status != 200) {
            sl_cli_error("status %u: %.*s", (unsigned)cli->reply.status,
                         SL_SLICE_FMT(sl_buf_slice(&cli->reply.body)));
            return SL_EXIT_REFUSED;
        }
        feed.away = 0;
        print_reply(cli, &feed);
    }
}

int
sl_cli_events(struct sl_cli *cli)
{
    static const char *const columns[] = {"ts",      "severity", "kind", "tenant_id",
                                          "subject", "message",  NULL};
    const char *limit = sl_cli_option(cli, "limit");
    struct sl_buf path = {0};
    if (cli->arguments_count > 0 ||
        (limit != NULL && (*limit == '\0' || strspn(limit, "0123456789") != strlen(limit))))
        return SL_EXIT_USAGE;
    if (sl_cli_option(cli, "follow") != NULL)
        return follow(cli);
    sl_buf_printf(&path, "/v1/cluster/events?limit=%s", limit == NULL ? "20" : limit);
    append_filters(cli, &path);
    append_filter(cli, "since", &path);
    struct sl_http_request q = {.method = "GET", .path = sl_buf_text(&path)};
    int code = sl_cli_ask_table(cli, &q, "results", columns);
    sl_buf_deinit(&path);
    return code;
}
