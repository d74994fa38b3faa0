/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_report.h - what a replica tells of itself now and then: its memory, and its batches since it
 * is there. Part of the agent actor. It is what a plugin's process says, and nothing is decided by
 * it.
 */
#ifndef SL_ACTORS_POOL_REPORT_H
#define SL_ACTORS_POOL_REPORT_H

#include "runtime/json.h"

struct sl_msg;
struct sl_pool;

struct sl_pool_report { /* Zeroed: it has told nothing. */
    uint64_t resident_bytes, private_bytes, host_bytes, device_bytes;
    uint64_t batches, items, units;
};

/* A replica_report of a replica of one of SL_POOLS_MAX pools; of another it is nothing. */
void sl_pool_report_take(struct sl_pool *pools, const struct sl_msg *msg);
/* Members of a replica's object: memory and batches. */
void sl_pool_report_write(const struct sl_pool_report *report, struct sl_jsonw *w);

#endif
