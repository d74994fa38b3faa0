/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/autoscale_verb.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/scale_trace.h"
#include "gateway/cli.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define FILE_BYTES_MAX (256 * SL_MIB)
#define RECORD_MAGIC   "sluice-autoscale-1"

struct arguments {
    const char *trace, *record, *replay;
    struct sl_trace_options run;
    bool is_json;
};

static int
usage(FILE *to)
{
    (void)fputs(
        "usage: sluice autoscale simulate --trace FILE [--set NAME=VALUE]... [OPTION]...\n"
        "       sluice autoscale replay FILE\n"
        "Try an autoscaler's settings on a load, in simulated time; or make again the decisions\n"
        "that were written down, by --record or in a status page (/status.json), and say which\n"
        "come out otherwise.\n\n"
        "  --trace FILE       lines of SECONDS,REQUESTS_PER_SECOND; the last line ends it\n"
        "  --set NAME=VALUE   min_replicas=0, max_replicas=4, target_ongoing_requests=2, ...\n"
        "  --service MS       what a request takes a replica (50)\n"
        "  --ongoing N        requests that a replica works on at a time (2.5 times the target)\n"
        "  --start MS         until a replica that was asked for is ready (50)\n"
        "  --seed N           of the arrivals (1)\n"
        "  --rows SECONDS     a line each so many seconds: time, requests/s, replicas wanted and\n"
        "                     ready, waiting, running, slowest answer in ms\n"
        "  --record FILE      write down every decision, for replay\n"
        "  --json             the outcome as JSON\n"
        "  --help             print this\n",
        to);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

/* ---- arguments ----------------------------------------------------------------------------- */

static bool
parse_amount(const char *text, double max, double *ret_value)
{
    char *end;
    errno = 0;
    *ret_value = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *ret_value >= 0 && *ret_value <= max;
}

static bool
set_setting(struct sl_scale_settings *settings, const char *text)
{
    const char *equals = strchr(text, '=');
    char *error = NULL;
    if (equals == NULL) {
        sl_cli_error("--set %s: expected NAME=VALUE", text);
        return false;
    }
    char *name = sl_strndup(text, (size_t)(equals - text));
    if (sl_scale_settings_set(settings, name, equals + 1, &error) != SL_OK)
        sl_cli_error("--set %s", error);
    bool is_good = error == NULL;
    sl_free(error);
    sl_free(name);
    return is_good;
}

static bool
take_option(int option, struct arguments *a)
{
    double value = 0;
    switch (option) {
    case 't':
        a->trace = optarg;
        return true;
    case 'r':
        a->record = optarg;
        return true;
    case 'j':
        a->is_json = true;
        return true;
    case 's':
        return set_setting(&a->run.settings, optarg);
    case 'S':
        a->run.service_ns = (uint64_t)(1e6 * (parse_amount(optarg, 1e7, &value) ? value : 0));
        return a->run.service_ns > 0;
    case 'b':
        a->run.start_ns = (uint64_t)(1e6 * (parse_amount(optarg, 1e7, &value) ? value : 0));
        return a->run.start_ns > 0;
    case 'o':
        a->run.slots = (uint32_t)(parse_amount(optarg, 1000, &value) ? value : 0);
        return a->run.slots > 0;
    case 'R':
        a->run.row_ns = (uint64_t)(1e9 * (parse_amount(optarg, 1e7, &value) ? value : 0));
        return a->run.row_ns > 0;
    case 'n':
        a->run.seed = (uint64_t)(parse_amount(optarg, 9e15, &value) ? value : 0);
        return a->run.seed > 0;
    default:
        return false;
    }
}

/* An exit code when there is nothing to do, else -1. */
static int
parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"trace", required_argument, NULL, 't'},
                                            {"set", required_argument, NULL, 's'},
                                            {"service", required_argument, NULL, 'S'},
                                            {"start", required_argument, NULL, 'b'},
                                            {"ongoing", required_argument, NULL, 'o'},
                                            {"seed", required_argument, NULL, 'n'},
                                            {"rows", required_argument, NULL, 'R'},
                                            {"record", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h')
            return usage(stdout);
        if (!take_option(option, a))
            return usage(stderr);
    }
    int left = argc - optind;
    bool is_replay = left == 2 && strcmp(argv[optind], "replay") == 0;
    bool is_simulate = left == 1 && strcmp(argv[optind], "simulate") == 0 && a->trace != NULL;
    if (!is_replay && !is_simulate)
        return usage(stderr);
    a->replay = is_replay ? argv[optind + 1] : NULL;
    const char *why = sl_scale_settings_check(&a->run.settings);
    if (why != NULL)
        sl_cli_error("%s", why);
    return why == NULL ? -1 : SL_EXIT_USAGE;
}

