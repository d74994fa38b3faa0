/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order matters. Start: check the format, then lock and open the store (a second `sluice up` must
 * fail before it changes anything), wait for a former run's children, bootstrap, spawn actors, then
 * serve. Stop: no new requests, let what runs end, then the actors, then the processes, then the
 * store.
 */
#include "gateway/up.h"

#include <stdatomic.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/broker.h"
#include "actors/dispatcher.h"
#include "actors/queue_projection.h"
#include "actors/head.h"
#include "actors/image_locator.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "actors/node.h"
#include "actors/router.h"
#include "actors/rows.h"
#include "actors/use_counts.h"
#include "extractors/replica.h"
#include "extractors/replica_source.h"
#include "gateway/api.h"
#include "gateway/dashboard.h"
#include "gateway/data_format.h"
#include "gateway/edges.h"
#include "gateway/extractor/info.h"
#include "gateway/front.h"
#include "gateway/timeline.h"
#include "gateway/hooks.h"
#include "gateway/idle_actors.h"
#include "gateway/isolation/probe.h"
#include "gateway/job_events.h"
#include "gateway/export.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/own/trail.h"
#include "gateway/owner.h"
#include "gateway/recorder.h"
#include "gateway/request_counts.h"
#include "gateway/sessions.h"
#include "gateway/settings.h"
#include "gateway/status.h"
#include "gateway/sweep.h"
#include "gateway/up/cluster.h"
#include "gateway/up/node.h"
#include "gateway/up/options.h"
#include "gateway/transport.h"
#include "gateway/up/process.h"
#include "gateway/up/traces.h"
#include "gateway/use_jobs.h"
#include "gateway/version.h"
#include "object-store/blob.h"
#include "object-store/incoming.h"
#include "object-store/origin.h"
#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/report_tap.h"
#include "runtime/channel_port.h"
#include "runtime/spawn_port.h"
#include "runtime/spawner.h"
#include "runtime/time.h"
#include "runtime/tls.h"

#define ORPHANS_NS    (2 * SL_SECOND_NS)
#define DRAIN_POLL_NS (20 * SL_MILLI_NS)
/* Slow receivers of webhooks and of traces, slow hosts of objects and archives that are unpacked
   leave two for the rest. */
#define IO_THREADS      (2 + SL_HOOKS_AT_ONCE + SL_SOURCES_AT_ONCE + SL_LONG_WORK_AT_ONCE + 1)
#define SOCKET_PATH_MAX 90 /* Of sun_path's 108, the rest is for the names below it. */

enum front_number { FRONT_API, FRONT_DASHBOARD };

struct up {
    struct sl_up_options options;
    struct sl_queue *queue;
    struct sl_store *store;
    struct sl_blobs *blobs;
    struct sl_incoming *incoming;
    struct sl_origin *origin;
    struct sl_gateway gateway;
    struct sl_settings settings;
    struct sl_up_traces traces;
    struct sl_live *live;
    struct sl_spawn_port *spawner;
    struct sl_channel_port *channels;
    struct sl_front *front, *dashboard;
    struct sl_transport transport;
    struct sl_status *status;
    char *indexes; /* Of extractors, for the head. */
    struct sl_dashboard page;
    struct sl_sessions *sessions;
    char *run_directory; /* For sockets. */
    struct sl_report_tap *lines;
    char *cluster; /* Where workers of other machines join; NULL: nowhere. */
    bool is_run_temporary;
    int children_lock;
    int signal_fd;
    uint32_t signals;
    bool is_at_once; /* The end waits for nothing more. */
    uint64_t drain_until_ns;
    atomic_bool is_stopping; /* For work on the I/O pool that waits for others. */
};

static bool
fail(const struct up *u, const char *what, enum sl_err err)
{
    fprintf(stderr, "sluice %s: %s: %s (%s)\n", u->options.verb, what, sl_err_text(err),
            sl_err_name(err));
    return false;
}

/* ---- the data directory -------------------------------------------------------------------- */

