/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One socket pair joins the two threads, so there is no lock: a grant is a packet with the client's
 * end in it, and what the store has to say comes back on the same one. Closing it ends the thread.
 */
#include "object-store/object_node.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/object_wire.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define NODE_MAGIC     0x4f4e4f44u
#define MEMORY_DIVISOR 4u
#define MEASURE_NS     SL_SECOND_NS
#define LINGER_NS      (50 * SL_MICRO_NS)
#define BURST_MAX      256 /* Turns; then others are looked after, too. */
#define LOOK_MS        1000
/* What the node's thread sends. */
#define SAYS_GRANT  1 /* tenant, tag; a socket. */
#define SAYS_GIVE   2 /* ticket, err, size, text; a model's file, or none. */
#define STATS_COUNT (sizeof(struct sl_object_node_stats) / sizeof(uint64_t))
static_assert(STATS_COUNT * sizeof(uint64_t) == sizeof(struct sl_object_node_stats),
              "stats are numbers, each published by itself");

struct sl_object_node {
    uint32_t magic;
    int ours, theirs; /* Ends of the pair; theirs is the thread's once it runs. */
    bool is_running;
    pthread_t thread;
    struct sl_objects_options options;
    char *spill_directory;
    struct sl_buf bytes;
    _Atomic uint64_t stats[STATS_COUNT];
    /* The thread's alone. */
    struct sl_objects *objects;
    struct sl_object_server *server;
    uint64_t measured_ns, asks;
    bool is_idle;    /* Nothing to tend until a client comes. */
    bool is_pressed; /* There may be more than the last burst took. */
};

static void
check(const struct sl_object_node *n)
{
    sl_assert(n != NULL);
    sl_assert(n->magic == NODE_MAGIC);
}

/* ---- the store's thread -------------------------------------------------------------------- */

/* To who starts processes. It reads soon: it never waits for this thread. */
static void
tell(void *arg, const struct sl_object_want *what)
{
    struct sl_object_node *n = arg;
    struct sl_object_packet packet = {0};
    sl_buf_append_u64(&packet.bytes, what->tag);
    sl_buf_append_u64(&packet.bytes, what->ticket);
    sl_buf_append_slice(&packet.bytes, what->model);
    while (sl_object_packet_send(n->theirs, &packet) == SL_EBUSY) {
        struct pollfd p = {.fd = n->theirs, .events = POLLOUT};
        (void)poll(&p, 1, -1);
    }
    sl_buf_deinit(&packet.bytes);
}

static void
tell_dropped(void *arg, uint64_t tag)
{
    tell(arg, &(struct sl_object_want){.tag = tag});
}

static void
publish(struct sl_object_node *n)
{
    struct sl_objects_stats o;
    struct sl_object_server_stats s;
    sl_objects_measure(n->objects, &o);
    sl_object_server_measure(n->server, &s);
    struct sl_object_node_stats all = {
        .memory_bytes = o.memory_bytes,
        .memory_max_bytes = n->options.node_bytes_max,
        .object_bytes = o.large_bytes + o.arenas.object_bytes,
        .objects = o.large + o.arenas.objects,
        .spilled_bytes = o.spilled_bytes,
        .tenants = o.tenants,
        .clients = s.clients,
        .pins = o.arenas.pins,
        .holds = o.holds,
        .evictions = o.evicted + o.arenas.evicted,
        .spills = o.spills + o.arenas.spilled,
        .drops = s.dropped,
        .handed = s.handed,
        .lost = s.lost,
        .models = s.models,
    };
    uint64_t numbers[STATS_COUNT];
    memcpy(numbers, &all, sizeof(all));
    for (size_t i = 0; i < STATS_COUNT; i++)
        atomic_store_explicit(&n->stats[i], numbers[i], memory_order_relaxed);
}

/* Now and then: what nobody uses is given back once a second has passed without an ask. */
static void
tend(struct sl_object_node *n)
{
    struct sl_object_server_stats s;
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns - n->measured_ns < MEASURE_NS)
        return;
    n->measured_ns = now_ns;
    sl_object_server_measure(n->server, &s);
    bool is_quiet = s.asks + s.handed == n->asks;
    uint64_t freed = is_quiet ? sl_objects_tidy(n->objects) : 0;
    uint64_t kept = sl_objects_cool(n->objects);
    if (is_quiet)
        sl_object_server_tidy(n->server);
    n->is_idle = is_quiet && freed == 0 && kept == 0 && s.clients == 0;
    n->asks = s.asks + s.handed;
    publish(n);
}

/* Without its socket, for which no descriptor was free, the process finds that closed. */
static void
take_grant(struct sl_object_node *n, struct sl_reader *in, const struct sl_object_packet *packet)
{
    struct sl_object_peer peer = {.tenant = sl_read_u64(in)};
    peer.tag = sl_read_u64(in);
    sl_assert(!in->is_bad);
    enum sl_err err = packet->fds_count == 0
                          ? SL_EFULL
                          : sl_object_server_admit(n->server, packet->fds[0], &peer);
    if (err != SL_OK)
        sl_report_warn("objects-refused", "tag=%" PRIu64 " err=%s", peer.tag, sl_err_name(err));
}

