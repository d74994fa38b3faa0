/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same calls between bare libzmq sockets: a DEALER that asks and a ROUTER that answers, one
 * frame a call.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/bench/calls.h"
#include "gateway/bench/zmq.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define KEY_SIZE 41 /* As text, with its NUL. */

static const struct sl_bench_zmq *zmq;

static struct keys {
    char public_key[KEY_SIZE], secret_key[KEY_SIZE];
} server_keys, client_keys;

static bool
open_zmq(void)
{
    zmq = sl_bench_zmq_lookup();
    return zmq != NULL && zmq->curve_keypair(server_keys.public_key, server_keys.secret_key) == 0 &&
           zmq->curve_keypair(client_keys.public_key, client_keys.secret_key) == 0;
}

static bool
set(void *socket, int option, const void *value, size_t size)
{
    return zmq->setsockopt(socket, option, value, size) == 0;
}

static void *
open_socket(const struct sl_bench_calls *calls, void *ctx, int type)
{
    static const int none = 0, one = 1;
    bool is_server = type == ZMQ_ROUTER;
    const struct keys *own = is_server ? &server_keys : &client_keys;
    void *socket = zmq->socket(ctx, type);
    bool is_ok = socket != NULL && set(socket, ZMQ_LINGER, &none, sizeof(none)) &&
                 set(socket, ZMQ_SNDHWM, &none, sizeof(none)) &&
                 set(socket, ZMQ_RCVHWM, &none, sizeof(none));
    if (is_ok && calls->is_tcp)
        is_ok =
            set(socket, ZMQ_CURVE_PUBLICKEY, own->public_key, KEY_SIZE - 1) &&
            set(socket, ZMQ_CURVE_SECRETKEY, own->secret_key, KEY_SIZE - 1) &&
            (is_server ? set(socket, ZMQ_CURVE_SERVER, &one, sizeof(one))
                       : set(socket, ZMQ_CURVE_SERVERKEY, server_keys.public_key, KEY_SIZE - 1));
    return is_ok ? socket : NULL;
}

static void
serve(const struct sl_bench_calls *calls, int out)
{
    uint8_t identity[64], bytes[SL_BENCH_CALL_BYTES];
    char bound[256];
    size_t bound_size = sizeof(bound);
    void *socket = open_socket(calls, zmq->ctx_new(), ZMQ_ROUTER);
    char *endpoint = calls->is_tcp ? sl_strdup("tcp://127.0.0.1:*")
                                   : sl_format("ipc://%s/zmq", calls->directory);
    if (socket == NULL || zmq->bind(socket, endpoint) != 0 ||
        zmq->getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &bound_size) != 0)
        return;
    (void)dprintf(out, "%s\n", bound);
    close(out);
    for (;;) {
        int size = zmq->recv(socket, identity, sizeof(identity), 0);
        int body = zmq->recv(socket, bytes, sizeof(bytes), 0);
        if (size < 0 || body < 0)
            return;
        (void)zmq->send(socket, identity, (size_t)size, ZMQ_SNDMORE);
        (void)zmq->send(socket, bytes, (size_t)body, 0);
    }
}

static bool
ask(void *socket)
{
    uint8_t bytes[SL_BENCH_CALL_BYTES] = {0};
    uint64_t now_ns = sl_time_mono_ns();
    memcpy(bytes, &now_ns, sizeof(now_ns));
    return zmq->send(socket, bytes, sizeof(bytes), 0) == (int)sizeof(bytes);
}

static bool
run(const struct sl_bench_calls *calls, void *socket, struct sl_bench_clock *clock)
{
    uint8_t bytes[SL_BENCH_CALL_BYTES];
    uint64_t sent_ns;
    bool is_ok = true;
    for (uint32_t i = 0; i < calls->window && is_ok; i++)
        is_ok = ask(socket);
    while (is_ok) {
        is_ok = zmq->recv(socket, bytes, sizeof(bytes), 0) == (int)sizeof(bytes);
        memcpy(&sent_ns, bytes, sizeof(sent_ns));
        if (is_ok && sl_bench_clock_end(clock, sent_ns, sl_time_mono_ns()))
            return true;
        is_ok = is_ok && ask(socket);
    }
    return false;
}

bool
sl_bench_calls_zmq(const struct sl_bench_calls *calls, struct sl_bench_called *ret_called)
{
    struct sl_bench_peer peer;
    struct sl_bench_clock clock;
    if (!open_zmq() || !sl_bench_peer_start(calls, serve, &peer))
        return false;
    sl_bench_clock_init(&clock, calls);
    void *ctx = zmq->ctx_new();
    void *socket = open_socket(calls, ctx, ZMQ_DEALER);
    bool is_ok = socket != NULL && zmq->connect(socket, peer.endpoint) == 0;
    is_ok = is_ok && run(calls, socket, &clock);
    if (socket != NULL)
        (void)zmq->close(socket);
    (void)zmq->ctx_term(ctx);
    sl_bench_peer_end(&peer);
    return sl_bench_clock_stop(&clock, ret_called) && is_ok;
}
