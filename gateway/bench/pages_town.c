/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a large installation has told its head: tenants and jobs by the API, nodes and replicas by
 * the messages of nodes. One process plays all the nodes, each with a link of its own.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/cluster.h"
#include "actors/pool_times.h"
#include "gateway/bench/http.h"
#include "gateway/bench/pages.h"
#include "runtime/alloc.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define BEAT_NS     SL_SECOND_NS
#define PATIENCE_NS (60 * SL_SECOND_NS)
#define LOOK_NS     (100 * SL_MILLI_NS)
#define EXTRACTORS  50u
#define LOAD_NS     (10 * SL_SECOND_NS) /* Then connections are new: idle ones are closed. */
#define REPLICAS    (SL_BENCH_TOWN_NODES * SL_BENCH_TOWN_POOLS * SL_BENCH_TOWN_REPLICAS)
#define FIRST       (SL_NODE_WORKERS_FIRST + 1)

/* ---- processes ----------------------------------------------------------------------------- */

/* As fork(); the child goes when its parent does. */
static pid_t
fork_helper(void)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pid < 0)
        (void)sl_bench_fail("no process can be made");
    return pid;
}

void
sl_bench_town_end(pid_t *pid)
{
    int status;
    if (*pid > 0) {
        (void)kill(*pid, SIGKILL);
        (void)waitpid(*pid, &status, 0);
    }
    *pid = 0;
}

bool
sl_bench_town_is_there(pid_t pid, const char *what)
{
    siginfo_t info = {0};
    bool has_ended =
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
    return !has_ended || sl_bench_fail("%s ended by itself", what);
}

/* ---- tenants and jobs ---------------------------------------------------------------------- */

static void
write_jobs(struct sl_buf *body)
{
    sl_buf_append_str(body, "{\"jobs\":[");
    for (uint32_t i = 0; i < SL_BENCH_TOWN_JOBS; i++)
        sl_buf_printf(body, "%s{\"payload\":\"job %u of this tenant: sixty bytes of payload\"}",
                      i == 0 ? "" : ",", i);
    sl_buf_append_str(body, "]}");
}

static bool
make_tenant(const struct sl_bench_server *server, uint32_t index, struct sl_slice jobs,
            char **ret_key)
{
    struct sl_bench_client client;
    struct sl_http_reply reply = {0};
    char id[32];
    struct sl_http_request put = {
        .method = "PUT", .path = "/v1/queues/mail", .body = sl_slice_str("{}")};
    (void)snprintf(id, sizeof(id), "town-%u", index);
    if (!sl_bench_client_open_as(server, id, &client))
        return false;
    bool is_ok = sl_http_send(client.http, &put, &reply) == SL_OK && reply.status == 200 &&
                 sl_bench_ask(&client, "/v1/queues/mail/jobs", jobs);
    if (is_ok && *ret_key == NULL)
        *ret_key = sl_strdup(client.key);
    sl_buf_deinit(&reply.body);
    sl_bench_client_close(&client);
    return is_ok || sl_bench_fail("a tenant's queue could not be filled");
}

bool
sl_bench_town_fill(const struct sl_bench_server *server, char **ret_key)
{
    struct sl_buf jobs = {0};
    bool is_ok = true;
    write_jobs(&jobs);
    for (uint32_t i = 0; is_ok && i < SL_BENCH_TOWN_TENANTS; i++)
        is_ok = make_tenant(server, i, sl_buf_slice(&jobs), ret_key);
    sl_buf_deinit(&jobs);
    return is_ok;
}

/* ---- what a node tells --------------------------------------------------------------------- */

struct node {
    struct sl_links *links;
    uint32_t number;
    uint64_t next_ns, beats;
    bool is_member;
    struct sl_buf replicas;
};

