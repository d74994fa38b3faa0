/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate.h"
#include "actors/queue_projection.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "actors/dispatcher.h"
#include "actors/head.h"
#include "actors/router.h"
#include "actors/rows.h"
#include "actors/simulate_home.h"
#include "actors/simulate_queue.h"
#include "actors/simulate_replicas.h"
#include "actors/simulate_world.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define START_MS      UINT64_C(1700000000000)
#define CHECKPOINT    (24 * SL_KIB)  /* Small, so that a run has some; */
#define CHECKPOINT_2  (256 * SL_KIB) /* under load they come by themselves. */
#define SEGMENT       (64 * SL_KIB)  /* Of the log; small for the same reason. */
#define SEGMENT_2     (512 * SL_KIB)
#define RETRY_NS      SL_SECOND_NS /* A start that the disk did not let be is tried again. */
#define CHECK_NS      (3 * SL_SECOND_NS)
#define CHECK_2_NS    (20 * SL_SECOND_NS) /* Under load. */
#define QUIET_NS      (60 * SL_SECOND_NS) /* Time for what nobody asked for to show. */
#define LOOK_NS       (SL_SECOND_NS / 4)
#define FLIP_SHORT_OF 8192

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

void
sl_world_tell(struct sl_world *w, struct sl_history_event event)
{
    event.at_ns = w->main == 0 ? sl_sim_now_ns(w->sim) : sl_sim_local_ns(w->sim, w->main);
    sl_history_add(&w->history, &event);
    w->result->history++;
}

/* ---- the main process ---------------------------------------------------------------------- */

static enum sl_err
open_store(struct sl_world *w)
{
    w->queue = sl_queue_create();
    struct sl_projection queue = sl_queue_projection(w->queue);
    struct sl_store_options options = {.projections = &queue,
                                       .projections_count = 1,
                                       .segment_bytes = w->options.load == 0 ? SEGMENT : SEGMENT_2,
                                       .checkpoint_bytes =
                                           w->options.load == 0 ? CHECKPOINT : CHECKPOINT_2};
    sl_sim_storage_use(&w->storage, &options);
    return sl_store_open(&options, &w->store);
}

/* Turn a bit somewhere in the log, short of its last records: damage there cannot be told from a
 * write that was cut short. */
static bool
flip_bit(struct sl_world *w)
{
    struct sl_random random;
    struct sl_buf names = {0};
    bool is_flipped = false;
    sl_random_seed(&random, w->flip_draw);
    w->flip_draw = 0;
    if (w->storage.log_ops.list(w->storage.log, &names) != SL_OK || names.size == 0) {
        sl_buf_deinit(&names);
        return false;
    }
    char *name = sl_strdup(sl_buf_text(&names));
    const char *segment = strstr(name, "segment-"); /* The first of them: beside is a note. */
    memmove(name, segment == NULL ? "" : segment, segment == NULL ? 1 : strlen(segment) + 1);
    name[strcspn(name, "\n")] = '\0';
    size_t size = 0;
    const uint8_t *bytes = sl_sim_disk_bytes(w->storage.log, name, &size);
    uint64_t written = sl_sim_disk_last_write(w->storage.log, name);
    /* Behind it is what an older use of the file left; at its end another may have its last. */
    size = SL_MIN(written == UINT64_MAX ? size / 2 : size, written);
    while (size > 0 && bytes[size - 1] == 0)
        size--;
    if (size > FLIP_SHORT_OF)
        is_flipped =
            sl_sim_disk_flip(w->storage.log, name, sl_random_below(&random, size - FLIP_SHORT_OF),
                             (uint32_t)sl_random_below(&random, 8));
    sl_free(name);
    sl_buf_deinit(&names);
    return is_flipped;
}

/* With a damaged log a start refuses, or does without what is damaged; then it is mended. */
static enum sl_err
open_damaged(struct sl_world *w)
{
    bool is_flipped = flip_bit(w);
    enum sl_err err = open_store(w);
    bool is_refused = is_flipped && err != SL_OK;
    if (is_refused && err != SL_ECORRUPT && err != SL_EVERSION)
        sl_world_fail(w, "a start on a damaged log says %s", sl_err_name(err));
    sl_sim_disk_mend(w->storage.log, is_refused);
    w->own->check.is_damaged = w->own->check.is_damaged || (is_flipped && !is_refused);
    if (!is_refused)
        return err;
    sl_queue_destroy(&w->queue);
    return open_store(w);
}

