/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_parking.h - tasks that no node may take just now because of the labels that they ask
 * for. The dispatcher holds their leases itself, so that they keep nothing else of their lane from
 * running; they wait here, first come first served, for a node that fits and has room.
 *
 * At most SL_PARKED_MAX in all. Threading: one owner.
 */
#ifndef SL_ACTORS_DISPATCH_PARKING_H
#define SL_ACTORS_DISPATCH_PARKING_H

#include "runtime/base.h"
#include "runtime/json.h"

#define SL_PARKED_MAX 65536

struct sl_parked {
    uint64_t task_id, epoch; /* Its lease, which may be over by now. */
};

/* Those of one class that ask for the same: a ring. */
struct sl_parking_lot {
    struct sl_json asked;
    uint32_t class;
    struct sl_parked *parked;
    uint32_t first, count, capacity; /* capacity: 0 or a power of two. */
};

struct sl_parking {
    struct sl_parking_lot *lots;
    uint32_t lots_count;
    uint32_t count;
};

void sl_parking_deinit(struct sl_parking *p);
/* `asked` outlives the parking, and equal views are equal lots. False: it is full. */
bool sl_parking_add(struct sl_parking *p, struct sl_json asked, uint32_t class,
                    struct sl_parked task);
/* The next task for a node with these labels that takes these classes (bits); false: none. */
bool sl_parking_take(struct sl_parking *p, struct sl_json has, uint64_t classes,
                     struct sl_parked *ret_task);
/* Forget those that are not what they were. */
void sl_parking_sweep(struct sl_parking *p, bool (*is_live)(void *arg, struct sl_parked task),
                      void *arg);

#endif
