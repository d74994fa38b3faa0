/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_kind.h - the numbers of events (event.h), which are in the log: never reuse one.
 */
#ifndef SL_QUEUE_EVENT_KIND_H
#define SL_QUEUE_EVENT_KIND_H

enum sl_queue_event_kind {
    SL_QUEUE_ENQUEUE = 1,
    SL_QUEUE_DONE = 2,
    SL_QUEUE_RETRY = 3,
    SL_QUEUE_KILL = 4,
    SL_QUEUE_CANCEL = 5,
    SL_QUEUE_FORGET = 6,
    SL_QUEUE_PUT = 7,
    SL_QUEUE_EDIT = 8,
    SL_QUEUE_REDRIVE = 9,
    SL_QUEUE_MOVE = 10,
    SL_QUEUE_CANCEL_TASK = 11,
    SL_QUEUE_EXPIRE_TASK = 12,
    SL_QUEUE_FORGET_TASK = 13,
    SL_QUEUE_LANE = 14,
    SL_QUEUE_DROP_KEYS = 15,
    SL_QUEUE_DROP_LANE = 16,
    SL_QUEUE_PURGE = 17,
    SL_QUEUE_LINES = 18
};

#endif
