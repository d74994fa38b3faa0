/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_scale.h"
#include "actors/queue_projection.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/agent.h"
#include "actors/dispatcher.h"
#include "actors/extraction.h"
#include "actors/head.h"
#include "actors/index.h"
#include "actors/job_row.h"
#include "actors/router.h"
#include "actors/rows.h"
#include "actors/simulate_directory.h"
#include "actors/source.h"
#include "extractors/replica.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/sim.h"
#include "runtime/sim_disk.h"
#include "runtime/spawn_port.h"

#define JOB_TASKS     1000
#define START_MS      UINT64_C(1700000000000)
#define MAP_SIZE      (UINT64_C(4) * 1024 * SL_MIB)
#define JOIN_NS       (60 * SL_SECOND_NS)
#define SETTLE_NS     (3 * SL_SECOND_NS) /* Some beats of all nodes. */
#define RUN_NS        (3600 * SL_SECOND_NS)
#define REPLICA_ACTOR 1
#define COLLECTION    "col"

struct scale {
    struct sl_scale_options options;
    struct sl_scale_result *result;
    char *directory;
    struct sl_sim *sim;
    struct sl_sim_disk *disk;
    struct sl_disk disk_ops;
    struct sl_store *store;
    struct sl_queue *queue;
    struct sl_index_cache *indexes;
    uint32_t main, joined;
    uint64_t replicas, pid_last, began_ns; /* began_ns: of the handler at work. */
};

SL_PRINTF(2, 3)
static void
fail(struct scale *s, const char *format, ...)
{
    va_list args;
    if (!s->result->is_ok)
        return;
    s->result->is_ok = false;
    va_start(args, format);
    vsnprintf(s->result->failure, sizeof(s->result->failure), format, args);
    va_end(args);
}

/* ---- a replica ----------------------------------------------------------------------------- */

struct replica_options {
    uint32_t number, agent;
};

struct replica {
    struct replica_options options;
};

static void
replica_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct replica *r = self;
    r->options = *(const struct replica_options *)argument;
    struct sl_m_replica_ready ready = {.replica = r->options.number, .pid = 1};
    sl_send(ctx, sl_at(r->options.agent, SL_ACTOR_AGENT), SL_M_replica_ready, &ready);
}

/* Each item takes up to 100 ms, and makes nothing. */
static void
replica_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct replica *r = self;
    if (msg->id == SL_M_process) {
        sl_after(ctx, (1 + sl_random_below(ctx->random, 100)) * SL_MILLI_NS,
                 SL_BODY(msg, process)->item);
        return;
    }
    if (msg->id != SL_M_timer)
        return;
    static const uint8_t none[4];
    struct sl_m_processed m = {.item = SL_BODY(msg, timer)->token,
                               .busy_ns = 20 * SL_MILLI_NS,
                               .served_ns = 20 * SL_MILLI_NS,
                               .outputs = sl_slice(none, sizeof(none)),
                               .code = sl_slice_str(""),
                               .message = sl_slice_str(""),
                               .resume = sl_slice_str("")};
    sl_send(ctx, sl_at(r->options.agent, SL_ACTOR_AGENT), SL_M_processed, &m);
}

static const struct sl_actor_class replica_class = {.name = "replica",
                                                    .state_size = sizeof(struct replica),
                                                    .init = replica_init,
                                                    .handle = replica_handle};

/* ---- the spawner --------------------------------------------------------------------------- */

static void
start_node(struct scale *s, uint32_t process, uint32_t number)
{
    struct sl_agent_options agent = {.pool = {.node = number,
                                              .endpoint = "sim",
                                              .plugin_directories = "",
                                              .blob_directory = "",
                                              .threads = 1,
                                              .replicas_max = 1,
                                              .task_ns = RUN_NS,
                                              .idle_ns = RUN_NS},
                                     .pid = s->pid_last};
    sl_sim_link(s->sim, process, s->main);
    sl_sim_spawn(s->sim, process, SL_ACTOR_AGENT, &sl_agent_class, &agent);
}

/* What is asked for starts at once, and lives. */
static void
take_spawn(void *scale, uint32_t asker, struct sl_msg *msg)
{
    struct scale *s = scale;
    if (msg->id == SL_M_spawn) {
        const struct sl_m_spawn *m = SL_BODY(msg, spawn);
        bool is_node = m->kind == SL_CHILD_NODE;
        struct sl_m_child_started started = {.tag = m->tag, .pid = ++s->pid_last};
        uint32_t process = sl_sim_start(s->sim, (uint32_t)m->tag, NULL);
        sl_sim_post(s->sim, asker, is_node ? SL_ACTOR_HEAD : SL_ACTOR_AGENT, SL_MILLI_NS,
                    sl_msg_create(SL_M_child_started, &started));
        if (is_node) {
            start_node(s, process, (uint32_t)m->tag);
        } else {
            struct replica_options replica = {.number = (uint32_t)m->tag,
                                              .agent = sl_sim_node(s->sim, asker)};
            s->replicas++;
            sl_sim_link(s->sim, process, asker);
            sl_sim_spawn(s->sim, process, REPLICA_ACTOR, &replica_class, &replica);
        }
    } else {
        fail(s, "the spawner is asked to kill, in fair weather");
    }
    sl_msg_destroy(&msg);
}

