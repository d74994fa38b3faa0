/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put_options.h - what PUT says beside place, time and payload, by groups, as event.h has it; only
 * for the queue's own files. Few tasks have any: none costs a byte.
 */
#ifndef SL_QUEUE_PUT_OPTIONS_H
#define SL_QUEUE_PUT_OPTIONS_H

#include "queue/event.h"
#include "queue/key.h"
#include "runtime/catalogue.h"

#define SL_PUT_USUAL  1 /* When it expires, how long it is kept, its retries. */
#define SL_PUT_KEY    2 /* Its idempotency key. */
#define SL_PUT_LIMITS 4 /* Its concurrency keys. */

struct sl_put_options {
    uint8_t groups; /* SL_PUT_*; what is below is read of a group that is there, or 0. */
    uint64_t expires_ms, retain_ms;
    struct sl_slice policy; /* Borrowed from the event. */
    struct sl_dedup_entry key;
    uint32_t limits_count;
    struct sl_key_spec limits[SL_KEYS_PER_TASK_MAX];
};

void sl_put_options_encode(const struct sl_task_put *p, struct sl_buf *out);
/* With groups 0 nothing else is written. False, or r->is_bad: they cannot be. */
bool sl_put_options_decode(struct sl_reader *r, struct sl_scope scope, struct sl_put_options *ret);

void sl_put_limits_encode(const struct sl_key_spec *limits, uint32_t count, struct sl_buf *out);
/* Into ret_limits[SL_KEYS_PER_TASK_MAX]; how many. 0 with r->is_bad: they do not pass. */
uint32_t sl_put_limits_decode(struct sl_reader *r, struct sl_scope scope,
                              struct sl_key_spec *ret_limits);

#endif
