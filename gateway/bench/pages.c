/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `pages`: what looking costs. A head with 1,000 tenants, 100,000 jobs in their queues
 * and 10,000 replicas, of which a process that plays 100 nodes tells it by their messages, is asked
 * for every list and for what the dashboard's pages ask, while objects are posted and a model's
 * calls answered at a steady rate by another process. A list is asked for at a steady rate too, and
 * its time runs from when it was due.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench/inference.h"
#include "gateway/bench/pages.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define LOAD_PER_S  100.0
#define ASKS        300u
#define ASKS_FEW    60u
#define ASK_NS      (10 * SL_MILLI_NS) /* From one to the next. */
#define WARM        5u
#define TABS        20u
#define TAB_ROUNDS  5u
#define TAB_NS      (8 * SL_SECOND_NS)
#define TAB_FEW_NS  (3 * SL_SECOND_NS)
#define TAB_WARM_NS SL_SECOND_NS
#define EVENTS      11u
#define LIST_MS     20.0
#define SCRAPE_MS   10.0

static const char asked[] = "{\"feature_uri\":\"sluice://noop_extractor@v1/noop\","
                            "\"inputs\":{\"text\":\"nothing is done with this\"}}";

struct suite {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    struct sl_http_client *tenant, *page; /* Of the town's first tenant; to the dashboard's port. */
    char *tenant_key;
    struct sl_buf post, inference;
    pid_t nodes, load, tabs;
    double *times_ms;
    double worst_ms;
    const char *worst;
};

/* ---- what is asked ------------------------------------------------------------------------- */

enum whom { OPERATOR, TENANT, PAGE };

static const struct page {
    const char *name, *path;
    enum whom whom;
    double target_ms;
} pages[] = {
    {"nothing", "/v1/whoami", OPERATOR, 0}, /* What the machine and the load leave of any call. */
    {"cluster", "/v1/cluster", OPERATOR, LIST_MS},
    {"nodes", "/v1/cluster/nodes?limit=25", OPERATOR, LIST_MS},
    {"node_sums", "/v1/cluster/nodes?limit=100&brief=true", OPERATOR, LIST_MS},
    {"worker_groups", "/v1/cluster/worker-groups", OPERATOR, LIST_MS},
    {"extractors", "/v1/cluster/extractors?limit=100", OPERATOR, LIST_MS},
    {"decisions", "/v1/cluster/extractors/extractor_1/decisions?limit=40", OPERATOR, LIST_MS},
    {"replicas", "/v1/cluster/replicas?limit=500", OPERATOR, LIST_MS},
    {"replicas_of_one", "/v1/cluster/replicas?extractor=extractor_1&limit=500", OPERATOR, LIST_MS},
    {"actors", "/v1/cluster/actors?limit=500", OPERATOR, LIST_MS},
    {"jobs", "/v1/cluster/jobs?limit=100", OPERATOR, LIST_MS},
    {"jobs_in_no_state", "/v1/cluster/jobs?limit=100&state=failed", OPERATOR, LIST_MS},
    {"jobs_of_one", "/v1/cluster/jobs?limit=100&tenant_id=town-900", OPERATOR, LIST_MS},
    {"events", "/v1/cluster/events?limit=100", OPERATOR, LIST_MS},
    {"history", "/v1/cluster/history?span=72h", OPERATOR, LIST_MS},
    {"queues", "/v1/cluster/queues?limit=200", OPERATOR, LIST_MS},
    {"queue", "/v1/cluster/queues/town-900:mail", OPERATOR, LIST_MS},
    {"dead", "/v1/cluster/queues/town-900:mail/dead", OPERATOR, LIST_MS},
    {"config", "/v1/cluster/config", OPERATOR, LIST_MS},
    {"tenants", "/v1/tenants?limit=200", OPERATOR, LIST_MS},
    {"tenant_usage", "/v1/tenants/town-900/usage", OPERATOR, LIST_MS},
    {"tenant_quotas", "/v1/tenants/town-900/quotas", OPERATOR, LIST_MS},
    {"tenant.queues", "/v1/cluster/queues?limit=100", TENANT, LIST_MS},
    {"tenant.jobs", "/v1/cluster/jobs?limit=100", TENANT, LIST_MS},
    {"tenant.own_jobs", "/v1/queues/mail/jobs?limit=100", TENANT, LIST_MS},
    {"tenant.replicas", "/v1/cluster/replicas?limit=100", TENANT, LIST_MS},
    {"tenant.extractors", "/v1/cluster/extractors?limit=100", TENANT, LIST_MS},
    {"tenant.events", "/v1/cluster/events?limit=50", TENANT, LIST_MS},
    {"tenant.scrape", "/metrics", TENANT, SCRAPE_MS},
    {"scrape.by_tenant", "/metrics", OPERATOR, SCRAPE_MS},
    {"scrape.unlabelled", "/metrics", PAGE, SCRAPE_MS},
    {"status", "/status.json", PAGE, 0},
};

