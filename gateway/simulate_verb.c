/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/simulate_verb.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/simulate_image.h"
#include "actors/simulate_scale.h"
#include "actors/simulate_shrink.h"
#include "gateway/cli.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define TRACE_LINES   60
#define SEEDS_MAX     1000000
#define MINUTES_MAX   1440
#define ONLY_MAX      100000
#define SHRINK_RUNS   400
#define SHRINK_NS     (60 * SL_SECOND_NS)
#define RANDOM_COUNT  100
#define FAILURES_TOLD 5 /* Shrunk and told at length; of more only what failed. */

struct arguments {
    uint64_t first, last, count; /* count: of --random. */
    const char *faults_text;
    uint64_t minutes; /* Of wall time; 0: without end. */
    struct sl_simulate_options run;
    uint32_t *only;
    bool is_help, is_scale;
};

struct totals {
    uint64_t seeds, failed, virtual_ns, events, faults, boots, done, dead, canceled, stale;
    struct sl_simq_counts own;
    uint64_t calls, failed_calls, history, lost, duplicates, reordered, refused, took_ns, ran_ns;
    uint64_t images, images_failed, images_bad, images_resumed;
};

static const struct {
    const char *name, *what;
} plants[] = {
#define X(NAME, name, what) {name, what},
    SL_PLANTS(X)
#undef X
};

static int
usage(FILE *to)
{
    (void)fputs(
        "usage: sluice simulate [--seeds A..B | --random [N]] [--faults LIST] [--minutes M]\n"
        "       sluice simulate --scale\n"
        "Run the job path in simulated time while things fail, and check its promises.\n\n"
        "  --seeds A..B      which runs; one number is one run (1..100)\n"
        "  --random N        N runs from a seed that is picked and printed\n"
        "  --faults LIST     all (default), none, or some of those below\n"
        "  --minutes M       start no run after so many minutes of wall time\n"
        "  --for M           minutes of faults in each run, in simulated time (2)\n"
        "  --only A,B,..     of a seed's faults only these; \"none\": none\n"
        "  --load N          that many tasks and online calls a second, instead of 14 jobs\n"
        "  --nodes N         at the start of a run (3)\n"
        "  --calls N         online calls a second (4, or like --load)\n"
        "  --plant NAME      with a bug put in on purpose, which must be caught\n"
        "  --scale           up to 10,000 nodes, 1,000,000 tasks and 1,000 tenants, measured\n"
        "  --help            print this\n\nfaults (times an hour):\n",
        to);
    for (size_t i = 0; i < SL_FAULTS_COUNT; i++)
        (void)fprintf(to, "  %-10s %4u  %s\n", sl_fault_kinds[i].name, sl_fault_kinds[i].per_hour,
                      sl_fault_kinds[i].what);
    (void)fputs("\nplants:\n", to);
    for (size_t i = 1; i < SL_COUNT_OF(plants); i++)
        (void)fprintf(to, "  %-26s %s\n", plants[i].name, plants[i].what);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

/* ---- the command line ---------------------------------------------------------------------- */

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
parse_one(const char *text, uint64_t max, uint64_t *ret_value)
{
    return parse_number(&text, max, ret_value) && *text == '\0' && *ret_value > 0;
}

static bool
parse_small(const char *text, uint64_t max, uint32_t *ret_value)
{
    uint64_t value;
    if (!parse_one(text, max, &value))
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

static bool
parse_seeds(const char *text, struct arguments *a)
{
    if (!parse_number(&text, UINT64_MAX / 128, &a->first))
        return false;
    a->last = a->first;
    if (*text == '\0')
        return true;
    if (strncmp(text, "..", 2) != 0)
        return false;
    text += 2;
    return parse_number(&text, UINT64_MAX / 128, &a->last) && *text == '\0' &&
           a->last >= a->first && a->last - a->first < SEEDS_MAX;
}

static bool
parse_random(const char *text, struct arguments *a)
{
    struct sl_random random;
    if (!parse_one(text, SEEDS_MAX, &a->count))
        return false;
    sl_random_seed_secret(&random);
    a->first = 1000000 + sl_random_below(&random, UINT64_C(1000000000));
    a->last = a->first + a->count - 1;
    return true;
}

static bool
parse_faults(const char *text, struct arguments *a)
{
    a->faults_text = text;
    return sl_fault_parse(text, &a->run.faults);
}

static bool
parse_minutes(const char *text, struct arguments *a)
{
    return parse_one(text, MINUTES_MAX, &a->minutes);
}

static bool
parse_for(const char *text, struct arguments *a)
{
    return parse_small(text, MINUTES_MAX, &a->run.minutes);
}

static bool
parse_only(const char *text, struct arguments *a)
{
    uint64_t value, least = 0;
    sl_free(a->only);
    a->only = sl_alloc(sizeof(uint32_t) * (strlen(text) / 2 + 2));
    a->run.only = a->only;
    a->run.only_count = 0;
    if (strcmp(text, "none") == 0)
        return true;
    for (;; text++) {
        if (!parse_number(&text, ONLY_MAX, &value) || value < least)
            return false;
        least = value + 1;
        a->only[a->run.only_count++] = (uint32_t)value;
        if (*text == '\0')
            return true;
        if (*text != ',')
            return false;
    }
}

static bool
parse_load(const char *text, struct arguments *a)
{
    return parse_small(text, SL_SIMULATE_LOAD_MAX, &a->run.load);
}

static bool
parse_nodes(const char *text, struct arguments *a)
{
    return parse_small(text, SL_SIMULATE_NODES_MAX, &a->run.nodes);
}

static bool
parse_calls(const char *text, struct arguments *a)
{
    return parse_small(text, 1000, &a->run.calls_rate);
}

static bool
parse_plant(const char *text, struct arguments *a)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(plants); i++) {
        if (strcmp(text, plants[i].name) != 0)
            continue;
        a->run.plant = (enum sl_simulate_plant)i;
        return true;
    }
    return false;
}

