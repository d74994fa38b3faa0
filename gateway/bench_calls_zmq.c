/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same calls between bare libzmq sockets: a DEALER that asks and a ROUTER that answers, one
 * frame a call. libzmq is opened by name, as a yardstick: the runtime's own use of it is not the
 * gateway's business.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/bench_calls.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define ZMQ_LIBRARY "libzmq.so.5"
/* As libzmq's header has them: part of its ABI. */
enum {
    ZMQ_DEALER = 5,
    ZMQ_ROUTER = 6,
    ZMQ_LINGER = 17,
    ZMQ_SNDHWM = 23,
    ZMQ_RCVHWM = 24,
    ZMQ_LAST_ENDPOINT = 32,
    ZMQ_CURVE_SERVER = 47,
    ZMQ_CURVE_PUBLICKEY = 48,
    ZMQ_CURVE_SECRETKEY = 49,
    ZMQ_CURVE_SERVERKEY = 50,
    KEY_SIZE = 41
};

static struct zmq {
    void *(*ctx_new)(void);
    int (*ctx_term)(void *ctx);
    void *(*socket)(void *ctx, int type);
    int (*close)(void *socket);
    int (*bind)(void *socket, const char *address);
    int (*connect)(void *socket, const char *address);
    int (*send)(void *socket, const void *bytes, size_t size, int flags);
    int (*recv)(void *socket, void *bytes, size_t size, int flags);
    int (*setsockopt)(void *socket, int option, const void *value, size_t size);
    int (*getsockopt)(void *socket, int option, void *value, size_t *size);
    int (*curve_keypair)(char *public_key, char *secret_key);
} zmq;

static struct keys {
    char public_key[KEY_SIZE], secret_key[KEY_SIZE];
} server_keys, client_keys;

/* A pointer to a function out of a pointer to data: POSIX says it may be copied so. */
static bool
find(void *library, const char *name, void *ret_function)
{
    void *found = dlsym(library, name);
    memcpy(ret_function, &found, sizeof(found));
    return found != NULL;
}

static bool
open_zmq(void)
{
    void *library = zmq.ctx_new != NULL ? NULL : dlopen(ZMQ_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return zmq.ctx_new != NULL;
    return find(library, "zmq_ctx_term", &zmq.ctx_term) &&
           find(library, "zmq_socket", &zmq.socket) && find(library, "zmq_close", &zmq.close) &&
           find(library, "zmq_bind", &zmq.bind) && find(library, "zmq_connect", &zmq.connect) &&
           find(library, "zmq_send", &zmq.send) && find(library, "zmq_recv", &zmq.recv) &&
           find(library, "zmq_setsockopt", &zmq.setsockopt) &&
           find(library, "zmq_getsockopt", &zmq.getsockopt) &&
           find(library, "zmq_curve_keypair", &zmq.curve_keypair) &&
           find(library, "zmq_ctx_new", &zmq.ctx_new) &&
           zmq.curve_keypair(server_keys.public_key, server_keys.secret_key) == 0 &&
           zmq.curve_keypair(client_keys.public_key, client_keys.secret_key) == 0;
}

static bool
set(void *socket, int option, const void *value, size_t size)
{
    return zmq.setsockopt(socket, option, value, size) == 0;
}

static void *
open_socket(const struct sl_bench_calls *calls, void *ctx, int type)
{
    static const int none = 0, one = 1;
    bool is_server = type == ZMQ_ROUTER;
    const struct keys *own = is_server ? &server_keys : &client_keys;
    void *socket = zmq.socket(ctx, type);
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
    void *socket = open_socket(calls, zmq.ctx_new(), ZMQ_ROUTER);
    char *endpoint = calls->is_tcp ? sl_strdup("tcp://127.0.0.1:*")
                                   : sl_format("ipc://%s/zmq", calls->directory);
    if (socket == NULL || zmq.bind(socket, endpoint) != 0 ||
        zmq.getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &bound_size) != 0)
        return;
    (void)dprintf(out, "%s\n", bound);
    close(out);
    for (;;) {
        int size = zmq.recv(socket, identity, sizeof(identity), 0);
        int body = zmq.recv(socket, bytes, sizeof(bytes), 0);
        if (size < 0 || body < 0)
            return;
        (void)zmq.send(socket, identity, (size_t)size, 2 /* ZMQ_SNDMORE */);
        (void)zmq.send(socket, bytes, (size_t)body, 0);
    }
}

static bool
ask(void *socket)
{
    uint8_t bytes[SL_BENCH_CALL_BYTES] = {0};
    uint64_t now_ns = sl_time_mono_ns();
    memcpy(bytes, &now_ns, sizeof(now_ns));
    return zmq.send(socket, bytes, sizeof(bytes), 0) == (int)sizeof(bytes);
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
        is_ok = zmq.recv(socket, bytes, sizeof(bytes), 0) == (int)sizeof(bytes);
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
    void *ctx = zmq.ctx_new();
    void *socket = open_socket(calls, ctx, ZMQ_DEALER);
    bool is_ok = socket != NULL && zmq.connect(socket, peer.endpoint) == 0;
    is_ok = is_ok && run(calls, socket, &clock);
    if (socket != NULL)
        (void)zmq.close(socket);
    (void)zmq.ctx_term(ctx);
    sl_bench_peer_end(&peer);
    return sl_bench_clock_stop(&clock, ret_called) && is_ok;
}