static bool
read_file(const char *path, struct sl_buf *out)
{
    FILE *file = fopen(path, "re");
    size_t size = 1;
    while (file != NULL && size > 0 && out->size <= FILE_BYTES_MAX) {
        sl_buf_reserve(out, SL_MIB);
        size = fread(out->data + out->size, 1, SL_MIB, file);
        out->size += size;
    }
    bool is_good = file != NULL && ferror(file) == 0 && out->size <= FILE_BYTES_MAX;
    if (!is_good)
        sl_cli_error("%s: %s", path, out->size > FILE_BYTES_MAX ? "over 256 MiB" : strerror(errno));
    if (file != NULL)
        (void)fclose(file);
    return is_good;
}

/* ---- what is written down ------------------------------------------------------------------ */

static void
write_decided(void *arg, const struct sl_scale_input *input, const struct sl_scale_decision *d)
{
    (void)fprintf(arg,
                  "{\"at_ns\":%" PRIu64 ",\"waiting\":%u,\"running\":%u,\"arrived\":%" PRIu64
                  ",\"answered\":%" PRIu64 ",\"room\":%u,"
                  "\"replicas\":%u,\"desired\":%u,\"reason\":\"%s\",\"stable\":%.17g,"
                  "\"burst\":%.17g,\"next_ns\":%" PRIu64 "}\n",
                  input->at_ns, input->waiting, input->running, input->arrived, input->answered,
                  input->room, d->replicas, d->desired, sl_scale_reason_name(d->reason),
                  d->facts.stable, d->facts.burst, d->next_ns);
}

static void
write_settings(FILE *to, const struct sl_scale_settings *settings, uint64_t at_ns)
{
    struct sl_buf text = {0};
    sl_scale_settings_write(settings, &text);
    (void)fprintf(to, "{\"format\":\"%s\",\"at_ns\":%" PRIu64 ",\"settings\":{%s}}\n", RECORD_MAGIC,
                  at_ns, sl_buf_text(&text));
    sl_buf_deinit(&text);
}

static void
write_row(void *arg, const struct sl_trace_row *row)
{
    (void)arg; /* The record's, not the rows'. */
    printf("%.3f,%.6g,%u,%u,%u,%u,%.3f\n", (double)row->at_ns / 1e9, row->per_second, row->replicas,
           row->ready, row->waiting, row->running, (double)row->worst_ns / 1e6);
}

static void
print_outcome(const struct arguments *a, const struct sl_trace_outcome *o, double seconds)
{
    const char *format =
        a->is_json
            ? "{\"requests\":%" PRIu64 ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"worst_ms\":%.3f,"
              "\"changes\":%u,\"turns\":%u,\"most\":%u,\"needed\":%u,\"replica_seconds\":%.1f,"
              "\"fitting_seconds\":%.1f,\"decisions\":%" PRIu64 ",\"took_s\":%.3f}\n"
            : "requests         %" PRIu64
              "\nanswered in      %.3f ms p50, %.3f p99, %.3f at worst\n"
              "changes          %u, of them %u against the one before\n"
              "replicas         %u at most, %u needed at most\n"
              "replica seconds  %.1f; %.1f with always just enough\n"
              "decisions        %" PRIu64 ", simulated in %.3f s\n";
    printf(format, o->requests, (double)o->p50_ns / 1e6, (double)o->p99_ns / 1e6,
           (double)o->worst_ns / 1e6, o->changes, o->turns, o->most, o->needed, o->replica_seconds,
           o->fitting_seconds, o->decisions, seconds);
}

