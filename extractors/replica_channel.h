/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_channel.h - a replica's end of the channel (runtime/channel.h) by which the head's router
 * sends it calls past its agent. Its messages are those of replica.def. Part of the replica; on the
 * thread that has its links.
 */
#ifndef SL_EXTRACTORS_REPLICA_CHANNEL_H
#define SL_EXTRACTORS_REPLICA_CHANNEL_H

#include "extractors/replica.h"
#include "runtime/channel.h"

struct sl_replica_channel {
    struct sl_channel *channel; /* NULL: there is none. */
    bool is_dozing, has_rung;
};

/* Take the child's last descriptors, if they are a channel's. Before it is confined. */
void sl_replica_channel_open(struct sl_replica_channel *c, const struct sl_child *child);
void sl_replica_channel_close(struct sl_replica_channel *c);
/* How many of the child's descriptors are not the channel's. */
uint32_t sl_replica_channel_others(const struct sl_child *child);

/* The next message, the caller's; NULL: none. It is known by sl_replica_channel_is. A channel that
   is no good is used no more. */
struct sl_msg *sl_replica_channel_receive(struct sl_replica_channel *c);
/* Whether it came this way; its answer goes the same. */
bool sl_replica_channel_is(const struct sl_msg *msg);
void sl_replica_channel_answer(struct sl_replica_channel *c, const struct sl_m_processed *answer);

/* What to poll for beside links; -1: nothing. False: something has come, do not sleep. */
bool sl_replica_channel_doze(struct sl_replica_channel *c, int *ret_fd);
void sl_replica_channel_rouse(struct sl_replica_channel *c, bool has_rung);

#endif