static const struct {
    const char *name;
    bool (*parse)(const char *text, struct arguments *a);
} options[] = {
    {"--seeds", parse_seeds},     {"--random", parse_random}, {"--faults", parse_faults},
    {"--minutes", parse_minutes}, {"--for", parse_for},       {"--only", parse_only},
    {"--load", parse_load},       {"--nodes", parse_nodes},   {"--calls", parse_calls},
    {"--plant", parse_plant},
};

static bool
parse(int argc, char **argv, struct arguments *a)
{
    char default_count[16];
    (void)snprintf(default_count, sizeof(default_count), "%d", RANDOM_COUNT);
    for (int at = 1; at < argc; at++) {
        size_t i = 0;
        if (strcmp(argv[at], "--help") == 0) {
            a->is_help = true;
            return true;
        }
        if (strcmp(argv[at], "--scale") == 0) {
            a->is_scale = true;
            continue;
        }
        const char *equals = strchr(argv[at], '=');
        size_t size = equals == NULL ? strlen(argv[at]) : (size_t)(equals - argv[at]);
        while (i < SL_COUNT_OF(options) && !sl_slice_is(sl_slice(argv[at], size), options[i].name))
            i++;
        bool is_bare = strcmp(argv[at], "--random") == 0 &&
                       (at + 1 == argc || strncmp(argv[at + 1], "--", 2) == 0);
        const char *value = is_bare          ? default_count
                            : equals != NULL ? equals + 1
                            : at + 1 < argc  ? argv[++at]
                                             : NULL;
        if (i == SL_COUNT_OF(options) || value == NULL || !options[i].parse(value, a)) {
            sl_cli_error("%s: not an option, or not a value for it", argv[at]);
            return false;
        }
    }
    return true;
}

/* ---- failures ------------------------------------------------------------------------------ */

static bool
is_late(void *arg)
{
    return sl_time_mono_ns() > *(const uint64_t *)arg;
}

/* One command, which runs the same again. */
static void
print_replay(const struct arguments *a, const struct sl_simulate_options *run)
{
    printf("replay: sluice simulate --seeds %" PRIu64 " --faults %s", run->seed, a->faults_text);
    if (run->minutes != 0)
        printf(" --for %u", run->minutes);
    if (run->load != 0)
        printf(" --load %u", run->load);
    if (run->nodes != 0)
        printf(" --nodes %u", run->nodes);
    if (run->calls_rate != 0)
        printf(" --calls %u", run->calls_rate);
    if (run->plant != SL_PLANT_NONE)
        printf(" --plant %s", plants[run->plant].name);
    if (run->only != NULL && run->only_count == 0)
        printf(" --only none");
    for (uint32_t i = 0; run->only != NULL && i < run->only_count; i++)
        printf("%s%u", i == 0 ? " --only " : ",", run->only[i]);
    printf("\n");
}

