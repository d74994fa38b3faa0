/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_memory.h - the memory of this process, as the system counts it. Part of the replica.
 */
#ifndef SL_EXTRACTORS_REPLICA_MEMORY_H
#define SL_EXTRACTORS_REPLICA_MEMORY_H

#include "runtime/base.h"

struct sl_replica_memory { /* In bytes. */
    uint64_t resident;     /* Weights and inputs that it maps included. */
    uint64_t private;      /* Of these: of no file, nor shared with others. */
};

/* SL_EUNAVAIL: the system does not say. */
SL_MUST_CHECK enum sl_err sl_replica_memory_read(struct sl_replica_memory *ret);

#endif
