/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs queue (inspect, peek, rm), jobs and dead, as far as they are about a tenant's own
 * queues.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/base64.h"
#include "gateway/cli/queue.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define FILE_SIZE_MAX  (64 * 1024) /* Of a payload. */
#define STEP           1000        /* Jobs of one call; less with a rate. */
#define STEPS_A_SECOND 10          /* Of a rate. */
#define RATE_MAX       100000

static const char *const job_columns[] = {"job_id",   "queue",   "state", "priority", "created_at",
                                          "attempts", "crashes", "error", NULL};

/* ---- filters ------------------------------------------------------------------------------- */

/* "90s", "15m", "2h", "1d", "500ms". */
static bool
parse_duration(const char *text, size_t size, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || digits >= size)
        return false;
    for (size_t i = 0; i < SL_COUNT_OF(units); i++) {
        if (size - digits == strlen(units[i].unit) &&
            memcmp(text + digits, units[i].unit, size - digits) == 0) {
            *ret_ms = strtoull(text, NULL, 10) * units[i].ms;
            return true;
        }
    }
    return false;
}

/* States are joined by '+', since ',' parts conditions. */
static void
write_states(struct sl_jsonw *w, struct sl_slice value)
{
    char *states = sl_strndup((const char *)value.data, value.size);
    for (char *at = states; (at = strchr(at, '+')) != NULL;)
        *at = ',';
    sl_jsonw_member_str(w, "state", states);
    sl_free(states);
}

static bool
write_condition(struct sl_jsonw *w, struct sl_slice name, struct sl_slice value)
{
    const char *text = (const char *)value.data;
    uint64_t number = 0;
    if (sl_slice_is(name, "state")) {
        write_states(w, value);
    } else if (sl_slice_is(name, "error")) {
        sl_jsonw_member_slice(w, "error", value);
    } else if (sl_slice_is(name, "attempts")) {
        if (value.size == 0 || value.size > 5 || strspn(text, "0123456789") < value.size)
            return false;
        sl_jsonw_member_u64(w, "attempts_min", strtoull(text, NULL, 10));
    } else {
        bool is_older = sl_slice_is(name, "older");
        if ((!is_older && !sl_slice_is(name, "newer")) ||
            !parse_duration(text, value.size, &number))
            return false;
        sl_jsonw_member_u64(w, is_older ? "older_ms" : "newer_ms", number);
    }
    return true;
}

/* "state=dead,older=1d" as a member "where". */
static bool
write_where(const char *where, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "where");
    sl_jsonw_object(w);
    while (*where != '\0') {
        size_t size = strcspn(where, ","), name = strcspn(where, "=,");
        if (name >= size || !write_condition(w, sl_slice(where, name),
                                             sl_slice(where + name + 1, size - name - 1))) {
            sl_cli_error(
                "--where is state=S+S,older=TIME,newer=TIME,attempts=N,error=TEXT, each at "
                "most once, TIME as 90s, 15m, 2h, 1d; not %s",
                where);
            return false;
        }
        where += size + (where[size] == ',');
    }
    sl_jsonw_end(w);
    return true;
}

/* ---- asking -------------------------------------------------------------------------------- */

/* A name of a queue or an id of a job needs no escaping in a path. */
static bool
is_plain(const char *text)
{
    return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_.") == strlen(text);
}

bool
sl_cli_is_own_job(const char *text)
{
    return strncmp(text, "job_", 4) == 0 && is_plain(text);
}

static bool
is_number(const char *text)
{
    size_t size = strspn(text, "0123456789");
    return size > 0 && size <= 6 && text[size] == '\0';
}

static int
ask(struct sl_cli *cli, const char *method, const char *path, struct sl_slice body,
    struct sl_json *ret_reply)
{
    return sl_cli_ask(cli, &(struct sl_http_request){.method = method, .path = path, .body = body},
                      ret_reply);
}

