/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_policy.h - what whoever submits may say about a concurrency key (key.h).
 */
#ifndef SL_QUEUE_KEY_POLICY_H
#define SL_QUEUE_KEY_POLICY_H

#include "queue/bucket.h"

#define SL_KEYS_PER_TASK_MAX 4

/* What becomes of a submit, or of others, when as many tasks as may run name the key already. */
enum sl_key_policy {
    SL_KEY_QUEUE,              /* It waits. */
    SL_KEY_CANCEL_IN_PROGRESS, /* It runs; the oldest are cancelled to make room. */
    SL_KEY_CANCEL_NEWEST,      /* It is refused. */
    SL_KEY_REPLACE_QUEUED,     /* One waits beyond the limit: it takes the place of that one. */
    SL_KEY_POLICY_COUNT
};

#endif
