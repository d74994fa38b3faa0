/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs jobs, models and keys: each a table of what it can do. */
#include <stdio.h>
#include <unistd.h>

#include "gateway/cli/act.h"
#include "gateway/cli/queue.h"
#include "runtime/alloc.h"

/* ---- jobs ---------------------------------------------------------------------------------- */

static const char *const job_members[] = {"task_id",
                                          "task_type",
                                          "status",
                                          "additional_data.batch_id",
                                          "additional_data.progress.done",
                                          "additional_data.progress.failed",
                                          "additional_data.progress.total",
                                          "error",
                                          "created_at",
                                          "started_at",
                                          "completed_at",
                                          NULL};

static int
list_jobs(struct sl_cli *cli)
{
    static const char *const columns[] = {"task_id", "task_type", "status", "created_at", NULL};
    const char *limit = sl_cli_option(cli, "limit"), *status = sl_cli_option(cli, "status");
    struct sl_buf body = {0};
    struct sl_jsonw w;
    if (limit != NULL && (*limit == '\0' || strspn(limit, "0123456789") != strlen(limit)))
        return SL_EXIT_USAGE;
    char *path = sl_format("/v1/tasks/list?limit=%s", limit == NULL ? "10" : limit);
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    if (status != NULL)
        sl_jsonw_member_str(&w, "status", status);
    sl_jsonw_end(&w);
    int code = sl_cli_ask_table(
        cli, &(struct sl_http_request){.method = "POST", .path = path, .body = sl_buf_slice(&body)},
        "results", columns);
    sl_buf_deinit(&body);
    sl_free(path);
    return code;
}

static int
of_job(struct sl_cli *cli, const char *method, const char *const *names)
{
    char *id = sl_cli_escape(cli->arguments[1]), *path = sl_format("/v1/tasks/%s", id);
    int code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = method, .path = path},
                                  NULL, names);
    sl_free(id);
    sl_free(path);
    return code;
}

static int
get_job(struct sl_cli *cli)
{
    return of_job(cli, "GET", job_members);
}

static int
cancel_job(struct sl_cli *cli)
{
    static const char *const names[] = {"message", NULL};
    return of_job(cli, "DELETE", names);
}

static void
print_logs(struct sl_json tiers)
{
    struct sl_buf memory = {0};
    for (struct sl_json_iter i = sl_json_iter(tiers); sl_json_next(&i);) {
        for (struct sl_json_iter k = sl_json_iter(sl_json_member(i.value, "lines"));
             sl_json_next(&k);) {
            struct sl_slice line;
            sl_buf_clear(&memory);
            if (sl_json_text(k.value, &memory, &line) != SL_OK)
                continue;
            for (size_t at = 0; at < line.size; at++) /* Nothing of it steers the terminal. */
                (void)putchar(line.data[at] < ' ' || line.data[at] == 127 ? ' ' : line.data[at]);
            (void)putchar('\n');
        }
    }
    sl_buf_deinit(&memory);
}

/* Logs are kept by batch: the job says which. */
static int
log_job(struct sl_cli *cli)
{
    struct sl_json reply;
    char *id = sl_cli_escape(cli->arguments[1]), *path = sl_format("/v1/tasks/%s", id);
    int code = sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = path}, &reply);
    struct sl_json about = sl_json_member(reply, "additional_data");
    char *bucket = NULL, *batch = NULL, *namespace = NULL;
    sl_free(path);
    path = NULL;
    if (code != SL_EXIT_OK)
        goto out;
    bucket = sl_json_strdup(sl_json_member(about, "bucket_id"));
    batch = sl_json_strdup(sl_json_member(about, "batch_id"));
    namespace = sl_json_strdup(sl_json_member(about, "namespace_id"));
    code = SL_EXIT_FAILED;
    if (bucket == NULL || batch == NULL) {
        sl_cli_error("%s is not the job of a batch: it has no logs", cli->arguments[1]);
        goto out;
    }
    path = sl_format("/v1/buckets/%s/batches/%s/logs", bucket, batch);
    code = sl_cli_ask(
        cli, &(struct sl_http_request){.method = "GET", .path = path, .namespace_id = namespace},
        &reply);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        print_logs(sl_json_member(reply, "tiers"));
out:
    sl_free(id);
    sl_free(path);
    sl_free(bucket);
    sl_free(batch);
    sl_free(namespace);
    return code;
}

int
sl_cli_jobs(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {{"list", 0, list_jobs},
                                                   {"get", 1, get_job},
                                                   {"logs", 1, log_job},
                                                   {"cancel", 1, cancel_job},
                                                   {0}};
    bool is_own = sl_cli_option(cli, "where") != NULL ||
                  (cli->arguments_count == 2 && sl_cli_is_own_job(cli->arguments[1]));
    return is_own ? sl_cli_own_jobs(cli) : sl_cli_act(cli, actions);
}