static void
observe(void *scale, enum sl_sim_what what, uint32_t process, const struct sl_msg *msg)
{
    struct scale *s = scale;
    if (process != s->main)
        return;
    if (what == SL_SIM_SENT) {
        s->result->decisions += msg->id == SL_M_run_task;
        s->joined += msg->id == SL_M_node_up && msg->to.actor == SL_ACTOR_DISPATCHER;
        return;
    }
    if (msg->to.actor != SL_ACTOR_DISPATCHER || s->options.ran_ns == NULL)
        return;
    if (what == SL_SIM_DELIVERED)
        s->began_ns = s->options.ran_ns();
    else
        s->result->deciding_ns += s->options.ran_ns() - s->began_ns;
    s->result->done += what == SL_SIM_DELIVERED && msg->id == SL_M_task_done;
}

static void
on_failed(void *scale, uint32_t process, enum sl_err err)
{
    (void)process;
    fail(scale, "the store cannot sync: %s", sl_err_name(err));
}

/* ---- the main process ---------------------------------------------------------------------- */

static enum sl_err
open_store(struct scale *s)
{
    s->queue = sl_queue_create();
    struct sl_projection queue = sl_queue_projection(s->queue);
    struct sl_store_options options = {.directory = s->directory,
                                       .disk = &s->disk_ops,
                                       .projections = &queue,
                                       .projections_count = 1,
                                       .map_size_bytes = MAP_SIZE};
    enum sl_err err = sl_store_open(&options, &s->store);
    if (err == SL_OK)
        sl_queue_boot(s->queue, 1);
    return err;
}

static void
start_main(struct scale *s)
{
    struct sl_dispatcher_options dispatcher = {
        .queue = s->queue,
        .indexes = s->indexes,
        .retry = {.attempts_max = 3, .base_ms = 200, .cap_ms = 5000}};
    struct sl_head_options head = {.nodes = s->options.nodes, .node_text = "{\"sim\":true"};
    s->main = sl_sim_start(s->sim, SL_NODE_HEAD, s->store);
    sl_sim_spawn(s->sim, s->main, SL_ACTOR_DISPATCHER, &sl_dispatcher_class, &dispatcher);
    sl_sim_spawn(s->sim, s->main, SL_ACTOR_ROUTER, &sl_router_class, NULL);
    sl_sim_spawn(s->sim, s->main, SL_ACTOR_HEAD, &sl_head_class, &head);
}

