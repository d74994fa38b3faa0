/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/zmq.h - libzmq as a yardstick of benchmarks. It is opened by name: the runtime's own use of
 * it is not the gateway's business.
 */
#ifndef SL_GATEWAY_BENCH_ZMQ_H
#define SL_GATEWAY_BENCH_ZMQ_H

#include <stddef.h>

/* As libzmq's header has them: part of its ABI. */
enum {
    ZMQ_PAIR = 0,
    ZMQ_SNDMORE = 2,
    ZMQ_DEALER = 5,
    ZMQ_ROUTER = 6,
    ZMQ_LINGER = 17,
    ZMQ_SNDHWM = 23,
    ZMQ_RCVHWM = 24,
    ZMQ_LAST_ENDPOINT = 32,
    ZMQ_CURVE_SERVER = 47,
    ZMQ_CURVE_PUBLICKEY = 48,
    ZMQ_CURVE_SECRETKEY = 49,
    ZMQ_CURVE_SERVERKEY = 50
};

struct sl_bench_zmq {
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
};

/* Opened by the first call, for good; one thread. NULL: there is none, or it lacks something. */
const struct sl_bench_zmq *sl_bench_zmq_lookup(void);

#endif
