/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_wire.h - messages of the broker (queue.def), and how items lie in their bytes, one behind
 * the other, little endian. A *block* is size u32 and bytes.
 *
 *   put      flags u8 (bit 0 options, 1 key, 2 limits) | priority u8 |
 *            options: delay ms u64, expires ms u64, retain ms u64, policy block |
 *            key: mode u64, window ms u64, max ms u64, name block |
 *            limits: count u8, each: limit u64, policy u64, rate's count u32, burst u32,
 *            period ns u64, name block | payload block
 *   end      task u64 | epoch u64 | kind u8 | served ns u64 |
 *            of all kinds but done: after ms u64, class block, signal u32, peak u64 |
 *            bytes block
 *   lease    task u64 | epoch u64 | attempts, crashes, snoozes u32 | created ms u64 | payload block
 *   result   of a put: err u8, state u8, flags u8 (1 it was there, 2 replaced), task u64; of an end
 * or a beat: err u8
 *
 * What is read is borrowed from the bytes. Flags that are not known are refused: an option that is
 * dropped would be a promise that is broken.
 */
#ifndef SL_ACTORS_QUEUE_WIRE_H
#define SL_ACTORS_QUEUE_WIRE_H

#include "actors/cluster.h"
#include "queue/backend.h"

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "actors/queue.def"
#undef MESSAGE
#undef F

enum sl_queue_message {
    SL_QUEUE_FIRST = (SL_PROTOCOL_QUEUE << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "actors/queue.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_queue;

void sl_wire_put(struct sl_buf *out, const struct sl_put_item *item);
bool sl_wire_put_read(struct sl_reader *r, struct sl_put_item *ret_item);
void sl_wire_end(struct sl_buf *out, const struct sl_end_item *item);
bool sl_wire_end_read(struct sl_reader *r, struct sl_end_item *ret_item);
/* Of a lease: what is named above; all else is zeroes. */
void sl_wire_lease(struct sl_buf *out, const struct sl_lease *lease);
bool sl_wire_lease_read(struct sl_reader *r, struct sl_lease *ret_lease);
void sl_wire_result(struct sl_buf *out, const struct sl_put_result *result);
bool sl_wire_result_read(struct sl_reader *r, struct sl_put_result *ret_result);
/* SL_EBUG: what is there is no error. */
enum sl_err sl_wire_err_read(struct sl_reader *r);

#endif
