/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_parking.h - tasks that no node may take just now because of the labels that they ask
 * for, at any node or at those of one tenant alone. The dispatcher holds their leases itself, so
 * that they keep nothing else of their lane from running; they wait here, first come first served,
 * for a node that fits and has room.
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

/* What they need: equal views are equal labels; home: see home.h. */
struct sl_parking_need {
    struct sl_json asked;
    uint64_t home;
    uint32_t class;
};

/* Those that need the same: a ring. */
struct sl_parking_lot {
    struct sl_parking_need need;
    struct sl_parked *parked;
    uint32_t first, count, capacity; /* capacity: 0 or a power of two. */
};

struct sl_parking {
    struct sl_parking_lot *lots;
    uint32_t lots_count;
    uint32_t count;
};

void sl_parking_deinit(struct sl_parking *p);
/* What is asked outlives the parking. False: it is full. */
bool sl_parking_add(struct sl_parking *p, const struct sl_parking_need *need,
                    struct sl_parked task);
/* What a node has, that takes these classes (bits). */
struct sl_parking_offer {
    struct sl_json has;
    uint64_t taint, classes;
};
/* The next task for it; false: none. */
bool sl_parking_take(struct sl_parking *p, const struct sl_parking_offer *offer,
                     struct sl_parked *ret_task);
/* Forget those that are not what they were. */
void sl_parking_sweep(struct sl_parking *p, bool (*is_live)(void *arg, struct sl_parked task),
                      void *arg);

#endif
