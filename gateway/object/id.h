/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_id.h - ids of objects: "obj_" and 12 characters of [a-z0-9].
 *
 * They are the keys of rows. Were each drawn alone, each new object would change another page of
 * the catalogue, and a commit of 6,000 objects would write 6,000 pages. So a tenant's come in
 * blocks: 9 characters of chance, which the objects of a block share, and 3 that go through all
 * they can be in steps of chance. Nobody can guess an id without knowing one of the same tenant,
 * and ids of one block never meet; that two blocks are the same is rarer than that two ids of 12
 * characters are.
 *
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_OBJECT_ID_H
#define SL_GATEWAY_OBJECT_ID_H

#include "runtime/base.h"
#include "runtime/catalogue.h"

#define SL_OBJECT_ID_SIZE  17 /* With the NUL. */
#define SL_OBJECT_ID_BLOCK 9
#define SL_OBJECT_ID_SLOTS 64

struct sl_object_ids { /* Zeroed: no block is begun. */
    struct sl_object_id_block {
        uint64_t scope; /* Tenants that share a slot take it from each other. */
        char text[SL_OBJECT_ID_BLOCK + 1];
        uint32_t at, step, left;
    } blocks[SL_OBJECT_ID_SLOTS];
};

/* The next id for an object of that tenant. */
void sl_object_id_next(struct sl_object_ids *ids, struct sl_scope scope,
                       char ret_id[static SL_OBJECT_ID_SIZE]);

#endif