/* About one job, of whatever queue. */
static int
ask_job(struct sl_cli *cli, const char *method, const char *rest, struct sl_slice body)
{
    static const char *const whole[] = {
        "job_id",         "queue",        "state",         "priority", "created_at", "not_before",
        "ended_at",       "expires_at",   "kept_until",    "attempts", "crashes",    "snoozes",
        "lease.until",    "lease.holder", "retry",         "error",    "log",        "payload",
        "payload_base64", "result",       "result_base64", NULL};
    static const char *const done[] = {"job_id", "message", NULL};
    struct sl_json reply;
    char *path = sl_format("/v1/queues/-/jobs/%s%s", cli->arguments[1], rest);
    int code = ask(cli, method, path, body, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_members(reply, strcmp(method, "GET") == 0 ? whole : done);
    return code;
}

/* ---- lists --------------------------------------------------------------------------------- */

struct jobs {
    struct sl_cli *cli;
    struct sl_buf rows; /* A JSON array of what came so far. */
    struct sl_jsonw w;
    uint64_t left;
};

/* Jobs of one queue, page by page, until there are as many as are wanted. */
static int
collect(struct jobs *j, const char *queue, const char *states)
{
    char *cursor = sl_strdup("");
    int code = SL_EXIT_OK;
    while (code == SL_EXIT_OK && cursor != NULL && j->left > 0) {
        struct sl_json reply;
        char *path = sl_format("/v1/queues/%s/jobs?state=%s&limit=%u&cursor=%s", queue, states,
                               (unsigned)SL_MIN(j->left, (uint64_t)STEP), cursor);
        code = ask(j->cli, "GET", path, (struct sl_slice){0}, &reply);
        sl_free(path);
        sl_free(cursor);
        cursor = NULL;
        if (code != SL_EXIT_OK)
            break;
        struct sl_json results = sl_json_member(reply, "results");
        for (struct sl_json_iter i = sl_json_iter(results); sl_json_next(&i) && j->left > 0;
             j->left--)
            sl_jsonw_value(&j->w, i.value);
        cursor = sl_json_strdup(sl_json_path(reply, sl_slice_str("pagination.next_cursor")));
    }
    sl_free(cursor);
    return code;
}

/* A page of the tenant's queues; *cursor, "" at first, becomes that of the next, NULL: the last. */
static int
ask_queues(struct sl_cli *cli, char **cursor, struct sl_json *ret_reply)
{
    char *path =
        sl_format("/v1/queues?limit=200%s%s", (*cursor)[0] == '\0' ? "" : "&cursor=", *cursor);
    int code = ask(cli, "GET", path, (struct sl_slice){0}, ret_reply);
    sl_free(path);
    sl_free(*cursor);
    *cursor = NULL;
    if (code == SL_EXIT_OK)
        *cursor = sl_json_strdup(sl_json_path(*ret_reply, sl_slice_str("pagination.next_cursor")));
    return code;
}

/* The names of the tenant's queues, each ended by a newline. */
static int
collect_queues(struct sl_cli *cli, struct sl_buf *names)
{
    struct sl_json reply;
    char *cursor = sl_strdup("");
    int code = SL_EXIT_OK;
    while (code == SL_EXIT_OK && cursor != NULL) {
        code = ask_queues(cli, &cursor, &reply);
        struct sl_json results =
            code == SL_EXIT_OK ? sl_json_member(reply, "results") : (struct sl_json){0};
        for (struct sl_json_iter i = sl_json_iter(results); sl_json_next(&i);) {
            char *name = sl_json_strdup(sl_json_member(i.value, "queue"));
            if (name != NULL && is_plain(name))
                sl_buf_printf(names, "%s\n", name);
            sl_free(name);
        }
    }
    sl_free(cursor);
    return code;
}

static int
print_jobs(struct jobs *j)
{
    struct sl_json_doc *doc = NULL;
    sl_jsonw_end(&j->w);
    sl_jsonw_done(&j->w);
    if (j->cli->is_json)
        printf("{\"results\":%s}\n", sl_buf_text(&j->rows));
    else if (sl_json_parse(sl_buf_slice(&j->rows), &doc, NULL) == SL_OK)
        sl_cli_print_table(sl_json_root(doc), job_columns);
    sl_json_destroy(&doc);
    return SL_EXIT_OK;
}

/* Jobs in some states, of one queue, or of all with `queue` NULL. */
static int
list_jobs(struct sl_cli *cli, const char *queue, const char *states)
{
    const char *limit = sl_cli_option(cli, "limit");
    struct jobs j = {.cli = cli, .left = limit == NULL ? 100 : strtoull(limit, NULL, 10)};
    struct sl_buf names = {0};
    if ((limit != NULL && !is_number(limit)) || (queue != NULL && !is_plain(queue)))
        return SL_EXIT_USAGE;
    int code = SL_EXIT_OK;
    if (queue == NULL)
        code = collect_queues(cli, &names);
    else
        sl_buf_printf(&names, "%s\n", queue);
    sl_jsonw_init(&j.w, &j.rows);
    sl_jsonw_array(&j.w);
    char *text = sl_strdup(sl_buf_text(&names)), *save = NULL;
    for (char *name = strtok_r(text, "\n", &save); code == SL_EXIT_OK && name != NULL;
         name = strtok_r(NULL, "\n", &save))
        code = collect(&j, name, states);
    if (code == SL_EXIT_OK)
        code = print_jobs(&j);
    sl_free(text);
    sl_buf_deinit(&names);
    sl_buf_deinit(&j.rows);
    return code;
}

static int
print_stats(struct sl_cli *cli)
{
    static const char *const columns[] = {"queue",
                                          "mode",
                                          "counts.queued",
                                          "counts.scheduled",
                                          "counts.blocked",
                                          "counts.running",
                                          "counts.succeeded",
                                          "counts.dead",
                                          "counts.quarantined",
                                          "counts.canceled",
                                          "counts.expired",
                                          "oldest_age_ms",
                                          NULL};
    struct sl_json reply;
    char *cursor = sl_strdup("");
    int code = SL_EXIT_OK;
    while (code == SL_EXIT_OK && cursor != NULL) { /* A table a page, or a line of JSON. */
        code = ask_queues(cli, &cursor, &reply);
        if (code == SL_EXIT_OK && cli->is_json)
            sl_cli_print_json(cli);
        else if (code == SL_EXIT_OK)
            sl_cli_print_table(sl_json_member(reply, "results"), columns);
    }
    sl_free(cursor);
    return code;
}

int
sl_cli_queue_inspect(struct sl_cli *cli)
{
    static const char *const kinds[][2] = {{"active", "queued,blocked,running"},
                                           {"scheduled", "scheduled"},
                                           {"leased", "running"},
                                           {"dead", "dead,quarantined"}};
    const char *what = cli->arguments_count < 2 ? "" : cli->arguments[1];
    const char *queue = cli->arguments_count == 3 ? cli->arguments[2] : NULL;
    if (cli->arguments_count > 3)
        return SL_EXIT_USAGE;
    if (strcmp(what, "stats") == 0 && queue == NULL)
        return print_stats(cli);
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (strcmp(what, kinds[i][0]) == 0)
            return list_jobs(cli, queue, kinds[i][1]);
    }
    return SL_EXIT_USAGE;
}

