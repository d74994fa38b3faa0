/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h - what crashes and failed requests leave in the data directory, removed at each start:
 * model uploads that were not finished, models without a row, blobs that no object names.
 *
 * Called once, after the store is open and before anything serves: nobody writes meanwhile, so a
 * file without a row is garbage, and no reference counts are needed.
 */
#ifndef SL_GATEWAY_SWEEP_H
#define SL_GATEWAY_SWEEP_H

#include "gateway/gateway.h"

/* Rows of objects that a start looks through at most: with more, blobs stay until a start with
 * fewer. About a second. Only when there are blobs at all. */
#define SL_SWEEP_SOURCES_MAX 500000

struct sl_sweep {
    uint32_t unpacked; /* Unfinished uploads. */
    uint32_t models;
    uint32_t incoming; /* Presigned uploads that expired, or whose row is gone. */
    uint64_t blobs;
    bool are_blobs_skipped; /* Too many objects, or the blobs could not be listed. */
};

/* A failure to remove something leaves it for the next start. */
struct sl_sweep sl_gateway_sweep(struct sl_gateway *g, uint64_t sources_max);

#endif
