/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cidr.h"

#include <arpa/inet.h>

#define MAPPED_BITS 96 /* Before an address of IPv4. */

static enum sl_err
parse(struct sl_slice text, uint8_t *ret_address, bool *ret_is_v4)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof(copy) || memchr(text.data, '\0', text.size) != NULL)
        return SL_EINVAL;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *ret_is_v4 = strchr(copy, ':') == NULL;
    if (!*ret_is_v4)
        return inet_pton(AF_INET6, copy, ret_address) == 1 ? SL_OK : SL_EINVAL;
    memcpy(ret_address, mapped, sizeof(mapped));
    return inet_pton(AF_INET, copy, ret_address + sizeof(mapped)) == 1 ? SL_OK : SL_EINVAL;
}

enum sl_err
sl_address_parse(struct sl_slice text, uint8_t ret_address[static SL_ADDRESS_SIZE])
{
    bool is_v4;
    return parse(text, ret_address, &is_v4);
}

/* Whether the first `bits` of both are the same. */
static bool
is_prefix(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
    uint8_t mask = (uint8_t)(0xff00u >> bits % 8);
    return memcmp(a, b, bits / 8) == 0 &&
           (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

static bool
has_bits_behind(const struct sl_cidr *range)
{
    for (uint32_t bit = range->bits; bit < 8 * SL_ADDRESS_SIZE; bit++)
        if (range->address[bit / 8] & (0x80u >> bit % 8))
            return true;
    return false;
}

/* Up to three digits, no sign, no leading zero but "0". */
static bool
read_bits(struct sl_slice text, uint32_t max, uint32_t *ret_bits)
{
    uint32_t bits = 0;
    if (text.size == 0 || text.size > 3 || (text.size > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        bits = bits * 10 + (uint32_t)(text.data[i] - '0');
    }
    *ret_bits = bits;
    return bits <= max;
}

enum sl_err
sl_cidr_parse(struct sl_slice text, struct sl_cidr *ret_range)
{
    const uint8_t *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
    size_t size = slash == NULL ? text.size : (size_t)(slash - text.data);
    struct sl_cidr range;
    bool is_v4;
    if (parse(sl_slice(text.data, size), range.address, &is_v4) != SL_OK)
        return SL_EINVAL;
    uint32_t bits = is_v4 ? 32 : 128;
    if (slash != NULL && !read_bits(sl_slice(slash + 1, text.size - size - 1), bits, &bits))
        return SL_EINVAL;
    range.bits = (uint8_t)(is_v4 ? bits + MAPPED_BITS : bits);
    if (has_bits_behind(&range))
        return SL_EINVAL;
    *ret_range = range;
    return SL_OK;
}

bool
sl_cidr_has(const struct sl_cidr *range, const uint8_t address[static SL_ADDRESS_SIZE])
{
    return is_prefix(range->address, address, range->bits);
}
