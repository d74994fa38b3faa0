/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_socket.h - ZeroMQ beneath link.h: sockets, their certificates, who may connect, and what
 * happens to their connections. With link.c and cert.c all that speaks to that library.
 * Threading: as link.h.
 */
#ifndef SL_RUNTIME_LINK_SOCKET_H
#define SL_RUNTIME_LINK_SOCKET_H

#include "runtime/cert.h"
#include "runtime/link.h"

#define SL_LINK_IDENTITY_SIZE 13 /* A letter (0 is ZeroMQ's own), the node and its boot. */

/* What all sockets of one sl_links share. */
struct sl_link_net {
    void *context;
    uint8_t identity[SL_LINK_IDENTITY_SIZE];
    uint64_t beat_ns, dead_ns; /* Of tcp. */
    bool is_secured, is_insecure;
    struct sl_cert cert;
    char server_key[SL_CERT_KEY_SIZE];
    char *allowed;
    void *auth; /* Answers ZeroMQ's questions who may connect; NULL: no certificates. */
    char refused_keys[16][SL_CERT_KEY_SIZE]; /* Told of already. */
    uint32_t refused_keys_count;
    uint32_t monitors_count;
};

void sl_link_net_init(struct sl_link_net *n, uint32_t node, uint64_t boot);
void sl_link_net_deinit(struct sl_link_net *n); /* After all its sockets were closed. */
SL_MUST_CHECK enum sl_err sl_link_net_secure(struct sl_link_net *n,
                                             const struct sl_link_security *security);

bool sl_link_is_tcp(const char *endpoint);
/* SL_EINVAL: no endpoint. SL_EDENIED: tcp without certificates. SL_EBUSY, SL_ENOTFOUND, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_link_bind(struct sl_link_net *n, const char *endpoint,
                                       void **ret_socket);
SL_MUST_CHECK enum sl_err sl_link_dial(struct sl_link_net *n, const char *endpoint,
                                       void **ret_socket);
/* Connect again: ZeroMQ does so after a broken connection, not after a refusal. */
void sl_link_redial(void *socket, const char *endpoint);
void sl_link_identity(uint32_t node, uint64_t boot, uint8_t *ret_identity);

int sl_link_fd(void *socket);
int sl_link_events(void *socket); /* ZMQ_POLLIN | ZMQ_POLLOUT */
bool sl_link_is_last_part(void *socket);
void sl_link_drop_parts(void *socket);

/* ---- beside the sockets -------------------------------------------------------------------- */

/* A socket that tells of another's connections; NULL: it cannot be had. */
void *sl_link_monitor(struct sl_link_net *n, void *socket);

enum sl_link_change { SL_LINK_LOST, SL_LINK_UNAUTHORISED, SL_LINK_MISMATCH };
/* The next thing that happened; false: nothing. */
bool sl_link_monitor_take(void *monitor, enum sl_link_change *ret_change);

/* Answer who asks to connect; *ret_refused grows by those who may not. */
void sl_link_net_authorise(struct sl_link_net *n, uint64_t *ret_refused);

#endif
