/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - the actor that serves tenants' own queues to other processes: it puts, leases and ends
 * for them by a backend (queue/backend.h), and pushes leases to workers that want some.
 *
 * A worker is the actor of a node. It wants leases of a queue, so many at a time: what it may hold
 * unasked is its credit, which each lease lessens and each end may raise. Leases go to the workers
 * of a queue in turn. They are void when they are not extended, and when their node is gone.
 *
 * Whoever may link to the head may name any scope: these processes belong to the cluster, like
 * workers and gateways. Tenants come by HTTP.
 */
#ifndef SL_ACTORS_BROKER_H
#define SL_ACTORS_BROKER_H

#include "actors/queue_wire.h"

#define SL_BROKER_CREDIT_MAX   65536
#define SL_BROKER_WORKERS_MAX  65536               /* That want leases, once for each queue. */
#define SL_BROKER_LEASE_NS     (15 * SL_SECOND_NS) /* Where a worker names no duration. */
#define SL_BROKER_LEASE_NS_MAX (24 * 3600 * SL_SECOND_NS)

struct sl_broker_options {
    struct sl_queue *queue; /* Borrowed. */
    uint8_t projection;     /* Its number in the store. */
};

extern const struct sl_actor_class sl_broker_class; /* Its argument: struct sl_broker_options. */

/* Since the start; workers: now. */
struct sl_broker_counts {
    uint64_t put, leased, ended, stale, malformed;
    uint32_t workers;
};
void sl_broker_counts(const void *broker, struct sl_broker_counts *ret_counts);

#endif