static int
simulate(struct arguments *a)
{
    struct sl_buf text = {0};
    struct sl_trace trace = {0};
    struct sl_trace_outcome outcome;
    char *error = NULL;
    int code = SL_EXIT_FAILED;
    FILE *record = a->record == NULL ? NULL : fopen(a->record, "we");
    if (a->record != NULL && record == NULL) {
        sl_cli_error("%s: %s", a->record, strerror(errno));
        return code;
    }
    if (!read_file(a->trace, &text)) {
        /* Said. */
    } else if (sl_trace_read(sl_buf_slice(&text), &trace, &error) != SL_OK) {
        sl_cli_error("%s: %s", a->trace, error);
    } else {
        uint64_t started_ns = sl_time_mono_ns();
        a->run.row = write_row;
        a->run.decided = record == NULL ? NULL : write_decided;
        a->run.arg = record;
        if (record != NULL)
            write_settings(record, &a->run.settings, trace.points[0].at_ns);
        if (sl_trace_run(&trace, &a->run, &outcome) == SL_OK)
            code = SL_EXIT_OK;
        else
            sl_cli_error("over %u requests: take a shorter trace", SL_TRACE_REQUESTS_MAX);
        if (code == SL_EXIT_OK)
            print_outcome(a, &outcome, (double)(sl_time_mono_ns() - started_ns) / 1e9);
    }
    if (record != NULL && fclose(record) != 0) {
        sl_cli_error("%s: %s", a->record, strerror(errno));
        code = SL_EXIT_FAILED;
    }
    sl_trace_deinit(&trace);
    sl_buf_deinit(&text);
    sl_free(error);
    return code;
}

/* ---- replay -------------------------------------------------------------------------------- */

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

static double
real(struct sl_json object, const char *name)
{
    double value = -1;
    return sl_json_f64(sl_json_member(object, name), &value) == SL_OK ? value : -1;
}

static bool
read_settings(struct sl_json written, struct sl_scale_settings *ret_settings)
{
    struct sl_scale_settings settings = sl_scale_settings_default();
    bool is_good = sl_json_kind(written) == SL_JSON_OBJECT;
    for (struct sl_json_iter i = sl_json_iter(written); is_good && sl_json_next(&i);) {
        struct sl_slice raw = sl_json_raw(i.value);
        char *name = sl_json_strdup(i.name), *error = NULL, *value = sl_strndup(raw.data, raw.size);
        is_good = name != NULL && sl_scale_settings_set(&settings, name, value, &error) == SL_OK;
        sl_free(name);
        sl_free(value);
        sl_free(error);
    }
    *ret_settings = settings;
    return is_good && sl_scale_settings_check(&settings) == NULL;
}

/* The autoscaler that the first line is about; NULL: it is about none. */
static struct sl_autoscaler *
begin_record(struct sl_json first)
{
    struct sl_scale_settings settings;
    bool is_good = sl_json_is(sl_json_member(first, "format"), RECORD_MAGIC) &&
                   read_settings(sl_json_member(first, "settings"), &settings);
    return is_good ? sl_autoscaler_create(&settings, number(first, "at_ns")) : NULL;
}

static bool
is_same(struct sl_autoscaler *autoscaler, struct sl_json line)
{
    struct sl_scale_input input = {.at_ns = number(line, "at_ns"),
                                   .waiting = (uint32_t)number(line, "waiting"),
                                   .running = (uint32_t)number(line, "running"),
                                   .arrived = number(line, "arrived"),
                                   .answered = number(line, "answered"),
                                   .room = (uint32_t)number(line, "room")};
    struct sl_scale_decision d = sl_autoscaler_decide(autoscaler, &input);
    return d.replicas == number(line, "replicas") && d.desired == number(line, "desired") &&
           sl_json_is(sl_json_member(line, "reason"), sl_scale_reason_name(d.reason)) &&
           d.facts.stable == real(line, "stable") && d.facts.burst == real(line, "burst") &&
           d.next_ns == number(line, "next_ns");
}

/* A line's document, which borrows from it; NULL: it has no JSON object. */
static struct sl_json_doc *
next_line(struct sl_slice *text)
{
    struct sl_json_doc *doc = NULL;
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    size_t used = SL_MIN(size + 1, text->size);
    bool is_good = sl_json_parse(sl_slice(text->data, size), &doc, NULL) == SL_OK &&
                   sl_json_kind(sl_json_root(doc)) == SL_JSON_OBJECT;
    *text = sl_slice(text->data + used, text->size - used);
    if (!is_good)
        sl_json_destroy(&doc);
    return doc;
}

/* ---- replay of a status page -------------------------------------------------------------- */

