/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/random.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

/*
 * Ids are minted in thousands a second, so kernel bytes are fetched in blocks: one call for 512.
 * Each byte is used once and then wiped. Per thread, so there is no lock.
 */
static _Thread_local struct {
    uint8_t bytes[512];
    size_t left;
} pool;

static inline uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t
splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
sl_random_seed(struct sl_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

void
sl_random_seed_secret(struct sl_random *r)
{
    do {
        sl_random_secret(r->s, sizeof(r->s));
    } while ((r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0);
}

uint64_t
sl_random_u64(struct sl_random *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

uint64_t
sl_random_below(struct sl_random *r, uint64_t limit)
{
    sl_assert(limit > 0);
    /* The bias of a 128-bit multiply is below 2^-64 * limit: nothing here could notice it. */
    return (uint64_t)(((unsigned __int128)sl_random_u64(r) * limit) >> 64);
}

static void
kernel_bytes(uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        sl_assert(got > 0);
        bytes += got;
        size -= (size_t)got;
    }
}

static uint8_t
pool_byte(void)
{
    if (pool.left == 0) {
        kernel_bytes(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
    }
    uint8_t byte = pool.bytes[--pool.left];
    pool.bytes[pool.left] = 0;
    return byte;
}

void
sl_random_secret(void *ret_bytes, size_t size)
{
    kernel_bytes(ret_bytes, size);
}

static void
from_alphabet(char *ret_text, size_t count, const char *alphabet, unsigned letters)
{
    /* Bytes past the largest multiple of `letters` are drawn again: every letter is as likely. */
    unsigned bound = 256 - 256 % letters;
    for (size_t i = 0; i < count;) {
        unsigned byte = pool_byte();
        if (byte < bound)
            ret_text[i++] = alphabet[byte % letters];
    }
    ret_text[count] = '\0';
}

void
sl_random_id(char *ret_text, size_t count)
{
    from_alphabet(ret_text, count, "abcdefghijklmnopqrstuvwxyz0123456789", 36);
}

void
sl_random_hex(char *ret_text, size_t count)
{
    from_alphabet(ret_text, count, "0123456789abcdef", 16);
}

void
sl_random_uuid4(char ret_text[static 37])
{
    uint8_t b[16];
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = pool_byte();
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}
