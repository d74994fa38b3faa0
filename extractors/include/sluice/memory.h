/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - what a plugin tells of memory that it manages itself, so that people see it beside
 * what the system knows of its process. Part of extractor.h, whose rules on growth, ownership and
 * threading hold here. Nothing is decided by it.
 */
#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_memory_kind {
    SLUICE_MEMORY_HOST = 0,  /* Caches and arenas, of the process's own memory. */
    SLUICE_MEMORY_DEVICE = 1 /* On GPUs, which the system counts for no process. */
};

/* "memory.v1" */
struct sluice_memory_v1 {
    uint32_t size;
    void *self;
    /* The plugin holds so many bytes of a kind now, in place of what it said before. 0; -1: there
     * is no such kind. */
    int (*report)(void *self, int kind, uint64_t bytes);
};

#ifdef __cplusplus
}
#endif

#endif