static bool
open_store(struct up *u)
{
    u->queue = sl_queue_create();
    struct sl_projection queue = sl_queue_projection(u->queue);
    struct sl_store_options options = {.directory = u->options.data,
                                       .projections = &queue,
                                       .projections_count = 1,
                                       .is_sync_off =
                                           !sl_config_bool(u->options.config, SL_UP_sync)};
    enum sl_err err = sl_store_open(&options, &u->store);
    if (err == SL_EBUSY) {
        char *owner = sl_owner_read(u->options.data);
        fprintf(stderr, "sluice %s: %s is open in another sluice (%s); stop that one first\n",
                u->options.verb, u->options.data, owner);
        sl_free(owner);
        return false;
    }
    if (err == SL_OK)
        sl_owner_write(u->options.data, u->options.verb);
    return err == SL_OK || fail(u, u->options.data, err);
}

/*
 * Children of a former run hold this lock by inheritance; replicas, which run others' code and
 * speak only to their node, do not. They end by themselves when their lifelines close; after two
 * seconds we go on all the same: their leases are void and their numbers unknown.
 */
static bool
wait_for_orphans(struct up *u)
{
    char *path = sl_format("%s/children.lock", u->options.data);
    u->children_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    sl_free(path);
    if (u->children_lock < 0)
        return fail(u, "children.lock", sl_err_from_errno(errno));
    uint64_t until_ns = sl_time_mono_ns() + ORPHANS_NS;
    while (flock(u->children_lock, LOCK_EX | LOCK_NB) != 0) {
        if (sl_time_mono_ns() >= until_ns) {
            sl_report_warn("orphans-alive", "action=\"going on; what they still send is refused\"");
            break;
        }
        sl_time_sleep_ns(5 * SL_MILLI_NS);
    }
    return true;
}

/* The start's number makes its lease epochs higher than those of every start before. */
static bool
boot(struct up *u)
{
    struct sl_slice key = sl_slice_str("boot");
    struct sl_txn *txn = sl_store_begin(u->store);
    sl_txn_add(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key, 1);
    int64_t number = sl_txn_counter(txn, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, key);
    enum sl_err err = sl_txn_commit(&txn);
    if (err == SL_OK)
        err = sl_store_sync(u->store);
    if (err != SL_OK)
        return fail(u, "the store", err);
    sl_queue_boot(u->queue, (uint64_t)number);
    return true;
}

static bool
make_run_directory(struct up *u)
{
    if (strlen(u->options.data) + strlen("/run") <= SOCKET_PATH_MAX) {
        u->run_directory = sl_format("%s/run", u->options.data);
        if (mkdir(u->run_directory, 0700) == 0 || errno == EEXIST)
            return true;
    } else {
        const char *tmp = getenv("TMPDIR");
        u->run_directory = sl_format("%s/sluice-XXXXXX", tmp == NULL ? "/tmp" : tmp);
        u->is_run_temporary = mkdtemp(u->run_directory) != NULL;
        if (u->is_run_temporary)
            return true;
    }
    return fail(u, u->run_directory, sl_err_from_errno(errno));
}

static struct sl_source_rules
source_rules(const struct up *u)
{
    const struct sl_config *config = u->options.config;
    const char *root = sl_config_string(config, SL_UP_file_root);
    if (root[0] != '\0' && (root[0] != '/' || access(root, R_OK | X_OK) != 0))
        sl_report_warn("source-root", "path=\"%s\" why=\"no absolute directory that can be read\"",
                       root);
    return (struct sl_source_rules){
        .file_root = root,
        .size_bytes_max = sl_config_size(config, SL_UP_source_size),
        .timeout_ns = sl_config_duration_ns(config, SL_UP_source_timeout),
        .is_private_allowed = sl_config_bool(config, SL_UP_source_private),
        .is_cancelled = &u->is_stopping};
}

