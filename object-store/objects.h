/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h - all objects of a node: an arena for each tenant, made at its first object; large ones
 * in memory files of their own, which are used again; what memory has no room for on the disk.
 * Quotas of tenants and the limit of the node are kept here.
 *
 *              begin            seal                      evict (can be made again), delete
 *   (absent) --------> draft ---------> in memory ------------------------------------> (absent)
 *               abort                    |   ^
 *                                  spill |   | find
 *                                        v   |
 *                                      on the disk
 *
 * A put that finds no room first drops objects of that tenant that can be made again, if its quota
 * is used up, then, where the node is full, memory that waits to be used again, empty segments and
 * large objects of anybody that no process holds; what cannot be made again is spilled rather than
 * dropped; in the end it is refused.
 *
 * Threading: one owner. Puts may block on the disk while they spill, finds while they read back.
 */
#ifndef SL_OBJECT_STORE_OBJECTS_H
#define SL_OBJECT_STORE_OBJECTS_H

#include "object-store/arena.h"

#define SL_OBJECTS_TENANTS_MAX 1024u

struct sl_objects;

struct sl_objects_options {
    uint64_t node_bytes_max;     /* Memory of all: segments, indexes, large objects. */
    uint64_t tenant_bytes_max;   /* The quota of a tenant that has none: bytes of its objects. */
    uint32_t apart_max;          /* Large and spilled objects together; 0: 4096. */
    const char *spill_directory; /* NULL: nothing is spilled. */
    uint64_t spill_bytes_max;
    struct sl_object_arena_options arena; /* Of each: step, objects, pins, seed; the rest is set. */
};

/* SL_EIO, SL_ENOTFOUND, SL_EDENIED: the directory. */
SL_MUST_CHECK enum sl_err sl_objects_create(const struct sl_objects_options *options,
                                            struct sl_objects **ret_objects);
void sl_objects_destroy(struct sl_objects **objects); /* NULL inside is fine. */

/* SL_EFULL: too many tenants. What is over a smaller quota stays until something is put. */
SL_MUST_CHECK enum sl_err sl_objects_quota(struct sl_objects *o, uint64_t tenant, uint64_t bytes);

struct sl_objects_draft {
    uint8_t *data; /* To be filled. What was there is old bytes of the same tenant's, or zero. */
    uint64_t size_bytes;
    uint64_t tenant;
    uint64_t added_bytes;
    bool is_large, is_recycled; /* Recycled: in memory of an object that is gone. */
    struct sl_object_arena_draft small;
    struct sl_shared large;
    struct sl_shared_taking taking;
};
/* SL_EINVAL: no bytes. SL_EFULL: the quota, or the node. SL_ENOMEM: the machine has none. */
SL_MUST_CHECK enum sl_err sl_objects_begin(struct sl_objects *o, uint64_t tenant,
                                           uint64_t size_bytes, struct sl_objects_draft *ret_draft);
/* The same for bytes that come in parts, each added behind the others: so new memory is taken in
 * parts, too, and none of it takes long. `data` is not for the caller. */
SL_MUST_CHECK enum sl_err sl_objects_begin_parts(struct sl_objects *o, uint64_t tenant,
                                                 uint64_t size_bytes,
                                                 struct sl_objects_draft *ret_draft);
/* No more than are missing. SL_ENOMEM: none was added, and it is to be aborted. */
SL_MUST_CHECK enum sl_err sl_objects_add(struct sl_objects *o, struct sl_objects_draft *draft,
                                         struct sl_slice bytes);
void sl_objects_abort(struct sl_objects *o, struct sl_objects_draft *draft);
/* SL_EEXIST, SL_EFULL, SL_ENOMEM: it is a draft still. SL_EINVAL: the id. */
SL_MUST_CHECK enum sl_err sl_objects_seal(struct sl_objects *o, struct sl_objects_draft *draft,
                                          const struct sl_object_id *id, uint64_t rebuild_ns);
SL_MUST_CHECK enum sl_err sl_objects_put(struct sl_objects *o, const struct sl_object_id *id,
                                         struct sl_slice bytes, uint64_t rebuild_ns);
/* Take a file that another process filled and sealed, without a copy. SL_EINVAL: it is not sealed,
 * or the id is no digest of it where it should be. Others as above. `fd` is borrowed. */
SL_MUST_CHECK enum sl_err sl_objects_adopt(struct sl_objects *o, const struct sl_object_id *id,
                                           int fd, uint64_t rebuild_ns);

struct sl_objects_found {
    struct sl_slice bytes; /* Borrowed until the next call that changes something. */
    int fd;                /* Of a large one, borrowed; -1: it is in the tenant's arena. */
};
/* What was spilled is read back. SL_ENOTFOUND. SL_EFULL, SL_ENOMEM: there is no room for it now.
 * SL_EIO, SL_ECORRUPT: it cannot be read back. */
SL_MUST_CHECK enum sl_err sl_objects_find(struct sl_objects *o, const struct sl_object_id *id,
                                          struct sl_objects_found *ret_found);
/* Whether it is there, in memory or on the disk. */
bool sl_objects_has(const struct sl_objects *o, const struct sl_object_id *id);
/* A process maps a large object: it is not evicted until it is dropped as often. SL_ENOTFOUND. */
SL_MUST_CHECK enum sl_err sl_objects_hold(struct sl_objects *o, const struct sl_object_id *id,
                                          uint32_t *ret_hold);
void sl_objects_let_go(struct sl_objects *o, uint32_t hold);
SL_MUST_CHECK enum sl_err sl_objects_delete(struct sl_objects *o, const struct sl_object_id *id);

/* The tenant's arena, made if there is none. SL_EFULL, SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_objects_arena(struct sl_objects *o, uint64_t tenant,
                                           struct sl_object_arena **ret_arena);
/* Borrowed. False: it has none yet, so no small objects. */
bool sl_objects_arena_lookup(const struct sl_objects *o, uint64_t tenant,
                             struct sl_object_arena **ret_arena);
/* Give empty segments back and free what is deleted and unpinned, now and then. What came free. */
uint64_t sl_objects_tidy(struct sl_objects *o);
/* Once a second: give back memory of large objects that no new one has wanted for some time
 * (large_pool.h). What is kept still. */
uint64_t sl_objects_cool(struct sl_objects *o);

struct sl_objects_stats {
    uint64_t memory_bytes, spilled_bytes;
    uint32_t tenants, large, spilled, holds;
    uint64_t evicted;                 /* Large ones, ever; those of arenas count for themselves. */
    uint64_t large_bytes, pool_bytes; /* Pool: of large ones that are gone, for the next. */
    uint64_t spills;                  /* Large ones, ever; the same. */
    struct sl_object_arena_stats arenas; /* Of all of them together. */
};
void sl_objects_measure(const struct sl_objects *o, struct sl_objects_stats *ret_stats);
uint64_t sl_objects_used(struct sl_objects *o, uint64_t tenant); /* Of its quota. */

#endif