/* Half of the pools are of extractors for all, half of a tenant's own. */
static void
write_name(struct sl_jsonw *w, uint32_t node, uint32_t pool)
{
    char name[32];
    bool is_own = pool % 2 != 0;
    (void)snprintf(name, sizeof(name), "extractor_%u", (node * 10 + pool / 2) % EXTRACTORS);
    sl_jsonw_member_str(w, "extractor", name);
    sl_jsonw_member_str(w, "index", "");
    sl_jsonw_member_u64(w, "tenant",
                        is_own ? 3 + (node * 10 + pool / 2) % SL_BENCH_TOWN_TENANTS : 0);
}

static void
write_times(struct sl_jsonw *w, const struct sl_pool_times *times)
{
    sl_jsonw_name(w, "times");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "calls");
    sl_pool_times_write(times, w);
    sl_jsonw_name(w, "tasks");
    sl_pool_times_write(&(struct sl_pool_times){0}, w);
    sl_jsonw_end(w);
}

/* As the pools of a node write it (actors/pool_status.c). */
static void
write_replica(struct sl_jsonw *w, const struct node *n, uint32_t pool, uint32_t index)
{
    static const char *const counts[] = {"overdue", "cancelled", "model_bytes", "idle_ms"};
    struct sl_pool_times times = {0};
    uint64_t done = n->beats * 50 + index;
    sl_pool_times_add(&times, &(struct sl_item_times){1, 1000, 2000, 1000000 + done * 1000});
    sl_jsonw_object(w);
    write_name(w, n->number - FIRST, pool);
    sl_jsonw_member_bool(w, "is_first", index == 0);
    sl_jsonw_member_u64(w, "id", 1000 + pool * SL_BENCH_TOWN_REPLICAS + index);
    sl_jsonw_member_u64(w, "pid", 100000 + pool * 10 + index);
    sl_jsonw_member_str(w, "state", index == 4 && n->beats % 8 == 0 ? "starting" : "ready");
    sl_jsonw_member_bool(w, "background", false);
    sl_jsonw_member_u64(w, "ongoing", (n->beats + index) % 3);
    sl_jsonw_member_u64(w, "waiting", n->beats % 5);
    sl_jsonw_member_u64(w, "done", done);
    sl_jsonw_member_u64(w, "age_ms", n->beats * 1000);
    sl_jsonw_member_u64(w, "cold_start_ms", 130);
    sl_jsonw_member_u64(w, "answered", done * SL_BENCH_TOWN_REPLICAS);
    sl_jsonw_member_u64(w, "failed", 0);
    for (size_t i = 0; i < SL_COUNT_OF(counts); i++)
        sl_jsonw_member_u64(w, counts[i], 0);
    write_times(w, &times);
    sl_jsonw_member_raw(w, "memory",
                        sl_slice_str("{\"resident_bytes\":52428800,\"private_bytes\":31457280}"));
    sl_jsonw_member_raw(w, "ends", sl_slice_str("{\"crashed\":0,\"memory\":0,\"refused\":0}"));
    sl_jsonw_member_raw(w, "sandbox",
                        sl_slice_str("{\"namespaces\":true,\"files\":true,\"calls\":true}"));
    sl_jsonw_end(w);
}