static bool
open_gateway(struct up *u)
{
    const bool is_counted = !sl_config_bool(u->options.config, SL_UP_bench_uncounted);
    char *blobs = sl_format("%s/blobs", u->options.data);
    enum sl_err err =
        sl_blobs_open(blobs, !sl_config_bool(u->options.config, SL_UP_sync), &u->blobs);
    sl_free(blobs);
    if (err != SL_OK)
        return fail(u, "blobs", err);
    char *uploads = sl_format("%s/uploads", u->options.data);
    err = sl_incoming_open(uploads, !sl_config_bool(u->options.config, SL_UP_sync), &u->incoming);
    sl_free(uploads);
    if (err != SL_OK)
        return fail(u, "uploads", err);
    err = sl_origin_open(u->options.data, &u->origin);
    if (err != SL_OK)
        return fail(u, "images", err);
    sl_up_options_install(u->options.config);
    err = sl_settings_settle(&u->options);
    if (err != SL_OK)
        return fail(u, "the overrides", err);
    sl_settings_init(&u->settings, &u->options);
    u->gateway = (struct sl_gateway){.store = u->store,
                                     .queue = u->queue,
                                     .indexes = sl_index_cache_create(),
                                     .keyring = sl_keyring_create(),
                                     .job_events = sl_job_events_create(),
                                     .meter = sl_meter_create(),
                                     .requests = is_counted ? sl_request_counts_create() : NULL,
                                     .uses = is_counted ? sl_use_counts_create() : NULL,
                                     .trace_log = is_counted ? sl_trace_log_create() : NULL,
                                     .timeline = sl_timeline_create(),
                                     .lines = u->lines,
                                     .limits = sl_limits_create(),
                                     .data_directory = u->options.data,
                                     .blobs = u->blobs,
                                     .incoming = u->incoming,
                                     .settings = &u->settings,
                                     .sources = source_rules(u),
                                     .plans = sl_config_string(u->options.config, SL_UP_plans),
                                     .traces = &u->traces.counts,
                                     .unpack_program = "/proc/self/exe"};
    err = sl_gateway_bootstrap(&u->gateway, sl_time_wall_ms());
    if (err == SL_OK)
        err = sl_store_sync(u->store);
    if (err != SL_OK)
        return fail(u, "bootstrap", err);
    struct sl_sweep swept = sl_gateway_sweep(&u->gateway, SL_SWEEP_SOURCES_MAX);
    if (swept.unpacked + swept.models + swept.blobs > 0 || swept.are_blobs_skipped)
        sl_report_info("swept", "uploads=%u models=%u blobs=%" PRIu64 " skipped=%s", swept.unpacked,
                       swept.models, swept.blobs, swept.are_blobs_skipped ? "blobs" : "none");
    return true;
}

/* ---- actors -------------------------------------------------------------------------------- */

static uint64_t
duration_ms(const struct up *u, enum sl_up_key key)
{
    return sl_config_duration_ns(u->options.config, key) / SL_MILLI_NS;
}

static void
call_hooks(void *arg)
{
    struct up *u = arg;
    if (!sl_hooks_call(sl_live_state(u->live, SL_ACTOR_HOOKS)))
        return;
    struct sl_msg *msg = sl_msg_create(SL_M_hooks_due, NULL);
    msg->to.actor = SL_ACTOR_HOOKS;
    sl_live_post(u->live, msg);
}

/* A job may be had, or the place that one gave back: a call that waits for either looks. So do all
 * that follow the job, or the queue. */
static void
on_queue_changed(void *arg, const struct sl_queue_change *change)
{
    struct up *u = arg;
    if (change->class != SL_CLASS_OWN)
        return;
    sl_use_own_changed(&u->gateway, change);
    void *api = sl_live_state(u->live, SL_ACTOR_API);
    bool is_room = change->change != SL_CHANGE_LEASE && change->epoch != 0;
    bool is_due = (change->state == SL_STATE_QUEUED || is_room) &&
                  sl_api_touch(api, change->scope, change->lane, false);
    if (sl_api_touch(api, change->scope, sl_own_trail_wait(change->lane), true))
        is_due = true;
    if (sl_job_events_note(u->gateway.job_events, change, sl_time_wall_ms) &&
        sl_api_touch(api, change->scope, change->task_id, true))
        is_due = true;
    if (!is_due)
        return;
    struct sl_msg *msg = sl_msg_create(SL_M_queue_ready, &(struct sl_m_queue_ready){0});
    msg->to.actor = SL_ACTOR_API;
    sl_live_post(u->live, msg);
}

