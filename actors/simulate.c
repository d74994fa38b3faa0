/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/dispatcher.h"
#include "actors/head.h"
#include "actors/router.h"
#include "actors/rows.h"
#include "actors/simulate_world.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define START_MS      UINT64_C(1700000000000)
#define MAP_SIZE      (64 * SL_MIB)
#define CHECKPOINT    (24 * SL_KIB) /* Small, so that a run has some. */
#define MINUTES       2
#define REST_LIMIT_NS (30 * 60 * SL_SECOND_NS)
#define CHECK_NS      (3 * SL_SECOND_NS)

void
sl_world_fail(struct sl_world *w, const char *format, ...)
{
    va_list args;
    if (!w->result->is_ok)
        return;
    w->result->is_ok = false;
    va_start(args, format);
    vsnprintf(w->result->failure, sizeof(w->result->failure), format, args);
    va_end(args);
}

bool
sl_world_has_fault(const struct sl_world *w, enum sl_simulate_fault fault)
{
    return (w->options.faults & fault) != 0 && sl_sim_now_ns(w->sim) < w->fault_until_ns;
}

/* ---- the main process ---------------------------------------------------------------------- */

static bool
open_store(struct sl_world *w)
{
    w->queue = sl_queue_create();
    struct sl_projection queue = {.id = SL_PROJECTION_QUEUE,
                                  .name = "queue",
                                  .self = w->queue,
                                  .apply = sl_queue_apply,
                                  .snapshot = sl_queue_snapshot,
                                  .restore = sl_queue_restore};
    struct sl_store_options options = {.directory = w->directory,
                                       .disk = &w->disk_ops,
                                       .projections = &queue,
                                       .projections_count = 1,
                                       .map_size_bytes = MAP_SIZE,
                                       .checkpoint_bytes = CHECKPOINT};
    enum sl_err err = sl_store_open(&options, &w->store);
    if (err != SL_OK)
        sl_world_fail(w, "the store does not open: %s", sl_err_name(err));
    return err == SL_OK;
}

/* What was acknowledged before is what is there now, event for event. */
static void
compare_queue(struct sl_world *w)
{
    struct sl_buf now = {0};
    sl_queue_snapshot(w->queue, &now);
    if (w->queue_before.size > 0 &&
        !sl_slice_equal(sl_buf_slice(&w->queue_before), sl_buf_slice(&now)))
        sl_world_fail(w, "the queue rebuilt from snapshot and log is not the queue that was");
    sl_buf_deinit(&now);
    sl_buf_deinit(&w->queue_before);
}

static void
put_extractions(struct sl_txn *txn)
{
    static const char row[] = "{\"extractor\":\"text_extractor\",\"version\":\"v1\",\"params\":{},"
                              "\"model\":null,\"index\":\"" SL_WORLD_INDEX "\",\"dimensions\":4,"
                              "\"inputs\":[{\"name\":\"text\",\"path\":\"content\"}],"
                              "\"passthrough\":[],\"class\":\"cpu\",\"enabled\":true}";
    for (uint64_t scope = 1; scope <= SL_WORLD_TENANTS; scope++) {
        sl_txn_put(txn, (struct sl_scope){scope}, SL_TABLE_EXTRACTION,
                   sl_slice_str(SL_WORLD_COLLECTION), sl_slice_str(row));
        sl_txn_put(txn, (struct sl_scope){scope}, SL_TABLE_EXTRACTION,
                   sl_slice_str(SL_WORLD_SECOND), sl_slice_str(row));
    }
}

/* As if what is to be opened were kept in memory alone. */
static void
forget_openings(struct sl_txn *txn)
{
    struct sl_scan scan = {0};
    struct sl_buf keys = {0};
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        sl_buf_append_block(&keys, scan.key);
    sl_scan_end(&scan);
    for (struct sl_reader r = sl_reader(sl_buf_slice(&keys)); !sl_reader_is_done(&r);)
        sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_read_block(&r));
    sl_buf_deinit(&keys);
}

