/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_zmq.h - links between machines: ZeroMQ over tcp, encrypted, with certificates (CURVE).
 *
 * A listener is a ROUTER, a call a DEALER whose routing id is its node and boot. With cert.c all
 * that speaks to that library. Threading: as link.h.
 */
#ifndef SL_RUNTIME_LINK_ZMQ_H
#define SL_RUNTIME_LINK_ZMQ_H

#include "runtime/cert.h"
#include "runtime/link.h"
#include "runtime/link_carrier.h"

/* What all ports of one sl_links share. */
struct sl_link_net {
    void *context; /* NULL: nothing was opened yet. */
    struct sl_link_name self;
    uint64_t beat_ns, dead_ns;
    bool is_secured, is_insecure;
    struct sl_cert cert;
    char server_key[SL_CERT_KEY_SIZE];
    char *allowed;
    void *auth; /* Answers ZeroMQ's questions who may connect; NULL: no certificates. */
    char refused_keys[16][SL_CERT_KEY_SIZE]; /* Told of already. */
    uint32_t refused_keys_count;
    uint32_t monitors_count;
};

void sl_link_net_init(struct sl_link_net *n, struct sl_link_name self);
void sl_link_net_deinit(struct sl_link_net *n); /* After all its ports were closed. */
SL_MUST_CHECK enum sl_err sl_link_net_secure(struct sl_link_net *n,
                                             const struct sl_link_security *security);
/* Answer who asks to connect; *ret_refused grows by those who may not. */
void sl_link_net_authorise(struct sl_link_net *n, uint64_t *ret_refused);
int sl_link_net_fd(const struct sl_link_net *n); /* Readable: somebody asks. -1: nobody can. */

/* "tcp://host:port". SL_EINVAL: no endpoint. SL_EDENIED: no certificates. SL_EBUSY, SL_ENOTFOUND,
 * SL_EIO. */
SL_MUST_CHECK enum sl_err sl_link_zmq_listen(struct sl_link_net *n, const char *endpoint,
                                             struct sl_link_port **ret_port);
SL_MUST_CHECK enum sl_err sl_link_zmq_call(struct sl_link_net *n, const char *endpoint,
                                           struct sl_link_port **ret_port);

#endif