static void
spawn_hooks(struct up *u)
{
    struct sl_hooks_options hooks = {
        .policy = {.attempts_max = (uint32_t)sl_config_int(u->options.config, SL_UP_hook_attempts),
                   .base_ms = duration_ms(u, SL_UP_hook_base),
                   .cap_ms = duration_ms(u, SL_UP_hook_cap),
                   .keep_ms = duration_ms(u, SL_UP_hook_keep)},
        .timeout_ms = duration_ms(u, SL_UP_hook_timeout),
        .dead_max = (uint32_t)sl_config_int(u->options.config, SL_UP_hook_dead),
        .may_be_private = sl_config_bool(u->options.config, SL_UP_hook_private),
        .is_stopping = &u->is_stopping};
    sl_live_spawn(u->live, SL_ACTOR_HOOKS, &sl_hooks_class, &hooks);
    sl_store_watch(u->store, SL_TABLE_DUE, call_hooks, u);
}

/* Models for nodes on other hosts. These have links to this node alone. */
static void
spawn_images(struct up *u)
{
    struct sl_image_locator_options locator = {.is_star = true};
    struct sl_image_node_options images = {.images = sl_origin_images(u->origin),
                                           .is_origin = true};
    sl_live_spawn(u->live, SL_ACTOR_LOCATOR, &sl_image_locator_class, &locator);
    sl_live_spawn(u->live, SL_ACTOR_IMAGES, &sl_image_node_class, &images);
}

