/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spin.h"

#include <sched.h>

#include "runtime/time.h"

#define FAILURES_FREE 4u  /* In a row, that change nothing. */
#define SKIPS_MAX     64u /* It is tried this often at least. */
#define YIELD_ROUNDS  32u /* Looks between two yields, which are system calls. */

bool
sl_spin_begin(struct sl_spin *s, uint64_t most_ns)
{
    if (s->skips > 0) {
        s->skips--;
        return false;
    }
    s->rounds = 0;
    s->until_ns = sl_time_mono_ns() + most_ns;
    return true;
}

/* Whoever is awaited may be waiting for this very core. */
bool
sl_spin_goes_on(struct sl_spin *s)
{
    s->rounds++;
    if (s->rounds % YIELD_ROUNDS != 0) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        return true;
    }
    (void)sched_yield();
    return sl_time_mono_ns() < s->until_ns;
}

void
sl_spin_end(struct sl_spin *s, bool has_come)
{
    s->failures = has_come ? 0 : s->failures + 1;
    if (s->failures <= FAILURES_FREE)
        return;
    uint32_t doublings = SL_MIN(s->failures - FAILURES_FREE, 6u);
    s->skips = SL_MIN(1u << doublings, SKIPS_MAX);
}
