/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_ring.h - small objects on their way from a process to the store, in memory that both map:
 * the process does not wait for the store, nor the store for the process.
 *
 *            head page                         data, a power of two
 *    | written | read | is_asleep |  record | record | record | (free) ... | skip |
 *                                             ^ read                 ^ written, both ever growing
 *
 * A record lies in one piece. It counts once `written` is past it, so that who dies while it writes
 * has written nothing. The store believes nothing that it reads here: it copies, then checks, and
 * keeps `read` for itself. Whoever writes what no writer would is told apart by SL_ECORRUPT.
 *
 * Threading: one writer, in one process, and one taker, the store, beside it.
 */
#ifndef SL_OBJECT_STORE_OBJECT_RING_H
#define SL_OBJECT_STORE_OBJECT_RING_H

#include "object-store/object_id.h"
#include "object-store/shared_memory.h"
#include "runtime/buf.h"

#define SL_OBJECT_RING_BYTES     (128 * SL_KIB)
#define SL_OBJECT_RING_BYTES_MAX (16 * SL_KIB) /* Of one object. */

struct sl_object_ring { /* Of either side. */
    struct sl_shared memory;
    uint64_t at; /* The taker's `read`, or the writer's `written`. */
};

struct sl_object_handed {
    struct sl_object_id id; /* Of no tenant. */
    uint64_t rebuild_ns;
    struct sl_slice bytes; /* Of the taker's own copy: until the next take. */
};

/* ---- the store's side ---------------------------------------------------------------------- */
/* SL_ENOMEM, SL_EFULL. Its file is to be sent to one process. */
SL_MUST_CHECK enum sl_err sl_object_ring_create(struct sl_object_ring *ret_ring);
/* The next object, copied to `scratch`. SL_EBUSY: none is there. SL_ECORRUPT: it is no ring. */
SL_MUST_CHECK enum sl_err sl_object_ring_take(struct sl_object_ring *r, struct sl_buf *scratch,
                                              struct sl_object_handed *ret_handed);
/* Say whether we sleep: then the writer is to wake us. After saying so, look once more. */
void sl_object_ring_sleep(struct sl_object_ring *r, bool is_asleep);

/* ---- the process's ------------------------------------------------------------------------- */
/* `fd` is borrowed. SL_EINVAL: it is no ring. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_ring_attach(int fd, struct sl_object_ring *ret_ring);
/* SL_EBUSY: there is no room now. SL_EINVAL: no bytes. SL_ETOOBIG. *ret_wake: the store sleeps. */
SL_MUST_CHECK enum sl_err sl_object_ring_hand(struct sl_object_ring *r,
                                              const struct sl_object_handed *handed,
                                              bool *ret_wake);

void sl_object_ring_deinit(struct sl_object_ring *r); /* Zeroed is fine. */

#endif