static void
spawn_actors(struct up *u, const char *endpoint)
{
    struct sl_dispatcher_options dispatcher = {
        .queue = u->queue,
        .indexes = u->gateway.indexes,
        .extractors = sl_config_string(u->options.config, SL_UP_extractors),
        .groups = sl_config_string(u->options.config, SL_UP_groups),
        .uses = u->gateway.uses,
        .is_traced = sl_up_traces_are_on(u->options.config),
        .told_per_s = u->gateway.trace_log == NULL ? 0 : SL_TRACE_LOG_PER_S,
        .retry = {.attempts_max = (uint16_t)sl_config_int(u->options.config, SL_UP_attempts),
                  .base_ms = (uint32_t)(sl_config_duration_ns(u->options.config, SL_UP_retry_base) /
                                        SL_MILLI_NS),
                  .cap_ms = (uint32_t)(sl_config_duration_ns(u->options.config, SL_UP_retry_cap) /
                                       SL_MILLI_NS)}};
    sl_live_spawn(u->live, SL_ACTOR_DISPATCHER, &sl_dispatcher_class, &dispatcher);
    sl_live_spawn(u->live, SL_ACTOR_ROUTER, &sl_router_class,
                  sl_channel_port_channels(u->channels));
    struct sl_broker_options broker = {.queue = u->queue, .projection = SL_PROJECTION_QUEUE};
    sl_live_spawn(u->live, SL_ACTOR_BROKER, &sl_broker_class, &broker);

    u->status = sl_status_create(&(struct sl_status_sources){.live = u->live,
                                                             .gateway = &u->gateway,
                                                             .front = &u->front,
                                                             .version = SL_VERSION,
                                                             .started_ms = sl_time_wall_ms()});
    struct sl_api_options api = {.gateway = &u->gateway,
                                 .status = sl_status_fill,
                                 .arg = u->status,
                                 .is_traced = sl_up_traces_are_on(u->options.config),
                                 .has_edges = true};
    sl_live_spawn(u->live, SL_ACTOR_API, &sl_api_class, &api);
    struct sl_recorder_options recorder = {.gateway = &u->gateway};
    if (u->gateway.requests != NULL) /* bench.uncounted */
        sl_live_spawn(u->live, SL_ACTOR_RECORDER, &sl_recorder_class, &recorder);
    sl_queue_watch_set(u->queue, (struct sl_queue_watch){.self = u, .changed = on_queue_changed});
    struct sl_edges_options edges = {.gateway = &u->gateway,
                                     .silence_ns =
                                         sl_config_duration_ns(u->options.config, SL_UP_silence)};
    sl_live_spawn(u->live, SL_ACTOR_EDGES, &sl_edges_class, &edges);
    spawn_hooks(u);
    spawn_images(u);
    sl_up_traces_spawn(&u->traces, u->live, u->options.config, &u->gateway, &u->is_stopping);
    uint32_t idle = (uint32_t)sl_config_int(u->options.config, SL_UP_bench_actors);
    if (idle > 0)
        sl_live_spawn(u->live, SL_ACTOR_IDLE, &sl_idle_actors_class, &idle);

    char *text = sl_up_node_text(&u->options, u->run_directory, endpoint);
    u->indexes = sl_extractor_infos_indexes();
    struct sl_head_options head = {
        .nodes = (uint32_t)sl_config_int(u->options.config, SL_UP_nodes),
        .node_text = text,
        .groups = sl_config_string(u->options.config, SL_UP_groups),
        .extractors = sl_config_string(u->options.config, SL_UP_extractors),
        .replicas_max = (uint32_t)sl_config_int(u->options.config, SL_UP_replicas),
        .indexes = u->indexes,
        .idle_ns = sl_config_duration_ns(u->options.config, SL_UP_idle),
        .gpus = sl_up_gpus(),
        .pid = (uint64_t)getpid(),
        .has_journal = !sl_config_bool(u->options.config, SL_UP_bench_uncounted),
        .silence_ns = sl_config_duration_ns(u->options.config, SL_UP_silence)};
    sl_live_spawn(u->live, SL_ACTOR_HEAD, &sl_head_class, &head);
    sl_free(text);
}

static void
take_reply(void *arg, struct sl_msg *msg)
{
    struct up *u = arg;
    struct sl_call *call = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call;
    sl_front_reply(call->front == FRONT_DASHBOARD ? u->dashboard : u->front, &call);
    sl_msg_destroy(&msg);
}