/* What was acknowledged before is what is there now, event for event. */
static void
compare_queue(struct sl_world *w)
{
    if (w->queue_before != 0 && w->queue_before != sl_queue_digest(w->queue))
        sl_world_fail(w, "the queue rebuilt from snapshot and log is not the queue that was");
    w->queue_before = 0;
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

static enum sl_err
boot(struct sl_world *w)
{
    struct sl_slice key = sl_slice_str("boot");
    struct sl_txn *txn = sl_store_begin(w->store);
    sl_txn_add(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key, 1);
    int64_t number = sl_txn_counter(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key);
    put_extractions(txn);
    sl_world_put_home(w, txn);
    if (w->options.plant == SL_PLANT_FORGET)
        forget_openings(txn);
    enum sl_err err = sl_txn_commit(&txn);
    sl_txn_abort(&txn);
    if (err == SL_OK)
        err = sl_store_sync(w->store);
    if (err == SL_OK)
        sl_queue_boot(w->queue, (uint64_t)number);
    return err;
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
forget_main(struct sl_world *w)
{
    sl_queue_destroy(&w->queue);
    sl_index_cache_destroy(&w->indexes);
}

static void
spawn_main(struct sl_world *w)
{
    char groups[160];
    bool is_scaled = sl_world_is_scaled(w->options.seed);
    (void)snprintf(groups, sizeof(groups),
                   "{\"any\":{\"provider\":\"local\",\"min\":\"0\",\"max\":\"%u\","
                   "\"idle\":\"5s\",\"tasks\":\"%u\"}}",
                   w->nodes_wanted, SL_WORLD_ROOM);
    struct sl_dispatcher_options dispatcher = {
        .queue = w->queue,
        .indexes = w->indexes,
        .groups = is_scaled ? groups : NULL,
        .retry = {.attempts_max = SL_WORLD_ATTEMPTS, .base_ms = 200, .cap_ms = 5000}};
    struct sl_head_options head = {.nodes = is_scaled ? 0 : w->nodes_wanted,
                                   .groups = is_scaled ? groups : NULL,
                                   .node_text = "{\"sim\":true"};
    sl_world_scale(w, &head);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_DISPATCHER, &sl_dispatcher_class, &dispatcher);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_ROUTER, &sl_router_class, NULL);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_API, &sl_world_gateway, w);
    sl_simq_spawn(w->own);
    sl_sim_spawn(w->sim, w->main, SL_ACTOR_HEAD, &sl_head_class, &head);
    sl_world_start_home(w);
}

/* A disk that is full or fails may keep the main process from starting; it comes again. */
static void start_main(void *world, uint64_t ignored);
static void
start_later(struct sl_world *w, enum sl_err err)
{
    bool is_passing = err == SL_EIO || err == SL_ENOSPC;
    if (!is_passing || sl_sim_now_ns(w->sim) > w->fault_until_ns + SL_WORLD_REST_NS)
        sl_world_fail(w, "the store does not open, or does not take the boot: %s",
                      sl_err_name(err));
    sl_sim_disk_fail_at(w->storage.log, 1);
    if (w->store != NULL)
        sl_store_abandon(&w->store);
    sl_sim_disk_fail_at(w->storage.log, 0);
    forget_main(w);
    sl_sim_at(w->sim, RETRY_NS, start_main, w, 0);
}

static void
start_main(void *world, uint64_t ignored)
{
    struct sl_world *w = world;
    (void)ignored;
    enum sl_err err = w->flip_draw != 0 ? open_damaged(w) : open_store(w);
    if (err == SL_OK)
        compare_queue(w);
    if (err == SL_OK)
        err = boot(w);
    if (err != SL_OK) {
        start_later(w, err);
        return;
    }
    w->result->boots++;
    w->stale_before = 0;
    w->indexes = sl_index_cache_create();
    w->main = sl_sim_start(w->sim, SL_NODE_HEAD, w->store);
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_BOOT});
    link_orphans(w);
    if (w->options.load == 0) /* Else within moments: see check_again. */
        sl_world_check(w, true);
    spawn_main(w);
    sl_simq_look(w->own);
}

