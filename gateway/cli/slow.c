/* SPDX-License-Identifier: Apache-2.0 */
/* The verb slow: the slowest requests of late, and where their time went. */
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

static void
print_ms(struct sl_json of, const char *name)
{
    uint64_t us = 0;
    if (sl_json_u64(sl_json_member(of, name), &us) == SL_OK)
        printf("%.2f ms", (double)us / 1000);
    else
        printf("-");
}

/* A terminal obeys what it is shown. */
static void
print_text(struct sl_json of, const char *name)
{
    char *text = sl_json_strdup(sl_json_member(of, name));
    for (char *c = text; c != NULL && *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    printf("%s", text == NULL || *text == '\0' ? "-" : text);
    sl_free(text);
}

/* "run 0.20 ms, ask 9.10 ms (replica wait 0.01 ms, compute 9.00 ms), commit 1.40 ms" */
static void
print_phases(struct sl_json phases)
{
    bool is_within = false;
    const char *between = "    ";
    for (struct sl_json_iter i = sl_json_iter(phases); sl_json_next(&i); between = ", ") {
        bool was_within = is_within;
        is_within = sl_json_has(sl_json_member(i.value, "within"));
        if (was_within && !is_within)
            printf(")");
        printf("%s", is_within && !was_within ? " (" : between);
        print_text(i.value, "phase");
        printf(" ");
        print_ms(i.value, "duration_us");
    }
    printf("%s\n", is_within ? ")" : "");
}

static void
append_query(const struct sl_cli *cli, struct sl_buf *path)
{
    static const char *const names[][2] = {{"limit", "limit"},
                                           {"cursor", "cursor"},
                                           {"q", "q"},
                                           {"tenant", "tenant_id"},
                                           {"min-ms", "min_ms"}};
    sl_buf_printf(path, "/v1/cluster/slow_requests?sort=%s",
                  sl_cli_option(cli, "latest") != NULL ? "-started_at" : "-duration");
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        const char *value = sl_cli_option(cli, names[i][0]);
        if (value == NULL)
            continue;
        char *escaped = sl_cli_escape(value);
        sl_buf_printf(path, "&%s=%s", names[i][1], escaped);
        sl_free(escaped);
    }
}

int
sl_cli_slow(struct sl_cli *cli)
{
    struct sl_buf path = {0};
    struct sl_json reply;
    if (cli->arguments_count > 0)
        return SL_EXIT_USAGE;
    append_query(cli, &path);
    struct sl_http_request request = {.method = "GET", .path = sl_buf_text(&path)};
    int code = sl_cli_ask(cli, &request, &reply);
    sl_buf_deinit(&path);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json) {
        sl_cli_print_json(cli);
        return code;
    }
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "results"));
         sl_json_next(&i);) {
        static const char *const members[] = {"operation", "status", "tenant_id", "started_at",
                                              "request_id"};
        print_ms(i.value, "duration_us");
        for (size_t k = 0; k < SL_COUNT_OF(members); k++) {
            printf("  ");
            if (k == 1)
                printf("%.*s", SL_SLICE_FMT(sl_json_raw(sl_json_member(i.value, members[k]))));
            else
                print_text(i.value, members[k]);
        }
        printf("\n");
        print_phases(sl_json_member(i.value, "phases"));
    }
    char *next = sl_json_strdup(sl_json_path(reply, sl_slice_str("pagination.next_cursor")));
    if (next != NULL)
        printf("more: --cursor %s\n", next);
    sl_free(next);
    return code;
}