int
sl_cli_queue_peek(struct sl_cli *cli)
{
    static const char *const columns[] = {"job_id",  "priority",       "created_at", "attempts",
                                          "payload", "payload_base64", NULL};
    const char *limit = sl_cli_option(cli, "limit");
    struct sl_json reply;
    if (!is_plain(cli->arguments[1]) || (limit != NULL && !is_number(limit)))
        return SL_EXIT_USAGE;
    char *path =
        sl_format("/v1/queues/%s/peek?limit=%s", cli->arguments[1], limit == NULL ? "10" : limit);
    int code = ask(cli, "GET", path, (struct sl_slice){0}, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, "results"), columns);
    return code;
}

int
sl_cli_queue_events(struct sl_cli *cli)
{
    static const char *const columns[] = {"id",    "at",    "event",  "job_id",
                                          "state", "epoch", "reason", NULL};
    const char *limit = sl_cli_option(cli, "limit"), *after = sl_cli_option(cli, "after");
    struct sl_json reply;
    if (!is_plain(cli->arguments[1]) || (limit != NULL && !is_number(limit)) ||
        (after != NULL && !is_plain(after)))
        return SL_EXIT_USAGE;
    char *path = sl_format("/v1/queues/%s/events?limit=%s&after=%s", cli->arguments[1],
                           limit == NULL ? "100" : limit, after == NULL ? "" : after);
    int code = ask(cli, "GET", path, (struct sl_slice){0}, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_table(sl_json_member(reply, "results"), columns);
    return code;
}

int
sl_cli_queue_rm(struct sl_cli *cli)
{
    static const char *const members[] = {"queue", "jobs", "message", NULL};
    struct sl_json reply;
    if (!is_plain(cli->arguments[1]))
        return SL_EXIT_USAGE;
    char *path = sl_format("/v1/queues/%s%s", cli->arguments[1],
                           sl_cli_option(cli, "force") != NULL ? "?force=true" : "");
    int code = ask(cli, "DELETE", path, (struct sl_slice){0}, &reply);
    sl_free(path);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_members(reply, members);
    return code;
}

/* ---- many jobs ----------------------------------------------------------------------------- */

struct sweep {
    const char *what; /* "cancel", "retry", "delete": of the path. */
    const char *queue, *where;
    uint64_t rate; /* Jobs a second; 0: as fast as it goes. */
    uint64_t changed;
};

/* One call of several. *cursor is where it goes on; NULL: it is done. */
static int
sweep_step(struct sl_cli *cli, struct sweep *s, char **cursor)
{
    struct sl_buf body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    uint64_t changed = 0, step = s->rate == 0 ? STEP : SL_MAX(s->rate / STEPS_A_SECOND, 1u);
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    bool is_good = write_where(s->where, &w);
    if (is_good) {
        if (**cursor != '\0')
            sl_jsonw_member_str(&w, "cursor", *cursor);
        sl_jsonw_member_u64(&w, "limit", SL_MIN(step, (uint64_t)STEP));
        sl_jsonw_end(&w);
    }
    sl_free(*cursor);
    *cursor = NULL;
    cli->is_told = !is_good;
    char *path = sl_format("/v1/queues/%s/jobs/%s", s->queue, s->what);
    int code = is_good ? ask(cli, "POST", path, sl_buf_slice(&body), &reply) : SL_EXIT_USAGE;
    if (code == SL_EXIT_OK) {
        if (sl_json_u64(sl_json_member(reply, "changed"), &changed) != SL_OK)
            changed = 0;
        *cursor = sl_json_strdup(sl_json_member(reply, "next_cursor"));
    }
    if (s->rate > 0 && changed > 0 && *cursor != NULL) /* What was done has used up its time. */
        sl_time_sleep_ns(changed * SL_SECOND_NS / s->rate);
    s->changed += changed;
    sl_free(path);
    sl_buf_deinit(&body);
    return code;
}

static int
sweep_all(struct sl_cli *cli, struct sweep *s)
{
    char *cursor = sl_strdup("");
    int code = SL_EXIT_OK;
    while (code == SL_EXIT_OK && cursor != NULL)
        code = sweep_step(cli, s, &cursor);
    sl_free(cursor);
    if (cli->is_json && code == SL_EXIT_OK)
        printf("{\"changed\":%llu}\n", (unsigned long long)s->changed);
    else if (code == SL_EXIT_OK || s->changed > 0)
        printf("changed  %llu\n", (unsigned long long)s->changed);
    return code;
}

/* "50/s" or "50". */
static bool
read_rate(const char *text, uint64_t *ret_rate)
{
    size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
    *ret_rate = 0;
    if (text == NULL)
        return true;
    if (digits == 0 || digits > 6 || (text[digits] != '\0' && strcmp(text + digits, "/s") != 0))
        return false;
    *ret_rate = strtoull(text, NULL, 10);
    return *ret_rate > 0 && *ret_rate <= RATE_MAX;
}

/* Of the queue that --queue names, those that --where says. */
static int
sweep_named(struct sl_cli *cli, const char *what, const char *where, const char *rate)
{
    struct sweep s = {.what = what, .queue = sl_cli_option(cli, "queue"), .where = where};
    if (s.queue == NULL || !is_plain(s.queue) || s.where == NULL || !read_rate(rate, &s.rate))
        return SL_EXIT_USAGE;
    return sweep_all(cli, &s);
}

/* ---- following ----------------------------------------------------------------------------- */

static void
print_event(const struct sl_cli *cli, struct sl_slice data)
{
    static const char *const names[] = {"at", "event", "state", "epoch", "progress"};
    struct sl_json_doc *doc = NULL;
    if (cli->is_json) {
        printf("%.*s\n", SL_SLICE_FMT(data));
    } else if (sl_json_parse(data, &doc, NULL) == SL_OK) {
        for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
            struct sl_json v = sl_json_member(sl_json_root(doc), names[i]);
            char *text = sl_json_strdup(v);
            struct sl_slice shown = text == NULL ? sl_json_raw(v) : sl_slice_str(text);
            if (sl_json_has(v))
                printf("%s%.*s", i == 0 ? "" : "  ", SL_SLICE_FMT(shown));
            sl_free(text);
        }
        (void)fputc('\n', stdout);
    }
    (void)fflush(stdout);
    sl_json_destroy(&doc);
}

