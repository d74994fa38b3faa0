/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses are of the public internet: IANA's special-purpose registries, read as a list of
 * what to refuse for IPv4, and of what to allow for IPv6 (2000::/3 is all there is).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "gateway/fetch.h"

#define V4(a, b, c) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8)

static bool
is_public_v4(uint32_t address)
{
    static const struct {
        uint32_t net, bits;
    } refused[] = {
        {V4(0, 0, 0), 8},      {V4(10, 0, 0), 8},     {V4(100, 64, 0), 10}, {V4(127, 0, 0), 8},
        {V4(169, 254, 0), 16}, {V4(172, 16, 0), 12},  {V4(192, 0, 0), 24},  {V4(192, 0, 2), 24},
        {V4(192, 88, 99), 24}, {V4(192, 168, 0), 16}, {V4(198, 18, 0), 15}, {V4(198, 51, 100), 24},
        {V4(203, 0, 113), 24}, {V4(224, 0, 0), 4},    {V4(240, 0, 0), 4},
    };
    for (size_t i = 0; i < SL_COUNT_OF(refused); i++) {
        if ((address ^ refused[i].net) >> (32 - refused[i].bits) == 0)
            return false;
    }
    return true;
}

static uint32_t
v4_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool
is_public_v6(const uint8_t a[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, sizeof(mapped)) == 0 || memcmp(a, nat64, sizeof(nat64)) == 0)
        return is_public_v4(v4_at(a + 12));
    if ((a[0] & 0xe0) != 0x20)
        return false;
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return is_public_v4(v4_at(a + 2));
    if (a[0] == 0x20 && a[1] == 0x01 && (a[2] & 0xfe) == 0) /* Protocols; Teredo among them. */
        return false;
    bool is_documentation = (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) ||
                            (a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0) == 0);
    return !is_documentation;
}

bool
sl_fetch_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4)); /* It need not be aligned. */
        return is_public_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return is_public_v6(v6.sin6_addr.s6_addr);
    }
    return false;
}