/* ---- what there may be only one of -------------------------------------------------------- */

#define CHOICES_SHOWN 10

struct choice {
    const char *option; /* Which says it: also what it is called. */
    const char *path;   /* Lists what there is... */
    const char *name;   /* ...each with its name in this member. */
};

static void
say_choices(const struct choice *c, struct sl_json things)
{
    struct sl_buf names = {0};
    for (struct sl_json_iter i = sl_json_iter(things); sl_json_next(&i);) {
        char *name = sl_json_strdup(sl_json_member(i.value, c->name));
        sl_buf_printf(&names, "%s%s", names.size == 0 ? "" : ", ", name == NULL ? "-" : name);
        sl_free(name);
    }
    sl_cli_error("there are several: say which %s with --%s: %s%s", c->option, c->option,
                 sl_buf_text(&names), sl_json_count(things) == CHOICES_SHOWN ? ", ..." : "");
    sl_buf_deinit(&names);
}

/* What the option names, or the only one there is. Owned; NULL: said why, the code is in *ret_code.
 */
static char *
choose(struct sl_cli *cli, const struct choice *c, int *ret_code)
{
    const char *given = sl_cli_option(cli, c->option);
    struct sl_json reply;
    if (given != NULL)
        return sl_strdup(given);
    char *path = sl_format("%s?limit=%d", c->path, CHOICES_SHOWN);
    *ret_code = sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = path}, &reply);
    sl_free(path);
    if (*ret_code != SL_EXIT_OK)
        return NULL;
    struct sl_json things = sl_json_member(reply, "results");
    struct sl_json_iter first = sl_json_iter(things);
    *ret_code = SL_EXIT_USAGE;
    if (sl_json_count(things) == 1 && sl_json_next(&first))
        return sl_json_strdup(sl_json_member(first.value, c->name));
    if (sl_json_count(things) == 0)
        sl_cli_error("there is no %s", c->option);
    else
        say_choices(c, things);
    return NULL;
}

/* ---- models -------------------------------------------------------------------------------- */

/* "/v1/namespaces/NAME/models" and what follows. Owned; NULL: said why, the code is in *ret_code.
 */
static char *
models_path(struct sl_cli *cli, const char *rest, int *ret_code)
{
    static const struct choice namespace = {"namespace", "/v1/namespaces", "namespace_name"};
    char *name = choose(cli, &namespace, ret_code);
    if (name == NULL)
        return NULL;
    char *escaped = sl_cli_escape(name),
         *path = sl_format("/v1/namespaces/%s/models%s", escaped, rest);
    sl_free(name);
    sl_free(escaped);
    return path;
}

static int
list_models(struct sl_cli *cli)
{
    static const char *const columns[] = {"model_id", "model_format", "task_type",
                                          "deployed", "created_at",   NULL};
    int code = SL_EXIT_FAILED;
    char *path = models_path(cli, "", &code);
    if (path == NULL)
        return code;
    code = sl_cli_ask_table(cli, &(struct sl_http_request){.method = "GET", .path = path}, "models",
                            columns);
    sl_free(path);
    return code;
}

static void
show_progress(uint64_t sent, uint64_t total)
{
    static uint64_t shown = UINT64_MAX;
    uint64_t percent = total == 0 ? 0 : sent * 100 / total;
    if (percent == shown)
        return;
    shown = percent;
    (void)fprintf(stderr, "\r%3u %% of %.1f MiB%s", (unsigned)percent, (double)total / 1048576,
                  sent == total && total > 0 ? "\n" : "");
}

static int
upload_model(struct sl_cli *cli)
{
    static const char *const names[] = {"model_id", "deployment_status", "endpoint", NULL};
    const char *file = cli->arguments[1], *format = sl_cli_option(cli, "format");
    const char *name = sl_cli_option(cli, "name"), *version = sl_cli_option(cli, "version");
    if (name == NULL || version == NULL) {
        sl_cli_error("--name and --version are needed");
        return SL_EXIT_USAGE;
    }
    if (access(file, R_OK) != 0) {
        sl_cli_error("%s cannot be read", file);
        return SL_EXIT_FAILED;
    }
    int code = SL_EXIT_FAILED;
    char *path = models_path(cli, "", &code);
    if (path == NULL)
        return code;
    const char *form[] = {"name",
                          name,
                          "version",
                          version,
                          "model_format",
                          format == NULL ? "safetensors" : format,
                          "task_type",
                          sl_cli_option(cli, "task"),
                          NULL};
    struct sl_http_request q = {.method = "POST",
                                .path = path,
                                .file = file,
                                .form = form,
                                .progress = isatty(STDERR_FILENO) ? show_progress : NULL};
    code = sl_cli_ask_members(cli, &q, NULL, names);
    sl_free(path);
    return code;
}

