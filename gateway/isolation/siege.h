/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/siege.h - have the spawner fork a process of the tenant's and two of a neighbour's, and
 * hear what these got.
 *
 * Threading: begin on the store's thread; run on one that may wait; end anywhere behind it.
 */
#ifndef SL_GATEWAY_ISOLATION_SIEGE_H
#define SL_GATEWAY_ISOLATION_SIEGE_H

#include "gateway/isolation.h"

struct sl_live;

enum sl_siege_role { SL_SIEGE_VICTIM, SL_SIEGE_ATTACKER, SL_SIEGE_GLUTTON, SL_SIEGE_ROLES };

/* Numbers of tenants that nobody has: their uids are the neighbour's. */
#define SL_SIEGE_NEIGHBOUR (SL_SANDBOX_UID_COUNT - 1)
#define SL_SIEGE_GREEDY    (SL_SANDBOX_UID_COUNT - 2)

struct sl_siege_options {     /* Borrowed for begin, strings are copied. */
    struct sl_live *live;     /* Whose spawner forks, and takes a probe's fd. */
    uint64_t tenant;          /* 0: replicas are shared, of tenants at level logical. */
    struct sl_slice settings; /* sl_replica_settings as JSON. */
    uint64_t memory_bytes;    /* Of them. */
    const char *data;         /* The data directory, absolute. */
    const char *socket;       /* The head's; NULL: none. */
    const char *api;          /* Where the API listens, "ADDRESS:PORT". */
};

struct sl_siege {
    int ours[SL_SIEGE_ROLES]; /* -1: closed. */
    char *data, *socket, *api;
    uint64_t memory_bytes, until_ns;
};

/* SL_EFULL: no descriptors. SL_ETOOBIG: the settings. On an error nothing is to be ended. */
SL_MUST_CHECK enum sl_err sl_siege_begin(const struct sl_siege_options *options,
                                         struct sl_siege *ret_siege);
/* Wait for the processes, tell them of each other, and take down what comes. What does not come in
 * time stays untried. */
void sl_siege_run(struct sl_siege *siege, struct sl_isolation *found);
/* The processes end by it. Zeroed is not fine; twice is. */
void sl_siege_end(struct sl_siege *siege);

#endif