static void
write_replicas(struct node *n)
{
    struct sl_jsonw w;
    sl_buf_clear(&n->replicas);
    sl_jsonw_init(&w, &n->replicas);
    sl_jsonw_array(&w);
    for (uint32_t p = 0; p < SL_BENCH_TOWN_POOLS; p++) {
        for (uint32_t i = 0; i < SL_BENCH_TOWN_REPLICAS; i++)
            write_replica(&w, n, p, i);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* Once: each pool has decided once, for as many as it has. */
static void
write_pools(const struct node *n, struct sl_buf *out)
{
    static const char decision[] =
        "{\"settings\":{\"min_replicas\":0,\"max_replicas\":8,\"target_ongoing_requests\":2,"
        "\"downscale_delay_s\":60},\"decision\":{\"at_ns\":1000,\"has\":4,\"replicas\":5,"
        "\"waiting\":3,\"running\":8,\"reason\":\"up\",\"why\":\"11 under way, 2 a replica\"}}";
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (uint32_t p = 0; p < SL_BENCH_TOWN_POOLS; p++) {
        sl_jsonw_object(&w);
        write_name(&w, n->number - FIRST, p);
        sl_jsonw_member_u64(&w, "wanted", SL_BENCH_TOWN_REPLICAS);
        sl_jsonw_member_u64(&w, "changes", 1);
        sl_jsonw_member_raw(&w, "last", sl_slice_str(decision));
        sl_jsonw_name(&w, "decisions");
        sl_jsonw_array(&w);
        sl_jsonw_raw(&w, sl_slice_str(decision));
        sl_jsonw_end(&w);
        sl_jsonw_member_raw(&w, "life",
                            sl_slice_str("{\"state\":\"ready\",\"stopped\":0,\"crashed\":0}"));
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* ---- being nodes --------------------------------------------------------------------------- */

static void
send_head(struct node *n, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD);
    msg->from = sl_at(n->number, SL_ACTOR_AGENT);
    if (sl_links_add(n->links, msg) == SL_OK)
        sl_links_flush(n->links);
    sl_msg_destroy(&msg);
}

static void
join(struct node *n)
{
    static const char facts[] = "{\"group\":\"gpu\",\"cpus\":16,\"gpus\":1,\"memory_bytes\":"
                                "68719476736,\"labels\":{\"zone\":\"a\"},\"host\":\"town\"}";
    char name[32];
    (void)snprintf(name, sizeof(name), "town-%u", n->number);
    send_head(n, SL_M_node_join,
              &(struct sl_m_node_join){.node = n->number,
                                       .pid = n->number,
                                       .room = 1,
                                       .name = sl_slice_str(name),
                                       .facts = sl_slice_str(facts)});
}

static void
beat(struct node *n)
{
    write_replicas(n);
    send_head(n, SL_M_node_beat,
              &(struct sl_m_node_beat){.node = n->number,
                                       .replicas = sl_buf_slice(&n->replicas),
                                       .objects = sl_slice_str("{\"memory_bytes\":1048576}")});
    if (n->beats++ > 0)
        return;
    struct sl_buf pools = {0};
    write_pools(n, &pools);
    send_head(n, SL_M_node_scaling, &(struct sl_m_node_scaling){.pools = sl_buf_slice(&pools)});
    sl_buf_deinit(&pools);
}

static void
take(struct node *n)
{
    struct sl_msg *msg;
    while ((msg = sl_links_receive(n->links)) != NULL) {
        n->is_member = n->is_member || msg->id == SL_M_node_welcome;
        if (msg->id == SL_M_node_unknown)
            n->is_member = false;
        sl_msg_destroy(&msg);
    }
}

/* Their beats are spread over the second, as those of machines are. */
SL_NORETURN static void
play(const char *endpoint)
{
    struct node *nodes = sl_zalloc(SL_BENCH_TOWN_NODES * sizeof(*nodes));
    uint64_t now_ns = sl_time_mono_ns();
    sl_report_level_set(SL_REPORT_ERROR); /* Each would tell that the head has ended. */
    if (sl_message_type_lookup(SL_M_node_beat) == NULL)
        sl_protocol_register(&sl_protocol_cluster);
    for (uint32_t i = 0; i < SL_BENCH_TOWN_NODES; i++) {
        struct node *n = &nodes[i];
        n->number = FIRST + i;
        n->links = sl_links_create_with(
            &(struct sl_links_options){.node = n->number, .name = "town", .group = "worker"});
        n->next_ns = now_ns + i * BEAT_NS / SL_BENCH_TOWN_NODES;
        if (sl_links_connect(n->links, SL_NODE_HEAD, endpoint) != SL_OK)
            _exit(1);
    }
    for (;;) {
        for (uint32_t i = 0; i < SL_BENCH_TOWN_NODES; i++) {
            struct node *n = &nodes[i];
            take(n);
            if (sl_time_mono_ns() < n->next_ns)
                continue;
            n->next_ns += BEAT_NS;
            if (n->is_member)
                beat(n);
            else
                join(n);
        }
        (void)poll(NULL, 0, 5);
    }
}

bool
sl_bench_town_nodes_start(const struct sl_bench_server *server, pid_t *ret_pid)
{
    char *endpoint = sl_bench_server_address(server, "head");
    if (endpoint == NULL)
        return false;
    *ret_pid = fork_helper();
    if (*ret_pid == 0)
        play(endpoint);
    sl_free(endpoint);
    return *ret_pid > 0;
}

/* They are to be given no work: their calls would not be answered. */
static bool
cordon(struct sl_http_client *http)
{
    struct sl_http_reply reply = {0};
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < SL_BENCH_TOWN_NODES; i++) {
        char *path = sl_format("/v1/cluster/nodes/town-%u/cordon", FIRST + i);
        struct sl_http_request order = {.method = "POST", .path = path};
        is_ok = sl_http_send(http, &order, &reply) == SL_OK && reply.status == 200;
        sl_free(path);
    }
    sl_buf_deinit(&reply.body);
    return is_ok || sl_bench_fail("a node could not be cordoned");
}

/* How many replicas the head knows; UINT64_MAX: it did not answer. */
static uint64_t
count_replicas(struct sl_http_client *http)
{
    struct sl_http_reply reply = {0};
    struct sl_http_request ask = {.method = "GET", .path = "/v1/cluster"};
    struct sl_json_doc *doc = NULL;
    uint64_t alive = 0, pending = 0;
    bool is_ok = sl_http_send(http, &ask, &reply) == SL_OK && reply.status == 200 &&
                 sl_json_parse(sl_buf_slice(&reply.body), &doc, NULL) == SL_OK;
    struct sl_json actors =
        is_ok ? sl_json_member(sl_json_root(doc), "actors") : (struct sl_json){0};
    is_ok = is_ok && sl_json_u64(sl_json_member(actors, "alive"), &alive) == SL_OK &&
            sl_json_u64(sl_json_member(actors, "pending"), &pending) == SL_OK;
    sl_json_destroy(&doc);
    sl_buf_deinit(&reply.body);
    return is_ok ? alive + pending : UINT64_MAX;
}

bool
sl_bench_town_wait(const struct sl_bench_server *server)
{
    uint64_t until_ns = sl_time_mono_ns() + PATIENCE_NS, count = 0;
    while (sl_time_mono_ns() < until_ns) {
        count = count_replicas(server->admin);
        if (count == UINT64_MAX)
            return sl_bench_fail("the head does not tell of its replicas");
        if (count >= REPLICAS)
            return cordon(server->admin);
        sl_time_sleep_ns(LOOK_NS);
    }
    return sl_bench_fail("the head knows of %llu of %u replicas", (unsigned long long)count,
                         REPLICAS);
}

/* ---- load ---------------------------------------------------------------------------------- */

bool
sl_bench_town_load_start(const struct sl_bench_town_load *load, pid_t *ret_pid)
{
    struct sl_bench_http_kind kinds[] = {
        {.request = load->post, .connections = 8, .per_s = load->per_s},
        {.request = load->inference, .connections = 8, .per_s = load->per_s}};
    struct sl_bench_http run = {.port = load->port,
                                .kinds = kinds,
                                .kinds_count = 2,
                                .measured_ns = LOAD_NS,
                                .drain_ns = LOAD_NS};
    struct sl_bench_http_result ignored[2];
    *ret_pid = fork_helper();
    while (*ret_pid == 0) {
        if (!sl_bench_http_run(&run, ignored))
            _exit(1);
    }
    return *ret_pid > 0;
}