/* A tenant has one collection and one source, which all of its tasks read. */
static void
put_tenant(struct scale *s, uint64_t tenant)
{
    static const char extraction[] =
        "{\"extractor\":\"text_extractor\",\"version\":\"v1\",\"params\":{},\"model\":null,"
        "\"index\":\"idx\",\"dimensions\":4,\"inputs\":[{\"name\":\"text\",\"path\":\"content\"}],"
        "\"passthrough\":[],\"class\":\"cpu\",\"enabled\":true}";
    struct sl_scope scope = {tenant};
    struct sl_buf key = {0}, row = {0};
    struct sl_source source = {.fields = sl_slice_str("{\"content\":\"a few words\"}"),
                               .blobs = sl_slice_str("[]"),
                               .extra = sl_slice_str("{}")};
    struct sl_txn *txn = sl_store_begin(s->store);
    sl_source_encode(&source, &row);
    sl_txn_put(txn, scope, SL_TABLE_SOURCE, sl_key(&key, 2, "bkt", "src"), sl_buf_slice(&row));
    sl_txn_put(txn, scope, SL_TABLE_EXTRACTION, sl_slice_str(COLLECTION), sl_slice_str(extraction));
    if (sl_txn_commit(&txn) != SL_OK)
        fail(s, "a tenant cannot be stored");
    sl_txn_abort(&txn);
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

static void
put_job(struct scale *s, uint32_t number, uint32_t tasks)
{
    struct sl_scope scope = {1 + number % s->options.tenants};
    struct sl_buf event = {0}, payload = {0}, key = {0}, row = {0};
    struct sl_enqueue enqueue = {.class = SL_CLASS_CPU, .created_ms = START_MS};
    memcpy(enqueue.job.bytes, &(uint32_t){number + 1}, sizeof(number));
    sl_queue_event_enqueue(&event, &enqueue);
    struct sl_task_payload p = {.origin = sl_slice_str("batch"),
                                .collection = sl_slice_str(COLLECTION),
                                .source = sl_key(&key, 2, "bkt", "src")};
    sl_task_payload_encode(&p, &payload);
    for (uint32_t t = 0; t < tasks; t++)
        sl_queue_event_task(&event, sl_buf_slice(&payload));
    sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PENDING,
                                           .created_ms = START_MS,
                                           .total = tasks,
                                           .kind = sl_slice_str("batch"),
                                           .about = sl_slice_str("{}")},
                      &row);
    struct sl_txn *txn = sl_store_begin(s->store);
    sl_txn_put(txn, scope, SL_TABLE_JOB, sl_slice(enqueue.job.bytes, sizeof(enqueue.job.bytes)),
               sl_buf_slice(&row));
    sl_txn_event(txn, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    if (sl_txn_commit(&txn) != SL_OK)
        fail(s, "a job cannot be stored");
    sl_txn_abort(&txn);
    sl_buf_deinit(&event);
    sl_buf_deinit(&payload);
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

/* ---- a run --------------------------------------------------------------------------------- */

static uint64_t
memory(const struct scale *s)
{
    return s->options.memory_bytes == NULL ? 0 : s->options.memory_bytes();
}

static void
run_until(struct scale *s, uint64_t until_ns)
{
    while (s->result->is_ok && sl_sim_now_ns(s->sim) < until_ns && sl_sim_step(s->sim))
        ;
}

static void
join_all(struct scale *s)
{
    uint64_t before = memory(s);
    start_main(s);
    while (s->result->is_ok && s->joined < s->options.nodes && sl_sim_now_ns(s->sim) < JOIN_NS &&
           sl_sim_step(s->sim))
        ;
    if (s->joined < s->options.nodes)
        fail(s, "%u of %u nodes joined", s->joined, s->options.nodes);
    run_until(s, sl_sim_now_ns(s->sim) + SETTLE_NS);
    s->result->node_bytes = (memory(s) - before) / s->options.nodes;
}

static void
submit_all(struct scale *s)
{
    uint64_t before = memory(s);
    for (uint64_t tenant = 1; tenant <= s->options.tenants; tenant++)
        put_tenant(s, tenant);
    uint32_t number = 0;
    for (uint32_t left = s->options.tasks, tasks; left > 0 && s->result->is_ok; left -= tasks) {
        tasks = SL_MIN(left, (uint32_t)JOB_TASKS);
        put_job(s, number++, tasks);
    }
    if (s->result->is_ok && sl_store_checkpoint(s->store) != SL_OK)
        fail(s, "the store cannot be made durable");
    s->result->task_bytes = (memory(s) - before) / s->options.tasks;
}

static void
finish_all(struct scale *s)
{
    uint64_t before = memory(s), until_ns = sl_sim_now_ns(s->sim) + RUN_NS;
    s->result->decisions = s->result->deciding_ns = 0;
    uint64_t began_ns = s->options.ran_ns == NULL ? 0 : s->options.ran_ns();
    uint64_t events = sl_sim_events(s->sim), at_ns = sl_sim_now_ns(s->sim);
    while (s->result->is_ok && s->result->done < s->options.tasks &&
           sl_sim_now_ns(s->sim) < until_ns && sl_sim_step(s->sim))
        ;
    run_until(s, sl_sim_now_ns(s->sim) + SL_SECOND_NS);
    if (s->result->done != s->options.tasks || sl_queue_has_work(s->queue))
        fail(s, "%" PRIu64 " of %u tasks are done", s->result->done, s->options.tasks);
    s->result->events = sl_sim_events(s->sim) - events;
    s->result->virtual_ns = sl_sim_now_ns(s->sim) - at_ns;
    s->result->ran_ns = s->options.ran_ns == NULL ? 0 : s->options.ran_ns() - began_ns;
    s->result->actors = s->options.nodes + s->replicas + 3;
    /* The tasks are gone, and the replicas came: what all actors and their links keep now. */
    uint64_t tasks = s->result->task_bytes * s->options.tasks, now = memory(s);
    uint64_t more = now + tasks > before ? now + tasks - before : 0;
    s->result->actor_bytes = (s->result->node_bytes * s->options.nodes + more) / s->result->actors;
}

void
sl_simulate_scale(const struct sl_scale_options *options, struct sl_scale_result *ret_result)
{
    struct scale s = {.options = *options, .result = ret_result};
    struct sl_sim_options sim = {
        .seed = options->seed, .start_ms = START_MS, .observe = observe, .failed = on_failed};
    *ret_result = (struct sl_scale_result){.is_ok = true};
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    s.directory = sl_simulate_directory_make(NULL);
    if (s.directory == NULL) {
        fail(&s, "no directory can be made");
        return;
    }
    sim.arg = &s;
    s.sim = sl_sim_create(&sim);
    s.disk = sl_sim_disk_create();
    s.disk_ops = sl_sim_disk_ops(s.disk);
    s.indexes = sl_index_cache_create();
    sl_sim_port(s.sim, SL_PORT_SPAWNER, take_spawn, &s);
    enum sl_err err = open_store(&s);
    if (err != SL_OK)
        fail(&s, "the store does not open: %s", sl_err_name(err));
    if (err == SL_OK)
        join_all(&s);
    if (ret_result->is_ok)
        submit_all(&s);
    if (ret_result->is_ok)
        finish_all(&s);
    sl_sim_destroy(&s.sim);
    if (s.store != NULL)
        sl_store_abandon(&s.store);
    sl_queue_destroy(&s.queue);
    sl_index_cache_destroy(&s.indexes);
    sl_sim_disk_destroy(&s.disk);
    sl_simulate_directory_remove(s.directory);
}
