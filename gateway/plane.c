/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plane has a node of the actor system to itself. One node could not be a member of two heads:
 * every head is node 1 of its cluster, and workers of two clusters may have the same number.
 */
#include "gateway/plane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "actors/node_facts.h"
#include "actors/router.h"
#include "gateway/api.h"
#include "gateway/meter.h"
#include "object-store/blob.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/live.h"
#include "runtime/report.h"

#define ENDPOINT_MAX (100 + 6)           /* Of sun_path's 108, and "ipc://". */
#define LOST_NS      (500 * SL_MILLI_NS) /* A peer whose connection broke, unless it is back. */

static bool
fail(const char *what, enum sl_err err)
{
    fprintf(stderr, "sluice gateway: %s: %s (%s)\n", what, sl_err_text(err), sl_err_name(err));
    return false;
}

/* ---- the data directory -------------------------------------------------------------------- */

/* What the head has made there: a gateway makes nothing of its own before. */
static bool
open_data(struct sl_plane *p)
{
    p->data = realpath(p->options.data, NULL);
    char *address = sl_format("%s/address", p->data == NULL ? "" : p->data);
    bool is_there = p->data != NULL && access(address, R_OK) == 0;
    sl_free(address);
    if (!is_there) {
        fprintf(stderr, "sluice gateway: %s is no directory that a head has served from\n",
                p->options.data);
        return false;
    }
    char *blobs = sl_format("%s/blobs", p->data), *uploads = sl_format("%s/uploads", p->data);
    enum sl_err err = sl_blobs_join(blobs, &p->gateway.blobs);
    if (err == SL_OK)
        err = sl_incoming_open(uploads, false, &p->gateway.incoming);
    sl_free(blobs);
    sl_free(uploads);
    if (err != SL_OK)
        return fail(p->data, err);
    p->gateway.data_directory = p->data;
    p->gateway.keyring = sl_keyring_create();
    sl_keyring_await(p->gateway.keyring);
    p->gateway.meter = sl_meter_create();
    return true;
}

/* ---- the endpoint -------------------------------------------------------------------------- */

/* From its name, so that workers find one that was started again by the link they have to it. */
static uint32_t
number_of(const char *name)
{
    uint8_t digest[SL_SHA256_SIZE];
    uint32_t bits;
    sl_sha256(sl_slice_str(name), digest);
    memcpy(&bits, digest, sizeof(bits));
    return SL_NODE_WORKERS_FIRST + bits % (SL_NODE_WORKERS_LAST - SL_NODE_WORKERS_FIRST);
}

/* Two of a name would take each other's socket. */
static bool
lock_name(struct sl_plane *p)
{
    char *path = sl_format("%s.lock", p->endpoint + strlen("ipc://"));
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum sl_err err = p->lock_fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    bool is_taken = err == SL_OK && flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0;
    if (is_taken)
        fprintf(stderr, "sluice gateway: another gateway of the name %s runs\n", p->options.name);
    else if (err != SL_OK)
        fail(path, err);
    sl_free(path);
    if (is_taken) {
        close(p->lock_fd);
        p->lock_fd = -1;
    }
    return err == SL_OK && !is_taken;
}

/* A directory that was given serves all heads: so each has a socket of its own in it. */
static bool
make_endpoint(struct sl_plane *p, uint32_t number)
{
    const char *run = p->options.run;
    if (run[0] == '\0')
        p->endpoint = sl_format("ipc://%s/run/gateway-%u", p->data, number);
    else if (p->options.index == 0)
        p->endpoint = sl_format("ipc://%s/gateway-%u", run, number);
    else
        p->endpoint = sl_format("ipc://%s/gateway-%u-%u", run, number, p->options.index + 1);
    if (strlen(p->endpoint) <= ENDPOINT_MAX)
        return lock_name(p);
    fputs("sluice gateway: the data directory's path is too long for a socket: give --run DIR\n",
          stderr);
    return false;
}

/* ---- actors -------------------------------------------------------------------------------- */

