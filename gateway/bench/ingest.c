/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `ingest`: what sluice costs when it starts and idles, and how fast small objects become
 * documents. The clock runs from the first byte of the first create until the list of documents
 * counts them all; memory is all of sluice's processes, compared with before the first byte, when
 * no replica ran yet. Each run has its own server on an empty directory.
 */
#include <stdio.h>

#include "gateway/bench/batch.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define RUNS      3u
#define SAMPLE_NS (250 * SL_MILLI_NS) /* A look makes the kernel walk all pages. */
#define PAGE_SIZE 1000u

struct times {
    double objects_per_s, creates_per_s, tasks_per_s, growth_mib;
    double create_us, process_us; /* Processor time of all processes, for each object. */
};

struct ingest {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    uint32_t count;
    struct sl_buf ids; /* The body of the batch: every object's id. */
    double before_mib, peak_mib;
    uint64_t sample_ns; /* When to look at the memory next. */
};

/* ---- objects ------------------------------------------------------------------------------- */

static void
sample_memory(void *arg)
{
    struct ingest *in = arg;
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns < in->sample_ns)
        return;
    in->sample_ns = now_ns + SAMPLE_NS;
    in->peak_mib = SL_MAX(in->peak_mib, sl_bench_memory_mib(&in->server, SL_BENCH_ALL));
}

static bool
create_objects(struct ingest *in)
{
    sl_buf_clear(&in->ids);
    return sl_bench_make_objects(&(struct sl_bench_objects){.server = &in->server,
                                                            .client = &in->client,
                                                            .count = in->count,
                                                            .tick = sample_memory,
                                                            .arg = in},
                                 &in->ids);
}

/* ---- batches ------------------------------------------------------------------------------- */

static bool
process(struct ingest *in, uint64_t *ret_submit_ns)
{
    char *path = sl_bench_make_batch(&in->client, sl_buf_slice(&in->ids)), *task = NULL;
    *ret_submit_ns = sl_time_mono_ns();
    if (path != NULL)
        task = sl_bench_submit(&in->client, path);
    bool is_ok = task != NULL && sl_bench_wait_completed(&in->client, task, sample_memory, in);
    sl_free(path);
    sl_free(task);
    return is_ok;
}

/* All pages together have as many documents, each object's number once: outside the clock. */
static bool
check_pages(struct ingest *in)
{
    uint8_t *seen = sl_zalloc(in->count);
    char *cursor = sl_strdup("");
    uint32_t count = 0;
    bool is_ok = true;
    while (is_ok && cursor != NULL) {
        char *path = sl_format("/v1/collections/texts/documents/list?limit=%u%s%s", PAGE_SIZE,
                               cursor[0] == '\0' ? "" : "&cursor=", cursor);
        is_ok = sl_bench_ask(&in->client, path, sl_slice_str("{}"));
        struct sl_json_iter i = sl_json_iter(sl_json_member(in->client.json, "results"));
        for (uint64_t n = 0; sl_json_next(&i);) {
            if (sl_json_u64(sl_json_member(i.value, "n"), &n) == SL_OK && n < in->count &&
                !seen[n]++)
                count++;
        }
        sl_free(path);
        sl_free(cursor);
        struct sl_json pagination = sl_json_member(in->client.json, "pagination");
        cursor = sl_json_strdup(sl_json_member(pagination, "next_cursor"));
    }
    sl_free(cursor);
    sl_free(seen);
    return is_ok && (count == in->count ||
                     sl_bench_fail("%u of %u objects are documents", count, in->count));
}

/* ---- one run ------------------------------------------------------------------------------- */

static bool
run_objects(struct ingest *in, struct times *ret_times)
{
    uint64_t submit_ns = 0;
    in->before_mib = in->peak_mib = sl_bench_memory_mib(&in->server, SL_BENCH_ALL);
    in->sample_ns = 0;
    double idle_s = sl_bench_cpu_s(&in->server);
    uint64_t start_ns = sl_time_mono_ns();
    if (!create_objects(in))
        return false;
    uint64_t created_ns = sl_time_mono_ns();
    double created_s = sl_bench_cpu_s(&in->server);
    if (!process(in, &submit_ns))
        return false;
    uint64_t processed_ns = sl_time_mono_ns();
    double processed_s = sl_bench_cpu_s(&in->server);
    if (!sl_bench_check_total(&in->client, in->count))
        return false;
    uint64_t listed_ns = sl_time_mono_ns();
    in->sample_ns = 0;
    sample_memory(in);
    *ret_times = (struct times){in->count * 1e9 / (double)(listed_ns - start_ns),
                                in->count * 1e9 / (double)(created_ns - start_ns),
                                in->count * 1e9 / (double)(processed_ns - submit_ns),
                                in->peak_mib - in->before_mib,
                                (created_s - idle_s) * 1e6 / in->count,
                                (processed_s - created_s) * 1e6 / in->count};
    return check_pages(in);
}

/*
 * From before the submit is sent until the API says that its task is no longer pending, asked again
 * and again without a pause: it includes two requests, so the first task ran earlier than this.
 */
static bool
time_submit(struct ingest *in, double *ret_ms)
{
    char *path = sl_bench_make_batch(&in->client, sl_buf_slice(&in->ids));
    uint64_t start_ns = sl_time_mono_ns();
    char *task = path == NULL ? NULL : sl_bench_submit(&in->client, path);
    bool is_ok = task != NULL && sl_bench_wait_started(&in->client, task);
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    is_ok = is_ok && sl_bench_wait_completed(&in->client, task, sample_memory, in);
    sl_free(path);
    sl_free(task);
    return is_ok;
}