static int
of_model(struct sl_cli *cli, const char *method, const char *verb)
{
    static const char *const names[] = {"model_id", "deployment_status", "message", NULL};
    char *id = sl_cli_escape(cli->arguments[1]), *rest = sl_format("/%s%s", id, verb);
    int code = SL_EXIT_FAILED;
    char *path = models_path(cli, rest, &code);
    if (path != NULL)
        code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = method, .path = path},
                                  NULL, names);
    sl_free(id);
    sl_free(rest);
    sl_free(path);
    return code;
}

static int
deploy_model(struct sl_cli *cli)
{
    return of_model(cli, "POST", "/deploy");
}

static int
evict_model(struct sl_cli *cli)
{
    return of_model(cli, "POST", "/evict");
}

static int
delete_model(struct sl_cli *cli)
{
    return of_model(cli, "DELETE", "");
}

int
sl_cli_models(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {
        {"list", 0, list_models},  {"upload", 1, upload_model}, {"deploy", 1, deploy_model},
        {"evict", 1, evict_model}, {"delete", 1, delete_model}, {0}};
    return sl_cli_act(cli, actions);
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* "/v1/organizations/users/EMAIL/api-keys" and what follows; the key's name if there is one. */
static char *
keys_path(struct sl_cli *cli, const char *name, const char *rest, int *ret_code)
{
    static const struct choice whose = {"user", "/v1/organizations/users", "email"};
    char *user = choose(cli, &whose, ret_code);
    if (user == NULL)
        return NULL;
    char *escaped = sl_cli_escape(user), *key = sl_cli_escape(name);
    char *path = sl_format("/v1/organizations/users/%s/api-keys%s%s%s", escaped,
                           *key == '\0' ? "" : "/", key, rest);
    sl_free(user);
    sl_free(escaped);
    sl_free(key);
    return path;
}

static const char *const key_members[] = {"name",       "key_id", "permissions", "status",
                                          "expires_at", "key",    NULL};

static int
list_keys(struct sl_cli *cli)
{
    static const char *const columns[] = {"name",   "key_prefix", "permissions",
                                          "status", "expires_at", NULL};
    int code = SL_EXIT_FAILED;
    char *path = keys_path(
        cli, "", sl_cli_option(cli, "revoked") == NULL ? "" : "?include_revoked=true", &code);
    if (path == NULL)
        return code;
    code = sl_cli_ask_table(cli, &(struct sl_http_request){.method = "GET", .path = path},
                            "results", columns);
    sl_free(path);
    return code;
}

static void
write_new_key(const struct sl_cli *cli, struct sl_jsonw *w)
{
    const char *permissions = sl_cli_option(cli, "permissions");
    const char *expires = sl_cli_option(cli, "expires");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "name", cli->arguments[1]);
    if (expires != NULL)
        sl_jsonw_member_str(w, "expires_at", expires);
    sl_jsonw_name(w, "permissions");
    sl_jsonw_array(w);
    for (const char *at = permissions == NULL ? "read" : permissions; *at != '\0';) {
        size_t size = strcspn(at, ",");
        sl_jsonw_slice(w, sl_slice(at, size));
        at += size + (at[size] == ',');
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static int
create_key(struct sl_cli *cli)
{
    struct sl_buf body = {0};
    struct sl_jsonw w;
    int code = SL_EXIT_FAILED;
    char *path = keys_path(cli, "", "", &code);
    if (path == NULL)
        return code;
    sl_jsonw_init(&w, &body);
    write_new_key(cli, &w);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_buf_slice(&body)};
    code = sl_cli_ask_members(cli, &q, NULL, key_members);
    sl_buf_deinit(&body);
    sl_free(path);
    return code;
}

static int
rotate_key(struct sl_cli *cli)
{
    const char *overlap = sl_cli_option(cli, "overlap");
    int code = SL_EXIT_FAILED;
    if (overlap != NULL && (*overlap == '\0' || strspn(overlap, "0123456789") != strlen(overlap)))
        return SL_EXIT_USAGE;
    char *rest = sl_format("/rotate?overlap_s=%s", overlap == NULL ? "0" : overlap);
    char *path = keys_path(cli, cli->arguments[1], rest, &code);
    if (path != NULL)
        code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = "POST", .path = path},
                                  NULL, key_members);
    sl_free(rest);
    sl_free(path);
    return code;
}

static int
revoke_key(struct sl_cli *cli)
{
    static const char *const names[] = {"message", NULL};
    int code = SL_EXIT_FAILED;
    char *path = keys_path(cli, cli->arguments[1], "", &code);
    if (path != NULL)
        code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = "DELETE", .path = path},
                                  NULL, names);
    sl_free(path);
    return code;
}

int
sl_cli_keys(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {{"list", 0, list_keys},
                                                   {"create", 1, create_key},
                                                   {"rotate", 1, rotate_key},
                                                   {"revoke", 1, revoke_key},
                                                   {0}};
    return sl_cli_act(cli, actions);
}