static void
take_model(struct sl_object_node *n, struct sl_reader *in, struct sl_object_packet *packet)
{
    struct sl_object_given given = {.ticket = sl_read_u64(in)};
    given.err = (enum sl_err)sl_read_u32(in);
    given.size_bytes = sl_read_u64(in);
    sl_assert(!in->is_bad && given.err < SL_ERR_COUNT);
    given.text = sl_slice(in->at, (size_t)(in->end - in->at));
    given.fd = packet->fds_count == 1 ? packet->fds[0] : -1;
    if (given.err == SL_OK && given.fd < 0) {
        sl_report_warn("model-refused", "err=%s", sl_err_name(SL_EFULL));
        given.err = SL_EFULL; /* No descriptor was free. */
    }
    sl_object_server_give(n->server, &given);
    sl_object_packet_close(packet);
}

/* False: the node closes. */
static bool
take_packets(struct sl_object_node *n, struct sl_object_packet *packet)
{
    enum sl_err err;
    n->is_idle = false;
    while ((err = sl_object_packet_receive(n->theirs, packet)) == SL_OK || err == SL_ETOOBIG) {
        struct sl_reader in = sl_reader(sl_buf_slice(&packet->bytes));
        if (sl_read_u32(&in) == SAYS_GIVE)
            take_model(n, &in, packet);
        else
            take_grant(n, &in, packet);
    }
    return err == SL_EBUSY;
}

/* Who asked will ask again soon, and to be woken takes ten times as long as an answer does. */
static void
serve_burst(struct sl_object_node *n)
{
    uint64_t now_ns = sl_time_mono_ns(), until_ns = now_ns + LINGER_NS;
    sl_object_server_sleep(n->server, false);
    for (uint32_t turns = 0; now_ns < until_ns && turns < BURST_MAX; now_ns = sl_time_mono_ns()) {
        if (sl_object_server_turn(n->server) == 0) {
            (void)sched_yield(); /* Who is to ask next may wait for this very processor. */
            continue;
        }
        until_ns = now_ns + LINGER_NS;
        turns++;
    }
    sl_object_server_sleep(n->server, true);
    n->is_pressed = sl_object_server_turn(n->server) > 0; /* What came before it was said. */
}

/* Its own directory may be missing; what lies above it may not. */
static enum sl_err
open_store(struct sl_object_node *n)
{
    struct sl_objects_options options = n->options;
    options.spill_directory = n->spill_directory;
    if (n->spill_directory != NULL && mkdir(n->spill_directory, 0700) != 0 && errno != EEXIST)
        return sl_err_from_errno(errno);
    enum sl_err err = sl_objects_create(&options, &n->objects);
    if (err == SL_OK)
        err = sl_object_server_create(n->objects, &n->server);
    if (err != SL_OK)
        sl_objects_destroy(&n->objects);
    return err;
}

/* A disk that is not there costs the spill, not the store. False: there is none. */
static bool
begin(struct sl_object_node *n)
{
    enum sl_err err = open_store(n);
    if (err != SL_OK && n->spill_directory != NULL) {
        sl_report_warn("objects-unspilled", "directory=%s err=%s action=\"nothing is spilled\"",
                       n->spill_directory, sl_err_name(err));
        sl_free(n->spill_directory);
        n->spill_directory = NULL;
        err = open_store(n);
    }
    if (err != SL_OK) {
        sl_report_error("objects-unavailable", "err=%s", sl_err_name(err));
        return false;
    }
    sl_object_server_tell(n->server, tell_dropped, n);
    sl_object_server_lend(n->server, tell, n);
    return true;
}

/* Without a store processes find their sockets closed. */
static void
refuse_grants(const struct sl_object_node *n, struct sl_object_packet *packet)
{
    enum sl_err err;
    while ((err = sl_object_packet_receive(n->theirs, packet)) == SL_OK || err == SL_EBUSY) {
        struct pollfd p = {.fd = n->theirs, .events = POLLIN};
        if (err == SL_OK)
            sl_object_packet_close(packet);
        else
            (void)poll(&p, 1, -1);
    }
}

/* It makes the store itself, which takes milliseconds that a first replica would wait. */
static void *
serve(void *arg)
{
    struct sl_object_node *n = arg;
    struct sl_object_packet packet = {0};
    bool is_open = begin(n);
    if (!is_open)
        refuse_grants(n, &packet);
    while (is_open) {
        struct pollfd polls[] = {{.fd = n->theirs, .events = POLLIN},
                                 {.fd = sl_object_server_fd(n->server), .events = POLLIN}};
        int wait_ms = n->is_pressed ? 0 : n->is_idle ? -1 : LOOK_MS;
        int count = poll(polls, SL_COUNT_OF(polls), wait_ms);
        if (count > 0 && polls[0].revents != 0)
            is_open = take_packets(n, &packet);
        if (n->is_pressed || (count > 0 && polls[1].revents != 0))
            serve_burst(n);
        tend(n);
    }
    sl_buf_deinit(&packet.bytes);
    return NULL;
}