static bool
boot(struct sl_world *w)
{
    struct sl_slice key = sl_slice_str("boot");
    struct sl_txn *txn = sl_store_begin(w->store);
    sl_txn_add(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key, 1);
    int64_t number = sl_txn_counter(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key);
    put_extractions(txn);
    if (w->options.plant == SL_PLANT_FORGET)
        forget_openings(txn);
    enum sl_err err = sl_txn_commit(&txn);
    if (err == SL_OK)
        err = sl_store_sync(w->store);
    if (err != SL_OK) {
        sl_world_fail(w, "the store does not take the boot: %s", sl_err_name(err));
        return false;
    }
    sl_queue_boot(w->queue, (uint64_t)number);
    return true;
}

/* Orphans of the last main process find the new one by its endpoint. */
static void
link_orphans(struct sl_world *w)
{
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        if (!c->is_gone && c->process != 0 && c->kind == SL_CHILD_NODE)
            sl_sim_link(w->sim, w->main, c->process);
    }
}

static void
start_main(void *world, uint64_t ignored)
{
    struct sl_world *w = world;
    (void)ignored;
    if (!open_store(w))
        return;
    compare_queue(w);
    if (!boot(w))
        return;
    w->result->boots++;
    w->indexes = sl_index_cache_create();
    w->main = sl_sim_start(w->sim, SL_NODE_HEAD, w->store);
    link_orphans(w);
    sl_world_check(w);
    struct sl_dispatcher_options dispatcher = {
        .queue = w->queue,
        .indexes = w->indexes,
        .retry = {.attempts_max = SL_WORLD_ATTEMPTS, .base_ms = 200, .cap_ms = 5000}};
    struct sl_head_options head = {.nodes = SL_WORLD_NODES, .node_text = "{\"sim\":true"};
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_DISPATCHER, &sl_dispatcher_class, &dispatcher);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_ROUTER, &sl_router_class, NULL);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_API, &sl_world_gateway, w);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_HEAD, &sl_head_class, &head);
}

static void
close_main(struct sl_world *w)
{
    if (w->main != 0) {
        struct sl_dispatcher_counts counts;
        sl_dispatcher_counts(sl_sim_state(w->sim, w->main, SL_ACTOR_DISPATCHER), &counts);
        w->result->stale += counts.stale;
        sl_sim_kill(w->sim, w->main);
    }
    w->main = 0;
    if (w->store != NULL && !sl_store_is_dirty(w->store))
        sl_queue_snapshot(w->queue, &w->queue_before);
}

static void
forget_main(struct sl_world *w)
{
    sl_queue_destroy(&w->queue);
    sl_index_cache_destroy(&w->indexes);
}

static void
crash_main(void *world, uint64_t is_power_loss)
{
    struct sl_world *w = world;
    if (w->main == 0)
        return;
    sl_sim_say(w->sim, "the main process dies, power loss: %u", (unsigned)is_power_loss);
    close_main(w);
    sl_sim_disk_fail_at(w->disk, 1);
    sl_store_abandon(&w->store);
    sl_sim_disk_fail_at(w->disk, 0);
    if (is_power_loss != 0)
        sl_sim_disk_crash(w->disk, sl_random_u64(sl_sim_random(w->sim)));
    forget_main(w);
    sl_world_void_leases(w, 0);
    sl_world_end_orphans(w);
    sl_sim_at(w->sim, sl_sim_between(w->sim, 10 * SL_MILLI_NS, 3 * SL_SECOND_NS), start_main, w, 0);
}

/* About as long as a sync takes, so that it strikes before and after. */
void
sl_world_may_crash(struct sl_world *w)
{
    if (!w->is_crash_armed)
        return;
    w->is_crash_armed = false;
    sl_sim_at(w->sim, sl_sim_between(w->sim, 0, 6 * SL_MILLI_NS), crash_main, w,
              sl_random_below(sl_sim_random(w->sim), 2));
}

/* The store could not be synced. */
static void
on_failed(void *world, uint32_t process, enum sl_err err)
{
    struct sl_world *w = world;
    sl_sim_say(w->sim, "process %u cannot sync: %s", process, sl_err_name(err));
    sl_sim_at(w->sim, 0, crash_main, w, 0);
}

/* ---- faults -------------------------------------------------------------------------------- */

static void
stall_any(struct sl_world *w)
{
    uint32_t child;
    uint64_t duration_ns = sl_sim_between(w->sim, 50 * SL_MILLI_NS, 15 * SL_SECOND_NS);
    uint64_t kind = sl_random_below(sl_sim_random(w->sim), 3);
    uint32_t process = w->main;
    if (kind < 2 && sl_world_pick_child(w, kind, &child))
        process = w->children[child].process;
    sl_sim_say(w->sim, "process %u stalls for %u ms", process,
               (unsigned)(duration_ns / SL_MILLI_NS));
    sl_sim_stall(w->sim, process, duration_ns);
}