static void
close_main(struct sl_world *w, bool is_power_loss)
{
    if (w->main != 0) {
        struct sl_dispatcher_counts counts;
        sl_dispatcher_counts(sl_sim_state(w->sim, w->main, SL_ACTOR_DISPATCHER), &counts);
        w->result->stale += counts.stale;
        sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_DEATH});
        sl_simq_main_ends(w->own, is_power_loss);
        sl_sim_kill(w->sim, w->main);
    }
    w->main = 0;
    if (w->store != NULL && !sl_store_is_dirty(w->store))
        w->queue_before = sl_queue_digest(w->queue);
}

static void
crash_main(void *world, uint64_t is_power_loss)
{
    struct sl_world *w = world;
    if (w->main == 0)
        return;
    sl_sim_say(w->sim, "the main process dies, power loss: %u", (unsigned)is_power_loss);
    close_main(w, is_power_loss != 0);
    sl_sim_disk_fail_at(w->storage.log, 1);
    sl_store_abandon(&w->store);
    sl_sim_disk_fail_at(w->storage.log, 0);
    if (is_power_loss != 0)
        sl_sim_disk_crash(w->storage.log, sl_random_u64(sl_sim_random(w->sim)));
    forget_main(w);
    sl_world_void_leases(w, 0);
    sl_world_end_orphans(w);
    sl_sim_at(w->sim, sl_sim_between(w->sim, 10 * SL_MILLI_NS, 3 * SL_SECOND_NS), start_main, w, 0);
}

void
sl_world_crash(struct sl_world *w, bool is_power_loss)
{
    crash_main(w, is_power_loss);
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

static void
check_again(void *world, uint64_t ignored)
{
    struct sl_world *w = world;
    (void)ignored;
    if (w->main != 0) {
        sl_world_check(w, w->options.load == 0);
        sl_simq_look(w->own);
    }
    sl_sim_at(w->sim, w->options.load == 0 ? CHECK_NS : CHECK_2_NS, check_again, w, 0);
}

/* ---- a run --------------------------------------------------------------------------------- */

static void
take_ack(void *world, uint32_t process, struct sl_msg *msg)
{
    struct sl_world *w = world;
    uint64_t reason = SL_BODY(msg, wake)->reason;
    (void)process;
    sl_msg_destroy(&msg);
    uint32_t j = (uint32_t)((reason >> 8) % w->jobs_all);
    struct sl_world_job *job = &w->jobs[j];
    switch ((enum sl_world_ack)(reason & 0xff)) {
    case SL_ACK_SUBMIT:
        job->is_acked = true;
        sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_ACK, .job = j});
        break;
    case SL_ACK_CANCEL:
        sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_CANCEL, .job = j});
        job->is_cancel_acked = true;
        job->was_ended = true;
        break;
    case SL_ACK_ENDED:
        job->was_ended = true;
        break;
    }
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
    if (w->options.plant == SL_PLANT_STALE || w->options.plant == SL_PLANT_TWICE ||
        w->options.plant == SL_PLANT_UNTAINTED)
        options.tamper = sl_world_tamper;
    w->sim = sl_sim_create(&options);
    sl_sim_storage_init(&w->storage);
    w->pid_last = 100;
    w->fault_until_ns =
        (w->options.minutes == 0 ? SL_WORLD_MINUTES : w->options.minutes) * 60 * SL_SECOND_NS;
    w->nodes_wanted = w->options.nodes == 0 ? SL_WORLD_NODES : w->options.nodes;
    sl_sim_port(w->sim, SL_PORT_SPAWNER, sl_world_take_spawn, w);
    sl_sim_port(w->sim, SL_PORT_DRAIN, sl_world_take_drain, w);
    sl_sim_port(w->sim, SL_WORLD_PORT_ACK, take_ack, w);
    sl_world_plan(w);
    w->own = sl_simq_create(w);
    sl_simq_begin(w->own);
    sl_sim_at(w->sim, 0, start_main, w, 0);
    sl_world_plan_faults(w);
    sl_sim_at(w->sim, CHECK_NS, check_again, w, 0);
}