static void
post_call(void *arg, struct sl_call *call)
{
    struct up *u = arg;
    struct sl_msg *msg =
        sl_msg_create(SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
    msg->to.actor = SL_ACTOR_API;
    sl_live_post(u->live, msg);
}

static bool
start_actors(struct up *u)
{
    char *endpoint = sl_format("ipc://%s/head", u->run_directory);
    struct sl_links_options links = sl_up_cluster_links(u->options.config);
    u->live = sl_live_create(&(struct sl_live_options){
        .node = SL_NODE_HEAD, .store = u->store, .io_threads = IO_THREADS, .links = &links});
    u->gateway.live = u->live;
    enum sl_err err = sl_live_listen(u->live, endpoint);
    struct sl_channel_port_options channels = {
        .live = u->live, .actor = SL_ACTOR_ROUTER, .spawner = &u->spawner};
    u->channels = sl_channel_port_open(&channels);
    struct sl_spawn_port_options spawner = {.live = u->live,
                                            .shown = sl_channel_port_shown,
                                            .arg = u->channels,
                                            .actor = SL_ACTOR_HEAD,
                                            .fd = -1,
                                            .program = "/proc/self/exe",
                                            .taken_kinds = 1u << SL_CHILD_PROBE,
                                            .keep_fd = u->children_lock};
    if (err == SL_OK)
        err = sl_spawn_port_open(&spawner, &u->spawner);
    if (err == SL_OK) {
        sl_live_port(u->live, SL_PORT_FRONT, take_reply, u);
        u->gateway.run_directory = u->run_directory;
        spawn_actors(u, endpoint);
    }
    sl_free(endpoint);
    if (err != SL_OK)
        return fail(u, "the actors", err);
    return sl_up_cluster_listen(&u->options, u->live, &u->cluster);
}

/* ---- serving ------------------------------------------------------------------------------- */

static bool
fail_address(const struct up *u, const char *address, enum sl_err err)
{
    if (err == SL_EBUSY)
        fprintf(stderr, "sluice %s: %s is taken by another program; choose another port\n",
                u->options.verb, address);
    else
        fail(u, address, err);
    return false;
}

static bool
open_transport(struct up *u)
{
    const struct sl_config *config = u->options.config;
    struct sl_transport_files files = {.cert = sl_config_string(config, SL_UP_tls_cert),
                                       .key = sl_config_string(config, SL_UP_tls_key),
                                       .proxies = sl_config_string(config, SL_UP_trusted_proxies)};
    return sl_transport_open(u->options.verb, &files, &u->transport);
}

static bool
dashboard_page(void *arg, const char *path, struct sl_page *page)
{
    struct up *u = arg;
    return sl_dashboard_page(&u->page, path, page);
}

static void
dashboard_feed(void *arg, struct sl_buf *out)
{
    struct up *u = arg;
    sl_dashboard_feed(&u->page, out);
}

/* Its API is that of the other front; archives and files go there alone. */
static bool
start_dashboard(struct up *u)
{
    const char *address = sl_config_string(u->options.config, SL_UP_dashboard);
    u->page = (struct sl_dashboard){.status = sl_status_text,
                                    .brief = sl_status_brief,
                                    .metrics = sl_status_metrics,
                                    .history = sl_status_history,
                                    .arg = u->status};
    char *path = sl_format("%s/sessions", u->options.data);
    u->sessions = sl_sessions_create(path);
    sl_free(path);
    struct sl_front_options options = {
        .address = address,
        .planes = {{.keyring = u->gateway.keyring}},
        .planes_count = 1,
        .post = post_call,
        .arg = u,
        .page = dashboard_page,
        .feed = dashboard_feed,
        .sessions = u->sessions,
        .names = sl_config_string(u->options.config, SL_UP_dashboard_names),
        .number = FRONT_DASHBOARD,
        .connections_max = 256,
        .transport = &u->transport};
    enum sl_err err = sl_front_start(&options, &u->dashboard);
    return err == SL_OK || fail_address(u, address, err);
}

static bool
start_fronts(struct up *u)
{
    const char *http = sl_config_string(u->options.config, SL_UP_http);
    struct sl_front_options api = {
        .address = http,
        .planes = {{.keyring = u->gateway.keyring, .blobs = u->blobs, .incoming = u->incoming}},
        .planes_count = 1,
        .connections_max = (uint32_t)sl_config_int(u->options.config, SL_UP_connections),
        .post = post_call,
        .arg = u,
        .traced = sl_up_traces_ratio(u->options.config),
        .transport = &u->transport};
    if (!open_transport(u))
        return false;
    enum sl_err err = u->options.is_head ? SL_OK : sl_front_start(&api, &u->front);
    if (err != SL_OK)
        return fail_address(u, http, err);
    return start_dashboard(u);
}

/* Twice, because what is being read may have been posted before the front was shut. */
static bool
is_idle(struct sl_front *front)
{
    return front == NULL || (sl_front_in_flight(front) == 0 && sl_front_shut(front) &&
                             sl_front_in_flight(front) == 0);
}

/* Leases of own queues are not waited for: their workers are not ours, and may hold them for days.
 */
static bool
is_drained(const struct up *u)
{
    if (sl_queue_leased_count(u->queue) != sl_queue_leased_own_count(u->queue) ||
        sl_api_waiting(sl_live_state(u->live, SL_ACTOR_API)) != 0)
        return false;
    return is_idle(u->front) && is_idle(u->dashboard);
}

static void
stop_at_once(struct up *u, const char *why)
{
    sl_report_warn("stopping", "how=at-once why=%s", why);
    u->is_at_once = true;
    sl_live_stop(u->live);
}

/* SIGTERM and ctrl-c: the first drains, the second stops at once. */
static void
on_signal(void *arg)
{
    struct up *u = arg;
    struct signalfd_siginfo info;
    while (read(u->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            sl_tls_reload();
            continue;
        }
        if (u->signals++ > 0) {
            stop_at_once(u, "signal");
            return;
        }
        sl_report_info("stopping", "how=drain signal=%u", info.ssi_signo);
        if (u->front != NULL)
            sl_front_drain(u->front);
        if (u->dashboard != NULL)
            sl_front_drain(u->dashboard);
        u->drain_until_ns =
            sl_time_mono_ns() + sl_config_duration_ns(u->options.config, SL_UP_drain);
        struct sl_ctx ctx = sl_live_context(u->live, SL_ACTOR_DISPATCHER);
        sl_send(&ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_drain, &(struct sl_m_drain){0});
        sl_send(&ctx, sl_at(0, SL_ACTOR_API), SL_M_queue_ready,
                &(struct sl_m_queue_ready){.is_stopping = 1});
        sl_send(&ctx, sl_at(0, SL_ACTOR_BROKER), SL_M_drain, &(struct sl_m_drain){0});
        sl_send(&ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_drain, &(struct sl_m_drain){0});
    }
}

/* The dispatcher's port while it drains: asked again and again until nothing runs. */
static void
take_drain(void *arg, struct sl_msg *msg)
{
    struct up *u = arg;
    sl_msg_destroy(&msg);
    if (is_drained(u)) {
        if (sl_up_traces_are_sent(&u->traces))
            sl_live_stop(u->live);
    } else if (sl_time_mono_ns() >= u->drain_until_ns) {
        stop_at_once(u, "drain-over");
    }
}

static bool
watch_signals(struct up *u)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGHUP);
    u->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    if (u->signal_fd < 0)
        return fail(u, "signals", sl_err_from_errno(errno));
    sl_live_watch(u->live, u->signal_fd, on_signal, u);
    sl_live_port(u->live, SL_PORT_DRAIN, take_drain, u);
    return true;
}