static struct sl_http_client *
client_of(const struct suite *s, enum whom whom)
{
    if (whom == OPERATOR)
        return s->server.admin;
    return whom == TENANT ? s->tenant : s->page;
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void
show(const struct suite *s, const struct page *p, const char *part, double ms, const char *note)
{
    char name[96];
    bool is_tail = strcmp(part, "p99") == 0 && p->target_ms > 0;
    (void)snprintf(name, sizeof(name), "pages.%s.%s", p->name, part);
    sl_bench_show(s->bench, &(struct sl_bench_figure){name, "ms",
                                                      is_tail ? SL_BENCH_AT_MOST : SL_BENCH_NO_GOAL,
                                                      p->target_ms, ms, note});
}

static bool
ask_once(const struct suite *s, const struct page *p, size_t *ret_size)
{
    struct sl_http_client *http = client_of(s, p->whom);
    struct sl_http_reply reply = {0};
    struct sl_http_request get = {.method = "GET", .path = p->path};
    bool is_ok = sl_http_send(http, &get, &reply) == SL_OK && reply.status == 200;
    if (!is_ok)
        (void)sl_bench_fail("GET %s: %ld %s %.200s", p->path, reply.status, sl_http_error(http),
                            sl_buf_text(&reply.body));
    *ret_size = reply.body.size;
    sl_buf_deinit(&reply.body);
    return is_ok;
}

static bool
run_page(struct suite *s, const struct page *p)
{
    const uint32_t asks = s->bench->is_quick ? ASKS_FEW : ASKS;
    size_t size = 0;
    char note[64];
    for (uint32_t i = 0; i < WARM; i++) {
        if (!ask_once(s, p, &size))
            return false;
    }
    double before_s = sl_bench_cpu_s(&s->server);
    uint64_t start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < asks; i++) {
        uint64_t due_ns = start_ns + i * ASK_NS, now_ns = sl_time_mono_ns();
        if (now_ns < due_ns)
            sl_time_sleep_ns(due_ns - now_ns);
        if (!ask_once(s, p, &size))
            return false;
        s->times_ms[i] = (double)(sl_time_mono_ns() - due_ns) / 1e6;
    }
    double cpu_s = sl_bench_cpu_s(&s->server) - before_s;
    sl_bench_say(s->bench, "  %s: %.1f MiB", p->name,
                 sl_bench_memory_mib(&s->server, SL_BENCH_MAIN));
    qsort(s->times_ms, asks, sizeof(s->times_ms[0]), compare);
    double tail_ms = s->times_ms[asks * 99 / 100];
    (void)snprintf(note, sizeof(note), "%zu KiB; with the load %.2f cores", size / 1024,
                   cpu_s * 1e9 / (double)(sl_time_mono_ns() - start_ns));
    show(s, p, "p50", s->times_ms[asks / 2], NULL);
    show(s, p, "p99", tail_ms, note);
    if (p->target_ms == LIST_MS && tail_ms > s->worst_ms) {
        s->worst_ms = tail_ms;
        s->worst = p->name;
    }
    return sl_bench_town_is_there(s->load, "the load") &&
           sl_bench_town_is_there(s->nodes, "the process that plays the nodes");
}