/*
 * What is lost on a link that was back before the head gave up the node comes to light when the
 * node tells that it is idle, and its leases lapse.
 */
static void
cut_any(struct sl_world *w)
{
    uint32_t child;
    if (!sl_world_pick_child(w, SL_CHILD_NODE, &child))
        return;
    bool is_lossy = sl_random_below(sl_sim_random(w->sim), 2) == 0;
    uint64_t most_ns =
        sl_random_below(sl_sim_random(w->sim), 2) == 0 ? 30 * SL_SECOND_NS : 2 * SL_SECOND_NS;
    uint64_t duration_ns = sl_sim_between(w->sim, 50 * SL_MILLI_NS, most_ns);
    sl_sim_say(w->sim, "the link to process %u is cut for %u ms, lossy: %u",
               w->children[child].process, (unsigned)(duration_ns / SL_MILLI_NS), is_lossy);
    sl_sim_cut(w->sim, w->main, w->children[child].process, duration_ns, is_lossy);
}

static void
do_fault(struct sl_world *w, enum sl_simulate_fault fault)
{
    uint32_t child;
    switch (fault) {
    case SL_FAULT_REPLICA:
        if (sl_world_pick_child(w, SL_CHILD_REPLICA, &child))
            sl_world_end_child(w, child, 9, 0);
        break;
    case SL_FAULT_NODE:
        if (sl_world_pick_child(w, SL_CHILD_NODE, &child))
            sl_world_end_child(w, child, 9, 0);
        break;
    case SL_FAULT_HEAD:
        if (sl_random_below(sl_sim_random(w->sim), 3) == 0)
            crash_main(w, sl_random_below(sl_sim_random(w->sim), 2));
        else
            w->is_crash_armed = true;
        break;
    case SL_FAULT_SPAWNER:
        sl_sim_say(w->sim, "the spawner dies");
        sl_world_kill_spawner(w);
        break;
    case SL_FAULT_STALL:
        stall_any(w);
        break;
    case SL_FAULT_LINK:
        cut_any(w);
        break;
    case SL_FAULT_DISK:
        sl_sim_disk_fail_at(w->disk, sl_sim_between(w->sim, 1, 8));
        break;
    case SL_FAULT_WORK: /* All the time, by the doubles. */
    case SL_FAULT_ALL:
        break;
    }
}

static void
inject(void *world, uint64_t ignored)
{
    struct sl_world *w = world;
    (void)ignored;
    if (sl_sim_now_ns(w->sim) >= w->fault_until_ns)
        return;
    enum sl_simulate_fault fault = 1u << sl_random_below(sl_sim_random(w->sim), 8);
    if (w->main != 0 && sl_world_has_fault(w, fault) && fault != SL_FAULT_WORK) {
        w->result->faults++;
        do_fault(w, fault);
    }
    sl_sim_at(w->sim, sl_sim_between(w->sim, 100 * SL_MILLI_NS, 4 * SL_SECOND_NS), inject, w, 0);
}

static void
check_again(void *world, uint64_t ignored)
{
    struct sl_world *w = world;
    (void)ignored;
    if (w->main != 0)
        sl_world_check(w);
    sl_sim_at(w->sim, CHECK_NS, check_again, w, 0);
}

/* ---- a run --------------------------------------------------------------------------------- */

static void
take_ack(void *world, uint32_t process, struct sl_msg *msg)
{
    struct sl_world *w = world;
    uint64_t reason = SL_BODY(msg, wake)->reason;
    (void)process;
    sl_msg_destroy(&msg);
    struct sl_world_job *job = &w->jobs[(reason >> 8) % SL_WORLD_JOBS_ALL];
    switch ((enum sl_world_ack)(reason & 0xff)) {
    case SL_ACK_SUBMIT:
        job->is_acked = true;
        break;
    case SL_ACK_CANCEL:
        job->is_cancel_acked = true;
        job->was_ended = true;
        break;
    case SL_ACK_ENDED:
        job->was_ended = true;
        break;
    }
}

