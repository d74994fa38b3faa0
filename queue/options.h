/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what few tasks have: a time to expire, an idempotency key, concurrency keys, and how
 * those follow it from state to state; only for the queue's own files.
 *
 * Idempotency keys are durable, so events alone take and free them: that a task was leased frees
 * none in the table. Who looks a key up sees that its task runs (submit.h). Concurrency keys count
 * who runs, so after a restart each task that has not ended joins its keys anew.
 *
 * Threading: one owner.
 */
#ifndef SL_QUEUE_OPTIONS_H
#define SL_QUEUE_OPTIONS_H

#include "queue/index.h"
#include "queue/put_options.h"
#include "queue/task.h"

/* Those that may expire, by number of their extra. */
static inline struct sl_items
sl_options_items(const struct sl_queue *q)
{
    return SL_TIMED_ITEMS(q->extras, struct sl_extra, link, expires_ms);
}

/* Whether a new task, named in options.key, may have them: false only for a key that cannot be. */
bool sl_options_may_have(const struct sl_queue *q, const struct sl_put_options *options);
/* Give them to a new task, which is in no state yet. */
void sl_options_give(struct sl_queue *q, uint32_t slot, const struct sl_put_options *options);

/*
 * A task with an extra was `from`, and its state is by now to->state, or it is about to go with all
 * it has. True: it has concurrency keys, and others may have been woken: sl_options_wake, once it
 * is where it belongs.
 */
bool sl_options_follow(struct sl_queue *q, uint32_t slot, enum sl_state from,
                       const struct sl_become *to);
void sl_options_wake(struct sl_queue *q);
/* Its idempotency key is free, unless another has it by now. */
void sl_options_take_key(struct sl_queue *q, uint32_t slot);
/* The same for one of a snapshot, in its place. */
void sl_options_restored(struct sl_queue *q, uint32_t slot);
/* Once tasks and keys are there: which task has which. False: they do not fit. */
bool sl_options_restore_keys(struct sl_queue *q);

/* Whether a QUEUED one may run now, and so takes its place at its keys; otherwise it has to wait,
 * BLOCKED, until there is room or it expires. */
bool sl_options_may_begin(struct sl_queue *q, uint32_t slot, uint64_t now_ms);
/* Wake those for whom there is a token; take room back that nobody took. When next. */
void sl_options_tick(struct sl_queue *q, uint64_t now_ns);
uint64_t sl_options_next_ns(const struct sl_queue *q);

#endif
