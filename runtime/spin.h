/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin.h - looking on for a while for what another process or thread is about to say, before a
 * thread sleeps: to be woken takes longer than what is often waited for. Where it is in vain, as on
 * a machine whose cores have other work, it is tried only now and then: half as often each time.
 *
 *     if (sl_spin_begin(&s, most_ns)) {
 *         while (!has_come && sl_spin_goes_on(&s))
 *             has_come = look();
 *         sl_spin_end(&s, has_come);
 *     }
 *
 * In place: zero it. Threading: one owner.
 */
#ifndef SL_RUNTIME_SPIN_H
#define SL_RUNTIME_SPIN_H

#include "runtime/base.h"

struct sl_spin {
    uint64_t until_ns;
    uint32_t rounds;
    uint32_t failures; /* In a row. */
    uint32_t skips;    /* How many times it is not tried now. */
};

/* Whether it is worth trying. */
bool sl_spin_begin(struct sl_spin *s, uint64_t most_ns);
/* After each look in vain: gives the core to who waits for it; false: enough. */
bool sl_spin_goes_on(struct sl_spin *s);
void sl_spin_end(struct sl_spin *s, bool has_come);

#endif