/* Print the events of one reply; *last is the number of the last one. */
static void
print_events(const struct sl_cli *cli, char *text, unsigned long long *last)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "id: ", 4) == 0)
            *last = strtoull(line + 4, NULL, 10);
        else if (strncmp(line, "data: ", 6) == 0)
            print_event(cli, sl_slice_str(line + 6));
    }
}

/* What happens to a job, from now on and until it has ended. */
static int
trace(struct sl_cli *cli)
{
    unsigned long long last = 0;
    struct sl_json reply;
    char *path = sl_format("/v1/queues/-/jobs/%s", cli->arguments[1]);
    int code = ask(cli, "GET", path, (struct sl_slice){0}, &reply); /* Is it there? */
    sl_free(path);
    while (code == SL_EXIT_OK) {
        path = sl_format("/v1/queues/-/jobs/%s/events?last_event_id=%llu", cli->arguments[1], last);
        enum sl_err err = sl_http_send(
            cli->http, &(struct sl_http_request){.method = "GET", .path = path}, &cli->reply);
        sl_free(path);
        if (err != SL_OK) {
            sl_cli_error("%s: %s", cli->url, sl_http_error(cli->http));
            return SL_EXIT_UNREACHED;
        }
        if (cli->reply.status == 204)
            return SL_EXIT_OK;
        if (cli->reply.status != 200) {
            sl_cli_error("%s: status %u", cli->arguments[1], (unsigned)cli->reply.status);
            return SL_EXIT_REFUSED;
        }
        char *text = sl_strdup(sl_buf_text(&cli->reply.body));
        print_events(cli, text, &last);
        sl_free(text);
    }
    return code;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

int
sl_cli_own_jobs(struct sl_cli *cli)
{
    static const struct {
        const char *verb, *method, *rest, *many;
    } actions[] = {{"show", "GET", "", NULL},
                   {"get", "GET", "", NULL},
                   {"cancel", "POST", "/cancel", "cancel"},
                   {"retry", "POST", "/retry", "retry"},
                   {"rm", "DELETE", "", "delete"}};
    const char *verb = cli->arguments_count == 0 ? "" : cli->arguments[0];
    const char *where = sl_cli_option(cli, "where");
    if (strcmp(verb, "trace") == 0 && cli->arguments_count == 2 && where == NULL &&
        sl_cli_is_own_job(cli->arguments[1]))
        return trace(cli);
    for (size_t i = 0; i < SL_COUNT_OF(actions); i++) {
        if (strcmp(verb, actions[i].verb) != 0)
            continue;
        if (cli->arguments_count == 1 && actions[i].many != NULL)
            return sweep_named(cli, actions[i].many, where, NULL);
        return cli->arguments_count == 2 && where == NULL && sl_cli_is_own_job(cli->arguments[1])
                   ? ask_job(cli, actions[i].method, actions[i].rest, (struct sl_slice){0})
                   : SL_EXIT_USAGE;
    }
    return SL_EXIT_USAGE;
}

/* ---- dead ---------------------------------------------------------------------------------- */

/* A body that has the file as payload: as JSON if it is some. False: it was said why not. */
static bool
read_edit(const char *path, struct sl_buf *body)
{
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    uint8_t *bytes = sl_alloc(FILE_SIZE_MAX + 1);
    FILE *file = fopen(path, "re");
    size_t size = file == NULL ? 0 : fread(bytes, 1, FILE_SIZE_MAX + 1, file);
    bool is_read = file != NULL && !ferror(file) && size <= FILE_SIZE_MAX && size > 0;
    if (file != NULL)
        (void)fclose(file);
    if (!is_read)
        sl_cli_error("%s cannot be read, is empty, or has more than %d bytes", path, FILE_SIZE_MAX);
    while (is_read && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r') && size > 1)
        size--;
    bool is_json = is_read && sl_json_parse(sl_slice(bytes, size), &doc, NULL) == SL_OK;
    sl_jsonw_init(&w, body);
    sl_jsonw_object(&w);
    if (is_json) {
        sl_jsonw_member_raw(&w, "payload", sl_slice(bytes, size));
    } else if (is_read) {
        struct sl_buf text = {0};
        sl_base64_encode(sl_slice(bytes, size), false, &text);
        sl_jsonw_member_slice(&w, "payload_base64", sl_buf_slice(&text));
        sl_buf_deinit(&text);
    }
    sl_jsonw_end(&w);
    sl_json_destroy(&doc);
    sl_free(bytes);
    return is_read;
}

static int
redrive(struct sl_cli *cli)
{
    const char *edit = sl_cli_option(cli, "edit"), *where = sl_cli_option(cli, "where");
    const char *rate = sl_cli_option(cli, "rate");
    struct sl_buf body = {0};
    if (cli->arguments_count == 1 && edit == NULL)
        return sweep_named(cli, "retry", where == NULL ? "" : where, rate);
    if (cli->arguments_count != 2 || !sl_cli_is_own_job(cli->arguments[1]) || where != NULL ||
        rate != NULL)
        return SL_EXIT_USAGE;
    int code = edit == NULL || read_edit(edit, &body) ? SL_EXIT_OK : SL_EXIT_FAILED;
    if (code == SL_EXIT_OK)
        code = ask_job(cli, "POST", "/retry", sl_buf_slice(&body));
    sl_buf_deinit(&body);
    return code;
}

int
sl_cli_dead(struct sl_cli *cli)
{
    const char *verb = cli->arguments_count == 0 ? "" : cli->arguments[0];
    if (strcmp(verb, "ls") == 0 && cli->arguments_count == 1)
        return list_jobs(cli, sl_cli_option(cli, "queue"), "dead,quarantined");
    if (strcmp(verb, "show") == 0 && cli->arguments_count == 2 &&
        sl_cli_is_own_job(cli->arguments[1]))
        return ask_job(cli, "GET", "", (struct sl_slice){0});
    return strcmp(verb, "redrive") == 0 ? redrive(cli) : SL_EXIT_USAGE;
}
