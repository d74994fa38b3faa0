/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ours: two processes with a live driver each, linked with certificates; one has the image, the
 * other fetches it, checks each chunk and has it under its name when the clock stops. Beside it:
 * one process sends as many bytes in messages of 1 MiB from a DEALER to a ROUTER, encrypted as well
 * or not, and the other does nothing with them.
 */
#include "gateway/bench/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/image_locator.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "gateway/bench/calls.h"
#include "gateway/bench/directory.h"
#include "gateway/bench/zmq.h"
#include "runtime/alloc.h"
#include "runtime/cert.h"
#include "runtime/live.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define ROUNDS      11u /* The first one warms up. */
#define CHUNKS      256u
#define CHUNKS_FEW  32u
#define FETCHING    2 /* Nodes; the other one is the head. */
#define TIMING      1 /* An actor. */
#define PATIENCE_NS (120 * SL_SECOND_NS)
#define KEY_SIZE    41 /* As text, with its NUL. */

struct transfer {
    const struct sl_bench *bench;
    struct sl_bench_calls calls; /* Its directory, for peers. */
    char *from, *to;             /* Directories of images. */
    struct sl_image_name name;
    uint32_t chunks;
    bool is_plain; /* libzmq without CURVE. */
};

static struct transfer *transfer; /* Of the processes that are forked. */

/* ---- ours: the process that serves --------------------------------------------------------- */

static bool
secure(struct sl_live *live, bool is_listener)
{
    char *own = sl_format("%s/%s", transfer->calls.directory, is_listener ? "serving" : "fetching");
    char *server = sl_format("%s/serving", transfer->calls.directory);
    struct sl_link_security security = {.cert = own};
    if (is_listener)
        security.allowed = transfer->calls.directory;
    else
        security.server = server;
    enum sl_err err = sl_live_secure(live, &security);
    sl_free(own);
    sl_free(server);
    return err == SL_OK;
}

static void
serve(const struct sl_bench_calls *calls, int out)
{
    struct sl_live *live = sl_live_create(&(struct sl_live_options){.node = SL_NODE_HEAD});
    struct sl_images images;
    (void)calls;
    if (sl_disk_open(transfer->from, &images.disk) != SL_OK || !secure(live, true) ||
        sl_live_listen(live, "tcp://127.0.0.1:0") != SL_OK)
        return;
    struct sl_image_node_options options = {.images = &images};
    sl_live_spawn(live, SL_ACTOR_LOCATOR, &sl_image_locator_class, NULL);
    sl_live_spawn(live, SL_ACTOR_IMAGES, &sl_image_node_class, &options);
    (void)dprintf(out, "%s\n", sl_live_bound(live));
    close(out);
    if (sl_live_run(live) != SL_OK)
        return;
}

/* ---- ours: the process that fetches -------------------------------------------------------- */

struct timing {
    struct sl_live *live;
    uint64_t start_ns, took_ns;
    enum sl_err err;
};

static void
timing_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct timing **t = self;
    *t = (struct timing *)(uintptr_t)argument;
    struct sl_m_image_fetch m = {.name = sl_image_name_bytes(&transfer->name)};
    (*t)->err = SL_ETIMEOUT;
    sl_request(ctx, sl_at(0, SL_ACTOR_IMAGES), 1, SL_M_image_fetch, &m);
    sl_after(ctx, PATIENCE_NS, 0);
}

/* The clock runs from the first answer of another node: connecting is not what is measured. */
static void
timing_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct timing *t = *(struct timing **)self;
    (void)ctx;
    if (msg->id == SL_M_image_fetched) {
        t->err = (enum sl_err)SL_BODY(msg, image_fetched)->err;
        t->took_ns = sl_time_mono_ns() - t->start_ns;
    }
    sl_live_stop(t->live);
}

static const struct sl_actor_class timing_class = {.name = "timing",
                                                   .state_size = sizeof(struct timing *),
                                                   .init = timing_init,
                                                   .handle = timing_handle};

