/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bodies.h - how many bytes of each of the log's segments are bodies that somebody still needs.
 * A segment without any can go. Threading: one owner.
 */
#ifndef SL_QUEUE_BODIES_H
#define SL_QUEUE_BODIES_H

#include "runtime/base.h"
#include "runtime/log.h"

/* Bytes in the log: a payload, a result, or why something failed. Their crc32c lies before them. */
struct sl_body {
    struct sl_log_at at; /* Of the first byte. */
    uint32_t size;       /* 0: there is none. */
};

struct sl_bodies {
    uint64_t *bytes; /* Of segment first + i. */
    uint32_t first, count, capacity;
    uint64_t total;
};

void sl_bodies_deinit(struct sl_bodies *b); /* Zeroed is fine. */
void sl_bodies_add(struct sl_bodies *b, struct sl_body body);
void sl_bodies_remove(struct sl_bodies *b, struct sl_body body); /* It was added. */
uint64_t sl_bodies_held(const struct sl_bodies *b, uint32_t segment);

#endif
