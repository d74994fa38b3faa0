/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - messages between two processes of a machine through memory that they share: a ring
 * (ring.h) each way, and a bell (a socket each, of one pair) that is rung only when a reader
 * sleeps.
 *
 *   create: three descriptors --> one process opens them as ASKER, another as WORKER
 *
 * A channel has no path and no name: who was not given its descriptors cannot find it. The memory's
 * size is sealed, so neither end can take it away under the other. Each end trusts nothing that the
 * other writes: what is no message of those that it takes is SL_ECORRUPT. Nor do the ends share an
 * open file: whatever one does to its socket, the other's calls never block.
 *
 * Who gives an ASKER's end no more than SL_CHANNEL_CALLS_MAX requests that are not answered, each
 * with at most one that cancels it, finds room for all of them, and the WORKER for all answers.
 *
 * Threading: each end on one thread.
 */
#ifndef SL_RUNTIME_CHANNEL_H
#define SL_RUNTIME_CHANNEL_H

#include "runtime/message.h"

#define SL_CHANNEL_FDS         3 /* The memory, the worker's socket, the asker's. */
#define SL_CHANNEL_CALLS_MAX   8u
#define SL_CHANNEL_REQUEST_MAX (12 * SL_KIB) /* Of one message, as it is sent. */
#define SL_CHANNEL_ANSWER_MAX  (24 * SL_KIB) /* The same. */

enum sl_channel_end { SL_CHANNEL_ASKER, SL_CHANNEL_WORKER };

struct sl_channel;

/* The caller closes the descriptors. SL_ENOMEM, SL_EFULL: the kernel gives none. */
SL_MUST_CHECK enum sl_err sl_channel_create(int ret_fds[static SL_CHANNEL_FDS]);

/* Takes the descriptors, in any case. SL_ECORRUPT: they are no channel's. */
SL_MUST_CHECK enum sl_err sl_channel_open(enum sl_channel_end end,
                                          const int fds[static SL_CHANNEL_FDS],
                                          struct sl_channel **ret_channel);
void sl_channel_close(struct sl_channel **channel); /* NULL inside is fine. */

/* The message stays the caller's. SL_ETOOBIG, SL_EFULL: it goes another way. SL_ECORRUPT: the other
   end is not to be trusted. */
SL_MUST_CHECK enum sl_err sl_channel_send(struct sl_channel *channel, const struct sl_msg *msg);
/* The next message, the caller's; of any type that this process knows. SL_ENOTFOUND: none now.
   SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_channel_receive(struct sl_channel *channel, struct sl_msg **ret_msg);
bool sl_channel_has_news(const struct sl_channel *channel);

/* Before this end sleeps on its bell; false: something has come. And when it is awake again. */
bool sl_channel_doze(struct sl_channel *channel);
void sl_channel_rouse(struct sl_channel *channel);
/* Readable once the other end has rung, until it is hushed: whenever it was found so, even late.
   Borrowed. */
int sl_channel_bell(const struct sl_channel *channel);
/* SL_EUNAVAIL: the other end is closed, or rings no more; what it has written can still be read.
   SL_ECORRUPT: it has rung more often than anybody slept. After either the bell is for nothing: it
   may be readable for ever. */
SL_MUST_CHECK enum sl_err sl_channel_hush(struct sl_channel *channel);

#endif