/* Runs once the link to the head is there. */
static void
waiting_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct timing *t = *(struct timing **)self;
    struct sl_addr ignored;
    if (msg->id != SL_M_peer_up)
        return;
    t->start_ns = sl_time_mono_ns();
    if (sl_spawn(ctx, &timing_class, t, &(struct sl_spawn_options){.number = TIMING}, &ignored) !=
        SL_OK)
        sl_live_stop(t->live);
}

static void
waiting_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    *(struct timing **)self = (struct timing *)(uintptr_t)argument;
    (void)ctx;
}

static const struct sl_actor_class waiting_class = {.name = "waiting",
                                                    .state_size = sizeof(struct timing *),
                                                    .init = waiting_init,
                                                    .handle = waiting_handle};

static bool
fetch(const char *endpoint, double *ret_mib_per_s)
{
    struct timing t = {.err = SL_EUNAVAIL};
    struct sl_images images = {0};
    struct sl_links_options links = {.watcher = TIMING + 1};
    bool is_ok = sl_disk_open(transfer->to, &images.disk) == SL_OK;
    is_ok = is_ok && sl_images_remove(&images, &transfer->name) == SL_OK; /* Of the round before. */
    t.live = sl_live_create(&(struct sl_live_options){.node = FETCHING, .links = &links});
    struct sl_image_node_options options = {.images = &images};
    is_ok =
        is_ok && secure(t.live, false) && sl_live_connect(t.live, SL_NODE_HEAD, endpoint) == SL_OK;
    if (is_ok) {
        sl_live_spawn(t.live, SL_ACTOR_IMAGES, &sl_image_node_class, &options);
        sl_live_spawn(t.live, TIMING + 1, &waiting_class, &t);
        is_ok = sl_live_run(t.live) == SL_OK && t.err == SL_OK;
    }
    sl_live_destroy(&t.live);
    sl_disk_close(&images.disk);
    if (is_ok)
        *ret_mib_per_s = transfer->chunks / ((double)t.took_ns / 1e9);
    return is_ok || sl_bench_fail("the fetch failed: %s", sl_err_name(t.err));
}

static bool
measure_ours(double *ret_mib_per_s)
{
    struct sl_bench_peer peer;
    if (!sl_bench_peer_start(&transfer->calls, serve, &peer))
        return sl_bench_fail("the serving process does not start");
    bool is_ok = fetch(peer.endpoint, ret_mib_per_s);
    sl_bench_peer_end(&peer);
    return is_ok;
}

/* ---- libzmq's ------------------------------------------------------------------------------ */

static const struct sl_bench_zmq *zmq;
static char public_keys[2][KEY_SIZE], secret_keys[2][KEY_SIZE]; /* Of the ROUTER, the DEALER. */

static bool
set(void *socket, int option, const void *value, size_t size)
{
    return zmq->setsockopt(socket, option, value, size) == 0;
}

static void *
open_socket(void *ctx, int type)
{
    static const int none = 0, one = 1;
    bool is_server = type == ZMQ_ROUTER;
    int own = is_server ? 0 : 1;
    void *socket = zmq->socket(ctx, type);
    bool is_ok = socket != NULL && set(socket, ZMQ_LINGER, &none, sizeof(none));
    if (is_ok && !transfer->is_plain)
        is_ok = set(socket, ZMQ_CURVE_PUBLICKEY, public_keys[own], KEY_SIZE - 1) &&
                set(socket, ZMQ_CURVE_SECRETKEY, secret_keys[own], KEY_SIZE - 1) &&
                (is_server ? set(socket, ZMQ_CURVE_SERVER, &one, sizeof(one))
                           : set(socket, ZMQ_CURVE_SERVERKEY, public_keys[0], KEY_SIZE - 1));
    return is_ok ? socket : NULL;
}