/* A failed seed is shrunk, and runs again with its events kept: equal options, equal runs. */
static void
tell_failure(const struct arguments *a, const struct sl_simulate_options *run,
             const struct sl_simulate_result *failed)
{
    struct sl_simulate_options again = *run;
    struct sl_simulate_result result;
    struct sl_shrink shrunk;
    struct sl_buf faults = {0};
    uint64_t until_ns = sl_time_mono_ns() + SHRINK_NS;
    struct sl_shrink_options shrink = {.run = run,
                                       .faults_planned = failed->faults_planned,
                                       .runs_max = SHRINK_RUNS,
                                       .is_over = is_late,
                                       .arg = &until_ns};
    sl_simulate_shrink(&shrink, &shrunk);
    again.only = shrunk.only;
    again.only_count = shrunk.count;
    again.trace_lines = TRACE_LINES;
    sl_simulate(&again, &result);
    sl_simulate_list_faults(&again, &faults);
    printf("seed %" PRIu64 " failed: %s\n", run->seed, failed->failure);
    printf("with %u of its %" PRIu64 " faults (after %u runs): %s\n%.*s", shrunk.count,
           failed->faults_planned, shrunk.runs, result.failure,
           SL_SLICE_FMT(sl_buf_slice(&faults)));
    printf("the last events:\n%.*s", SL_SLICE_FMT(sl_buf_slice(&result.trace)));
    print_replay(a, &again);
    (void)fflush(stdout); /* A long run may be ended before its end. */
    sl_simulate_result_deinit(&result);
    sl_shrink_deinit(&shrunk);
    sl_buf_deinit(&faults);
}

static void
add_own(struct sl_simq_counts *sum, const struct sl_simq_counts *own)
{
    sum->puts += own->puts;
    sum->repeats += own->repeats;
    sum->leases += own->leases;
    sum->done += own->done;
    sum->failed += own->failed;
    sum->stale += own->stale;
    sum->lost += own->lost;
    sum->canceled += own->canceled;
}

/* Images between nodes have a world of their own: their faults are not those of the list. */
static bool
run_images(const struct arguments *a, uint64_t seed, struct totals *t)
{
    struct sl_simulate_image_options run = {
        .seed = seed, .is_fair = a->run.faults == 0, .trace_lines = TRACE_LINES};
    struct sl_simulate_image_result result;
    sl_simulate_image(&run, &result);
    t->virtual_ns += result.virtual_ns;
    t->events += result.events;
    t->faults += result.faults;
    t->images += result.fetched;
    t->images_failed += result.failed;
    t->images_bad += result.bad;
    t->images_resumed += result.resumed;
    if (!result.is_ok) {
        printf("seed %" PRIu64 " failed: images: %s\n", seed, result.failure);
        if (t->failed < FAILURES_TOLD)
            printf("the last events:\n%.*s", SL_SLICE_FMT(sl_buf_slice(&result.trace)));
        (void)fflush(stdout);
    }
    sl_simulate_image_result_deinit(&result);
    return result.is_ok;
}

static void
run_seed(const struct arguments *a, uint64_t seed, struct totals *t)
{
    struct sl_simulate_options run = a->run;
    struct sl_simulate_result result;
    run.seed = seed;
    uint64_t began_ns = sl_time_mono_ns(), ran_ns = sl_time_processor_ns();
    bool has_images = run.only == NULL && run.load == 0 && run.plant == SL_PLANT_NONE;
    bool is_ok = !has_images || run_images(a, seed, t);
    sl_simulate(&run, &result);
    t->took_ns += sl_time_mono_ns() - began_ns;
    t->ran_ns += sl_time_processor_ns() - ran_ns;
    t->seeds++;
    t->failed += !result.is_ok || !is_ok;
    t->virtual_ns += result.virtual_ns;
    t->events += result.events;
    t->faults += result.faults;
    t->boots += result.boots;
    t->done += result.done;
    t->dead += result.dead;
    t->canceled += result.canceled;
    t->stale += result.stale;
    t->calls += result.calls;
    t->failed_calls += result.failed_calls;
    t->history += result.history;
    t->lost += result.lost;
    t->duplicates += result.duplicates;
    t->reordered += result.reordered;
    t->refused += result.refused;
    add_own(&t->own, &result.own);
    if (!result.is_ok && t->failed <= FAILURES_TOLD)
        tell_failure(a, &run, &result);
    else if (!result.is_ok)
        printf("seed %" PRIu64 " failed: %s\n", seed, result.failure);
    else if (is_ok && a->first == a->last)
        printf("seed %" PRIu64 " passed, hash %016" PRIx64 "\n", seed, result.hash);
    sl_simulate_result_deinit(&result);
}

