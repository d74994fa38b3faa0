/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_reader.h - read a tenant's objects in place, from another process than the store's.
 *
 *   attach --> add_segment, ... --> get --> (read) --> release --> ... --> detach
 *
 * Get and release make no system call and take no lock; the store does not run for them. What get
 * gave stays as it is until it is released, whatever becomes of the object. Should the
 * store die, what is mapped stays readable.
 *
 * Threading: get and release of one reader on any threads at once; add_segment and trim on one at a
 * time, beside them; detach after all.
 */
#ifndef SL_OBJECT_STORE_ARENA_READER_H
#define SL_OBJECT_STORE_ARENA_READER_H

#include "object-store/object_id.h"

struct sl_object_reader;

/* What the store granted; the descriptors are borrowed, and may be closed afterwards. SL_EINVAL: no
 * such files. SL_EVERSION. SL_ECORRUPT: an index that cannot be one. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_reader_attach(int index_fd, int pins_fd,
                                                  struct sl_object_reader **ret_reader);
void sl_object_reader_detach(struct sl_object_reader **reader); /* NULL inside is fine. */

/* Map a segment as the store sent it, in its `life`. SL_EINVAL: no such file. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_reader_add_segment(struct sl_object_reader *r, uint32_t segment,
                                                       uint64_t life, int fd);
/* Unmap the segments that the store has given back. How many. */
uint32_t sl_object_reader_trim(struct sl_object_reader *r);

struct sl_object_arena_ref {
    struct sl_slice bytes;
    uint32_t slot;    /* Of the pin. */
    uint32_t segment; /* With SL_EUNAVAIL: what to map. */
};
/*
 * Pin an object. SL_ENOTFOUND: it is not in the arena now. SL_EUNAVAIL: its segment is not mapped
 * here, or not any more; ask the store for ret_ref->segment and try again. SL_EFULL: all pins are
 * taken. SL_EBUSY: the store stopped in the middle of a change. SL_ECORRUPT: an entry that points
 * nowhere. SL_ESTALE: the store has dismissed us. SL_EINVAL: the id. Only with SL_OK is there
 * something to release.
 */
SL_MUST_CHECK enum sl_err sl_object_reader_get(struct sl_object_reader *r,
                                               const struct sl_object_id *id,
                                               struct sl_object_arena_ref *ret_ref);
void sl_object_reader_release(struct sl_object_reader *r, struct sl_object_arena_ref *ref);

uint64_t sl_object_reader_tenant(const struct sl_object_reader *r);
uint32_t sl_object_reader_pins(const struct sl_object_reader *r); /* Held now, by all threads. */

#endif