/* Waits to be asked, and sends all at once. */
static void
send_all(const struct sl_bench_calls *calls, int out)
{
    uint8_t identity[64];
    char bound[256];
    size_t bound_size = sizeof(bound);
    uint8_t *bytes = sl_zalloc(SL_CHUNK_BYTES);
    void *socket = open_socket(zmq->ctx_new(), ZMQ_ROUTER);
    (void)calls;
    if (socket == NULL || zmq->bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq->getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &bound_size) != 0)
        return;
    (void)dprintf(out, "%s\n", bound);
    close(out);
    int size = zmq->recv(socket, identity, sizeof(identity), 0);
    (void)zmq->recv(socket, bytes, 1, 0);
    for (uint32_t i = 0; size > 0 && i < transfer->chunks; i++) {
        (void)zmq->send(socket, identity, (size_t)size, ZMQ_SNDMORE);
        (void)zmq->send(socket, bytes, SL_CHUNK_BYTES, 0);
    }
    (void)zmq->recv(socket, bytes, 1, 0); /* Nothing comes: it is killed. */
}

static bool
take_all(void *socket, double *ret_mib_per_s)
{
    uint8_t *bytes = sl_alloc(SL_CHUNK_BYTES);
    uint64_t start_ns = sl_time_mono_ns();
    bool is_ok = zmq->send(socket, bytes, 1, 0) == 1;
    for (uint32_t i = 0; is_ok && i < transfer->chunks; i++)
        is_ok = zmq->recv(socket, bytes, SL_CHUNK_BYTES, 0) == (int)SL_CHUNK_BYTES;
    *ret_mib_per_s = transfer->chunks / ((double)(sl_time_mono_ns() - start_ns) / 1e9);
    sl_free(bytes);
    return is_ok;
}

static bool
measure_zmq(bool is_plain, double *ret_mib_per_s)
{
    struct sl_bench_peer peer;
    transfer->is_plain = is_plain;
    if (!sl_bench_peer_start(&transfer->calls, send_all, &peer))
        return sl_bench_fail("libzmq's process does not start");
    void *ctx = zmq->ctx_new();
    void *socket = open_socket(ctx, ZMQ_DEALER);
    bool is_ok = socket != NULL && zmq->connect(socket, peer.endpoint) == 0 &&
                 take_all(socket, ret_mib_per_s);
    if (socket != NULL)
        (void)zmq->close(socket);
    (void)zmq->ctx_term(ctx);
    sl_bench_peer_end(&peer);
    return is_ok || sl_bench_fail("libzmq's messages failed");
}

/* ---- the image ----------------------------------------------------------------------------- */

static bool
make_certs(void)
{
    static const char *const names[] = {"serving", "fetching"};
    bool is_ok = true;
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        char *path = sl_format("%s/%s", transfer->calls.directory, names[i]);
        struct sl_cert cert;
        is_ok =
            is_ok && sl_cert_create(names[i], &cert) == SL_OK && sl_cert_save(&cert, path) == SL_OK;
        sl_free(path);
    }
    return is_ok;
}

/* The image and its list, as a former fetch left them. */
static bool
make_image(void)
{
    struct sl_images images = {0};
    struct sl_random random;
    struct sl_chunks_stream *stream = sl_chunks_create();
    struct sl_chunks chunks = {0};
    struct sl_file *file = NULL;
    uint64_t *words = sl_alloc(SL_CHUNK_BYTES);
    char text[SL_IMAGE_NAME_SIZE];
    enum sl_err err = sl_disk_open(transfer->from, &images.disk);
    if (err == SL_OK)
        err = images.disk.open(images.disk.self, "new", &file);
    sl_random_seed(&random, 6);
    for (uint64_t i = 0; err == SL_OK && i < transfer->chunks; i++) {
        for (size_t k = 0; k < SL_CHUNK_BYTES / sizeof(words[0]); k++)
            words[k] = sl_random_u64(&random);
        err = images.disk.write(file, i * SL_CHUNK_BYTES, words, SL_CHUNK_BYTES);
        if (err == SL_OK)
            err = sl_chunks_update(stream, words, SL_CHUNK_BYTES);
    }
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, transfer->name.digest);
    sl_image_name_text(&transfer->name, text);
    sl_chunks_deinit(&chunks);
    if (err == SL_OK)
        err = images.disk.rename(images.disk.self, "new", text);
    if (err == SL_OK)
        err = sl_images_chunks(&images, &transfer->name, &chunks);
    sl_chunks_deinit(&chunks);
    if (images.disk.self != NULL) {
        images.disk.close(&file);
        sl_disk_close(&images.disk);
    }
    sl_free(words);
    return err == SL_OK || sl_bench_fail("the image cannot be written: %s", sl_err_name(err));
}

