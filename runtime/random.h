/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - random numbers. Actors take them from the context (seeded in simulation); secrets come
 * from the kernel through sl_random_secret, which only drivers and the gateway's key mint call.
 */
#ifndef SL_RUNTIME_RANDOM_H
#define SL_RUNTIME_RANDOM_H

#include "runtime/base.h"

/* xoshiro256**: fast, seedable, not for secrets. */
struct sl_random {
    uint64_t s[4];
};

void sl_random_seed(struct sl_random *r, uint64_t seed);
void sl_random_seed_secret(struct sl_random *r); /* From the kernel: 256 bits of state. */
uint64_t sl_random_u64(struct sl_random *r);
uint64_t sl_random_below(struct sl_random *r, uint64_t limit); /* [0, limit); limit > 0. */

void sl_random_secret(void *ret_bytes,
                      size_t size); /* getrandom(2); dies if the kernel has none. */

/* `count` characters of [a-z0-9] and a NUL, from the kernel: ids are not guessable. */
void sl_random_id(char *ret_text, size_t count);
void sl_random_hex(char *ret_text, size_t count);
void sl_random_uuid4(char ret_text[static 37]);

#endif