static bool
run_pages(struct suite *s)
{
    double before_mib = sl_bench_memory_mib(&s->server, SL_BENCH_MAIN), most_mib = before_mib;
    s->times_ms = sl_zalloc(ASKS * sizeof(s->times_ms[0]));
    for (size_t i = 0; i < SL_COUNT_OF(pages); i++) {
        if (!run_page(s, &pages[i]))
            return false;
        most_mib = SL_MAX(most_mib, sl_bench_memory_mib(&s->server, SL_BENCH_MAIN));
    }
    sl_bench_show(s->bench, &(struct sl_bench_figure){"pages.worst.p99", "ms", SL_BENCH_AT_MOST,
                                                      LIST_MS, s->worst_ms, s->worst});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"pages.memory.asked", "MiB", SL_BENCH_AT_MOST, 50,
                                            most_mib - before_mib,
                                            "more than before any of them was asked, at most; the "
                                            "load's objects are in it"});
    return true;
}

/* ---- tabs ---------------------------------------------------------------------------------- */

/* Of a core, over a while. */
static double
busy(const struct suite *s, uint64_t ns)
{
    double before_s = sl_bench_cpu_s(&s->server);
    uint64_t start_ns = sl_time_mono_ns();
    sl_time_sleep_ns(ns);
    return (sl_bench_cpu_s(&s->server) - before_s) * 1e9 / (double)(sl_time_mono_ns() - start_ns);
}

static bool
run_tabs(struct suite *s)
{
    uint64_t ns = s->bench->is_quick ? TAB_FEW_NS : TAB_NS;
    double more[TAB_ROUNDS], alone[TAB_ROUNDS];
    for (uint32_t i = 0; i < TAB_ROUNDS; i++) {
        double before = busy(s, ns / 2);
        if (!sl_bench_tabs_start(&s->server, TABS, &s->tabs))
            return false;
        sl_time_sleep_ns(TAB_WARM_NS);
        double with = busy(s, ns);
        bool is_there = sl_bench_town_is_there(s->tabs, "the process with the tabs");
        sl_bench_town_end(&s->tabs);
        alone[i] = (before + busy(s, ns / 2)) / 2;
        more[i] = 100 * (with - alone[i]);
        if (!is_there)
            return false;
        sl_bench_say(s->bench, "  %.1f %% of a core, %.1f %% with %u tabs", 100 * alone[i],
                     100 * with, TABS);
    }
    sl_bench_show(s->bench, &(struct sl_bench_figure){
                                "pages.tabs.cpu", "% of a core", SL_BENCH_AT_MOST, 5,
                                sl_bench_median(more, TAB_ROUNDS),
                                "20 open overviews that ask at each change, beside none"});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){.name = "pages.tabs.without",
                                            .unit = "cores",
                                            .value = sl_bench_median(alone, TAB_ROUNDS),
                                            .note = "100 posts and 100 inferences a second, and "
                                                    "what 10,000 replicas tell"});
    return true;
}

static bool
run_events(struct suite *s)
{
    double ms[EVENTS];
    for (uint32_t i = 0; i < EVENTS; i++) {
        if (!sl_bench_event_ms(&s->server, i, &ms[i]))
            return false;
    }
    double median_ms = sl_bench_median(ms, EVENTS);
    sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "pages.event.p50",
                                                      .unit = "ms",
                                                      .value = median_ms,
                                                      .note = "until who follows has it"});
    sl_bench_show(s->bench, &(struct sl_bench_figure){"pages.event.worst", "ms", SL_BENCH_AT_MOST,
                                                      500, ms[EVENTS - 1], "of 11"});
    return true;
}

/* ---- the suite ----------------------------------------------------------------------------- */