static void
take_reply(void *arg, struct sl_msg *msg)
{
    struct sl_plane *p = arg;
    p->options.reply(p->options.arg, (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call);
    sl_msg_destroy(&msg);
}

static void
on_refused(void *arg, struct sl_msg *msg)
{
    struct sl_plane *p = arg;
    struct sl_slice why = SL_BODY(msg, edge_refused)->why;
    sl_report_error("refused", "head=%s name=%s why=\"%.*s\"", p->options.head, p->options.name,
                    SL_SLICE_FMT(why));
    fprintf(stderr, "sluice gateway: the head %s refuses it: %.*s\n", p->options.head,
            SL_SLICE_FMT(why));
    sl_msg_destroy(&msg);
    p->options.refused(p->options.arg);
}

static void
on_drained(void *arg, struct sl_msg *msg)
{
    struct sl_plane *p = arg;
    sl_msg_destroy(&msg);
    sl_live_stop(p->live);
}

/* What other nodes may send here; that the edge takes only the head's it sees to itself. */
static bool
takes(const struct sl_msg *msg)
{
    if (msg->to.actor == SL_ACTOR_ROUTER)
        return msg->id == SL_M_embedded;
    return msg->to.actor == SL_ACTOR_EDGE &&
           (msg->id >> 16 == SL_PROTOCOL_RELAY || msg->id == SL_M_node_hello ||
            msg->id == SL_M_node_open || msg->id == SL_M_node_lost);
}

static bool
open_links(struct sl_plane *p, uint32_t number)
{
    struct sl_links_options links = {.name = p->options.name,
                                     .group = "gateway",
                                     .watcher = SL_ACTOR_EDGE,
                                     .takes = takes,
                                     .lost_ns = LOST_NS};
    struct sl_link_security security = {.cert = p->options.cert, .server = p->options.head_cert};
    p->live = sl_live_create(&(struct sl_live_options){.node = number, .links = &links});
    enum sl_err err = sl_live_listen(p->live, p->endpoint);
    if (err != SL_OK)
        return fail(p->endpoint, err);
    if (strncmp(p->options.head, "tcp://", 6) == 0)
        err = sl_live_secure(p->live, &security);
    if (err == SL_OK)
        err = sl_live_connect(p->live, SL_NODE_HEAD, p->options.head);
    return err == SL_OK || fail(p->options.head, err);
}

static void
spawn_actors(struct sl_plane *p)
{
    struct sl_edge_options edge = {.gateway = &p->gateway,
                                   .name = p->options.name,
                                   .endpoint = p->endpoint,
                                   .pid = (uint64_t)getpid(),
                                   .silence_ns = p->options.silence_ns,
                                   .timeout_ns = p->options.timeout_ns,
                                   .head = p->options.head,
                                   .view = &p->view};
    sl_live_port(p->live, SL_PORT_FRONT, take_reply, p);
    sl_live_port(p->live, SL_PORT_NODE, on_refused, p);
    sl_live_port(p->live, SL_PORT_DRAIN, on_drained, p);
    sl_live_spawn(p->live, SL_ACTOR_ROUTER, &sl_router_class, NULL);
    sl_live_spawn(p->live, SL_ACTOR_API, &sl_api_class,
                  &(struct sl_api_options){.gateway = &p->gateway});
    sl_live_spawn(p->live, SL_ACTOR_EDGE, &sl_edge_class, &edge);
}

bool
sl_plane_open(struct sl_plane *p, const struct sl_plane_options *options)
{
    uint32_t number = number_of(options->name);
    *p = (struct sl_plane){.options = *options, .lock_fd = -1};
    if (!open_data(p) || !make_endpoint(p, number) || !open_links(p, number)) {
        sl_plane_destroy(p);
        return false;
    }
    spawn_actors(p);
    return true;
}

/* ---- running ------------------------------------------------------------------------------- */

static void *
run(void *arg)
{
    struct sl_plane *p = arg;
    enum sl_err err = sl_live_run(p->live);
    sl_assert(err == SL_OK); /* Only a store could fail. */
    return NULL;
}

void
sl_plane_start(struct sl_plane *p)
{
    int error = pthread_create(&p->thread, NULL, run, p);
    sl_assert(error == 0);
    p->is_running = true;
}

void
sl_plane_post(struct sl_plane *p, struct sl_call *call)
{
    struct sl_msg *msg =
        sl_msg_create(SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
    msg->to.actor = SL_ACTOR_EDGE;
    sl_live_post(p->live, msg);
}

void
sl_plane_leave(struct sl_plane *p)
{
    struct sl_msg *msg = sl_msg_create(SL_M_drain, &(struct sl_m_drain){0});
    msg->to.actor = SL_ACTOR_EDGE;
    sl_live_post(p->live, msg);
}

void
sl_plane_stop(struct sl_plane *p)
{
    sl_live_stop(p->live);
}

void
sl_plane_join(struct sl_plane *p)
{
    if (p->is_running)
        pthread_join(p->thread, NULL);
    p->is_running = false;
}

void
sl_plane_destroy(struct sl_plane *p)
{
    sl_assert(!p->is_running);
    sl_live_destroy(&p->live);
    sl_keyring_destroy(&p->gateway.keyring);
    sl_meter_destroy(&p->gateway.meter);
    sl_blobs_close(&p->gateway.blobs);
    sl_incoming_close(&p->gateway.incoming);
    if (p->endpoint != NULL && p->lock_fd >= 0) {
        unlink(p->endpoint + strlen("ipc://")); /* The lock's file stays: somebody may wait. */
        close(p->lock_fd);
    }
    sl_free(p->endpoint);
    sl_free(p->data);
    *p = (struct sl_plane){.lock_fd = -1};
}
