/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h - bytes that the replicas of one tenant on one machine share: what one of them has made
 * with effort, the others read in place. Part of extractor.h, whose rules on growth, ownership and
 * threading hold here.
 *
 *            begin          (fill)  seal            get, release           remove, evicted
 *   (absent) -----> draft ---------------> object <------------> ... --------------------->
 * (absent) put: all in one
 *
 * An object has a name that somebody chose, or the SHA-256 of its bytes. It never changes. No call
 * reaches another tenant's objects: none has a way to say whose. Any object may be gone the next
 * time it is asked for (see rebuild_ns), so whoever gets objects must be able to do without.
 */
#ifndef SLUICE_OBJECTS_H
#define SLUICE_OBJECTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A flag of struct sluice_extractor: create fails without "objects.v1". Then each tenant has
 * replicas of its own, which work for it alone. */
#define SLUICE_EXTRACTOR_NEEDS_OBJECTS (UINT64_C(1) << 2)

/* What the calls below return. A later host may know more: those are failures, too. */
enum sluice_object_status {
    SLUICE_OBJECT_OK = 0,
    SLUICE_OBJECT_ABSENT = 1,  /* No such object. */
    SLUICE_OBJECT_EXISTS = 2,  /* The id is taken. For equal bytes that is as good as done. */
    SLUICE_OBJECT_FULL = 3,    /* No room: the tenant's quota, the machine, or too many are held. */
    SLUICE_OBJECT_AWAY = 4,    /* The store does not answer, or could not read it back. */
    SLUICE_OBJECT_REFUSED = 5, /* What was passed is at fault: an id, a size, a handle. */
};

#define SLUICE_OBJECT_DIGEST_BYTES   32
#define SLUICE_OBJECT_NAME_BYTES_MAX 1024
#define SLUICE_OBJECT_KEEP           UINT64_MAX /* As rebuild_ns: it cannot be made again. */
#define SLUICE_OBJECTS_HELD_MAX      240        /* Got and begun at a time, together. */

struct sluice_object_id {
    uint32_t size;
    uint32_t name_bytes; /* 1 to SLUICE_OBJECT_NAME_BYTES_MAX; 0: see digest. */
    const void *name;
    const uint8_t *digest; /* SHA-256 of its bytes, where it has no name. It is checked. */
};

/* An object that is held: read only, 64-byte aligned. */
struct sluice_object {
    uint32_t size;
    uint32_t handle;
    const void *data;
    uint64_t data_bytes;
};

/* An object that is being made: to be written by its maker alone. */
struct sluice_object_draft {
    uint32_t size;
    uint32_t handle;
    void *data; /* Zeroes. */
    uint64_t data_bytes;
};

/*
 * "objects.v1": absent where replicas work for several tenants, unless the plugin has
 * SLUICE_EXTRACTOR_NEEDS_OBJECTS. Calls return an enum sluice_object_status and fill *ret, whose
 * size must be set, only with OK. `rebuild_ns`: what it takes to make the object again, in ns of
 * one core; what is cheap for its size goes first when room is needed.
 */
struct sluice_objects_v1 {
    uint32_t size;
    void *self;
    /* Hold an object: its bytes stay as they are until it is released, or destroy returns. */
    int (*get)(void *self, const struct sluice_object_id *id, struct sluice_object *ret);
    int (*release)(void *self, const struct sluice_object *object);
    /* Copies 1 byte or more. */
    int (*put)(void *self, const struct sluice_object_id *id, const void *data, uint64_t data_bytes,
               uint64_t rebuild_ns);
    /* Fill it in place: worth it above 64 KiB. Seal and discard end the draft, whatever they
     * return.
     */
    int (*begin)(void *self, uint64_t data_bytes, struct sluice_object_draft *ret);
    int (*seal)(void *self, const struct sluice_object_draft *draft,
                const struct sluice_object_id *id, uint64_t rebuild_ns);
    int (*discard)(void *self, const struct sluice_object_draft *draft);
    /* Nobody finds it any more; who holds it goes on reading. */
    int (*remove)(void *self, const struct sluice_object_id *id);
    /* As put, but it does not wait for the store where the bytes are few (16 KiB): what becomes of
     * them nobody says. A get of this process finds them, if there was room. */
    int (*hand)(void *self, const struct sluice_object_id *id, const void *data,
                uint64_t data_bytes, uint64_t rebuild_ns);
    /* The SHA-256 of bytes, into SLUICE_OBJECT_DIGEST_BYTES. */
    void (*digest)(void *self, const void *data, uint64_t data_bytes, uint8_t *ret);
};

#ifdef __cplusplus
}
#endif

#endif
