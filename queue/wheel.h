/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h - which items are due when: a timing wheel of 1 ms whose horizon is 8,900 years.
 *
 * Eight levels of 64 lists. An item lies at the level of the highest digit (6 bits) in which its
 * time differs from the wheel's, so equal times always share a list, and it moves at most seven
 * times in its life, however far away it began. The links lie in the caller's items (list.h), so
 * that a waiting item costs its time and 8 bytes. Nothing ticks: `next` says when to look again.
 *
 * Order: by time, and within one millisecond exactly as inserted. What is inserted late goes behind
 * all that is due already.
 *
 * The time of an item must not change while it is inside. Times are of whatever clock the caller
 * passes, in milliseconds; those from 2^48 on are taken as 2^48 - 1. A clock that jumps ahead makes
 * due what it passed; after one that jumped back, nothing is lost, and sl_wheel_rewind sorts anew.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_WHEEL_H
#define SL_QUEUE_WHEEL_H

#include "queue/list.h"

#define SL_WHEEL_LEVELS 8
#define SL_WHEEL_SLOTS  64
#define SL_WHEEL_STEP   1024 /* Items that one call of sl_wheel_pop moves between lists at most. */

struct sl_wheel {
    uint64_t now_ms; /* All that is due by then is in the due list, or was popped. */
    uint64_t count;
    uint64_t is_filled[SL_WHEEL_LEVELS]; /* Bit: the list is not empty. */
    uint32_t opened;                     /* List being moved down, or none. */
    struct sl_link heads[SL_WHEEL_LEVELS * SL_WHEEL_SLOTS + 2]; /* Rings; then due, and a spare. */
};

/* In place, 4 KiB; there is nothing to free. */
void sl_wheel_init(struct sl_wheel *w, uint64_t now_ms);

/* `items` names the time beside the link (SL_TIMED_ITEMS). The item must not be inside. */
void sl_wheel_insert(struct sl_wheel *w, struct sl_items items, uint32_t item);

/* The item must be inside. */
void sl_wheel_remove(struct sl_wheel *w, struct sl_items items, uint32_t item);

/*
 * Take the next item that is due at now_ms. SL_NONE: none is, or none was found within one step of
 * work; then sl_wheel_next_ms is not past now_ms, and the caller decides when to go on.
 */
uint32_t sl_wheel_pop(struct sl_wheel *w, struct sl_items items, uint64_t now_ms);

/*
 * When to pop again: the time of the next item if that is within 64 ms of the wheel's, else a time
 * not after it, by which it has come closer. In the past: at once. UINT64_MAX: nothing is inside.
 */
uint64_t sl_wheel_next_ms(const struct sl_wheel *w);

/* Set the wheel to an earlier time, or any. Takes all items out and in again: 0.15 us each among
 * 10,000,000. */
void sl_wheel_rewind(struct sl_wheel *w, struct sl_items items, uint64_t now_ms);

#endif
