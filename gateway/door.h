/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door.h - what keeps a tenant's own keys out, though they are valid: the tenant is suspended, or
 * the caller's address is not one that the tenant allows. Most tenants have no door.
 */
#ifndef SL_GATEWAY_DOOR_H
#define SL_GATEWAY_DOOR_H

#include "gateway/cidr.h"
#include "runtime/buf.h"
#include "runtime/json.h"

#define SL_DOOR_RANGES_MAX 32

struct sl_door {
    bool is_suspended;
    uint32_t ranges_count; /* 0: any address. */
    struct sl_cidr ranges[SL_DOOR_RANGES_MAX];
};

static inline bool
sl_door_is_open(const struct sl_door *d)
{
    return !d->is_suspended && d->ranges_count == 0;
}

/* As the tenant's row says (state, security.ip_allowlist). SL_EINVAL: the list is none. */
SL_MUST_CHECK enum sl_err sl_door_read(struct sl_json tenant, struct sl_door *ret_door);
/* Whether the list allows it; text that is no address is allowed by no list. */
bool sl_door_has(const struct sl_door *d, struct sl_slice address);

void sl_door_write(const struct sl_door *d, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_door_read_bytes(struct sl_reader *r, struct sl_door *ret_door);

#endif
