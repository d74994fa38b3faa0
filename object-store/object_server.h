/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_server.h - the store's end of its clients' sockets. There is nothing to connect to: who
 * starts a process makes a socket pair (AF_UNIX, SOCK_SEQPACKET), admits one end here for a tenant
 * and gives the process the other. When that closes, however the process ended, its pins and holds
 * are taken back.
 *
 * A client that does not read its replies, or sends what no client would, is dropped: it gets
 * nothing any more, and what it had pinned may be used again, so whoever started it must end it and
 * hears of it (sl_object_server_tell).
 * Threading: one owner, that of the objects. It never waits for a client; it may for the disk.
 */
#ifndef SL_OBJECT_STORE_OBJECT_SERVER_H
#define SL_OBJECT_STORE_OBJECT_SERVER_H

#include "object-store/objects.h"

#define SL_OBJECT_CLIENTS_MAX 1024u
#define SL_OBJECT_HOLDS_MAX   256u /* Large objects that one client maps at a time. */
#define SL_OBJECT_RINGS_MAX   256u /* Clients beyond put by messages alone. */
#define SL_OBJECT_STREAMS_MAX 8u   /* Large puts at a time; others come as files. */

struct sl_object_server;

/* `objects` is borrowed and must outlive it. SL_EFULL: no descriptor is free. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_server_create(struct sl_objects *objects,
                                                  struct sl_object_server **ret_server);
void sl_object_server_destroy(struct sl_object_server **server); /* NULL inside is fine. */

/* Have `dropped` called, within a turn, with the tag of each client that is dropped. */
void sl_object_server_tell(struct sl_object_server *s, void (*dropped)(void *arg, uint64_t tag),
                           void *arg);

/* Who asks for a model. */
struct sl_object_want {
    uint64_t tag;          /* The client's. */
    uint64_t ticket;       /* What the answer names; never 0. */
    struct sl_slice model; /* What the client takes for its id. Borrowed for the call. */
};
/*
 * Have `wanted` called, within a turn, when a client asks for a model: whoever keeps models then
 * answers with sl_object_server_give, any time. Where nobody does, clients hear SL_EUNAVAIL.
 */
void sl_object_server_lend(struct sl_object_server *s,
                           void (*wanted)(void *arg, const struct sl_object_want *want), void *arg);
struct sl_object_given {
    uint64_t ticket;
    enum sl_err err;
    int fd; /* Borrowed. -1: there is an error. */
    uint64_t size_bytes;
    struct sl_slice text; /* Why; what is beyond SL_OBJECT_TEXT_MAX is left out. */
};
/* Nothing happens where the client has ended, or has asked for another since. */
void sl_object_server_give(struct sl_object_server *s, const struct sl_object_given *given);

struct sl_object_peer {
    uint64_t tenant;
    uint64_t tag; /* Whatever its starter knows it by. */
};
/* Takes `fd` over, also on error. SL_EFULL: SL_OBJECT_CLIENTS_MAX. */
SL_MUST_CHECK enum sl_err sl_object_server_admit(struct sl_object_server *s, int fd,
                                                 const struct sl_object_peer *peer);
int sl_object_server_fd(const struct sl_object_server *s); /* Readable: a turn has work. */
/* Answer a message of each client that has sent one, take what was handed over in rings and a part
 * of each large object that comes, and see who is gone. How many of all that. */
uint32_t sl_object_server_turn(struct sl_object_server *s);
/* Give back the memory that large puts came through, of those that are not under way. */
void sl_object_server_tidy(struct sl_object_server *s);
/*
 * Whether clients that hand something over are to wake us, by the descriptor above; at first they
 * are. Who says so gives another turn before it sleeps.
 */
void sl_object_server_sleep(struct sl_object_server *s, bool is_asleep);

struct sl_object_server_stats {
    uint32_t clients;
    uint64_t asks, dropped; /* Ever; dropped: clients that misbehaved. */
    uint64_t pins, holds;   /* Taken back from clients that ended, ever. */
    uint64_t handed, lost;  /* In rings, ever; lost: not put, because they could not be. */
    uint64_t models;        /* Given, ever. */
};
void sl_object_server_measure(const struct sl_object_server *s,
                              struct sl_object_server_stats *ret_stats);

#endif