static bool
make_directory(struct sl_world *w)
{
    const char *parent = w->options.directory;
    if (parent == NULL)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    w->directory = sl_format("%s/sluice-simulate-XXXXXX", parent);
    return mkdtemp(w->directory) != NULL;
}

static void
remove_part(const char *directory, const char *part)
{
    char *path = sl_format("%s%s", directory, part);
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        char *file = sl_format("%s/%s", path, entry->d_name);
        unlink(file); /* Not "." and "..": they are directories. */
        sl_free(file);
    }
    if (listing != NULL)
        closedir(listing);
    rmdir(path);
    sl_free(path);
}

static void
remove_directory(struct sl_world *w)
{
    remove_part(w->directory, "/catalogue");
    remove_part(w->directory, "/snapshots");
    remove_part(w->directory, "/log");
    remove_part(w->directory, "");
    sl_free(w->directory);
}

static void
set_up(struct sl_world *w)
{
    struct sl_sim_options options = {.seed = w->options.seed,
                                     .start_ms = START_MS,
                                     .trace_lines = w->options.trace_lines,
                                     .is_unheld = w->options.plant == SL_PLANT_UNHELD,
                                     .observe = sl_world_observe,
                                     .failed = on_failed,
                                     .arg = w};
    if (w->options.plant == SL_PLANT_STALE || w->options.plant == SL_PLANT_TWICE)
        options.tamper = sl_world_tamper;
    w->sim = sl_sim_create(&options);
    w->disk = sl_sim_disk_create();
    w->disk_ops = sl_sim_disk_ops(w->disk);
    w->pid_last = 100;
    w->fault_until_ns =
        (w->options.minutes == 0 ? MINUTES : w->options.minutes) * 60 * SL_SECOND_NS;
    sl_sim_port(w->sim, SL_PORT_SPAWNER, sl_world_take_spawn, w);
    sl_sim_port(w->sim, SL_WORLD_PORT_ACK, take_ack, w);
    sl_world_plan(w);
    sl_sim_at(w->sim, 0, start_main, w, 0);
    sl_sim_at(w->sim, SL_SECOND_NS, inject, w, 0);
    sl_sim_at(w->sim, CHECK_NS, check_again, w, 0);
}

static void
run_to_rest(struct sl_world *w)
{
    while (w->result->is_ok && sl_sim_now_ns(w->sim) < w->fault_until_ns + REST_LIMIT_NS) {
        bool is_quiet = sl_sim_now_ns(w->sim) > w->fault_until_ns + 60 * SL_SECOND_NS;
        if (is_quiet && sl_world_is_at_rest(w))
            break;
        if (!sl_sim_step(w->sim))
            break;
    }
}

/* A last start in peace: what was stored is what is found. */
static void
stop_and_look(struct sl_world *w)
{
    sl_sim_disk_fail_at(w->disk, 0); /* Due, but there was nothing to write. */
    close_main(w);
    sl_store_close(&w->store);
    forget_main(w);
    if (open_store(w)) {
        compare_queue(w);
        sl_world_check_end(w);
        sl_store_close(&w->store);
    }
    forget_main(w);
}

void
sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result)
{
    struct sl_world w = {.options = *options, .result = ret_result};
    *ret_result = (struct sl_simulate_result){.is_ok = true};
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    if (!make_directory(&w)) {
        sl_world_fail(&w, "no directory can be made at %s", w.directory);
        sl_free(w.directory);
        return;
    }
    set_up(&w);
    run_to_rest(&w);
    if (w.result->is_ok && w.main != 0)
        sl_world_check_end(&w);
    ret_result->hash = sl_sim_hash(w.sim);
    ret_result->events = sl_sim_events(w.sim);
    ret_result->virtual_ns = sl_sim_now_ns(w.sim);
    if (w.result->is_ok && w.main != 0)
        stop_and_look(&w);
    sl_sim_trace(w.sim, &ret_result->trace);
    sl_sim_destroy(&w.sim);
    if (w.store != NULL)
        sl_store_abandon(&w.store);
    forget_main(&w);
    sl_sim_disk_destroy(&w.disk);
    sl_buf_deinit(&w.queue_before);
    sl_buf_deinit(&w.nonces);
    sl_free(w.children);
    remove_directory(&w);
}

void
sl_simulate_result_deinit(struct sl_simulate_result *result)
{
    sl_buf_deinit(&result->trace);
}
