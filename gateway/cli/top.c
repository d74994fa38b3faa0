/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb top: the cluster at a glance, once or again every second until q. The screen is the
 * terminal's other one, so what was there before is there again afterwards.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

#define PERIOD_MS    1000
#define SCREEN_BYTES ((size_t)64 * 1024)

static volatile sig_atomic_t is_ended;

static void
on_signal(int number)
{
    (void)number;
    is_ended = 1;
}

/* ---- what is shown -------------------------------------------------------------------------- */

static const char *const paths[] = {"/v1/cluster", "/v1/cluster/worker-groups",
                                    "/v1/cluster/extractors?limit=30", "/v1/cluster/jobs?limit=20"};
static const char *const names[] = {"cluster", "groups", "extractors", "jobs"};

/* A tenant's key sees what is its own: refusals are passed over. */
static int
ask(struct sl_cli *cli, size_t which, struct sl_json *ret_reply)
{
    cli->is_quiet = true;
    return sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = paths[which]},
                      ret_reply);
}

static int
print_json(struct sl_cli *cli)
{
    struct sl_json reply;
    const char *between = "{";
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        int code = ask(cli, i, &reply);
        if (code == SL_EXIT_REFUSED && cli->reply.status == 403)
            continue;
        if (code != SL_EXIT_OK)
            return code;
        printf("%s\"%s\":%.*s", between, names[i], SL_SLICE_FMT(sl_json_raw(reply)));
        between = ",";
    }
    puts("}");
    return SL_EXIT_OK;
}

static void
print_cluster(struct sl_json reply)
{
    static const char *const columns[] = {
        "version",          "nodes.alive",          "nodes.draining",        "nodes.dead",
        "actors.alive",     "actors.pending",       "actors.dead",           "queues.depth",
        "queues.in_flight", "queues.oldest_age_ms", "resources.memory.used", NULL};
    char *row = sl_format("[%.*s]", SL_SLICE_FMT(sl_json_raw(reply)));
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(sl_slice_str(row), &doc, NULL) == SL_OK)
        sl_cli_print_table(sl_json_root(doc), columns);
    sl_json_destroy(&doc);
    sl_free(row);
}

static int
print_all(struct sl_cli *cli)
{
    static const char *const groups[] = {"name",
                                         "replicas",
                                         "ready_replicas",
                                         "desired_replicas",
                                         "min_replicas",
                                         "max_replicas",
                                         "condition",
                                         "reason",
                                         NULL};
    static const char *const extractors[] = {
        "extractor",        "tenant_id",       "state",  "replicas_total",
        "ongoing_requests", "queued_requests", "p50_ms", "p99_ms",
        "error_rate",       "memory",          NULL};
    static const char *const jobs[] = {"job_id",         "tenant_id",     "queue",
                                       "state",          "progress.done", "progress.failed",
                                       "progress.total", "created_at",    NULL};
    static const char *const *const columns[] = {NULL, groups, extractors, jobs};
    struct sl_json reply;
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        int code = ask(cli, i, &reply);
        if (code == SL_EXIT_REFUSED && cli->reply.status == 403)
            continue;
        if (code != SL_EXIT_OK)
            return code;
        if (columns[i] == NULL)
            print_cluster(reply);
        else
            sl_cli_print_table(sl_json_member(reply, "results"), columns[i]);
        if (i + 1 < SL_COUNT_OF(paths))
            puts("");
    }
    return SL_EXIT_OK;
}

/* ---- the screen ----------------------------------------------------------------------------- */

/* As many lines and columns as there are; what does not fit is cut. */
static void
show(const char *text, size_t size)
{
    struct winsize window = {.ws_row = 24, .ws_col = 80};
    struct sl_buf out = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0) {
        window.ws_row = 24;
        window.ws_col = 80;
    }
    sl_buf_append_str(&out, "\033[H");
    size_t at = 0;
    for (uint32_t line = 1; line < window.ws_row && at < size; line++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t whole = end == NULL ? size - at : (size_t)(end - (text + at));
        sl_buf_append(&out, text + at, SL_MIN(whole, (size_t)window.ws_col));
        sl_buf_append_str(&out, "\033[K\r\n");
        at += whole + 1;
    }
    sl_buf_append_str(&out, "\033[J\033[7m q quits \033[0m");
    (void)!write(STDOUT_FILENO, out.data, out.size);
    sl_buf_deinit(&out);
}

/* The tables print to stdout: for the time it is memory. What is beyond it no screen has room for.
 */
static int
draw(struct sl_cli *cli)
{
    char *text = sl_zalloc(SCREEN_BYTES);
    FILE *before = stdout, *memory = fmemopen(text, SCREEN_BYTES, "w");
    sl_assert(memory != NULL);
    stdout = memory;
    int code = print_all(cli);
    if (code != SL_EXIT_OK)
        printf("\n%s does not answer, or refuses: it is asked again every second\n", cli->url);
    stdout = before;
    (void)fclose(memory);
    show(text, strnlen(text, SCREEN_BYTES));
    sl_free(text);
    return code;
}

/* Whether a key that quits came within the time. */
static bool
is_quit(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    if (poll(&in, 1, PERIOD_MS) <= 0)
        return false;
    return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3;
}

static int
follow(struct sl_cli *cli)
{
    static const char enter[] = "\033[?1049h\033[?25l\033[H\033[2J",
                      leave[] = "\033[?25h\033[?1049l";
    struct sigaction act = {.sa_handler = on_signal};
    struct termios before, raw;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return SL_EXIT_FAILED;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    (void)!write(STDOUT_FILENO, enter, sizeof(enter) - 1);
    int code = SL_EXIT_OK;
    do
        code = draw(cli);
    while (!is_ended && !is_quit());
    (void)!write(STDOUT_FILENO, leave, sizeof(leave) - 1);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    return code;
}

int
sl_cli_top(struct sl_cli *cli)
{
    if (cli->arguments_count != 0)
        return SL_EXIT_USAGE;
    if (cli->is_json)
        return print_json(cli);
    bool is_once =
        sl_cli_option(cli, "once") != NULL || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
    if (!is_once)
        return follow(cli);
    int code = print_all(cli);
    if (code == SL_EXIT_REFUSED)
        sl_cli_error("the server refused: %ld", cli->reply.status);
    return code;
}