/* ---- rounds -------------------------------------------------------------------------------- */

static bool
measure_rounds(void)
{
    double ours[ROUNDS], curve[ROUNDS], ratios[ROUNDS], plain[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t at = i == 0 ? 0 : i - 1;
        if (!measure_zmq(false, &curve[at]) || !measure_ours(&ours[at]) ||
            !measure_zmq(true, &plain[at]))
            return false;
        ratios[at] = ours[at] / curve[at];
        sl_bench_say(transfer->bench, "  round %u: %.0f MiB/s beside %.0f, and %.0f not encrypted",
                     i, ours[at], curve[at], plain[at]);
    }
    sl_bench_show(transfer->bench,
                  &(struct sl_bench_figure){.name = "model.transfer.tcp_ratio",
                                            .unit = "x",
                                            .goal = SL_BENCH_AT_LEAST,
                                            .target = 0.6,
                                            .value = sl_bench_median(ratios, ROUNDS - 1),
                                            .note = "of libzmq's messages of 1 MiB, both with "
                                                    "CURVE; ours are checked and stored"});
    sl_bench_show(transfer->bench,
                  &(struct sl_bench_figure){.name = "model.transfer.tcp",
                                            .unit = "MiB/s",
                                            .value = sl_bench_median(ours, ROUNDS - 1),
                                            .note = "an image from one node to another, into "
                                                    "memory"});
    sl_bench_show(transfer->bench,
                  &(struct sl_bench_figure){.name = "model.transfer.limit_zmq",
                                            .unit = "MiB/s",
                                            .value = sl_bench_median(curve, ROUNDS - 1),
                                            .note = "the limit: DEALER and ROUTER with CURVE"});
    sl_bench_show(transfer->bench,
                  &(struct sl_bench_figure){.name = "model.transfer.limit_zmq_plain",
                                            .unit = "MiB/s",
                                            .value = sl_bench_median(plain, ROUNDS - 1),
                                            .note = "the same not encrypted, as no link is"});
    return true;
}

bool
sl_bench_transfer(const struct sl_bench *bench)
{
    char *directory = sl_bench_directory_make(bench);
    /* The disk is another limit, and measured elsewhere: what comes is stored in memory. */
    struct sl_bench memory = *bench;
    memory.data = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : bench->data;
    char *stored = sl_bench_directory_make(&memory);
    struct transfer t = {.bench = bench,
                         .calls = {.directory = directory, .is_tcp = true},
                         .from = sl_format("%s/from", stored == NULL ? "" : stored),
                         .to = sl_format("%s/to", stored == NULL ? "" : stored),
                         .chunks = bench->is_quick ? CHUNKS_FEW : CHUNKS};
    transfer = &t;
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    sl_report_level_set(SL_REPORT_WARN);
    zmq = sl_bench_zmq_lookup();
    bool is_ok = directory != NULL && stored != NULL && zmq != NULL;
    for (int i = 0; is_ok && i < 2; i++)
        is_ok = zmq->curve_keypair(public_keys[i], secret_keys[i]) == 0;
    is_ok = (is_ok || sl_bench_fail("the transfer cannot be measured: no libzmq with CURVE")) &&
            make_certs() && make_image() && measure_rounds();
    sl_bench_directory_remove(&directory);
    sl_bench_directory_remove(&stored);
    sl_free(t.from);
    sl_free(t.to);
    return is_ok;
}
