/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/simulate_verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/simulate.h"
#include "gateway/cli.h"
#include "runtime/report.h"

#define TRACE_LINES 60
#define SEEDS_MAX   1000000
#define MINUTES_MAX 1440

static const struct {
    const char *name;
    uint32_t faults;
} fault_names[] = {
    {"none", 0},
    {"all", SL_FAULT_ALL},
    {"replica", SL_FAULT_REPLICA},
    {"node", SL_FAULT_NODE},
    {"head", SL_FAULT_HEAD},
    {"spawner", SL_FAULT_SPAWNER},
    {"stall", SL_FAULT_STALL},
    {"link", SL_FAULT_LINK},
    {"disk", SL_FAULT_DISK},
    {"work", SL_FAULT_WORK},
};

struct arguments {
    uint64_t first, last;
    uint32_t faults, minutes;
    bool is_help;
};

struct totals {
    uint64_t seeds, failed, virtual_ns, events, faults, boots, done, dead, canceled, stale;
};

static int
usage(FILE *to)
{
    (void)fputs("usage: sluice simulate [--seeds A..B] [--faults LIST] [--minutes M]\n"
                "Run the job path in simulated time while things fail, and check its promises.\n\n"
                "  --seeds A..B         which runs; one number is one run (1..100)\n"
                "  --faults LIST        all (default), none, or of: ",
                to);
    for (size_t i = 2; i < SL_COUNT_OF(fault_names); i++)
        (void)fprintf(to, "%s%s", i == 2 ? "" : ",", fault_names[i].name);
    (void)fputs("\n  --minutes M          of faults in each run, in simulated time (2)\n"
                "  --help               print this\n",
                to);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

/* A number at *text, which moves behind it; false: there is none, or it is over `max`. */
static bool
parse_number(const char **text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (at == *text)
        return false;
    *text = at;
    *ret_value = value;
    return true;
}

static bool
parse_seeds(const char *text, struct arguments *a)
{
    if (!parse_number(&text, UINT64_MAX / 2, &a->first))
        return false;
    a->last = a->first;
    if (*text == '\0')
        return true;
    if (strncmp(text, "..", 2) != 0)
        return false;
    text += 2;
    return parse_number(&text, UINT64_MAX / 2, &a->last) && *text == '\0' && a->last >= a->first &&
           a->last - a->first < SEEDS_MAX;
}

static bool
parse_faults(const char *text, struct arguments *a)
{
    a->faults = 0;
    for (;;) {
        size_t size = strcspn(text, ","), i = 0;
        while (i < SL_COUNT_OF(fault_names) &&
               !sl_slice_is(sl_slice(text, size), fault_names[i].name))
            i++;
        if (i == SL_COUNT_OF(fault_names))
            return false;
        a->faults |= fault_names[i].faults;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

static bool
parse_minutes(const char *text, struct arguments *a)
{
    uint64_t minutes;
    if (!parse_number(&text, MINUTES_MAX, &minutes) || *text != '\0' || minutes == 0)
        return false;
    a->minutes = (uint32_t)minutes;
    return true;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    static const struct {
        const char *name;
        bool (*parse)(const char *text, struct arguments *a);
    } options[] = {
        {"--seeds", parse_seeds}, {"--faults", parse_faults}, {"--minutes", parse_minutes}};
    for (int at = 1; at < argc; at++) {
        size_t i = 0;
        if (strcmp(argv[at], "--help") == 0) {
            a->is_help = true;
            return true;
        }
        const char *equals = strchr(argv[at], '=');
        size_t size = equals == NULL ? strlen(argv[at]) : (size_t)(equals - argv[at]);
        while (i < SL_COUNT_OF(options) && !sl_slice_is(sl_slice(argv[at], size), options[i].name))
            i++;
        const char *value = equals != NULL ? equals + 1 : at + 1 < argc ? argv[++at] : NULL;
        if (i == SL_COUNT_OF(options) || value == NULL || !options[i].parse(value, a)) {
            sl_cli_error("%s: not an option, or not a value for it", argv[at]);
            return false;
        }
    }
    return true;
}

/* A failed seed runs again with its events kept: equal seeds give equal runs. */
static void
tell_failure(const struct sl_simulate_options *options)
{
    struct sl_simulate_options again = *options;
    struct sl_simulate_result result;
    again.trace_lines = TRACE_LINES;
    sl_simulate(&again, &result);
    printf("seed %" PRIu64 " failed: %s\nthe last events:\n%.*s", options->seed, result.failure,
           SL_SLICE_FMT(sl_buf_slice(&result.trace)));
    (void)fflush(stdout); /* A long run may be ended before its end. */
    sl_simulate_result_deinit(&result);
}

static void
run_seed(const struct arguments *a, uint64_t seed, struct totals *t)
{
    struct sl_simulate_options options = {.seed = seed, .faults = a->faults, .minutes = a->minutes};
    struct sl_simulate_result result;
    sl_simulate(&options, &result);
    t->seeds++;
    t->failed += !result.is_ok;
    t->virtual_ns += result.virtual_ns;
    t->events += result.events;
    t->faults += result.faults;
    t->boots += result.boots;
    t->done += result.done;
    t->dead += result.dead;
    t->canceled += result.canceled;
    t->stale += result.stale;
    if (!result.is_ok)
        tell_failure(&options);
    else if (a->first == a->last)
        printf("seed %" PRIu64 " passed, hash %016" PRIx64 "\n", seed, result.hash);
    sl_simulate_result_deinit(&result);
}

int
sl_simulate_main(int argc, char **argv)
{
    struct arguments a = {.first = 1, .last = 100, .faults = SL_FAULT_ALL, .minutes = 2};
    struct totals t = {0};
    if (!parse(argc, argv, &a))
        return usage(stderr);
    if (a.is_help)
        return usage(stdout);
    /* Lost nodes and the like are what a run is made of. */
    if (getenv("SLUICE_REPORT") == NULL)
        sl_report_level_set(SL_REPORT_ERROR);
    for (uint64_t seed = a.first; seed <= a.last; seed++)
        run_seed(&a, seed, &t);
    printf("tasks: %" PRIu64 " done, %" PRIu64 " dead, %" PRIu64 " canceled; %" PRIu64
           " late ends refused; %" PRIu64 " starts of the head; %" PRIu64 " events\n",
           t.done, t.dead, t.canceled, t.stale, t.boots, t.events);
    printf("%" PRIu64 " seeds run, %" PRIu64 " failed; %.1f hours of virtual time; %" PRIu64
           " faults injected\n",
           t.seeds, t.failed, (double)t.virtual_ns / 3600e9, t.faults);
    return t.failed == 0 ? SL_EXIT_OK : SL_EXIT_FAILED;
}