static void
print_totals(const struct totals *t)
{
    double ran = (double)SL_MAX(t->ran_ns, UINT64_C(1)) / 1e9;
    double passed = (double)t->virtual_ns / 1e9;
    printf("tasks: %" PRIu64 " done, %" PRIu64 " dead, %" PRIu64 " canceled; %" PRIu64
           " late ends refused; %" PRIu64 " starts of the head\n",
           t->done, t->dead, t->canceled, t->stale, t->boots);
    printf("own queues: %" PRIu64 " put, %" PRIu64 " repeats answered, %" PRIu64 " leases, %" PRIu64
           " of them lost; %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " canceled; %" PRIu64
           " late ends refused\n",
           t->own.puts, t->own.repeats, t->own.leases, t->own.lost, t->own.done, t->own.failed,
           t->own.canceled, t->own.stale);
    printf("calls: %" PRIu64 ", of which %" PRIu64 " failed; frames: %" PRIu64 " lost, %" PRIu64
           " doubled, %" PRIu64 " reordered; %" PRIu64 " messages refused\n",
           t->calls, t->failed_calls, t->lost, t->duplicates, t->reordered, t->refused);
    printf("images: %" PRIu64 " fetched, %" PRIu64 " fetches failed; %" PRIu64
           " bad chunks noticed, %" PRIu64 " not fetched again\n",
           t->images, t->images_failed, t->images_bad, t->images_resumed);
    printf("%" PRIu64 " events in %.1f s of one core (%.1f s passed): %.0f a second, %.0f x real"
           " time; %" PRIu64 " lines of history checked\n",
           t->events, ran, (double)t->took_ns / 1e9, (double)t->events / ran, passed / ran,
           t->history);
    printf("%" PRIu64 " seeds run, %" PRIu64 " failed; %.1f hours of virtual time; %" PRIu64
           " faults injected\n",
           t->seeds, t->failed, passed / 3600, t->faults);
}

/* ---- scale --------------------------------------------------------------------------------- */

static uint64_t
memory_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int
run_scale(void)
{
    static const struct {
        uint32_t nodes, tasks, tenants;
    } sizes[] = {{100, 10000, 10}, {1000, 100000, 100}, {10000, 1000000, 1000}};
    printf("  nodes    tasks tenants  decisions/s  of all/s  B/node  B/task   actors B/actor   "
           "events/s   took s\n");
    for (size_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        struct sl_scale_result r;
        sl_simulate_scale(&(struct sl_scale_options){.seed = 1,
                                                     .nodes = sizes[i].nodes,
                                                     .tasks = sizes[i].tasks,
                                                     .tenants = sizes[i].tenants,
                                                     .ran_ns = sl_time_processor_ns,
                                                     .memory_bytes = memory_bytes},
                          &r);
        if (!r.is_ok) {
            printf("failed: %s\n", r.failure);
            return SL_EXIT_FAILED;
        }
        double ran = (double)r.ran_ns / 1e9, deciding = (double)r.deciding_ns / 1e9;
        printf("%7u %8u %7u %12.0f %9.0f %7" PRIu64 " %7" PRIu64 " %8" PRIu64 " %7" PRIu64
               " %10.0f %8.1f\n",
               sizes[i].nodes, sizes[i].tasks, sizes[i].tenants, (double)r.decisions / deciding,
               (double)r.decisions / ran, r.node_bytes, r.task_bytes, r.actors, r.actor_bytes,
               (double)r.events / ran, ran);
        (void)fflush(stdout);
    }
    printf("decisions/s: of a second that the dispatcher's handlers ran, ends of tasks included;\n"
           "of all/s: of a second of one core, with nodes, replicas, network and store\n");
    return SL_EXIT_OK;
}

int
sl_simulate_main(int argc, char **argv)
{
    struct arguments a = {
        .first = 1, .last = 100, .faults_text = "all", .run = {.faults = SL_FAULT_ALL}};
    struct totals t = {0};
    bool is_ok = parse(argc, argv, &a);
    if (!is_ok || a.is_help) {
        sl_free(a.only);
        return usage(is_ok ? stdout : stderr);
    }
    /* Lost nodes and the like are what a run is made of. */
    if (getenv("SLUICE_REPORT") == NULL)
        sl_report_level_set(SL_REPORT_ERROR);
    if (a.is_scale) {
        sl_free(a.only);
        return run_scale();
    }
    if (a.count > 0)
        printf("seeds %" PRIu64 "..%" PRIu64 "\n", a.first, a.last);
    uint64_t until_ns = sl_time_mono_ns() + a.minutes * 60 * SL_SECOND_NS;
    for (uint64_t seed = a.first; seed <= a.last; seed++) {
        if (a.minutes > 0 && sl_time_mono_ns() > until_ns) {
            printf("%" PRIu64 " minutes are over before seed %" PRIu64 "\n", a.minutes, seed);
            break;
        }
        run_seed(&a, seed, &t);
    }
    sl_free(a.only);
    print_totals(&t);
    return t.failed == 0 ? SL_EXIT_OK : SL_EXIT_FAILED;
}
