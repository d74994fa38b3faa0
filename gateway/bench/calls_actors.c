/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls between actors of two nodes, each with a live driver: what a handler of the product would
 * see, with sessions, messages of the tables and, on tcp, certificates.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/bench/actor.h"
#include "gateway/bench/calls.h"
#include "runtime/alloc.h"
#include "runtime/cert.h"
#include "runtime/live.h"
#include "runtime/time.h"

#define ASKING      1
#define ANSWERING   2
#define ACTOR       1
#define PATIENCE_NS (60 * SL_SECOND_NS)

/* ---- the one that answers ------------------------------------------------------------------ */

static void
answer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->id == SL_M_bench_blob)
        sl_reply(ctx, msg, msg->id, msg->body);
}

static const struct sl_actor_class answering = {.name = "answering", .handle = answer};

static char *
path_of(const struct sl_bench_calls *calls, const char *name)
{
    return sl_format("%s/%s", calls->directory, name);
}

static bool
secure(const struct sl_bench_calls *calls, struct sl_live *live, bool is_listener)
{
    char *cert = path_of(calls, is_listener ? "answering" : "asking");
    char *server = path_of(calls, "answering");
    struct sl_link_security security = {.cert = cert};
    if (is_listener)
        security.allowed = calls->directory;
    else
        security.server = server;
    enum sl_err err = calls->is_tcp ? sl_live_secure(live, &security) : SL_OK;
    sl_free(cert);
    sl_free(server);
    return err == SL_OK;
}

static void
serve(const struct sl_bench_calls *calls, int out)
{
    struct sl_live *live = sl_live_create(&(struct sl_live_options){.node = ANSWERING});
    char *endpoint = calls->is_tcp ? sl_strdup("tcp://127.0.0.1:0")
                                   : sl_format("ipc://%s/actors", calls->directory);
    if (!secure(calls, live, true) || sl_live_listen(live, endpoint) != SL_OK)
        return;
    sl_live_spawn(live, ACTOR, &answering, NULL);
    char *bound = sl_live_bound(live);
    (void)dprintf(out, "%s\n", bound);
    close(out);
    if (sl_live_run(live) != SL_OK)
        return;
}

/* ---- the one that asks --------------------------------------------------------------------- */

struct asking {
    struct sl_live *live;
    const struct sl_bench_calls *calls;
    struct sl_bench_clock clock;
};

static void
ask(struct sl_ctx *ctx)
{
    static const uint8_t
        bytes[SL_BENCH_CALL_BYTES - sizeof(uint64_t)]; /* The number is data, too. */
    struct sl_m_bench_blob body = {.number = sl_time_mono_ns(),
                                   .bytes = sl_slice(bytes, sizeof(bytes))};
    sl_request(ctx, (struct sl_addr){ANSWERING, ACTOR}, 1, SL_M_bench_blob, &body);
}

static void
asking_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct asking **a = self;
    *a = (struct asking *)(uintptr_t)argument;
    for (uint32_t i = 0; i < (*a)->calls->window; i++)
        ask(ctx);
    sl_after(ctx, PATIENCE_NS, 0);
}

static void
asking_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct asking *a = *(struct asking **)self;
    if (msg->id != SL_M_bench_blob ||
        sl_bench_clock_end(&a->clock, SL_BODY(msg, bench_blob)->number, sl_time_mono_ns()))
        sl_live_stop(a->live);
    else
        ask(ctx);
}

static const struct sl_actor_class asking_class = {.name = "asking",
                                                   .state_size = sizeof(struct asking *),
                                                   .init = asking_init,
                                                   .handle = asking_handle};

static bool
make_certs(const struct sl_bench_calls *calls)
{
    static const char *const names[] = {"asking", "answering"};
    bool is_ok = true;
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        char *path = path_of(calls, names[i]);
        struct sl_cert cert;
        enum sl_err err = SL_OK;
        if (access(path, F_OK) != 0)
            err = sl_cert_create(names[i], &cert);
        if (err == SL_OK && access(path, F_OK) != 0)
            err = sl_cert_save(&cert, path);
        is_ok = is_ok && err == SL_OK;
        sl_free(path);
    }
    return is_ok;
}

bool
sl_bench_calls_actors(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called)
{
    struct sl_bench_peer peer;
    struct asking a = {.calls = calls};
    if ((calls->is_tcp && !make_certs(calls)) || !sl_bench_peer_start(calls, serve, &peer))
        return false;
    sl_bench_clock_init(&a.clock, calls);
    a.live = sl_live_create(&(struct sl_live_options){.node = ASKING});
    bool is_ok =
        secure(calls, a.live, false) && sl_live_connect(a.live, ANSWERING, peer.endpoint) == SL_OK;
    if (is_ok) {
        sl_live_spawn(a.live, ACTOR, &asking_class, &a);
        is_ok = sl_live_run(a.live) == SL_OK;
    }
    sl_live_destroy(&a.live);
    sl_bench_peer_end(&peer);
    return sl_bench_clock_stop(&a.clock, ret_called) && is_ok;
}
