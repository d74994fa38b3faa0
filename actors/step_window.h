/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_window.h - the least or the greatest value of a step function over the time just gone by.
 *
 *   3 |    ___            greatest over the window: 3, until the step of 3 has left it
 *   2 | __|   |      __   (the value in force where the window begins counts)
 *   1 |       |_____|
 *     +----[---window---]--> time
 *
 * What cannot become the extreme any more is dropped, so that there are never more steps than there
 * are different values.
 *
 * Threading: plain state, one owner; time comes in and never runs back.
 */
#ifndef SL_ACTORS_STEP_WINDOW_H
#define SL_ACTORS_STEP_WINDOW_H

#include "runtime/base.h"

struct sl_step {
    uint32_t value;
    uint64_t until_ns; /* Of its being in force; UINT64_MAX: it is. */
};

struct sl_step_window {
    bool is_least;
    uint64_t window_ns;    /* 0: the value in force is the extreme. */
    struct sl_step *steps; /* The extreme first; the one in force last. */
    uint32_t first, count, capacity;
};

/* `value` has been in force for ever. */
void sl_step_window_init(struct sl_step_window *w, bool is_least, uint64_t window_ns,
                         uint32_t value);
void sl_step_window_deinit(struct sl_step_window *w); /* Zeroed is fine. */
void sl_step_window_push(struct sl_step_window *w, uint64_t now_ns, uint32_t value);
/* The extreme over [now - window, now], and when it is another if nothing is pushed (UINT64_MAX:
 * never). `ret_next_ns` may be NULL. */
uint32_t sl_step_window_extreme(struct sl_step_window *w, uint64_t now_ns, uint64_t *ret_next_ns);

#endif