/* ---- the node's ---------------------------------------------------------------------------- */

uint64_t
sl_object_node_memory(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return bytes / MEMORY_DIVISOR;
}

enum sl_err
sl_object_node_open(const struct sl_object_node_options *options, struct sl_object_node **ret_node)
{
    sl_assert(options != NULL && ret_node != NULL);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return sl_err_from_errno(errno);
    struct sl_object_node *n = sl_zalloc(sizeof(*n));
    n->magic = NODE_MAGIC;
    n->ours = pair[0];
    n->theirs = pair[1];
    uint64_t memory = options->memory_bytes;
    n->options.node_bytes_max = memory > 0 ? memory : sl_object_node_memory();
    n->options.tenant_bytes_max =
        options->tenant_bytes > 0 ? options->tenant_bytes : n->options.node_bytes_max / 2;
    n->options.spill_bytes_max = options->spill_bytes;
    n->options.arena.seed = options->seed;
    if (options->spill_bytes > 0)
        n->spill_directory = sl_strdup(options->spill_directory);
    *ret_node = n;
    return SL_OK;
}

uint64_t
sl_object_node_largest(const struct sl_object_node *n)
{
    return n->options.tenant_bytes_max;
}

enum sl_err
sl_object_node_grant(struct sl_object_node *n, const struct sl_object_peer *peer, int *ret_fd)
{
    check(n);
    int pair[2];
    if (!n->is_running && pthread_create(&n->thread, NULL, serve, n) != 0)
        return SL_ENOMEM;
    n->is_running = true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return sl_err_from_errno(errno);
    struct sl_object_packet packet = {.fds = {pair[0]}, .fds_count = 1};
    sl_buf_append_u32(&packet.bytes, SAYS_GRANT);
    sl_buf_append_u64(&packet.bytes, peer->tenant);
    sl_buf_append_u64(&packet.bytes, peer->tag);
    enum sl_err err = sl_object_packet_send(n->ours, &packet);
    sl_buf_deinit(&packet.bytes);
    (void)close(pair[0]);
    if (err == SL_OK)
        *ret_fd = pair[1];
    else
        (void)close(pair[1]);
    return err == SL_EBUSY ? SL_EFULL : err;
}

int
sl_object_node_fd(const struct sl_object_node *n)
{
    check(n);
    return n->ours;
}

enum sl_err
sl_object_node_give(struct sl_object_node *n, const struct sl_object_given *given)
{
    check(n);
    struct sl_object_packet packet = {.fds = {given->fd}, .fds_count = given->fd >= 0};
    sl_buf_append_u32(&packet.bytes, SAYS_GIVE);
    sl_buf_append_u64(&packet.bytes, given->ticket);
    sl_buf_append_u32(&packet.bytes, given->err);
    sl_buf_append_u64(&packet.bytes, given->size_bytes);
    sl_buf_append(&packet.bytes, given->text.data,
                  SL_MIN(given->text.size, (size_t)SL_OBJECT_TEXT_MAX));
    enum sl_err err = sl_object_packet_send(n->ours, &packet);
    sl_buf_deinit(&packet.bytes);
    return err == SL_EBUSY ? SL_EFULL : err;
}

bool
sl_object_node_told(struct sl_object_node *n, struct sl_object_want *ret_told)
{
    check(n);
    struct sl_object_packet packet = {.bytes = n->bytes};
    enum sl_err err = sl_object_packet_receive(n->ours, &packet);
    n->bytes = packet.bytes;
    if (err != SL_OK)
        return false;
    struct sl_reader in = sl_reader(sl_buf_slice(&packet.bytes));
    ret_told->tag = sl_read_u64(&in);
    ret_told->ticket = sl_read_u64(&in);
    ret_told->model = sl_slice(in.at, (size_t)(in.end - in.at));
    return !in.is_bad;
}

void
sl_object_node_measure(const struct sl_object_node *n, struct sl_object_node_stats *ret_stats)
{
    check(n);
    uint64_t numbers[STATS_COUNT];
    for (size_t i = 0; i < STATS_COUNT; i++)
        numbers[i] = atomic_load_explicit(&n->stats[i], memory_order_relaxed);
    memcpy(ret_stats, numbers, sizeof(*ret_stats));
    ret_stats->memory_max_bytes = n->options.node_bytes_max;
}

void
sl_object_node_close(struct sl_object_node **node)
{
    struct sl_object_node *n = *node;
    if (n == NULL)
        return;
    check(n);
    (void)close(n->ours);
    if (n->is_running)
        (void)pthread_join(n->thread, NULL);
    (void)close(n->theirs);
    sl_object_server_destroy(&n->server);
    sl_objects_destroy(&n->objects);
    sl_buf_deinit(&n->bytes);
    sl_free(n->spill_directory);
    sl_free(n);
    *node = NULL;
}
