/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_stream.h - the bytes of a large object on their way from a process to the store, in memory
 * that both map and that is small enough for the processor's caches: the process copies in while
 * the store copies out, into memory of its own that was touched before. So no other process ever
 * may write where objects lie, and new pages are taken once rather than for each object.
 *
 *            head page                                       data
 *    | written | taken | is_asleep | is_waiting | is_void |  ... taken ^ bytes ^ written ...
 *
 * Both only grow, over all objects that go through. The store believes nothing that it reads here,
 * and keeps `taken` for itself. Bytes may change until it has copied them: they are the process's.
 *
 * Threading: one writer, in one process, and one taker, the store, beside it.
 */
#ifndef SL_OBJECT_STORE_OBJECT_STREAM_H
#define SL_OBJECT_STORE_OBJECT_STREAM_H

#include "object-store/shared_memory.h"

#define SL_OBJECT_STREAM_BYTES (4 * SL_MIB)
#define SL_OBJECT_STREAM_PART  (256 * SL_KIB) /* What is copied in before it counts. */

struct sl_object_stream { /* Of either side. */
    struct sl_shared memory;
    uint64_t at; /* The taker's `taken`, or the writer's `written`. */
};

/* ---- the store's side ---------------------------------------------------------------------- */
/* SL_ENOMEM, SL_EFULL. Its file is to be sent to one process. */
SL_MUST_CHECK enum sl_err sl_object_stream_create(struct sl_object_stream *ret_stream);
/* Forget what is there: an object begins. */
void sl_object_stream_restart(struct sl_object_stream *s);
/* Bytes that are there, in one piece of at most `size_max`, until they are passed. SL_EBUSY: there
 * are none. SL_ECORRUPT: it is no stream. */
SL_MUST_CHECK enum sl_err sl_object_stream_look(struct sl_object_stream *s, uint64_t size_max,
                                                struct sl_slice *ret_bytes);
void sl_object_stream_pass(struct sl_object_stream *s, uint64_t size); /* The writer may wake. */
/* Say that nobody needs the rest: the writer is to ask why. */
void sl_object_stream_refuse(struct sl_object_stream *s);
/* Say whether we sleep: then the writer is to wake us. After saying so, look once more. */
void sl_object_stream_sleep(struct sl_object_stream *s, bool is_asleep);
/* Let go of its memory, of which the writer has only the address left. */
void sl_object_stream_give_back(struct sl_object_stream *s);

/* ---- the process's ------------------------------------------------------------------------- */
/* `fd` is borrowed. SL_EINVAL: it is no stream. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_stream_attach(int fd, struct sl_object_stream *ret_stream);
/* Write the first of `bytes`, as many as there is room for, at most a part. SL_EBUSY: there is none
 * now. SL_ECANCELED: the store wants no more. *ret_wake: it sleeps. */
SL_MUST_CHECK enum sl_err sl_object_stream_write(struct sl_object_stream *s, struct sl_slice bytes,
                                                 size_t *ret_size, bool *ret_wake);
/* Sleep until half of it is free, the store wants no more, or so long. */
void sl_object_stream_wait(struct sl_object_stream *s, uint64_t timeout_ns);

void sl_object_stream_deinit(struct sl_object_stream *s); /* Zeroed is fine. */

#endif