/* Where to find it, for tools: ports may have been picked. */
static void
write_address(const struct up *u)
{
    char *path = sl_format("%s/address", u->options.data);
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        if (u->front != NULL)
            fprintf(file, "http=%u\n", sl_front_port(u->front));
        fprintf(file, "dashboard=%u\npid=%d\nhead=ipc://%s/head\n", sl_front_port(u->dashboard),
                (int)getpid(), u->run_directory);
        if (u->cluster != NULL)
            fprintf(file, "cluster=%s\n", u->cluster);
        fclose(file);
    }
    sl_free(path);
}

static void
say_ready(const struct up *u)
{
    sl_report_info("ready", "http=%u dashboard=%u data=%s",
                   u->front == NULL ? 0u : sl_front_port(u->front), sl_front_port(u->dashboard),
                   u->options.data);
    write_address(u);
    puts("ready");
    fflush(stdout);
}

static void
remove_run_directory(struct up *u)
{
    if (u->run_directory == NULL)
        return;
    char *socket = sl_format("%s/head", u->run_directory);
    unlink(socket);
    sl_free(socket);
    rmdir(u->run_directory);
    sl_free(u->run_directory);
}

/*
 * Work of the I/O pool may take minutes, and nobody can stop a thread that waits for a disk or a
 * child: so threads are left as they are. What was promised is in the log, and the next start
 * cleans up as after a crash.
 */
static void
leave_at_once(struct up *u)
{
    remove_run_directory(u);
    _exit(0);
}

