/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_id.h - what an object is called: its tenant, and either a name that somebody chose or the
 * SHA-256 of its bytes. The kind is part of the id, so no content can pass for a name.
 */
#ifndef SL_OBJECT_STORE_OBJECT_ID_H
#define SL_OBJECT_STORE_OBJECT_ID_H

#include "runtime/base.h"
#include "runtime/hash.h"

enum sl_object_kind { SL_OBJECT_NAMED = 1, SL_OBJECT_CONTENT = 2 }; /* Stored: not to change. */

#define SL_OBJECT_NAME_SIZE_MAX 1024

struct sl_object_id {
    uint64_t tenant;
    uint64_t kind;                                   /* enum sl_object_kind */
    uint64_t key[SL_SHA256_SIZE / sizeof(uint64_t)]; /* A digest: its bits are even. */
};

/* SL_EINVAL: an empty name. SL_ETOOBIG: one over SL_OBJECT_NAME_SIZE_MAX bytes. */
SL_MUST_CHECK enum sl_err sl_object_id_named(uint64_t tenant, struct sl_slice name,
                                             struct sl_object_id *ret_id);
void sl_object_id_content(uint64_t tenant, struct sl_slice content, struct sl_object_id *ret_id);

bool sl_object_id_is_sound(const struct sl_object_id *id); /* What a peer sent: a known kind. */
bool sl_object_id_equal(const struct sl_object_id *a, const struct sl_object_id *b);

#endif
