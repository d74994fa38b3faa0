/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - kinds of queue events, as they stand in the log. Never reuse a number.
 *
 *   version u8 | kind u8 | fields, little endian
 *   ENQUEUE  job 16 bytes | class u8 | priority u8 | created_ms u64 | not_before_ms u64 |
 *            each task: size u32, payload; until the end
 *   DONE     task u64                 DEAD    task u64
 *   RETRY    task u64 | not_before_ms u64 | attempts u32 | crashes u32
 *   CANCEL   job 16 bytes             FORGET  job 16 bytes
 */
#ifndef SL_QUEUE_EVENT_H
#define SL_QUEUE_EVENT_H

#define SL_QUEUE_EVENT_VERSION 1

enum sl_queue_event_kind {
    SL_QUEUE_ENQUEUE = 1,
    SL_QUEUE_DONE = 2,
    SL_QUEUE_RETRY = 3,
    SL_QUEUE_DEAD = 4,
    SL_QUEUE_CANCEL = 5,
    SL_QUEUE_FORGET = 6
};

#endif
