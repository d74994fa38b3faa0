/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_id.h"

enum sl_err
sl_object_id_named(uint64_t tenant, struct sl_slice name, struct sl_object_id *ret_id)
{
    sl_assert(ret_id != NULL);
    if (name.size == 0)
        return SL_EINVAL;
    if (name.size > SL_OBJECT_NAME_SIZE_MAX)
        return SL_ETOOBIG;
    sl_object_id_content(tenant, name, ret_id);
    ret_id->kind = SL_OBJECT_NAMED;
    return SL_OK;
}

void
sl_object_id_content(uint64_t tenant, struct sl_slice content, struct sl_object_id *ret_id)
{
    sl_assert(ret_id != NULL);
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(content, digest);
    *ret_id = (struct sl_object_id){.tenant = tenant, .kind = SL_OBJECT_CONTENT};
    memcpy(ret_id->key, digest, sizeof(digest));
}

bool
sl_object_id_is_sound(const struct sl_object_id *id)
{
    return id->kind == SL_OBJECT_NAMED || id->kind == SL_OBJECT_CONTENT;
}

bool
sl_object_id_equal(const struct sl_object_id *a, const struct sl_object_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
