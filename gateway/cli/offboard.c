/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `tenant offboard`: have a tenant leave, or stay after all, and wait for it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

#define POLL_MS  200
#define DAYS_MAX 365

/* What is looked at until the tenant is gone, or its data only waits for its time. */
struct leaving {
    char *tenant, *task, *export; /* Paths; export: NULL where there is none. */
    char *told;                   /* The last line that was printed. */
};

static void
leaving_deinit(struct leaving *l)
{
    sl_free(l->tenant);
    sl_free(l->task);
    sl_free(l->export);
    sl_free(l->told);
}

/* Once, however often it is seen. Takes the line. */
static void
tell(struct leaving *l, char *line)
{
    if (l->told == NULL || strcmp(l->told, line) != 0)
        fprintf(stderr, "%s\n", line);
    sl_free(l->told);
    l->told = line;
}

static int
look(struct sl_cli *cli, const char *path, struct sl_json *ret_reply)
{
    struct sl_http_request q = {.method = "GET", .path = path};
    return sl_cli_ask(cli, &q, ret_reply);
}

static char *
text_of(struct sl_json object, const char *name)
{
    char *text = sl_json_strdup(sl_json_member(object, name));
    return text == NULL ? sl_strdup("") : text;
}

/* How far the export is; the server tries one that fails again. */
static int
tell_export(struct sl_cli *cli, struct leaving *l)
{
    struct sl_json reply;
    int code = l->export == NULL ? SL_EXIT_OK : look(cli, l->export, &reply);
    if (code != SL_EXIT_OK || l->export == NULL)
        return code;
    char *status = text_of(reply, "status"), *why = text_of(reply, "error");
    tell(l, why[0] == '\0' ? sl_format("export: %s", status)
                           : sl_format("export: %s: %s; it is tried again", status, why));
    if (strcmp(status, "completed") == 0) {
        sl_free(l->export); /* It does not change any more. */
        l->export = NULL;
    }
    sl_free(status);
    sl_free(why);
    return SL_EXIT_OK;
}

/* True: there is nothing to wait for any more, and *ret_code is how it ended. */
static bool
is_over(struct sl_cli *cli, struct leaving *l, bool is_kept, int *ret_code)
{
    struct sl_json reply;
    *ret_code = tell_export(cli, l);
    if (*ret_code == SL_EXIT_OK)
        *ret_code = look(cli, l->tenant, &reply);
    if (*ret_code != SL_EXIT_OK)
        return true;
    char *state = text_of(reply, "state"), *purge_at = text_of(reply, "purge_at");
    bool is_gone = strcmp(state, "offboarded") == 0, ends = is_gone;
    if (is_gone) {
        tell(l, sl_strdup("erased"));
    } else if (strcmp(state, "offboarding") != 0) {
        tell(l, sl_format("it stays: %s", state));
        *ret_code = SL_EXIT_FAILED;
        ends = true;
    } else if ((*ret_code = look(cli, l->task, &reply)) != SL_EXIT_OK) {
        ends = true;
    } else if (sl_json_is(sl_json_member(reply, "status"), "COMPLETED")) {
        tell(l, is_kept ? sl_format("data kept until %s", purge_at) : sl_strdup("erasing"));
        ends = is_kept && l->export == NULL;
    } else {
        tell(l, sl_strdup("waiting for what runs, and for the export"));
    }
    sl_free(state);
    sl_free(purge_at);
    return ends;
}

static int
wait_for_it(struct sl_cli *cli, struct leaving *l, bool is_kept)
{
    int code;
    while (!is_over(cli, l, is_kept, &code))
        (void)poll(NULL, 0, POLL_MS);
    return code;
}

/* -1: it is no number of days. NULL: the server's. */
static bool
read_days(const char *text, long *ret_days)
{
    char *end = NULL;
    *ret_days = text == NULL ? -1 : strtol(text, &end, 10);
    return text == NULL || (end != text && *end == '\0' && *ret_days >= 0 && *ret_days <= DAYS_MAX);
}

static int
begin(struct sl_cli *cli, const char *tenant, long days, struct leaving *l)
{
    static const char *const names[] = {"tenant_id", "task_id", "export_id", "purge_at", NULL};
    struct sl_buf body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    if (days >= 0)
        sl_jsonw_member_u64(&w, "data_retention_days", (uint64_t)days);
    if (sl_cli_option(cli, "no-export") != NULL)
        sl_jsonw_member_bool(&w, "export_data", false);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    char *path = sl_format("%s/offboard", tenant);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_buf_slice(&body)};
    int code = sl_cli_ask(cli, &q, &reply);
    sl_buf_deinit(&body);
    sl_free(path);
    if (code != SL_EXIT_OK)
        return code;
    char *task = text_of(reply, "task_id"), *export = text_of(reply, "export_id");
    l->tenant = sl_strdup(tenant);
    l->task = sl_format("/v1/tasks/%s", task);
    l->export = export[0] == '\0' ? NULL : sl_format("%s/exports/%s", tenant, export);
    sl_free(task);
    sl_free(export);
    if (cli->is_json)
        sl_cli_print_json(cli);
    else
        sl_cli_print_members(reply, names);
    (void)fflush(stdout); /* The ids are of use while it goes on. */
    return SL_EXIT_OK;
}

static int
cancel(struct sl_cli *cli, const char *tenant)
{
    static const char *const names[] = {"tenant_id", "state", NULL};
    char *path = sl_format("%s/offboard/cancel", tenant);
    struct sl_http_request q = {.method = "POST", .path = path};
    int code = sl_cli_ask_members(cli, &q, NULL, names);
    sl_free(path);
    return code;
}

int
sl_cli_offboard_tenant(struct sl_cli *cli)
{
    struct leaving l = {0};
    long days;
    int code = SL_EXIT_OK;
    if (!read_days(sl_cli_option(cli, "retention-days"), &days)) {
        sl_cli_error("--retention-days takes a number from 0 to %d", DAYS_MAX);
        cli->is_told = true;
        return SL_EXIT_USAGE;
    }
    char *id = sl_cli_escape(cli->arguments[1]);
    char *tenant = sl_format("/v1/tenants/%s", id);
    if (sl_cli_option(cli, "cancel") != NULL)
        code = cancel(cli, tenant);
    else
        code = begin(cli, tenant, days, &l);
    if (code == SL_EXIT_OK && l.task != NULL && sl_cli_option(cli, "wait") != NULL)
        code = wait_for_it(cli, &l, days != 0);
    leaving_deinit(&l);
    sl_free(tenant);
    sl_free(id);
    return code;
}
