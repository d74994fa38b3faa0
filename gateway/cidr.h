/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cidr.h - addresses of the network and ranges of them: "10.0.0.0/8", "2001:db8::/32", "127.0.0.1".
 * Those of IPv4 are taken as IPv6 maps them, so that a listener of both kinds needs one rule.
 */
#ifndef SL_GATEWAY_CIDR_H
#define SL_GATEWAY_CIDR_H

#include "runtime/base.h"

#define SL_ADDRESS_SIZE 16

struct sl_cidr {
    uint8_t address[SL_ADDRESS_SIZE];
    uint8_t bits; /* 0 to 128. */
};

/* SL_EINVAL: no address, or none of the network. */
SL_MUST_CHECK enum sl_err sl_address_parse(struct sl_slice text,
                                           uint8_t ret_address[static SL_ADDRESS_SIZE]);
/* SL_EINVAL: none, or an address with bits behind the range's, as 10.0.0.1/8. */
SL_MUST_CHECK enum sl_err sl_cidr_parse(struct sl_slice text, struct sl_cidr *ret_range);
bool sl_cidr_has(const struct sl_cidr *range, const uint8_t address[static SL_ADDRESS_SIZE]);

#endif
