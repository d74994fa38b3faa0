/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_homes.h - tenants whose tasks go to nodes of their own (home.h), as far as the
 * dispatcher has met them: by a node that joined, or by a task. Their queues are apart
 * (queue/apart.h) while their level says so, which is looked at again now and then. Part of the
 * dispatcher actor.
 */
#ifndef SL_ACTORS_DISPATCH_HOMES_H
#define SL_ACTORS_DISPATCH_HOMES_H

#include "queue/apart.h"
#include "runtime/store.h"

struct sl_dispatch_homes {
    uint64_t *scopes; /* Never forgotten: a number for each such tenant since the start. */
    uint32_t count;
    bool has_moved; /* Some are apart that were not, or the reverse, since the last look. */
};

void sl_dispatch_homes_deinit(struct sl_dispatch_homes *h);
/* From now on this tenant's level is looked at, and at once. */
void sl_dispatch_homes_meet(struct sl_dispatch_homes *h, struct sl_store *store,
                            struct sl_queue *queue, uint64_t scope);
/* Look at all of them. True: since the last look tasks of some go to other nodes than before, so
 * what is parked may be parked for the wrong ones. */
bool sl_dispatch_homes_look(struct sl_dispatch_homes *h, struct sl_store *store,
                            struct sl_queue *queue);

#endif
