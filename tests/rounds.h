/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rounds.h - how often a test repeats what it draws at random.
 *
 * Under AddressSanitizer a round costs several times as much, so that a few tests would take most
 * of scripts/test's time: there they take one round of each four. scripts/test-more runs them in
 * full, in a build without it; so does SLUICE_TEST_FULL=1 anywhere.
 */
#ifndef SL_TESTS_ROUNDS_H
#define SL_TESTS_ROUNDS_H

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t
rounds(uint64_t all)
{
#ifdef __SANITIZE_ADDRESS__
    if (getenv("SLUICE_TEST_FULL") == NULL)
        return (all + 3) / 4;
#endif
    return all;
}

#endif
