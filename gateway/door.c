/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/door.h"

enum sl_err
sl_door_read(struct sl_json tenant, struct sl_door *ret_door)
{
    struct sl_json list = sl_json_member(sl_json_member(tenant, "security"), "ip_allowlist");
    /* Whoever is not there yet, or is leaving, is kept out as well. */
    struct sl_json state = sl_json_member(tenant, "state");
    struct sl_door d = {.is_suspended = sl_json_has(state) && !sl_json_is(state, "active")};
    struct sl_buf scratch = {0};
    enum sl_err err = SL_OK;
    if (sl_json_has(list) && sl_json_kind(list) != SL_JSON_ARRAY)
        return SL_EINVAL;
    for (struct sl_json_iter i = sl_json_iter(list); err == SL_OK && sl_json_next(&i);) {
        struct sl_slice text;
        sl_buf_clear(&scratch);
        err = d.ranges_count == SL_DOOR_RANGES_MAX ? SL_EINVAL
                                                   : sl_json_text(i.value, &scratch, &text);
        if (err == SL_OK)
            err = sl_cidr_parse(text, &d.ranges[d.ranges_count++]);
    }
    sl_buf_deinit(&scratch);
    if (err == SL_OK)
        *ret_door = d;
    return err;
}

bool
sl_door_has(const struct sl_door *d, struct sl_slice address)
{
    uint8_t bytes[SL_ADDRESS_SIZE];
    if (d->ranges_count == 0)
        return true;
    if (sl_address_parse(address, bytes) != SL_OK)
        return false;
    for (uint32_t i = 0; i < d->ranges_count; i++)
        if (sl_cidr_has(&d->ranges[i], bytes))
            return true;
    return false;
}

void
sl_door_write(const struct sl_door *d, struct sl_buf *out)
{
    sl_buf_append_u8(out, d->is_suspended);
    sl_buf_append_u8(out, (uint8_t)d->ranges_count);
    for (uint32_t i = 0; i < d->ranges_count; i++) {
        sl_buf_append(out, d->ranges[i].address, SL_ADDRESS_SIZE);
        sl_buf_append_u8(out, d->ranges[i].bits);
    }
}

enum sl_err
sl_door_read_bytes(struct sl_reader *r, struct sl_door *ret_door)
{
    struct sl_door d = {0};
    uint8_t suspended = sl_read_u8(r);
    d.is_suspended = suspended != 0;
    d.ranges_count = sl_read_u8(r);
    if (r->is_bad || suspended > 1 || d.ranges_count > SL_DOOR_RANGES_MAX)
        return SL_ECORRUPT;
    for (uint32_t i = 0; i < d.ranges_count; i++) {
        struct sl_slice address = sl_read_bytes(r, SL_ADDRESS_SIZE);
        if (r->is_bad)
            return SL_ECORRUPT;
        memcpy(d.ranges[i].address, address.data, SL_ADDRESS_SIZE);
        d.ranges[i].bits = sl_read_u8(r);
        if (r->is_bad || d.ranges[i].bits > 8 * SL_ADDRESS_SIZE)
            return SL_ECORRUPT;
    }
    *ret_door = d;
    return SL_OK;
}