static void
run_to_rest(struct sl_world *w)
{
    uint64_t look_ns = w->fault_until_ns + QUIET_NS;
    while (w->result->is_ok && sl_sim_now_ns(w->sim) < w->fault_until_ns + SL_WORLD_REST_NS) {
        bool is_due = sl_sim_now_ns(w->sim) > look_ns;
        if (is_due && sl_world_is_at_rest(w)) {
            sl_world_check(w, false);
            sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_REST});
            break;
        }
        if (is_due)
            look_ns = sl_sim_now_ns(w->sim) + LOOK_NS;
        if (!sl_sim_step(w->sim))
            break;
    }
}

/* Time goes by and nothing is to be done, until replicas are gone that nobody needs. */
static void
run_idle(struct sl_world *w)
{
    uint64_t look_ns = 0, until_ns = sl_sim_now_ns(w->sim) + SL_WORLD_IDLE_NS;
    sl_sim_disk_fail_at(w->storage.log, 0); /* Due, but there was nothing to write. */
    do {
        bool is_due = look_ns < sl_sim_now_ns(w->sim);
        /* Whoever repeats a put now and then may just be at it. */
        if (is_due && !sl_world_has_keeper(w, false) && sl_world_is_at_rest(w))
            return;
        if (is_due)
            look_ns = sl_sim_now_ns(w->sim) + LOOK_NS;
    } while (w->result->is_ok && w->main != 0 && sl_sim_now_ns(w->sim) < until_ns &&
             sl_sim_step(w->sim));
    (void)sl_world_has_keeper(w, true);
}

/* A last start in peace: what was stored is what is found. */
static void
stop_and_look(struct sl_world *w)
{
    sl_sim_disk_fail_at(w->storage.log, 0); /* Due, but there was nothing to write. */
    close_main(w, false);
    sl_store_close(&w->store);
    forget_main(w);
    sl_sim_disk_set_full(w->storage.log, false);
    enum sl_err err = open_store(w);
    if (err != SL_OK)
        sl_world_fail(w, "the store does not open in peace: %s", sl_err_name(err));
    if (err == SL_OK) {
        compare_queue(w);
        sl_world_check_end(w);
        sl_simq_check_end(w->own);
        sl_store_close(&w->store);
    }
    forget_main(w);
}

static void
check_history(struct sl_world *w)
{
    char failure[sizeof(w->result->failure)];
    if (w->result->is_ok && !sl_history_check(&w->history, failure, sizeof(failure)))
        sl_world_fail(w, "%s", failure);
}

static void
fill_result(struct sl_world *w)
{
    struct sl_sim_link_counts frames;
    sl_sim_link_counts(w->sim, &frames);
    w->result->hash = sl_sim_hash(w->sim);
    w->result->events = sl_sim_events(w->sim);
    w->result->virtual_ns = sl_sim_now_ns(w->sim);
    w->result->lost = frames.lost;
    w->result->duplicates = frames.duplicates;
    w->result->reordered = frames.reordered;
    w->result->refused = frames.refused;
    w->result->own = w->own->check.counts;
}

static void
tear_down(struct sl_world *w)
{
    sl_sim_trace(w->sim, &w->result->trace);
    sl_sim_destroy(&w->sim);
    if (w->store != NULL)
        sl_store_abandon(&w->store);
    forget_main(w);
    sl_sim_storage_deinit(&w->storage);
    sl_buf_deinit(&w->nonces);
    sl_history_deinit(&w->history);
    sl_fault_plan_deinit(&w->plan);
    sl_simq_destroy(&w->own);
    sl_free(w->children);
    sl_free(w->live);
    sl_free(w->jobs);
}

void
sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result)
{
    struct sl_world w = {.options = *options, .result = ret_result};
    *ret_result = (struct sl_simulate_result){.is_ok = true};
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_queue);
    set_up(&w);
    run_to_rest(&w);
    if (w.result->is_ok && w.main != 0)
        run_idle(&w);
    check_history(&w);
    if (w.result->is_ok && w.main != 0) {
        sl_world_check_end(&w);
        sl_simq_check_end(w.own);
    }
    fill_result(&w);
    if (w.result->is_ok && w.main != 0)
        stop_and_look(&w);
    tear_down(&w);
}

void
sl_simulate_result_deinit(struct sl_simulate_result *result)
{
    sl_buf_deinit(&result->trace);
}
