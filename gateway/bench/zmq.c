/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/zmq.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define LIBRARY "libzmq.so.5"

/* A pointer to a function out of a pointer to data: POSIX says it may be copied so. */
static bool
find(void *library, const char *name, void *ret_function)
{
    void *found = dlsym(library, name);
    memcpy(ret_function, &found, sizeof(found));
    return found != NULL;
}

const struct sl_bench_zmq *
sl_bench_zmq_lookup(void)
{
    static struct sl_bench_zmq zmq;
    static bool is_open;
    void *library = is_open ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL)
        is_open = find(library, "zmq_ctx_new", &zmq.ctx_new) &&
                  find(library, "zmq_ctx_term", &zmq.ctx_term) &&
                  find(library, "zmq_socket", &zmq.socket) &&
                  find(library, "zmq_close", &zmq.close) && find(library, "zmq_bind", &zmq.bind) &&
                  find(library, "zmq_connect", &zmq.connect) &&
                  find(library, "zmq_send", &zmq.send) && find(library, "zmq_recv", &zmq.recv) &&
                  find(library, "zmq_setsockopt", &zmq.setsockopt) &&
                  find(library, "zmq_getsockopt", &zmq.getsockopt) &&
                  find(library, "zmq_curve_keypair", &zmq.curve_keypair);
    return is_open ? &zmq : NULL;
}