struct page {
    uint64_t decisions, others;
    bool is_good;
};

/* One decision, with the settings that were in force. */
static void
replay_decision(struct page *page, struct sl_json entry)
{
    struct sl_scale_settings settings;
    struct sl_json decision = sl_json_member(entry, "decision");
    bool is_same = false;
    page->is_good = page->is_good && read_settings(sl_json_member(entry, "settings"), &settings) &&
                    sl_scale_decision_replay(&settings, decision, &is_same) == SL_OK;
    if (!page->is_good)
        return;
    char *why = sl_json_strdup(sl_json_member(decision, "why"));
    printf("%s%s\n", is_same ? "" : "otherwise: ", why == NULL ? "" : why);
    page->decisions++;
    page->others += !is_same;
    sl_free(why);
}

static int
replay_page(const char *path, struct sl_json nodes)
{
    struct page page = {.is_good = sl_json_kind(nodes) == SL_JSON_ARRAY};
    for (struct sl_json_iter n = sl_json_iter(nodes); sl_json_next(&n);) {
        struct sl_json pools = sl_json_member(n.value, "scaling");
        for (struct sl_json_iter p = sl_json_iter(pools); sl_json_next(&p);) {
            struct sl_json decisions = sl_json_member(p.value, "decisions");
            for (struct sl_json_iter d = sl_json_iter(decisions); sl_json_next(&d);)
                replay_decision(&page, d.value);
            replay_decision(&page, sl_json_member(p.value, "last"));
        }
    }
    if (!page.is_good)
        sl_cli_error("%s: not a status page's nodes and their decisions", path);
    else
        printf("%" PRIu64 " decisions, %" PRIu64 " of them come out otherwise\n", page.decisions,
               page.others);
    return page.is_good && page.others == 0 ? SL_EXIT_OK : SL_EXIT_FAILED;
}

/* ---- replay of a record -------------------------------------------------------------------- */

static int
replay_record(const char *path, struct sl_slice text)
{
    struct sl_autoscaler *autoscaler = NULL;
    uint64_t lines = 0, others = 0, last_ns = 0;
    bool is_good = true;
    while (is_good && text.size > 0) {
        struct sl_json_doc *doc = next_line(&text);
        struct sl_json line = sl_json_root(doc);
        lines++;
        is_good = doc != NULL && number(line, "at_ns") >= last_ns;
        last_ns = number(line, "at_ns");
        if (is_good && autoscaler == NULL)
            is_good = (autoscaler = begin_record(line)) != NULL;
        else if (is_good && !is_same(autoscaler, line) && others++ < 10)
            sl_cli_error("%s:%" PRIu64 ": comes out otherwise", path, lines);
        sl_json_destroy(&doc);
    }
    if (!is_good || autoscaler == NULL)
        sl_cli_error("%s:%" PRIu64 ": not what simulate --record writes", path, lines);
    else
        printf("%" PRIu64 " decisions, %" PRIu64 " of them come out otherwise\n", lines - 1,
               others);
    is_good = is_good && autoscaler != NULL && others == 0;
    sl_autoscaler_destroy(&autoscaler);
    return is_good ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static int
replay(const char *path)
{
    struct sl_buf buf = {0};
    struct sl_json_doc *doc = NULL;
    if (!read_file(path, &buf)) {
        sl_buf_deinit(&buf);
        return SL_EXIT_FAILED;
    }
    bool is_page = sl_json_parse(sl_buf_slice(&buf), &doc, NULL) == SL_OK;
    struct sl_json nodes = sl_json_member(sl_json_root(doc), "nodes");
    is_page = is_page && sl_json_kind(nodes) != SL_JSON_NONE;
    int code = is_page ? replay_page(path, nodes) : replay_record(path, sl_buf_slice(&buf));
    sl_json_destroy(&doc);
    sl_buf_deinit(&buf);
    return code;
}

int
sl_autoscale_main(int argc, char **argv)
{
    struct arguments a = {.run = {.settings = sl_scale_settings_default(),
                                  .service_ns = 50000000,
                                  .start_ns = 50000000,
                                  .seed = 1}};
    a.run.settings.max_replicas = 4;
    int code = parse(argc, argv, &a);
    if (code >= 0)
        return code;
    return a.replay != NULL ? replay(a.replay) : simulate(&a);
}
