/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_waits.h - calls that wait until a tenant's own queue has jobs: who of them is next when
 * something became of the queue.
 *
 *     add --> waiting --touch--> ready --take--> (gone)
 *                `-------- remove --'-----------> (gone)
 *
 * One is made ready for each thing that happened, the one that waits longest; it looks, and may
 * wait again. Pure state. Threading: one owner.
 */
#ifndef SL_GATEWAY_QUEUE_WAITS_H
#define SL_GATEWAY_QUEUE_WAITS_H

#include "runtime/catalogue.h"

struct sl_queue_waits;

struct sl_queue_wait {
    uint64_t serial; /* Names it; the caller's. */
    struct sl_scope scope;
    uint64_t lane; /* sl_lane_hash of the queue's name. */
};

struct sl_queue_waits *sl_queue_waits_create(void);
void sl_queue_waits_destroy(struct sl_queue_waits **waits); /* NULL inside is fine. */

void sl_queue_waits_add(struct sl_queue_waits *w, const struct sl_queue_wait *wait);
void sl_queue_waits_remove(struct sl_queue_waits *w, const struct sl_queue_wait *wait);
/* Something became of a queue: one of those that wait for it is ready; with `is_all`, each. True if
 * any is, and none was before: whoever takes them is to be told. */
bool sl_queue_waits_touch(struct sl_queue_waits *w, struct sl_scope scope, uint64_t lane,
                          bool is_all);
/* All that wait, whatever for. As above. */
bool sl_queue_waits_touch_all(struct sl_queue_waits *w);
/* The next that is ready; false: none is. */
bool sl_queue_waits_take(struct sl_queue_waits *w, uint64_t *ret_serial);
uint32_t sl_queue_waits_count(const struct sl_queue_waits *w);

#endif