/* The replica is warm: it has just served the objects. */
static bool
run_submits(struct ingest *in, double *ret_p50_ms)
{
    double ms[200];
    uint32_t count = in->bench->is_quick ? 50 : 200;
    if (!sl_bench_ask(&in->client, "/v1/buckets/bench/objects",
                      sl_slice_str("{\"n\":0,\"text\":\"one more\"}")))
        return false;
    char *id = sl_bench_text(&in->client, "object_id");
    if (id == NULL)
        return false;
    sl_buf_clear(&in->ids);
    sl_buf_printf(&in->ids, "{\"object_ids\":[\"%s\"]}", id);
    sl_free(id);
    for (uint32_t i = 0; i < count; i++) {
        if (!time_submit(in, &ms[i]))
            return false;
    }
    *ret_p50_ms = sl_bench_median(ms, count);
    return true;
}

static bool
run_once(struct ingest *in, struct times *ret_times, double *ret_p50_ms)
{
    if (!sl_bench_server_start(in->bench, &in->server))
        return false;
    bool is_ok = sl_bench_client_open(&in->server, &in->client);
    is_ok = is_ok && sl_bench_make_collection(&in->client) && run_objects(in, ret_times) &&
            run_submits(in, ret_p50_ms);
    sl_bench_client_close(&in->client);
    return sl_bench_server_stop(&in->server) && is_ok;
}

/* ---- start and idle ------------------------------------------------------------------------ */

static bool
run_idle(const struct sl_bench *bench, const struct sl_bench_server *server)
{
    double seconds = bench->is_quick ? 5 : 60;
    sl_time_sleep_ns(SL_SECOND_NS); /* Until its nodes have joined. */
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = "up.idle_mib",
                                            .unit = "MiB",
                                            .goal = SL_BENCH_AT_MOST,
                                            .target = 20,
                                            .value = sl_bench_memory_mib(server, SL_BENCH_MAIN)});
    double cpu_s = sl_bench_cpu_s(server);
    uint64_t start_ns = sl_time_mono_ns();
    sl_time_sleep_ns((uint64_t)seconds * SL_SECOND_NS);
    double past_s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    sl_bench_show(
        bench, &(struct sl_bench_figure){.name = "up.idle_cpu_percent",
                                         .unit = "% core",
                                         .goal = SL_BENCH_AT_MOST,
                                         .target = 0.2,
                                         .value = 100 * (sl_bench_cpu_s(server) - cpu_s) / past_s});
    return true;
}

static bool
run_starts(const struct sl_bench *bench)
{
    double ms[11];
    uint32_t count = bench->is_quick ? 5 : SL_COUNT_OF(ms);
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < count; i++) {
        struct sl_bench_server server;
        is_ok = sl_bench_server_start(bench, &server);
        if (!is_ok)
            break;
        ms[i] = server.ready_ms;
        if (i == count - 1)
            is_ok = run_idle(bench, &server);
        is_ok = sl_bench_server_stop(&server) && is_ok;
    }
    if (is_ok)
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "up.ready_ms",
                                                       .unit = "ms",
                                                       .goal = SL_BENCH_AT_MOST,
                                                       .target = 200,
                                                       .value = sl_bench_median(ms, count)});
    return is_ok;
}

/* ---- the suite ----------------------------------------------------------------------------- */

static void
show(const struct sl_bench *bench, const struct times *times, double *p50_ms)
{
    double objects[RUNS], creates[RUNS], tasks[RUNS], growth_mib = 0;
    double create_us[RUNS], process_us[RUNS];
    for (uint32_t i = 0; i < RUNS; i++) {
        objects[i] = times[i].objects_per_s;
        creates[i] = times[i].creates_per_s;
        tasks[i] = times[i].tasks_per_s;
        create_us[i] = times[i].create_us;
        process_us[i] = times[i].process_us;
        growth_mib = SL_MAX(growth_mib, times[i].growth_mib);
    }
    const char *note = bench->is_quick ? "20000 objects" : NULL;
    struct sl_bench_figure figures[] = {
        {.name = "ingest.passthrough.objects_per_s",
         .goal = SL_BENCH_AT_LEAST,
         .target = 20000,
         .unit = "1/s",
         .value = sl_bench_median(objects, RUNS),
         .note = note},
        {.name = "ingest.create.objects_per_s",
         .unit = "1/s",
         .value = sl_bench_median(creates, RUNS),
         .note = note},
        {.name = "ingest.process.tasks_per_s",
         .unit = "1/s",
         .value = sl_bench_median(tasks, RUNS),
         .note = note},
        {.name = "ingest.create.cpu_us",
         .unit = "us",
         .value = sl_bench_median(create_us, RUNS),
         .note = note},
        {.name = "ingest.process.cpu_us",
         .unit = "us",
         .value = sl_bench_median(process_us, RUNS),
         .note = note},
        {"ingest.memory_growth", "MiB", SL_BENCH_AT_MOST, 64, growth_mib, note},
        {"ingest.submit_to_running.p50", "ms", SL_BENCH_AT_MOST, 5, sl_bench_median(p50_ms, RUNS),
         NULL}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(bench, &figures[i]);
}

bool
sl_bench_ingest(const struct sl_bench *bench)
{
    struct ingest in = {.bench = bench, .count = bench->is_quick ? 20000 : 100000};
    struct times times[RUNS];
    double p50_ms[RUNS];
    bool is_ok = run_starts(bench);
    for (uint32_t i = 0; is_ok && i < RUNS; i++) {
        is_ok = run_once(&in, &times[i], &p50_ms[i]);
        if (is_ok)
            sl_bench_say(bench, "run %u: %.0f objects/s, %.1f MiB more", i + 1,
                         times[i].objects_per_s, times[i].growth_mib);
    }
    if (is_ok)
        show(bench, times, p50_ms);
    sl_buf_deinit(&in.ids);
    return is_ok;
}