static void
write_post(struct suite *s)
{
    static const char body[] = "{\"text\":\"an object of some sixty bytes, as many are posted\"}";
    sl_buf_printf(&s->post,
                  "POST /v1/buckets/bench/objects HTTP/1.1\r\nHost: localhost\r\n"
                  "Authorization: Bearer %s\r\nX-Namespace: %s\r\n"
                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                  s->client.key, s->client.namespace_id, sizeof(body) - 1, body);
}

static bool
start(struct suite *s)
{
    char *plugins = sl_bench_server_plugins("noop_extractor");
    if (plugins == NULL)
        return false;
    char *yaml = sl_format("plugins: \"%s\"\n", plugins);
    bool is_ok = sl_bench_server_start_as(s->bench, yaml, &s->server);
    sl_free(yaml);
    sl_free(plugins);
    return is_ok && sl_bench_client_open(&s->server, &s->client) &&
           sl_bench_inference_collection(&s->client, "noop_extractor") &&
           sl_bench_ask(&s->client, "/v1/inference", sl_slice_str(asked));
}

static bool
fill(struct suite *s)
{
    double empty_mib = sl_bench_memory_mib(&s->server, SL_BENCH_MAIN);
    sl_bench_say(s->bench, "pages: 1,000 tenants with 100 jobs each");
    if (!sl_bench_town_fill(&s->server, &s->tenant_key))
        return false;
    double jobs_mib = sl_bench_memory_mib(&s->server, SL_BENCH_MAIN);
    sl_bench_say(s->bench, "pages: 100 nodes with 100 replicas each");
    if (!sl_bench_town_nodes_start(&s->server, &s->nodes) || !sl_bench_town_wait(&s->server))
        return false;
    sl_time_sleep_ns(2 * SL_SECOND_NS); /* Each has told all of it. */
    double full_mib = sl_bench_memory_mib(&s->server, SL_BENCH_MAIN);
    struct sl_bench_figure figures[] = {
        {"pages.memory.jobs", "MiB", SL_BENCH_NO_GOAL, 0, jobs_mib - empty_mib,
         "of the head, for 1,000 tenants and 100,000 jobs"},
        {"pages.memory.replicas", "MiB", SL_BENCH_AT_MOST, 50, full_mib - jobs_mib,
         "of the head, for what 100 nodes tell of 10,000 replicas"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(s->bench, &figures[i]);
    return true;
}

static bool
begin_load(struct suite *s)
{
    char *port = sl_bench_server_address(&s->server, "dashboard");
    if (port == NULL)
        return false;
    char *url = sl_format("http://127.0.0.1:%s", port);
    s->page = sl_http_client_create(url, NULL);
    s->tenant = sl_http_client_create(s->server.url, s->tenant_key);
    sl_free(url);
    sl_free(port);
    write_post(s);
    sl_bench_inference_request(&s->client, asked, &s->inference);
    struct sl_bench_town_load load = {.port = sl_bench_server_port(&s->server),
                                      .post = sl_buf_slice(&s->post),
                                      .inference = sl_buf_slice(&s->inference),
                                      .per_s = LOAD_PER_S};
    return sl_bench_town_load_start(&load, &s->load);
}

static void
end(struct suite *s)
{
    sl_bench_town_end(&s->tabs);
    sl_bench_town_end(&s->load);
    sl_bench_town_end(&s->nodes);
    sl_http_client_destroy(&s->tenant);
    sl_http_client_destroy(&s->page);
    sl_bench_client_close(&s->client);
    sl_buf_deinit(&s->post);
    sl_buf_deinit(&s->inference);
    sl_free(s->tenant_key);
    sl_free(s->times_ms);
}

bool
sl_bench_pages(const struct sl_bench *bench)
{
    struct suite s = {.bench = bench};
    bool is_ok =
        start(&s) && fill(&s) && begin_load(&s) && run_pages(&s) && run_tabs(&s) && run_events(&s);
    end(&s);
    is_ok = (s.server.pid == 0 || sl_bench_server_stop(&s.server)) && is_ok;
    return is_ok && sl_bench_counting(bench);
}
