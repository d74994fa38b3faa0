/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that can be told from typos, and found by scanners, without asking a database. */
#include "gateway/keyring.h"

#include <assert.h>

#define PREFIX        "sk_"
#define PREFIX_SIZE   3
#define RANDOM_SIZE   34
#define CHECKSUM_SIZE 6

static_assert(PREFIX_SIZE + RANDOM_SIZE + CHECKSUM_SIZE == SL_SECRET_SIZE, "the parts of a secret");

/* CRC-32 as in zip and Ethernet: scanners compute this one, not the Castagnoli kind. */
static uint32_t
crc32_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* Six digits hold 36^6 values, half of what a CRC has: the number is taken modulo that. */
static void
checksum(const char *secret, char ret_digits[static CHECKSUM_SIZE])
{
    uint32_t rest = crc32_of(secret, PREFIX_SIZE + RANDOM_SIZE);
    for (int i = CHECKSUM_SIZE - 1; i >= 0; i--) {
        ret_digits[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
        rest /= 36;
    }
}

void
sl_secret_mint(char ret_secret[static SL_SECRET_SIZE + 1])
{
    memcpy(ret_secret, PREFIX, PREFIX_SIZE);
    sl_random_id(ret_secret + PREFIX_SIZE, RANDOM_SIZE);
    checksum(ret_secret, ret_secret + PREFIX_SIZE + RANDOM_SIZE);
    ret_secret[SL_SECRET_SIZE] = '\0';
}

bool
sl_secret_is_well_formed(struct sl_slice secret)
{
    char digits[CHECKSUM_SIZE];
    if (secret.size != SL_SECRET_SIZE || memcmp(secret.data, PREFIX, PREFIX_SIZE) != 0)
        return false;
    checksum((const char *)secret.data, digits);
    return memcmp(secret.data + PREFIX_SIZE + RANDOM_SIZE, digits, CHECKSUM_SIZE) == 0;
}