static void
stop(struct up *u)
{
    sl_process_unblock();
    if (u->front != NULL)
        sl_front_stop(&u->front);
    if (u->dashboard != NULL)
        sl_front_stop(&u->dashboard);
    sl_sessions_destroy(&u->sessions);
    sl_transport_close(&u->transport);
    sl_spawn_port_close(&u->spawner);
    atomic_store(&u->is_stopping, true);
    if (u->store != NULL) {
        sl_store_watch(u->store, SL_TABLE_DUE, NULL, NULL);
        sl_store_watch(u->store, SL_TABLE_EVENT, NULL, NULL);
    }
    if (u->queue != NULL)
        sl_queue_watch_set(u->queue, (struct sl_queue_watch){0});
    sl_channel_port_close(&u->channels);
    sl_live_destroy(&u->live);
    if (u->store != NULL && sl_meter_tick(&u->gateway, sl_time_wall_ms()) != SL_OK)
        sl_report_warn("meter-failed", "lost=\"requests of the last second\"");
    sl_meter_destroy(&u->gateway.meter);
    sl_request_counts_destroy(&u->gateway.requests);
    sl_trace_log_destroy(&u->gateway.trace_log);
    sl_use_counts_destroy(&u->gateway.uses);
    sl_timeline_destroy(&u->gateway.timeline);
    sl_export_destroy(&u->gateway.export);
    sl_limits_destroy(&u->gateway.limits);
    if (u->status != NULL)
        sl_status_destroy(&u->status);
    sl_index_cache_destroy(&u->gateway.indexes);
    sl_keyring_destroy(&u->gateway.keyring);
    sl_job_events_destroy(&u->gateway.job_events);
    sl_blobs_close(&u->blobs);
    sl_incoming_close(&u->incoming);
    sl_origin_close(&u->origin);
    sl_store_close(&u->store);
    sl_queue_destroy(&u->queue);
    remove_run_directory(u);
    sl_free(u->cluster);
    sl_free(u->indexes);
    if (u->children_lock >= 0)
        close(u->children_lock);
    if (u->signal_fd >= 0)
        close(u->signal_fd);
    sl_settings_deinit(&u->settings);
    sl_up_options_deinit(&u->options);
    sl_report_tap_destroy(&u->lines);
}

int
sl_up_main(int argc, char **argv)
{
    struct up u = {.children_lock = -1, .signal_fd = -1};
    int said = sl_up_options_read(argc, argv, &u.options);
    if (said != 0)
        return said - 1;
    sl_settings_environment(u.options.config);
    sl_process_prepare((uint64_t)sl_config_int(u.options.config, SL_UP_connections));
    u.lines = sl_report_tap_create();
    bool is_ok = sl_data_format_check(u.options.verb, u.options.data) && open_store(&u) &&
                 wait_for_orphans(&u) && boot(&u) && make_run_directory(&u) && open_gateway(&u) &&
                 start_actors(&u) && start_fronts(&u) && watch_signals(&u);
    if (is_ok) {
        say_ready(&u);
        enum sl_err err = sl_live_run(u.live);
        if (err != SL_OK) {
            /* Nothing that was held back may go out: the disk did not take it. */
            fail(&u, "the log", err);
            _exit(1);
        }
        if (u.is_at_once)
            leave_at_once(&u);
    }
    stop(&u);
    return is_ok ? 0 : 1;
}

int
sl_spawner_verb(int argc, char **argv)
{
    static const struct sl_child_kind kinds[] = {
        [SL_CHILD_NODE] = {.name = "node", .run = sl_node_run},
        [SL_CHILD_REPLICA] = {.name = "replica",
                              .run = sl_replica_run,
                              .is_contained = true,
                              .source = sl_replica_source},
        [SL_CHILD_PROBE] = {.name = "probe", .run = sl_isolation_probe_run, .is_contained = true},
    };
    long fd = argc >= 2 ? strtol(argv[1], NULL, 10) : 0;
    if (fd <= STDERR_FILENO || fd > INT32_MAX) {
        fputs("sluice spawner: started by `sluice up` only\n", stderr);
        return 2;
    }
    return sl_spawner_main((int)fd, kinds, SL_COUNT_OF(kinds));
}
