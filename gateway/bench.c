/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench.h"

#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/buf.h"
#include "runtime/json.h"

static const struct suite {
    const char *name, *what;
    bool (*run)(const struct sl_bench *bench); /* NULL: not built yet. */
} suites[] = {
    {"ingest", "start, idle costs, objects through an extractor", sl_bench_ingest},
    {"encoder", "texts through the encoder, against the machine's matrix product",
     sl_bench_encoder},
    {"queue", "the queue in memory and with its log", sl_bench_queue},
    {"object-store", "objects in shared memory, vector search", sl_bench_object_store},
    {"actor", "messages and calls between actors, their creation and memory", sl_bench_actor},
    {"actor_remote", "calls between actors of two processes, over ipc and tcp",
     sl_bench_actor_remote},
    {"recovery", "a head with 100,000 queued tasks, killed and started again", sl_bench_recovery},
    {"model", "attaching, sharing and moving models, what deploying leaves behind",
     sl_bench_models},
    {"serve", "online requests to a replica that does nothing, and beside a noisy tenant",
     sl_bench_serve},
    {"mixed", "online requests to an encoder, alone and beside a batch; forming batches",
     sl_bench_mixed},
    {"scale", "from zero nodes to an answer", sl_bench_scale},
    {"gateway", "the front door, large uploads, and cursors over a million objects",
     sl_bench_gateway},
    {"door", "the front door alone", sl_bench_door},
    {"pages", "lists, pages and scrapes of a head that has much to tell, and what counting costs",
     sl_bench_pages},
};

bool
sl_bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("sluice bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return false;
}

void
sl_bench_say(const struct sl_bench *bench, const char *format, ...)
{
    if (bench->is_json || !isatty(STDERR_FILENO))
        return;
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double
sl_bench_median(double *values, uint32_t count)
{
    sl_assert(count >= 1);
    qsort(values, count, sizeof(*values), compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ---- output -------------------------------------------------------------------------------- */

static bool
is_met(const struct sl_bench_figure *f)
{
    return f->goal == SL_BENCH_AT_LEAST ? f->value >= f->target : f->value <= f->target;
}

/* As many digits as a reader can use; a number in JSON, too. */
static void
format_value(double value, char ret_text[static 32])
{
    (void)snprintf(ret_text, 32, value >= 1000 ? "%.0f" : "%.4g", value);
}

static void
format_target(const struct sl_bench_figure *f, char ret_text[static 32])
{
    (void)snprintf(ret_text, 32, "%s %g", f->goal == SL_BENCH_AT_LEAST ? ">=" : "<=", f->target);
}

static void
show_json(const struct sl_bench_figure *f)
{
    struct sl_buf line = {0};
    struct sl_jsonw w;
    char target[32], value[32];
    format_target(f, target);
    format_value(f->value, value);
    sl_jsonw_init(&w, &line);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "name", f->name);
    sl_jsonw_member_raw(&w, "value", sl_slice_str(value));
    sl_jsonw_member_str(&w, "unit", f->unit);
    sl_jsonw_member_str(&w, "target", f->goal == SL_BENCH_NO_GOAL ? NULL : target);
    if (f->note != NULL)
        sl_jsonw_member_str(&w, "note", f->note);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    puts(sl_buf_text(&line));
    sl_buf_deinit(&line);
}

void
sl_bench_show(const struct sl_bench *bench, const struct sl_bench_figure *f)
{
    char target[32] = "-", value[32];
    if (bench->is_json) {
        show_json(f);
    } else {
        format_value(f->value, value);
        if (f->goal != SL_BENCH_NO_GOAL)
            format_target(f, target);
        printf("%-38s %14s %-10s %-12s %s%s%s\n", f->name, value, f->unit, target,
               f->goal == SL_BENCH_NO_GOAL ? ""
               : is_met(f)                 ? "ok"
                                           : "below",
               f->note == NULL ? "" : "  ", f->note == NULL ? "" : f->note);
    }
    (void)fflush(stdout);
}

/* ---- the verb ------------------------------------------------------------------------------ */

static void
print_help(FILE *to)
{
    (void)fputs("usage: sluice bench SUITE [--quick] [--json] [--data DIR] [--program FILE]\n"
                "Measure a part of sluice on this machine.\n\n",
                to);
    for (size_t i = 0; i < SL_COUNT_OF(suites); i++)
        (void)fprintf(to, "  %-14s %s%s\n", suites[i].name, suites[i].what,
                      suites[i].run == NULL ? " (not there yet)" : "");
    (void)fputs("\n  --quick         less data and fewer rounds: within 45 seconds\n"
                "  --json          one JSON object a figure\n"
                "  --data DIR      make the data directories here (.); not on tmpfs\n"
                "  --program FILE  measure this sluice (the one that runs)\n"
                "\nExit codes: 0 measured, 1 failed, 2 usage or a suite that is not there yet.\n",
                to);
}

static bool
check_data(const char *data)
{
    struct statfs about;
    if (statfs(data, &about) != 0 || access(data, W_OK | X_OK) != 0)
        return sl_bench_fail("%s is no directory that can be written to", data);
    if (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC)
        return sl_bench_fail("%s lies in memory, where a sync costs nothing; give --data on a disk",
                             data);
    return true;
}

/* The value of "--name VALUE" or "--name=VALUE"; NULL when argv[*at] is something else. */
static const char *
option(int argc, char **argv, int *at, const char *name)
{
    size_t size = strlen(name);
    if (strncmp(argv[*at], name, size) != 0)
        return NULL;
    if (argv[*at][size] == '=')
        return argv[*at] + size + 1;
    if (argv[*at][size] == '\0' && *at + 1 < argc)
        return argv[++*at];
    return NULL;
}

/* 0: go on. Else the exit code plus 1. */
static int
read_arguments(int argc, char **argv, struct sl_bench *bench, const char **ret_suite)
{
    for (int at = 1; at < argc; at++) {
        const char *value;
        if (strcmp(argv[at], "--help") == 0) {
            print_help(stdout);
            return 1;
        }
        if (strcmp(argv[at], "--quick") == 0)
            bench->is_quick = true;
        else if (strcmp(argv[at], "--json") == 0)
            bench->is_json = true;
        else if ((value = option(argc, argv, &at, "--data")) != NULL)
            bench->data = value;
        else if ((value = option(argc, argv, &at, "--program")) != NULL)
            bench->program = value;
        else if (argv[at][0] != '-' && *ret_suite == NULL)
            *ret_suite = argv[at];
        else
            return (void)sl_bench_fail("do not know what to do with %s", argv[at]), 3;
    }
    return 0;
}

int
sl_bench_main(int argc, char **argv)
{
    struct sl_bench bench = {.data = ".", .program = "/proc/self/exe"};
    const char *name = NULL;
    int said = read_arguments(argc, argv, &bench, &name);
    if (said != 0)
        return said - 1;
    for (size_t i = 0; name != NULL && i < SL_COUNT_OF(suites); i++) {
        if (strcmp(name, suites[i].name) != 0)
            continue;
        if (suites[i].run == NULL)
            return (void)sl_bench_fail("the suite %s is not there yet", name), 2;
        if (!check_data(bench.data))
            return 1;
        return suites[i].run(&bench) ? 0 : 1;
    }
    if (name != NULL)
        (void)sl_bench_fail("there is no suite %s", name);
    print_help(stderr);
    return 2;
}
